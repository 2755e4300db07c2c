/* pipeline_test.c -- from a memory log to tables in a memory store: what becomes of records. */
#include "support/pipeline_rig.h"

#include "base/file.h"
#include "base/random.h"

TEST(pipeline_commits_what_the_log_holds) {
    struct rig r;
    rig_open(&r);
    for (int n = 1; n <= 100; n++)
        put(&r, n % 2 ? "AAA" : "BBB", (n + 1) / 2, 1000);
    append(&r);
    open_pipeline(&r);
    settle(&r);
    CHECK(sums_of(&r, K2_TRADE).rows == 100);
    CHECK(sums_of(&r, K2_GAP).rows == 0 && sums_of(&r, K2_DEAD_LETTER).rows == 0);
    open_pipeline(&r);
    settle(&r);
    CHECK(sums_of(&r, K2_TRADE).rows == 100);
    rig_close(&r);
}

TEST(pipeline_finds_gap_fill_duplicate_late_conflict) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    for (int n = 1; n <= 10; n++)
        if (n != 4 && n != 5)
            put(&r, "AAA", n, 1000);
    append(&r);
    settle(&r);
    put(&r, "AAA", 5, 1000);  /* fills */
    put(&r, "AAA", 7, 1000);  /* a duplicate, committed before */
    put(&r, "AAA", 5, 1000);  /* a duplicate in this window */
    put(&r, "AAA", 9, 2000);  /* same number, other content */
    put(&r, "AAA", 11, 1200); /* moved by 20 % */
    put(&r, "AAA", 12, 0);    /* no price */
    append(&r);
    settle(&r);
    struct k2_pipeline_counts n;
    k2_pipeline_counts(r.pipeline, &n);
    CHECK(n.gaps == 1 && n.fills == 1 && n.duplicates == 2 && n.rejected == 2 && n.late == 0);
    struct sums trades = sums_of(&r, K2_TRADE);
    CHECK(trades.rows == 10);
    CHECK(trades.flags == (K2_FLAG_OUT_OF_ORDER | K2_FLAG_PRICE_MOVE));
    CHECK(sums_of(&r, K2_GAP).rows == 1 && sums_of(&r, K2_GAP_EVENT).rows == 1);
    CHECK(sums_of(&r, K2_DEAD_LETTER).rows == 2);
    rig_close(&r);
}

TEST(pipeline_flags_moves_beyond_what_is_set) {
    static const struct {
        int64_t ppm, cents;
        uint32_t flags;
    } cases[] = {
        {100000, 1100, 0}, {100000, 1101, K2_FLAG_PRICE_MOVE}, {100000, 899, K2_FLAG_PRICE_MOVE},
        {5000, 1005, 0},   {5000, 1006, K2_FLAG_PRICE_MOVE},   {0, 5000, 0}};
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        struct rig r;
        rig_open(&r);
        r.opts.price_move_ppm = cases[i].ppm;
        open_pipeline(&r);
        put(&r, "AAA", 1, 1000);
        put(&r, "AAA", 2, cases[i].cents);
        append(&r);
        settle(&r);
        CHECK(sums_of(&r, K2_TRADE).flags == cases[i].flags);
        rig_close(&r);
    }
}

TEST(pipeline_keeps_and_flags_what_is_late) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 50, 1000);
    put(&r, "AAA", 51, 1000);
    put(&r, "AAA", 7, 1000); /* below the first: in no gap, not there */
    put(&r, "AAA", 7, 1000); /* now it is */
    append(&r);
    settle(&r);
    struct k2_pipeline_counts n;
    k2_pipeline_counts(r.pipeline, &n);
    CHECK(n.late == 1 && n.duplicates == 1 && n.rows == 3);
    CHECK(sums_of(&r, K2_TRADE).flags == K2_FLAG_LATE);
    rig_close(&r);
}

