/* csv_fields.c -- splitting lines and reading values; what cannot be read is a fault in words. */
#include <stdarg.h>
#include <stdio.h>

#include "base/date.h"
#include "feed/csv_impl.h"
#include "market/decimal.h"

bool k2_csv_fault(struct k2_csv_fault *fault, const char *code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fault->code = code;
    vsnprintf(fault->text, sizeof fault->text, fmt, args);
    va_end(args);
    /* The text travels as UTF-8; what a bad line quotes may not be. */
    for (char *p = fault->text; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            *p = '?';
    return false;
}

/* A value quoted in a message is cut, the line itself is kept whole beside it. */
static struct k2_str cut(struct k2_str text) {
    return (struct k2_str){text.ptr, K2_MIN(text.len, (size_t)80)};
}

bool k2_csv_decimal(const char *name, struct k2_str text, int64_t *ret,
                    struct k2_csv_fault *fault) {
    struct k2_str shown = cut(text);
    switch (k2_decimal_parse(text, ret)) {
    case K2_DECIMAL_OK: return true;
    case K2_DECIMAL_SYNTAX:
        return k2_csv_fault(fault, "NUMBER", "%s \"%.*s\" is not a decimal number", name,
                            K2_FMT(shown));
    case K2_DECIMAL_RANGE:
        return k2_csv_fault(fault, "NUMBER_RANGE", "%s \"%.*s\" does not fit decimal(18,8)", name,
                            K2_FMT(shown));
    }
    return false;
}

bool k2_csv_int(const char *name, struct k2_str text, int64_t *ret, struct k2_csv_fault *fault) {
    struct k2_str shown = cut(text);
    return k2_str_to_i64(text, ret) ||
           k2_csv_fault(fault, "NUMBER", "%s \"%.*s\" is not a whole number", name, K2_FMT(shown));
}

static bool digits(struct k2_str s, size_t at, size_t count, int *ret) {
    int value = 0;
    if (at + count > s.len)
        return false;
    for (size_t i = at; i < at + count; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + (int)digit;
    }
    *ret = value;
    return true;
}

bool k2_csv_local_time(struct k2_csv *csv, struct k2_str date, struct k2_str time, int64_t *ret_us,
                       int32_t *ret_day, struct k2_csv_fault *fault) {
    struct k2_date d;
    int hour, minute, second, milli;
    struct k2_str shown = cut(date), shown_time = cut(time);
    if (date.len != 10 || date.ptr[2] != '/' || date.ptr[5] != '/' ||
        !digits(date, 0, 2, &d.month) || !digits(date, 3, 2, &d.day) ||
        !digits(date, 6, 4, &d.year) || !k2_date_is_valid(d))
        return k2_csv_fault(fault, "DATE", "date \"%.*s\" is not a date MM/DD/YYYY", K2_FMT(shown));
    if (time.len != 12 || time.ptr[2] != ':' || time.ptr[5] != ':' || time.ptr[8] != '.' ||
        !digits(time, 0, 2, &hour) || !digits(time, 3, 2, &minute) ||
        !digits(time, 6, 2, &second) || !digits(time, 9, 3, &milli) || hour > 23 || minute > 59 ||
        second > 59)
        return k2_csv_fault(fault, "TIME", "time \"%.*s\" is not a time HH:MM:SS.mmm",
                            K2_FMT(shown_time));
    int64_t utc, local;
    *ret_day = k2_days_from_date(d);
    local = (int64_t)*ret_day * 86400 + hour * 3600 + minute * 60 + second;
    if (!k2_zone_to_utc(csv->zone, local, &utc))
        return k2_csv_fault(fault, "TIME", "%.*s %.*s was skipped by the clocks of the zone",
                            K2_FMT(shown), K2_FMT(shown_time));
    *ret_us = utc * 1000000 + milli * 1000;
    return true;
}

/* RFC 4180: a quoted field may hold separators, and "" for a quote. */
static bool split_quoted(struct k2_csv *csv, struct k2_str line) {
    k2_buf_clear(&csv->unquoted);
    k2_buf_reserve(&csv->unquoted, line.len + 1); /* so that views into it stay */
    size_t at = 0;
    for (;;) {
        if (csv->field_count == CSV_FIELDS_MAX)
            return false;
        size_t start = csv->unquoted.len;
        bool is_quoted = at < line.len && line.ptr[at] == '"';
        for (at += is_quoted; at < line.len; at++) {
            if (is_quoted && line.ptr[at] == '"') {
                if (at + 1 < line.len && line.ptr[at + 1] == '"')
                    at++;
                else
                    break;
            } else if (!is_quoted && line.ptr[at] == ',') {
                break;
            }
            k2_buf_byte(&csv->unquoted, (uint8_t)line.ptr[at]);
        }
        if (is_quoted && (at == line.len || (++at < line.len && line.ptr[at] != ',')))
            return false;
        csv->fields[csv->field_count++] =
            (struct k2_str){csv->unquoted.ptr + start, csv->unquoted.len - start};
        if (at >= line.len)
            return true;
        at++;
    }
}

bool k2_csv_split(struct k2_csv *csv, struct k2_str line, bool is_quoted) {
    csv->field_count = 0;
    if (is_quoted && memchr(line.ptr, '"', line.len))
        return split_quoted(csv, line);
    struct k2_str rest = line;
    while (rest.ptr) {
        if (csv->field_count == CSV_FIELDS_MAX)
            return false;
        csv->fields[csv->field_count++] = k2_str_split(rest, ',', &rest);
    }
    return true;
}
