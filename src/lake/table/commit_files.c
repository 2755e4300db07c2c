/* commit_files.c -- the manifests, the manifest list and the summary of a commit. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "lake/table/commit_impl.h"

static struct k2_str metadata_uri(struct k2_commit *commit, const struct k2_pending *p,
                                  const char *name) {
    return k2_str_of(
        k2_arena_printf(&commit->arena, "%.*s/metadata/%s", K2_FMT(p->current->location), name));
}

/* ---- manifests ---- */
static bool manifest_opts(struct k2_commit *commit, const struct k2_pending *p, int32_t spec_id,
                          struct k2_manifest_opts *ret_opts, struct k2_err *err) {
    const struct k2_metadata *m = p->current;
    const struct k2_fixed *fixed = k2_metadata_impl_of(m)->fixed;
    *ret_opts = (struct k2_manifest_opts){.schema_id = m->current_schema_id,
                                          .snapshot_id = p->snapshot_id,
                                          .sequence_number = m->last_sequence_number + 1};
    for (int i = 0; i < fixed->schema_count; i++)
        if (fixed->schemas[i].schema_id == m->current_schema_id)
            ret_opts->schema = fixed->schema_texts[i];
    for (int i = 0; i < fixed->spec_count; i++)
        if (fixed->specs[i].spec_id == spec_id) {
            ret_opts->spec = &fixed->specs[i];
            ret_opts->spec_fields = fixed->spec_texts[i];
        }
    k2_lake_sync(commit->lake, ret_opts->sync);
    if (!ret_opts->spec || !k2_spec_types(m, ret_opts->spec, ret_opts->types))
        return k2_err_set(err, K2_INVALID,
                          "table %s has no partition spec %d, or one with values K2 cannot hold",
                          p->table, spec_id);
    return true;
}

/* Puts a finished manifest under its name and into *ret_row, which lives in the commit's arena. */
static bool put_manifest(struct k2_commit *commit, struct k2_pending *p,
                         struct k2_manifest_writer *writer, struct k2_manifest_file *ret_row,
                         struct k2_err *err) {
    char name[64];
    struct k2_str bytes;
    struct k2_manifest_file row;
    snprintf(name, sizeof name, "%s-m%d.avro", p->uuid, p->manifest_count++);
    k2_manifest_finish(writer, &bytes, &row);
    row.path = metadata_uri(commit, p, name);
    *ret_row = k2_manifest_file_copy(&commit->arena, &row);
    return k2_lake_put(commit->lake, row.path, bytes, err);
}

static bool write_added(struct k2_commit *commit, struct k2_pending *p, int32_t spec_id,
                        struct k2_err *err) {
    struct k2_manifest_opts opts;
    if (p->added_count == K2_COMMIT_SPECS)
        return k2_err_set(err, K2_LIMIT, "files of more than %d partition specs in one commit",
                          K2_COMMIT_SPECS);
    K2_TRY(manifest_opts(commit, p, spec_id, &opts, err));
    struct k2_manifest_writer *writer = k2_manifest_writer_new(&opts);
    for (int i = 0; i < p->change->add_count; i++)
        if (p->change->add[i].spec_id == spec_id)
            k2_manifest_add(writer, K2_ENTRY_ADDED, &p->change->add[i]);
    bool ok = put_manifest(commit, p, writer, &p->added[p->added_count++], err);
    k2_manifest_writer_free(writer);
    return ok;
}

bool k2_commit_manifests(struct k2_commit *commit, struct k2_pending *p, struct k2_err *err) {
    if (p->has_manifests)
        return true;
    for (int i = 0; i < p->change->add_count; i++) {
        bool is_done = false;
        for (int j = 0; j < p->added_count; j++)
            is_done |= p->added[j].spec_id == p->change->add[i].spec_id;
        if (!is_done)
            K2_TRY(write_added(commit, p, p->change->add[i].spec_id, err));
    }
    p->has_manifests = true;
    return true;
}

