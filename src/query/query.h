/* query.h -- SQL over one pinned set of tables (docs/rules.md: time travel and readers).
 *
 * Invariants: a query pins all its tables in one catalog read and sees exactly their committed
 * rows; user SQL is one SELECT whose parse tree names only K2's tables, its own CTEs and allowed
 * functions; DuckDB only reads, and only the files of the pinned snapshots. Threads: a k2_query
 * belongs to one thread; k2_query_cancel may be called from any, also from a signal handler's
 * helper thread.
 */
#ifndef K2_QUERY_QUERY_H
#define K2_QUERY_QUERY_H

#include <stdatomic.h>

#include "base/err.h"
#include "lake/table/table.h"

struct k2_query_limits {
    int64_t timeout_ms; /* 0: none */
    int64_t rows;       /* 0: none; more rows are cut and said */
    int64_t memory;     /* bytes DuckDB may use */
};

enum k2_format {
    K2_FORMAT_TABLE,
    K2_FORMAT_CSV,
    K2_FORMAT_JSON,
    K2_FORMAT_NDJSON,
    K2_FORMAT_PARQUET,
    K2_FORMAT_ARROW
};
/* False for an unknown name. */
bool k2_format_parse(struct k2_str name, enum k2_format *ret_format);

struct k2_query;
struct k2_query_opts {
    struct k2_lake *lake; /* borrowed */
    const char *as_of;    /* as k2_as_of_find takes it; NULL: now */
    struct k2_query_limits limits;
    const char *spill; /* folder DuckDB may spill to; NULL: none */
    /* From k2_query_begin: opened, and freed if that fails; NULL: a new one. */
    struct k2_query *begun;
};
/* Starts the engine of a query to be opened. Nearly all the time of opening one goes into this, and
 * it needs no lake: another thread may open that meanwhile. Only k2_query_open and k2_query_free
 * may follow. */
struct k2_query *k2_query_begin(struct k2_err *err) K2_MUST;
/* Reads into what the lake keeps in memory, until *is_enough, what a plan for sql is likely to
 * need. Errors are left to the plan. Threads: any. */
void k2_query_read_ahead(struct k2_lake *lake, struct k2_str sql, const atomic_bool *is_enough);
/* Opens an engine and pins nothing yet. */
struct k2_query *k2_query_open(const struct k2_query_opts *opts, struct k2_err *err) K2_MUST;
void k2_query_free(struct k2_query *query);
/* As free, for a process that ends now: what is on disk is removed, DuckDB's memory is left to the
 * end of the process. */
void k2_query_leave(struct k2_query *query);

/* What a run did, for the line on stderr. */
struct k2_query_result {
    int64_t rows;
    bool is_cut; /* by limits.rows */
    int64_t files, files_all;
    int64_t snapshot_id; /* of the first main table used; 0: none */
};
/* Where output bytes go. */
typedef bool k2_write_fn(void *self, const void *bytes, size_t len, struct k2_err *err);
/* Gates, plans and runs one statement and streams its result in format. Errors: USAGE for SQL that
 * is not one SELECT or does not parse (with the place), DENIED for what the gate refuses, LIMIT for
 * memory, CANCELLED for a timeout or cancel, NOT_FOUND for a table or a snapshot. */
bool k2_query_run(struct k2_query *query, struct k2_str sql, enum k2_format format,
                  k2_write_fn *write, void *self, struct k2_query_result *ret_result,
                  struct k2_err *err) K2_MUST;
void k2_query_cancel(struct k2_query *query);

/* For programs that only query: bounds the address space of the whole process by what it has now,
 * three times memory, and some room. DuckDB's own limit does not count the values that expressions
 * make (repeat, range, ||); with this they end in LIMIT too, not in the kernel's hands. 0: no
 * bound. */
bool k2_query_confine(int64_t memory, struct k2_err *err) K2_MUST;

#endif
