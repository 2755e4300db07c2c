/* pipeline_rig.h -- for tests of the pipeline: a log and a lake in memory, trades to put into the
 * one, and what came into the other.
 */
#ifndef K2_TESTS_SUPPORT_PIPELINE_RIG_H
#define K2_TESTS_SUPPORT_PIPELINE_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "lake/table/read.h"
#include "market/topic.h"
#include "pipeline/pipeline.h"
#include "support/test.h"

#define TOPIC  "market.equities.trades.simx"
#define DAY_US (20000ll * 86400000000ll)

/* A whole K2 without a disk, but for the catalog. */
struct rig {
    struct k2_clock_fake clock;
    struct k2_registry *registry;
    struct k2_log *log;
    struct k2_lake *lake;
    struct k2_pipeline *pipeline;
    struct k2_pipeline_opts opts;
    struct k2_intern strings;
    struct k2_batch *batch;
    struct k2_err err;
};

static inline void open_log(struct rig *r, const char *url) {
    struct k2_err err = {0};
    struct k2_log_opts log = {.url = url,
                              .partitions = 4,
                              .segment_bytes = 1 << 16,
                              .clock = &r->clock.clock,
                              .registry = r->registry};
    r->opts.log = r->log = k2_log_open(&log, &err);
    CHECK(r->log);
}

static inline void rig_open(struct rig *r) {
    struct k2_err err = {0};
    *r = (struct rig){0};
    k2_clock_fake_init(&r->clock, (DAY_US + 3600000000ll) * 1000);
    r->registry = k2_registry_open("memory:", &err);
    open_log(r, "memory:");
    char catalog[128];
    snprintf(catalog, sizeof catalog, "sqlite:%s/catalog.db", test_dir());
    struct k2_lake_opts lake = {.warehouse = "memory:",
                                .catalog = catalog,
                                .catalog_name = "k2",
                                .clock = &r->clock.clock,
                                .previous_versions = 100,
                                .manifest_merge_count = 100};
    r->lake = k2_lake_open(&lake, &err);
    if (!r->lake)
        fail_msg("%s", err.msg);
    r->opts = (struct k2_pipeline_opts){.lake = r->lake,
                                        .log = r->log,
                                        .registry = r->registry,
                                        .clock = &r->clock.clock,
                                        .writer = "test",
                                        .commit_rows = 1000,
                                        .commit_bytes = 1 << 26,
                                        .commit_age_ms = 1000,
                                        .gap_page = 10,
                                        .gap_halt = 100,
                                        .future_ms = 60000,
                                        .price_move_ppm = 100000,
                                        .seed = 1};
    r->batch = k2_batch_new(k2_schema_of(K2_TRADE), 4096, &r->strings);
}

static inline void broken_rule(void *self, bool is_note, const char *table, const char *text) {
    (void)self;
    if (!is_note)
        fail_msg("%s: %s", table, text);
}

/* All tables, with every offset accounted for. */
static inline void verify_lake(struct rig *r) {
    const char *names[] = {"market_data.trades", "ops.dead_letters", "ops.gaps", "ops.gap_events"};
    const struct k2_metadata *tables[K2_COUNT(names)] = {0};
    struct k2_verify_result result = {0};
    struct k2_verify_opts opts = {.report = broken_rule};
    struct k2_err err = {0};
    CHECK_OK(k2_lake_load(r->lake, names, K2_COUNT(names), tables, &err));
    if (tables[0] && tables[1] && tables[2] && tables[3])
        CHECK_OK(k2_lake_verify(r->lake, tables, K2_COUNT(names), &opts, &result, &err));
    for (size_t i = 0; i < K2_COUNT(names); i++)
        k2_metadata_unref(tables[i]);
}

static inline void rig_close(struct rig *r) {
    verify_lake(r);
    k2_pipeline_free(r->pipeline);
    k2_batch_free(r->batch);
    k2_intern_done(&r->strings);
    k2_lake_free(r->lake);
    k2_log_free(r->log);
    k2_registry_free(r->registry);
}

