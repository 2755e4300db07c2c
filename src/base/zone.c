/* zone.c -- TZif version 2 files: transitions, and the rule in the footer for what comes after. */
#include "base/zone.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/file.h"

/* When a rule's half-year begins: Mm.w.d at a time of day, of local standard or daylight time. */
struct change {
    int month, week, day;
    int32_t at_s;
};

struct k2_zone {
    int count;
    int64_t *times;   /* transitions, ascending */
    int32_t *offsets; /* in force from times[i] on */
    int32_t first;    /* before the first transition */
    bool has_rule;    /* of the footer */
    int32_t standard, daylight;
    struct change to_daylight, to_standard;
};

void k2_zone_free(struct k2_zone *zone) {
    if (!zone)
        return;
    k2_free(zone->times);
    k2_free(zone->offsets);
    k2_free(zone);
}

/* ---- the footer: a POSIX TZ string ---- */

static bool skip_name(struct k2_str *s) {
    bool quoted = s->len && s->ptr[0] == '<';
    size_t n = quoted;
    while (n < s->len &&
           (quoted ? s->ptr[n] != '>' : (s->ptr[n] | 32) >= 'a' && (s->ptr[n] | 32) <= 'z'))
        n++;
    n += quoted && n < s->len;
    s->ptr += n, s->len -= n;
    return n >= 3;
}

static bool take_number(struct k2_str *s, int32_t *ret) {
    int32_t value = 0;
    size_t n = 0;
    for (; n < s->len && n < 6 && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++)
        value = value * 10 + (s->ptr[n] - '0');
    s->ptr += n, s->len -= n;
    *ret = value;
    return n > 0;
}

static bool take_char(struct k2_str *s, char c) {
    if (!s->len || s->ptr[0] != c)
        return false;
    s->ptr++, s->len--;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct k2_str *s, int32_t *ret) {
    bool negative = take_char(s, '-');
    int32_t hours, minutes = 0, seconds = 0;
    if (!negative)
        take_char(s, '+');
    if (!take_number(s, &hours) || hours > 167)
        return false;
    if (take_char(s, ':') && !take_number(s, &minutes))
        return false;
    if (take_char(s, ':') && !take_number(s, &seconds))
        return false;
    *ret = (hours * 3600 + minutes * 60 + seconds) * (negative ? -1 : 1);
    return true;
}

static bool take_change(struct k2_str *s, struct change *ret) {
    int32_t month, week, day;
    ret->at_s = 7200;
    if (!take_char(s, ',') || !take_char(s, 'M') || !take_number(s, &month) || !take_char(s, '.') ||
        !take_number(s, &week) || !take_char(s, '.') || !take_number(s, &day) || month < 1 ||
        month > 12 || week < 1 || week > 5 || day > 6)
        return false;
    ret->month = month, ret->week = week, ret->day = day;
    return !take_char(s, '/') || take_time(s, &ret->at_s);
}

static bool parse_footer(struct k2_zone *z, struct k2_str s) {
    int32_t west;
    if (!skip_name(&s) || !take_time(&s, &west))
        return false;
    z->standard = z->daylight = -west;
    z->has_rule = true;
    if (!s.len)
        return true;
    if (!skip_name(&s))
        return false;
    z->daylight = z->standard + 3600;
    if (s.len && s.ptr[0] != ',') {
        if (!take_time(&s, &west))
            return false;
        z->daylight = -west;
    }
    return take_change(&s, &z->to_daylight) && take_change(&s, &z->to_standard) && !s.len;
}

