/* replay_test.c -- order, digest, pruning, memory and completeness over lakes made row by row. */
#include "query/replay.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/random.h"
#include "query/digest.h"
#include "support/property.h"
#include "support/replay_lake.h"
#include "support/test.h"

/* ---- the digest, once more and as simply as can be ---- */

static void put_str(struct k2_buf *out, struct k2_str s) {
    k2_buf_u32(out, (uint32_t)s.len);
    k2_buf_str(out, s);
}

/* Maps are put in with their keys in order, so that nothing needs sorting here. */
static void put_items(struct k2_buf *out, const struct k2_batch *b, int column, uint32_t row) {
    struct k2_str blocks = k2_batch_get(b, b->col[column].span[row]), key, value;
    struct k2_cursor cursor = {0};
    size_t at = out->len;
    uint32_t count = 0;
    k2_buf_u32(out, 0);
    if (b->schema->columns[column].type == K2_LIST)
        for (; k2_list_next(blocks, &cursor, &key); count++)
            put_str(out, key);
    else
        for (; k2_map_next(blocks, &cursor, &key, &value); count++) {
            put_str(out, key);
            put_str(out, value);
        }
    memcpy(out->ptr + at, &count, 4);
}

static void put_row(struct k2_buf *out, const struct k2_batch *b, uint32_t row) {
    for (int i = 0; i < b->schema->column_count - 3; i++) {
        const struct k2_column *c = &b->schema->columns[i];
        const struct k2_vector *v = &b->col[i];
        uint16_t number = (uint16_t)(i + 1);
        if (c->type == K2_FLAGS || k2_batch_is_null(b, i, row))
            continue;
        k2_buf_append(out, &number, 2);
        if (c->type == K2_INT32)
            k2_buf_u64(out, (uint64_t)(int64_t)v->i32[row]);
        else if (c->type == K2_INT64 || c->type == K2_TIMESTAMP || c->type == K2_DECIMAL)
            k2_buf_u64(out, (uint64_t)v->i64[row]);
        else if (c->type == K2_LIST || c->type == K2_MAP)
            put_items(out, b, i, row);
        else
            put_str(out, k2_batch_text(b, i, row));
    }
}

static struct k2_hash128 digest_of(const struct k2_batch *b, const uint32_t *rows, uint32_t count) {
    struct k2_buf bytes = {0};
    for (uint32_t i = 0; i < count; i++)
        put_row(&bytes, b, rows[i]);
    struct k2_hash128 hash = k2_hash128(bytes.ptr ? bytes.ptr : "", bytes.len);
    k2_buf_done(&bytes);
    return hash;
}

static bool is_same(struct k2_hash128 a, struct k2_hash128 b) {
    return a.low == b.low && a.high == b.high;
}

/* ---- data ---- */

static int compare_rows(const void *a, const void *b, void *batch) {
    const struct k2_batch *t = batch;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int64_t x = rows_ns(t, i), y = rows_ns(t, j);
    int order = x < y ? -1 : x > y;
    if (!order)
        order = k2_str_cmp(k2_batch_text(t, K2_TRADE_EXCHANGE, i),
                           k2_batch_text(t, K2_TRADE_EXCHANGE, j));
    if (!order)
        order =
            k2_str_cmp(k2_batch_text(t, K2_TRADE_SYMBOL, i), k2_batch_text(t, K2_TRADE_SYMBOL, j));
    if (!order)
        order = t->col[K2_TRADE_SOURCE_SEQUENCE].i64[i] < t->col[K2_TRADE_SOURCE_SEQUENCE].i64[j]
                    ? -1
                    : 1;
    return order;
}

static uint32_t *sorted(const struct k2_batch *b) {
    uint32_t *order = k2_new_array(uint32_t, b->rows);
    for (uint32_t i = 0; i < b->rows; i++)
        order[i] = i;
    qsort_r(order, b->rows, sizeof *order, compare_rows, (void *)(uintptr_t)b);
    return order;
}

/* Rows of seven symbols over two days and three exchanges; times are coarse, so that many are
 * equal. One in late_every lies anywhere in time. */
static void make_rows(struct k2_batch *b, uint32_t count, uint32_t late_every) {
    static const char *const symbols[] = {
        "AA", "AB", "B", "CCC", "D", "a symbol longer than what fits a cell", "E"};
    static const char *const exchanges[] = {"X", "Y", "ZED"};
    struct k2_random random;
    int64_t numbers[7] = {0};
    k2_random_seed(&random, 42);
    for (uint32_t i = 0; i < count; i++) {
        int symbol = (int)k2_random_below(&random, 7);
        int64_t day_ns = 86400000000000, step = 2 * day_ns / count;
        int64_t ns = i * step - i * step % 100000000000;
        if (late_every && k2_random_below(&random, late_every) == 0)
            ns = (int64_t)k2_random_below(&random, (uint64_t)(2 * day_ns));
        rows_add(b, symbols[symbol], exchanges[symbol % 3], LAKE_START_NS + ns, ++numbers[symbol]);
    }
}

