/* plan.h -- from the tables a query names to the files it reads.
 *
 * Invariants: all tables of a query are pinned in one catalog read; a file is left out only when
 * the WHERE of every place that names its table proves that no row of it can matter.
 */
#ifndef K2_QUERY_PLAN_H
#define K2_QUERY_PLAN_H

#include "query/gate.h"
#include "query/views.h"

/* Pins, resolves as_of (NULL: now) and prunes. On success or error k2_plan_done frees it. Errors:
 * NOT_FOUND for a snapshot, USAGE for an as_of that is none, those of the lake. */
struct k2_plan {
    struct k2_sources sources;
    uint32_t tables;                                   /* bit per enum k2_sql_table_id */
    const struct k2_metadata *metadata[K2_KIND_COUNT]; /* NULL: not used, or not there yet */
};
bool k2_plan_make(struct k2_lake *lake, const char *as_of, const struct k2_gated *gated,
                  struct k2_plan *ret_plan, struct k2_err *err) K2_MUST;
void k2_plan_done(struct k2_plan *plan);
/* Appends the folder all files of the lake lie in; INVALID when they lie elsewhere. */
bool k2_plan_root(struct k2_lake *lake, struct k2_buf *root, struct k2_err *err) K2_MUST;

enum { K2_PLAN_PREDICATES_MAX = 16 };
/* The conditions on a stored table that all places naming it share; 0 when there are none. Strings
 * are copied into arena. */
int k2_plan_predicates(const struct k2_gated *gated, enum k2_kind kind, struct k2_arena *arena,
                       struct k2_predicate ret_predicates[K2_PLAN_PREDICATES_MAX]);

#endif
