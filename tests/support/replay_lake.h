/* replay_lake.h -- for tests of replay: a lake whose trades, commits and files the test chooses.
 *
 * The rows lie in one batch, and their log offset is their place in it. Each commit makes one file
 * per day and exchange, sorted as the pipeline sorts them, with row groups of a few rows.
 */
#ifndef K2_TESTS_SUPPORT_REPLAY_LAKE_H
#define K2_TESTS_SUPPORT_REPLAY_LAKE_H

#include <stdlib.h>

#include "base/alloc.h"
#include "lake/table/data_file.h"
#include "support/test.h"

#define LAKE_START_NS 1394409600000000000ll /* 2014-03-10 */

enum { LAKE_FILES_MAX = 32, LAKE_IN_ORDER = 0, LAKE_DEALT_OUT = 1 };

struct lake {
    struct k2_clock_fake clock;
    struct k2_lake *lake;
    struct k2_intern strings;
    struct k2_batch *rows;
    struct k2_random random;
    int64_t snapshot_id; /* of the last commit */
    char catalog[200], warehouse[200];
};

static inline int64_t rows_ns(const struct k2_batch *b, uint32_t row) {
    return b->col[K2_TRADE_TIMESTAMP].i64[row] * 1000 + b->col[K2_TRADE_NANOS].i32[row];
}

static inline int64_t lake_floor(int64_t value, int64_t unit) {
    return value / unit - (value % unit < 0);
}

static inline void rows_add(struct k2_batch *b, const char *symbol, const char *exchange,
                            int64_t ns, int64_t number) {
    uint32_t row = b->rows++;
    char id[32];
    snprintf(id, sizeof id, "t%lld", (long long)number);
    b->col[K2_TRADE_ID].span[row] = k2_batch_put(b, k2_str_of(id));
    b->col[K2_TRADE_SYMBOL].u32[row] = k2_intern_add(b->strings, k2_str_of(symbol));
    b->col[K2_TRADE_EXCHANGE].u32[row] = k2_intern_add(b->strings, k2_str_of(exchange));
    b->col[K2_TRADE_ASSET_CLASS].u8[row] = K2_CRYPTO;
    b->col[K2_TRADE_TIMESTAMP].i64[row] = lake_floor(ns, 1000);
    b->col[K2_TRADE_NANOS].i32[row] = (int32_t)(ns - lake_floor(ns, 1000) * 1000);
    b->col[K2_TRADE_PRICE].i64[row] = 100000000 + number;
    b->col[K2_TRADE_QUANTITY].i64[row] = number * 1000;
    b->col[K2_TRADE_CURRENCY].u32[row] = k2_intern_add(b->strings, K2_STR("USD"));
    b->col[K2_TRADE_SIDE].u8[row] = (uint8_t)(number % 4);
    struct k2_str words[] = {K2_STR("XT"), K2_STR("")};
    b->col[K2_TRADE_CONDITIONS].span[row] = k2_batch_put_list(b, words, row % 3);
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = number;
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = 1;
    b->col[K2_TRADE_INGESTION].i64[row] = lake_floor(ns, 1000) + 5;
    b->col[K2_TRADE_PLATFORM_SEQUENCE].i64[row] = row;
    b->col[K2_TRADE_VENDOR_DATA].valid[row] = row % 2;
    b->col[K2_TRADE_VENDOR_DATA].span[row] = (struct k2_span){0};
    if (row % 2)
        b->col[K2_TRADE_VENDOR_DATA].span[row] = k2_batch_put_map(b, words + 1, words, 1);
    b->col[K2_TRADE_FLAGS].u32[row] = 0;
    b->col[K2_TRADE_LOG_ID].u32[row] = k2_intern_add(b->strings, K2_STR("0123abcd"));
    b->col[K2_TRADE_LOG_PARTITION].i32[row] = 0;
    b->col[K2_TRADE_LOG_OFFSET].i64[row] = row;
}

/* Another view of the same tables, that has looked at nothing yet. */
static inline struct k2_lake *lake_again(struct lake *lake, struct k2_err *err) {
    struct k2_lake_opts opts = {.warehouse = lake->warehouse,
                                .catalog = lake->catalog,
                                .catalog_name = "k2",
                                .clock = &lake->clock.clock,
                                .previous_versions = 100,
                                .manifest_merge_count = 8};
    return k2_lake_open(&opts, err);
}

static inline void lake_open_at(struct lake *lake, uint32_t rows_max, const char *warehouse) {
    struct k2_err err = {0};
    *lake = (struct lake){0};
    snprintf(lake->catalog, sizeof lake->catalog, "sqlite:%s/catalog.db", test_dir());
    snprintf(lake->warehouse, sizeof lake->warehouse, "%s", warehouse);
    k2_clock_fake_init(&lake->clock, 1700000000000000000);
    lake->lake = lake_again(lake, &err);
    CHECK_OK(lake->lake != NULL);
    lake->rows = k2_batch_new(k2_schema_of(K2_TRADE), rows_max, &lake->strings);
    k2_random_seed(&lake->random, 1);
}

static inline void lake_open(struct lake *lake, uint32_t rows_max) {
    lake_open_at(lake, rows_max, "memory:");
}

static inline void lake_close(struct lake *lake) {
    k2_batch_free(lake->rows);
    k2_intern_done(&lake->strings);
    k2_lake_free(lake->lake);
}

