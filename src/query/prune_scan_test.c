/* prune_scan_test.c -- what a scan leaves out, by partitions, bounds or row groups, holds no row
 * that was asked for. */
#include "base/alloc.h"
#include "lake/table/read.h"
#include "support/property.h"
#include "support/prune_lake.h"
#include "support/test.h"

enum { ROWS = 1600, FILES_MAX = 128, PREDICATES_MAX = 4, VALUES_MAX = 3, GROUPS_MAX = 64 };

/* Where each row of the lake lies. */
struct places {
    struct k2_scan all; /* files, by their number here */
    struct k2_parquet_file *open[FILES_MAX];
    int file[ROWS], group[ROWS];
};

static void find_places(struct lake *lake, const struct k2_metadata *metadata, struct places *p) {
    struct k2_err err = {0};
    const struct k2_schema *schema = k2_schema_of(K2_TRADE);
    uint32_t found = 0;
    CHECK_OK(k2_table_scan(lake->lake, metadata, schema, 0, NULL, 0, &p->all, &err));
    CHECK(p->all.file_count <= FILES_MAX && p->all.file_count >= PRUNE_COMMITS * PRUNE_DAYS);
    struct k2_batch *b = k2_batch_new(schema, ROWS, &lake->strings);
    for (int f = 0; f < p->all.file_count; f++) {
        p->open[f] = k2_table_open_file(lake->lake, metadata, schema, p->all.files[f].path, &err);
        CHECK_OK(p->open[f] != NULL);
        for (int g = 0; g < k2_parquet_row_groups(p->open[f]); g++) {
            k2_batch_clear(b);
            CHECK_OK(k2_parquet_read(p->open[f], g, 1u << K2_TRADE_LOG_OFFSET, b, &err));
            for (uint32_t i = 0; i < b->rows; i++, found++) {
                int64_t row = b->col[K2_TRADE_LOG_OFFSET].i64[i];
                p->file[row] = f;
                p->group[row] = g;
            }
        }
    }
    CHECK(found == ROWS);
    k2_batch_free(b);
}

static void close_places(struct places *p) {
    for (int f = 0; f < p->all.file_count; f++)
        k2_parquet_close(p->open[f]);
    k2_scan_done(&p->all);
}

/* ---- conditions ---- */

struct asked {
    int64_t seed, round; /* they come from */
    struct k2_predicate predicates[PREDICATES_MAX];
    struct k2_str values[PREDICATES_MAX][VALUES_MAX];
    char texts[PREDICATES_MAX][VALUES_MAX][64];
    int count;
};

static int64_t value_of(const struct k2_batch *b, int column, uint32_t row) {
    enum k2_type type = b->schema->columns[column].type;
    return type == K2_INT32 ? b->col[column].i32[row] : b->col[column].i64[row];
}

/* At, or beside, the value of some row, or at an end of what there is. */
static int64_t pick_bound(struct k2_random *random, const struct k2_batch *b, int column) {
    uint32_t row = (uint32_t)k2_random_below(random, b->rows);
    uint64_t how = k2_random_below(random, 20);
    if (how < 2)
        return how ? INT64_MAX : INT64_MIN;
    return value_of(b, column, row) - 1 + (int64_t)k2_random_below(random, 3);
}

/* The text of some row, one a little longer, or a piece of it. */
static void pick_text(struct k2_random *random, const struct k2_batch *b, int column, char *text) {
    struct k2_str value = k2_batch_text(b, column, (uint32_t)k2_random_below(random, b->rows));
    uint64_t how = k2_random_below(random, 8);
    int len = (int)value.len;
    if (how == 1)
        len = (int)k2_random_below(random, value.len + 1);
    snprintf(text, 64, "%.*s%s", len, value.ptr, how ? "" : "z");
}

static void pick(struct k2_random *random, const struct k2_batch *b, struct asked *a) {
    static const int numbers[] = {K2_TRADE_TIMESTAMP,         K2_TRADE_TIMESTAMP,
                                  K2_TRADE_SOURCE_SEQUENCE,   K2_TRADE_SOURCE_SEQUENCE,
                                  K2_TRADE_PLATFORM_SEQUENCE, K2_TRADE_PRICE,
                                  K2_TRADE_QUANTITY,          K2_TRADE_NANOS,
                                  K2_TRADE_INGESTION,         K2_TRADE_LOG_OFFSET,
                                  K2_TRADE_LOG_PARTITION};
    static const int texts[] = {K2_TRADE_SYMBOL, K2_TRADE_SYMBOL,   K2_TRADE_EXCHANGE,
                                K2_TRADE_ID,     K2_TRADE_CURRENCY, K2_TRADE_LOG_ID};
    a->count = 1 + (int)k2_random_below(random, PREDICATES_MAX);
    for (int i = 0; i < a->count; i++) {
        struct k2_predicate *p = &a->predicates[i];
        *p = (struct k2_predicate){0};
        if (k2_random_below(random, 2)) {
            p->column = numbers[k2_random_below(random, K2_COUNT(numbers))];
            p->has_low = k2_random_below(random, 3) != 0;
            p->has_high = !p->has_low || k2_random_below(random, 3) != 0;
            p->low = pick_bound(random, b, p->column);
            p->high = pick_bound(random, b, p->column);
            continue;
        }
        p->column = texts[k2_random_below(random, K2_COUNT(texts))];
        p->value_count = 1 + (int)k2_random_below(random, VALUES_MAX);
        p->values = a->values[i];
        for (int v = 0; v < p->value_count; v++) {
            pick_text(random, b, p->column, a->texts[i][v]);
            a->values[i][v] = k2_str_of(a->texts[i][v]);
        }
    }
}

