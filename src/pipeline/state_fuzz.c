/* state_fuzz.c -- any bytes as a state object: what is taken can be written, and is then read as
 * the same.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "pipeline/state.h"

#define TOPIC K2_STR("t")

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_section(struct k2_str object, int32_t log_partition, struct k2_keys *keys,
                         struct k2_intern *strings, struct k2_chain_settings *settings,
                         int64_t *offset) {
    struct k2_err err = {0};
    bool ok = k2_state_read(object, TOPIC, log_partition, 0, keys, strings, settings, offset, &err);
    K2_ASSERT(ok || err.code == K2_CORRUPT || err.code == K2_NOT_FOUND);
    return ok;
}

static void check_section(struct k2_str object, int32_t log_partition) {
    struct k2_keys keys = {0}, again = {0};
    struct k2_intern strings = {0}, other = {0};
    struct k2_chain_settings settings_again;
    struct k2_section section = {.topic = TOPIC, .log_partition = log_partition};
    struct k2_buf out = {0}, twice = {0};
    int64_t offset;
    if (read_section(object, log_partition, &keys, &strings, &section.settings, &section.offset)) {
        k2_state_write(&keys, &strings, &section, 1, &out);
        K2_ASSERT(read_section(k2_buf_view(&out), log_partition, &again, &other, &settings_again,
                               &offset));
        K2_ASSERT(again.count == keys.count && offset == section.offset);
        section.settings = settings_again;
        k2_state_write(&again, &other, &section, 1, &twice);
        K2_ASSERT(k2_str_eq(k2_buf_view(&out), k2_buf_view(&twice)));
    }
    k2_buf_done(&out);
    k2_buf_done(&twice);
    k2_keys_done(&keys);
    k2_keys_done(&again);
    k2_intern_done(&strings);
    k2_intern_done(&other);
}

/* As it is, and with the checksum put right, so that what lies behind it is reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct k2_buf object = {0};
    check_section(k2_str_make(data, size), 0);
    if (size >= 8) {
        k2_buf_append(&object, data, size - 8);
        k2_buf_u64(&object, k2_hash64(data, size - 8));
        for (int32_t p = 0; p < 2; p++)
            check_section(k2_buf_view(&object), p);
    }
    k2_buf_done(&object);
    return 0;
}
