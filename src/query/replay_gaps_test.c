/* replay_gaps_test.c -- when a replay may call itself complete. */
#include <stdlib.h>

#include "base/alloc.h"
#include "query/replay_impl.h"
#include "support/replay_lake.h"
#include "support/test.h"

enum { SECOND = 1000000000, GAPS_MAX = 128 };

struct ledger {
    struct k2_intern strings;
    struct k2_batch *gaps, *events;
};

static void ledger_open(struct ledger *l) {
    *l = (struct ledger){0};
    l->gaps = k2_batch_new(k2_schema_of(K2_GAP), GAPS_MAX, &l->strings);
    l->events = k2_batch_new(k2_schema_of(K2_GAP_EVENT), 8, &l->strings);
}

static void ledger_close(struct ledger *l) {
    k2_batch_free(l->gaps);
    k2_batch_free(l->events);
    k2_intern_done(&l->strings);
}

static uint32_t code_of(struct ledger *l, const char *text) {
    return k2_intern_add(&l->strings, k2_str_of(text));
}

static void put_position(struct ledger *l, struct k2_batch *b, uint32_t row) {
    b->col[b->schema->column_count - 3].u32[row] = code_of(l, "0123abcd");
    b->log_partition[row] = 0;
    b->log_offset[row] = row;
}

static void add_gap(struct ledger *l, const char *id, const char *code, const char *exchange,
                    const char *symbol, int64_t first, int64_t last) {
    struct k2_batch *b = l->gaps;
    uint32_t row = b->rows++;
    b->col[K2_GAP_ID].span[row] = k2_batch_put(b, k2_str_of(id));
    b->col[K2_GAP_EXCHANGE].u32[row] = code_of(l, exchange);
    b->col[K2_GAP_SYMBOL].u32[row] = code_of(l, symbol);
    b->col[K2_GAP_DATA_TYPE].u32[row] = code_of(l, "trades");
    b->col[K2_GAP_CODE].u32[row] = code_of(l, code);
    b->col[K2_GAP_FIRST_MISSING].i64[row] = first;
    b->col[K2_GAP_LAST_MISSING].i64[row] = last;
    b->col[K2_GAP_MISSING].i64[row] = last - first + 1;
    b->col[K2_GAP_SEVERITY].u8[row] = K2_SEVERITY_PAGE;
    b->col[K2_GAP_DETECTED_AT].i64[row] = LAKE_START_NS / 1000;
    b->col[K2_GAP_LOG_TOPIC].u32[row] = code_of(l, "market.crypto.trades.x");
    put_position(l, b, row);
}

static void add_event(struct ledger *l, const char *type, const char *id, int64_t first,
                      int64_t last) {
    struct k2_batch *b = l->events;
    uint32_t row = b->rows++;
    b->col[K2_GAP_EVENT_GAP_ID].span[row] = k2_batch_put(b, k2_str_of(id));
    b->col[K2_GAP_EVENT_TYPE].u32[row] = code_of(l, type);
    b->col[K2_GAP_EVENT_FIRST].i64[row] = first;
    b->col[K2_GAP_EVENT_LAST].i64[row] = last;
    b->col[K2_GAP_EVENT_AT].i64[row] = LAKE_START_NS / 1000;
    b->col[K2_GAP_EVENT_REASON].valid[row] = 0;
    b->col[K2_GAP_EVENT_REASON].span[row] = (struct k2_span){0};
    b->col[K2_GAP_EVENT_LOG_TOPIC].u32[row] = code_of(l, "market.crypto.trades.x");
    put_position(l, b, row);
}

/* Rows of symbols A (exchange X) and B (exchange Y): each number's time is as many seconds after
 * the start. Numbers 4, 5 and 6 of A are not there. */
static void commit_rows(struct lake *lake, const struct ledger *l, bool has_events) {
    uint32_t rows[32];
    for (int64_t n = 1; n <= 10; n++) {
        if (n < 4 || n > 6)
            rows_add(lake->rows, "A", "X", LAKE_START_NS + n * SECOND, n);
        rows_add(lake->rows, "B", "Y", LAKE_START_NS + n * SECOND, n);
    }
    for (uint32_t i = 0; i < lake->rows->rows; i++)
        rows[i] = i;
    lake_commit(lake, rows, lake->rows->rows, l->gaps->rows ? l->gaps : NULL,
                has_events ? l->events : NULL);
}