TEST(pipeline_sets_undecodable_records_aside) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 1, 1000);
    append(&r);
    struct k2_err err = {0};
    struct k2_ticket ticket;
    struct k2_str values[] = {K2_STR(""), K2_STR("\0\0"), K2_STR("{\"a\":1}"),
                              K2_STR("\0\xff\xff\xff\xff"
                                     "abc"),
                              K2_STR("\0\0\0\0\1\x02")};
    for (size_t i = 0; i < K2_COUNT(values); i++) {
        struct k2_record record = {
            .log_partition = -1, .key = K2_STR("SIMX.AAA"), .value = values[i]};
        CHECK_OK(k2_log_write_raw(r.log, TOPIC, &record, 1, &ticket, &err));
        CHECK_OK(k2_log_wait(r.log, &ticket, &err));
    }
    put(&r, "AAA", 2, 1000);
    append(&r);
    settle(&r);
    CHECK(sums_of(&r, K2_TRADE).rows == 2 && sums_of(&r, K2_GAP).rows == 0);
    CHECK(sums_of(&r, K2_DEAD_LETTER).rows == K2_COUNT(values));
    struct k2_buf codes = {0};
    read_rows(&r, "ops.dead_letters", K2_DEAD_LETTER, add_codes, &codes);
    assert_string_equal(k2_buf_cstr(&codes), "EMPTY_VALUE BAD_FRAMING BAD_FRAMING SCHEMA_UNKNOWN "
                                             "DECODE_FAILED ");
    k2_buf_done(&codes);
    rig_close(&r);
}

TEST(pipeline_says_why_a_row_was_set_aside) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    struct k2_batch *b = r.batch;
    put(&r, "S1", 1, 1000);
    b->col[K2_TRADE_TIMESTAMP].i64[0] = -6000000000000000;
    put(&r, "S2", 1, 1000);
    b->col[K2_TRADE_NANOS].i32[1] = 1000;
    put(&r, "S3", 1, 1000);
    b->col[K2_TRADE_TIMESTAMP].i64[2] = DAY_US + 3600000000ll + 61000000;
    put(&r, "S 4", 1, 1000);
    put(&r, "S5", 1, 1000);
    b->col[K2_TRADE_QUANTITY].i64[4] = -1;
    put(&r, "S6", 1, 1000);
    b->col[K2_TRADE_EXCHANGE].u32[5] = k2_intern_add(&r.strings, K2_STR("NYSE"));
    put(&r, "S7", 0, 1000);
    put(&r, "S8", -3, 1000);
    put(&r, "AAA", 1, 1000);
    append(&r);
    settle(&r);
    struct k2_buf codes = {0};
    read_rows(&r, "ops.dead_letters", K2_DEAD_LETTER, add_codes, &codes);
    static const char *const expected[] = {"TIME_ABSURD ",      "TIME_IN_FUTURE ",
                                           "SYMBOL_MALFORMED ", "QUANTITY_NEGATIVE ",
                                           "TOPIC_MISMATCH ",   "NUMBER_NOT_POSITIVE "};
    for (size_t i = 0; i < K2_COUNT(expected); i++)
        if (!strstr(k2_buf_cstr(&codes), expected[i]))
            fail_msg("no %s in %s", expected[i], k2_buf_cstr(&codes));
    CHECK(sums_of(&r, K2_DEAD_LETTER).rows == 8 && sums_of(&r, K2_TRADE).rows == 1);
    k2_buf_done(&codes);
    rig_close(&r);
}

/* A key belongs to one log partition, and its text must be text. */
TEST(pipeline_sets_a_split_key_and_a_torn_text_aside) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 1234567, 1000);
    append(&r);
    struct k2_buf value = {0}, codes = {0};
    struct k2_record record = newest(&r, K2_STR("SIMX.AAA"), &value);
    settle(&r);
    record.log_partition = (record.log_partition + 1) % 4;
    append_raw(&r, record);
    size_t symbol = value.len;
    for (size_t i = 5; i + 3 < value.len; i++)
        if (memcmp(value.ptr + i, "AAA", 3) == 0)
            symbol = i;
    CHECK(symbol < value.len);
    value.ptr[symbol] = (char)0xff;
    record.log_partition = (record.log_partition + 3) % 4;
    append_raw(&r, record);
    settle(&r);
    read_rows(&r, "ops.dead_letters", K2_DEAD_LETTER, add_codes, &codes);
    if (!strstr(k2_buf_cstr(&codes), "KEY_SPLIT ") || !strstr(codes.ptr, "TEXT_MALFORMED "))
        fail_msg("%s", codes.ptr);
    CHECK(sums_of(&r, K2_DEAD_LETTER).rows == 2 && sums_of(&r, K2_TRADE).rows == 1);
    k2_buf_done(&value);
    k2_buf_done(&codes);
    rig_close(&r);
}