/* One trade with number n; price in cents. */
static inline void put(struct rig *r, const char *symbol, int64_t n, int64_t cents) {
    struct k2_batch *b = r->batch;
    uint32_t row = b->rows++;
    char id[24];
    int len = snprintf(id, sizeof id, "%lld", (long long)n);
    k2_batch_zero(b, row, 1);
    b->col[K2_TRADE_ID].span[row] = k2_batch_put(b, (struct k2_str){id, (size_t)len});
    b->col[K2_TRADE_SYMBOL].u32[row] = k2_intern_add(&r->strings, k2_str_of(symbol));
    b->col[K2_TRADE_EXCHANGE].u32[row] = k2_intern_add(&r->strings, K2_STR("SIMX"));
    b->col[K2_TRADE_CURRENCY].u32[row] = k2_intern_add(&r->strings, K2_STR("USD"));
    b->col[K2_TRADE_LOG_ID].u32[row] = 0;
    b->col[K2_TRADE_TIMESTAMP].i64[row] = DAY_US + n * 1000;
    b->col[K2_TRADE_INGESTION].i64[row] = DAY_US + n * 1000 + 500;
    b->col[K2_TRADE_PRICE].i64[row] = cents * 1000000;
    b->col[K2_TRADE_QUANTITY].i64[row] = 100000000;
    b->col[K2_TRADE_SIDE].u8[row] = K2_BUY;
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = n;
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = 1;
}

static inline void append(struct rig *r) {
    struct k2_err err = {0};
    CHECK_OK(k2_log_append(r->log, TOPIC, r->batch, &err));
    k2_batch_clear(r->batch);
}

static inline void open_pipeline(struct rig *r) {
    r->err = (struct k2_err){0};
    k2_pipeline_free(r->pipeline);
    r->pipeline = NULL;
    r->opts.seed++; /* names of files come from it */
    r->pipeline = k2_pipeline_open(&r->opts, &r->err);
    if (!r->pipeline)
        fail_msg("%s", r->err.msg);
}

/* Works until idle and commits. */
static inline void settle(struct rig *r) {
    struct k2_err err = {0};
    usleep(25000); /* new topics are looked for every 20 ms */
    for (int64_t moved = 1; moved;)
        CHECK_OK(k2_pipeline_step(r->pipeline, &moved, &err));
    CHECK_OK(k2_pipeline_flush(r->pipeline, &err));
}

/* Sums over a table that do not depend on the order of rows. */
struct sums {
    int64_t rows;
    uint64_t content; /* sum of the hash of each row's cells but log ids and platform numbers */
    uint64_t numbers; /* of the trades, the platform's */
    uint32_t flags;
};

static inline bool add_rows(void *self, const struct k2_batch *rows) {
    struct sums *s = self;
    const struct k2_schema *schema = rows->schema;
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct k2_buf cell = {0};
        for (int c = 0; c < schema->column_count; c++) {
            enum k2_type type = schema->columns[c].type;
            bool is_null = k2_batch_is_null(rows, c, i);
            k2_buf_byte(&cell, is_null);
            if (schema->kind == K2_TRADE && c == K2_TRADE_PLATFORM_SEQUENCE) {
                s->numbers += k2_hash64(&rows->col[c].i64[i], 8);
                continue;
            }
            if (is_null || c == schema->column_count - 3)
                continue;
            if (type == K2_SYMBOL || type == K2_ENUM || type == K2_STRING || type == K2_BINARY ||
                type == K2_LIST || type == K2_MAP)
                k2_buf_str(&cell, k2_batch_text(rows, c, i));
            else
                k2_buf_append(&cell, (char *)rows->col[c].data + i * k2_type_width(type),
                              k2_type_width(type));
        }
        s->content += k2_hash64(cell.ptr, cell.len);
        s->rows++;
        if (schema->kind == K2_TRADE)
            s->flags |= rows->col[K2_TRADE_FLAGS].u32[i];
        k2_buf_done(&cell);
    }
    return true;
}

