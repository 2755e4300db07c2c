/* tables.c -- the list of tables SQL may name. */
#include "query/tables.h"

#include <strings.h>

/* In the order of the schemas: market_data, reference_data, ops. */
static const struct k2_sql_table tables[K2_SQL_TABLE_COUNT] = {
    [K2_SQL_TRADES] = {"market_data", "trades", 1, {K2_TRADE}, K2_PRUNE_ALL},
    [K2_SQL_QUOTES] = {"market_data", "quotes", 1, {K2_QUOTE}, K2_PRUNE_ALL},
    [K2_SQL_TRADES_FINAL] = {"market_data", "trades_final", 1, {K2_TRADE}, K2_PRUNE_KEYS},
    [K2_SQL_INSTRUMENTS] = {"reference_data", "instruments", 1, {K2_REFERENCE}, K2_PRUNE_KEYS},
    [K2_SQL_INSTRUMENTS_HISTORY] =
        {"reference_data", "instruments_history", 1, {K2_REFERENCE}, K2_PRUNE_ALL},
    [K2_SQL_GAPS] = {"ops", "gaps", 2, {K2_GAP, K2_GAP_EVENT}, K2_PRUNE_NONE},
    [K2_SQL_GAPS_FOUND] = {"ops", "gaps_found", 1, {K2_GAP}, K2_PRUNE_ALL},
    [K2_SQL_GAP_EVENTS] = {"ops", "gap_events", 1, {K2_GAP_EVENT}, K2_PRUNE_ALL},
    [K2_SQL_DEAD_LETTERS] = {"ops", "dead_letters", 1, {K2_DEAD_LETTER}, K2_PRUNE_ALL},
    [K2_SQL_COMMITS] = {"ops", "commits", 0, {0}, K2_PRUNE_NONE},
};

const struct k2_sql_table *k2_sql_table_of(int id) {
    K2_ASSERT(id >= 0 && id < K2_SQL_TABLE_COUNT);
    return &tables[id];
}

static bool is_same(struct k2_str text, const char *name) {
    return text.len == strlen(name) && strncasecmp(text.ptr, name, text.len) == 0;
}

int k2_sql_table_find(struct k2_str schema, struct k2_str name) {
    for (int i = 0; i < K2_SQL_TABLE_COUNT; i++)
        if (is_same(name, tables[i].name) && (!schema.len || is_same(schema, tables[i].schema)))
            return i;
    return -1;
}

const char *k2_sql_table_near(struct k2_str name) {
    const char *near = NULL;
    int best = 4;
    for (int i = 0; i < K2_SQL_TABLE_COUNT; i++) {
        int distance = k2_str_distance(name, k2_str_of(tables[i].name));
        if (distance < best) {
            best = distance;
            near = tables[i].name;
        }
    }
    return near;
}

void k2_sql_table_names(struct k2_buf *out) {
    for (int i = 0; i < K2_SQL_TABLE_COUNT; i++)
        k2_buf_printf(out, "%s%s", i ? ", " : "", tables[i].name);
}
