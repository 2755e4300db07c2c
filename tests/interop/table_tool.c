/* table_tool.c -- a lake of several tables for other Iceberg implementations to read.
 *
 * usage: table_tool make HOME SEED     writes HOME/warehouse and HOME/catalog.db; prints a line of
 *                                      JSON per commit and per row
 *        table_tool verify HOME        prints what verify finds; exit 1 for broken rules
 *        table_tool append HOME SEED   one more commit to market_data.trades
 *        table_tool bench FOLDER N     N commits of one small file; prints the time of the last 100
 *
 * The rows are made to be hard: text longer than a bound may be, cut inside a character, with no
 * character above its last; decimals of both signs; times before 1970; columns that are all null.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/date.h"
#include "lake/table/data_file.h"
#include "market/decimal.h"
#include "query/row_json.h"

enum { ROWS = 60, PARTITIONS = 64 };

static struct k2_err err;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "table_tool: %s: %s\n", what, err.msg);
    exit(3);
}

static const char *const words[] = {
    "AAA",
    "BHP",
    "z\xc3\xbcrich-gnomes-ltd-\xc3\xa9\xc3\xa9\xc3\xa9",
    "exactly16letters",
    "exactly16letters+",
    "sixteen-letters\xf4\x8f\xbf\xbf and more",
    "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
    "\xbf"
    "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf"
    "\xbf"
    "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf",
    "",
    "quote\"slash/and space",
};
static const char *const exchanges[] = {"ASX", "SIM", "z\xc3\xbcrich/x=1", "B%2F"};

static struct k2_str pick(struct k2_random *random, const char *const *list, size_t count) {
    return k2_str_of(list[k2_random_below(random, count)]);
}

static int64_t hard_time(struct k2_random *random, int commit) {
    int64_t within = (int64_t)k2_random_below(random, (uint64_t)K2_DAY_US);
    if (commit % 3 == 2)
        return -(int64_t)k2_random_below(random, 3 * (uint64_t)K2_DAY_US);
    return (16139 + commit) * K2_DAY_US + within;
}

static void fill(struct k2_batch *b, int column, uint32_t row, int commit,
                 struct k2_random *random) {
    struct k2_vector *v = &b->col[column];
    const struct k2_column *c = &b->schema->columns[column];
    struct k2_str word = pick(random, words, K2_COUNT(words));
    struct k2_str texts[3] = {word, K2_STR("CANCEL"), K2_STR("z\xc3\xbc")};
    struct k2_str keys[] = {K2_STR("a"), K2_STR("b")};
    int64_t number = (int64_t)(k2_random_u64(random) >> (6 + k2_random_below(random, 50)));
    int64_t sign = k2_random_below(random, 2) ? 1 : -1;
    if (v->valid)
        v->valid[row] = commit % 2 ? 0 : k2_random_below(random, 3) > 0;
    switch (c->type) {
    case K2_INT32: v->i32[row] = (int32_t)(number & 0xffffff) * (int32_t)sign; break;
    case K2_INT64: v->i64[row] = number * sign; break;
    case K2_TIMESTAMP: v->i64[row] = hard_time(random, commit); break;
    case K2_DECIMAL: v->i64[row] = number % (K2_DECIMAL_MAX + 1) * sign; break;
    case K2_SYMBOL:
        if (strcmp(c->name, "exchange") == 0)
            word = pick(random, exchanges, K2_COUNT(exchanges));
        v->u32[row] = k2_intern_add(b->strings, word);
        break;
    case K2_ENUM: v->u8[row] = (uint8_t)k2_random_below(random, 2); break;
    case K2_LIST:
        v->span[row] = k2_batch_put_list(b, texts, (uint32_t)k2_random_below(random, 4));
        break;
    case K2_MAP:
        v->span[row] = k2_batch_put_map(b, keys, texts, (uint32_t)k2_random_below(random, 3));
        break;
    case K2_FLAGS: v->u32[row] = (uint32_t)k2_random_below(random, 256); break;
    default: v->span[row] = k2_batch_put(b, word);
    }
}

static void fill_batch(struct k2_batch *b, int commit, struct k2_random *random) {
    k2_batch_clear(b);
    int offset = k2_schema_column(b->schema, K2_STR("log_offset"));
    int nanos = k2_schema_column(b->schema, K2_STR("timestamp_nanos"));
    for (uint32_t row = 0; row < ROWS; row++) {
        for (int i = 0; i < b->schema->column_count; i++)
            fill(b, i, row, commit, random);
        b->col[offset].i64[row] = commit * ROWS + (int64_t)row;
        if (nanos >= 0)
            b->col[nanos].i32[row] = (int32_t)k2_random_below(random, 1000);
    }
    b->rows = ROWS;
}

/* ---- files ---- */
struct adding {
    struct k2_data_file files[PARTITIONS];
    struct k2_file_stats stats[PARTITIONS];
    struct k2_arena arena; /* of paths */
    int count;
};

static bool same(const struct k2_partition_value *a, const struct k2_partition_value *b) {
    for (int i = 0; i < K2_PARTITION_MAX; i++)
        if (a[i].is_null != b[i].is_null || a[i].number != b[i].number ||
            !k2_str_eq(a[i].text, b[i].text))
            return false;
    return true;
}

