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

/* ---- as of ---- */

static bool is_digits(struct k2_str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

bool k2_as_of_resolve(const struct k2_metadata *metadata, const char *as_of, int64_t *ret_snapshot,
                      struct k2_err *err) {
    *ret_snapshot = metadata->current_snapshot_id;
    if (!as_of)
        return true;
    struct k2_str text = k2_str_of(as_of);
    int64_t id, ns;
    if (is_digits(text)) {
        if (!k2_str_to_i64(text, &id) || !k2_metadata_snapshot(metadata, id))
            return k2_err_set(err, K2_NOT_FOUND, "%.*s has no snapshot %s (see k2 table snapshots)",
                              K2_FMT(metadata->identifier), as_of);
        *ret_snapshot = id;
        return true;
    }
    const struct k2_ref *ref = k2_metadata_find_ref(metadata, text);
    if (ref) {
        *ret_snapshot = ref->snapshot_id;
        return true;
    }
    if (!k2_iso_to_ns(text, &ns, err)) {
        err->code = K2_USAGE;
        return k2_err_wrap(err, "--as-of \"%s\" is no snapshot id and no tag", as_of);
    }
    const struct k2_snapshot *snapshot = k2_metadata_snapshot_at(metadata, ns / 1000000);
    *ret_snapshot = snapshot ? snapshot->snapshot_id : 0;
    return true;
}

/* ---- which files ---- */

const struct k2_replay_columns *k2_replay_columns_of(enum k2_kind kind) {
    static const struct k2_replay_columns trades = {
        K2_TRADE_SYMBOL, K2_TRADE_EXCHANGE,        K2_TRADE_TIMESTAMP,
        K2_TRADE_NANOS,  K2_TRADE_SOURCE_SEQUENCE, K2_TRADE_PLATFORM_SEQUENCE};
    static const struct k2_replay_columns quotes = {
        K2_QUOTE_SYMBOL, K2_QUOTE_EXCHANGE,        K2_QUOTE_TIMESTAMP,
        K2_QUOTE_NANOS,  K2_QUOTE_SOURCE_SEQUENCE, K2_QUOTE_PLATFORM_SEQUENCE};
    return kind == K2_TRADE ? &trades : &quotes;
}

int k2_replay_predicates(const struct k2_replay_opts *o, struct k2_predicate *predicates) {
    const struct k2_replay_columns *c = k2_replay_columns_of(o->schema->kind);
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
    int32_t field = ids[k2_replay_columns_of(o->schema->kind)->timestamp].id;
    for (int i = 0; i < scan->file_count; i++) {
        files[i] = (struct k2_replay_file){
            .uri = scan->files[i].path, .rows = scan->files[i].record_count, .done_us = INT64_MIN};
        find_times(&scan->files[i], field, &files[i]);
    }
    return true;
}

/* ---- emitting ---- */

struct replay {
    const struct k2_replay_opts *opts;
    k2_replay_fn *each;
    void *self;
    struct k2_intern strings[2]; /* of the two windows */
    struct k2_digest *digest;
    struct k2_loader *loader;
    struct k2_window *window; /* being emitted */
    uint32_t at;              /* in it */
    int64_t rows;
    bool is_done;
    struct k2_err *err;
};

static bool emit(struct replay *r, const uint32_t *rows, uint32_t count) {
    k2_digest_add(r->digest, r->window->batch, rows, count);
    r->rows += count;
    return !r->each || r->each(r->self, r->window->batch, rows, count, r->err);
}

static void finish_window(struct replay *r) {
    r->is_done = r->window->is_last;
    k2_loader_return(r->loader, r->window);
    r->window = NULL;
    r->at = 0;
}

/* One stretch of rows. Ends the agents' loop below 0, at the end or with an error. */
static int emit_some(void *self) {
    struct replay *r = self;
    bool has_failed = false;
    if (r->opts->stop && atomic_load_explicit(r->opts->stop, memory_order_relaxed)) {
        k2_err_set(r->err, K2_CANCELLED, "stopped");
        return -1;
    }
    if (!r->window)
        r->window = k2_loader_take(r->loader, &has_failed);
    if (!r->window)
        return has_failed ? -1 : 0;
    uint32_t count = K2_MIN(r->window->ready - r->at, (uint32_t)STRETCH);
    if (count && !emit(r, r->window->order + r->at, count))
        return -1;
    r->at += count;
    if (r->at == r->window->ready)
        finish_window(r);
    return r->is_done ? -1 : 1;
}

/* Loads and emits the rows of some files. */
static bool run_files(struct replay *r, const struct k2_metadata *metadata,
                      struct k2_replay_file *files, int count, struct k2_err *err) {
    r->loader = k2_loader_new(r->opts, metadata, files, count, r->strings);
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
        ok = k2_loader_stop(r->loader, &loader_err) || r->is_done;
        /* What stopped the emitter says more than that the loader was stopped. */
        if (!r->is_done && err->code == K2_OK && !ok)
            *err = loader_err;
        ok = r->is_done;
    }
    k2_loader_free(r->loader);
    r->loader = NULL;
    return ok;
}

static bool run_snapshot(struct replay *r, const struct k2_metadata *metadata, int64_t snapshot,
                         struct k2_err *err) {
    struct k2_predicate predicates[3];
    int predicate_count = k2_replay_predicates(r->opts, predicates);
    struct k2_scan scan = {0};
    K2_TRY(k2_table_scan(r->opts->lake, metadata, r->opts->schema, snapshot, predicates,
                         predicate_count, &scan, err));
    struct k2_replay_file *files =
        k2_new_array(struct k2_replay_file, (size_t)K2_MAX(scan.file_count, 1));
    bool ok = list_files(r->opts, metadata, &scan, files, err) &&
              run_files(r, metadata, files, scan.file_count, err);
    k2_free(files);
    k2_scan_done(&scan);
    return ok;
}

bool k2_replay_run(const struct k2_replay_opts *opts, k2_replay_fn *each, void *self,
                   struct k2_replay_result *ret_result, struct k2_err *err) {
    char main[64];
    snprintf(main, sizeof main, "%s.%s", opts->schema->table_namespace, opts->schema->table_name);
    const char *names[] = {main, "ops.gaps", "ops.gap_events"};
    const struct k2_metadata *tables[3] = {0};
    struct k2_replay_result result = {.is_complete = true};
    K2_TRY(k2_lake_load(opts->lake, names, 3, tables, err));
    struct replay r = {.opts = opts, .each = each, .self = self};
    r.digest = k2_digest_new(opts->schema);
    bool ok = !tables[0] || k2_as_of_resolve(tables[0], opts->as_of, &result.snapshot_id, err);
    if (ok && result.snapshot_id)
        ok = run_snapshot(&r, tables[0], result.snapshot_id, err) &&
             k2_replay_judge(opts, tables[0], result.snapshot_id, tables[1], tables[2], &result,
                             err);
    result.rows = r.rows;
    result.digest = k2_digest_end(r.digest);
    k2_digest_free(r.digest);
    for (int i = 0; i < 2; i++)
        k2_intern_done(&r.strings[i]);
    for (int i = 0; i < 3; i++)
        k2_metadata_unref(tables[i]);
    if (ok)
        *ret_result = result;
    return ok;
}
