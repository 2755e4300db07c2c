/* feed_test.c -- files good and bad, and the simulator against a recount of what it gave. */
#include "feed/feed.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/zone.h"
#include "support/test.h"

/* What came out of a feed. */
struct heard {
    int64_t rows, events, raw, batches;
    uint64_t hash;
    struct k2_buf errors;
    int64_t first_us, first_price, first_number;
    char symbol[64], topic[200];
};

static bool hear_batch(void *self, const char *topic, struct k2_batch *batch, struct k2_err *err) {
    struct heard *h = self;
    (void)err;
    h->batches++;
    if (batch->schema->kind == K2_EVENT) {
        for (uint32_t i = 0; i < batch->rows; i++) {
            k2_buf_str(&h->errors, k2_batch_text(batch, K2_EVENT_ERROR_CODE, i));
            k2_buf_byte(&h->errors, ' ');
        }
        h->events += batch->rows;
        return true;
    }
    if (!h->rows && batch->schema->kind == K2_TRADE) {
        h->first_us = batch->col[K2_TRADE_TIMESTAMP].i64[0];
        h->first_price = batch->col[K2_TRADE_PRICE].i64[0];
        h->first_number = batch->col[K2_TRADE_PLATFORM_SEQUENCE].i64[0];
        snprintf(h->symbol, sizeof h->symbol, "%s",
                 k2_intern_str(batch->strings, batch->col[K2_TRADE_SYMBOL].u32[0]).ptr);
        snprintf(h->topic, sizeof h->topic, "%s", topic);
    }
    h->rows += batch->rows;
    if (batch->schema->kind == K2_TRADE)
        for (uint32_t i = 0; i < batch->rows; i++)
            h->hash += k2_hash64(&batch->col[K2_TRADE_PRICE].i64[i], 8) *
                           (uint64_t)batch->col[K2_TRADE_TIMESTAMP].i64[i] +
                       (uint64_t)batch->col[K2_TRADE_SOURCE_SEQUENCE].i64[i];
    return true;
}

static bool hear_raw(void *self, const char *topic, struct k2_record *records, int count,
                     struct k2_err *err) {
    (void)topic, (void)records, (void)err;
    ((struct heard *)self)->raw += count;
    return true;
}

static void forget(struct heard *h) {
    k2_buf_done(&h->errors);
    *h = (struct heard){0};
}

static bool read_file(const char *path, const char *layout, const char *symbol, struct heard *h,
                      struct k2_err *err) {
    struct k2_feed_out out = {h, hear_batch, hear_raw, NULL};
    struct k2_csv_result result;
    struct k2_csv_opts opts = {
        .layout = layout, .symbol = symbol, .sequence_start = 1, .clock = k2_clock_real()};
    return k2_csv_read(path, &opts, &out, &result, err);
}

static const char *write_file(const char *name, struct k2_str bytes) {
    static char path[300];
    struct k2_err err = {0};
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    CHECK_OK(k2_file_replace(path, bytes, &err));
    return path;
}

#define HEADER "symbol,exchange,timestamp,price,quantity\n"

TEST(csv_takes_every_line_end_and_a_bom) {
    static const char *const files[] = {
        (HEADER "A,NYSE,2024-01-02T03:04:05Z,1.5,10\nB,NYSE,2024-01-02T03:04:05Z,2,1\n"),
        ("\xef\xbb\xbf" HEADER "A,NYSE,2024-01-02T03:04:05Z,1.5,10\r\nB,NYSE,2024-01-02,2,1"),
        ("price,\"symbol\",exchange,quantity,timestamp\n"
         "1.5,\"A\",\"NYSE\",10,2024-01-02T03:04:05Z\n2,B,NYSE,1,2024-01-02\n\n")};
    for (size_t i = 0; i < K2_COUNT(files); i++) {
        struct heard h = {0};
        struct k2_err err = {0};
        CHECK_OK(read_file(write_file("t.csv", k2_str_of(files[i])), "k2-trades", NULL, &h, &err));
        CHECK(h.rows == 2 && h.events == 0);
        CHECK(h.first_price == 150000000 && h.first_us == 1704164645000000);
        CHECK(h.first_number == 2024010200000000001);
        assert_string_equal(h.topic, "market.equities.trades.nyse");
        forget(&h);
    }
}

