/* replay.c -- pins a snapshot, lets its files be loaded, and emits windows of rows in order. */
#include "query/replay.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/date.h"
#include "query/digest.h"
#include "query/replay_impl.h"

/* Rows that are handed on at once. */
enum { STRETCH = 2048 };

/* ---- which files ---- */

int k2_replay_predicates(const struct k2_replay_opts *o, struct k2_predicate *predicates) {
    const struct k2_kind_columns *c = &k2_kind_columns[o->schema->kind];
    int count = 0;
    if (o->symbol_count)
        predicates[count++] = (struct k2_predicate){
            .column = c->symbol, .value_count = o->symbol_count, .values = o->symbols};
    if (o->exchange.len)
        predicates[count++] =
            (struct k2_predicate){.column = c->exchange, .value_count = 1, .values = &o->exchange};
    /* Nanoseconds are cut off on both sides, so that no microsecond is left out that holds some. */
    if (o->has_from || o->has_to)
        predicates[count++] = (struct k2_predicate){.column = c->timestamp,
                                                    .has_low = o->has_from,
                                                    .has_high = o->has_to,
                                                    .low = o->from_ns / 1000 - 1,
                                                    .high = o->to_ns / 1000 + 1};
    return count;
}

/* Bounds of a file's times; a file without them may hold any. */
static void find_times(const struct k2_data_file *file, int32_t field, struct k2_replay_file *ret) {
    ret->low_us = INT64_MIN;
    ret->high_us = INT64_MAX;
    for (int i = 0; i < file->stats_count; i++) {
        const struct k2_column_stats *stats = &file->stats[i];
        if (stats->field_id != field || !stats->has_bounds)
            continue;
        if (stats->lower.len == 8)
            memcpy(&ret->low_us, stats->lower.ptr, 8);
        if (stats->has_upper && stats->upper.len == 8)
            memcpy(&ret->high_us, stats->upper.ptr, 8);
    }
}

static bool list_files(const struct k2_replay_opts *o, const struct k2_metadata *metadata,
                       const struct k2_scan *scan, struct k2_replay_file *files,
                       struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    K2_TRY(k2_metadata_field_ids(metadata, o->schema, ids, err));
    int32_t field = ids[k2_kind_columns[o->schema->kind].timestamp].id;
    for (int i = 0; i < scan->file_count; i++) {
        files[i] = (struct k2_replay_file){
            .uri = scan->files[i].path, .rows = scan->files[i].record_count, .done_us = INT64_MIN};
        find_times(&scan->files[i], field, &files[i]);
    }
    return true;
}

/* ---- emitting ---- */

bool k2_replay_is_asked_to_stop(const struct k2_replay *r) {
    return r->opts->stop && atomic_load_explicit(r->opts->stop, memory_order_relaxed);
}

/* False with an error; a reader that has enough only ends the replay. */
static bool hand_on(struct k2_replay *r, const struct k2_batch *batch, const uint32_t *rows,
                    uint32_t count, struct k2_err *err) {
    if (!r->each || r->each(r->self, batch, rows, count, err))
        return true;
    r->is_stopped = err->code == K2_CANCELLED;
    if (r->is_stopped)
        *err = (struct k2_err){0};
    return r->is_stopped;
}

bool k2_replay_idle(struct k2_replay *r, struct k2_err *err) {
    return hand_on(r, NULL, NULL, 0, err);
}

static bool emit(struct k2_replay *r, const uint32_t *rows, uint32_t count) {
    k2_digest_add(r->digest, r->window->batch, rows, count);
    r->rows += count;
    return hand_on(r, r->window->batch, rows, count, r->err) && !r->is_stopped;
}

static void finish_window(struct k2_replay *r) {
    r->is_done = r->window->is_last;
    k2_loader_return(r->loader, r->window);
    r->window = NULL;
    r->at = 0;
}

/* How many of the next count rows are due. Rows that come behind their time, such as those of a
 * late commit, are due at once. */
static uint32_t due_rows(struct k2_replay *r, uint32_t count) {
    if (r->opts->speed <= 0 || !count)
        return count;
    const int64_t *ts = r->window->ts + r->at;
    int64_t now = k2_now_ns(r->clock);
    if (!r->has_begun) {
        r->has_begun = true;
        r->start_ns = now;
        r->first_ns = ts[0];
    }
    double passed = (double)(now - r->start_ns) * r->opts->speed;
    uint32_t due = 0;
    while (due < count && (double)ts[due] - (double)r->first_ns <= passed)
        due++;
    return due;
}

/* One stretch of rows. Ends the agents' loop below 0, at the end, when stopped, or with an error.
 */
static int emit_some(void *self) {
    struct k2_replay *r = self;
    bool has_failed = false;
    if (k2_replay_is_asked_to_stop(r)) {
        r->is_stopped = true;
        return -1;
    }
    if (!r->window)
        r->window = k2_loader_take(r->loader, &has_failed);
    if (!r->window)
        return has_failed ? -1 : 0;
    uint32_t left = K2_MIN(r->window->ready - r->at, (uint32_t)STRETCH);
    uint32_t count = due_rows(r, left);
    if (left && !count)
        return k2_replay_idle(r, r->err) && !r->is_stopped ? 0 : -1;
    if (count && !emit(r, r->window->order + r->at, count))
        return -1;
    r->at += count;
    if (r->at == r->window->ready)
        finish_window(r);
    return r->is_done ? -1 : 1;
}

