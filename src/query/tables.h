/* tables.h -- the tables SQL may name, and the stored tables each of them is made of. */
#ifndef K2_QUERY_TABLES_H
#define K2_QUERY_TABLES_H

#include "market/schema.h"

enum k2_sql_table_id {
    K2_SQL_TRADES,
    K2_SQL_QUOTES,
    K2_SQL_TRADES_FINAL,
    K2_SQL_INSTRUMENTS,
    K2_SQL_INSTRUMENTS_HISTORY,
    K2_SQL_GAPS,
    K2_SQL_GAPS_FOUND,
    K2_SQL_GAP_EVENTS,
    K2_SQL_DEAD_LETTERS,
    K2_SQL_COMMITS,
    K2_SQL_TABLE_COUNT,
};

/* Which conditions on the SQL table hold for the rows of its first stored table as well, so that
 * files without matching rows may be left out. */
enum k2_sql_pruning {
    K2_PRUNE_NONE,
    K2_PRUNE_KEYS, /* symbol and exchange only: the view relates rows of different times */
    K2_PRUNE_ALL,
};

struct k2_sql_table {
    const char *schema, *name;
    int kind_count;
    enum k2_kind kinds[2];
    enum k2_sql_pruning pruning;
};

/* The row of a table by its number in the enum. */
const struct k2_sql_table *k2_sql_table_of(int id);
/* By name, upper or lower case; schema empty: looked for in market_data, reference_data, ops. -1
 * when there is none. */
int k2_sql_table_find(struct k2_str schema, struct k2_str name);
/* The nearest name for "did you mean", or NULL; and all names, for messages. */
const char *k2_sql_table_near(struct k2_str name);
void k2_sql_table_names(struct k2_buf *out);

#endif