/* ---- merging ---- */
static bool is_small(const struct k2_manifest_file *row, int32_t spec_id) {
    return row->content == 0 && row->spec_id == spec_id && row->length < K2_COMMIT_SMALL &&
           !row->key_metadata.ptr;
}

/* Entries that K2 cannot write again as they are keep their manifest from being merged. */
static bool can_rewrite(const struct k2_manifest *manifest, const struct k2_partition_spec *spec) {
    uint32_t fields = (1u << spec->field_count) - 1;
    for (int i = 0; i < manifest->count; i++) {
        const struct k2_manifest_entry *entry = &manifest->entries[i];
        if (entry->status != K2_ENTRY_DELETED &&
            (entry->is_strange || !entry->is_parquet || entry->content != K2_CONTENT_DATA ||
             (entry->partition_unknown & fields)))
            return false;
    }
    return true;
}

/* Adds the live entries of each small manifest to writer; is_merged tells which were taken. */
static bool gather(struct k2_commit *commit, struct k2_pending *p,
                   const struct k2_manifest_list *base, const struct k2_manifest_opts *opts,
                   struct k2_manifest_writer *writer, bool *is_merged, struct k2_err *err) {
    for (int i = 0; i < base->count; i++) {
        if (!is_small(&base->files[i], opts->spec->spec_id))
            continue;
        struct k2_manifest *manifest =
            k2_lake_manifest(commit->lake, p->current, &base->files[i], err);
        if (!manifest)
            return false;
        if (can_rewrite(manifest, opts->spec)) {
            is_merged[i] = true;
            p->replaced++;
            for (int e = 0; e < manifest->count; e++) {
                p->processed++;
                if (manifest->entries[e].status != K2_ENTRY_DELETED)
                    k2_manifest_add(writer, K2_ENTRY_EXISTING, &manifest->entries[e].file);
            }
        }
        k2_manifest_unref(manifest);
    }
    return true;
}

static bool merge_spec(struct k2_commit *commit, struct k2_pending *p,
                       const struct k2_manifest_list *base, int32_t spec_id, bool *is_merged,
                       struct k2_manifest_list *list, struct k2_err *err) {
    struct k2_manifest_opts opts;
    struct k2_err no_opts = {0};
    if (p->tried_count == K2_COMMIT_SPECS || !manifest_opts(commit, p, spec_id, &opts, &no_opts))
        return true; /* a spec of another engine: its manifests stay as they are */
    struct k2_manifest_writer *writer = k2_manifest_writer_new(&opts);
    struct k2_manifest_file row;
    bool ok = gather(commit, p, base, &opts, writer, is_merged, err) &&
              put_manifest(commit, p, writer, &row, err);
    k2_manifest_writer_free(writer);
    if (!ok)
        return k2_err_wrap(err, "merge manifests");
    p->tried[p->tried_count++] = row.path;
    p->created++;
    if (row.existing_files)
        list->files[list->count++] = k2_manifest_file_copy(&list->arena, &row);
    return true;
}

/* Where the list holds enough small manifests of one spec they become one: a commit's own are
 * short, and a scan opens each. */
static bool merge_small(struct k2_commit *commit, struct k2_pending *p,
                        const struct k2_manifest_list *base, bool *is_merged,
                        struct k2_manifest_list *list, struct k2_err *err) {
    for (int s = 0; s < p->current->spec_count; s++) {
        int32_t spec_id = p->current->specs[s].spec_id;
        uint32_t small = 0;
        for (int i = 0; i < base->count; i++)
            small += is_small(&base->files[i], spec_id);
        if (small >= commit->lake->manifest_merge_count && small > 1)
            K2_TRY(merge_spec(commit, p, base, spec_id, is_merged, list, err));
    }
    return true;
}

/* ---- summary ---- */
struct summary {
    struct k2_arena *arena;
    struct k2_property *all;
    int count;
};

static void put_text(struct summary *s, const char *key, struct k2_str value) {
    s->all[s->count++] = (struct k2_property){k2_str_of(key), value};
}