static inline struct sums sums_of(struct rig *r, enum k2_kind kind) {
    const struct k2_schema *schema = k2_schema_of(kind);
    char table[64];
    snprintf(table, sizeof table, "%s.%s", schema->table_namespace, schema->table_name);
    const char *name = table;
    const struct k2_metadata *metadata = NULL;
    struct k2_intern strings = {0};
    struct sums s = {0};
    struct k2_err err = {0};
    CHECK_OK(k2_lake_load(r->lake, &name, 1, &metadata, &err));
    struct k2_read_opts read = {
        .metadata = metadata, .schema = schema, .columns = ~0u, .strings = &strings};
    CHECK_OK(k2_table_read(r->lake, &read, add_rows, &s, &err));
    k2_metadata_unref(metadata);
    k2_intern_done(&strings);
    return s;
}

/* One code of a dead letter per row, each followed by a space, in the order they were read. */
static inline bool add_codes(void *self, const struct k2_batch *rows) {
    int column = k2_schema_column(rows->schema, K2_STR("error_code"));
    for (uint32_t i = 0; i < rows->rows; i++) {
        k2_buf_str(self, k2_batch_text(rows, column, i));
        k2_buf_byte(self, ' ');
    }
    return true;
}

static inline void read_rows(struct rig *r, const char *table, enum k2_kind kind, k2_rows_fn *each,
                             void *self) {
    const struct k2_metadata *metadata = NULL;
    struct k2_intern strings = {0};
    struct k2_err err = {0};
    CHECK_OK(k2_lake_load(r->lake, &table, 1, &metadata, &err));
    struct k2_read_opts read = {
        .metadata = metadata, .schema = k2_schema_of(kind), .columns = ~0u, .strings = &strings};
    CHECK_OK(k2_table_read(r->lake, &read, each, self, &err));
    k2_metadata_unref(metadata);
    k2_intern_done(&strings);
}

/* The log's newest record of the partition that key lives in, copied. */
static inline struct k2_record newest(struct rig *r, struct k2_str key, struct k2_buf *value) {
    int64_t from[4] = {-1, -1, -1, -1};
    struct k2_err err = {0};
    struct k2_log_range ranges[4];
    struct k2_record record = {0};
    int count, p = (int)k2_key_partition(key, 4);
    CHECK_OK(k2_log_ranges(r->log, TOPIC, ranges, &err));
    from[p] = ranges[p].end - 1;
    struct k2_log_reader *reader = k2_log_reader_new(r->log, TOPIC, from, &err);
    CHECK(reader);
    CHECK_OK(k2_log_read(reader, &record, 1, &count, &err));
    CHECK(count == 1 && k2_str_eq(record.key, key));
    k2_buf_clear(value);
    k2_buf_str(value, record.value);
    k2_log_reader_free(reader);
    return (struct k2_record){
        .log_partition = p, .key = key, .value = k2_buf_view(value), .offset = record.offset};
}

static inline void append_raw(struct rig *r, struct k2_record record) {
    struct k2_err err = {0};
    struct k2_ticket ticket;
    CHECK_OK(k2_log_write_raw(r->log, TOPIC, &record, 1, &ticket, &err));
    CHECK_OK(k2_log_wait(r->log, &ticket, &err));
}

static inline bool delete_state(void *self, const struct k2_object *object) {
    struct rig *r = self;
    struct k2_err err = {0};
    CHECK_OK(k2_store_delete(k2_lake_store(r->lake), object->path, &err));
    return true;
}

static inline void put_many(struct rig *r, int64_t first, int64_t count) {
    static const char *const symbols[] = {"AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG"};
    for (int64_t n = first; n < first + count; n++) {
        for (size_t s = 0; s < K2_COUNT(symbols); s++)
            put(r, symbols[s], n, 1000);
        if (r->batch->rows > 500)
            append(r);
    }
    append(r);
}

#endif
