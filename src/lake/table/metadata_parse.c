/* metadata_parse.c -- a table metadata file into struct k2_metadata.
 *
 * What K2 changes in a commit is taken apart; every other member is kept as its JSON text, so that
 * a version K2 writes loses nothing that another engine put there.
 */
#include <stdlib.h>

#include <zlib.h>

#include "base/alloc.h"
#include "lake/table/table_impl.h"

#define METADATA_MAX (256u << 20)

struct parser {
    const struct k2_json *root;
    struct k2_arena *arena; /* of the part being filled */
    struct k2_err *err;
};

/* Members that are written anew in every version. */
static const char *const rewritten[] = {"format-version",
                                        "table-uuid",
                                        "location",
                                        "last-sequence-number",
                                        "last-updated-ms",
                                        "last-column-id",
                                        "current-schema-id",
                                        "default-spec-id",
                                        "last-partition-id",
                                        "default-sort-order-id",
                                        "properties",
                                        "current-snapshot-id",
                                        "refs",
                                        "snapshots",
                                        "snapshot-log",
                                        "metadata-log",
                                        NULL};

static bool missing(struct parser *p, const char *what) {
    return k2_err_set(p->err, K2_CORRUPT, "table metadata has no valid %s", what);
}

static bool get_i64(struct parser *p, const struct k2_json *object, const char *key,
                    int64_t *ret_value) {
    const struct k2_json *value = k2_json_get(object, key);
    if (!k2_json_is_int(value))
        return missing(p, key);
    *ret_value = k2_json_int(value, 0);
    return true;
}

static bool get_i32(struct parser *p, const struct k2_json *object, const char *key,
                    int32_t *ret_value) {
    int64_t value = 0;
    K2_TRY(get_i64(p, object, key, &value));
    if (value < INT32_MIN || value > INT32_MAX)
        return missing(p, key);
    *ret_value = (int32_t)value;
    return true;
}

static bool get_str(struct parser *p, const struct k2_json *object, const char *key,
                    struct k2_str *ret_text) {
    struct k2_str text = k2_json_str(k2_json_get(object, key));
    if (!text.ptr)
        return missing(p, key);
    *ret_text = k2_arena_str(p->arena, text);
    return true;
}

static struct k2_str dump(struct parser *p, const struct k2_json *value) {
    struct k2_buf text = {0};
    k2_json_dump(value, &text);
    struct k2_str kept = k2_arena_str(p->arena, k2_buf_view(&text));
    k2_buf_done(&text);
    return kept;
}

static int count_of(const struct k2_json *array) {
    return (int)K2_MIN(k2_json_count(array), (size_t)1 << 24);
}

/* ---- schemas and specs ---- */
/* The name of a type: itself when it is flat, "list", "map" or "struct" otherwise. */
static struct k2_str type_name(struct parser *p, const struct k2_json *type) {
    struct k2_str name = k2_json_str(k2_json_is_string(type) ? type : k2_json_get(type, "type"));
    return name.ptr ? k2_arena_str(p->arena, name) : name;
}

static bool parse_field(struct parser *p, const struct k2_json *json, struct k2_field *field) {
    const struct k2_json *type = k2_json_get(json, "type");
    K2_TRY(get_i32(p, json, "id", &field->id));
    K2_TRY(get_str(p, json, "name", &field->name));
    field->is_required = k2_json_bool(k2_json_get(json, "required"), false);
    struct k2_str doc = k2_json_str(k2_json_get(json, "doc"));
    field->doc = doc.ptr ? k2_arena_str(p->arena, doc) : doc;
    field->type = type_name(p, type);
    if (!field->type.ptr)
        return missing(p, "field type");
    if (!k2_json_is_object(type))
        return true;
    if (k2_str_is(field->type, "list")) {
        K2_TRY(get_i32(p, type, "element-id", &field->element_id));
        field->element_required = k2_json_bool(k2_json_get(type, "element-required"), false);
        field->element_type = type_name(p, k2_json_get(type, "element"));
    } else if (k2_str_is(field->type, "map")) {
        K2_TRY(get_i32(p, type, "key-id", &field->key_id));
        K2_TRY(get_i32(p, type, "value-id", &field->value_id));
        field->value_required = k2_json_bool(k2_json_get(type, "value-required"), false);
        field->element_type = type_name(p, k2_json_get(type, "key"));
        field->value_type = type_name(p, k2_json_get(type, "value"));
    }
    return true;
}

