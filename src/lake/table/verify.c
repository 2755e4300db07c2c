/* verify.c -- proves the rules of one table, from its metadata down to its Parquet files.
 *
 * Pinned to one metadata file, so it is stable beside a writer. A broken rule is reported and the
 * walk goes on; what lies about unreferenced is a note.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "lake/table/verify_impl.h"

enum { ORPHANS_SHOWN = 20 };
#define ORPHAN_AGE_MS (24ll * 3600 * 1000)

/* ---- reports ---- */
static void say(struct k2_verify *v, bool is_note, const char *fmt, va_list args) {
    char text[600];
    vsnprintf(text, sizeof text, fmt, args);
    *(is_note ? &v->result->notes : &v->result->broken) += 1;
    v->report(v->self, is_note, v->metadata->identifier.ptr, text);
}

void k2_verify_broken(struct k2_verify *v, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(v, false, fmt, args);
    va_end(args);
}

void k2_verify_note(struct k2_verify *v, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say(v, true, fmt, args);
    va_end(args);
}

/* ---- metadata ---- */
static void check_ids(struct k2_verify *v) {
    const struct k2_metadata *m = v->metadata;
    for (int s = 0; s < m->schema_count; s++)
        for (int f = 0; f < m->schemas[s].field_count; f++) {
            const struct k2_field *field = &m->schemas[s].fields[f];
            int32_t highest = K2_MAX(K2_MAX(field->id, field->element_id),
                                     K2_MAX(field->key_id, field->value_id));
            if (highest > m->last_column_id)
                k2_verify_broken(v, "schema %d: field %s has id %d above last-column-id %d",
                                 m->schemas[s].schema_id, field->name.ptr, highest,
                                 m->last_column_id);
        }
    for (int s = 0; s < m->spec_count; s++)
        for (int f = 0; f < m->specs[s].field_count; f++)
            if (m->specs[s].fields[f].field_id > m->last_partition_id)
                k2_verify_broken(v, "spec %d: field %s has id %d above last-partition-id %d",
                                 m->specs[s].spec_id, m->specs[s].fields[f].name.ptr,
                                 m->specs[s].fields[f].field_id, m->last_partition_id);
    if (v->schema) {
        struct k2_err err = {0};
        struct k2_field_ids ids[K2_COLUMNS_MAX];
        if (!k2_metadata_field_ids(m, v->schema, ids, &err))
            k2_verify_broken(v, "%s", err.msg);
    }
}

static void check_history(struct k2_verify *v) {
    const struct k2_metadata *m = v->metadata;
    for (int i = 0; i < m->snapshot_count; i++) {
        const struct k2_snapshot *s = &m->snapshots[i];
        if (s->sequence_number > m->last_sequence_number)
            k2_verify_broken(v,
                             "snapshot %" PRId64 " has sequence number %" PRId64
                             " above the table's %" PRId64,
                             s->snapshot_id, s->sequence_number, m->last_sequence_number);
        if (i > 0 && m->format_version > 1 &&
            s->sequence_number == m->snapshots[i - 1].sequence_number)
            k2_verify_broken(v,
                             "snapshots %" PRId64 " and %" PRId64 " have the same sequence number",
                             m->snapshots[i - 1].snapshot_id, s->snapshot_id);
        for (int j = 0; j < i; j++)
            if (m->snapshots[j].snapshot_id == s->snapshot_id)
                k2_verify_broken(v, "snapshot %" PRId64 " is there twice", s->snapshot_id);
        if (s->timestamp_ms > m->last_updated_ms)
            k2_verify_broken(v, "snapshot %" PRId64 " is younger than the metadata",
                             s->snapshot_id);
    }
    for (int i = 1; i < m->log_count; i++)
        if (m->snapshot_log[i].timestamp_ms < m->snapshot_log[i - 1].timestamp_ms)
            k2_verify_broken(v, "snapshot-log goes back in time at its entry %d", i);
    if (m->log_count && m->current_snapshot_id &&
        m->snapshot_log[m->log_count - 1].snapshot_id != m->current_snapshot_id)
        k2_verify_broken(v, "snapshot-log does not end at the current snapshot %" PRId64,
                         m->current_snapshot_id);
    for (int i = 0; i < m->ref_count; i++)
        if (!k2_metadata_snapshot(m, m->refs[i].snapshot_id))
            k2_verify_broken(v, "ref %s names snapshot %" PRId64 ", which is not there",
                             m->refs[i].name.ptr, m->refs[i].snapshot_id);
    const struct k2_ref *main = k2_metadata_find_ref(m, K2_STR("main"));
    if (main && main->snapshot_id != m->current_snapshot_id)
        k2_verify_broken(v, "ref main names snapshot %" PRId64 ", the current one is %" PRId64,
                         main->snapshot_id, m->current_snapshot_id);
}

