/* partition.c -- partition specs: their text, their transforms, the values of a row, data paths.
 *
 * Transforms are Iceberg's (spec, "Partition Transforms"): floor before 1970, bucket by Murmur3
 * (x86, 32 bits, seed 0) of the value's single-value bytes, truncate by code points.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/date.h"
#include "lake/table/table_impl.h"

/* ---- transforms ---- */
static const struct {
    const char *name;
    enum k2_transform transform;
    bool has_width;
} transforms[] = {
    {"identity", K2_TRANSFORM_IDENTITY, false}, {"year", K2_TRANSFORM_YEAR, false},
    {"month", K2_TRANSFORM_MONTH, false},       {"day", K2_TRANSFORM_DAY, false},
    {"hour", K2_TRANSFORM_HOUR, false},         {"truncate", K2_TRANSFORM_TRUNCATE, true},
    {"bucket", K2_TRANSFORM_BUCKET, true},      {"void", K2_TRANSFORM_VOID, false},
};

enum k2_transform k2_transform_parse(struct k2_str text, int32_t *ret_width) {
    struct k2_str width_text, name = k2_str_split(text, '[', &width_text);
    int64_t width = 0;
    if (width_text.ptr &&
        (!k2_str_ends(width_text, "]") ||
         !k2_str_to_i64(k2_str_make(width_text.ptr, width_text.len - 1), &width) || width < 1 ||
         width > INT32_MAX))
        return K2_TRANSFORM_UNKNOWN;
    *ret_width = (int32_t)width;
    for (size_t i = 0; i < K2_COUNT(transforms); i++)
        if (k2_str_is(name, transforms[i].name) && transforms[i].has_width == (width > 0))
            return transforms[i].transform;
    return K2_TRANSFORM_UNKNOWN;
}

const char *k2_transform_result(enum k2_transform transform, struct k2_str source_type) {
    bool is_time = k2_str_is(source_type, "timestamptz") || k2_str_is(source_type, "timestamp");
    bool is_string = k2_str_is(source_type, "string");
    switch (transform) {
    case K2_TRANSFORM_IDENTITY:
        return is_string                        ? "string"
               : k2_str_is(source_type, "int")  ? "int"
               : k2_str_is(source_type, "date") ? "date"
                                                : NULL;
    case K2_TRANSFORM_TRUNCATE:
        return is_string ? "string" : k2_str_is(source_type, "int") ? "int" : NULL;
    case K2_TRANSFORM_DAY: return is_time || k2_str_is(source_type, "date") ? "date" : NULL;
    case K2_TRANSFORM_YEAR:
    case K2_TRANSFORM_MONTH:
    case K2_TRANSFORM_HOUR: return is_time ? "int" : NULL;
    case K2_TRANSFORM_BUCKET: return "int";
    default: return NULL;
    }
}

