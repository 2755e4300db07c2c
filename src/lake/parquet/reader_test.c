/* reader_test.c -- ranges of rows and slices against the whole read, with and without a page index,
 * and how much of the file a range costs.
 */
#include "base/random.h"
#include "lake/parquet/reader_impl.h"
#include "support/test.h"

#define PATH "f.parquet"
enum { ROWS = 5000, GROUP_ROWS = 2100, PAGE_ROWS = 130 };

struct rig {
    struct k2_store *store;
    const struct k2_schema *schema;
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_intern strings;
    struct k2_random random;
    struct k2_batch *batch;
};

static uint64_t below(struct rig *rig, uint64_t bound) {
    return k2_random_below(&rig->random, bound);
}

static struct k2_span some_text(struct rig *rig, const char *prefix) {
    char text[48];
    snprintf(text, sizeof text, "%s%llu", prefix,
             (unsigned long long)below(rig, 1u << below(rig, 30)));
    return k2_batch_put(rig->batch, k2_str_of(text));
}

/* A value of any type; cells that are alike and such that are not. */
static void fill_value(struct rig *rig, int column, uint32_t row) {
    const struct k2_column *c = &rig->schema->columns[column];
    struct k2_vector *v = &rig->batch->col[column];
    struct k2_str items[] = {K2_STR("a"),    K2_STR("bb"), K2_STR(""),
                             K2_STR("dddd"), K2_STR("e"),  K2_STR("f")};
    uint32_t count = below(rig, 3) ? 0 : (uint32_t)below(rig, 7);
    char symbol[16];
    switch (c->type) {
    case K2_INT32: v->i32[row] = (int32_t)below(rig, 1000); break;
    case K2_SYMBOL:
        snprintf(symbol, sizeof symbol, "S%u", (unsigned)below(rig, 40));
        v->u32[row] = k2_intern_add(&rig->strings, k2_str_of(symbol));
        break;
    case K2_ENUM: v->u8[row] = (uint8_t)below(rig, 2); break;
    case K2_FLAGS: v->u32[row] = below(rig, 20) ? 0 : 1u << below(rig, 2); break;
    case K2_STRING:
    case K2_BINARY: v->span[row] = some_text(rig, row % 512 < 300 ? "same-" : ""); break;
    case K2_LIST: v->span[row] = k2_batch_put_list(rig->batch, items, count); break;
    case K2_MAP: v->span[row] = k2_batch_put_map(rig->batch, items, items, count); break;
    default: v->i64[row] = (int64_t)below(rig, 1ull << below(rig, 50));
    }
}

static void rig_open(struct rig *rig, uint64_t seed) {
    struct k2_err err = {0};
    memset(rig, 0, sizeof *rig);
    k2_random_seed(&rig->random, seed);
    rig->store = k2_store_open("memory:", &err);
    CHECK_OK(rig->store != NULL);
    rig->schema = k2_schema_of(K2_TRADE);
    k2_schema_default_ids(rig->schema, rig->ids);
    rig->batch = k2_batch_new(rig->schema, ROWS, &rig->strings);
    for (uint32_t row = 0; row < ROWS; row++)
        for (int c = 0; c < rig->schema->column_count; c++) {
            if (rig->batch->col[c].valid && !(rig->batch->col[c].valid[row] = below(rig, 3) > 0)) {
                size_t width = k2_type_width(rig->schema->columns[c].type);
                memset(rig->batch->col[c].u8 + width * row, 0, width);
                continue;
            }
            fill_value(rig, c, row);
        }
    rig->batch->rows = ROWS;
}

static struct k2_parquet_file *write_file(struct rig *rig, bool has_page_index) {
    struct k2_err err = {0};
    struct k2_file_stats stats = {0};
    struct k2_parquet_opts opts = k2_parquet_defaults();
    opts.row_group_rows = GROUP_ROWS;
    opts.page_rows = PAGE_ROWS;
    opts.has_page_index = has_page_index;
    CHECK_OK(k2_store_delete(rig->store, PATH, &err));
    struct k2_sink *sink = k2_sink_open(rig->store, PATH, &err);
    struct k2_parquet_writer *w = k2_parquet_writer_new(sink, rig->schema, rig->ids, &opts, &err);
    CHECK_OK(w && k2_parquet_write(w, rig->batch, NULL, ROWS, &err));
    CHECK_OK(k2_parquet_finish(w, &stats, &err));
    k2_parquet_writer_free(w);
    CHECK_OK(k2_sink_commit(sink, &err));
    k2_file_stats_done(&stats);
    struct k2_parquet_file *file = k2_parquet_open(rig->store, PATH, rig->schema, rig->ids, &err);
    CHECK_OK(file != NULL);
    return file;
}

static void rig_close(struct rig *rig, struct k2_parquet_file *file) {
    k2_parquet_close(file);
    k2_batch_free(rig->batch);
    k2_store_free(rig->store);
    k2_intern_done(&rig->strings);
}

/* Row a of what was read is row b of what was written, in the columns whose bits are set. */
static void check_row(const struct rig *rig, const struct k2_batch *got, uint32_t a, uint32_t b,
                      uint32_t columns) {
    const struct k2_batch *want = rig->batch;
    for (int c = 0; c < rig->schema->column_count; c++) {
        enum k2_type type = rig->schema->columns[c].type;
        size_t width = k2_type_width(type);
        if (!(columns >> c & 1))
            continue;
        CHECK(k2_batch_is_null(got, c, a) == k2_batch_is_null(want, c, b));
        if (k2_batch_is_null(got, c, a))
            continue;
        if (type == K2_LIST || type == K2_MAP)
            CHECK(k2_str_eq(k2_batch_get(got, got->col[c].span[a]),
                            k2_batch_get(want, want->col[c].span[b])));
        else if (type == K2_SYMBOL || type == K2_STRING || type == K2_BINARY)
            CHECK(k2_str_eq(k2_batch_text(got, c, a), k2_batch_text(want, c, b)));
        else
            CHECK(memcmp(got->col[c].u8 + a * width, want->col[c].u8 + b * width, width) == 0);
    }
}

