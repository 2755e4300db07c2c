/* json_fuzz.c -- any bytes as JSON: what is taken is walked, written and comes back the same; and
 * any bytes as text to be quoted.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every value is asked for as every type; the sum keeps the calls from being left out. */
static uint64_t walk(const struct k2_json *value) {
    struct k2_str text = k2_json_str(value), key;
    const struct k2_json *member;
    uint64_t sum = (uint64_t)k2_json_int(value, 1) + k2_json_bool(value, false);
    sum += k2_json_real(value, 0.5) > 0;
    for (size_t i = 0; i < text.len; i++)
        sum += (uint8_t)text.ptr[i];
    K2_ASSERT(k2_str_is_utf8(text));
    for (size_t i = 0; i < k2_json_count(value); i++)
        sum += walk(k2_json_at(value, i));
    if (k2_json_is_object(value))
        for (void *at = NULL; k2_json_next(value, &at, &key, &member);) {
            K2_ASSERT(k2_json_get(value, key.ptr) == member);
            sum += walk(member);
        }
    return sum;
}

static void check_quoted(struct k2_str text) {
    struct k2_err err = {0};
    struct k2_buf quoted = {0};
    k2_json_quote(&quoted, text);
    struct k2_json *value = k2_json_parse(k2_buf_view(&quoted), &err);
    bool has_nul = memchr(text.ptr, 0, text.len);
    K2_ASSERT(has_nul || (value && k2_json_is_string(value)));
    if (value && k2_str_is_utf8(text))
        K2_ASSERT(k2_str_eq(k2_json_str(value), text));
    k2_json_free(value);
    k2_buf_done(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct k2_err err = {0};
    struct k2_str bytes = k2_str_make(data, size);
    struct k2_buf first = {0}, second = {0};
    struct k2_json *value = k2_json_parse(bytes, &err), *again;
    check_quoted(bytes);
    if (value) {
        uint64_t sum = walk(value);
        k2_json_dump(value, &first);
        again = k2_json_parse(k2_buf_view(&first), &err);
        K2_ASSERT(again && walk(again) == sum);
        k2_json_dump(again, &second);
        K2_ASSERT(k2_str_eq(k2_buf_view(&first), k2_buf_view(&second)));
        k2_json_free(again);
    }
    k2_json_free(value);
    k2_buf_done(&first);
    k2_buf_done(&second);
    return 0;
}
