/* plan_test.c -- which conditions leave out files, and which must not. */
#include "query/plan.h"

#include <inttypes.h>

#include "support/test.h"

/* "symbol=A,B timestamp>=1 timestamp<=2": the predicates on kind, as text. */
static void describe(const struct k2_gated *gated, enum k2_kind kind, struct k2_buf *out) {
    struct k2_predicate p[K2_PLAN_PREDICATES_MAX];
    struct k2_arena arena = {0};
    int count = k2_plan_predicates(gated, kind, &arena, p);
    for (int i = 0; i < count; i++) {
        const char *name = k2_schema_of(kind)->columns[p[i].column].name;
        k2_buf_text(out, i ? " " : "");
        for (int j = 0; j < p[i].value_count; j++)
            k2_buf_printf(out, "%s%.*s", j ? "," : "", K2_FMT(p[i].values[j]));
        if (p[i].value_count)
            k2_buf_printf(out, "=%s", name);
        if (p[i].has_low)
            k2_buf_printf(out, "%" PRId64 "<=", p[i].low);
        if (!p[i].value_count)
            k2_buf_text(out, name);
        if (p[i].has_high)
            k2_buf_printf(out, "<=%" PRId64, p[i].high);
    }
    k2_arena_done(&arena);
}

static void check(struct k2_engine *engine, const char *sql, enum k2_kind kind,
                  const char *expected) {
    struct k2_err err = {0};
    struct k2_gated gated;
    struct k2_buf text = {0};
    if (!k2_gate(engine, k2_str_of(sql), &gated, &err))
        fail_msg("%s -> %s", sql, err.msg);
    describe(&gated, kind, &text);
    if (!k2_str_is(k2_buf_view(&text), expected))
        fail_msg("%s\n  got      %s\n  expected %s", sql, k2_buf_cstr(&text), expected);
    k2_gated_done(&gated);
    k2_buf_done(&text);
}