struct asked {
    const char *symbol, *exchange;
    int from, to; /* seconds; 0: none */
};

/* Looking for each gap's rows, and reading all of its symbol: one answer. */
static void check_both_ways(const struct k2_replay_opts *opts, const struct k2_replay_result *run) {
    static const int64_t look_rows[] = {1, INT64_MAX};
    struct k2_err err = {0};
    struct k2_replay r = {.opts = opts, .snapshot_id = run->snapshot_id};
    CHECK_OK(k2_replay_pin(&r, &err));
    r.snapshot_ms = k2_metadata_snapshot(r.tables[0], r.snapshot_id)->timestamp_ms;
    for (size_t i = 0; i < K2_COUNT(look_rows); i++) {
        struct k2_replay_result judged = {0};
        CHECK_OK(k2_replay_judge(&r, look_rows[i], &judged, &err));
        CHECK(judged.open_gaps == run->open_gaps);
    }
    for (size_t i = 0; i < K2_COUNT(r.tables); i++)
        k2_metadata_unref(r.tables[i]);
}

static int64_t open_gaps(struct lake *lake, struct asked asked, int64_t snapshot) {
    struct k2_err err = {0};
    struct k2_replay_result result = {0};
    struct k2_str symbol = k2_str_of(asked.symbol);
    char as_of[24];
    snprintf(as_of, sizeof as_of, "%lld", (long long)snapshot);
    struct k2_replay_opts opts = {.lake = lake->lake,
                                  .schema = k2_schema_of(K2_TRADE),
                                  .as_of = snapshot ? as_of : NULL,
                                  .symbols = &symbol,
                                  .symbol_count = asked.symbol != NULL,
                                  .has_from = asked.from != 0,
                                  .from_ns = LAKE_START_NS + (int64_t)asked.from * SECOND,
                                  .has_to = asked.to != 0,
                                  .to_ns = LAKE_START_NS + (int64_t)asked.to * SECOND};
    if (asked.exchange)
        opts.exchange = k2_str_of(asked.exchange);
    CHECK_OK(k2_replay_run(&opts, NULL, NULL, &result, &err));
    CHECK(result.is_complete == (result.open_gaps == 0));
    check_both_ways(&opts, &result);
    return result.open_gaps;
}

struct gap_case {
    struct asked asked;
    int64_t gaps;
};

static void check_cases(struct lake *lake, const struct gap_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int64_t gaps = open_gaps(lake, cases[i].asked, 0);
        if (gaps != cases[i].gaps)
            fail_msg("case %zu: %lld gaps", i, (long long)gaps);
    }
}

/* A gap counts for its symbol, from the row below it to the row above it. It does not matter how
 * many others there are: those of C, which has no rows, may have been at any time. */
TEST(a_gap_counts_where_its_rows_are_missing) {
    static const struct gap_case cases[] = {
        {{"A", NULL, 0, 0}, 1}, {{"B", NULL, 0, 0}, 0}, {{NULL, "X", 0, 0}, 1},
        {{NULL, "Y", 0, 0}, 0}, {{"A", "Y", 0, 0}, 0},  {{"A", NULL, 0, 3}, 0},
        {{"A", NULL, 0, 4}, 1}, {{"A", NULL, 5, 6}, 1}, {{"A", NULL, 7, 0}, 1},
        {{"A", NULL, 8, 0}, 0}, {{"B", NULL, 5, 6}, 0}, {{"NOSUCH", NULL, 5, 6}, 0}};
    for (int others = 0; others <= 100; others += 100) {
        struct lake lake;
        struct ledger l;
        lake_open(&lake, 32);
        ledger_open(&l);
        add_gap(&l, "X.A.trades.4", "SEQUENCE", "X", "A", 4, 6);
        for (int i = 0; i < others; i++) {
            char id[32];
            snprintf(id, sizeof id, "Z.C.trades.%d", i * 2);
            add_gap(&l, id, "SEQUENCE", "Z", "C", i * 2, i * 2);
        }
        commit_rows(&lake, &l, false);
        check_cases(&lake, cases, K2_COUNT(cases));
        CHECK(open_gaps(&lake, (struct asked){.from = 8}, 0) == others);
        CHECK(open_gaps(&lake, (struct asked){.from = 5, .to = 6}, 0) == others + 1);
        ledger_close(&l);
        lake_close(&lake);
    }
}

/* Rows whose numbers are next to a gap may be missing as well, without being gaps: rejected ones.
 * The nearest row may be far off, and in another commit. */