static uint32_t group_first(int group) {
    return (uint32_t)group * GROUP_ROWS;
}

TEST(parquet_read_random_ranges) {
    for (int round = 0; round < 4; round++) {
        struct rig rig;
        struct k2_err err = {0};
        struct k2_intern strings = {0};
        rig_open(&rig, (uint64_t)round);
        struct k2_parquet_file *file = write_file(&rig, round % 2);
        struct k2_batch *got = k2_batch_new(rig.schema, GROUP_ROWS, &strings);
        for (int i = 0; i < 60; i++) {
            int group = (int)below(&rig, (uint64_t)k2_parquet_row_groups(file));
            uint32_t rows = (uint32_t)k2_parquet_row_group_rows(file, group);
            uint32_t first = (uint32_t)below(&rig, rows + 1), most = rows - first;
            uint32_t count = (uint32_t)below(&rig, K2_MIN(most, i % 2 ? 40u : most) + 1);
            uint32_t columns = i % 3 ? ~0u : (uint32_t)k2_random_u64(&rig.random);
            if (got->rows + count > got->rows_max)
                k2_batch_clear(got);
            uint32_t before = got->rows;
            CHECK_OK(k2_parquet_read_rows(file, group, first, count, columns, got, &err));
            CHECK(got->rows == before + count);
            for (uint32_t k = 0; k < count; k++)
                check_row(&rig, got, before + k, group_first(group) + first + k, columns);
        }
        k2_batch_free(got);
        k2_intern_done(&strings);
        rig_close(&rig, file);
    }
}

/* A cursor gives the same rows whatever the sizes of its slices and of the batches. */
TEST(parquet_read_cursor) {
    struct rig rig;
    struct k2_err err = {0};
    struct k2_intern strings = {0};
    rig_open(&rig, 9);
    struct k2_parquet_file *file = write_file(&rig, true);
    struct k2_batch *got = k2_batch_new(rig.schema, 333, &strings);
    for (int group = 0; group < k2_parquet_row_groups(file); group++) {
        uint32_t rows = (uint32_t)k2_parquet_row_group_rows(file, group);
        uint32_t at = (uint32_t)below(&rig, rows / 2);
        struct k2_parquet_cursor *cursor = k2_parquet_cursor_open(file, group, at, ~0u, &err);
        CHECK_OK(cursor != NULL);
        while (at < rows) {
            k2_batch_clear(got);
            CHECK(k2_parquet_cursor_left(cursor) == rows - at);
            CHECK_OK(k2_parquet_cursor_next(cursor, 1 + (uint32_t)below(&rig, 333), got, &err));
            CHECK(got->rows > 0);
            for (uint32_t k = 0; k < got->rows; k++)
                check_row(&rig, got, k, group_first(group) + at + k, ~0u);
            at += got->rows;
        }
        CHECK_OK(k2_parquet_cursor_next(cursor, 1, got, &err));
        CHECK(k2_parquet_cursor_left(cursor) == 0);
        k2_parquet_cursor_free(cursor);
    }
    k2_batch_free(got);
    k2_intern_done(&strings);
    rig_close(&rig, file);
}

/* With the index one page is fetched for a row, without it the chunk. */
TEST(parquet_range_fetches_its_pages) {
    struct rig rig;
    struct k2_err err = {0};
    struct k2_intern strings = {0};
    rig_open(&rig, 5);
    struct k2_batch *got = k2_batch_new(rig.schema, 10, &strings);
    size_t fetched[2];
    for (int has_index = 0; has_index < 2; has_index++) {
        struct k2_parquet_file *file = write_file(&rig, has_index);
        k2_batch_clear(got);
        CHECK_OK(k2_parquet_read_rows(file, 0, 1000, 5, 1u << K2_TRADE_PRICE, got, &err));
        fetched[has_index] = file->streams[0]->raw.len;
        k2_parquet_close(file);
    }
    CHECK(fetched[1] * 8 < fetched[0]);
    k2_batch_free(got);
    k2_intern_done(&strings);
    rig_close(&rig, NULL);
}

TEST(parquet_read_limits) {
    struct rig rig;
    struct k2_err err = {0};
    struct k2_intern strings = {0};
    rig_open(&rig, 6);
    struct k2_parquet_file *file = write_file(&rig, true);
    struct k2_batch *got = k2_batch_new(rig.schema, 100, &strings);
    CHECK(!k2_parquet_read(file, 0, ~0u, got, &err) && err.code == K2_LIMIT && got->rows == 0);
    CHECK(!k2_parquet_read_rows(file, 0, 0, 101, ~0u, got, &err) && err.code == K2_LIMIT);
    CHECK_OK(k2_parquet_read_rows(file, 0, 2000, 100, ~0u, got, &err));
    CHECK(!k2_parquet_read_rows(file, 0, 0, 1, ~0u, got, &err) && err.code == K2_LIMIT);
    CHECK_OK(k2_parquet_read_rows(file, 0, 7, 0, ~0u, got, &err));
    CHECK(got->rows == 100);
    k2_batch_free(got);
    k2_intern_done(&strings);
    rig_close(&rig, file);
}
