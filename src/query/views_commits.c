/* views_commits.c -- ops.commits: the snapshots of all tables and what each commit did. */
#include "query/views.h"

static const char *const create =
    "CREATE OR REPLACE TABLE ops.commits (\"table\" VARCHAR, snapshot_id BIGINT, parent_id BIGINT, "
    "committed_at TIMESTAMP WITH TIME ZONE, operation VARCHAR, \"rows\" BIGINT, files BIGINT, "
    "duplicates BIGINT, late BIGINT, rejected BIGINT, skipped BIGINT, writer VARCHAR, "
    "moved VARCHAR)";

static void put_text(duckdb_appender appender, struct k2_str text) {
    if (text.ptr)
        duckdb_append_varchar_length(appender, text.ptr, text.len);
    else
        duckdb_append_null(appender);
}

static void put_number(duckdb_appender appender, struct k2_str text) {
    int64_t number;
    if (text.ptr && k2_str_to_i64(text, &number))
        duckdb_append_int64(appender, number);
    else
        duckdb_append_null(appender);
}

/* Counts of a commit stand in the summary of each table it changed; they are shown once, with the
 * table whose positions moved. */
static void put_commit(duckdb_appender appender, const struct k2_metadata *metadata,
                       const struct k2_snapshot *s) {
    static const char *const counts[] = {"k2.duplicates", "k2.late", "k2.rejected", "k2.skipped"};
    struct k2_str moved = k2_snapshot_summary(s, "k2.moved");
    put_text(appender, metadata->identifier);
    duckdb_append_int64(appender, s->snapshot_id);
    if (s->parent_id)
        duckdb_append_int64(appender, s->parent_id);
    else
        duckdb_append_null(appender);
    duckdb_append_timestamp(appender, (duckdb_timestamp){s->timestamp_ms * 1000});
    put_text(appender, k2_snapshot_summary(s, "operation"));
    put_number(appender, k2_snapshot_summary(s, "added-records"));
    put_number(appender, k2_snapshot_summary(s, "added-data-files"));
    for (size_t i = 0; i < K2_COUNT(counts); i++)
        put_number(appender, moved.ptr ? k2_snapshot_summary(s, counts[i]) : moved);
    put_text(appender, k2_snapshot_summary(s, "k2.writer"));
    put_text(appender, moved);
    duckdb_appender_end_row(appender);
}

bool k2_views_commits(struct k2_engine *engine, const struct k2_sources *sources,
                      struct k2_err *err) {
    K2_TRY(k2_engine_exec(engine, create, err));
    duckdb_appender appender = NULL;
    bool ok = duckdb_appender_create(k2_engine_connection(engine), "ops", "commits", &appender) ==
              DuckDBSuccess;
    for (int i = 0; ok && i < sources->commit_count; i++) {
        const struct k2_commit_source *c = &sources->commits[i];
        for (int j = 0; j < c->metadata->snapshot_count; j++)
            if (c->metadata->snapshots[j].timestamp_ms <= c->until_ms)
                put_commit(appender, c->metadata, &c->metadata->snapshots[j]);
    }
    ok = ok && duckdb_appender_close(appender) == DuckDBSuccess;
    if (!ok)
        k2_engine_error(engine, duckdb_appender_error(appender), err);
    duckdb_appender_destroy(&appender);
    return ok || k2_err_wrap(err, "make the table ops.commits");
}
