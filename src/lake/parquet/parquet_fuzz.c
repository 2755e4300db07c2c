/* parquet_fuzz.c -- libFuzzer: any bytes as a Parquet file: read whole, in ranges and in slices,
 * and checked. Builds for fuzzing take every checksum for right, so what lies behind them is
 * reached.
 */
#include "lake/parquet/parquet.h"

/* Batches are made for the rows that a footer claims, so only that many are believed here. */
enum { ROWS_MAX = 1 << 15, SLICE = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *self, const char *finding) {
    *(size_t *)self += strlen(finding);
}

static void read_slices(struct k2_parquet_file *file, int group, uint32_t first,
                        struct k2_batch *batch) {
    struct k2_err err;
    struct k2_parquet_cursor *cursor = k2_parquet_cursor_open(file, group, first, ~0u, &err);
    for (bool ok = cursor; ok && k2_parquet_cursor_left(cursor);) {
        k2_batch_clear(batch);
        ok = k2_parquet_cursor_next(cursor, SLICE, batch, &err);
    }
    k2_parquet_cursor_free(cursor);
}

/* What was read can be used: every string lies within the text. */
static void check_texts(const struct k2_batch *b) {
    for (int c = 0; c < b->schema->column_count; c++)
        for (uint32_t i = 0; i < b->rows; i++) {
            struct k2_span span = {0};
            enum k2_type type = b->schema->columns[c].type;
            if (type >= K2_STRING && type <= K2_MAP && !k2_batch_is_null(b, c, i))
                span = b->col[c].span[i];
            K2_ASSERT((uint64_t)span.offset + span.len <= b->text.len);
        }
}

static void read_group(struct k2_parquet_file *file, const struct k2_schema *schema, int group,
                       uint32_t hash) {
    uint32_t rows = (uint32_t)k2_parquet_row_group_rows(file, group);
    uint32_t first = rows ? hash % rows : 0, count = (rows - first + 1) / 2;
    struct k2_intern strings = {0};
    struct k2_err err;
    struct k2_batch *batch = k2_batch_new(schema, rows + SLICE, &strings);
    bool ok = k2_parquet_read(file, group, ~0u, batch, &err);
    K2_ASSERT(batch->rows == (ok ? rows : 0));
    check_texts(batch);
    k2_batch_clear(batch);
    if (!k2_parquet_read_rows(file, group, first, count, hash, batch, &err))
        K2_ASSERT(batch->rows == 0);
    read_slices(file, group, first, batch);
    k2_batch_free(batch);
    k2_intern_done(&strings);
}

/* The schema is the first of K2's that the file may be of. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_QUOTE,     K2_REFERENCE,
                                         K2_GAP,   K2_GAP_EVENT, K2_DEAD_LETTER};
    struct k2_err err;
    struct k2_parquet_file *file = NULL;
    struct k2_store *store = k2_store_open("memory:", &err);
    K2_ASSERT(store && k2_store_put(store, "f", k2_str_make(data, size), true, &err));
    const struct k2_schema *schema = NULL;
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    for (size_t i = 0; i < K2_COUNT(kinds) && !file; i++) {
        schema = k2_schema_of(kinds[i]);
        k2_schema_default_ids(schema, ids);
        file = k2_parquet_open(store, "f", schema, ids, &err);
    }
    uint32_t hash = 0;
    for (size_t i = 0; i < size; i++)
        hash = hash * 31 + data[i];
    int64_t rows = file ? k2_parquet_rows(file) : 0;
    for (int g = 0; rows <= ROWS_MAX && file && g < k2_parquet_row_groups(file); g++)
        read_group(file, schema, g, hash);
    size_t said = 0;
    if (file && rows <= ROWS_MAX &&
        !k2_parquet_verify(store, "f", schema, ids, ignore, &said, &err))
        K2_ASSERT(err.code != K2_OK);
    k2_parquet_close(file);
    k2_store_free(store);
    return 0;
}