/* 2014-03-10T00:00:00Z is 1394409600000000 us; bounds of times are a microsecond wide. */
static const char *const cases[][2] = {
    {"SELECT * FROM trades WHERE symbol = 'A'", "A=symbol"},
    {"SELECT * FROM trades t WHERE 'A' = t.symbol AND T.EXCHANGE = 'X'", "A=symbol X=exchange"},
    {"SELECT * FROM trades WHERE symbol IN ('A', 'B')", "A,B=symbol"},
    {"SELECT * FROM trades WHERE (symbol = 'A' AND (exchange = 'X' AND price > 1))",
     "A=symbol X=exchange"},
    {"SELECT * FROM trades WHERE timestamp >= '2014-03-10'", "1394409599999999<=timestamp"},
    {"SELECT * FROM trades WHERE timestamp < '2014-03-10'::TIMESTAMPTZ",
     "timestamp<=1394409600000001"},
    {"SELECT * FROM trades WHERE TIMESTAMPTZ '2014-03-10 11:00:00+11:00' <= timestamp",
     "1394409599999999<=timestamp"},
    {"SELECT * FROM trades WHERE timestamp BETWEEN DATE '2014-03-10' AND '2014-03-10T00:00:01Z'",
     "1394409599999999<=timestamp<=1394409601000001"},
    {"SELECT * FROM trades WHERE timestamp = TIMESTAMP '2014-03-10 00:00:00'",
     "1394409599999999<=timestamp<=1394409600000001"},
    {"SELECT * FROM trades WHERE source_sequence > 5 AND source_sequence <= 9",
     "5<=source_sequence source_sequence<=9"},
    {"SELECT * FROM trades WHERE source_sequence > -5", "-5<=source_sequence"},
    {"SELECT * FROM trades WHERE source_sequence BETWEEN 5 AND 9", "5<=source_sequence<=9"},
    {"SELECT * FROM trades JOIN quotes q USING (symbol) WHERE trades.symbol = 'A'", "A=symbol"},
    {"SELECT * FROM quotes q LEFT JOIN trades t ON true WHERE t.symbol = 'A'", "A=symbol"},
    {"SELECT * FROM trades t ASOF JOIN quotes q ON t.timestamp >= q.timestamp WHERE t.symbol = 'A'",
     "A=symbol"},
    {"WITH a AS (SELECT * FROM trades WHERE symbol = 'A') SELECT * FROM a, a b", "A=symbol"},
    {"SELECT * FROM trades WHERE symbol = 'A' UNION ALL SELECT * FROM trades WHERE symbol = 'A'",
     "A=symbol"},
    {"SELECT * FROM trades_final WHERE symbol = 'A' AND timestamp > '2014-03-10'", "A=symbol"},
    {"SELECT (SELECT count(*) FROM trades WHERE symbol = 'A')", "A=symbol"},
    {"SELECT * FROM quotes WHERE EXISTS (FROM trades t WHERE t.symbol = 'A')", "A=symbol"},
    /* what proves nothing */
    {"SELECT * FROM trades", ""},
    {"SELECT * FROM trades WHERE symbol = 'A' OR symbol = 'B'", ""},
    {"SELECT * FROM trades WHERE NOT symbol = 'A'", ""},
    {"SELECT * FROM trades WHERE symbol <> 'A'", ""},
    {"SELECT * FROM trades WHERE symbol IS NOT DISTINCT FROM 'A'", ""},
    {"SELECT * FROM trades WHERE symbol NOT IN ('A')", ""},
    {"SELECT * FROM trades WHERE symbol > 'A'", ""},
    {"SELECT * FROM trades WHERE symbol LIKE 'A%'", ""},
    {"SELECT * FROM trades WHERE symbol = 'a' COLLATE NOCASE", ""},
    {"SELECT * FROM trades WHERE lower(symbol) = 'a'", ""},
    {"SELECT * FROM trades WHERE symbol = 5", ""},
    {"SELECT * FROM trades WHERE symbol IN ('A', NULL)", ""},
    {"SELECT * FROM trades WHERE symbol = NULL", ""},
    {"SELECT * FROM trades WHERE source_sequence > 1.5", ""},
    {"SELECT * FROM trades WHERE source_sequence > 99999999999999999999", ""},
    {"SELECT * FROM trades WHERE timestamp > now()", ""},
    {"SELECT * FROM trades WHERE timestamp > 'yesterday'", ""},
    {"SELECT * FROM trades WHERE timestamp > '2014-03-10 12:00:00'::DATE", ""},
    {"SELECT * FROM trades WHERE timestamp > TIMESTAMP '2014-03-10 00:00:00+05'", ""},
    {"SELECT * FROM trades a JOIN trades b USING (symbol) WHERE a.symbol = 'A'", ""},
    {"SELECT * FROM trades, quotes WHERE symbol = 'A'", ""},
    {"SELECT * FROM trades t(symbol, x) WHERE symbol = 'A'", ""},
    {"SELECT * FROM trades TABLESAMPLE 10% WHERE symbol = 'A'", ""},
    {"SELECT * FROM trades WHERE symbol = 'A' USING SAMPLE 10 ROWS", ""},
    {"SELECT * FROM trades t POSITIONAL JOIN quotes q WHERE t.symbol = 'A'", ""},
    {"SELECT * FROM quotes q ASOF JOIN trades t ON t.timestamp <= q.timestamp WHERE t.symbol = 'A'",
     ""},
    {"SELECT * FROM (SELECT * FROM trades) t WHERE symbol = 'A'", ""},
    {"SELECT * FROM trades QUALIFY symbol = 'A'", ""},
    {"SELECT symbol FROM trades GROUP BY symbol HAVING symbol = 'A'", ""},
    {"SELECT * FROM trades JOIN quotes q ON trades.symbol = 'A'", ""},
    {"SELECT * FROM trades WHERE symbol = 'A' UNION ALL SELECT * FROM trades WHERE symbol = 'B'",
     ""},
    {"SELECT * FROM trades WHERE symbol = 'A' UNION ALL SELECT * FROM trades_final", ""},
    {"SELECT * FROM quotes q WHERE symbol = (SELECT max(symbol) FROM trades WHERE q.symbol = 'A')",
     ""},
    {"PIVOT trades ON side IN ('BUY') USING count(*)", ""},
};

TEST(plan_finds_conditions_that_prune) {
    struct k2_engine_opts opts = {0};
    struct k2_err err = {0};
    struct k2_engine *engine = k2_engine_start(0, &err);
    CHECK_OK(engine && k2_engine_lock(engine, &opts, &err));
    for (size_t i = 0; i < K2_COUNT(cases); i++)
        check(engine, cases[i][0], K2_TRADE, cases[i][1]);
    check(engine, "SELECT * FROM gaps WHERE symbol = 'A'", K2_GAP, "");
    check(engine, "SELECT * FROM gaps WHERE symbol = 'A'", K2_GAP_EVENT, "");
    check(engine, "SELECT * FROM gaps_found WHERE symbol = 'A'", K2_GAP, "A=symbol");
    check(engine, "SELECT * FROM instruments WHERE symbol = 'A'", K2_REFERENCE, "A=symbol");
    k2_engine_free(engine);
}
