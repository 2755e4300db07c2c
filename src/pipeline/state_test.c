/* state_test.c -- what a pipeline that is opened again knows: from its state object and the records
 * behind it, by the settings those were taken with, or from the tables.
 */
#include "support/pipeline_rig.h"

static struct k2_pipeline_counts counts_of(struct rig *r) {
    struct k2_pipeline_counts counts;
    k2_pipeline_counts(r->pipeline, &counts);
    return counts;
}

static void append_instrument(struct rig *r, const char *symbol, const char *name,
                              bool may_be_negative) {
    struct k2_err err = {0};
    char topic[K2_TOPIC_MAX];
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_REFERENCE), 4, &r->strings);
    b->rows = 1;
    b->col[K2_REFERENCE_SYMBOL].u32[0] = k2_intern_add(&r->strings, k2_str_of(symbol));
    b->col[K2_REFERENCE_EXCHANGE].u32[0] = k2_intern_add(&r->strings, K2_STR("SIMX"));
    b->col[K2_REFERENCE_COMPANY_NAME].span[0] = k2_batch_put(b, k2_str_of(name));
    struct k2_str key = K2_STR("board"), text = K2_STR("main");
    b->col[K2_REFERENCE_VENDOR_DATA].span[0] = k2_batch_put_map(b, &key, &text, 1);
    b->col[K2_REFERENCE_VENDOR_DATA].valid[0] = 1;
    b->col[K2_REFERENCE_IS_ACTIVE].u8[0] = 1;
    b->col[K2_REFERENCE_MAY_BE_NEGATIVE].u8[0] = may_be_negative;
    CHECK_OK(k2_topic_name(b->schema, K2_EQUITIES, K2_STR("SIMX"), topic, &err));
    CHECK_OK(k2_log_append(r->log, topic, b, &err));
    k2_batch_free(b);
}

static void lose_state(struct rig *r) {
    struct k2_err err = {0};
    CHECK_OK(k2_store_list(k2_lake_store(r->lake), "_k2/state", delete_state, r, &err));
}

static void put_one(struct rig *r, const char *symbol, int64_t n, int64_t cents) {
    put(r, symbol, n, cents);
    append(r);
    settle(r);
}

/* ---- settings and reference data ---- */

TEST(state_names_the_instruments_that_may_be_negative) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    append_instrument(&r, "AAA", "A", true);
    settle(&r);
    for (int64_t n = 1; n <= 3; n++) {
        put_one(&r, "AAA", n, -5);
        open_pipeline(&r); /* knows it still */
    }
    CHECK(sums_of(&r, K2_TRADE).rows == 3 && sums_of(&r, K2_DEAD_LETTER).rows == 0);
    rig_close(&r);
}

/* The numbers of rows that are flagged as a move, each followed by a space. */
static bool see_moved(void *self, const struct k2_batch *rows) {
    for (uint32_t i = 0; i < rows->rows; i++)
        if (rows->col[K2_TRADE_FLAGS].u32[i] & K2_FLAG_PRICE_MOVE)
            k2_buf_printf(self, "%lld ", (long long)rows->col[K2_TRADE_SOURCE_SEQUENCE].i64[i]);
    return true;
}

/* A price of 2000 taken under the old settings, which the new ones would refuse: what is read again
 * to bring the state up to date gives what it gave. BBB moves in between, so that a newer state
 * object says the new settings and AAA's place still stands by its own. */
TEST(state_is_brought_up_to_date_by_its_own_settings) {
    for (int is_between = 0; is_between < 2; is_between++) {
        struct rig r;
        rig_open(&r);
        open_pipeline(&r);
        put_one(&r, "AAA", 1, 1000);
        put_one(&r, "BBB", 1, 1000);
        put(&r, "AAA", 2, 2000);
        r.batch->col[K2_TRADE_TIMESTAMP].i64[0] = r.clock.ns / 1000 + 30000000;
        append(&r);
        settle(&r);
        CHECK(sums_of(&r, K2_TRADE).rows == 3);
        r.opts.future_ms = 10;
        for (int again = 0; is_between && again < 2; again++) {
            open_pipeline(&r);
            put_one(&r, "BBB", 2 + again, 1000);
        }
        open_pipeline(&r);
        put_one(&r, "AAA", 3, 2000); /* no move from the last one */
        CHECK(counts_of(&r).rows == 1 && counts_of(&r).rejected == 0);
        struct k2_buf moved = {0};
        read_rows(&r, "market_data.trades", K2_TRADE, see_moved, &moved);
        assert_string_equal(k2_buf_cstr(&moved), "2 ");
        k2_buf_done(&moved);
        rig_close(&r);
    }
}

static int numbering_of_test(void *self, struct k2_str exchange) {
    (void)exchange;
    return *(const int *)self;
}