TEST(a_gap_lasts_to_the_next_row_however_far_its_number) {
    static const struct gap_case cases[] = {{{"A", NULL, 0, 2}, 0},   {{"A", NULL, 0, 3}, 1},
                                            {{"A", NULL, 40, 41}, 1}, {{"A", NULL, 50, 0}, 1},
                                            {{"A", NULL, 51, 0}, 0},  {{"A", NULL, 0, 51}, 1}};
    struct lake lake;
    struct ledger l;
    uint32_t rows[2] = {0, 1}, late[2] = {2, 3};
    lake_open(&lake, 8);
    ledger_open(&l);
    add_gap(&l, "X.A.trades.300", "SEQUENCE", "X", "A", 300, 310);
    rows_add(lake.rows, "A", "X", LAKE_START_NS + 1ll * SECOND, 1);
    rows_add(lake.rows, "A", "X", LAKE_START_NS + 50ll * SECOND, 90000000);
    lake_commit(&lake, rows, 2, l.gaps, NULL);
    rows_add(lake.rows, "A", "X", LAKE_START_NS + 2ll * SECOND, 2);
    rows_add(lake.rows, "A", "X", LAKE_START_NS + 60ll * SECOND, 90000001);
    lake_commit(&lake, late, 2, NULL, NULL);
    check_cases(&lake, cases, K2_COUNT(cases));
    ledger_close(&l);
    lake_close(&lake);
}

/* What was acknowledged is missing all the same; what was filled is not, from its commit on. */
TEST(a_gap_is_closed_by_fills_and_not_by_an_acknowledgement) {
    struct lake lake;
    struct ledger found, later;
    struct asked all = {0};
    lake_open(&lake, 64);
    ledger_open(&found);
    add_gap(&found, "X.A.trades.4", "SEQUENCE", "X", "A", 4, 6);
    add_event(&found, "ACK", "X.A.trades.4", 4, 6);
    add_event(&found, "FILL", "X.A.trades.4", 5, 5);
    commit_rows(&lake, &found, true);
    int64_t before = lake.snapshot_id;
    CHECK(open_gaps(&lake, all, 0) == 1);
    ledger_open(&later);
    uint32_t rows[2] = {lake.rows->rows, lake.rows->rows + 1};
    rows_add(lake.rows, "A", "X", LAKE_START_NS + 4ll * SECOND, 4);
    rows_add(lake.rows, "A", "X", LAKE_START_NS + 6ll * SECOND, 6);
    add_event(&later, "FILL", "X.A.trades.4", 6, 6);
    add_event(&later, "FILL", "X.A.trades.4", 4, 4);
    add_event(&later, "FILL", "Y.B.trades.1", 1, 9);
    lake_commit(&lake, rows, 2, NULL, later.events);
    CHECK(open_gaps(&lake, all, 0) == 0);
    CHECK(open_gaps(&lake, all, before) == 1);
    ledger_close(&found);
    ledger_close(&later);
    lake_close(&lake);
}

/* Records the log lost unread may be of any symbol and of any time, but of that exchange. */
TEST(what_the_log_lost_makes_its_exchange_incomplete) {
    static const char *const codes[] = {"LOG_TRUNCATED", "LOG_REPLACED", "LOG_LOST"};
    for (size_t i = 0; i < K2_COUNT(codes); i++) {
        struct lake lake;
        struct ledger l;
        lake_open(&lake, 32);
        ledger_open(&l);
        add_gap(&l, "market.crypto.trades.y/3.17", codes[i], "Y", "*", 17, 20);
        add_gap(&l, "X.A.trades.4", "SEQUENCE", "X", "A", 4, 6);
        commit_rows(&lake, &l, false);
        CHECK(open_gaps(&lake, (struct asked){0}, 0) == 2);
        CHECK(open_gaps(&lake, (struct asked){.symbol = "B"}, 0) == 1);
        CHECK(open_gaps(&lake, (struct asked){.symbol = "B", .from = 9}, 0) == 1);
        CHECK(open_gaps(&lake, (struct asked){.exchange = "Y", .to = 2}, 0) == 1);
        CHECK(open_gaps(&lake, (struct asked){.exchange = "X", .to = 2}, 0) == 0);
        CHECK(open_gaps(&lake, (struct asked){.exchange = "X"}, 0) == 1);
        ledger_close(&l);
        lake_close(&lake);
    }
}