static void write_file(struct k2_lake *lake, const struct k2_metadata *m, struct k2_batch *batch,
                       const uint32_t *order, uint32_t count, struct k2_random *random,
                       struct adding *a) {
    struct k2_data_writer writer = {.lake = lake, .random = random, .opts = k2_parquet_defaults()};
    writer.opts.row_group_rows = 16;
    writer.opts.page_rows = 8;
    if (!k2_data_file_write(&writer, m, batch, order, count, &a->arena, &a->files[a->count],
                            &a->stats[a->count], &err))
        fail("write a data file");
    k2_data_writer_done(&writer);
    a->count++;
}

/* One file per partition of the batch. */
static void write_files(struct k2_lake *lake, const struct k2_metadata *m, struct k2_batch *batch,
                        struct k2_random *random, struct adding *a) {
    struct k2_partition_value values[ROWS][K2_PARTITION_MAX];
    bool done[ROWS] = {0};
    memset(values, 0, sizeof values);
    for (uint32_t i = 0; i < batch->rows; i++)
        if (!k2_partition_of(m, batch, i, values[i], &err))
            fail("partition");
    for (uint32_t i = 0; i < batch->rows; i++) {
        uint32_t order[ROWS], count = 0;
        for (uint32_t j = i; !done[i] && j < batch->rows; j++)
            if (same(values[i], values[j]))
                order[count++] = j;
        if (!count)
            continue;
        for (uint32_t j = 0; j < count; j++)
            done[order[j]] = true;
        write_file(lake, m, batch, order, count, random, a);
    }
}

static void adding_done(struct adding *a) {
    for (int i = 0; i < a->count; i++)
        k2_file_stats_done(&a->stats[i]);
    k2_arena_done(&a->arena);
}

static void print_commit(const struct k2_metadata *m, const struct k2_batch *batch) {
    const struct k2_snapshot *s = k2_metadata_snapshot(m, m->current_snapshot_id);
    printf("{\"table\":\"%s\",\"snapshot\":%" PRId64 ",\"ms\":%" PRId64 ",\"metadata\":\"%s\"}\n",
           m->identifier.ptr, s->snapshot_id, s->timestamp_ms, m->metadata_location.ptr);
    struct k2_buf out = {0};
    for (uint32_t i = 0; batch && i < batch->rows; i++) {
        out.len = 0;
        k2_row_json(&out, batch, i, K2_ROW_STORED);
        printf("{\"table\":\"%s\",\"row\":%s}\n", m->identifier.ptr, k2_buf_cstr(&out));
    }
    k2_buf_done(&out);
}

static const struct k2_metadata *commit(struct k2_lake *lake, const struct k2_metadata *m,
                                        const struct adding *a, int number) {
    struct k2_move move = {.topic = "market.test",
                           .is_first = number == 0,
                           .from = {.log_id = "0d9c", .next = number * ROWS},
                           .to = {.log_id = "0d9c", .next = (number + 1) * ROWS}};
    char rows[12];
    snprintf(rows, sizeof rows, "%d", ROWS);
    const struct k2_property summary[] = {
        {K2_STR("k2.rows"), a ? k2_str_of(rows) : K2_STR("0")},
        {K2_STR("k2.duplicates"), K2_STR("0")},
        {K2_STR("k2.rejected"), K2_STR("0")},
        {K2_STR("k2.skipped"), a ? K2_STR("0") : k2_str_of(rows)},
        {K2_STR("k2.acknowledged"), K2_STR("0")},
    };
    struct k2_change change = {.base = m,
                               .operation = "append",
                               .add_count = a ? a->count : 0,
                               .add = a ? a->files : NULL,
                               .move_count = 1,
                               .moves = &move,
                               .summary_count = K2_COUNT(summary),
                               .summary = summary};
    if (!k2_lake_commit(lake, &change, 1, &err))
        fail("commit");
    k2_metadata_unref(m);
    return change.result;
}

static void append_one(struct k2_lake *lake, const struct k2_metadata **m, struct k2_batch *batch,
                       int number, struct k2_random *random) {
    struct adding a = {0};
    fill_batch(batch, number, random);
    write_files(lake, *m, batch, random, &a);
    *m = commit(lake, *m, &a, number);
    print_commit(*m, batch);
    adding_done(&a);
}

static void make_table(struct k2_lake *lake, enum k2_kind kind, const char *partition, int commits,
                       struct k2_random *random) {
    const struct k2_schema *schema = k2_schema_of(kind);
    const struct k2_metadata *m;
    if (!k2_lake_create(lake, schema, partition, &m, &err))
        fail("create");
    struct k2_intern strings = {0};
    struct k2_batch *batch = k2_batch_new(schema, ROWS, &strings);
    for (int i = 0; i < commits; i++)
        append_one(lake, &m, batch, i, random);
    k2_batch_free(batch);
    k2_intern_done(&strings);
    k2_metadata_unref(m);
}

