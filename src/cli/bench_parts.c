/* bench_parts.c -- parts by themselves: the codec, the sequence check, the Parquet writer and
 * reader.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cli/bench.h"
#include "feed/feed.h"
#include "lake/table/read.h"
#include "market/avro.h"
#include "pipeline/sequence.h"

/* ---- Avro ---- */

/* The records of the simulator's first batches, as the log holds them. */
struct encoded {
    struct k2_buf bytes;
    uint32_t *at; /* where each begins; at[count] is the end */
    uint32_t count, max;
    int64_t encode_rows;
    struct k2_lap spent; /* in encoding alone */
};

static bool encode_batch(void *self, const char *topic, struct k2_batch *batch,
                         struct k2_err *err) {
    struct encoded *e = self;
    (void)topic, (void)err;
    struct k2_lap from = k2_lap_start();
    for (uint32_t row = 0; row < batch->rows && e->count < e->max; row++) {
        e->at[e->count++] = (uint32_t)e->bytes.len;
        k2_avro_encode(batch, row, 1, &e->bytes);
    }
    e->at[e->count] = (uint32_t)e->bytes.len;
    e->spent.wall_ns += k2_monotonic_ns() - from.wall_ns;
    e->spent.cpu_ns += k2_cpu_ns() - from.cpu_ns;
    return true;
}

static bool ignore_raw(void *self, const char *topic, struct k2_record *records, int count,
                       struct k2_err *err) {
    (void)self, (void)topic, (void)records, (void)count, (void)err;
    return true;
}

static bool decode_all(struct k2_bench *bench, const struct encoded *e, struct k2_err *err) {
    enum { ROUNDS = 5, BATCH = 8192 };
    const struct k2_schema *schema = k2_schema_of(K2_TRADE);
    struct k2_buf json = {0};
    struct k2_intern strings = {0};
    k2_schema_avro(schema, &json);
    struct k2_avro_plan *plan = k2_avro_plan_new(schema, k2_buf_view(&json), err);
    struct k2_batch *batch = k2_batch_new(schema, BATCH, &strings);
    bool ok = plan != NULL;
    struct k2_lap from = k2_lap_start();
    for (int round = 0; ok && round < ROUNDS; round++)
        for (uint32_t i = 0; ok && i < e->count; i++) {
            uint32_t id;
            struct k2_str body,
                value = k2_str_make(e->bytes.ptr + e->at[i], e->at[i + 1] - e->at[i]);
            if (batch->rows == BATCH)
                k2_batch_clear(batch);
            ok = k2_avro_unframe(value, &id, &body) &&
                 k2_avro_decode(plan, body, batch) == K2_AVRO_OK;
        }
    if (ok)
        k2_bench_add(bench, "Avro decode", (int64_t)ROUNDS * e->count, 0, from, K2_MARK_NS, 100);
    else if (plan)
        k2_err_set(err, K2_BUG, "a record of the simulator cannot be decoded");
    k2_batch_free(batch);
    k2_intern_done(&strings);
    k2_avro_plan_free(plan);
    k2_buf_done(&json);
    return ok;
}

bool k2_bench_avro(struct k2_bench *bench, struct k2_err *err) {
    enum { ROWS = 200000, ROW_BYTES = 128 };
    struct encoded e = {.at = k2_new_array(uint32_t, ROWS + 1), .max = ROWS};
    struct k2_feed_out out = {.self = &e, .batch = encode_batch, .raw = ignore_raw};
    struct k2_sim_opts opts = {.rows = ROWS, .symbols = 500, .seed = 1};
    struct k2_sim_truth truth = {0};
    /* The pages are touched before, as the ones of a log's writer are, which uses them again. */
    memset(k2_buf_reserve(&e.bytes, (size_t)ROWS * ROW_BYTES), 1, (size_t)ROWS * ROW_BYTES);
    bool ok = k2_sim_run(&opts, 0, &out, NULL, NULL, bench->home->clock, &truth, err);
    if (ok) {
        struct k2_lap from = k2_lap_start();
        from.wall_ns -= e.spent.wall_ns;
        from.cpu_ns -= e.spent.cpu_ns;
        k2_bench_add(bench, "Avro encode", e.count, (int64_t)e.bytes.len, from, K2_MARK_NS, 100);
        ok = decode_all(bench, &e, err);
    }
    k2_buf_done(&truth.json);
    k2_buf_done(&e.bytes);
    k2_free(e.at);
    return ok;
}