void k2_verify_metadata(struct k2_verify *v) {
    check_ids(v);
    check_history(v);
}

/* ---- positions ---- */
/* Where a log partition stands after the snapshots looked at so far. */
struct chain {
    struct k2_str topic;
    int64_t log_partition, next;
};
struct chains {
    struct k2_verify *v;
    bool is_other_log; /* looking at k2.accepted: the offsets are those of two logs */
    struct chain *all;
    int count, cap;
};

static struct chain *chain_of(struct chains *c, struct k2_str topic, int64_t log_partition) {
    for (int i = 0; i < c->count; i++)
        if (c->all[i].log_partition == log_partition && k2_str_eq(c->all[i].topic, topic))
            return &c->all[i];
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 32;
        c->all = k2_realloc(c->all, sizeof *c->all * (size_t)c->cap);
    }
    c->all[c->count] = (struct chain){topic, log_partition, -1};
    return &c->all[c->count++];
}

static void follow(struct chains *c, const struct k2_snapshot *s, struct k2_str topic,
                   struct k2_str partition_text, const struct k2_json *range,
                   struct k2_arena *arena) {
    struct k2_verify *v = c->v;
    int64_t log_partition, from = k2_json_int(k2_json_at(range, 0), -1),
                           to = k2_json_int(k2_json_at(range, 1), -1);
    bool is_back = to < from && !c->is_other_log;
    if (!k2_str_to_i64(partition_text, &log_partition) || from < 0 || to < 0 || is_back) {
        k2_verify_broken(v, "snapshot %" PRId64 ": k2.moved of %.*s/%.*s is no range",
                         s->snapshot_id, K2_FMT(topic), K2_FMT(partition_text));
        return;
    }
    struct chain *chain = chain_of(c, topic, log_partition);
    if (chain->next < 0)
        chain->topic = k2_arena_str(arena, topic);
    else if (chain->next != from)
        k2_verify_broken(v,
                         "snapshot %" PRId64 " moves %.*s/%" PRId64 " from %" PRId64
                         ", the one before it ended at %" PRId64 ": offsets are %s",
                         s->snapshot_id, K2_FMT(topic), log_partition, from, chain->next,
                         from > chain->next ? "missing" : "there twice");
    chain->next = to;
}

static void follow_moves(struct chains *c, const struct k2_snapshot *s, const char *key,
                         struct k2_arena *arena) {
    struct k2_str text = k2_snapshot_summary(s, key);
    struct k2_err err = {0};
    if (!text.ptr)
        return;
    K2_AUTO(k2_json_freep) struct k2_json *moved = k2_json_parse(text, &err);
    if (!moved) {
        k2_verify_broken(c->v, "snapshot %" PRId64 ": %s: %s", s->snapshot_id, key, err.msg);
        return;
    }
    void *topics = NULL;
    struct k2_str topic, partition;
    const struct k2_json *ranges, *range;
    while (k2_json_next(moved, &topics, &topic, &ranges)) {
        void *partitions = NULL;
        while (k2_json_is_object(ranges) && k2_json_next(ranges, &partitions, &partition, &range))
            follow(c, s, topic, partition, range, arena);
    }
}

static void follow_snapshot(struct chains *c, const struct k2_snapshot *s, struct k2_arena *arena) {
    c->is_other_log = false;
    follow_moves(c, s, "k2.moved", arena);
    c->is_other_log = true;
    follow_moves(c, s, "k2.accepted", arena);
}

static bool check_end(void *self, struct k2_str topic, int log_partition,
                      const struct k2_position *position) {
    struct chains *c = self;
    struct chain *chain = chain_of(c, topic, log_partition);
    if (chain->next >= 0 && chain->next != position->next)
        k2_verify_broken(c->v,
                         "position of %.*s/%d is %" PRId64
                         ", but the last snapshot that moved it ended at %" PRId64,
                         K2_FMT(topic), log_partition, position->next, chain->next);
    if (position->state_offset > position->next)
        k2_verify_broken(c->v, "position of %.*s/%d has a state ahead of it (%" PRId64 ")",
                         K2_FMT(topic), log_partition, position->state_offset);
    chain->next = -2; /* a position names it */
    return true;
}

void k2_verify_positions(struct k2_verify *v) {
    struct chains c = {.v = v};
    struct k2_arena arena = {0};
    struct k2_err err = {0};
    for (int i = 0; i < v->metadata->snapshot_count; i++)
        follow_snapshot(&c, &v->metadata->snapshots[i], &arena);
    if (!k2_position_each(v->metadata, check_end, &c, &err))
        k2_verify_broken(v, "%s", err.msg);
    else
        for (int i = 0; i < c.count; i++)
            if (c.all[i].next >= 0)
                k2_verify_broken(v,
                                 "%.*s/%" PRId64 " was moved to %" PRId64
                                 " but the table has no position for it",
                                 K2_FMT(c.all[i].topic), c.all[i].log_partition, c.all[i].next);
    k2_free(c.all);
    k2_arena_done(&arena);
}

