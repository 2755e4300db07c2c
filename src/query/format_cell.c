/* format_cell.c -- single values as text and as JSON, written by hand for speed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/date.h"
#include "query/format.h"

enum { NUMBER_MAX = 64 }; /* bytes of any number, date or time */

/* ---- numbers ---- */

static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334"
                            "3536373839404142434445464748495051525354555657585960616263646566676869"
                            "707172737475767778798081828384858687888990919293949596979899";

static int put_u64(char *to, uint64_t value) {
    char digits[20], *at = digits + sizeof digits;
    while (value >= 100) {
        uint64_t rest = value / 100;
        memcpy(at -= 2, pairs + 2 * (value - rest * 100), 2);
        value = rest;
    }
    if (value >= 10)
        memcpy(at -= 2, pairs + 2 * value, 2);
    else
        *--at = (char)('0' + value);
    int len = (int)(digits + sizeof digits - at);
    memcpy(to, at, (size_t)len);
    return len;
}

static int put_i64(char *to, int64_t value) {
    if (value >= 0)
        return put_u64(to, (uint64_t)value);
    *to = '-';
    return 1 + put_u64(to + 1, -(uint64_t)value);
}

/* Exactly width digits. */
static void put_fixed(char *to, uint32_t value, int width) {
    int i = width;
    for (; i >= 2; value /= 100)
        memcpy(to + (i -= 2), pairs + 2 * (value % 100), 2);
    if (i)
        *to = (char)('0' + value % 10);
}

static __int128 huge_of(const void *data, uint64_t row) {
    const duckdb_hugeint *h = (const duckdb_hugeint *)data + row;
    return (__int128)((unsigned __int128)(uint64_t)h->upper << 64 | h->lower);
}

/* value / 10^scale with all its places. */
static int put_big_decimal(char *to, __int128 value, int scale) {
    char digits[48];
    int len = 0, at = 0;
    unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    for (; rest > UINT64_MAX; rest /= 10)
        digits[len++] = (char)('0' + (int)(rest % 10));
    for (uint64_t low = (uint64_t)rest; low || len <= scale; low /= 10)
        digits[len++] = (char)('0' + low % 10);
    if (value < 0)
        to[at++] = '-';
    while (len > scale)
        to[at++] = digits[--len];
    if (scale)
        to[at++] = '.';
    while (len)
        to[at++] = digits[--len];
    return at;
}

/* The same for what fits 64 bits: all of K2's own decimals. */
static int put_decimal(char *to, __int128 value, int scale) {
    if (value > INT64_MAX || value < -INT64_MAX || scale != 8)
        return put_big_decimal(to, value, scale);
    const uint64_t one = 100000000;
    uint64_t rest = (uint64_t)(value < 0 ? -value : value);
    int at = 0;
    if (value < 0)
        to[at++] = '-';
    at += put_u64(to + at, rest / one);
    to[at++] = '.';
    put_fixed(to + at, (uint32_t)(rest % one), 8);
    return at + 8;
}

static __int128 decimal_of(const struct k2_type_node *type, const void *data, uint64_t row) {
    switch (type->storage) {
    case DUCKDB_TYPE_SMALLINT: return ((const int16_t *)data)[row];
    case DUCKDB_TYPE_INTEGER: return ((const int32_t *)data)[row];
    case DUCKDB_TYPE_BIGINT: return ((const int64_t *)data)[row];
    default: return huge_of(data, row);
    }
}

/* The shortest text that reads back as the same number. A whole number keeps ".0". */
static int put_real(char *to, double value, bool is_float) {
    if (!isfinite(value))
        return snprintf(to, NUMBER_MAX,
                        isnan(value) ? "NaN"
                        : value < 0  ? "-Infinity"
                                     : "Infinity");
    if (fabs(value) < 1e15 && value == (double)(int64_t)value && !(value == 0 && signbit(value))) {
        int len = put_i64(to, (int64_t)value);
        to[len++] = '.', to[len++] = '0';
        return len;
    }
    int len = 0;
    for (int digits = is_float ? 6 : 15; digits <= (is_float ? 9 : 17); digits++) {
        len = snprintf(to, NUMBER_MAX, "%.*g", digits, value);
        if (is_float ? strtof(to, NULL) == (float)value : strtod(to, NULL) == value)
            break;
    }
    return len;
}