static bool find_restart(void *self, const struct k2_batch *rows) {
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct k2_str vendor = k2_batch_text(rows, K2_TRADE_VENDOR_DATA, i), key, value;
        struct k2_cursor cursor = {0};
        int64_t number = rows->col[K2_TRADE_SOURCE_SEQUENCE].i64[i] - 20241004 * K2_NUMBER_DAY, raw;
        bool is_numbered = false, is_odd = false;
        while (k2_map_next(vendor, &cursor, &key, &value)) {
            is_odd |= k2_str_is(key, "lot") && k2_str_is(value, "odd");
            is_numbered |= k2_str_is(key, "source_sequence") && k2_str_to_i64(value, &raw) &&
                           raw == number && raw <= 3;
        }
        *(int *)self += is_numbered && is_odd;
    }
    return true;
}

/* Numbers that fell by more than half while hours passed are a new session, not old records: they
 * move above the old ones, and what the venue said of the row stays. */
TEST(pipeline_takes_a_venue_that_counts_anew) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    for (int64_t n = 991; n <= 1000; n++)
        put(&r, "AAA", n, 1000);
    append(&r);
    r.clock.ns += 4 * 3600000000000ll;
    struct k2_str key = K2_STR("lot"), text = K2_STR("odd");
    for (int64_t n = 1; n <= 3; n++) {
        put(&r, "AAA", n, 1000);
        r.batch->col[K2_TRADE_TIMESTAMP].i64[n - 1] += 2 * 3600000000ll;
        r.batch->col[K2_TRADE_VENDOR_DATA].span[n - 1] = k2_batch_put_map(r.batch, &key, &text, 1);
        r.batch->col[K2_TRADE_VENDOR_DATA].valid[n - 1] = 1;
    }
    append(&r);
    settle(&r);
    struct k2_pipeline_counts n;
    int found = 0;
    k2_pipeline_counts(r.pipeline, &n);
    CHECK(n.rows == 13 && n.gaps == 0 && n.late == 0 && n.duplicates == 0 && n.rejected == 0);
    read_rows(&r, "market_data.trades", K2_TRADE, find_restart, &found);
    CHECK(found == 3);
    rig_close(&r);
}

TEST(pipeline_leaves_topics_alone_that_were_not_named) {
    struct rig r;
    rig_open(&r);
    put(&r, "AAA", 1, 1000);
    append(&r);
    r.opts.topics = "market.crypto.trades.simc, market.equities.quotes.simx";
    open_pipeline(&r);
    settle(&r);
    struct k2_pipeline_counts n;
    k2_pipeline_counts(r.pipeline, &n);
    CHECK(n.records == 0 && n.rows == 0);
    r.opts.topics = "market.crypto.trades.simc, " TOPIC;
    open_pipeline(&r);
    settle(&r);
    CHECK(sums_of(&r, K2_TRADE).rows == 1);
    rig_close(&r);
}

/* Producers come with schemas of their own; only so many plans are kept, none is forgotten. */
TEST(pipeline_decodes_by_any_number_of_schemas) {
    struct rig r;
    struct k2_err err = {0};
    enum { SCHEMAS = 40 };
    rig_open(&r);
    open_pipeline(&r);
    put(&r, "AAA", 1111111, 1000);
    append(&r);
    struct k2_buf value = {0}, json = {0};
    struct k2_record record = newest(&r, K2_STR("SIMX.AAA"), &value);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < SCHEMAS; i++) {
            uint32_t id;
            k2_buf_clear(&json);
            k2_schema_avro(k2_schema_of(K2_TRADE), &json);
            for (int n = 0; n <= i; n++)
                k2_buf_byte(&json, ' '); /* the same, but another text */
            CHECK_OK(k2_registry_register(r.registry, "x-value", k2_buf_view(&json), &id, &err));
            for (int byte = 0; byte < 4; byte++)
                value.ptr[1 + byte] = (char)(id >> (24 - 8 * byte));
            append_raw(&r, record);
        }
    settle(&r);
    struct k2_pipeline_counts n;
    k2_pipeline_counts(r.pipeline, &n);
    CHECK(n.rows == 1 && n.duplicates == 2 * SCHEMAS && n.rejected == 0);
    k2_buf_done(&value);
    k2_buf_done(&json);
    rig_close(&r);
}