static bool parse_schema(struct parser *p, const struct k2_json *json,
                         struct k2_table_schema *schema) {
    const struct k2_json *fields = k2_json_get(json, "fields");
    if (!k2_json_is_array(fields))
        return missing(p, "schema");
    schema->schema_id = (int32_t)k2_json_int(k2_json_get(json, "schema-id"), 0);
    schema->field_count = count_of(fields);
    schema->fields = k2_arena_new(p->arena, struct k2_field, schema->field_count);
    for (int i = 0; i < schema->field_count; i++)
        K2_TRY(parse_field(p, k2_json_at(fields, (size_t)i), &schema->fields[i]));
    return true;
}

static bool parse_schemas(struct parser *p, struct k2_fixed *fixed) {
    const struct k2_json *all = k2_json_get(p->root, "schemas");
    const struct k2_json *only = k2_json_get(p->root, "schema"); /* v1 */
    fixed->schema_count = k2_json_is_array(all) ? count_of(all) : only ? 1 : 0;
    fixed->schemas = k2_arena_new(p->arena, struct k2_table_schema, fixed->schema_count);
    fixed->schema_texts = k2_arena_new(p->arena, struct k2_str, fixed->schema_count);
    bool has_current = false;
    for (int i = 0; i < fixed->schema_count; i++) {
        const struct k2_json *json = k2_json_is_array(all) ? k2_json_at(all, (size_t)i) : only;
        K2_TRY(parse_schema(p, json, &fixed->schemas[i]));
        fixed->schema_texts[i] = dump(p, json);
        has_current |= fixed->schemas[i].schema_id == fixed->current_schema_id;
    }
    return has_current || missing(p, "current schema");
}

static bool parse_spec_fields(struct parser *p, const struct k2_json *fields,
                              struct k2_partition_spec *spec) {
    if (!k2_json_is_array(fields))
        return missing(p, "partition spec");
    spec->field_count = count_of(fields);
    spec->fields = k2_arena_new(p->arena, struct k2_partition_field, spec->field_count);
    for (int i = 0; i < spec->field_count; i++) {
        const struct k2_json *json = k2_json_at(fields, (size_t)i);
        struct k2_partition_field *field = &spec->fields[i];
        field->field_id = (int32_t)k2_json_int(k2_json_get(json, "field-id"), 1000 + i);
        K2_TRY(get_i32(p, json, "source-id", &field->source_id));
        K2_TRY(get_str(p, json, "name", &field->name));
        K2_TRY(get_str(p, json, "transform", &field->transform));
    }
    return true;
}

static bool parse_specs(struct parser *p, struct k2_fixed *fixed) {
    const struct k2_json *all = k2_json_get(p->root, "partition-specs");
    const struct k2_json *only = k2_json_get(p->root, "partition-spec"); /* v1: its fields */
    fixed->spec_count = k2_json_is_array(all) ? count_of(all) : only ? 1 : 0;
    fixed->specs = k2_arena_new(p->arena, struct k2_partition_spec, fixed->spec_count);
    fixed->spec_texts = k2_arena_new(p->arena, struct k2_str, fixed->spec_count);
    bool has_default = false;
    for (int i = 0; i < fixed->spec_count; i++) {
        const struct k2_json *json = k2_json_is_array(all) ? k2_json_at(all, (size_t)i) : NULL;
        const struct k2_json *fields = json ? k2_json_get(json, "fields") : only;
        struct k2_partition_spec *spec = &fixed->specs[i];
        if (json)
            K2_TRY(get_i32(p, json, "spec-id", &spec->spec_id));
        K2_TRY(parse_spec_fields(p, fields, spec));
        fixed->spec_texts[i] = dump(p, fields);
        has_default |= spec->spec_id == fixed->default_spec_id;
    }
    return has_default || missing(p, "default partition spec");
}

static void keep_members(struct parser *p, struct k2_fixed *fixed) {
    void *iterator = NULL;
    struct k2_str key;
    const struct k2_json *value;
    while (k2_json_next(p->root, &iterator, &key, &value))
        fixed->member_count++;
    fixed->members = k2_arena_new(p->arena, struct k2_raw_member, fixed->member_count);
    fixed->member_count = 0;
    iterator = NULL;
    while (k2_json_next(p->root, &iterator, &key, &value)) {
        if (k2_name_index(rewritten, key) >= 0)
            continue;
        fixed->members[fixed->member_count++] =
            (struct k2_raw_member){k2_arena_str(p->arena, key), dump(p, value)};
    }
}