bool k2_spec_types(const struct k2_metadata *metadata, const struct k2_partition_spec *spec,
                   const char **ret_types) {
    if (spec->field_count > K2_PARTITION_MAX)
        return false;
    for (int f = 0; f < spec->field_count; f++) {
        /* A column that was dropped since is still in an older schema. */
        const struct k2_field *field = NULL;
        for (int s = metadata->schema_count - 1; !field && s >= 0; s--)
            field = k2_schema_field(&metadata->schemas[s], spec->fields[f].source_id);
        int32_t width;
        enum k2_transform transform = k2_transform_parse(spec->fields[f].transform, &width);
        ret_types[f] = field ? k2_transform_result(transform, field->type) : NULL;
        if (!ret_types[f])
            return false;
    }
    return true;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static uint32_t rotl(uint32_t x, int by) {
    return x << by | x >> (32 - by);
}

/* Murmur3, x86 variant, 32 bits, seed 0. */
static uint32_t murmur3(struct k2_str bytes) {
    uint32_t hash = 0, word;
    size_t whole = bytes.len / 4 * 4;
    for (size_t i = 0; i < whole; i += 4) {
        memcpy(&word, bytes.ptr + i, 4);
        hash = rotl(hash ^ rotl(word * 0xcc9e2d51u, 15) * 0x1b873593u, 13) * 5 + 0xe6546b64u;
    }
    word = 0;
    for (size_t i = bytes.len; i > whole; i--)
        word = word << 8 | (uint8_t)bytes.ptr[i - 1];
    hash ^= rotl(word * 0xcc9e2d51u, 15) * 0x1b873593u;
    hash ^= (uint32_t)bytes.len;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

static int32_t bucket_of(struct k2_str bytes, int32_t width) {
    return (int32_t)((murmur3(bytes) & INT32_MAX) % (uint32_t)width);
}

/* Big-endian two's complement, as short as can be. */
static struct k2_str decimal_bytes(int64_t value, char bytes[8]) {
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(uint8_t)((uint64_t)value >> (56 - 8 * i));
    int skip = 0;
    while (skip < 7 && ((bytes[skip] == 0 && !(bytes[skip + 1] & 0x80)) ||
                        ((uint8_t)bytes[skip] == 0xff && (bytes[skip + 1] & 0x80))))
        skip++;
    return k2_str_make(bytes + skip, (size_t)(8 - skip));
}

static struct k2_str first_characters(struct k2_str text, int32_t count) {
    size_t at = 0;
    for (; at < text.len; at++) {
        bool begins = ((uint8_t)text.ptr[at] & 0xc0) != 0x80;
        if (begins && count-- == 0)
            break;
    }
    return k2_str_make(text.ptr, at);
}

static int32_t year_month(int64_t us, bool is_month) {
    struct k2_date date = k2_date_from_days(k2_days_from_us(us));
    return is_month ? (date.year - 1970) * 12 + date.month - 1 : date.year - 1970;
}

/* Values of time columns, numbers and text under a transform. False where it does not apply. */
static bool of_time(const struct k2_bound_field *bound, int64_t us,
                    struct k2_partition_value *value) {
    switch (bound->transform) {
    case K2_TRANSFORM_YEAR:
    case K2_TRANSFORM_MONTH:
        value->number = year_month(us, bound->transform == K2_TRANSFORM_MONTH);
        return true;
    case K2_TRANSFORM_DAY: value->number = k2_days_from_us(us); return true;
    case K2_TRANSFORM_HOUR:
        value->number = (int32_t)floor_div(us, 3600000000ll);
        return value->number == floor_div(us, 3600000000ll);
    case K2_TRANSFORM_BUCKET:
        value->number = bucket_of(k2_str_make(&us, sizeof us), bound->width);
        return true;
    default: return false;
    }
}

static bool of_number(const struct k2_bound_field *bound, enum k2_type type, int64_t number,
                      struct k2_partition_value *value) {
    char bytes[8];
    switch (bound->transform) {
    case K2_TRANSFORM_IDENTITY:
    case K2_TRANSFORM_TRUNCATE:
        if (type != K2_INT32 || number != (int32_t)number)
            return false;
        value->number = (int32_t)number;
        if (bound->transform == K2_TRANSFORM_TRUNCATE)
            value->number =
                (int32_t)(number - (((number % bound->width) + bound->width) % bound->width));
        return true;
    case K2_TRANSFORM_BUCKET:
        value->number = bucket_of(type == K2_DECIMAL ? decimal_bytes(number, bytes)
                                                     : k2_str_make(&number, sizeof number),
                                  bound->width);
        return true;
    default: return false;
    }
}

static bool of_text(const struct k2_bound_field *bound, struct k2_str text,
                    struct k2_partition_value *value) {
    switch (bound->transform) {
    case K2_TRANSFORM_IDENTITY: value->text = text; return true;
    case K2_TRANSFORM_TRUNCATE: value->text = first_characters(text, bound->width); return true;
    case K2_TRANSFORM_BUCKET: value->number = bucket_of(text, bound->width); return true;
    default: return false;
    }
}

bool k2_transform_number(const struct k2_bound_field *bound, enum k2_type type, int64_t number,
                         struct k2_partition_value *ret_value) {
    *ret_value = (struct k2_partition_value){0};
    return type == K2_TIMESTAMP ? of_time(bound, number, ret_value)
                                : of_number(bound, type, number, ret_value);
}

bool k2_transform_text(const struct k2_bound_field *bound, struct k2_str text,
                       struct k2_partition_value *ret_value) {
    *ret_value = (struct k2_partition_value){0};
    return of_text(bound, text, ret_value);
}

static bool value_of(const struct k2_bound_field *bound, const struct k2_batch *batch, uint32_t row,
                     struct k2_partition_value *value) {
    *value = (struct k2_partition_value){0};
    if (bound->transform == K2_TRANSFORM_VOID || k2_batch_is_null(batch, bound->column, row)) {
        value->is_null = true;
        return true;
    }
    const struct k2_vector *col = &batch->col[bound->column];
    enum k2_type type = batch->schema->columns[bound->column].type;
    switch (type) {
    case K2_TIMESTAMP: return of_time(bound, col->i64[row], value);
    case K2_INT32: return of_number(bound, type, col->i32[row], value);
    case K2_INT64:
    case K2_DECIMAL: return of_number(bound, type, col->i64[row], value);
    case K2_SYMBOL:
    case K2_ENUM:
    case K2_STRING: return of_text(bound, k2_batch_text(batch, bound->column, row), value);
    default: return false;
    }
}

bool k2_partition_of(const struct k2_metadata *metadata, const struct k2_batch *batch, uint32_t row,
                     struct k2_partition_value ret_values[K2_PARTITION_MAX], struct k2_err *err) {
    const struct k2_fixed *fixed = k2_metadata_impl_of(metadata)->fixed;
    const struct k2_partition_spec *spec = k2_metadata_spec(metadata, metadata->default_spec_id);
    K2_ASSERT(spec);
    if (spec->field_count > K2_PARTITION_MAX)
        return k2_err_set(err, K2_INVALID,
                          "table %s is partitioned by %d fields; K2 writes up to %d",
                          metadata->identifier.ptr, spec->field_count, K2_PARTITION_MAX);
    for (int f = 0; f < spec->field_count; f++) {
        const struct k2_bound_field *bound = &fixed->bound[f];
        if (batch->schema != fixed->kind || bound->column < 0 ||
            !value_of(bound, batch, row, &ret_values[f]))
            return k2_err_set(err, K2_INVALID,
                              "table %s is partitioned by %.*s of field %d, which K2 cannot write",
                              metadata->identifier.ptr, K2_FMT(spec->fields[f].transform),
                              spec->fields[f].source_id);
    }
    return true;
}

/* ---- data paths ---- */
enum { ESCAPED_MAX = 120 };

/* As a part of a URL; long values are cut: a path need not tell them apart. */
static void put_escaped(struct k2_buf *out, struct k2_str text) {
    size_t end = out->len + ESCAPED_MAX;
    for (size_t i = 0; i < text.len && out->len < end; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || strchr("-_.*", c);
        if (is_plain && c)
            k2_buf_byte(out, c);
        else
            k2_buf_printf(out, "%%%02X", c);
    }
}

static void put_value(struct k2_buf *out, enum k2_transform transform,
                      const struct k2_partition_value *value) {
    char day[16];
    if (value->is_null)
        k2_buf_text(out, "null");
    else if (value->text.ptr)
        put_escaped(out, value->text);
    else if (transform == K2_TRANSFORM_DAY)
        k2_buf_append(out, day, (size_t)k2_days_to_iso(value->number, day));
    else
        k2_buf_printf(out, "%d", value->number);
}

void k2_data_path(const struct k2_metadata *metadata, const struct k2_partition_value *values,
                  struct k2_random *random, struct k2_buf *out) {
    const struct k2_partition_spec *spec = k2_metadata_spec(metadata, metadata->default_spec_id);
    const char *dot = strrchr(metadata->identifier.ptr, '.');
    K2_ASSERT(spec && dot);
    k2_buf_printf(out, "%.*s/%s/data/", (int)(dot - metadata->identifier.ptr),
                  metadata->identifier.ptr, dot + 1);
    for (int f = 0; f < K2_MIN(spec->field_count, (int)K2_PARTITION_MAX); f++) {
        int32_t width;
        put_escaped(out, spec->fields[f].name);
        k2_buf_byte(out, '=');
        put_value(out, k2_transform_parse(spec->fields[f].transform, &width), &values[f]);
        k2_buf_byte(out, '/');
    }
    char uuid[37];
    k2_random_uuid(random, uuid);
    k2_buf_printf(out, "%s.parquet", uuid);
}

/* ---- the text of a spec ---- */
static bool bad_spec(const char *text, struct k2_str item, const char *why, struct k2_err *err) {
    return k2_err_set(err, K2_INVALID,
                      "partition spec '%s': '%.*s' %s (as in: day(timestamp), exchange, "
                      "truncate(symbol, 4))",
                      text, K2_FMT(item), why);
}

/* "day(timestamp)", "truncate(symbol, 4)", "truncate[4](symbol)" or "exchange". */
static bool split_item(struct k2_str item, struct k2_str *ret_transform, struct k2_str *ret_width,
                       struct k2_str *ret_column) {
    struct k2_str inside, head = k2_str_split(item, '(', &inside);
    *ret_transform = K2_STR("identity");
    *ret_width = (struct k2_str){0};
    *ret_column = item;
    if (!inside.ptr)
        return true;
    if (!k2_str_ends(inside, ")"))
        return false;
    inside.len--;
    struct k2_str bracket;
    *ret_transform = k2_str_trim(k2_str_split(head, '[', &bracket));
    *ret_column = k2_str_trim(k2_str_split(inside, ',', ret_width));
    if (bracket.ptr) {
        if (ret_width->ptr || !k2_str_ends(bracket, "]"))
            return false;
        *ret_width = k2_str_make(bracket.ptr, bracket.len - 1);
    }
    if (ret_width->ptr)
        *ret_width = k2_str_trim(*ret_width);
    return true;
}

static const char *name_suffix(enum k2_transform transform) {
    switch (transform) {
    case K2_TRANSFORM_YEAR: return "_year";
    case K2_TRANSFORM_MONTH: return "_month";
    case K2_TRANSFORM_DAY: return "_day";
    case K2_TRANSFORM_HOUR: return "_hour";
    case K2_TRANSFORM_TRUNCATE: return "_trunc";
    case K2_TRANSFORM_BUCKET: return "_bucket";
    default: return "";
    }
}

static bool parse_item(const struct k2_schema *schema, const struct k2_field_ids *ids,
                       const char *text, struct k2_str item, struct k2_arena *arena,
                       struct k2_partition_field *ret, struct k2_err *err) {
    struct k2_str name, width_text, column_name;
    if (!split_item(item, &name, &width_text, &column_name))
        return bad_spec(text, item, "is not a transform of a column", err);
    int column = k2_schema_column(schema, column_name);
    if (column < 0)
        return bad_spec(text, item, "names no column of the table", err);
    int32_t width;
    int name_len = (int)K2_MIN(name.len, (size_t)20);
    int width_len = (int)K2_MIN(width_text.len, (size_t)12);
    ret->transform = k2_str_of(width_text.ptr ? k2_arena_printf(arena, "%.*s[%.*s]", name_len,
                                                                name.ptr, width_len, width_text.ptr)
                                              : k2_arena_printf(arena, "%.*s", name_len, name.ptr));
    enum k2_transform transform = k2_transform_parse(ret->transform, &width);
    if (transform == K2_TRANSFORM_UNKNOWN || transform == K2_TRANSFORM_VOID)
        return bad_spec(text, item, "is no transform K2 knows", err);
    enum k2_type type = schema->columns[column].type;
    bool is_flat = type != K2_LIST && type != K2_MAP && type != K2_FLAGS && type != K2_BINARY;
    struct k2_str source = k2_str_of(k2_iceberg_type(type));
    if (!is_flat || !k2_transform_result(transform, source))
        return bad_spec(text, item, "does not fit the column's type", err);
    ret->source_id = ids[column].id;
    ret->name = k2_str_of(
        k2_arena_printf(arena, "%s%s", schema->columns[column].name, name_suffix(transform)));
    return true;
}

bool k2_spec_parse(const struct k2_schema *schema, const struct k2_field_ids *ids, const char *text,
                   struct k2_arena *arena, struct k2_partition_spec *ret_spec, struct k2_err *err) {
    struct k2_str all = k2_str_trim(k2_str_of(text));
    size_t start = 0;
    int depth = 0;
    *ret_spec = (struct k2_partition_spec){
        .fields = k2_arena_new(arena, struct k2_partition_field, K2_PARTITION_MAX)};
    if (all.len == 0 || k2_str_is(all, "none"))
        return true;
    for (size_t i = 0; i <= all.len; i++) {
        char c = i < all.len ? all.ptr[i] : ',';
        depth += (c == '(') - (c == ')');
        if (c != ',' || (depth > 0 && i < all.len))
            continue;
        struct k2_str item = k2_str_trim(k2_str_make(all.ptr + start, i - start));
        int count = ret_spec->field_count++;
        if (count == K2_PARTITION_MAX)
            return bad_spec(text, item, "is one field too many", err);
        ret_spec->fields[count].field_id = 1000 + count;
        K2_TRY(parse_item(schema, ids, text, item, arena, &ret_spec->fields[count], err));
        start = i + 1;
    }
    return true;
}

bool k2_partition_check(const struct k2_schema *schema, const char *text, struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_partition_spec spec;
    K2_AUTO(k2_arena_done) struct k2_arena arena = {0};
    k2_schema_default_ids(schema, ids);
    return k2_spec_parse(schema, ids, text, &arena, &spec, err);
}

void k2_spec_put(const struct k2_partition_spec *spec, struct k2_buf *out) {
    k2_buf_byte(out, '[');
    for (int i = 0; i < spec->field_count; i++) {
        const struct k2_partition_field *field = &spec->fields[i];
        k2_buf_text(out, i ? ",{" : "{");
        k2_json_key_str(out, "name", field->name);
        k2_json_key_str(out, "transform", field->transform);
        k2_json_key_int(out, "source-id", field->source_id);
        k2_json_key_int(out, "field-id", field->field_id);
        k2_buf_byte(out, '}');
    }
    k2_buf_byte(out, ']');
}