TEST(csv_sets_bad_lines_aside) {
    static const char text[] = HEADER "A,NYSE,2024-01-02T03:04:05Z,abc,10\n"
                                      "A,NYSE,2024-01-02T03:04:05Z,1\n"
                                      "A,NYSE,2024-13-02T03:04:05Z,1,1\n"
                                      "A,NYSE,2024-01-02T03:04:05Z,12345678901,1\n"
                                      "A\xff,NYSE,2024-01-02T03:04:05Z,1,1\n"
                                      "A\0,NYSE,2024-01-02T03:04:05Z,1,1\n"
                                      "A,N/SE,2024-01-02T03:04:05Z,1,1\n"
                                      ",NYSE,2024-01-02T03:04:05Z,1,1\n"
                                      "\"A,NYSE,2024-01-02T03:04:05Z,1,1\n"
                                      "A,NYSE,2024-01-02T03:04:05Z,1,1\n";
    struct heard h = {0};
    struct k2_err err = {0};
    struct k2_str bytes = {text, sizeof text - 1};
    CHECK_OK(read_file(write_file("bad.csv", bytes), "k2-trades", NULL, &h, &err));
    CHECK(h.rows == 1 && h.events == 9);
    assert_string_equal(k2_buf_cstr(&h.errors), "NUMBER COLUMN_COUNT TIME NUMBER_RANGE UTF8 "
                                                "NUL_BYTE EXCHANGE SYMBOL QUOTES ");
    forget(&h);
}

/* Counts rows that hold a source sequence, an id or a currency. */
static bool hear_optional(void *self, const char *topic, struct k2_batch *batch,
                          struct k2_err *err) {
    int64_t *counts = self; /* rows, and those with such a value */
    (void)topic, (void)err;
    if (batch->schema->kind != K2_TRADE)
        return true;
    counts[0] += batch->rows;
    for (uint32_t i = 0; i < batch->rows; i++)
        counts[1] += batch->col[K2_TRADE_SOURCE_SEQUENCE].valid[i] ||
                     batch->col[K2_TRADE_SOURCE_SEQUENCE].i64[i] ||
                     batch->col[K2_TRADE_ID].span[i].len ||
                     k2_batch_text(batch, K2_TRADE_CURRENCY, i).len;
    return true;
}

/* What a row does not say is empty in it, whatever the rows of its place before said: a bad one,
 * and those of the batch before. */
TEST(csv_rows_hold_nothing_of_other_rows) {
    enum { FULL = 20000, BARE = 20000 };
    struct k2_buf text = {0};
    k2_buf_text(&text, "symbol,exchange,timestamp,trade_id,currency,source_sequence,price,"
                       "quantity\n");
    for (int i = 0; i < FULL + BARE; i++)
        if (i % 2 || i < FULL)
            k2_buf_printf(&text, "A,NYSE,2024-01-02T03:04:05Z,id,USD,%d,%s,1\n", i + 1,
                          i % 2 ? "bad" : "1");
        else
            k2_buf_text(&text, "A,NYSE,2024-01-02T03:04:05Z,,,,1,1\n");
    int64_t counts[2] = {0};
    struct k2_err err = {0};
    struct k2_feed_out out = {counts, hear_optional, hear_raw, NULL};
    struct k2_csv_result result;
    struct k2_csv_opts opts = {
        .layout = "k2-trades", .sequence_start = 1, .clock = k2_clock_real()};
    const char *path = write_file("rows.csv", k2_buf_view(&text));
    CHECK_OK(k2_csv_read(path, &opts, &out, &result, &err));
    CHECK(counts[0] == (FULL + BARE) / 2 && counts[1] == FULL / 2);
    CHECK(result.events == (FULL + BARE) / 2);
    k2_buf_done(&text);
}

TEST(csv_passes_over_lines_without_end) {
    struct k2_buf text = {0};
    struct heard h = {0};
    struct k2_err err = {0};
    k2_buf_text(&text, HEADER);
    for (int i = 0; i < 5 << 20; i++)
        k2_buf_byte(&text, 'x');
    k2_buf_text(&text, "\nA,NYSE,2024-01-02T03:04:05Z,1,1\n");
    CHECK_OK(read_file(write_file("long.csv", k2_buf_view(&text)), "k2-trades", NULL, &h, &err));
    CHECK(h.rows == 1 && h.events == 1);
    assert_string_equal(k2_buf_cstr(&h.errors), "LINE_TOO_LONG ");
    k2_buf_done(&text);
    forget(&h);
}