/* ---- orphans ---- */
struct orphans {
    struct k2_verify *v;
    struct k2_buf uri;
    int64_t now_ms, count, bytes;
};

static bool look_at(void *self, const struct k2_object *object) {
    struct orphans *o = self;
    o->uri.len = 0;
    k2_store_uri(o->v->lake->store, object->path, &o->uri);
    struct k2_str uri = k2_buf_view(&o->uri);
    if (k2_str_ends(uri, "/version-hint.text") ||
        k2_intern_find(&o->v->reachable, uri) != UINT32_MAX ||
        o->now_ms - object->modified_ms < ORPHAN_AGE_MS)
        return true;
    o->bytes += object->bytes;
    if (++o->count <= ORPHANS_SHOWN)
        k2_verify_note(o->v, "orphan: %s (%" PRId64 " bytes)", object->path, object->bytes);
    return true;
}

/* The statistics files a table names lie in members that K2 keeps as text. */
static void reach_statistics(struct k2_verify *v) {
    const struct k2_fixed *fixed = k2_metadata_impl_of(v->metadata)->fixed;
    for (int i = 0; i < fixed->member_count; i++) {
        struct k2_err ignored = {0};
        if (!k2_str_ends(fixed->members[i].key, "statistics"))
            continue;
        K2_AUTO(k2_json_freep)
        struct k2_json *list = k2_json_parse(fixed->members[i].text, &ignored);
        for (size_t j = 0; j < k2_json_count(list); j++) {
            struct k2_str path = k2_json_str(k2_json_get(k2_json_at(list, j), "statistics-path"));
            if (path.ptr)
                k2_intern_add(&v->reachable, path);
        }
    }
}

bool k2_verify_orphans(struct k2_verify *v, struct k2_err *err) {
    const struct k2_metadata_impl *m = k2_metadata_impl_of(v->metadata);
    struct orphans o = {.v = v, .now_ms = k2_now_ms(v->lake->clock)};
    struct k2_buf path = {0};
    k2_intern_add(&v->reachable, v->metadata->metadata_location);
    for (int i = 0; i < m->previous_count; i++)
        k2_intern_add(&v->reachable, m->previous[i].metadata_file);
    reach_statistics(v);
    bool ok = k2_store_path(v->lake->store, v->metadata->location, &path, err) &&
              k2_store_list(v->lake->store, k2_buf_cstr(&path), look_at, &o, err);
    if (ok && o.count > ORPHANS_SHOWN)
        k2_verify_note(v, "%" PRId64 " orphans in all, %" PRId64 " bytes", o.count, o.bytes);
    k2_buf_done(&path);
    k2_buf_done(&o.uri);
    return ok;
}

/* ---- tables ---- */

static bool verify_one(struct k2_verify *v, struct k2_err *err) {
    v->result->tables++;
    k2_verify_metadata(v);
    k2_verify_positions(v);
    k2_verify_commits(v);
    k2_verify_snapshots(v);
    bool ok = (k2_verify_files(v, err) && k2_verify_orphans(v, err)) ||
              k2_err_wrap(err, "verify table %s", v->metadata->identifier.ptr);
    k2_intern_done(&v->reachable);
    k2_intern_done(&v->manifests);
    k2_intern_done(&v->live);
    return ok;
}

bool k2_lake_verify(struct k2_lake *lake, const struct k2_metadata *const *tables, int count,
                    const struct k2_verify_opts *opts, struct k2_verify_result *result,
                    struct k2_err *err) {
    struct k2_seen *seen = k2_seen_new();
    struct k2_verify *all = k2_new_array(struct k2_verify, (size_t)count);
    bool ok = true, has_letters = false;
    for (int i = 0; ok && i < count; i++) {
        const struct k2_schema *schema = k2_schema_by_table(tables[i]->identifier);
        all[i] = (struct k2_verify){.lake = lake,
                                    .metadata = tables[i],
                                    .schema = schema,
                                    .report = opts->report,
                                    .progress = opts->progress,
                                    .self = opts->self,
                                    .result = result,
                                    .seen = seen};
        has_letters |= schema && schema->kind == K2_DEAD_LETTER;
        ok = verify_one(&all[i], err);
    }
    /* A position may be a row here and a dead letter there: only both together say all. */
    for (int i = 0; ok && has_letters && i < count; i++)
        k2_verify_account(&all[i]);
    k2_free(all);
    k2_seen_free(seen);
    return ok;
}