struct collected {
    int64_t rows, previous_ns, calls;
    struct k2_digest *digest;
    uint32_t offsets[4096]; /* of the rows in the lake's source batch */
};

static bool collect(void *self, const struct k2_batch *b, const uint32_t *rows, uint32_t count,
                    struct k2_err *err) {
    struct collected *c = self;
    (void)err;
    for (uint32_t i = 0; i < count; i++) {
        if (c->rows < (int64_t)K2_COUNT(c->offsets))
            c->offsets[c->rows] = (uint32_t)b->col[K2_TRADE_LOG_OFFSET].i64[rows[i]];
        CHECK(rows_ns(b, rows[i]) >= c->previous_ns);
        c->previous_ns = rows_ns(b, rows[i]);
        c->rows++;
    }
    c->calls++;
    return true;
}

static struct k2_replay_result run(const struct k2_replay_opts *opts, k2_replay_fn *each,
                                   void *self) {
    struct k2_err err = {0};
    struct k2_replay_result result = {0};
    CHECK_OK(k2_replay_run(opts, each, self, &result, &err));
    return result;
}

/* ---- the digest ---- */

/* The vector of docs/user-guide.md: its bytes are written out here by hand. */
TEST(digest_vector) {
    static const char hex_bytes[] =
        "010004000000742d3137"                     /* trade_id */
        "020003000000424850"                       /* symbol */
        "030003000000415358"                       /* exchange */
        "0400080000006571756974696573"             /* asset_class */
        "050040ee9dcc37f40400"                     /* timestamp */
        "06001503000000000000"                     /* timestamp_nanos */
        "07002006f0d400000000"                     /* price */
        "080000e40b5402000000"                     /* quantity */
        "090003000000415544"                       /* currency */
        "0a0003000000425559"                       /* side */
        "0b0002000000020000005854040000004c415445" /* trade_conditions */
        "0c002a00000000000000"                     /* source_sequence */
        "0d0082f89dcc37f40400"                     /* ingestion_timestamp */
        "0e00e645a80c00000000"                     /* platform_sequence */
        "0f000200000001000000610000000001000000620100000031" /* vendor_data */;
    struct k2_intern strings = {0};
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_TRADE), 1, &strings);
    rows_add(b, "BHP", "ASX", 1394420400123456789, 42);
    struct k2_str conditions[] = {K2_STR("XT"), K2_STR("LATE")};
    struct k2_str keys[] = {K2_STR("b"), K2_STR("a")}, values[] = {K2_STR("1"), K2_STR("")};
    b->col[K2_TRADE_ID].span[0] = k2_batch_put(b, K2_STR("t-17"));
    b->col[K2_TRADE_ASSET_CLASS].u8[0] = K2_EQUITIES;
    b->col[K2_TRADE_PRICE].i64[0] = 3572500000;
    b->col[K2_TRADE_QUANTITY].i64[0] = 10000000000;
    b->col[K2_TRADE_CURRENCY].u32[0] = k2_intern_add(&strings, K2_STR("AUD"));
    b->col[K2_TRADE_SIDE].u8[0] = K2_BUY;
    b->col[K2_TRADE_CONDITIONS].span[0] = k2_batch_put_list(b, conditions, 2);
    b->col[K2_TRADE_INGESTION].i64[0] = 1394420400126082;
    b->col[K2_TRADE_PLATFORM_SEQUENCE].i64[0] = 212354534;
    b->col[K2_TRADE_VENDOR_DATA].span[0] = k2_batch_put_map(b, keys, values, 2);
    b->col[K2_TRADE_VENDOR_DATA].valid[0] = 1;
    b->col[K2_TRADE_FLAGS].u32[0] = K2_FLAG_LATE;
    struct k2_digest *digest = k2_digest_new(b->schema);
    uint32_t row = 0;
    k2_digest_add(digest, b, &row, 1);
    char hex[2][33];
    k2_hash128_hex(k2_digest_end(digest), hex[0]);
    uint8_t bytes[sizeof hex_bytes / 2];
    for (size_t i = 0; i < sizeof bytes; i++) {
        unsigned value = 0;
        CHECK(sscanf(hex_bytes + 2 * i, "%2x", &value) == 1);
        bytes[i] = (uint8_t)value;
    }
    k2_hash128_hex(k2_hash128(bytes, sizeof bytes), hex[1]);
    if (strcmp(hex[0], hex[1]) != 0 || strcmp(hex[0], "5493e8ae015967e4b0dd52da5bf79311") != 0)
        fail_msg("digest %s, of the bytes %s", hex[0], hex[1]);
    k2_digest_free(digest);
    k2_batch_free(b);
    k2_intern_done(&strings);
}

