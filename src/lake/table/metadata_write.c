/* metadata_write.c -- the next version of a table's metadata, and its JSON.
 *
 * Members stand in the order of the Java library. What did not change is copied as text.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "lake/table/table_impl.h"

/* ---- JSON ---- */
static struct k2_str member(const struct k2_fixed *fixed, const char *key) {
    for (int i = 0; i < fixed->member_count; i++)
        if (k2_str_is(fixed->members[i].key, key))
            return fixed->members[i].text;
    return (struct k2_str){0};
}

static void put_member(struct k2_buf *out, const struct k2_fixed *fixed, const char *key) {
    struct k2_str text = member(fixed, key);
    if (!text.ptr)
        return;
    k2_json_key(out, key);
    k2_buf_str(out, text);
}

static void put_properties(struct k2_buf *out, const struct k2_property *all, int count) {
    k2_buf_byte(out, '{');
    for (int i = 0; i < count; i++) {
        if (i)
            k2_buf_byte(out, ',');
        k2_json_quote(out, all[i].key);
        k2_buf_byte(out, ':');
        k2_json_quote(out, all[i].value);
    }
    k2_buf_byte(out, '}');
}

static void put_refs(struct k2_buf *out, const struct k2_metadata_impl *m) {
    k2_json_key(out, "refs");
    k2_buf_byte(out, '{');
    for (int i = 0; i < m->pub.ref_count; i++) {
        if (i)
            k2_buf_byte(out, ',');
        k2_json_quote(out, m->pub.refs[i].name);
        k2_buf_printf(out, ":{\"snapshot-id\":%" PRId64, m->pub.refs[i].snapshot_id);
        k2_buf_str(out, m->ref_texts[i]);
        k2_buf_byte(out, '}');
    }
    k2_buf_byte(out, '}');
}

static void put_logs(struct k2_buf *out, const struct k2_metadata_impl *m) {
    k2_json_key(out, "snapshot-log");
    k2_buf_byte(out, '[');
    for (int i = 0; i < m->pub.log_count; i++)
        k2_buf_printf(out, "%s{\"timestamp-ms\":%" PRId64 ",\"snapshot-id\":%" PRId64 "}",
                      i ? "," : "", m->pub.snapshot_log[i].timestamp_ms,
                      m->pub.snapshot_log[i].snapshot_id);
    k2_buf_byte(out, ']');
    k2_json_key(out, "metadata-log");
    k2_buf_byte(out, '[');
    for (int i = 0; i < m->previous_count; i++) {
        k2_buf_printf(out, "%s{\"timestamp-ms\":%" PRId64, i ? "," : "",
                      m->previous[i].timestamp_ms);
        k2_json_key_str(out, "metadata-file", m->previous[i].metadata_file);
        k2_buf_byte(out, '}');
    }
    k2_buf_byte(out, ']');
}

/* The members that have a place of their own; all others follow at the end. */
static const char *const placed[] = {"schemas",    "partition-specs",      "sort-orders",
                                     "statistics", "partition-statistics", NULL};

static void put_specs(struct k2_buf *out, const struct k2_fixed *fixed,
                      const struct k2_respec *respec) {
    k2_json_key_int(out, "default-spec-id",
                    respec ? respec->default_spec_id : fixed->default_spec_id);
    if (respec) {
        k2_json_key(out, "partition-specs");
        k2_buf_str(out, respec->specs);
    } else {
        put_member(out, fixed, "partition-specs");
    }
    k2_json_key_int(out, "last-partition-id",
                    respec ? respec->last_partition_id : fixed->last_partition_id);
}