/* ---- sequence ---- */

/* Key look-up and sequence check, as the chain does them for every row: what is above the last is
 * surely new, so this is also the whole duplicate check of a row in order. */
static void check_in_order(struct k2_bench *bench) {
    enum { KEYS = 500, ROWS = 20000000 };
    struct k2_keys keys = {0};
    struct k2_interval gap;
    bool is_new;
    int64_t in_order = 0;
    struct k2_lap from = k2_lap_start();
    for (int64_t i = 0; i < ROWS; i++) {
        struct k2_key *key = k2_keys_get(&keys, 0, 1, (uint32_t)(i % KEYS), &is_new);
        in_order += k2_sequence_take(key, 1 + i / KEYS, true, &gap) <= K2_SEQ_IN_ORDER;
    }
    K2_ASSERT(in_order == ROWS);
    k2_bench_add(bench, "sequence check, in order", ROWS, 0, from, K2_MARK_NS, 20);
    k2_keys_done(&keys);
}

/* Every third number comes four rounds late: a gap, then its fill. */
static void check_out_of_order(struct k2_bench *bench) {
    enum { KEYS = 500, ROUNDS = 8000, STEP = 3, LATE = 4 };
    struct k2_keys keys = {0};
    struct k2_interval gap;
    bool is_new;
    int64_t fills = 0;
    struct k2_lap from = k2_lap_start();
    for (int64_t round = 0; round < ROUNDS; round++)
        for (uint32_t k = 0; k < KEYS; k++) {
            struct k2_key *key = k2_keys_get(&keys, 0, 1, k, &is_new);
            (void)k2_sequence_take(key, 2 + round * STEP, true, &gap); /* skips one number */
            (void)k2_sequence_take(key, 3 + round * STEP, true, &gap);
            if (round > LATE)
                fills +=
                    k2_sequence_take(key, 1 + (round - LATE) * STEP, true, &gap) == K2_SEQ_FILL;
        }
    K2_ASSERT(fills == (int64_t)(ROUNDS - LATE - 1) * KEYS);
    k2_bench_add(bench, "sequence check, gaps and fills", 3ll * ROUNDS * KEYS, 0, from, K2_MARK_NS,
                 100);
    k2_keys_done(&keys);
}

bool k2_bench_sequence(struct k2_bench *bench, struct k2_err *err) {
    (void)err;
    check_in_order(bench);
    check_out_of_order(bench);
    return true;
}

/* ---- Parquet ---- */

/* Rows in the order of a file, and the same as they came, with the file's order beside them. */
struct parquet_rows {
    const struct k2_field_ids *ids;
    struct k2_batch *in_order, *as_come;
    uint32_t *order;
};

/* Files of the same rows one after the other, by one writer, as commits make them. */
static bool write_again(struct k2_bench *bench, const char *name, const struct parquet_rows *rows,
                        bool is_ordered, struct k2_err *err) {
    enum { ROUNDS = 3 };
    const struct k2_batch *batch = is_ordered ? rows->as_come : rows->in_order;
    struct k2_store *store = k2_store_open("memory:", err);
    struct k2_parquet_writer *writer = NULL;
    struct k2_parquet_opts opts = k2_parquet_defaults();
    opts.is_sorted = true;
    int64_t bytes = 0;
    bool ok = store != NULL;
    struct k2_lap from = k2_lap_start();
    for (int i = 0; ok && i <= ROUNDS; i++) {
        struct k2_file_stats stats = {0};
        struct k2_sink *sink = k2_sink_open(store, "bench.parquet", err);
        if (sink && writer)
            ok = k2_parquet_writer_restart(writer, sink, batch->schema, rows->ids, &opts, err);
        else if (sink)
            writer = k2_parquet_writer_new(sink, batch->schema, rows->ids, &opts, err);
        ok = ok && writer &&
             k2_parquet_write(writer, batch, is_ordered ? rows->order : NULL, batch->rows, err) &&
             k2_parquet_finish(writer, &stats, err);
        bytes += stats.bytes;
        k2_file_stats_done(&stats);
        k2_sink_abort(sink);
        if (i == 0) { /* the first touches the memory of those that count */
            from = k2_lap_start();
            bytes = 0;
        }
    }
    if (ok)
        k2_bench_add(bench, name, (int64_t)ROUNDS * batch->rows, bytes, from,
                     K2_MARK_PER_CPU_SECOND, 8e6);
    k2_parquet_writer_free(writer);
    k2_store_free(store);
    return ok;
}

