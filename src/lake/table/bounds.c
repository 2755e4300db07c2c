/* bounds.c -- reads and compares Iceberg's single-value bounds. */
#include "lake/table/bounds.h"

static bool little(struct k2_str bound, int64_t *ret_value) {
    int32_t narrow;
    if (bound.len == sizeof narrow) {
        memcpy(&narrow, bound.ptr, sizeof narrow);
        *ret_value = narrow;
    } else if (bound.len == sizeof *ret_value) {
        memcpy(ret_value, bound.ptr, sizeof *ret_value);
    } else {
        return false;
    }
    return true;
}

int k2_bound_cmp(bool is_string, struct k2_str a, struct k2_str b) {
    int64_t x, y;
    if (is_string || !little(a, &x) || !little(b, &y))
        return k2_str_cmp(a, b);
    return (x > y) - (x < y);
}

/* Longer ones than 8 bytes are taken where the rest is only sign. */
static bool big(struct k2_str bound, int64_t *ret_value) {
    if (bound.len == 0 || bound.len > 16)
        return false;
    uint64_t value = (bound.ptr[0] & 0x80) ? UINT64_MAX : 0;
    uint64_t sign = value;
    for (size_t i = 0; i < bound.len; i++) {
        bool drops = bound.len - i > 8;
        if (drops && (uint8_t)bound.ptr[i] != (uint8_t)sign)
            return false;
        value = value << 8 | (uint8_t)bound.ptr[i];
    }
    if (((int64_t)value < 0) != (sign != 0))
        return false;
    *ret_value = (int64_t)value;
    return true;
}

bool k2_bound_number(struct k2_str type, struct k2_str bound, int64_t *ret_value) {
    if (k2_str_starts(type, "decimal("))
        return big(bound, ret_value);
    if (k2_str_is(type, "int") || k2_str_is(type, "long") || k2_str_is(type, "date") ||
        k2_str_is(type, "timestamptz") || k2_str_is(type, "timestamp"))
        return little(bound, ret_value);
    return false;
}

bool k2_bound_is_text(struct k2_str type) {
    return k2_str_is(type, "string") || k2_str_is(type, "binary");
}