static void put_number(struct summary *s, const char *key, int64_t value) {
    put_text(s, key, k2_str_of(k2_arena_printf(s->arena, "%" PRId64, value)));
}

/* A total goes on from the last snapshot's; where that does not say it, it is left out. */
static void put_total(struct summary *s, const struct k2_snapshot *parent, const char *key,
                      int64_t added) {
    int64_t before = 0;
    if (!parent || k2_str_to_i64(k2_snapshot_summary(parent, key), &before))
        put_number(s, key, before + added);
}

static bool same_partition(const struct k2_data_file *a, const struct k2_data_file *b) {
    if (a->spec_id != b->spec_id)
        return false;
    for (int i = 0; i < K2_PARTITION_MAX; i++)
        if (a->partition[i].is_null != b->partition[i].is_null ||
            a->partition[i].number != b->partition[i].number ||
            !k2_str_eq(a->partition[i].text, b->partition[i].text))
            return false;
    return true;
}

static int64_t partitions_of(const struct k2_change *change) {
    int64_t count = 0;
    for (int i = 0; i < change->add_count; i++) {
        bool is_new = true;
        for (int j = 0; is_new && j < i; j++)
            is_new = !same_partition(&change->add[i], &change->add[j]);
        count += is_new;
    }
    return count;
}

/* Whether a move goes on in another log (docs/rules.md: log): its two offsets count different
 * records, so it is told apart from the others. */
static bool is_accepted(const struct k2_move *move) {
    return strcmp(move->from.log_id, move->to.log_id) != 0;
}

/* k2.moved: {topic: {log partition: [from, to]}}, topics in the order of their first move; and
 * k2.accepted likewise. NULL text when there is none of them. */
static struct k2_str moved_text(struct k2_commit *commit, const struct k2_change *change,
                                bool accepted) {
    struct k2_buf text = {0};
    for (int i = 0; i < change->move_count; i++) {
        const char *topic = change->moves[i].topic;
        bool is_first = is_accepted(&change->moves[i]) == accepted;
        for (int j = 0; j < i; j++)
            is_first &= strcmp(change->moves[j].topic, topic) != 0 ||
                        is_accepted(&change->moves[j]) != accepted;
        if (!is_first)
            continue;
        k2_buf_byte(&text, text.len ? ',' : '{');
        k2_buf_printf(&text, "\"%s\":{", topic);
        for (int j = i; j < change->move_count; j++) {
            const struct k2_move *move = &change->moves[j];
            if (strcmp(move->topic, topic) == 0 && is_accepted(move) == accepted)
                k2_buf_printf(&text, "%s\"%d\":[%" PRId64 ",%" PRId64 "]", j > i ? "," : "",
                              move->log_partition, move->from.next, move->to.next);
        }
        k2_buf_byte(&text, '}');
    }
    if (text.len)
        k2_buf_byte(&text, '}');
    struct k2_str kept = {0};
    if (text.len)
        kept = k2_arena_str(&commit->arena, k2_buf_view(&text));
    k2_buf_done(&text);
    return kept;
}

static void put_moves(struct summary *s, struct k2_commit *commit, const struct k2_change *change) {
    struct k2_str moved = moved_text(commit, change, false);
    struct k2_str accepted = moved_text(commit, change, true);
    if (moved.ptr)
        put_text(s, "k2.moved", moved);
    if (accepted.ptr)
        put_text(s, "k2.accepted", accepted);
}