/* ---- files ---- */

struct lake_files {
    struct k2_data_file files[LAKE_FILES_MAX];
    struct k2_file_stats stats[LAKE_FILES_MAX];
    struct k2_arena arena; /* of paths */
    int count;
};

static inline void lake_write_file(struct lake *lake, struct lake_files *out,
                                   const struct k2_metadata *metadata, const struct k2_batch *b,
                                   const uint32_t *rows, uint32_t count) {
    struct k2_err err = {0};
    CHECK(out->count < LAKE_FILES_MAX);
    struct k2_data_writer writer = {
        .lake = lake->lake, .random = &lake->random, .opts = k2_parquet_defaults()};
    writer.opts.row_group_rows = 50;
    writer.opts.page_rows = 20;
    CHECK_OK(k2_data_file_write(&writer, metadata, b, rows, count, &out->arena,
                                &out->files[out->count], &out->stats[out->count], &err));
    k2_data_writer_done(&writer);
    out->count++;
}

static inline int64_t lake_day(const struct k2_batch *b, uint32_t row) {
    return lake_floor(rows_ns(b, row), 86400000000000);
}

/* By exchange and day, which are the file's, then symbol, time and number. */
static inline int lake_compare(const void *a, const void *z, void *batch) {
    const struct k2_batch *b = batch;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)z;
    int64_t x = rows_ns(b, i), y = rows_ns(b, j);
    int order =
        k2_str_cmp(k2_batch_text(b, K2_TRADE_EXCHANGE, i), k2_batch_text(b, K2_TRADE_EXCHANGE, j));
    if (!order)
        order = (lake_day(b, i) > lake_day(b, j)) - (lake_day(b, i) < lake_day(b, j));
    if (!order)
        order =
            k2_str_cmp(k2_batch_text(b, K2_TRADE_SYMBOL, i), k2_batch_text(b, K2_TRADE_SYMBOL, j));
    if (!order)
        order = (x > y) - (x < y);
    return order ? order : (i > j) - (i < j);
}

static inline bool lake_same_file(const struct k2_batch *b, uint32_t i, uint32_t j) {
    return b->col[K2_TRADE_EXCHANGE].u32[i] == b->col[K2_TRADE_EXCHANGE].u32[j] &&
           lake_day(b, i) == lake_day(b, j);
}

static inline const struct k2_metadata *lake_table(struct lake *lake, enum k2_kind kind) {
    struct k2_err err = {0};
    const struct k2_metadata *metadata = NULL;
    CHECK_OK(k2_lake_create(lake->lake, k2_schema_of(kind), NULL, &metadata, &err));
    return metadata;
}

/* One commit of some rows, and of what a ledger says of them (each may be NULL). The clock moves on
 * by a second. */
static inline void lake_commit(struct lake *lake, uint32_t *rows, uint32_t count,
                               const struct k2_batch *gaps, const struct k2_batch *fills) {
    struct k2_err err = {0};
    const struct k2_metadata *bases[3] = {lake_table(lake, K2_TRADE), NULL, NULL};
    struct lake_files *made = k2_new_array(struct lake_files, 3);
    struct k2_change changes[3];
    int change_count = 1;
    qsort_r(rows, count, sizeof *rows, lake_compare, lake->rows);
    for (uint32_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && lake_same_file(lake->rows, rows[from], rows[to]);)
            to++;
        lake_write_file(lake, &made[0], bases[0], lake->rows, rows + from, to - from);
    }
    const struct k2_batch *ledgers[] = {gaps, fills};
    for (int i = 0; i < 2; i++)
        if (ledgers[i]) {
            bases[change_count] = lake_table(lake, ledgers[i]->schema->kind);
            lake_write_file(lake, &made[change_count], bases[change_count], ledgers[i], NULL,
                            ledgers[i]->rows);
            change_count++;
        }
    for (int i = 0; i < change_count; i++)
        changes[i] = (struct k2_change){.base = bases[i],
                                        .operation = "append",
                                        .add_count = made[i].count,
                                        .add = made[i].files};
    CHECK_OK(k2_lake_commit(lake->lake, changes, change_count, &err));
    lake->snapshot_id = changes[0].result->current_snapshot_id;
    for (int i = 0; i < change_count; i++) {
        k2_metadata_unref(changes[i].result);
        k2_metadata_unref(bases[i]);
        for (int f = 0; f < made[i].count; f++)
            k2_file_stats_done(&made[i].stats[f]);
        k2_arena_done(&made[i].arena);
    }
    k2_free(made);
    lake->clock.ns += 1000000000;
}

/* All rows in so many commits: one stretch of them each, or dealt out like cards. */
static inline void lake_commit_all(struct lake *lake, int commits, int mode) {
    uint32_t *rows = k2_new_array(uint32_t, lake->rows->rows);
    for (int c = 0; c < commits; c++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < lake->rows->rows; i++)
            if (mode == LAKE_DEALT_OUT
                    ? i % (uint32_t)commits == (uint32_t)c
                    : (uint64_t)i * (uint32_t)commits / lake->rows->rows == (uint32_t)c)
                rows[count++] = i;
        lake_commit(lake, rows, count, NULL, NULL);
    }
    k2_free(rows);
}

#endif
