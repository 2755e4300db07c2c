/* views.h -- what a query sees of the tables: views over exactly the pinned files.
 *
 * Files are read by field id, never by name; the views add the derived columns. Invariants: a view
 * names its files one by one, nothing is found by looking into folders.
 */
#ifndef K2_QUERY_VIEWS_H
#define K2_QUERY_VIEWS_H

#include "base/arena.h"
#include "lake/table/table.h"
#include "query/engine.h"
#include "query/tables.h"

struct k2_source_column {
    int32_t field_id;
    struct k2_str name;
    const char *sql_type;
    bool is_foreign; /* added by others, not of K2's schema */
};
/* One stored table as pinned. A table that was never written has columns and no paths. */
struct k2_source {
    bool is_used;
    int path_count, column_count;
    struct k2_str *paths; /* absolute */
    struct k2_source_column *columns;
};
/* The snapshots `commits` lists: those of metadata up to until_ms. */
struct k2_commit_source {
    const struct k2_metadata *metadata; /* borrowed */
    int64_t until_ms;
};
struct k2_sources {
    struct k2_source kinds[K2_KIND_COUNT];
    struct k2_commit_source commits[K2_KIND_COUNT];
    int commit_count;
    int64_t files, files_all, snapshot_id;
    /* DuckDB computes the product of two decimal(18,8) in 18 digits, where a price times a quantity
     * overflows. A query that multiplies sees them as decimal(38,8). */
    bool is_wide;
    struct k2_arena arena; /* owns the strings and arrays above */
};

/* Fills columns from K2's schema; ids NULL: the ids a new table gets. */
void k2_source_columns(struct k2_source *source, const struct k2_schema *schema,
                       const struct k2_field_ids *ids, struct k2_arena *arena);
/* Makes the views of the SQL tables whose bit is set in tables. */
bool k2_views_make(struct k2_engine *engine, const struct k2_sources *sources, uint32_t tables,
                   struct k2_err *err) K2_MUST;

/* Appends the SELECT that reads a stored table. */
void k2_source_select(const struct k2_source *source, bool is_wide, struct k2_buf *sql);
/* Whether a SQL table's SELECT reads one stored table, once, and holds the reading of it: DuckDB
 * binds every view when it is made, so one less is made. The others read views k2.<data type>. */
bool k2_view_is_whole(int table);
/* Appends the SELECT of a SQL table. */
void k2_view_select(const struct k2_sources *sources, int table, struct k2_buf *sql);
/* Makes and fills the table ops.commits. */
bool k2_views_commits(struct k2_engine *engine, const struct k2_sources *sources,
                      struct k2_err *err) K2_MUST;

#endif
