/* json.c -- jansson behind K2's own words, and JSON text appenders. */
#include "base/json.h"

#include <inttypes.h>
#include <jansson.h>

struct k2_json *k2_json_parse(struct k2_str text, struct k2_err *err) {
    json_error_t where;
    size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, flags, &where);
    if (!root)
        k2_err_set(
            err, json_error_code(&where) == json_error_stack_overflow ? K2_LIMIT : K2_CORRUPT,
            "not valid JSON at line %d, column %d: %s", where.line, where.column, where.text);
    return (struct k2_json *)root;
}

void k2_json_free(struct k2_json *root) {
    json_decref((json_t *)root);
}

void k2_json_freep(struct k2_json **root) {
    k2_json_free(*root);
}

static const json_t *in(const struct k2_json *value) {
    return (const json_t *)value;
}

bool k2_json_is_object(const struct k2_json *value) {
    return json_is_object(in(value));
}

bool k2_json_is_array(const struct k2_json *value) {
    return json_is_array(in(value));
}

bool k2_json_is_string(const struct k2_json *value) {
    return json_is_string(in(value));
}

bool k2_json_is_int(const struct k2_json *value) {
    return json_is_integer(in(value));
}

bool k2_json_is_null(const struct k2_json *value) {
    return json_is_null(in(value));
}

const struct k2_json *k2_json_get(const struct k2_json *object, const char *key) {
    return (const struct k2_json *)json_object_get(in(object), key);
}

size_t k2_json_count(const struct k2_json *array) {
    return json_array_size(in(array));
}

const struct k2_json *k2_json_at(const struct k2_json *array, size_t index) {
    return (const struct k2_json *)json_array_get(in(array), index);
}

struct k2_str k2_json_str(const struct k2_json *value) {
    if (!json_is_string(in(value)))
        return (struct k2_str){NULL, 0};
    return (struct k2_str){json_string_value(in(value)), json_string_length(in(value))};
}

int64_t k2_json_int(const struct k2_json *value, int64_t otherwise) {
    return json_is_integer(in(value)) ? json_integer_value(in(value)) : otherwise;
}

double k2_json_real(const struct k2_json *value, double otherwise) {
    return json_is_number(in(value)) ? json_number_value(in(value)) : otherwise;
}

bool k2_json_bool(const struct k2_json *value, bool otherwise) {
    return json_is_boolean(in(value)) ? json_is_true(in(value)) : otherwise;
}

bool k2_json_next(const struct k2_json *object, void **iterator, struct k2_str *ret_key,
                  const struct k2_json **ret_value) {
    json_t *tree = (json_t *)object;
    *iterator = *iterator ? json_object_iter_next(tree, *iterator) : json_object_iter(tree);
    if (!*iterator)
        return false;
    *ret_key = k2_str_of(json_object_iter_key(*iterator));
    *ret_value = (const struct k2_json *)json_object_iter_value(*iterator);
    return true;
}

static int append(const char *bytes, size_t len, void *out) {
    k2_buf_append(out, bytes, len);
    return 0;
}

void k2_json_dump(const struct k2_json *value, struct k2_buf *out) {
    json_dump_callback(in(value), append, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

static size_t utf8_len(const char *p, size_t left) {
    for (size_t len = 1; len <= 4 && len <= left; len++)
        if (k2_str_is_utf8((struct k2_str){p, len}))
            return len;
    return 0;
}

void k2_json_quote(struct k2_buf *out, struct k2_str text) {
    k2_buf_byte(out, '"');
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            k2_buf_byte(out, '\\');
            k2_buf_byte(out, c);
            i++;
        } else if (c == '\n') {
            k2_buf_text(out, "\\n");
            i++;
        } else if (c < 0x20 || c == 0x7f) {
            k2_buf_printf(out, "\\u%04x", c);
            i++;
        } else if (c < 0x80) {
            k2_buf_byte(out, c);
            i++;
        } else {
            size_t len = utf8_len(text.ptr + i, text.len - i);
            if (len)
                k2_buf_append(out, text.ptr + i, len);
            else
                k2_buf_text(out, "\xef\xbf\xbd");
            i += len ? len : 1;
        }
    }
    k2_buf_byte(out, '"');
}

void k2_json_key(struct k2_buf *out, const char *key) {
    char last = out->len ? out->ptr[out->len - 1] : '{';
    if (last != '{' && last != '[')
        k2_buf_byte(out, ',');
    k2_json_quote(out, k2_str_of(key));
    k2_buf_byte(out, ':');
}

void k2_json_key_int(struct k2_buf *out, const char *key, int64_t value) {
    k2_json_key(out, key);
    k2_buf_printf(out, "%" PRId64, value);
}

void k2_json_key_str(struct k2_buf *out, const char *key, struct k2_str value) {
    k2_json_key(out, key);
    k2_json_quote(out, value);
}

void k2_json_key_bool(struct k2_buf *out, const char *key, bool value) {
    k2_json_key(out, key);
    k2_buf_text(out, value ? "true" : "false");
}
