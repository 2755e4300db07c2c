/* decimal.c -- exact decimal text to scaled integers and back. */
#include "market/decimal.h"

#include <stdio.h>

enum { PLACES = 8 };

static bool digit_of(char c, int *ret) {
    *ret = c - '0';
    return c >= '0' && c <= '9';
}

/* The exponent after 'e'; false when it is no integer. Clamped: beyond 99 nothing changes. */
static bool parse_exponent(struct k2_str s, int *ret) {
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        s.ptr++, s.len--;
    int value = 0, digit;
    if (!s.len)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!digit_of(s.ptr[i], &digit))
            return false;
        value = K2_MIN(value * 10 + digit, 99);
    }
    *ret = negative ? -value : value;
    return true;
}

enum k2_decimal_result k2_decimal_parse(struct k2_str text, int64_t *ret_value) {
    const char *p = text.ptr, *end = p + text.len;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    int64_t value = 0;
    int digits = 0, places = 0, dropped = 0, digit;
    bool point = false, inexact = false;
    for (; p < end; p++) {
        if (*p == '.' && !point) {
            point = true;
            continue;
        }
        if (!digit_of(*p, &digit))
            break;
        digits++;
        if (value > K2_DECIMAL_MAX / 10) { /* keep the magnitude, remember what was cut */
            dropped += !point;
            inexact |= digit != 0;
            continue;
        }
        value = value * 10 + digit;
        places += point;
    }
    int exponent = 0;
    if (!digits)
        return K2_DECIMAL_SYNTAX;
    if (p < end) {
        struct k2_str rest = {p + 1, (size_t)(end - p - 1)};
        if ((*p != 'e' && *p != 'E') || !parse_exponent(rest, &exponent))
            return K2_DECIMAL_SYNTAX;
    }
    if (value == 0 && !inexact) {
        *ret_value = 0;
        return K2_DECIMAL_OK;
    }
    if (inexact)
        return K2_DECIMAL_RANGE;
    for (int shift = PLACES - places + dropped + exponent; shift != 0;
         shift += shift < 0 ? 1 : -1) {
        if (shift < 0) {
            if (value % 10)
                return K2_DECIMAL_RANGE;
            value /= 10;
        } else {
            if (value > K2_DECIMAL_MAX / 10)
                return K2_DECIMAL_RANGE;
            value *= 10;
        }
    }
    *ret_value = negative ? -value : value;
    return K2_DECIMAL_OK;
}

int k2_decimal_format_full(int64_t value, char ret_text[24]) {
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    return snprintf(ret_text, 24, "%s%llu.%08llu", value < 0 ? "-" : "",
                    (unsigned long long)(magnitude / K2_DECIMAL_ONE),
                    (unsigned long long)(magnitude % K2_DECIMAL_ONE));
}

int k2_decimal_format(int64_t value, char ret_text[24]) {
    int len = k2_decimal_format_full(value, ret_text);
    while (ret_text[len - 1] == '0')
        len--;
    if (ret_text[len - 1] == '.')
        len--;
    ret_text[len] = 0;
    return len;
}