/* A mixed stream, deterministic by seed: gaps, late records, duplicates, bad prices. */
static void mixed_stream(struct rig *r, uint64_t seed, int steps) {
    static const char *const symbols[] = {"AAA", "BBB", "CCC", "DDD", "EEE"};
    struct k2_random random;
    int64_t next[5] = {1, 1, 1, 1, 1};
    k2_random_seed(&random, seed);
    for (int i = 0; i < steps; i++) {
        uint64_t s = k2_random_below(&random, 5), what = k2_random_below(&random, 20);
        int64_t n = next[s];
        if (what == 0)
            n = next[s] += 3;
        else if (what == 1 && next[s] > 5)
            n -= 1 + (int64_t)k2_random_below(&random, 5);
        put(r, symbols[s], n, what == 2 ? -5 : 1000 + n % 300);
        next[s] = K2_MAX(next[s], n + 1);
        if (r->batch->rows == 50)
            append(r);
    }
    append(r);
}

static void compare_tables(struct rig *a, struct rig *b, bool with_numbers) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_GAP, K2_GAP_EVENT, K2_DEAD_LETTER};
    for (size_t i = 0; i < K2_COUNT(kinds); i++) {
        struct sums x = sums_of(a, kinds[i]), y = sums_of(b, kinds[i]);
        if (x.rows != y.rows || x.content != y.content || (with_numbers && x.numbers != y.numbers))
            fail_msg("%s: %lld rows against %lld", k2_schema_of(kinds[i])->table_name,
                     (long long)x.rows, (long long)y.rows);
    }
}

/* Contracts 3.2: one log, run whole, in random cuts with restarts, and a day later. */
TEST(pipeline_is_a_function_of_the_log) {
    const char *many = getenv("K2_TEST_SEEDS");
    uint64_t seeds = many ? strtoull(many, NULL, 10) : 4;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct rig whole, cut, later;
        rig_open(&whole);
        rig_open(&cut);
        rig_open(&later);
        mixed_stream(&whole, seed, 3000);
        mixed_stream(&cut, seed, 3000);
        mixed_stream(&later, seed, 3000);
        open_pipeline(&whole);
        settle(&whole);
        later.clock.ns += 86400ll * 1000000000;
        later.opts.commit_rows = 170;
        open_pipeline(&later);
        settle(&later);
        struct k2_random random;
        k2_random_seed(&random, seed + 100);
        for (int round = 0; round < 12; round++) {
            cut.opts.commit_rows = 20 + (int64_t)k2_random_below(&random, 400);
            open_pipeline(&cut);
            int64_t moved;
            struct k2_err err = {0};
            for (uint64_t steps = k2_random_below(&random, 3); steps; steps--)
                CHECK_OK(k2_pipeline_step(cut.pipeline, &moved, &err));
        }
        open_pipeline(&cut);
        settle(&cut);
        compare_tables(&whole, &cut, true);
        compare_tables(&whole, &later, true);
        rig_close(&whole);
        rig_close(&cut);
        rig_close(&later);
    }
}

/* What the state was read from does not show in any row, but in the platform's numbers: those that
 * dropped rows were given are not in the tables. */
TEST(pipeline_rebuilds_lost_state_from_the_tables) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig kept, lost;
        rig_open(&kept);
        rig_open(&lost);
        for (uint64_t part = 0; part < 6; part++) {
            struct k2_err err = {0};
            mixed_stream(&kept, seed * 10 + part, 300 + 300 * (int)part);
            mixed_stream(&lost, seed * 10 + part, 300 + 300 * (int)part);
            open_pipeline(&kept);
            open_pipeline(&lost);
            settle(&kept);
            settle(&lost);
            CHECK_OK(
                k2_store_list(k2_lake_store(lost.lake), "_k2/state", delete_state, &lost, &err));
        }
        compare_tables(&kept, &lost, false);
        rig_close(&kept);
        rig_close(&lost);
    }
}

