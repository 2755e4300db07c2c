/* engine.h -- one DuckDB instance in memory, locked down to reading, and what runs on it.
 *
 * Invariants: DuckDB sees the folders it was opened with and nothing else; no setting can change
 * after open; extensions are never loaded; times are UTC. One statement runs at a time. Threads: an
 * engine belongs to one thread, save k2_engine_cancel, which any thread may call.
 */
#ifndef K2_QUERY_ENGINE_H
#define K2_QUERY_ENGINE_H

#include <duckdb.h>

#include "base/err.h"
#include "base/str.h"

struct k2_engine_opts {
    const char *const *dirs; /* absolute folders whose files may be read */
    int dir_count;
    const char *out_dir; /* folder COPY may write into; NULL: none */
    const char *spill;   /* folder for what does not fit in memory; NULL: none */
    int64_t memory;      /* bytes; 0: DuckDB's own default */
};
struct k2_engine;
/* Starts DuckDB on so many threads (0: one per processor), which is nearly all of the time that
 * opening takes, and needs to know no folder yet. Free with k2_engine_free. Nothing but lock and
 * free may follow. */
struct k2_engine *k2_engine_start(int threads, struct k2_err *err) K2_MUST;
/* Locks what was started down to its folders, once. Strings are borrowed for the call. After an
 * error only free may follow. */
bool k2_engine_lock(struct k2_engine *engine, const struct k2_engine_opts *opts,
                    struct k2_err *err) K2_MUST;
void k2_engine_free(struct k2_engine *engine); /* NULL is fine */
/* As free, for a process that ends now: taking DuckDB apart is left to that, which is quicker. */
void k2_engine_leave(struct k2_engine *engine);
duckdb_connection k2_engine_connection(struct k2_engine *engine);
/* DuckDB has met an error of its own after which only a new engine works. */
bool k2_engine_is_broken(const struct k2_engine *engine);

/* Between begin and end a watchdog stops what runs when timeout_ms (0: none) are over or
 * k2_engine_cancel was called; a cancel that came before begin counts too. */
bool k2_engine_begin(struct k2_engine *engine, int64_t timeout_ms, struct k2_err *err) K2_MUST;
void k2_engine_end(struct k2_engine *engine);
void k2_engine_cancel(struct k2_engine *engine);
/* CANCELLED once the time is over or a cancel came. Cheap: call it per chunk of rows. */
bool k2_engine_check(struct k2_engine *engine, struct k2_err *err) K2_MUST;

/* Runs one statement of K2's own and drops its result. */
bool k2_engine_exec(struct k2_engine *engine, const char *sql, struct k2_err *err) K2_MUST;
/* Runs a statement of K2's own with text as $1; appends the varchar it yields. */
bool k2_engine_text(struct k2_engine *engine, const char *sql, struct k2_str text,
                    struct k2_buf *out, struct k2_err *err) K2_MUST;

/* Runs a COPY of K2's own; *ret_rows is how many rows it wrote. */
bool k2_engine_copy(struct k2_engine *engine, const char *sql, int64_t *ret_rows,
                    struct k2_err *err) K2_MUST;

/* A statement's rows, chunk by chunk, never more in memory than DuckDB needs. */
struct k2_stream {
    struct k2_engine *engine;
    duckdb_prepared_statement statement;
    duckdb_result result;
    bool has_result;
};
/* Prepares the one statement in sql; the caller has gated it. On error nothing is open. */
bool k2_stream_prepare(struct k2_stream *stream, struct k2_engine *engine, const char *sql,
                       struct k2_err *err) K2_MUST;
/* Starts it; afterwards stream->result has names and types. */
bool k2_stream_start(struct k2_stream *stream, struct k2_err *err) K2_MUST;
/* *ret_chunk NULL at the end; else the caller destroys it. */
bool k2_stream_next(struct k2_stream *stream, duckdb_data_chunk *ret_chunk,
                    struct k2_err *err) K2_MUST;
void k2_stream_done(struct k2_stream *stream);

/* Fills err from DuckDB's message "Binder Error: ...", on one line. */
void k2_engine_error(struct k2_engine *engine, const char *message, struct k2_err *err);

/* Appends text as an SQL literal, or name as a quoted identifier. */
void k2_sql_literal(struct k2_buf *out, struct k2_str text);
void k2_sql_name(struct k2_buf *out, struct k2_str name);
/* Appends a path as DuckDB's file functions want it: they take paths for patterns, and a bracket
 * round a special character makes it plain again. */
void k2_sql_plain_path(struct k2_buf *out, struct k2_str path);

#endif