static void fill_summary(struct k2_commit *commit, struct k2_pending *p,
                         const struct k2_snapshot *parent) {
    const struct k2_change *change = p->change;
    struct summary s = {.arena = &commit->arena};
    int64_t rows = 0, bytes = 0;
    for (int i = 0; i < change->add_count; i++) {
        rows += change->add[i].record_count;
        bytes += change->add[i].file_size;
    }
    s.all = k2_arena_new(&commit->arena, struct k2_property, 24 + change->summary_count);
    put_text(&s, "operation", k2_str_of(change->operation ? change->operation : "append"));
    put_number(&s, "manifests-created", p->added_count + p->created);
    put_number(&s, "manifests-kept", p->kept);
    put_number(&s, "manifests-replaced", p->replaced);
    put_number(&s, "entries-processed", p->processed);
    put_number(&s, "added-data-files", change->add_count);
    put_number(&s, "added-records", rows);
    put_number(&s, "added-files-size", bytes);
    put_number(&s, "changed-partition-count", partitions_of(change));
    put_total(&s, parent, "total-records", rows);
    put_total(&s, parent, "total-files-size", bytes);
    put_total(&s, parent, "total-data-files", change->add_count);
    put_total(&s, parent, "total-delete-files", 0);
    put_total(&s, parent, "total-position-deletes", 0);
    put_total(&s, parent, "total-equality-deletes", 0);
    put_text(&s, "engine-name", K2_STR("k2"));
    put_moves(&s, commit, change);
    if (commit->behind_ms)
        put_number(&s, "k2.clock-behind-ms", commit->behind_ms);
    for (int i = 0; i < change->summary_count; i++)
        s.all[s.count++] = change->summary[i];
    p->snapshot.summary = s.all;
    p->snapshot.summary_count = s.count;
}

/* ---- the list ---- */
static bool fill_list(struct k2_commit *commit, struct k2_pending *p,
                      const struct k2_manifest_list *base, struct k2_manifest_list *list,
                      struct k2_err *err) {
    int64_t sequence = p->current->last_sequence_number + 1;
    bool *is_merged = k2_arena_new(&commit->arena, bool, base->count + 1);
    list->files = k2_arena_new(&list->arena, struct k2_manifest_file,
                               base->count + p->added_count + p->current->spec_count);
    for (int i = 0; i < p->added_count; i++) {
        struct k2_manifest_file row = p->added[i];
        row.sequence_number = row.min_sequence_number = sequence;
        list->files[list->count++] = k2_manifest_file_copy(&list->arena, &row);
    }
    K2_TRY(merge_small(commit, p, base, is_merged, list, err));
    for (int i = 0; i < base->count; i++) {
        if (is_merged[i])
            continue;
        p->kept++;
        list->files[list->count++] = k2_manifest_file_copy(&list->arena, &base->files[i]);
    }
    return true;
}

bool k2_commit_list(struct k2_commit *commit, struct k2_pending *p, struct k2_err *err) {
    const struct k2_metadata *m = p->current;
    const struct k2_snapshot *parent =
        m->current_snapshot_id ? k2_metadata_snapshot(m, m->current_snapshot_id) : NULL;
    p->kept = p->replaced = p->created = p->processed = 0;
    p->list = k2_manifest_list_new();
    struct k2_manifest_list *base = k2_lake_list(commit->lake, parent, err);
    bool ok = base && fill_list(commit, p, base, p->list, err);
    k2_manifest_list_unref(base);
    if (!ok)
        return false;
    char name[128];
    snprintf(name, sizeof name, "snap-%" PRId64 "-%d-%s.avro", p->snapshot_id, commit->attempt,
             p->uuid);
    p->snapshot = (struct k2_snapshot){.snapshot_id = p->snapshot_id,
                                       .parent_id = parent ? parent->snapshot_id : 0,
                                       .sequence_number = m->last_sequence_number + 1,
                                       .timestamp_ms = commit->timestamp_ms,
                                       .schema_id = m->current_schema_id,
                                       .manifest_list = metadata_uri(commit, p, name)};
    fill_summary(commit, p, parent);
    struct k2_buf bytes = {0};
    uint8_t sync[16];
    k2_lake_sync(commit->lake, sync);
    k2_manifest_list_write(p->list->files, p->list->count, &p->snapshot, sync, &bytes);
    p->tried[p->tried_count++] = p->snapshot.manifest_list;
    ok = k2_lake_put(commit->lake, p->snapshot.manifest_list, k2_buf_view(&bytes), err);
    k2_buf_done(&bytes);
    return ok;
}
