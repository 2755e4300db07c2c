/* query_impl.h -- the inside of a query, for its own files and for tests that bring their own
 * files instead of a lake. */
#ifndef K2_QUERY_QUERY_IMPL_H
#define K2_QUERY_QUERY_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "query/format.h"
#include "query/plan.h"

/* Makes the plan of a gated statement; k2_plan_done frees it in any case. */
typedef bool k2_planner_fn(void *self, const struct k2_gated *gated, struct k2_plan *ret_plan,
                           struct k2_err *err);

struct k2_query {
    struct k2_engine *begun; /* started, not locked yet; NULL once the query is open */
    struct k2_engine *engine;
    pthread_mutex_t lock;     /* guards engine against a cancel while it is replaced */
    atomic_bool is_cancelled; /* from k2_query_cancel until the run it stops has ended */
    struct k2_query_limits limits;
    char *root;    /* folder of the tables' files */
    char *as_of;   /* NULL: now */
    char *private; /* folder of this query alone: spilled data, files on their way out; or NULL */
    char *spill;   /* folder private is made in; NULL: nothing may be spilled */
    bool has_out;  /* the engine may write into private/out */
    struct k2_lake *lake;
    k2_planner_fn *plan;
    void *plan_self;
};

/* As k2_query_open, with the files below root found by plan. lake may be NULL. */
struct k2_query *k2_query_open_with(const struct k2_query_opts *opts, const char *root,
                                    k2_planner_fn *plan, void *self, struct k2_err *err) K2_MUST;

/* One statement on its way through a query. */
struct k2_run {
    struct k2_query *query;
    struct k2_gated gated;
    struct k2_write_to {
        k2_write_fn *write;
        void *self;
    } to;
    enum k2_format format;
    struct k2_query_result result;
    struct k2_plan plan;
    /* What the SELECT yields. Columns the formats do not know, which must be cast to text first,
     * have type id DUCKDB_TYPE_INVALID. */
    struct k2_type_node *columns;
    int column_count;
    bool needs_wrap;         /* some column must be cast */
    struct k2_stream stream; /* of the user's own SELECT, from learning its columns until it runs */
    struct k2_arena arena;
};
/* Appends the SELECT to run: the user's own, or one over it that casts what must be cast, gives
 * every column a name of its own for Parquet, and stops after limit rows (0: none). */
bool k2_query_select(const struct k2_run *run, int64_t limit, struct k2_buf *sql,
                     struct k2_err *err) K2_MUST;
/* Gates text K2 has put round gated SQL: it must be one SELECT still and name the same tables. */
bool k2_query_regate(const struct k2_run *run, struct k2_str sql, struct k2_err *err) K2_MUST;

/* Writes the result as one Parquet file into the query's folder and streams it out. */
bool k2_query_parquet(struct k2_run *run, struct k2_err *err) K2_MUST;

#endif