static bool parse_fixed(struct parser *p, struct k2_fixed *fixed) {
    const struct k2_json *root = p->root;
    K2_TRY(get_i32(p, root, "format-version", &fixed->format_version));
    if (fixed->format_version != 1 && fixed->format_version != 2)
        return k2_err_set(p->err, K2_INVALID,
                          "table format version %d is not supported (K2 reads 1 and 2, writes 2)",
                          fixed->format_version);
    bool is_v2 = fixed->format_version == 2;
    K2_TRY(get_str(p, root, "location", &fixed->location));
    K2_TRY(get_i32(p, root, "last-column-id", &fixed->last_column_id));
    if (is_v2 || k2_json_get(root, "table-uuid"))
        K2_TRY(get_str(p, root, "table-uuid", &fixed->table_uuid));
    if (is_v2 || k2_json_get(root, "schemas"))
        K2_TRY(get_i32(p, root, "current-schema-id", &fixed->current_schema_id));
    if (is_v2 || k2_json_get(root, "partition-specs"))
        K2_TRY(get_i32(p, root, "default-spec-id", &fixed->default_spec_id));
    fixed->last_partition_id = (int32_t)k2_json_int(k2_json_get(root, "last-partition-id"), 999);
    if (is_v2)
        K2_TRY(get_i32(p, root, "last-partition-id", &fixed->last_partition_id));
    fixed->default_sort_id = (int32_t)k2_json_int(k2_json_get(root, "default-sort-order-id"), 0);
    if (is_v2)
        K2_TRY(get_i32(p, root, "default-sort-order-id", &fixed->default_sort_id));
    if (is_v2 && !k2_json_is_array(k2_json_get(root, "sort-orders")))
        return missing(p, "sort-orders");
    K2_TRY(parse_schemas(p, fixed));
    K2_TRY(parse_specs(p, fixed));
    keep_members(p, fixed);
    return true;
}

/* ---- snapshots, properties, refs, logs ---- */
static void parse_properties(struct parser *p, const struct k2_json *object, int *ret_count,
                             struct k2_property **ret_properties) {
    void *iterator = NULL;
    struct k2_str key;
    const struct k2_json *value;
    int count = 0;
    while (k2_json_is_object(object) && k2_json_next(object, &iterator, &key, &value))
        count++;
    struct k2_property *all = k2_arena_new(p->arena, struct k2_property, count);
    count = 0;
    iterator = NULL;
    while (k2_json_is_object(object) && k2_json_next(object, &iterator, &key, &value)) {
        struct k2_str text = k2_json_str(value);
        if (text.ptr)
            all[count++] =
                (struct k2_property){k2_arena_str(p->arena, key), k2_arena_str(p->arena, text)};
    }
    *ret_count = count;
    *ret_properties = all;
}

static bool parse_snapshot(struct parser *p, const struct k2_json *json,
                           struct k2_snapshot_piece *piece) {
    struct k2_snapshot *s = &piece->snapshot;
    struct k2_buf text = {0};
    k2_json_dump(json, &text);
    k2_arena_init(&piece->arena, text.len * 3 + 512);
    piece->text = k2_arena_str(&piece->arena, k2_buf_view(&text));
    k2_buf_done(&text);
    p->arena = &piece->arena;
    K2_TRY(get_i64(p, json, "snapshot-id", &s->snapshot_id));
    K2_TRY(get_i64(p, json, "timestamp-ms", &s->timestamp_ms));
    int64_t parent = k2_json_int(k2_json_get(json, "parent-snapshot-id"), 0);
    s->parent_id = parent == -1 ? 0 : parent;
    s->sequence_number = k2_json_int(k2_json_get(json, "sequence-number"), 0);
    s->schema_id = (int32_t)k2_json_int(k2_json_get(json, "schema-id"), -1);
    struct k2_str list = k2_json_str(k2_json_get(json, "manifest-list"));
    s->manifest_list = k2_arena_str(&piece->arena, list);
    parse_properties(p, k2_json_get(json, "summary"), &s->summary_count, &s->summary);
    return true;
}

static int by_age(const void *a, const void *b) {
    const struct k2_snapshot *x = &(*(struct k2_snapshot_piece *const *)a)->snapshot;
    const struct k2_snapshot *y = &(*(struct k2_snapshot_piece *const *)b)->snapshot;
    if (x->sequence_number != y->sequence_number)
        return x->sequence_number < y->sequence_number ? -1 : 1;
    if (x->timestamp_ms != y->timestamp_ms)
        return x->timestamp_ms < y->timestamp_ms ? -1 : 1;
    return (x->snapshot_id > y->snapshot_id) - (x->snapshot_id < y->snapshot_id);
}