/* ---- dates and times ---- */

static int put_date(char *to, int32_t days) {
    if (days == INT32_MAX || days == -INT32_MAX)
        return snprintf(to, NUMBER_MAX, days > 0 ? "infinity" : "-infinity");
    struct k2_date d = k2_date_from_days(days);
    if (d.year < 0 || d.year > 9999)
        return snprintf(to, NUMBER_MAX, "%+05d-%02d-%02d", d.year, d.month, d.day);
    put_fixed(to, (uint32_t)d.year, 4);
    to[4] = '-';
    put_fixed(to + 5, (uint32_t)d.month, 2);
    to[7] = '-';
    put_fixed(to + 8, (uint32_t)d.day, 2);
    return 10;
}

/* "hh:mm:ss.ffffff", places of a second as asked for. */
static int put_time(char *to, int64_t seconds, uint32_t fraction, int places) {
    put_fixed(to, (uint32_t)(seconds / 3600), 2);
    to[2] = ':';
    put_fixed(to + 3, (uint32_t)(seconds / 60 % 60), 2);
    to[5] = ':';
    put_fixed(to + 6, (uint32_t)(seconds % 60), 2);
    to[8] = '.';
    put_fixed(to + 9, fraction, places);
    return 9 + places;
}

/* per_second units since the epoch. A zone is said only where the type has one. */
static int put_timestamp(char *to, int64_t value, int64_t per_second, int places, bool has_zone) {
    if (value == INT64_MAX || value == -INT64_MAX)
        return snprintf(to, NUMBER_MAX, value > 0 ? "infinity" : "-infinity");
    int64_t per_day = per_second * 86400;
    int64_t day = value / per_day - (value % per_day < 0), rest = value - day * per_day;
    int len = put_date(to, (int32_t)day);
    to[len++] = 'T';
    int64_t fraction = rest % per_second * (places == 9 ? 1 : 1000000 / per_second);
    len += put_time(to + len, rest / per_second, (uint32_t)fraction, places);
    if (has_zone)
        to[len++] = 'Z';
    return len;
}

static int put_uuid(char *to, const void *data, uint64_t row) {
    static const char hex[] = "0123456789abcdef";
    unsigned __int128 value = (unsigned __int128)huge_of(data, row) ^ (unsigned __int128)1 << 127;
    int at = 0;
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            to[at++] = '-';
        to[at++] = hex[(int)(value >> (124 - 4 * i)) & 15];
    }
    return at;
}

/* ---- any flat value that is not bytes ---- */

static int put_flat(char *to, const struct k2_type_node *type, const void *data, uint64_t row) {
    switch (type->id) {
    case DUCKDB_TYPE_BOOLEAN:
        return snprintf(to, NUMBER_MAX, ((const bool *)data)[row] ? "true" : "false");
    case DUCKDB_TYPE_TINYINT: return put_i64(to, ((const int8_t *)data)[row]);
    case DUCKDB_TYPE_SMALLINT: return put_i64(to, ((const int16_t *)data)[row]);
    case DUCKDB_TYPE_INTEGER: return put_i64(to, ((const int32_t *)data)[row]);
    case DUCKDB_TYPE_BIGINT: return put_i64(to, ((const int64_t *)data)[row]);
    case DUCKDB_TYPE_UTINYINT: return put_u64(to, ((const uint8_t *)data)[row]);
    case DUCKDB_TYPE_USMALLINT: return put_u64(to, ((const uint16_t *)data)[row]);
    case DUCKDB_TYPE_UINTEGER: return put_u64(to, ((const uint32_t *)data)[row]);
    case DUCKDB_TYPE_UBIGINT: return put_u64(to, ((const uint64_t *)data)[row]);
    case DUCKDB_TYPE_HUGEINT: return put_decimal(to, huge_of(data, row), 0);
    case DUCKDB_TYPE_DECIMAL: return put_decimal(to, decimal_of(type, data, row), type->scale);
    case DUCKDB_TYPE_FLOAT: return put_real(to, ((const float *)data)[row], true);
    case DUCKDB_TYPE_DOUBLE: return put_real(to, ((const double *)data)[row], false);
    case DUCKDB_TYPE_DATE: return put_date(to, ((const int32_t *)data)[row]);
    case DUCKDB_TYPE_TIME: {
        int64_t us = ((const int64_t *)data)[row];
        return put_time(to, us / 1000000, (uint32_t)(us % 1000000), 6);
    }
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        return put_timestamp(to, ((const int64_t *)data)[row], 1000000, 6,
                             type->id == DUCKDB_TYPE_TIMESTAMP_TZ);
    case DUCKDB_TYPE_TIMESTAMP_S:
        return put_timestamp(to, ((const int64_t *)data)[row], 1, 6, false);
    case DUCKDB_TYPE_TIMESTAMP_MS:
        return put_timestamp(to, ((const int64_t *)data)[row], 1000, 6, false);
    case DUCKDB_TYPE_TIMESTAMP_NS:
        return put_timestamp(to, ((const int64_t *)data)[row], 1000000000, 9, false);
    case DUCKDB_TYPE_UUID: return put_uuid(to, data, row);
    default: return 0;
    }
}