/* Contracts 1.2: the second of two pipelines on one log cannot land. */
TEST(pipeline_of_two_writers_one_lands) {
    struct rig r;
    rig_open(&r);
    struct k2_err err = {0};
    int64_t moved;
    struct k2_pipeline *other = k2_pipeline_open(&r.opts, &err);
    open_pipeline(&r);
    for (int n = 1; n <= 500; n++)
        put(&r, "AAA", n, 1000);
    append(&r);
    usleep(25000);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(k2_pipeline_step(r.pipeline, &moved, &err));
        (void)!k2_pipeline_step(other, &moved, &err);
    }
    settle(&r);
    struct k2_err late = {0};
    bool landed = k2_pipeline_flush(other, &late);
    CHECK(!landed && late.code == K2_CONFLICT);
    CHECK(sums_of(&r, K2_TRADE).rows == 500);
    k2_pipeline_free(other);
    rig_close(&r);
}

/* ---- a log that lost records (docs/rules.md: log) ---- */

static bool see_gap(void *self, const struct k2_batch *rows) {
    struct {
        const char *code;
        int64_t rows, missing;
    } *seen = self;
    for (uint32_t i = 0; i < rows->rows; i++)
        if (k2_str_is(k2_batch_text(rows, K2_GAP_CODE, i), seen->code)) {
            seen->rows++;
            seen->missing += rows->col[K2_GAP_MISSING].i64[i];
        }
    return true;
}

/* Rows of ops.gaps with a code, and what they say is missing. */
static int64_t gaps_with(struct rig *r, const char *code, int64_t *ret_missing) {
    struct {
        const char *code;
        int64_t rows, missing;
    } seen = {.code = code};
    const char *name = "ops.gaps";
    const struct k2_metadata *metadata = NULL;
    struct k2_intern strings = {0};
    struct k2_err err = {0};
    CHECK_OK(k2_lake_load(r->lake, &name, 1, &metadata, &err));
    struct k2_read_opts read = {
        .metadata = metadata, .schema = k2_schema_of(K2_GAP), .columns = ~0u, .strings = &strings};
    CHECK_OK(k2_table_read(r->lake, &read, see_gap, &seen, &err));
    k2_metadata_unref(metadata);
    k2_intern_done(&strings);
    *ret_missing = seen.missing;
    return seen.rows;
}

static void keep_finding(void *self, bool is_note, const char *table, const char *text) {
    if (!is_note)
        k2_buf_printf(self, "%s: %s\n", table, text);
}

TEST(pipeline_verify_misses_a_dead_letter) {
    const char *names[] = {"market_data.trades", "ops.dead_letters"};
    const struct k2_metadata *before[2], *after[2];
    struct k2_verify_result result = {0};
    struct k2_buf found = {0};
    struct k2_verify_opts opts = {.report = keep_finding, .self = &found};
    struct k2_err err = {0};
    struct rig r;
    rig_open(&r);
    put_many(&r, 1, 100);
    open_pipeline(&r);
    settle(&r);
    CHECK_OK(k2_lake_load(r.lake, names, 2, before, &err));
    put(&r, "AAA", 101, -100);
    put(&r, "AAA", 102, 100);
    append(&r);
    settle(&r);
    CHECK_OK(k2_lake_load(r.lake, names, 2, after, &err));
    CHECK_OK(k2_lake_verify(r.lake, after, 2, &opts, &result, &err));
    CHECK(result.broken == 0);
    /* The ledger as it was before the reject: as if the letter had been lost. */
    const struct k2_metadata *mixed[] = {after[0], before[1]};
    CHECK_OK(k2_lake_verify(r.lake, mixed, 2, &opts, &result, &err));
    CHECK(result.broken == 1 && strstr(k2_buf_cstr(&found), "1 are lost"));
    k2_buf_done(&found);
    for (int i = 0; i < 2; i++) {
        k2_metadata_unref(before[i]);
        k2_metadata_unref(after[i]);
    }
    rig_close(&r);
}