static int by_arrival(const void *a, const void *b, void *context) {
    const struct k2_batch *rows = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const int64_t *came = rows->col[K2_TRADE_INGESTION].i64;
    if (came[i] != came[j])
        return came[i] < came[j] ? -1 : 1;
    return (rows->log_offset[i] > rows->log_offset[j]) -
           (rows->log_offset[i] < rows->log_offset[j]);
}

/* Puts the rows back as they lay in the log. */
static void make_as_come(struct parquet_rows *rows) {
    uint32_t count = rows->in_order->rows, *arrival = k2_new_array(uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        arrival[i] = i;
    qsort_r(arrival, count, sizeof *arrival, by_arrival, rows->in_order);
    rows->as_come = k2_batch_new(rows->in_order->schema, count, rows->in_order->strings);
    rows->order = k2_new_array(uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        k2_batch_copy_row(rows->as_come, rows->in_order, arrival[i]);
        rows->order[arrival[i]] = i;
    }
    k2_free(arrival);
}

/* A whole file, as the commit wrote it. */
static bool write_all(struct k2_bench *bench, struct k2_parquet_file *file,
                      const struct k2_field_ids *ids, struct k2_err *err) {
    struct k2_intern strings = {0};
    struct parquet_rows rows = {.ids = ids};
    rows.in_order = k2_batch_new(k2_schema_of(K2_TRADE), (uint32_t)k2_parquet_rows(file), &strings);
    bool ok = true;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++)
        ok = k2_parquet_read(file, g, UINT32_MAX, rows.in_order, err);
    if (ok) {
        make_as_come(&rows);
        ok = write_again(bench, "Parquet write, all columns", &rows, true, err) &&
             write_again(bench, "Parquet write, rows in order", &rows, false, err);
    }
    k2_batch_free(rows.in_order);
    k2_batch_free(rows.as_come);
    k2_free(rows.order);
    k2_intern_done(&strings);
    return ok;
}

static bool read_first(struct k2_bench *bench, struct k2_parquet_file *file,
                       const struct k2_field_ids *ids, struct k2_err *err) {
    enum { ROUNDS = 5 };
    struct k2_intern strings = {0};
    int64_t rows = k2_parquet_row_group_rows(file, 0);
    struct k2_batch *batch = k2_batch_new(k2_schema_of(K2_TRADE), (uint32_t)rows, &strings);
    bool ok = k2_parquet_read(file, 0, UINT32_MAX, batch, err);
    struct k2_lap from = k2_lap_start();
    for (int i = 0; ok && i < ROUNDS; i++) {
        k2_batch_clear(batch);
        ok = k2_parquet_read(file, 0, UINT32_MAX, batch, err);
    }
    if (ok) {
        k2_bench_add(bench, "Parquet read, all columns", ROUNDS * rows, 0, from,
                     K2_MARK_PER_CPU_SECOND, 15e6);
        ok = write_all(bench, file, ids, err);
    }
    k2_batch_free(batch);
    k2_intern_done(&strings);
    return ok;
}

/* The largest file of the trades that were committed before. */
bool k2_bench_parquet(struct k2_bench *bench, struct k2_err *err) {
    const char *table = "market_data.trades";
    const struct k2_schema *schema = k2_schema_of(K2_TRADE);
    const struct k2_metadata *metadata = NULL;
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_scan scan = {0};
    struct k2_lake *lake = bench->home->lake;
    bool ok = k2_lake_load(lake, &table, 1, &metadata, err) && metadata &&
              k2_metadata_field_ids(metadata, schema, ids, err) &&
              k2_table_scan(lake, metadata, schema, 0, NULL, 0, &scan, err);
    int largest = 0;
    for (int i = 1; i < scan.file_count; i++)
        if (scan.files[i].record_count > scan.files[largest].record_count)
            largest = i;
    struct k2_parquet_file *file =
        ok ? k2_table_open_file(lake, metadata, schema, scan.files[largest].path, err) : NULL;
    ok = file && read_first(bench, file, ids, err);
    k2_parquet_close(file);
    k2_scan_done(&scan);
    k2_metadata_unref(metadata);
    return ok;
}