static bool parse_snapshots(struct parser *p, struct k2_metadata_impl *m) {
    const struct k2_json *all = k2_json_get(p->root, "snapshots");
    int count = count_of(all);
    m->pieces = k2_arena_new(&m->arena, struct k2_snapshot_piece *, count);
    m->pub.snapshots = k2_arena_new(&m->arena, struct k2_snapshot, count);
    for (int i = 0; i < count; i++) {
        m->pieces[i] = k2_new(struct k2_snapshot_piece);
        atomic_init(&m->pieces[i]->refs, 1);
        m->pub.snapshot_count++;
        K2_TRY(parse_snapshot(p, k2_json_at(all, (size_t)i), m->pieces[i]));
    }
    if (count)
        qsort(m->pieces, (size_t)count, sizeof *m->pieces, by_age);
    for (int i = 0; i < count; i++)
        m->pub.snapshots[i] = m->pieces[i]->snapshot;
    p->arena = &m->arena;
    return true;
}

/* The members of a ref but its snapshot, as text: ,"type":"branch",... */
static struct k2_str ref_members(struct parser *p, const struct k2_json *ref) {
    struct k2_buf text = {0};
    void *iterator = NULL;
    struct k2_str key;
    const struct k2_json *value;
    while (k2_json_next(ref, &iterator, &key, &value)) {
        if (k2_str_is(key, "snapshot-id"))
            continue;
        k2_buf_byte(&text, ',');
        k2_json_quote(&text, key);
        k2_buf_byte(&text, ':');
        k2_json_dump(value, &text);
    }
    struct k2_str kept = k2_arena_str(p->arena, k2_buf_view(&text));
    k2_buf_done(&text);
    return kept;
}

static bool parse_refs(struct parser *p, struct k2_metadata_impl *m) {
    const struct k2_json *refs = k2_json_get(p->root, "refs");
    void *iterator = NULL;
    struct k2_str key;
    const struct k2_json *value;
    int count = 0;
    while (k2_json_is_object(refs) && k2_json_next(refs, &iterator, &key, &value))
        count++;
    /* Room for the main that the next version may need. */
    m->pub.refs = k2_arena_new(&m->arena, struct k2_ref, count + 1);
    m->ref_texts = k2_arena_new(&m->arena, struct k2_str, count + 1);
    iterator = NULL;
    while (k2_json_is_object(refs) && k2_json_next(refs, &iterator, &key, &value)) {
        struct k2_ref *ref = &m->pub.refs[m->pub.ref_count];
        K2_TRY(get_i64(p, value, "snapshot-id", &ref->snapshot_id));
        ref->name = k2_arena_str(&m->arena, key);
        ref->is_tag = k2_str_is(k2_json_str(k2_json_get(value, "type")), "tag");
        m->ref_texts[m->pub.ref_count++] = ref_members(p, value);
    }
    return true;
}

static bool parse_logs(struct parser *p, struct k2_metadata_impl *m) {
    const struct k2_json *log = k2_json_get(p->root, "snapshot-log");
    int count = count_of(log);
    m->pub.snapshot_log = k2_arena_new(&m->arena, struct k2_log_entry, count);
    for (int i = 0; i < count; i++) {
        const struct k2_json *json = k2_json_at(log, (size_t)i);
        struct k2_log_entry *entry = &m->pub.snapshot_log[m->pub.log_count++];
        K2_TRY(get_i64(p, json, "timestamp-ms", &entry->timestamp_ms));
        K2_TRY(get_i64(p, json, "snapshot-id", &entry->snapshot_id));
    }
    log = k2_json_get(p->root, "metadata-log");
    count = count_of(log);
    m->previous = k2_arena_new(&m->arena, struct k2_previous_file, count);
    for (int i = 0; i < count; i++) {
        const struct k2_json *json = k2_json_at(log, (size_t)i);
        struct k2_previous_file *previous = &m->previous[m->previous_count++];
        K2_TRY(get_i64(p, json, "timestamp-ms", &previous->timestamp_ms));
        K2_TRY(get_str(p, json, "metadata-file", &previous->metadata_file));
    }
    return true;
}