/* Seconds since the epoch of a change in a year, read in local time of the offset before it. */
static int64_t change_at(const struct change *c, int32_t year, int32_t offset) {
    int32_t first = k2_days_from_date((struct k2_date){year, c->month, 1});
    int32_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int32_t day = first + (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
    while (k2_date_from_days(day).month != c->month)
        day -= 7;
    return (int64_t)day * 86400 + c->at_s - offset;
}

static int32_t rule_offset(const struct k2_zone *z, int64_t utc_s) {
    if (z->standard == z->daylight)
        return z->standard;
    int32_t year = k2_date_from_days(k2_days_from_us((utc_s + z->standard) * 1000000)).year;
    int64_t on = change_at(&z->to_daylight, year, z->standard);
    int64_t off = change_at(&z->to_standard, year, z->daylight);
    bool is_daylight = on < off ? utc_s >= on && utc_s < off : utc_s >= on || utc_s < off;
    return is_daylight ? z->daylight : z->standard;
}

/* ---- the file ---- */

static int64_t big_endian(const uint8_t *p, int bytes) {
    uint64_t value = p[0] & 0x80 ? UINT64_MAX : 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return (int64_t)value;
}

struct header {
    int64_t utc_count, std_count, leap_count, time_count, type_count, char_count;
};

static bool take_header(struct k2_str *s, struct header *h) {
    const uint8_t *p = (const uint8_t *)s->ptr;
    if (s->len < 44 || memcmp(p, "TZif", 4) != 0)
        return false;
    int64_t *fields[] = {&h->utc_count,  &h->std_count,  &h->leap_count,
                         &h->time_count, &h->type_count, &h->char_count};
    for (int i = 0; i < 6; i++) {
        *fields[i] = big_endian(p + 20 + i * 4, 4);
        if (*fields[i] < 0 || *fields[i] > 10000)
            return false;
    }
    s->ptr += 44, s->len -= 44;
    return true;
}

static int64_t body_bytes(const struct header *h, int width) {
    return h->time_count * (width + 1) + h->type_count * 6 + h->char_count +
           h->leap_count * (width + 4) + h->std_count + h->utc_count;
}

static bool read_body(struct k2_zone *z, const struct header *h, struct k2_str s) {
    const uint8_t *times = (const uint8_t *)s.ptr, *kinds = times + h->time_count * 8;
    const uint8_t *types = kinds + h->time_count;
    if (!h->type_count)
        return false;
    z->count = (int)h->time_count;
    z->times = k2_new_array(int64_t, (size_t)z->count);
    z->offsets = k2_new_array(int32_t, (size_t)z->count);
    z->first = (int32_t)big_endian(types, 4);
    for (int i = 0; i < z->count; i++) {
        if (kinds[i] >= h->type_count)
            return false;
        z->times[i] = big_endian(times + i * 8, 8);
        z->offsets[i] = (int32_t)big_endian(types + kinds[i] * 6, 4);
        if ((i && z->times[i] <= z->times[i - 1]) || z->offsets[i] < -93600 ||
            z->offsets[i] > 93600)
            return false;
    }
    return true;
}

static bool parse(struct k2_zone *z, struct k2_str s) {
    struct header old, h;
    if (!take_header(&s, &old) || (int64_t)s.len < body_bytes(&old, 4))
        return false;
    s.ptr += body_bytes(&old, 4), s.len -= (size_t)body_bytes(&old, 4);
    if (!take_header(&s, &h) || (int64_t)s.len < body_bytes(&h, 8) || !read_body(z, &h, s))
        return false;
    s.ptr += body_bytes(&h, 8), s.len -= (size_t)body_bytes(&h, 8);
    s = k2_str_trim(s);
    return !s.len || parse_footer(z, s);
}

struct k2_zone *k2_zone_parse(struct k2_str bytes, struct k2_err *err) {
    struct k2_zone *zone = k2_new(struct k2_zone);
    if (parse(zone, bytes))
        return zone;
    k2_zone_free(zone);
    k2_err_set(err, K2_CORRUPT, "not a time zone file of version 2 or later");
    return NULL;
}

struct k2_zone *k2_zone_load(const char *name, struct k2_err *err) {
    char path[256];
    if (strcmp(name, "UTC") == 0)
        return k2_new(struct k2_zone);
    int len = snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    if (!*name || strstr(name, "..") || name[0] == '/' || (size_t)len >= sizeof path ||
        !k2_path_exists(path)) {
        k2_err_set(err, K2_NOT_FOUND,
                   "there is no time zone \"%s\" (like Australia/Sydney; package tzdata)", name);
        return NULL;
    }
    struct k2_buf bytes = {0};
    struct k2_zone *zone = NULL;
    if (k2_file_read(path, 1 << 20, &bytes, err))
        zone = k2_zone_parse(k2_buf_view(&bytes), err);
    if (!zone)
        k2_err_wrap(err, "time zone %s", name);
    k2_buf_done(&bytes);
    return zone;
}

int32_t k2_zone_offset(const struct k2_zone *zone, int64_t utc_s) {
    if (!zone->count || utc_s < zone->times[0])
        return zone->count || !zone->has_rule ? zone->first : rule_offset(zone, utc_s);
    if (utc_s >= zone->times[zone->count - 1] && zone->has_rule)
        return rule_offset(zone, utc_s);
    int low = 0, high = zone->count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (zone->times[middle] <= utc_s)
            low = middle;
        else
            high = middle - 1;
    }
    return zone->offsets[low];
}

/* The offset in force is one of those a day before and a day after; the larger gives the earlier
 * time. */
bool k2_zone_to_utc(const struct k2_zone *zone, int64_t local_s, int64_t *ret_utc_s) {
    int32_t a = k2_zone_offset(zone, local_s - 86400), b = k2_zone_offset(zone, local_s + 86400);
    int32_t offsets[] = {K2_MAX(a, b), K2_MIN(a, b)};
    for (int i = 0; i < 2; i++)
        if (k2_zone_offset(zone, local_s - offsets[i]) == offsets[i]) {
            *ret_utc_s = local_s - offsets[i];
            return true;
        }
    return false;
}