void k2_metadata_write(const struct k2_metadata *metadata, const struct k2_respec *respec,
                       struct k2_buf *out) {
    const struct k2_metadata_impl *m = k2_metadata_impl_of(metadata);
    const struct k2_fixed *fixed = m->fixed;
    k2_buf_byte(out, '{');
    k2_json_key_int(out, "format-version", fixed->format_version);
    k2_json_key_str(out, "table-uuid", fixed->table_uuid);
    k2_json_key_str(out, "location", fixed->location);
    k2_json_key_int(out, "last-sequence-number", metadata->last_sequence_number);
    k2_json_key_int(out, "last-updated-ms", metadata->last_updated_ms);
    k2_json_key_int(out, "last-column-id", fixed->last_column_id);
    k2_json_key_int(out, "current-schema-id", fixed->current_schema_id);
    put_member(out, fixed, "schemas");
    put_specs(out, fixed, respec);
    k2_json_key_int(out, "default-sort-order-id", fixed->default_sort_id);
    put_member(out, fixed, "sort-orders");
    k2_json_key(out, "properties");
    put_properties(out, metadata->properties, metadata->property_count);
    /* As Java writes it for v2: -1 stands for none. */
    int64_t current = metadata->current_snapshot_id;
    k2_json_key_int(out, "current-snapshot-id", current ? current : -1);
    put_refs(out, m);
    k2_json_key(out, "snapshots");
    k2_buf_byte(out, '[');
    for (int i = 0; i < metadata->snapshot_count; i++) {
        if (i)
            k2_buf_byte(out, ',');
        k2_buf_str(out, m->pieces[i]->text);
    }
    k2_buf_byte(out, ']');
    put_member(out, fixed, "statistics");
    put_member(out, fixed, "partition-statistics");
    put_logs(out, m);
    for (int i = 0; i < fixed->member_count; i++) {
        if (k2_name_index(placed, fixed->members[i].key) >= 0)
            continue;
        k2_buf_byte(out, ',');
        k2_json_quote(out, fixed->members[i].key);
        k2_buf_byte(out, ':');
        k2_buf_str(out, fixed->members[i].text);
    }
    k2_buf_byte(out, '}');
}

static void put_snapshot(struct k2_buf *out, const struct k2_snapshot *s) {
    k2_buf_byte(out, '{');
    k2_json_key_int(out, "sequence-number", s->sequence_number);
    k2_json_key_int(out, "snapshot-id", s->snapshot_id);
    if (s->parent_id)
        k2_json_key_int(out, "parent-snapshot-id", s->parent_id);
    k2_json_key_int(out, "timestamp-ms", s->timestamp_ms);
    k2_json_key(out, "summary");
    put_properties(out, s->summary, s->summary_count);
    k2_json_key_str(out, "manifest-list", s->manifest_list);
    k2_json_key_int(out, "schema-id", s->schema_id);
    k2_buf_byte(out, '}');
}

/* ---- versions ---- */
/* The number in front of a metadata file's name; -1 where it has none. */
static int64_t version_of(struct k2_str location) {
    size_t start = location.len;
    while (start > 0 && location.ptr[start - 1] != '/')
        start--;
    struct k2_str rest,
        head = k2_str_split(k2_str_make(location.ptr + start, location.len - start), '-', &rest);
    int64_t version;
    return rest.ptr && k2_str_to_i64(head, &version) && version >= 0 ? version : -1;
}

char *k2_metadata_next_location(const struct k2_metadata *base, const char *uuid,
                                struct k2_arena *arena) {
    return k2_arena_printf(arena, "%.*s/metadata/%05" PRId64 "-%s.metadata.json",
                           K2_FMT(base->location), version_of(base->metadata_location) + 1, uuid);
}

static void copy_properties(struct k2_arena *arena, const struct k2_property *from, int count,
                            struct k2_property *to) {
    for (int i = 0; i < count; i++)
        to[i] = (struct k2_property){k2_arena_str(arena, from[i].key),
                                     k2_arena_str(arena, from[i].value)};
}

static struct k2_snapshot_piece *make_piece(const struct k2_snapshot *snapshot) {
    struct k2_snapshot_piece *piece = k2_new(struct k2_snapshot_piece);
    atomic_init(&piece->refs, 1);
    struct k2_buf text = {0};
    put_snapshot(&text, snapshot);
    k2_arena_init(&piece->arena, text.len * 3 + 512);
    piece->text = k2_arena_str(&piece->arena, k2_buf_view(&text));
    k2_buf_done(&text);
    struct k2_snapshot *copy = &piece->snapshot;
    *copy = *snapshot;
    copy->manifest_list = k2_arena_str(&piece->arena, snapshot->manifest_list);
    copy->summary = k2_arena_new(&piece->arena, struct k2_property, snapshot->summary_count);
    copy_properties(&piece->arena, snapshot->summary, snapshot->summary_count, copy->summary);
    return piece;
}

static void copy_snapshots(struct k2_metadata_impl *m, const struct k2_metadata_impl *base,
                           const struct k2_snapshot *added) {
    int count = base->pub.snapshot_count;
    m->pieces = k2_arena_new(&m->arena, struct k2_snapshot_piece *, count + 1);
    m->pub.snapshots = k2_arena_new(&m->arena, struct k2_snapshot, count + 1);
    for (int i = 0; i < count; i++) {
        m->pieces[i] = base->pieces[i];
        atomic_fetch_add_explicit(&m->pieces[i]->refs, 1, memory_order_relaxed);
        m->pub.snapshots[i] = base->pub.snapshots[i];
    }
    if (added) {
        m->pieces[count] = make_piece(added);
        m->pub.snapshots[count] = m->pieces[count]->snapshot;
        count++;
    }
    m->pub.snapshot_count = count;
}