static void make(struct k2_lake *lake, struct k2_random *random) {
    make_table(lake, K2_TRADE, NULL, 9, random);
    make_table(lake, K2_QUOTE, "day(timestamp), exchange, truncate(symbol, 4)", 3, random);
    make_table(lake, K2_REFERENCE, "bucket(symbol, 4)", 5, random);
    make_table(lake, K2_GAP, NULL, 0, random);
    make_table(lake, K2_GAP_EVENT, "truncate[3](gap_id), month(at)", 2, random);
    const struct k2_metadata *m;
    if (!k2_lake_create(lake, k2_schema_of(K2_DEAD_LETTER), NULL, &m, &err))
        fail("create");
    m = commit(lake, m, NULL, 0); /* a snapshot without files */
    print_commit(m, NULL);
    k2_metadata_unref(m);
}

static void append(struct k2_lake *lake, struct k2_random *random) {
    const char *name = "market_data.trades";
    const struct k2_metadata *m = NULL;
    if (!k2_lake_load(lake, &name, 1, &m, &err) || !m)
        fail("load");
    bool found;
    struct k2_position position;
    if (!k2_position_find(m, "market.test", 0, &found, &position, &err) || !found)
        fail("position");
    struct k2_intern strings = {0};
    struct k2_batch *batch = k2_batch_new(k2_schema_of(K2_TRADE), ROWS, &strings);
    append_one(lake, &m, batch, (int)(position.next / ROWS), random);
    k2_batch_free(batch);
    k2_intern_done(&strings);
    k2_metadata_unref(m);
}

/* ---- verify ---- */
static void print_finding(void *self, bool is_note, const char *table, const char *text) {
    (void)self;
    printf("%s %s: %s\n", is_note ? "note" : "broken", table, text);
}

static bool verify_table(void *self, const char *table, const char *location) {
    (void)location;
    const struct k2_metadata *m = NULL;
    struct k2_verify_result result = {0};
    if (!k2_lake_load(self, &table, 1, &m, &err) || !m)
        fail("load");
    const struct k2_verify_opts opts = {.report = print_finding};
    if (!k2_lake_verify(self, &m, 1, &opts, &result, &err))
        fail("verify");
    printf("%s %" PRId64 " snapshots %" PRId64 " manifests %" PRId64 " files %" PRId64
           " rows %" PRId64 " broken %" PRId64 " notes\n",
           table, result.snapshots, result.manifests, result.files, result.rows, result.broken,
           result.notes);
    k2_metadata_unref(m);
    if (result.broken)
        exit(1);
    return true;
}

/* ---- bench ---- */
static void bench(struct k2_lake *lake, int commits, struct k2_random *random) {
    const struct k2_metadata *m;
    if (!k2_lake_create(lake, k2_schema_of(K2_TRADE), "none", &m, &err))
        fail("create");
    struct k2_intern strings = {0};
    struct k2_batch *batch = k2_batch_new(k2_schema_of(K2_TRADE), ROWS, &strings);
    int64_t total = 0, worst = 0, started = 0;
    for (int i = 0; i < commits; i++) {
        struct adding a = {0};
        if (i == commits - 100)
            total = worst = 0;
        fill_batch(batch, i, random);
        write_files(lake, m, batch, random, &a);
        started = k2_monotonic_ns();
        m = commit(lake, m, &a, i);
        int64_t took = k2_monotonic_ns() - started;
        total += took;
        worst = K2_MAX(worst, took);
        adding_done(&a);
    }
    printf("commits %d, the last 100: %.2f ms each, the longest %.2f ms\n", commits,
           (double)total / 1e8, (double)worst / 1e6);
    k2_batch_free(batch);
    k2_intern_done(&strings);
    k2_metadata_unref(m);
}

int main(int argc, char **argv) {
    int64_t number = 1;
    if (argc < 3 || (argc > 3 && !k2_str_to_i64(k2_str_of(argv[3]), &number)))
        return 2;
    struct k2_buf warehouse = {0}, catalog = {0};
    k2_buf_printf(&warehouse, "file:%s/warehouse", argv[2]);
    k2_buf_printf(&catalog, "sqlite:%s/catalog.db", argv[2]);
    bool is_bench = strcmp(argv[1], "bench") == 0;
    struct k2_lake_opts opts = {.warehouse = k2_buf_cstr(&warehouse),
                                .catalog = k2_buf_cstr(&catalog),
                                .catalog_name = "k2",
                                .manifest_merge_count = is_bench ? 100 : 4};
    struct k2_lake *lake = k2_lake_open(&opts, &err);
    struct k2_random random;
    k2_random_seed(&random, (uint64_t)number);
    if (!lake)
        fail("open");
    if (is_bench)
        bench(lake, (int)number, &random);
    else if (strcmp(argv[1], "make") == 0)
        make(lake, &random);
    else if (strcmp(argv[1], "append") == 0)
        append(lake, &random);
    else if (!k2_catalog_list(k2_lake_catalog(lake), verify_table, lake, &err))
        fail("list");
    k2_lake_free(lake);
    k2_buf_done(&warehouse);
    k2_buf_done(&catalog);
    return 0;
}