/* Loads and emits the rows of some files. */
static bool run_files(struct k2_replay *r, struct k2_replay_file *files, int count,
                      struct k2_err *err) {
    r->loader = k2_loader_new(r->opts, r->tables[0], files, count, r->strings);
    r->window = NULL;
    r->at = 0;
    r->is_done = false;
    r->err = err;
    bool ok = k2_loader_start(r->loader, err);
    if (ok) {
        struct k2_agent agent = {"replay", emit_some, r};
        struct k2_err loader_err = {0};
        atomic_bool is_over = false;
        k2_agents_run(&agent, 1, &is_over);
        bool is_loaded = k2_loader_stop(r->loader, &loader_err);
        ok = r->is_done || r->is_stopped;
        /* What stopped the emitter says more than that the loader was stopped. */
        if (!ok && !is_loaded && err->code == K2_OK)
            *err = loader_err;
    }
    k2_loader_free(r->loader);
    r->loader = NULL;
    return ok;
}

/* Keeps the files that a commit added, in their order. */
static void keep_added(struct k2_scan *scan, int64_t snapshot) {
    int kept = 0;
    for (int i = 0; i < scan->file_count; i++)
        if (scan->files[i].snapshot_id == snapshot)
            scan->files[kept++] = scan->files[i];
    scan->file_count = kept;
}

bool k2_replay_snapshot(struct k2_replay *r, int64_t snapshot, bool is_commit_only,
                        struct k2_err *err) {
    struct k2_predicate predicates[3];
    int predicate_count = k2_replay_predicates(r->opts, predicates);
    struct k2_scan scan = {0};
    K2_TRY(k2_table_scan(r->opts->lake, r->tables[0], r->opts->schema, snapshot, predicates,
                         predicate_count, &scan, err));
    if (is_commit_only)
        keep_added(&scan, snapshot);
    struct k2_replay_file *files =
        k2_new_array(struct k2_replay_file, (size_t)K2_MAX(scan.file_count, 1));
    r->snapshot_id = snapshot;
    r->snapshot_ms = k2_metadata_snapshot(r->tables[0], snapshot)->timestamp_ms;
    bool ok = list_files(r->opts, r->tables[0], &scan, files, err) &&
              (!scan.file_count || run_files(r, files, scan.file_count, err));
    k2_free(files);
    k2_scan_done(&scan);
    return ok;
}

/* ---- the whole ---- */

static void unpin(struct k2_replay *r) {
    for (size_t i = 0; i < K2_COUNT(r->tables); i++) {
        k2_metadata_unref(r->tables[i]);
        r->tables[i] = NULL;
    }
}

bool k2_replay_pin(struct k2_replay *r, struct k2_err *err) {
    const struct k2_schema *schema = r->opts->schema;
    char main[64];
    snprintf(main, sizeof main, "%s.%s", schema->table_namespace, schema->table_name);
    const char *names[] = {main, "ops.gaps", "ops.gap_events"};
    unpin(r);
    return k2_lake_load(r->opts->lake, names, K2_COUNT(names), r->tables, err);
}

/* *ret_snapshot 0: the table had none at that moment. */
static bool resolve(const struct k2_replay *r, int64_t *ret_snapshot, struct k2_err *err) {
    struct k2_as_of as_of;
    *ret_snapshot = 0;
    if (!r->tables[0])
        return true;
    K2_TRY(k2_as_of_find(r->tables, 1, r->opts->as_of, &as_of, err));
    const struct k2_snapshot *snapshot = k2_as_of_snapshot(r->tables[0], &as_of);
    *ret_snapshot = snapshot ? snapshot->snapshot_id : 0;
    return true;
}

static bool run(struct k2_replay *r, struct k2_replay_result *result, struct k2_err *err) {
    const struct k2_replay_opts *o = r->opts;
    int64_t snapshot = 0;
    K2_TRY(k2_replay_pin(r, err));
    K2_TRY(resolve(r, &snapshot, err));
    K2_TRY(!snapshot || k2_replay_snapshot(r, snapshot, false, err));
    K2_TRY(!o->follows || r->is_stopped || k2_replay_follow(r, err));
    if (r->snapshot_id)
        K2_TRY(k2_replay_judge(r, K2_REPLAY_LOOK_ROWS, result, err));
    result->is_stopped = r->is_stopped;
    result->is_complete &= !r->is_stopped;
    return true;
}

bool k2_replay_run(const struct k2_replay_opts *opts, k2_replay_fn *each, void *self,
                   struct k2_replay_result *ret_result, struct k2_err *err) {
    struct k2_replay_result result = {.is_complete = true};
    struct k2_replay r = {.opts = opts,
                          .clock = opts->clock ? opts->clock : k2_clock_real(),
                          .each = each,
                          .self = self};
    r.digest = k2_digest_new(opts->schema);
    *err = (struct k2_err){0};
    bool ok = run(&r, &result, err);
    result.rows = r.rows;
    result.snapshot_id = r.snapshot_id;
    result.digest = k2_digest_end(r.digest);
    k2_digest_free(r.digest);
    for (int i = 0; i < 2; i++)
        k2_intern_done(&r.strings[i]);
    unpin(&r);
    if (ok)
        *ret_result = result;
    return ok;
}