static void set_property(struct k2_metadata_impl *m, const struct k2_property *set) {
    struct k2_metadata *pub = &m->pub;
    int at = 0;
    while (at < pub->property_count && !k2_str_eq(pub->properties[at].key, set->key))
        at++;
    if (!set->value.ptr) {
        if (at < pub->property_count)
            pub->properties[at] = pub->properties[--pub->property_count];
        return;
    }
    if (at == pub->property_count)
        pub->properties[pub->property_count++].key = k2_arena_str(&m->arena, set->key);
    pub->properties[at].value = k2_arena_str(&m->arena, set->value);
}

static void copy_refs(struct k2_metadata_impl *m, const struct k2_metadata_impl *base,
                      const struct k2_snapshot *added) {
    int count = base->pub.ref_count, main = -1;
    m->pub.refs = k2_arena_new(&m->arena, struct k2_ref, count + 1);
    m->ref_texts = k2_arena_new(&m->arena, struct k2_str, count + 1);
    for (int i = 0; i < count; i++) {
        m->pub.refs[i] = base->pub.refs[i];
        m->pub.refs[i].name = k2_arena_str(&m->arena, base->pub.refs[i].name);
        m->ref_texts[i] = k2_arena_str(&m->arena, base->ref_texts[i]);
        if (k2_str_is(m->pub.refs[i].name, "main"))
            main = i;
    }
    if (added) {
        if (main < 0) {
            main = count++;
            m->pub.refs[main] = (struct k2_ref){.name = K2_STR("main")};
            m->ref_texts[main] = K2_STR(",\"type\":\"branch\"");
        }
        m->pub.refs[main].snapshot_id = added->snapshot_id;
    }
    m->pub.ref_count = count;
}

static void copy_logs(struct k2_metadata_impl *m, const struct k2_metadata_impl *base,
                      const struct k2_version_opts *opts) {
    int count = base->pub.log_count;
    m->pub.snapshot_log = k2_arena_new(&m->arena, struct k2_log_entry, count + 1);
    if (count)
        memcpy(m->pub.snapshot_log, base->pub.snapshot_log,
               sizeof *m->pub.snapshot_log * (size_t)count);
    if (opts->snapshot)
        m->pub.snapshot_log[count++] =
            (struct k2_log_entry){opts->timestamp_ms, opts->snapshot->snapshot_id};
    m->pub.log_count = count;

    int room = (int)K2_MIN(opts->previous_versions, 1u << 20);
    int keep = K2_MIN(base->previous_count, K2_MAX(room - 1, 0));
    m->previous = k2_arena_new(&m->arena, struct k2_previous_file, keep + 1);
    for (int i = 0; i < keep; i++) {
        m->previous[i] = base->previous[base->previous_count - keep + i];
        m->previous[i].metadata_file = k2_arena_str(&m->arena, m->previous[i].metadata_file);
    }
    if (room > 0)
        m->previous[keep++] = (struct k2_previous_file){
            k2_arena_str(&m->arena, base->pub.metadata_location), base->pub.last_updated_ms};
    m->previous_count = keep;
}

struct k2_metadata *k2_metadata_version(const struct k2_metadata *base,
                                        const struct k2_version_opts *opts) {
    const struct k2_metadata_impl *from = k2_metadata_impl_of(base);
    struct k2_metadata_impl *m = k2_new(struct k2_metadata_impl);
    k2_arena_init(&m->arena, 64 << 10);
    atomic_init(&m->refs, 1);
    m->fixed = k2_fixed_ref(from->fixed);
    m->pub = *base;
    m->pub.identifier = k2_arena_str(&m->arena, base->identifier);
    m->pub.metadata_location = k2_arena_str(&m->arena, k2_str_of(opts->location));
    m->pub.last_updated_ms = opts->timestamp_ms;
    int room = base->property_count + opts->set_count;
    m->pub.properties = k2_arena_new(&m->arena, struct k2_property, room);
    copy_properties(&m->arena, base->properties, base->property_count, m->pub.properties);
    for (int i = 0; i < opts->set_count; i++)
        set_property(m, &opts->set[i]);
    copy_snapshots(m, from, opts->snapshot);
    copy_refs(m, from, opts->snapshot);
    copy_logs(m, from, opts);
    if (opts->snapshot) {
        m->pub.current_snapshot_id = opts->snapshot->snapshot_id;
        m->pub.last_sequence_number = opts->snapshot->sequence_number;
    }
    return &m->pub;
}