TEST(pipeline_records_what_was_trimmed_unread) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_log_range ranges[4];
    int64_t keep[4], bytes, missing, lost = 0;
    rig_open(&r);
    put_many(&r, 1, 100);
    open_pipeline(&r);
    settle(&r);
    put_many(&r, 101, 500);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    for (int p = 0; p < 4; p++)
        keep[p] = ranges[p].end;
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, true, &bytes, &err));
    k2_pipeline_free(r.pipeline);
    r.pipeline = NULL;
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    for (int again = 0; again < 2; again++) {
        open_pipeline(&r);
        settle(&r);
        int64_t found = gaps_with(&r, "LOG_TRUNCATED", &missing);
        CHECK(found > 0 && found <= 4 && missing > 0);
        CHECK(again == 0 || missing == lost);
        lost = missing;
        CHECK(sums_of(&r, K2_TRADE).rows == 600 * 7 - lost);
    }
    CHECK(gaps_with(&r, "SEQUENCE", &missing) > 0 && missing == lost); /* by symbol as well */
    verify_lake(&r);
    rig_close(&r);
}

TEST(pipeline_accepts_another_log_when_told_to) {
    for (int is_state_lost = 0; is_state_lost < 2; is_state_lost++) {
        struct rig r;
        struct k2_err err = {0};
        int64_t missing;
        rig_open(&r);
        put_many(&r, 1, 100);
        open_pipeline(&r);
        settle(&r);
        k2_pipeline_free(r.pipeline);
        r.pipeline = NULL;
        k2_log_free(r.log);
        open_log(&r, "memory:");
        put_many(&r, 95, 20); /* six again, the rest goes on */
        open_pipeline(&r);
        settle(&r);
        CHECK(k2_pipeline_stopped(r.pipeline, &err) && err.code == K2_CONFLICT);
        CHECK(strstr(err.msg, "k2 log accept " TOPIC));
        CHECK(sums_of(&r, K2_TRADE).rows == 100 * 7);
        if (is_state_lost)
            CHECK_OK(k2_store_list(k2_lake_store(r.lake), "_k2/state", delete_state, &r, &err));
        r.opts.accept = TOPIC;
        open_pipeline(&r);
        struct k2_pipeline_counts counts;
        k2_pipeline_counts(r.pipeline, &counts);
        CHECK(counts.losses > 0 && counts.losses <= 4);
        settle(&r);
        r.opts.accept = NULL;
        open_pipeline(&r);
        settle(&r);
        CHECK(sums_of(&r, K2_TRADE).rows == 114 * 7);
        CHECK(gaps_with(&r, "LOG_REPLACED", &missing) == counts.losses && missing == 0);
        CHECK(gaps_with(&r, "SEQUENCE", &missing) == 0);
        verify_lake(&r);
        rig_close(&r);
    }
}

TEST(pipeline_goes_on_after_a_log_lost_its_end) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_buf kept = {0};
    char url[160], segment[300], control[300];
    int64_t missing;
    rig_open(&r);
    k2_log_free(r.log);
    const char *dir = test_dir();
    snprintf(url, sizeof url, "embedded:%s/log", dir);
    snprintf(segment, sizeof segment, "%s/log/" TOPIC "/%020d.seg", dir, 0);
    snprintf(control, sizeof control, "%s/log/" TOPIC "/control", dir);
    open_log(&r, url);
    put_many(&r, 1, 10);
    CHECK_OK(k2_file_read(segment, 1 << 20, &kept, &err));
    put_many(&r, 11, 10);
    open_pipeline(&r);
    settle(&r);
    k2_pipeline_free(r.pipeline);
    r.pipeline = NULL;
    k2_log_free(r.log);
    CHECK_OK(k2_file_replace(segment, k2_buf_view(&kept), &err)); /* an old copy put back */
    CHECK(unlink(control) == 0);
    open_log(&r, url);
    open_pipeline(&r);
    settle(&r);
    CHECK(k2_pipeline_stopped(r.pipeline, &err) && strstr(err.msg, "k2 log accept"));
    r.opts.accept = TOPIC;
    open_pipeline(&r);
    put_many(&r, 15, 16); /* the feed resends what it is not sure of */
    settle(&r);
    CHECK(sums_of(&r, K2_TRADE).rows == 30 * 7);
    CHECK(gaps_with(&r, "LOG_LOST", &missing) > 0 && missing == 0);
    CHECK(gaps_with(&r, "SEQUENCE", &missing) == 0);
    verify_lake(&r);
    k2_buf_done(&kept);
    rig_close(&r);
}