static struct k2_buf many_lines(void) {
    struct k2_buf text = {0};
    k2_buf_text(&text, HEADER);
    for (int i = 0; i < 20000; i++)
        k2_buf_printf(&text, "S%d,NYSE,2024-01-02T03:04:05.%06dZ,%d.25,10\n", i % 7, i, i % 50 + 1);
    return text;
}

TEST(csv_reads_gzip_and_zstd_by_content) {
    struct k2_buf text = many_lines(), packed = {0};
    struct heard h = {0};
    struct k2_err err = {0};
    size_t room = ZSTD_compressBound(text.len);
    packed.len = ZSTD_compress(k2_buf_reserve(&packed, room), room, text.ptr, text.len, 1);
    CHECK_OK(read_file(write_file("a", k2_buf_view(&packed)), "k2-trades", NULL, &h, &err));
    CHECK(h.rows == 20000 && h.events == 0);
    forget(&h);
    packed.len -= 50;
    CHECK(!read_file(write_file("b", k2_buf_view(&packed)), "k2-trades", NULL, &h, &err));
    CHECK(err.code == K2_CORRUPT);
    forget(&h);
    const char *path = write_file("c", K2_STR(""));
    gzFile gz = gzopen(path, "wb");
    CHECK(gzwrite(gz, text.ptr, (unsigned)text.len) == (int)text.len && gzclose(gz) == Z_OK);
    CHECK_OK(read_file(path, "k2-trades", NULL, &h, &err));
    CHECK(h.rows == 20000);
    forget(&h);
    struct k2_buf whole = {0};
    CHECK_OK(k2_file_read(path, 1 << 30, &whole, &err));
    whole.len -= 9;
    CHECK(!read_file(write_file("d", k2_buf_view(&whole)), "k2-trades", NULL, &h, &err));
    CHECK(err.code == K2_CORRUPT && h.rows > 10000);
    k2_buf_done(&whole);
    k2_buf_done(&text);
    k2_buf_done(&packed);
    forget(&h);
}

TEST(csv_refuses_what_is_no_file_or_no_layout) {
    struct heard h = {0};
    struct k2_err err = {0};
    CHECK(!read_file(test_dir(), "k2-trades", NULL, &h, &err) && err.code == K2_INVALID);
    CHECK(!read_file("/nowhere/x.csv", "k2-trades", NULL, &h, &err) && err.code == K2_NOT_FOUND);
    CHECK(!read_file(write_file("e", K2_STR("a,b\n")), "k2-trades", NULL, &h, &err) &&
          err.code == K2_INVALID);
    CHECK(!read_file(write_file("f", K2_STR("")), "nope", NULL, &h, &err) && err.code == K2_USAGE);
    CHECK_OK(read_file(write_file("g", K2_STR("")), "k2-trades", NULL, &h, &err));
    CHECK(h.rows == 0 && h.events == 0);
}

TEST(csv_reads_binance_files) {
    static const char text[] = "1001,42000.10,0.5,21000.05,1704067200123,True,True\n"
                               "1002,42000.20,0.25,10500.05,1735689600123456,False,True\n"
                               "x,1,1,1,1,True,True\n";
    struct heard h = {0};
    struct k2_err err = {0};
    CHECK_OK(read_file(write_file("BTCUSDT-trades-2024-01-01.csv", k2_str_of(text)),
                       "binance-trades", NULL, &h, &err));
    CHECK(h.rows == 2 && h.events == 1 && h.first_us == 1704067200123000);
    assert_string_equal(h.symbol, "BTCUSDT");
    assert_string_equal(h.topic, "market.crypto.trades.binance");
    forget(&h);
}

TEST(csv_reads_the_asx_sample) {
    const char *set = getenv("K2_TEST_ASX_DIR");
    const char *dir = set ? set : "../shared/data/asx-2014-03";
    static const struct {
        const char *file, *layout;
        int64_t rows;
    } files[] = {{"trades/7078.csv", "asx-trades", 91631}, {"trades/7181.csv", "asx-trades", 232},
                 {"trades/3153.csv", "asx-trades", 11},    {"quotes/7078.csv", "asx-quotes", 77849},
                 {"quotes/7181.csv", "asx-quotes", 549},   {"quotes/3153.csv", "asx-quotes", 60}};
    if (!k2_path_exists(dir))
        SKIP("the ASX sample files are not beside the project");
    for (size_t i = 0; i < K2_COUNT(files); i++) {
        struct heard h = {0};
        struct k2_err err = {0};
        char path[400];
        snprintf(path, sizeof path, "%s/%s", dir, files[i].file);
        CHECK_OK(read_file(path, files[i].layout, NULL, &h, &err));
        CHECK(h.rows == files[i].rows && h.events == 0);
        if (i == 0) {
            CHECK(h.first_us == 1394398634754000 && h.first_price == 3666700000);
            CHECK(h.first_number == 2014031000000000001);
            assert_string_equal(h.symbol, "BHP");
        }
        forget(&h);
    }
}