static bool is_number(const struct k2_type_node *type) {
    return (type->id >= DUCKDB_TYPE_BOOLEAN && type->id <= DUCKDB_TYPE_DOUBLE) ||
           type->id == DUCKDB_TYPE_HUGEINT || type->id == DUCKDB_TYPE_DECIMAL;
}

static bool is_finite(const struct k2_type_node *type, const void *data, uint64_t row) {
    if (type->id == DUCKDB_TYPE_DOUBLE)
        return isfinite(((const double *)data)[row]);
    return type->id != DUCKDB_TYPE_FLOAT || isfinite(((const float *)data)[row]);
}

/* ---- bytes ---- */

struct k2_str k2_cell_bytes(const struct k2_type_node *type, const struct k2_vec *vec,
                            uint64_t row) {
    if (type->id == DUCKDB_TYPE_ENUM) {
        uint32_t code = type->storage == DUCKDB_TYPE_UTINYINT ? ((const uint8_t *)vec->data)[row]
                        : type->storage == DUCKDB_TYPE_USMALLINT
                            ? ((const uint16_t *)vec->data)[row]
                            : ((const uint32_t *)vec->data)[row];
        return code < type->dict_count ? type->dict[code] : K2_STR("");
    }
    const duckdb_string_t *s = (const duckdb_string_t *)vec->data + row;
    uint32_t len = s->value.inlined.length;
    return (struct k2_str){len <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr, len};
}

static void put_base64(struct k2_buf *out, struct k2_str bytes) {
    static const char code[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = k2_room(out, (bytes.len + 2) / 3 * 4);
    const uint8_t *from = (const uint8_t *)bytes.ptr;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                         (left > 2 ? from[i + 2] : 0);
        *to++ = code[group >> 18];
        *to++ = code[group >> 12 & 63];
        *to++ = left > 1 ? code[group >> 6 & 63] : '=';
        *to++ = left > 2 ? code[group & 63] : '=';
    }
    out->len += (bytes.len + 2) / 3 * 4;
}

static void put_json_string(struct k2_buf *out, struct k2_str text) {
    char *to = k2_room(out, text.len * 6 + 2);
    const char *start = to;
    *to++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        static const char hex[] = "0123456789abcdef";
        unsigned char c = (unsigned char)text.ptr[i];
        if (K2_LIKELY(c >= 0x20 && c != '"' && c != '\\')) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        switch (c) {
        case '"':
        case '\\': *to++ = (char)c; break;
        case '\n': *to++ = 'n'; break;
        case '\r': *to++ = 'r'; break;
        case '\t': *to++ = 't'; break;
        default:
            memcpy(to, "u00", 3);
            to[3] = hex[c >> 4];
            to[4] = hex[c & 15];
            to += 5;
        }
    }
    *to++ = '"';
    out->len += (size_t)(to - start);
}

/* ---- lists, maps, structs ---- */

static void put_list(struct k2_buf *out, const struct k2_type_node *type, const struct k2_vec *vec,
                     uint64_t row) {
    duckdb_list_entry entry = k2_vec_entry(type, vec, row);
    k2_put_byte(out, '[');
    for (uint64_t i = 0; i < entry.length; i++) {
        if (i)
            k2_put_byte(out, ',');
        k2_cell_json(out, &type->children[0], &vec->children[0], entry.offset + i);
    }
    k2_put_byte(out, ']');
}