static bool matches(const struct k2_predicate *p, const struct k2_batch *b, uint32_t row) {
    if (k2_batch_is_null(b, p->column, row))
        return false;
    for (int v = 0; v < p->value_count; v++)
        if (k2_str_eq(p->values[v], k2_batch_text(b, p->column, row)))
            return true;
    if (p->value_count)
        return false;
    int64_t value = value_of(b, p->column, row);
    return (!p->has_low || value >= p->low) && (!p->has_high || value <= p->high);
}

static bool group_may_hold(const struct k2_parquet_file *file, int group,
                           const struct k2_predicate *p) {
    bool may = !p->value_count &&
               k2_parquet_may_hold_int(file, group, p->column, p->has_low ? p->low : INT64_MIN,
                                       p->has_high ? p->high : INT64_MAX);
    for (int v = 0; v < p->value_count; v++)
        may |= k2_parquet_may_hold_str(file, group, p->column, p->values[v]);
    return may;
}

static void describe(const struct asked *a, struct k2_buf *out) {
    for (int i = 0; i < a->count; i++) {
        const struct k2_predicate *p = &a->predicates[i];
        k2_buf_printf(out, "%s%s", i ? " and " : "",
                      k2_schema_of(K2_TRADE)->columns[p->column].name);
        for (int v = 0; v < p->value_count; v++)
            k2_buf_printf(out, "%s'%.*s'", v ? ", " : " in ", K2_FMT(p->values[v]));
        if (p->has_low)
            k2_buf_printf(out, " from %lld", (long long)p->low);
        if (p->has_high)
            k2_buf_printf(out, " to %lld", (long long)p->high);
    }
}

/* ---- the property ---- */

struct outcome {
    int64_t files_left_out, groups_left_out, rows;
};

/* Which row groups are read: those of files the scan names, where each condition may hold. */
static void note_read(const struct places *p, const struct k2_scan *scan, const struct asked *a,
                      bool is_read[FILES_MAX][GROUPS_MAX], struct outcome *outcome) {
    for (int f = 0; f < p->all.file_count; f++) {
        bool is_named = false;
        for (int i = 0; !is_named && i < scan->file_count; i++)
            is_named = k2_str_eq(scan->files[i].path, p->all.files[f].path);
        outcome->files_left_out += !is_named;
        for (int g = 0; g < k2_parquet_row_groups(p->open[f]); g++) {
            CHECK(g < GROUPS_MAX);
            is_read[f][g] = is_named;
            for (int i = 0; is_read[f][g] && i < a->count; i++)
                is_read[f][g] = group_may_hold(p->open[f], g, &a->predicates[i]);
            outcome->groups_left_out += is_named && !is_read[f][g];
        }
    }
}

static void fail_round(const struct places *p, const struct asked *a, uint32_t row) {
    struct k2_buf text = {0};
    describe(a, &text);
    fail_msg("seed %lld, round %lld: row %u lies in file %d, row group %d, which is left out of %s",
             (long long)a->seed, (long long)a->round, row, p->file[row], p->group[row],
             k2_buf_cstr(&text));
}

static void check_round(struct lake *lake, const struct k2_metadata *metadata,
                        const struct places *p, const struct asked *a, struct outcome *outcome) {
    struct k2_err err = {0};
    struct k2_scan scan;
    bool is_read[FILES_MAX][GROUPS_MAX];
    CHECK_OK(k2_table_scan(lake->lake, metadata, k2_schema_of(K2_TRADE), 0, a->predicates, a->count,
                           &scan, &err));
    note_read(p, &scan, a, is_read, outcome);
    for (uint32_t row = 0; row < ROWS; row++) {
        bool is_asked = true;
        for (int i = 0; is_asked && i < a->count; i++)
            is_asked = matches(&a->predicates[i], lake->rows, row);
        outcome->rows += is_asked;
        if (is_asked && !is_read[p->file[row]][p->group[row]])
            fail_round(p, a, row);
    }
    k2_scan_done(&scan);
}

TEST(scans_leave_out_nothing_that_was_asked_for) {
    struct lake lake;
    struct places places = {0};
    struct k2_random random;
    struct outcome outcome = {0};
    int64_t rounds = property_rounds(TEST_IS_SLOW ? 500 : 3000), seed = property_seed();
    k2_random_seed(&random, (uint64_t)seed);
    lake_open(&lake, ROWS);
    prune_fill(&lake, &random, ROWS);
    const struct k2_metadata *metadata = lake_table(&lake, K2_TRADE);
    find_places(&lake, metadata, &places);
    for (int64_t round = 0; round < rounds; round++) {
        struct asked asked = {.seed = seed, .round = round};
        pick(&random, lake.rows, &asked);
        check_round(&lake, metadata, &places, &asked, &outcome);
    }
    CHECK(outcome.files_left_out > rounds && outcome.groups_left_out > rounds / 4);
    CHECK(outcome.rows > rounds);
    close_places(&places);
    k2_metadata_unref(metadata);
    lake_close(&lake);
}
