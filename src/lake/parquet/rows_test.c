/* rows_test.c -- a file of rows with an order beside them is the file of the rows in that order.
 *
 * Packing guesses from a part of the rows what all are like, so the tests put what is unlike where
 * it is not looked at.
 */
#include "base/alloc.h"
#include "base/random.h"
#include "lake/parquet/parquet.h"
#include "support/test.h"

enum { ROWS = 20000, SYMBOLS = 50, UNSEEN = 5000, GROUP_ROWS = 6000, PAGE_ROWS = 1024 };

struct rig {
    struct k2_store *store;
    const struct k2_schema *schema;
    struct k2_intern strings;
    struct k2_random random;
    struct k2_batch *batch;
    struct k2_parquet_writer *writer;
    uint32_t *order, count;
};

static void fill_row(struct rig *rig, uint32_t row) {
    struct k2_batch *b = rig->batch;
    struct k2_random *r = &rig->random;
    char text[32];
    uint32_t symbol = (uint32_t)k2_random_below(r, SYMBOLS);
    struct k2_str keys[] = {K2_STR("market"), K2_STR("tick")};
    struct k2_str values[] = {k2_random_below(r, 9) ? K2_STR("lit") : K2_STR("dark"), K2_STR("1")};
    snprintf(text, sizeof text, "T%u", 1000000 + row);
    b->col[K2_TRADE_ID].span[row] = k2_batch_put(b, k2_str_of(text));
    snprintf(text, sizeof text, "SYM%u", symbol);
    b->col[K2_TRADE_SYMBOL].u32[row] = k2_intern_add(&rig->strings, k2_str_of(text));
    b->col[K2_TRADE_EXCHANGE].u32[row] =
        k2_intern_add(&rig->strings, k2_str_of(symbol % 3 ? "X" : "Y"));
    b->col[K2_TRADE_ASSET_CLASS].u8[row] = (uint8_t)(symbol % 2);
    b->col[K2_TRADE_TIMESTAMP].i64[row] = 1710374400000000 + row * 1000ll;
    b->col[K2_TRADE_NANOS].i32[row] = (int32_t)k2_random_below(r, 1000) - 500;
    b->col[K2_TRADE_PRICE].i64[row] = (int64_t)k2_random_below(r, 1000) * 1000000;
    b->col[K2_TRADE_QUANTITY].i64[row] = (int64_t)k2_random_below(r, 1u << 30) - 5;
    b->col[K2_TRADE_CURRENCY].u32[row] = k2_intern_add(&rig->strings, K2_STR("AUD"));
    b->col[K2_TRADE_SIDE].u8[row] = (uint8_t)k2_random_below(r, 2);
    b->col[K2_TRADE_CONDITIONS].span[row] = k2_batch_put_list(b, keys, row % 7 == 0);
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = symbol % 5 > 0;
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = symbol % 5 ? row : 0;
    b->col[K2_TRADE_INGESTION].i64[row] = 1710374400000000 + row * 1001ll;
    b->col[K2_TRADE_PLATFORM_SEQUENCE].i64[row] = -(int64_t)row;
    b->col[K2_TRADE_VENDOR_DATA].valid[row] = row % 11 > 0;
    if (row % 11)
        b->col[K2_TRADE_VENDOR_DATA].span[row] = k2_batch_put_map(b, keys, values, 2);
    b->col[K2_TRADE_FLAGS].u32[row] = k2_random_below(r, 20) ? 0 : 3;
    b->col[K2_TRADE_LOG_ID].u32[row] = k2_intern_add(&rig->strings, K2_STR("log"));
    b->log_partition[row] = (int32_t)symbol % 8 - 1;
    b->log_offset[row] = row;
}

static void rig_open(struct rig *rig) {
    struct k2_err err = {0};
    memset(rig, 0, sizeof *rig);
    k2_random_seed(&rig->random, 7);
    rig->store = k2_store_open("memory:", &err);
    CHECK_OK(rig->store != NULL);
    rig->schema = k2_schema_of(K2_TRADE);
    rig->batch = k2_batch_new(rig->schema, ROWS, &rig->strings);
    for (uint32_t row = 0; row < ROWS; row++)
        fill_row(rig, row);
    rig->batch->rows = ROWS;
    rig->order = k2_new_array(uint32_t, ROWS);
}

static void rig_close(struct rig *rig) {
    k2_parquet_writer_free(rig->writer);
    k2_free(rig->order);
    k2_batch_free(rig->batch);
    k2_intern_done(&rig->strings);
    k2_store_free(rig->store);
}

/* Every step-th row, by symbol. */
static void order_rows(struct rig *rig, uint32_t step) {
    const uint32_t *symbols = rig->batch->col[K2_TRADE_SYMBOL].u32;
    rig->count = 0;
    for (uint32_t s = 0; s < rig->strings.count; s++)
        for (uint32_t row = 3; row < ROWS; row += step)
            if (symbols[row] == s)
                rig->order[rig->count++] = row;
}