/* ---- zones ---- */

TEST(zone_knows_sydney) {
    struct k2_err err = {0};
    struct k2_zone *z = k2_zone_load("Australia/Sydney", &err);
    if (!z)
        SKIP("no time zones on this machine");
    int64_t march = (int64_t)k2_days_from_date((struct k2_date){2014, 3, 10}) * 86400, utc;
    CHECK(k2_zone_offset(z, march) == 39600);
    CHECK(k2_zone_to_utc(z, march + 7 * 3600, &utc) && utc == march - 4 * 3600);
    int64_t april = (int64_t)k2_days_from_date((struct k2_date){2014, 4, 6}) * 86400;
    CHECK(k2_zone_to_utc(z, april + 9000, &utc) &&
          utc == april + 9000 - 39600); /* twice: the first */
    CHECK(k2_zone_to_utc(z, april + 14400, &utc) && utc == april + 14400 - 36000);
    int64_t october = (int64_t)k2_days_from_date((struct k2_date){2014, 10, 5}) * 86400;
    CHECK(!k2_zone_to_utc(z, october + 9000, &utc));
    int64_t later = (int64_t)k2_days_from_date((struct k2_date){2060, 1, 10}) * 86400;
    CHECK(k2_zone_offset(z, later) == 39600 && k2_zone_offset(z, later + 180 * 86400ll) == 36000);
    k2_zone_free(z);
    CHECK(!k2_zone_load("Nowhere/Land", &err) && err.code == K2_NOT_FOUND);
    CHECK(!k2_zone_load("../passwd", &err));
}

/* ---- the simulator ---- */

static void simulate(const struct k2_sim_opts *opts, struct heard *h, struct k2_sim_truth *truth) {
    struct k2_err err = {0};
    struct k2_feed_out out = {h, hear_batch, hear_raw, NULL};
    CHECK_OK(k2_sim_run(opts, 0, &out, NULL, NULL, k2_clock_real(), truth, &err));
}

TEST(sim_gives_what_its_truth_says) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct k2_sim_opts opts = {.rows = 20000,
                                   .symbols = 30,
                                   .seed = seed,
                                   .quotes_per_trade = 1,
                                   .gaps = 9,
                                   .duplicates = 20,
                                   .late = 7,
                                   .bad = 8};
        struct heard a = {0}, b = {0};
        struct k2_sim_truth x, y;
        simulate(&opts, &a, &x);
        simulate(&opts, &b, &y);
        CHECK(a.hash == b.hash && a.rows == b.rows &&
              k2_str_eq(k2_buf_view(&x.json), k2_buf_view(&y.json)));
        CHECK(x.trades + x.quotes == 20000);
        CHECK(x.gaps == 16 && x.late == 7 && x.duplicates == 20);
        CHECK(x.bad_records + x.undecodable == 8 && a.raw == x.undecodable);
        CHECK(a.rows == 20000 + 20 + x.bad_records);
        k2_buf_done(&x.json);
        k2_buf_done(&y.json);
        forget(&a);
        forget(&b);
    }
}

static int64_t all_there(void *self, const char *topic, struct k2_str key) {
    (void)self, (void)topic, (void)key;
    return INT64_MAX;
}

TEST(sim_resumes_by_leaving_out_what_is_there) {
    struct k2_sim_opts opts = {.rows = 5000, .symbols = 10, .seed = 3, .quotes_per_trade = 2};
    struct heard h = {0};
    struct k2_sim_truth truth;
    struct k2_err err = {0};
    struct k2_feed_out out = {&h, hear_batch, hear_raw, NULL};
    CHECK_OK(k2_sim_run(&opts, 0, &out, all_there, NULL, k2_clock_real(), &truth, &err));
    CHECK(h.rows == 0 && truth.trades + truth.quotes == 5000);
    k2_buf_done(&truth.json);
}