TEST(digest_is_of_the_rows_not_of_the_calls) {
    struct k2_intern strings = {0};
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_TRADE), 3000, &strings);
    make_rows(b, 3000, 10);
    uint32_t *order = sorted(b);
    struct k2_digest *digest = k2_digest_new(b->schema);
    for (uint32_t at = 0, step = 1; at < b->rows; at += step, step = step * 3 % 97 + 1) {
        step = K2_MIN(step, b->rows - at);
        k2_digest_add(digest, b, order + at, step);
    }
    CHECK(is_same(k2_digest_end(digest), digest_of(b, order, b->rows)));
    k2_digest_free(digest);
    k2_free(order);
    k2_batch_free(b);
    k2_intern_done(&strings);
}

/* ---- layouts ---- */

/* However the rows were dealt to commits and files, and however little memory there is. */
TEST(layout_and_memory_do_not_show) {
    static const struct {
        int commits;
        uint32_t late_every, mode;
    } layouts[] = {{1, 0, LAKE_IN_ORDER}, {40, 0, LAKE_IN_ORDER},  {1, 20, LAKE_IN_ORDER},
                   {7, 3, LAKE_IN_ORDER}, {40, 20, LAKE_IN_ORDER}, {12, 20, LAKE_DEALT_OUT},
                   {3, 0, LAKE_DEALT_OUT}};
    static const int64_t memories[] = {0, 1 << 20, 1 << 17, 1 << 10};
    for (size_t i = 0; i < K2_COUNT(layouts); i++) {
        struct lake lake;
        lake_open(&lake, 4000);
        make_rows(lake.rows, 4000, layouts[i].late_every);
        lake_commit_all(&lake, layouts[i].commits, layouts[i].mode);
        uint32_t *order = sorted(lake.rows);
        struct k2_hash128 expected = digest_of(lake.rows, order, lake.rows->rows);
        for (size_t m = 0; m < K2_COUNT(memories); m++) {
            struct k2_replay_opts opts = {.lake = lake.lake,
                                          .schema = k2_schema_of(K2_TRADE),
                                          .memory = memories[m],
                                          .reads_all = true};
            struct collected c = {0};
            struct k2_replay_result result = run(&opts, collect, &c);
            CHECK(result.rows == 4000 && c.rows == 4000 && result.is_complete);
            CHECK(is_same(result.digest, expected));
            for (uint32_t r = 0; r < 4000; r++)
                CHECK(c.offsets[r] == order[r]);
            opts.reads_all = false;
            CHECK(is_same(run(&opts, NULL, NULL).digest, expected));
        }
        k2_free(order);
        lake_close(&lake);
    }
}

TEST(a_moment_with_more_rows_than_memory_is_refused) {
    struct lake lake;
    struct k2_err err = {0};
    struct k2_replay_result result;
    lake_open(&lake, 2000);
    for (int i = 0; i < 2000; i++)
        rows_add(lake.rows, i % 2 ? "S" : "T", "X", LAKE_START_NS, i + 1);
    lake_commit_all(&lake, 4, LAKE_DEALT_OUT);
    struct k2_replay_opts opts = {
        .lake = lake.lake, .schema = k2_schema_of(K2_TRADE), .memory = 1 << 10};
    CHECK(!k2_replay_run(&opts, NULL, NULL, &result, &err));
    CHECK(err.code == K2_LIMIT && strstr(err.msg, "replay.memory"));
    opts.memory = 0;
    CHECK(run(&opts, NULL, NULL).rows == 2000);
    lake_close(&lake);
}

static bool refuse(void *self, const struct k2_batch *b, const uint32_t *rows, uint32_t count,
                   struct k2_err *err) {
    (void)b, (void)rows, (void)count;
    ++*(int *)self;
    return k2_err_set(err, K2_IO, "the reader went away");
}

TEST(stops_when_told) {
    struct lake lake;
    struct k2_err err = {0};
    struct k2_replay_result result;
    int calls = 0;
    atomic_bool stop = true;
    lake_open(&lake, 4000);
    make_rows(lake.rows, 4000, 0);
    lake_commit_all(&lake, 4, LAKE_IN_ORDER);
    struct k2_replay_opts opts = {.lake = lake.lake, .schema = k2_schema_of(K2_TRADE)};
    CHECK(!k2_replay_run(&opts, refuse, &calls, &result, &err));
    CHECK(err.code == K2_IO && calls == 1);
    opts.stop = &stop;
    result = run(&opts, NULL, NULL);
    CHECK(result.is_stopped && !result.is_complete && result.rows == 0);
    lake_close(&lake);
}