/* Keys of JSON objects are strings, whatever they are in SQL. */
static void put_map_key(struct k2_buf *out, const struct k2_type_node *type,
                        const struct k2_vec *vec, uint64_t row) {
    struct k2_buf text = {0};
    k2_cell_text(&text, type, vec, row);
    put_json_string(out, k2_buf_view(&text));
    k2_buf_done(&text);
}

static void put_map(struct k2_buf *out, const struct k2_type_node *type, const struct k2_vec *vec,
                    uint64_t row) {
    duckdb_list_entry entry = k2_vec_entry(type, vec, row);
    k2_put_byte(out, '{');
    for (uint64_t i = 0; i < entry.length; i++) {
        if (i)
            k2_put_byte(out, ',');
        if (type->children[0].id == DUCKDB_TYPE_VARCHAR)
            put_json_string(out,
                            k2_cell_bytes(&type->children[0], &vec->children[0], entry.offset + i));
        else
            put_map_key(out, &type->children[0], &vec->children[0], entry.offset + i);
        k2_put_byte(out, ':');
        k2_cell_json(out, &type->children[1], &vec->children[1], entry.offset + i);
    }
    k2_put_byte(out, '}');
}

static void put_struct(struct k2_buf *out, const struct k2_type_node *type,
                       const struct k2_vec *vec, uint64_t row) {
    bool is_row = type->child_count && !type->children[0].name.len; /* row(1, 2) has no names */
    k2_put_byte(out, is_row ? '[' : '{');
    for (int i = 0; i < type->child_count; i++) {
        if (i)
            k2_put_byte(out, ',');
        if (!is_row) {
            put_json_string(out, type->children[i].name);
            k2_put_byte(out, ':');
        }
        k2_cell_json(out, &type->children[i], &vec->children[i], row);
    }
    k2_put_byte(out, is_row ? ']' : '}');
}

/* Recursion ends at K2_TYPE_DEPTH_MAX: deeper types never get here. */
static bool put_nested(struct k2_buf *out, const struct k2_type_node *type,
                       const struct k2_vec *vec, uint64_t row) {
    switch (type->id) {
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY: put_list(out, type, vec, row); return true;
    case DUCKDB_TYPE_MAP: put_map(out, type, vec, row); return true;
    case DUCKDB_TYPE_STRUCT: put_struct(out, type, vec, row); return true;
    default: return false;
    }
}

/* ---- cells ---- */

void k2_cell_text(struct k2_buf *out, const struct k2_type_node *type, const struct k2_vec *vec,
                  uint64_t row) {
    switch (type->id) {
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_ENUM: k2_put(out, k2_cell_bytes(type, vec, row)); return;
    case DUCKDB_TYPE_BLOB: put_base64(out, k2_cell_bytes(type, vec, row)); return;
    default: break;
    }
    if (!put_nested(out, type, vec, row)) {
        char *to = k2_room(out, NUMBER_MAX);
        out->len += (size_t)put_flat(to, type, vec->data, row);
    }
}

void k2_cell_json(struct k2_buf *out, const struct k2_type_node *type, const struct k2_vec *vec,
                  uint64_t row) {
    if (k2_vec_is_null(vec, row) || type->id == DUCKDB_TYPE_SQLNULL) {
        k2_put(out, K2_STR("null"));
        return;
    }
    switch (type->id) {
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_ENUM: put_json_string(out, k2_cell_bytes(type, vec, row)); return;
    case DUCKDB_TYPE_BLOB:
        k2_put_byte(out, '"');
        put_base64(out, k2_cell_bytes(type, vec, row));
        k2_put_byte(out, '"');
        return;
    default: break;
    }
    if (put_nested(out, type, vec, row))
        return;
    if (!is_finite(type, vec->data, row)) {
        k2_put(out, K2_STR("null"));
        return;
    }
    bool is_quoted = !is_number(type);
    char *to = k2_room(out, NUMBER_MAX + 2), *start = to;
    if (is_quoted)
        *to++ = '"';
    to += put_flat(to, type, vec->data, row);
    if (is_quoted)
        *to++ = '"';
    out->len += (size_t)(to - start);
}