static void write_file(struct rig *rig, const char *path, const struct k2_batch *batch,
                       const uint32_t *order, uint32_t count) {
    struct k2_err err = {0};
    struct k2_file_stats stats = {0};
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_parquet_opts opts = k2_parquet_defaults();
    opts.row_group_rows = GROUP_ROWS;
    opts.page_rows = PAGE_ROWS;
    opts.is_sorted = opts.has_bloom = true;
    k2_schema_default_ids(rig->schema, ids);
    struct k2_sink *sink = k2_sink_open(rig->store, path, &err);
    if (rig->writer)
        CHECK_OK(k2_parquet_writer_restart(rig->writer, sink, rig->schema, ids, &opts, &err));
    else
        rig->writer = k2_parquet_writer_new(sink, rig->schema, ids, &opts, &err);
    CHECK_OK(k2_parquet_write(rig->writer, batch, order, count, &err));
    CHECK_OK(k2_parquet_finish(rig->writer, &stats, &err));
    CHECK_OK(k2_sink_commit(sink, &err));
    CHECK(stats.rows == count);
    k2_file_stats_done(&stats);
}

/* Writes the rows in both ways and compares every byte of the files. */
static void check_files(struct rig *rig) {
    struct k2_err err = {0};
    struct k2_buf ordered = {0}, copied = {0};
    struct k2_batch *copy = k2_batch_new(rig->schema, rig->count, &rig->strings);
    for (uint32_t i = 0; i < rig->count; i++)
        k2_batch_copy_row(copy, rig->batch, rig->order[i]);
    write_file(rig, "ordered.parquet", rig->batch, rig->order, rig->count);
    write_file(rig, "copied.parquet", copy, NULL, rig->count);
    CHECK_OK(k2_store_get(rig->store, "ordered.parquet", &ordered, &err));
    CHECK_OK(k2_store_get(rig->store, "copied.parquet", &copied, &err));
    CHECK(ordered.len == copied.len && memcmp(ordered.ptr, copied.ptr, ordered.len) == 0);
    k2_buf_done(&ordered);
    k2_buf_done(&copied);
    k2_batch_free(copy);
}

TEST(parquet_rows_in_an_order) {
    struct rig rig;
    rig_open(&rig);
    for (uint32_t step = 1; step < 10; step += 4) {
        order_rows(&rig, step);
        check_files(&rig);
    }
    for (uint32_t i = 0; i < ROWS; i++) /* rows wanted twice, and in no order */
        rig.order[i] = (uint32_t)k2_random_below(&rig.random, ROWS);
    rig.count = ROWS;
    check_files(&rig);
    rig_close(&rig);
}

TEST(parquet_rows_unlike_those_seen) {
    struct rig rig;
    rig_open(&rig);
    struct k2_vector *col = rig.batch->col;
    col[K2_TRADE_QUANTITY].i64[UNSEEN] = INT64_MIN / 128;
    col[K2_TRADE_PRICE].i64[UNSEEN + 1] = INT64_MAX / 128;
    col[K2_TRADE_NANOS].i32[UNSEEN + 2] = INT32_MIN;
    col[K2_TRADE_NANOS].i32[UNSEEN + 3] = INT32_MAX;
    col[K2_TRADE_FLAGS].u32[UNSEEN + 4] = 64;
    col[K2_TRADE_ID].span[UNSEEN + 5] = k2_batch_put(rig.batch, K2_STR("seventeen letters"));
    for (uint32_t step = 1; step < 4; step += 2) {
        order_rows(&rig, step);
        check_files(&rig);
    }
    /* What each symbol had one of, and what all had, but for one row. */
    col[K2_TRADE_ASSET_CLASS].u8[UNSEEN + 6] ^= 1;
    col[K2_TRADE_EXCHANGE].u32[UNSEEN + 7] = k2_intern_add(&rig.strings, K2_STR("Z"));
    col[K2_TRADE_LOG_ID].u32[UNSEEN + 8] = k2_intern_add(&rig.strings, K2_STR("another log"));
    col[K2_TRADE_SOURCE_SEQUENCE].valid[UNSEEN + 9] ^= 1;
    rig.batch->log_partition[UNSEEN + 10] = -77;
    order_rows(&rig, 1);
    check_files(&rig);
    rig_close(&rig);
}

TEST(parquet_rows_prepared_for_files) {
    struct rig rig;
    rig_open(&rig);
    order_rows(&rig, 1);
    check_files(&rig); /* there is a writer now */
    uint32_t *all = rig.order, count = rig.count, cuts[] = {0, 7000, 7001, 13000, count};
    k2_parquet_prepare(rig.writer, rig.batch, all, count);
    for (size_t i = 0; i + 1 < K2_COUNT(cuts); i++) {
        rig.order = all + cuts[i];
        rig.count = cuts[i + 1] - cuts[i];
        check_files(&rig);
    }
    k2_parquet_prepare(rig.writer, NULL, NULL, 0);
    rig.order = all;
    rig.count = count;
    rig.batch->col[K2_TRADE_PRICE].i64[UNSEEN] += 1; /* and now it may change */
    check_files(&rig);
    rig_close(&rig);
}

TEST(parquet_rows_with_many_cells) {
    struct rig rig;
    rig_open(&rig);
    for (uint32_t row = 0; row < ROWS; row++) {
        char text[16];
        snprintf(text, sizeof text, "%u", row);
        struct k2_str key = K2_STR("key"), value = k2_str_of(text);
        rig.batch->col[K2_TRADE_VENDOR_DATA].valid[row] = 1;
        rig.batch->col[K2_TRADE_VENDOR_DATA].span[row] =
            k2_batch_put_map(rig.batch, &key, &value, 1);
    }
    order_rows(&rig, 1);
    check_files(&rig);
    rig_close(&rig);
}