static bool have_enough(void *self, const struct k2_batch *b, const uint32_t *rows, uint32_t count,
                        struct k2_err *err) {
    (void)b, (void)rows;
    *(int64_t *)self += count;
    return *(int64_t *)self < 3000 || k2_err_set(err, K2_CANCELLED, "enough");
}

/* The digest is of what was handed on. */
TEST(ends_early_when_the_reader_has_enough) {
    struct lake lake;
    int64_t taken = 0;
    lake_open(&lake, 4000);
    make_rows(lake.rows, 4000, 0);
    lake_commit_all(&lake, 4, LAKE_IN_ORDER);
    uint32_t *order = sorted(lake.rows);
    struct k2_replay_opts opts = {.lake = lake.lake, .schema = k2_schema_of(K2_TRADE)};
    struct k2_replay_result result = run(&opts, have_enough, &taken);
    CHECK(result.is_stopped && !result.is_complete && result.rows == taken && taken >= 3000);
    CHECK(is_same(result.digest, digest_of(lake.rows, order, (uint32_t)taken)));
    k2_free(order);
    lake_close(&lake);
}

/* ---- pruning ---- */

static bool matches(const struct k2_replay_opts *o, const struct k2_batch *b, uint32_t row) {
    int64_t ns = rows_ns(b, row);
    bool is = !o->symbol_count;
    for (int i = 0; i < o->symbol_count; i++)
        is |= k2_str_eq(o->symbols[i], k2_batch_text(b, K2_TRADE_SYMBOL, row));
    return is &&
           (!o->exchange.len || k2_str_eq(o->exchange, k2_batch_text(b, K2_TRADE_EXCHANGE, row))) &&
           (!o->has_from || ns >= o->from_ns) && (!o->has_to || ns < o->to_ns);
}

static void pick_predicates(struct k2_random *random, const struct k2_batch *b,
                            struct k2_replay_opts *o, struct k2_str symbols[3]) {
    static const char *const names[] = {
        "AA", "AB", "B", "CCC", "D", "a symbol longer than what fits a cell", "E", "NOSUCH"};
    static const char *const exchanges[] = {"X", "Y", "ZED", "NOSUCH"};
    o->symbols = symbols;
    o->symbol_count = (int)k2_random_below(random, 4);
    for (int i = 0; i < o->symbol_count; i++)
        symbols[i] = k2_str_of(names[k2_random_below(random, K2_COUNT(names))]);
    if (k2_random_below(random, 3) == 0)
        o->exchange = k2_str_of(exchanges[k2_random_below(random, K2_COUNT(exchanges))]);
    o->has_from = k2_random_below(random, 2);
    o->has_to = k2_random_below(random, 2);
    /* On, or a nanosecond beside, the time of a row. */
    uint32_t rows[2] = {(uint32_t)k2_random_below(random, b->rows),
                        (uint32_t)k2_random_below(random, b->rows)};
    o->from_ns = rows_ns(b, rows[0]) - 1 + (int64_t)k2_random_below(random, 3);
    o->to_ns = rows_ns(b, rows[1]) - 1 + (int64_t)k2_random_below(random, 3);
    if (k2_random_below(random, 4) == 0)
        o->memory = 1 << (10 + k2_random_below(random, 8));
}

/* Whatever is left out by statistics holds no row that was asked for. */
TEST(pruning_loses_nothing) {
    enum { ROWS = 800 };
    int64_t rounds = property_rounds(1000), seed = property_seed();
    struct lake lake;
    struct k2_random random;
    lake_open(&lake, ROWS);
    make_rows(lake.rows, ROWS, 25);
    lake_commit_all(&lake, 5, LAKE_IN_ORDER);
    uint32_t *order = sorted(lake.rows);
    uint32_t *expected = k2_new_array(uint32_t, ROWS);
    k2_random_seed(&random, (uint64_t)seed);
    for (int64_t round = 0; round < rounds; round++) {
        struct k2_str symbols[3];
        struct k2_replay_opts opts = {
            .lake = lake.lake, .schema = k2_schema_of(K2_TRADE), .reads_all = true};
        struct collected c = {0};
        uint32_t count = 0;
        pick_predicates(&random, lake.rows, &opts, symbols);
        for (uint32_t i = 0; i < ROWS; i++)
            if (matches(&opts, lake.rows, order[i]))
                expected[count++] = order[i];
        struct k2_replay_result result = run(&opts, collect, &c);
        if (result.rows != count || memcmp(c.offsets, expected, count * sizeof *expected) != 0 ||
            !is_same(result.digest, digest_of(lake.rows, expected, count)))
            fail_msg("seed %lld, round %lld: %lld rows instead of %u", (long long)seed,
                     (long long)round, (long long)result.rows, count);
    }
    k2_free(expected);
    k2_free(order);
    lake_close(&lake);
}
