/* parquet_bench_tool.c -- realistic trades, written and read: how fast, and how large they are.
 *
 * usage: parquet_bench_tool [ROWS [SORTED [ROUNDS]]]. The trades are those a day of three venues
 * makes, in arrival order; SORTED 1 (the default) hands the order by symbol and time beside them, 2
 * copies them into that order first, 0 writes them as they came. Times are CPU time, the best of
 * ROUNDS.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "lake/parquet/parquet.h"

enum { SYMBOLS = 1000, PARTITIONS = 8 };

struct symbol {
    uint32_t code, exchange, currency;
    int64_t ticks, last_us, sequence, trade_id;
    int partition;
    bool is_crypto;
    struct k2_span vendor;
};

struct market {
    struct k2_random random;
    struct symbol symbols[SYMBOLS];
    double share[SYMBOLS]; /* cumulative */
    int64_t offsets[PARTITIONS], now_us, next_id;
};

static double normal(struct k2_random *r) {
    double u = k2_random_unit(r) + 1e-12, v = k2_random_unit(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static void open_market(struct market *m, struct k2_batch *b) {
    static const char *const exchanges[] = {"BINANCE", "KRAKEN", "ASX"};
    static const char *const currencies[] = {"USDT", "USD", "AUD"};
    double sum = 0;
    k2_random_seed(&m->random, 1);
    m->now_us = 1710374400ll * 1000000;
    m->next_id = 1000000000;
    for (int i = 0; i < SYMBOLS; i++) {
        struct symbol *s = &m->symbols[i];
        char name[16];
        snprintf(name, sizeof name, "SYM%04d", i);
        int venue = i % 5 < 2 ? i % 2 : 2;
        s->is_crypto = venue < 2;
        s->code = k2_intern_add(b->strings, k2_str_of(name));
        s->exchange = k2_intern_add(b->strings, k2_str_of(exchanges[venue]));
        s->currency = k2_intern_add(b->strings, k2_str_of(currencies[venue]));
        s->ticks = (int64_t)(exp(3.6 + 1.1 * normal(&m->random)) * 100) + 100;
        s->trade_id = (int64_t)k2_random_below(&m->random, 100000000);
        s->partition = (int)k2_random_below(&m->random, PARTITIONS);
        sum += 1.0 / (1 + (i * 7919) % SYMBOLS);
        m->share[i] = sum;
    }
    for (int i = 0; i < SYMBOLS; i++)
        m->share[i] /= sum;
}

static int pick_symbol(struct market *m) {
    double u = k2_random_unit(&m->random);
    int low = 0, high = SYMBOLS - 1;
    while (low < high) {
        int mid = (low + high) / 2;
        if (m->share[mid] < u)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int64_t pick_quantity(struct market *m, const struct symbol *s) {
    static const int lots[] = {1, 2, 5, 10, 20, 50, 100, 100, 200, 500, 1000, 2000};
    struct k2_random *r = &m->random;
    if (s->is_crypto)
        return (int64_t)K2_MAX(1.0, exp(-1.5 + 1.6 * normal(r)) * 1e4) * 10000;
    if (k2_random_below(r, 10) < 3)
        return (1 + (int64_t)k2_random_below(r, 1500)) * 100000000;
    return lots[k2_random_below(r, K2_COUNT(lots))] * 100000000ll;
}

static void put_texts(struct market *m, struct k2_batch *b, struct symbol *s, uint32_t row) {
    char id[32];
    struct k2_str condition = K2_STR("AUCTION");
    if (s->is_crypto)
        snprintf(id, sizeof id, "%lld", (long long)s->trade_id++);
    else
        snprintf(id, sizeof id, "T%lld", (long long)m->next_id++);
    b->col[K2_TRADE_ID].span[row] = k2_batch_put(b, k2_str_of(id));
    b->col[K2_TRADE_CONDITIONS].span[row] =
        k2_batch_put_list(b, &condition, k2_random_below(&m->random, 50) == 0);
    struct k2_str keys[] = {K2_STR("market"), K2_STR("tick")};
    struct k2_str values[] = {k2_random_below(&m->random, 40) ? K2_STR("lit") : K2_STR("dark"),
                              s->is_crypto ? K2_STR("0.0001") : K2_STR("1")};
    b->col[K2_TRADE_VENDOR_DATA].valid[row] = 1;
    b->col[K2_TRADE_VENDOR_DATA].span[row] = k2_batch_put_map(b, keys, values, 2);
}

/* One trade; a quarter of them belong to the sweep of the one before. */
static void trade(struct market *m, struct k2_batch *b, uint32_t row, int *symbol, int64_t *ns,
                  uint8_t *side, uint32_t log_id) {
    static const int8_t steps[] = {-2, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0,
                                   0,  0,  0,  0,  0,  0,  1, 1, 1, 1, 1, 2};
    struct k2_random *r = &m->random;
    if (row == 0 || k2_random_below(r, 4)) {
        *symbol = pick_symbol(m);
        *side = (uint8_t)k2_random_below(r, 2);
        m->now_us += (int64_t)k2_random_below(r, 115000);
        *ns = (int64_t)k2_random_below(r, 1000);
    }
    struct symbol *s = &m->symbols[*symbol];
    int64_t latency = (int64_t)(exp(0.7 + 0.5 * normal(r)) * 1000);
    s->last_us = K2_MAX(s->last_us, m->now_us - latency);
    s->ticks = K2_MAX(1, s->ticks + steps[k2_random_below(r, K2_COUNT(steps))]);
    put_texts(m, b, s, row);
    b->col[K2_TRADE_SYMBOL].u32[row] = s->code;
    b->col[K2_TRADE_EXCHANGE].u32[row] = s->exchange;
    b->col[K2_TRADE_ASSET_CLASS].u8[row] = s->is_crypto ? K2_CRYPTO : K2_EQUITIES;
    b->col[K2_TRADE_TIMESTAMP].i64[row] = s->last_us;
    b->col[K2_TRADE_NANOS].i32[row] = (int32_t)*ns;
    b->col[K2_TRADE_PRICE].i64[row] = s->ticks * 1000000;
    b->col[K2_TRADE_QUANTITY].i64[row] = pick_quantity(m, s);
    b->col[K2_TRADE_CURRENCY].u32[row] = s->currency;
    b->col[K2_TRADE_SIDE].u8[row] = *side;
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = *symbol % 7 != 0;
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = 5000000 + s->sequence;
    b->col[K2_TRADE_INGESTION].i64[row] = m->now_us;
    b->col[K2_TRADE_PLATFORM_SEQUENCE].i64[row] = 2024031400000000000ll + ++s->sequence;
    b->col[K2_TRADE_FLAGS].u32[row] = k2_random_below(r, 100) ? 0 : K2_FLAG_LATE;
    b->col[K2_TRADE_LOG_ID].u32[row] = log_id;
    b->log_partition[row] = s->partition;
    b->log_offset[row] = m->offsets[s->partition]++;
}

/* The rows by symbol; within one they are in order of time already. */
static uint32_t *order_of(const struct k2_batch *b) {
    uint32_t *order = k2_new_array(uint32_t, b->rows);
    uint32_t *starts = k2_new_array(uint32_t, b->strings->count + 1);
    const uint32_t *code = b->col[K2_TRADE_SYMBOL].u32;
    for (uint32_t i = 0; i < b->rows; i++)
        starts[code[i] + 1]++;
    for (uint32_t i = 0; i < b->strings->count; i++)
        starts[i + 1] += starts[i];
    for (uint32_t i = 0; i < b->rows; i++)
        order[starts[code[i]]++] = i;
    k2_free(starts);
    return order;
}

static struct k2_batch *make_trades(uint32_t rows, struct k2_intern *strings) {
    struct market *market = k2_new(struct market);
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_TRADE), rows, strings);
    open_market(market, b);
    uint32_t log_id = k2_intern_add(strings, K2_STR("9f3a01bc"));
    int symbol = 0;
    int64_t ns = 0;
    uint8_t side = 0;
    for (uint32_t i = 0; i < rows; i++)
        trade(market, b, i, &symbol, &ns, &side, log_id);
    b->rows = rows;
    k2_free(market);
    return b;
}

struct bench {
    struct k2_store *store;
    struct k2_batch *batch, *into;
    const uint32_t *order;
    struct k2_parquet_opts opts;
    struct k2_file_stats stats;
    struct k2_parquet_writer *writer;
};

/* One file, with the writer of the one before where there is one, as commits do. */
static bool write_file(struct bench *b, struct k2_sink *sink, struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    const struct k2_schema *schema = b->batch->schema;
    k2_schema_default_ids(schema, ids);
    if (b->writer)
        K2_TRY(k2_parquet_writer_restart(b->writer, sink, schema, ids, &b->opts, err));
    else
        b->writer = k2_parquet_writer_new(sink, schema, ids, &b->opts, err);
    return b->writer && k2_parquet_write(b->writer, b->batch, b->order, b->batch->rows, err) &&
           k2_parquet_finish(b->writer, &b->stats, err);
}

static bool write_all(struct bench *b, struct k2_err *err) {
    struct k2_sink *sink = k2_sink_open(b->store, "bench.parquet", err);
    if (!sink)
        return false;
    if (!write_file(b, sink, err)) {
        k2_sink_abort(sink);
        return false;
    }
    return k2_sink_commit(sink, err);
}

static bool read_all(struct k2_store *store, struct k2_batch *into, uint32_t columns,
                     struct k2_err *err) {
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    k2_schema_default_ids(into->schema, ids);
    struct k2_parquet_file *file = k2_parquet_open(store, "bench.parquet", into->schema, ids, err);
    bool ok = file != NULL;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++) {
        k2_batch_clear(into);
        ok = k2_parquet_read(file, g, columns, into, err);
    }
    k2_parquet_close(file);
    return ok;
}

static void print_columns(const struct k2_batch *batch, const struct k2_file_stats *stats,
                          struct k2_store *store, struct k2_batch *into) {
    struct k2_err err;
    int leaf = 0;
    for (int c = 0; c < batch->schema->column_count; c++) {
        int64_t bytes = stats->stats[leaf++].bytes, best = INT64_MAX;
        if (batch->schema->columns[c].type == K2_MAP)
            bytes += stats->stats[leaf++].bytes;
        for (int i = 0; i < 3; i++) {
            int64_t start = k2_cpu_ns();
            if (!read_all(store, into, 1u << c, &err))
                return;
            best = K2_MIN(best, k2_cpu_ns() - start);
        }
        printf("  %-20s %6.3f B/row, read %5.1f ns/row\n", batch->schema->columns[c].name,
               (double)bytes / batch->rows, (double)best / batch->rows);
    }
}

static bool run(struct bench *b, int64_t rounds, struct k2_err *err) {
    int64_t write_ns = INT64_MAX, read_ns = INT64_MAX;
    double rows = b->batch->rows;
    for (int64_t i = 0; i < rounds; i++) {
        k2_file_stats_done(&b->stats);
        int64_t start = k2_cpu_ns();
        K2_TRY(write_all(b, err));
        write_ns = K2_MIN(write_ns, k2_cpu_ns() - start);
        start = k2_cpu_ns();
        K2_TRY(read_all(b->store, b->into, ~0u, err));
        read_ns = K2_MIN(read_ns, k2_cpu_ns() - start);
    }
    printf("write %.2f M rows/CPU-s (%.1f ns/row)\nread %.2f M rows/CPU-s (%.1f ns/row)\n"
           "size %.3f B/row\n",
           rows / (double)write_ns * 1e3, (double)write_ns / rows, rows / (double)read_ns * 1e3,
           (double)read_ns / rows, (double)b->stats.bytes / rows);
    print_columns(b->batch, &b->stats, b->store, b->into);
    return true;
}

int main(int argc, char **argv) {
    int64_t rows = 2000000, sorted = 1, rounds = 5;
    if ((argc > 1 && !k2_str_to_i64(k2_str_of(argv[1]), &rows)) ||
        (argc > 2 && !k2_str_to_i64(k2_str_of(argv[2]), &sorted)) ||
        (argc > 3 && !k2_str_to_i64(k2_str_of(argv[3]), &rounds)) || rows < 1 || rows > 50000000)
        return 2;
    struct k2_intern strings = {0};
    struct k2_err err = {0};
    struct bench b = {.store = k2_store_open("memory:", &err),
                      .batch = make_trades((uint32_t)rows, &strings),
                      .opts = k2_parquet_defaults()};
    uint32_t *order = sorted ? order_of(b.batch) : NULL;
    if (sorted == 2) {
        struct k2_batch *again = k2_batch_new(b.batch->schema, b.batch->rows, &strings);
        for (uint32_t i = 0; i < b.batch->rows; i++)
            k2_batch_copy_row(again, b.batch, order[i]);
        k2_batch_free(b.batch);
        b.batch = again;
    }
    b.order = sorted == 1 ? order : NULL;
    b.into = k2_batch_new(b.batch->schema, b.opts.row_group_rows, &strings);
    b.opts.is_sorted = sorted;
    b.opts.has_bloom = true;
    bool ok = b.store && run(&b, rounds, &err);
    if (!ok)
        fprintf(stderr, "parquet_bench_tool: %s\n", err.msg);
    k2_file_stats_done(&b.stats);
    k2_parquet_writer_free(b.writer);
    k2_free(order);
    k2_batch_free(b.batch);
    k2_batch_free(b.into);
    k2_store_free(b.store);
    k2_intern_done(&strings);
    return ok ? 0 : 1;
}