/* Numbers 2 to 4 were no gap when 5 came, and do not become one when it is read again. */
TEST(state_is_brought_up_to_date_by_its_own_numbering) {
    struct rig r;
    int numbering = K2_NUMBERING_RISING;
    rig_open(&r);
    r.opts.numbering = numbering_of_test;
    r.opts.settings = &numbering;
    open_pipeline(&r);
    put_one(&r, "AAA", 1, 1000);
    put_one(&r, "AAA", 5, 1000);
    numbering = K2_NUMBERING_DENSE;
    for (int again = 0; again < 2; again++) {
        open_pipeline(&r);
        put_one(&r, "AAA", 3 + again, 1000);
        CHECK(counts_of(&r).late == 1 && counts_of(&r).fills == 0);
    }
    put_one(&r, "AAA", 9, 1000); /* from here on it is */
    CHECK(counts_of(&r).gaps == 1);
    rig_close(&r);
}

/* ---- from the tables ---- */

static bool see_sessions(void *self, const struct k2_batch *rows) {
    int64_t *sum = self;
    for (uint32_t i = 0; i < rows->rows; i++)
        *sum += rows->col[K2_TRADE_SOURCE_SEQUENCE].i64[i] / K2_NUMBER_DAY == 20241004;
    return true;
}

/* A venue that began to count anew goes on in its new session, whatever the state is read from. */
TEST(state_keeps_the_session_of_a_venue_that_counts_anew) {
    for (int is_lost = 0; is_lost < 2; is_lost++) {
        struct rig r;
        int64_t moved = 0;
        rig_open(&r);
        open_pipeline(&r);
        put_one(&r, "AAA", 1000, 1000);
        r.clock.ns += 4 * 3600000000000ll;
        for (int64_t n = 1; n <= 6; n++) {
            put(&r, "AAA", n, 1000);
            r.batch->col[K2_TRADE_TIMESTAMP].i64[0] += 2 * 3600000000ll;
            append(&r);
            settle(&r);
            CHECK(counts_of(&r).late == 0 && counts_of(&r).gaps == 0);
            if (is_lost)
                lose_state(&r);
            open_pipeline(&r);
        }
        put(&r, "AAA", 3, 1000); /* a duplicate of the new session */
        r.batch->col[K2_TRADE_TIMESTAMP].i64[0] += 2 * 3600000000ll;
        append(&r);
        put_one(&r, "AAA", 1000, 1000); /* and one of the old, by its time */
        CHECK(counts_of(&r).duplicates == 2 && counts_of(&r).rows == 0);
        read_rows(&r, "market_data.trades", K2_TRADE, see_sessions, &moved);
        CHECK(moved == 6);
        rig_close(&r);
    }
}

TEST(state_keeps_the_newest_version_of_an_instrument) {
    for (int is_lost = 0; is_lost < 2; is_lost++) {
        struct rig r;
        rig_open(&r);
        for (int i = 0; i < 3; i++) {
            open_pipeline(&r);
            append_instrument(&r, "AAA", i < 2 ? "one" : "two", false);
            append_instrument(&r, "BBB", "other", false);
            settle(&r);
            if (is_lost)
                lose_state(&r);
        }
        CHECK(sums_of(&r, K2_REFERENCE).rows == 3);
        rig_close(&r);
    }
}

/* Also where nothing has moved since: the next commit of anything names the state that was made. */
TEST(state_made_from_the_tables_is_made_once) {
    struct rig r;
    struct k2_err err = {0};
    rig_open(&r);
    open_pipeline(&r);
    put_one(&r, "AAA", 1, 1000);
    put_one(&r, "BBB", 1, 1000);
    lose_state(&r);
    open_pipeline(&r);
    put_one(&r, "BBB", 2, 1000);
    const char *table = "market_data.trades";
    const struct k2_metadata *metadata = NULL;
    CHECK_OK(k2_lake_load(r.lake, &table, 1, &metadata, &err));
    const char *keys[] = {"SIMX.AAA", "SIMX.BBB"};
    for (int i = 0; i < 2; i++) {
        struct k2_position position;
        struct k2_buf object = {0};
        bool found;
        char path[128];
        int p = (int)k2_key_partition(k2_str_of(keys[i]), 4);
        CHECK_OK(k2_position_find(metadata, TOPIC, p, &found, &position, &err));
        snprintf(path, sizeof path, "_k2/state/%s", position.state);
        CHECK(found && position.next == i + 1);
        CHECK_OK(k2_store_get(k2_lake_store(r.lake), path, &object, &err));
        k2_buf_done(&object);
    }
    k2_metadata_unref(metadata);
    CHECK(k2_key_partition(K2_STR("SIMX.AAA"), 4) != k2_key_partition(K2_STR("SIMX.BBB"), 4));
    rig_close(&r);
}

/* However many gaps a key ever had: the open ones are known. */
TEST(state_made_from_the_tables_knows_the_open_gaps_among_many) {
    enum { GAPS = 1100 };
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 1, 1000);
    for (int64_t i = 1; i <= GAPS; i++) {
        put(&r, "AAA", 2 * i + 1, 1000);
        if (i > 1 && i < GAPS)
            put(&r, "AAA", 2 * i, 1000);
    }
    append(&r);
    settle(&r);
    CHECK(counts_of(&r).gaps == GAPS && counts_of(&r).fills == GAPS - 2);
    lose_state(&r);
    open_pipeline(&r);
    put_one(&r, "AAA", 2, 1000);
    put_one(&r, "AAA", 2 * GAPS, 1000);
    CHECK(counts_of(&r).fills == 2 && counts_of(&r).late == 0);
    rig_close(&r);
}
