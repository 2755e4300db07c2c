/* prune_query_test.c -- a query that reads the files its conditions leave gives the answer of one
 * that reads all files, whatever the SQL around the conditions is.
 */
#include "base/alloc.h"
#include "base/date.h"
#include "query/query_impl.h"
#include "support/property.h"
#include "support/prune_lake.h"
#include "support/test.h"

/* ---- SQL made at random ---- */

struct maker {
    struct k2_random random;
    const struct k2_batch *rows;
    const char *table; /* name and dot before columns, or "" */
    struct k2_buf sql;
};

static uint64_t below(struct maker *m, uint64_t bound) {
    return k2_random_below(&m->random, bound);
}

static const char *one_of(struct maker *m, const char *const *texts, size_t count) {
    return texts[below(m, count)];
}
#define ONE_OF(m, ...)                                                                             \
    one_of(m, (const char *const[]){__VA_ARGS__},                                                  \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void put_text(struct maker *m, const char *text) {
    k2_buf_byte(&m->sql, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            k2_buf_byte(&m->sql, '\'');
        k2_buf_byte(&m->sql, (uint8_t)*text);
    }
    k2_buf_byte(&m->sql, '\'');
}

static void put_symbol(struct maker *m) {
    put_text(m, below(m, 12) ? one_of(m, prune_symbols, K2_COUNT(prune_symbols)) : "NOSUCH");
}

static void put_exchange(struct maker *m) {
    put_text(m, below(m, 8) ? one_of(m, prune_exchanges, K2_COUNT(prune_exchanges)) : "x");
}

static const char *operator_of(struct maker *m) {
    return ONE_OF(m, "=", "<", "<=", ">", ">=", "<>", "IS DISTINCT FROM");
}

/* A moment at or beside the time of a row, in one of the ways people write one. */
static void put_time(struct maker *m) {
    int64_t us = m->rows->col[K2_TRADE_TIMESTAMP].i64[below(m, m->rows->rows)];
    static const int64_t beside[] = {0, 0, 0, -1, 1, 1000000, -3600000000};
    us += beside[below(m, K2_COUNT(beside))];
    char utc[40], there[40], day[11];
    k2_us_to_iso(us, utc);
    k2_us_to_iso(us + 39600000000, there);
    utc[26] = there[26] = 0; /* without their Z */
    snprintf(day, sizeof day, "%.10s", utc);
    switch (below(m, 14)) {
    case 0: k2_buf_printf(&m->sql, "'%sZ'", utc); return;
    case 1: k2_buf_printf(&m->sql, "TIMESTAMPTZ '%s+00'", utc); return;
    case 2: k2_buf_printf(&m->sql, "'%s+11:00'", there); return;
    case 3: k2_buf_printf(&m->sql, "'%s+11:00'::TIMESTAMP WITH TIME ZONE", there); return;
    case 4: k2_buf_printf(&m->sql, "TIMESTAMP '%s'", utc); return;
    case 5: k2_buf_printf(&m->sql, "CAST('%s' AS TIMESTAMP)", utc); return;
    case 6: k2_buf_printf(&m->sql, "DATE '%s'", day); return;
    case 7: k2_buf_printf(&m->sql, "'%s'", day); return;
    case 8: k2_buf_printf(&m->sql, "'%s%03dZ'", utc, (int)below(m, 1000)); return;
    case 9: k2_buf_printf(&m->sql, "'%.19s'", utc); return;
    case 10: k2_buf_printf(&m->sql, "'%s'::TIMESTAMP_NS", utc); return;
    case 11: k2_buf_printf(&m->sql, "make_timestamptz(%lld)", (long long)us); return;
    case 12: k2_buf_printf(&m->sql, "TIMESTAMPTZ '%sZ' + INTERVAL 1 HOUR", utc); return;
    default:
        k2_buf_text(&m->sql, ONE_OF(m, "'epoch'", "'infinity'", "'-infinity'", "'1970-01-01'",
                                    "'9999-12-31'", "NULL", "'2014-03-10 24:00:00'",
                                    "'2014-03-10 00:00:60Z'", "'2014-3-9'", "' 2014-03-10 '",
                                    "'2014-03-10 01:00:00 UTC'", "'2014-03-10 01:00:00-00:30'",
                                    "'2014-03-10T01:00'", "'2014-03-10 1:02:03'",
                                    "'2014-03-10 01:00:00 Australia/Sydney'"));
    }
}

static void put_number(struct maker *m) {
    long long number = m->rows->col[K2_TRADE_SOURCE_SEQUENCE].i64[below(m, m->rows->rows)] - 1 +
                       (long long)below(m, 3);
    switch (below(m, 8)) {
    case 0: k2_buf_printf(&m->sql, "%lld.0", number); return;
    case 1: k2_buf_printf(&m->sql, "'%lld'", number); return;
    case 2: k2_buf_printf(&m->sql, "%lld + 0", number); return;
    case 3:
        k2_buf_text(&m->sql, ONE_OF(m, "9223372036854775807", "-9223372036854775808", "NULL",
                                    "9223372036854775808", "1e1", "4.5", "-0.5", "true",
                                    "100::TINYINT", "7::UBIGINT", "- 5", "+5", "- -5"));
        return;
    default: k2_buf_printf(&m->sql, "%lld", number); return;
    }
}

static const char *column(struct maker *m, const char *name) {
    static char text[64];
    bool is_loud = below(m, 6) == 0;
    snprintf(text, sizeof text, "%s%s", m->table, name);
    for (char *c = text; is_loud && *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    return text;
}

/* A comparison either way round. */
static void put_comparison(struct maker *m, const char *name, void (*put)(struct maker *)) {
    const char *op = operator_of(m);
    if (below(m, 2)) {
        k2_buf_printf(&m->sql, "%s %s ", column(m, name), op);
        put(m);
    } else {
        put(m);
        k2_buf_printf(&m->sql, " %s %s", op, column(m, name));
    }
}

static void put_between(struct maker *m, const char *name, void (*put)(struct maker *)) {
    k2_buf_printf(&m->sql, "%s %sBETWEEN ", column(m, name), below(m, 5) ? "" : "NOT ");
    put(m);
    k2_buf_text(&m->sql, " AND ");
    put(m);
}

static void put_in(struct maker *m, const char *name, void (*put)(struct maker *)) {
    k2_buf_printf(&m->sql, "%s %sIN (", column(m, name), below(m, 5) ? "" : "NOT ");
    for (uint64_t left = 1 + below(m, 3); left; left--) {
        put(m);
        k2_buf_text(&m->sql, left > 1 ? ", " : below(m, 10) ? ")" : ", NULL)");
    }
}

static void put_other(struct maker *m) {
    switch (below(m, 9)) {
    case 0: k2_buf_printf(&m->sql, "%s LIKE 'A%%'", column(m, "symbol")); return;
    case 1: k2_buf_printf(&m->sql, "upper(%s) = 'A'", column(m, "symbol")); return;
    case 2: k2_buf_printf(&m->sql, "%s > 'B'", column(m, "symbol")); return;
    case 3: k2_buf_printf(&m->sql, "%s = 'a' COLLATE NOCASE", column(m, "symbol")); return;
    case 4: k2_buf_printf(&m->sql, "%s IS NULL", column(m, "source_sequence")); return;
    case 5: k2_buf_printf(&m->sql, "%s = 'BUY'", column(m, "side")); return;
    case 6: k2_buf_printf(&m->sql, "%s < 0.001", column(m, "price")); return;
    case 7: k2_buf_printf(&m->sql, "%s = 3", column(m, "symbol")); return;
    default:
        k2_buf_printf(&m->sql, "%s = ", column(m, "symbol"));
        k2_buf_text(&m->sql, column(m, "exchange"));
        return;
    }
}

static void put_simple(struct maker *m) {
    switch (below(m, 11)) {
    case 0:
    case 1: put_comparison(m, "symbol", put_symbol); return;
    case 2: put_in(m, "symbol", put_symbol); return;
    case 3: put_comparison(m, "exchange", put_exchange); return;
    case 4: put_in(m, "exchange", put_exchange); return;
    case 5:
    case 6: put_comparison(m, "timestamp", put_time); return;
    case 7: put_between(m, "timestamp", put_time); return;
    case 8: put_comparison(m, "source_sequence", put_number); return;
    case 9: put_between(m, "source_sequence", put_number); return;
    default: put_other(m); return;
    }
}

/* Some conditions, most of them joined by AND; table is what columns are named after. */
static void put_where(struct maker *m, const char *table) {
    m->table = table;
    for (uint64_t left = 1 + below(m, 3); left; left--) {
        uint64_t how = below(m, 8);
        k2_buf_text(&m->sql, how == 0 ? "NOT (" : "(");
        put_simple(m);
        if (how == 1 || how == 2) {
            k2_buf_text(&m->sql, how == 1 ? " OR " : " AND ");
            put_simple(m);
        }
        k2_buf_text(&m->sql, left > 1 ? (below(m, 6) ? ") AND " : ") OR ") : ")");
    }
}

/* ---- what stands around the conditions ---- */

static void put_join(struct maker *m) {
    const char *type =
        ONE_OF(m, "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN");
    bool has_both = strcmp(type, "SEMI JOIN") != 0 && strcmp(type, "ANTI JOIN") != 0;
    k2_buf_printf(&m->sql,
                  "SELECT count(*) AS n, sum(a.log_offset) AS s%s FROM trades a %s trades b ON "
                  "a.symbol = b.symbol AND a.log_offset + 11 = b.log_offset WHERE ",
                  has_both ? ", sum(b.log_offset) AS t" : "", type);
    put_where(m, has_both && below(m, 2) ? "b." : "a.");
}

static void put_asof(struct maker *m) {
    k2_buf_printf(&m->sql,
                  "SELECT count(*) AS n, sum(a.source_sequence) AS s, sum(b.source_sequence) AS t "
                  "FROM trades a ASOF %sJOIN trades_final b ON a.symbol = b.symbol AND "
                  "a.log_offset >= b.log_offset WHERE ",
                  below(m, 2) ? "LEFT " : "");
    put_where(m, below(m, 2) ? "a." : "b.");
}

/* The two places may say the same or not: only what both say may leave out files. */
static void put_union(struct maker *m) {
    k2_buf_text(&m->sql, "SELECT log_offset FROM trades WHERE ");
    size_t start = m->sql.len;
    put_where(m, "");
    struct k2_buf again = {0};
    k2_buf_append(&again, m->sql.ptr + start, m->sql.len - start);
    k2_buf_text(&m->sql, " UNION ALL SELECT source_sequence FROM trades WHERE ");
    if (below(m, 2))
        k2_buf_str(&m->sql, k2_buf_view(&again));
    else
        put_where(m, "");
    k2_buf_text(&m->sql, " ORDER BY ALL");
    k2_buf_done(&again);
}

static void put_nested(struct maker *m) {
    k2_buf_text(&m->sql, "WITH c AS (SELECT * FROM trades WHERE ");
    put_where(m, "");
    k2_buf_text(&m->sql, below(m, 2) ? ") SELECT log_offset FROM c AS trades WHERE "
                                     : ") SELECT log_offset FROM (SELECT * FROM c) WHERE ");
    put_where(m, "");
    k2_buf_text(&m->sql, " ORDER BY ALL");
}

static void put_exists(struct maker *m) {
    k2_buf_printf(&m->sql, "SELECT log_offset FROM trades WHERE %sEXISTS (FROM trades t WHERE ",
                  below(m, 2) ? "" : "NOT ");
    put_where(m, below(m, 2) ? "t." : "trades.");
    k2_buf_text(&m->sql, " AND t.log_offset = trades.log_offset + 11) ORDER BY ALL");
}

static void put_plain(struct maker *m, const char *table) {
    k2_buf_printf(&m->sql, "SELECT log_offset, message_id FROM %s%s WHERE ", table,
                  ONE_OF(m, "", "", " AS t", " TABLESAMPLE 100%"));
    put_where(m, "");
    k2_buf_text(&m->sql,
                ONE_OF(m, "", "", " AND 1 = 1",
                       " QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY log_offset) < 3"));
    k2_buf_text(&m->sql, " ORDER BY log_offset");
    k2_buf_text(&m->sql, ONE_OF(m, "", "", " LIMIT 5"));
}

static void make_sql(struct maker *m) {
    k2_buf_clear(&m->sql);
    switch (below(m, 12)) {
    case 0: put_join(m); return;
    case 1: put_asof(m); return;
    case 2: put_union(m); return;
    case 3: put_nested(m); return;
    case 4: put_exists(m); return;
    case 5: put_plain(m, "trades_final"); return;
    case 6:
        k2_buf_text(&m->sql, "SELECT symbol, count(*) AS n, min(timestamp_ns) AS t FROM trades "
                             "WHERE ");
        put_where(m, "trades.");
        k2_buf_text(&m->sql, " GROUP BY symbol HAVING symbol <> 'B' ORDER BY ALL");
        return;
    default: put_plain(m, "trades"); return;
    }
}

/* ---- with and without ---- */

/* A plan in which no condition is looked at: that of SQL that names the same tables. */
static bool plan_all(void *self, const struct k2_gated *gated, struct k2_plan *ret_plan,
                     struct k2_err *err) {
    struct k2_query **query = self;
    struct k2_gated all;
    (void)gated;
    K2_TRY(k2_gate((*query)->engine, K2_STR("SELECT 1 FROM trades, trades_final"), &all, err));
    bool ok = k2_plan_make((*query)->lake, NULL, &all, ret_plan, err);
    k2_gated_done(&all);
    return ok;
}

struct answer {
    struct k2_buf bytes;
    struct k2_query_result result;
    struct k2_err err;
    bool ok;
};

static bool keep(void *self, const void *bytes, size_t len, struct k2_err *err) {
    (void)err;
    k2_buf_append(self, bytes, len);
    return true;
}

static void ask(struct k2_query *query, struct k2_str sql, struct answer *answer) {
    k2_buf_clear(&answer->bytes);
    answer->result = (struct k2_query_result){0};
    answer->err = (struct k2_err){0};
    answer->ok = k2_query_run(query, sql, K2_FORMAT_CSV, keep, &answer->bytes, &answer->result,
                              &answer->err);
}

struct both {
    struct k2_query *pruned, *whole;
    struct answer answers[2];
    int64_t files_left_out, answered, rows;
};

static void check_sql(struct both *b, const struct maker *m, int64_t seed, int64_t round) {
    struct answer *pruned = &b->answers[0], *whole = &b->answers[1];
    struct k2_str sql = k2_buf_view(&m->sql);
    ask(b->pruned, sql, pruned);
    ask(b->whole, sql, whole);
    bool is_same = pruned->ok == whole->ok;
    if (is_same && pruned->ok)
        is_same = k2_str_eq(k2_buf_view(&pruned->bytes), k2_buf_view(&whole->bytes));
    else if (is_same)
        is_same = pruned->err.code == whole->err.code;
    if (!is_same)
        fail_msg("seed %lld, round %lld: %.*s\n-- %lld of %lld files: %lld rows %s\n-- all files: "
                 "%lld rows %s",
                 (long long)seed, (long long)round, K2_FMT(sql), (long long)pruned->result.files,
                 (long long)pruned->result.files_all, (long long)pruned->result.rows,
                 pruned->err.msg, (long long)whole->result.rows, whole->err.msg);
    b->answered += whole->ok;
    b->rows += whole->result.rows;
    if (whole->ok)
        b->files_left_out += pruned->result.files_all - pruned->result.files;
}

static void open_both(struct both *b, struct lake *lake) {
    struct k2_err err = {0};
    struct k2_buf root = {0};
    atomic_bool is_enough = false;
    k2_query_read_ahead(lake->lake, K2_STR("SELECT 'x' FROM Trades, none"), &is_enough);
    struct k2_query_opts opts = {.lake = lake->lake, .begun = k2_query_begin(&err)};
    CHECK_OK(opts.begun != NULL);
    CHECK_OK(k2_plan_root(lake->lake, &root, &err));
    b->pruned = k2_query_open(&opts, &err);
    CHECK_OK(b->pruned != NULL);
    opts.begun = NULL;
    b->whole = k2_query_open_with(&opts, k2_buf_cstr(&root), plan_all, &b->whole, &err);
    CHECK_OK(b->whole != NULL);
    k2_buf_done(&root);
}

TEST(sql_wants_a_warehouse_of_files) {
    struct lake lake;
    struct k2_err err = {0};
    lake_open_at(&lake, 1, "memory:");
    struct k2_query_opts opts = {.lake = lake.lake, .begun = k2_query_begin(&err)};
    CHECK_OK(opts.begun != NULL);
    CHECK(!k2_query_open(&opts, &err) && err.code == K2_INVALID && strstr(err.msg, "warehouse"));
    lake_close(&lake);
}

/* Few rows in each file: then many values are the first or last of one. */
enum { ROWS = 200 };

TEST(queries_leave_out_nothing_that_was_asked_for) {
    struct lake lake;
    struct both both = {0};
    struct maker maker = {0};
    char warehouse[200];
    int64_t rounds = property_rounds(TEST_IS_SLOW ? 15 : 60), seed = property_seed();
    k2_random_seed(&maker.random, (uint64_t)seed);
    snprintf(warehouse, sizeof warehouse, "file:%s/warehouse", test_dir());
    lake_open_at(&lake, ROWS, warehouse);
    prune_fill(&lake, &maker.random, ROWS);
    maker.rows = lake.rows;
    open_both(&both, &lake);
    for (int64_t round = 0; round < rounds; round++) {
        make_sql(&maker);
        check_sql(&both, &maker, seed, round);
    }
    CHECK(both.answered > rounds / 2 && both.rows > rounds && both.files_left_out > rounds);
    k2_query_free(both.pruned);
    k2_query_free(both.whole);
    for (int i = 0; i < 2; i++)
        k2_buf_done(&both.answers[i].bytes);
    k2_buf_done(&maker.sql);
    lake_close(&lake);
}