static bool parse_version(struct parser *p, struct k2_metadata_impl *m) {
    struct k2_metadata *pub = &m->pub;
    p->arena = &m->fixed->arena;
    K2_TRY(parse_fixed(p, m->fixed));
    p->arena = &m->arena;
    K2_TRY(get_i64(p, p->root, "last-updated-ms", &pub->last_updated_ms));
    if (m->fixed->format_version == 2)
        K2_TRY(get_i64(p, p->root, "last-sequence-number", &pub->last_sequence_number));
    /* Java wrote -1 where there is none. */
    int64_t current = k2_json_int(k2_json_get(p->root, "current-snapshot-id"), 0);
    pub->current_snapshot_id = current == -1 ? 0 : current;
    parse_properties(p, k2_json_get(p->root, "properties"), &pub->property_count, &pub->properties);
    K2_TRY(parse_snapshots(p, m));
    K2_TRY(parse_refs(p, m));
    K2_TRY(parse_logs(p, m));
    if (pub->current_snapshot_id && !k2_metadata_snapshot(pub, pub->current_snapshot_id))
        return k2_err_set(p->err, K2_CORRUPT,
                          "table metadata names the current snapshot %lld but does not hold it",
                          (long long)pub->current_snapshot_id);
    return true;
}

static void publish_fixed(struct k2_metadata_impl *m) {
    const struct k2_fixed *fixed = m->fixed;
    struct k2_metadata *pub = &m->pub;
    pub->table_uuid = fixed->table_uuid;
    pub->location = fixed->location;
    pub->format_version = fixed->format_version;
    pub->last_column_id = fixed->last_column_id;
    pub->current_schema_id = fixed->current_schema_id;
    pub->default_spec_id = fixed->default_spec_id;
    pub->last_partition_id = fixed->last_partition_id;
    pub->default_sort_id = fixed->default_sort_id;
    pub->schema_count = fixed->schema_count;
    pub->spec_count = fixed->spec_count;
    pub->schemas = fixed->schemas;
    pub->specs = fixed->specs;
}

/* ---- gzip ---- */
static bool unzip(struct k2_str bytes, struct k2_buf *out, struct k2_err *err) {
    z_stream stream = {0};
    int code = inflateInit2(&stream, 15 + 16);
    K2_ASSERT(code == Z_OK);
    stream.next_in = (Bytef *)bytes.ptr;
    stream.avail_in = (uInt)K2_MIN(bytes.len, (size_t)METADATA_MAX);
    do {
        size_t room = 1 << 20;
        stream.next_out = (Bytef *)k2_buf_reserve(out, room);
        stream.avail_out = (uInt)room;
        code = inflate(&stream, Z_NO_FLUSH);
        out->len += room - stream.avail_out;
    } while (code == Z_OK && stream.avail_out == 0 && out->len <= METADATA_MAX);
    inflateEnd(&stream);
    return (code == Z_STREAM_END && out->len <= METADATA_MAX) ||
           k2_err_set(err, K2_CORRUPT, "table metadata does not unzip");
}

static struct k2_metadata *parse_text(struct k2_str text, const char *identifier,
                                      const char *location, struct k2_err *err) {
    K2_AUTO(k2_json_freep) struct k2_json *root = k2_json_parse(text, err);
    if (!root)
        return NULL;
    struct k2_metadata_impl *m = k2_new(struct k2_metadata_impl);
    atomic_init(&m->refs, 1);
    m->fixed = k2_new(struct k2_fixed);
    atomic_init(&m->fixed->refs, 1);
    struct parser p = {.root = root, .err = err};
    bool ok = k2_json_is_object(root) ? parse_version(&p, m) : missing(&p, "object");
    if (!ok) {
        k2_metadata_unref(&m->pub);
        return NULL;
    }
    publish_fixed(m);
    m->pub.identifier = k2_arena_str(&m->arena, k2_str_of(identifier));
    m->pub.metadata_location = k2_arena_str(&m->arena, k2_str_of(location));
    m->fixed->kind = k2_schema_by_table(m->pub.identifier);
    k2_fixed_bind(m->fixed, k2_metadata_property(&m->pub, "k2.columns"));
    return &m->pub;
}

struct k2_metadata *k2_metadata_parse(struct k2_str bytes, const char *identifier,
                                      const char *location, struct k2_err *err) {
    if (bytes.len > METADATA_MAX) {
        k2_err_set(err, K2_LIMIT, "table metadata of %zu bytes; at most %u: expire snapshots",
                   bytes.len, METADATA_MAX);
        return NULL;
    }
    struct k2_buf plain = {0};
    struct k2_metadata *metadata = NULL;
    if (bytes.len > 2 && memcmp(bytes.ptr, "\x1f\x8b", 2) == 0) {
        if (unzip(bytes, &plain, err))
            metadata = parse_text(k2_buf_view(&plain), identifier, location, err);
    } else {
        metadata = parse_text(bytes, identifier, location, err);
    }
    k2_buf_done(&plain);
    return metadata;
}
