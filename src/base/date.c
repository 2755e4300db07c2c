/* date.c -- days <-> civil dates (the era method) and ISO 8601 text. */
#include "base/date.h"

#include <stdio.h>

int32_t k2_days_from_date(struct k2_date date) {
    int32_t y = date.year - (date.month <= 2);
    int32_t era = (y >= 0 ? y : y - 399) / 400;
    uint32_t yoe = (uint32_t)(y - era * 400);
    uint32_t shifted = (uint32_t)((date.month + 9) % 12);
    uint32_t doy = (153 * shifted + 2) / 5 + (uint32_t)date.day - 1;
    uint32_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int32_t)doe - 719468;
}

struct k2_date k2_date_from_days(int32_t days) {
    int64_t z = (int64_t)days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    uint32_t doe = (uint32_t)(z - era * 146097);
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint32_t mp = (5 * doy + 2) / 153;
    int32_t day = (int32_t)(doy - (153 * mp + 2) / 5 + 1);
    int32_t month = (int32_t)(mp < 10 ? mp + 3 : mp - 9);
    int32_t year = (int32_t)(yoe + (uint32_t)(era * 400)) + (month <= 2);
    return (struct k2_date){year, month, day};
}

bool k2_date_is_valid(struct k2_date date) {
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date.month < 1 || date.month > 12 || date.day < 1)
        return false;
    bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    return date.day <= lengths[date.month - 1] + (leap && date.month == 2);
}

int32_t k2_days_from_us(int64_t us) {
    int64_t days = us / K2_DAY_US;
    return (int32_t)(days - (us % K2_DAY_US < 0));
}

int64_t k2_yyyymmdd(int32_t days) {
    struct k2_date d = k2_date_from_days(days);
    return (int64_t)d.year * 10000 + d.month * 100 + d.day;
}

int k2_days_to_iso(int32_t days, char ret_text[16]) {
    struct k2_date d = k2_date_from_days(days);
    return snprintf(ret_text, 16, "%04d-%02d-%02d", d.year % 1000000, d.month, d.day);
}

int k2_us_to_iso(int64_t us, char ret_text[40]) {
    int32_t days = k2_days_from_us(us);
    int64_t in_day = us - (int64_t)days * K2_DAY_US;
    struct k2_date d = k2_date_from_days(days);
    int64_t s = in_day / 1000000;
    return snprintf(ret_text, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", d.year, d.month, d.day,
                    (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60), (int)(in_day % 1000000));
}

static bool digits(struct k2_str *s, int count, int *ret) {
    if (s->len < (size_t)count)
        return false;
    int value = 0;
    for (int i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)s->ptr[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + (int)digit;
    }
    s->ptr += count, s->len -= (size_t)count;
    *ret = value;
    return true;
}

static bool skip(struct k2_str *s, char c) {
    if (!s->len || s->ptr[0] != c)
        return false;
    s->ptr++, s->len--;
    return true;
}

static bool parse_fraction(struct k2_str *s, int64_t *ret_ns) {
    int64_t ns = 0, unit = 100000000;
    int count = 0;
    for (; s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9' && count < 9; count++) {
        ns += (s->ptr[0] - '0') * unit;
        unit /= 10;
        s->ptr++, s->len--;
    }
    *ret_ns = ns;
    return count > 0;
}

static bool parse_time(struct k2_str *s, int64_t *ret_ns) {
    int hour, minute, second = 0;
    int64_t fraction = 0;
    if (!digits(s, 2, &hour) || !skip(s, ':') || !digits(s, 2, &minute))
        return false;
    if (skip(s, ':') && !digits(s, 2, &second))
        return false;
    if (skip(s, '.') && !parse_fraction(s, &fraction))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ret_ns = ((int64_t)hour * 3600 + minute * 60 + second) * 1000000000 + fraction;
    return true;
}

static bool parse_zone(struct k2_str *s, int64_t *ret_offset_ns) {
    *ret_offset_ns = 0;
    if (!s->len || skip(s, 'Z') || skip(s, 'z'))
        return s->len == 0;
    int sign = s->ptr[0] == '+' ? 1 : s->ptr[0] == '-' ? -1 : 0;
    int hour, minute;
    if (!sign || !skip(s, s->ptr[0]) || !digits(s, 2, &hour))
        return false;
    skip(s, ':');
    if (!digits(s, 2, &minute) || hour > 18 || minute > 59)
        return false;
    *ret_offset_ns = (int64_t)sign * (hour * 3600 + minute * 60) * 1000000000;
    return s->len == 0;
}

bool k2_iso_to_ns(struct k2_str text, int64_t *ret_ns, struct k2_err *err) {
    struct k2_str s = k2_str_trim(text);
    struct k2_date d;
    int64_t time_ns = 0, offset_ns = 0;
    bool ok = digits(&s, 4, &d.year) && skip(&s, '-') && digits(&s, 2, &d.month) && skip(&s, '-') &&
              digits(&s, 2, &d.day);
    if (ok && (skip(&s, 'T') || skip(&s, 't') || skip(&s, ' ')))
        ok = parse_time(&s, &time_ns) && parse_zone(&s, &offset_ns);
    else if (ok)
        ok = s.len == 0;
    if (!ok)
        return k2_err_set(err, K2_INVALID, "\"%.*s\" is not an ISO 8601 time (like %s)",
                          K2_FMT(text), "2014-03-10T09:30:00.123456Z");
    if (!k2_date_is_valid(d) || d.year < 1678 || d.year > 2261)
        return k2_err_set(err, K2_INVALID, "\"%.*s\" is not a date between 1678 and 2261",
                          K2_FMT(text));
    *ret_ns = (int64_t)k2_days_from_date(d) * K2_DAY_NS + time_ns - offset_ns;
    return true;
}
