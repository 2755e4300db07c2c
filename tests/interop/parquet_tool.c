/* parquet_tool.c -- random Parquet files of every stored kind, and what any file holds.
 *
 * usage: parquet_tool make FOLDER FIRST COUNT   writes FOLDER/<seed>.parquet for COUNT seeds and
 *                                               FOLDER/<seed>.json: the table, how the file was
 *                                               written, its ids, and every column's values; reads
 *                                               each back by every way there is and verifies it
 *        parquet_tool read FILE TABLE           prints the same JSON of a file
 *        parquet_tool verify FILE TABLE         prints what is wrong with a file; exit 1 if
 * anything
 *
 * Values are exact: times and decimals as the integers they are stored as, bytes in hex, maps as
 * lists of pairs. Field ids are those of a new table. Exit 3: an error, printed with its code.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/random.h"
#include "lake/parquet/parquet.h"
#include "market/decimal.h"

enum { ROWS_MAX = 6000, WORDS = 40, ITEMS_MAX = 6 };

static struct k2_err err;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "parquet_tool: %s: %s: %s\n", what, k2_err_text(err.code), err.msg);
    exit(3);
}

/* ---- random columns ---- */

/* How the values of one column of one file come about. */
enum habit { CONSTANT, FEW, RISING, SMALL, ANY, EXTREME, HABITS };
struct column {
    enum habit habit;
    int64_t last, few[5];
    uint32_t nulls, null_run; /* of 8 rows; rows that are still to be null */
    uint32_t items_max;
};
struct maker {
    struct k2_random random;
    struct k2_batch *batch;
    struct column columns[K2_COLUMNS_MAX];
    struct k2_str words[WORDS];
    struct k2_arena arena;
};

static uint32_t below(struct maker *m, uint32_t bound) {
    return (uint32_t)k2_random_below(&m->random, bound);
}

static struct k2_str any_word(struct maker *m) {
    static const char *const letters[] = {"a",
                                          "Z",
                                          "7",
                                          "-",
                                          "\xc3\xbc",
                                          "\xe2\x82\xac",
                                          "\xf0\x9f\x90\xa8",
                                          "\xf4\x8f\xbf\xbf",
                                          "\xed\x9f\xbf",
                                          "\x7f",
                                          "\"",
                                          "\\",
                                          "\n",
                                          " "};
    struct k2_buf text = {0};
    uint32_t kind = below(m, 8), count = kind == 0   ? 0
                                         : kind < 5  ? 1 + below(m, 12)
                                         : kind == 5 ? 15 + below(m, 4)
                                         : kind == 6 ? 60 + below(m, 10)
                                                     : below(m, 900);
    bool is_one = below(m, 4) == 0;
    uint32_t letter = below(m, K2_COUNT(letters));
    for (uint32_t i = 0; i < count; i++)
        k2_buf_text(&text, letters[is_one ? letter : below(m, K2_COUNT(letters))]);
    struct k2_str word = k2_arena_str(&m->arena, k2_buf_view(&text));
    k2_buf_done(&text);
    return word;
}

static int64_t extreme(struct maker *m) {
    static const int64_t list[] = {0,
                                   1,
                                   -1,
                                   INT32_MAX,
                                   INT32_MIN,
                                   INT64_MAX - 1,
                                   INT64_MIN + 2,
                                   K2_DECIMAL_MAX,
                                   -K2_DECIMAL_MAX,
                                   (int64_t)1 << 40,
                                   -((int64_t)1 << 52)};
    return list[below(m, K2_COUNT(list))];
}

static int64_t any_number(struct maker *m) {
    int64_t number = (int64_t)(k2_random_u64(&m->random) >> (2 + below(m, 61)));
    return below(m, 2) ? number : -number;
}

static int64_t next_number(struct maker *m, struct column *c) {
    switch (c->habit) {
    case CONSTANT: return c->few[0];
    case FEW: return c->few[below(m, 5)];
    case RISING: return c->last += below(m, 3) ? below(m, 50) : 1;
    case SMALL: return below(m, 1000);
    case EXTREME: return extreme(m);
    default: return any_number(m);
    }
}

static struct k2_str next_word(struct maker *m, struct column *c) {
    switch (c->habit) {
    case CONSTANT: return m->words[c->few[0] & 7];
    case FEW: return m->words[below(m, 5)];
    case SMALL: return m->words[below(m, WORDS)];
    case RISING:
        return k2_str_of(k2_arena_printf(&m->arena, "id-%010" PRId64, c->last += 1 + below(m, 9)));
    default: return any_word(m);
    }
}

/* The files' readers differ on what they make of a key that comes twice, so none does. */
static void put_items(struct maker *m, struct column *c, bool is_map, struct k2_span *ret) {
    struct k2_str items[ITEMS_MAX], values[ITEMS_MAX];
    uint32_t count = c->habit == CONSTANT ? (uint32_t)(c->few[0] & 1) : below(m, c->items_max + 1);
    for (uint32_t i = 0; i < count; i++) {
        items[i] = next_word(m, c);
        values[i] = next_word(m, c);
        if (is_map)
            items[i] = k2_str_of(k2_arena_printf(&m->arena, "%u%.*s", i, K2_FMT(items[i])));
    }
    *ret = is_map ? k2_batch_put_map(m->batch, items, values, count)
                  : k2_batch_put_list(m->batch, items, count);
}

static bool next_is_null(struct maker *m, struct column *c) {
    if (c->null_run == 0 && c->nulls < 8 && below(m, 8) < c->nulls)
        c->null_run = 1 + below(m, below(m, 8) ? 3 : 200);
    if (c->null_run)
        return c->null_run--, true;
    return c->nulls == 8;
}

static int count_names(const char *const *names) {
    int count = 0;
    while (names[count])
        count++;
    return count;
}

static void fill(struct maker *m, int column, uint32_t row) {
    struct k2_batch *b = m->batch;
    const struct k2_column *k = &b->schema->columns[column];
    struct k2_vector *v = &b->col[column];
    struct column *c = &m->columns[column];
    if (v->valid && !(v->valid[row] = !next_is_null(m, c)))
        return;
    switch (k->type) {
    case K2_INT32: v->i32[row] = (int32_t)next_number(m, c); break;
    case K2_INT64:
    case K2_TIMESTAMP: v->i64[row] = next_number(m, c); break;
    case K2_DECIMAL: v->i64[row] = next_number(m, c) % (K2_DECIMAL_MAX + 1); break;
    case K2_SYMBOL: v->u32[row] = k2_intern_add(b->strings, next_word(m, c)); break;
    case K2_ENUM:
        v->u8[row] = (uint8_t)((uint64_t)next_number(m, c) % (uint64_t)count_names(k->names));
        break;
    case K2_FLAGS:
        v->u32[row] = c->habit == CONSTANT ? 0 : (uint32_t)next_number(m, c) & 255;
        break;
    case K2_LIST:
    case K2_MAP: put_items(m, c, k->type == K2_MAP, &v->span[row]); break;
    default: v->span[row] = k2_batch_put(b, next_word(m, c));
    }
}

static void make_batch(struct maker *m, uint32_t rows) {
    struct k2_batch *b = m->batch;
    for (int i = 0; i < WORDS; i++)
        m->words[i] = any_word(m);
    for (int i = 0; i < b->schema->column_count; i++) {
        struct column *c = &m->columns[i];
        *c = (struct column){.habit = (enum habit)below(m, HABITS),
                             .nulls = below(m, 2) ? below(m, 9) : 0,
                             .items_max = below(m, ITEMS_MAX + 1)};
        c->last = any_number(m) / 1000;
        for (int f = 0; f < 5; f++)
            c->few[f] = any_number(m);
        for (uint32_t row = 0; row < rows; row++)
            fill(m, i, row);
    }
    b->rows = rows;
}

/* ---- as JSON ---- */

static void put_hex(struct k2_buf *out, struct k2_str bytes) {
    k2_buf_byte(out, '"');
    for (size_t i = 0; i < bytes.len; i++)
        k2_buf_printf(out, "%02x", (uint8_t)bytes.ptr[i]);
    k2_buf_byte(out, '"');
}

static void put_pairs(struct k2_buf *out, struct k2_str bytes, bool is_map) {
    struct k2_cursor cursor = {0};
    struct k2_str key, value;
    k2_buf_byte(out, '[');
    while (is_map ? k2_map_next(bytes, &cursor, &key, &value)
                  : k2_list_next(bytes, &cursor, &key)) {
        if (out->ptr[out->len - 1] != '[')
            k2_buf_byte(out, ',');
        if (is_map)
            k2_buf_byte(out, '[');
        k2_json_quote(out, key);
        if (is_map) {
            k2_buf_byte(out, ',');
            k2_json_quote(out, value);
            k2_buf_byte(out, ']');
        }
    }
    k2_buf_byte(out, ']');
}

static void put_flags(struct k2_buf *out, uint32_t flags, const char *const *names) {
    k2_buf_byte(out, '[');
    for (int i = 0; i < 32 && names[i]; i++)
        if (flags >> i & 1)
            k2_buf_printf(out, "%s\"%s\"", out->ptr[out->len - 1] == '[' ? "" : ",", names[i]);
    k2_buf_byte(out, ']');
}

static void put_value(struct k2_buf *out, const struct k2_batch *b, int column, uint32_t row) {
    const struct k2_column *c = &b->schema->columns[column];
    const struct k2_vector *v = &b->col[column];
    if (k2_batch_is_null(b, column, row)) {
        k2_buf_text(out, "null");
        return;
    }
    switch (c->type) {
    case K2_INT32: k2_buf_printf(out, "%d", v->i32[row]); break;
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL: k2_buf_printf(out, "%" PRId64, v->i64[row]); break;
    case K2_BINARY: put_hex(out, k2_batch_get(b, v->span[row])); break;
    case K2_LIST:
    case K2_MAP: put_pairs(out, k2_batch_get(b, v->span[row]), c->type == K2_MAP); break;
    case K2_FLAGS: put_flags(out, v->u32[row], c->names); break;
    default: k2_json_quote(out, k2_batch_text(b, column, row));
    }
}

/* Rows order[0..count) of a batch, by column. */
static void put_columns(struct k2_buf *out, const struct k2_batch *b, const uint32_t *order,
                        uint32_t count) {
    k2_json_key(out, "columns");
    k2_buf_byte(out, '{');
    for (int i = 0; i < b->schema->column_count; i++) {
        k2_json_key(out, b->schema->columns[i].name);
        k2_buf_byte(out, '[');
        for (uint32_t k = 0; k < count; k++) {
            if (k)
                k2_buf_byte(out, ',');
            put_value(out, b, i, order ? order[k] : k);
        }
        k2_buf_byte(out, ']');
    }
    k2_buf_byte(out, '}');
}

static void put_ids(struct k2_buf *out, const struct k2_schema *schema,
                    const struct k2_field_ids *ids) {
    k2_json_key(out, "ids");
    k2_buf_byte(out, '{');
    for (int i = 0; i < schema->column_count; i++) {
        k2_json_key(out, schema->columns[i].name);
        k2_buf_printf(out, "[%d,%d,%d]", ids[i].id, ids[i].inner, ids[i].value);
    }
    k2_buf_byte(out, '}');
}

static void save(struct k2_store *store, const char *path, struct k2_buf *text) {
    if (!k2_store_put(store, path, k2_buf_view(text), false, &err))
        fail(path);
}

/* ---- files ---- */

static void print_finding(void *self, const char *finding) {
    *(int *)self += 1;
    fprintf(stderr, "parquet_tool: verify: %s\n", finding);
}

/* All rows of a file in one batch, which the caller frees. */
static struct k2_batch *read_all(struct k2_store *store, const char *path,
                                 const struct k2_schema *schema, const struct k2_field_ids *ids,
                                 struct k2_intern *strings) {
    struct k2_parquet_file *file = k2_parquet_open(store, path, schema, ids, &err);
    if (!file)
        fail("open");
    struct k2_batch *b = k2_batch_new(schema, (uint32_t)k2_parquet_rows(file) + 1, strings);
    for (int g = 0; g < k2_parquet_row_groups(file); g++)
        if (!k2_parquet_read(file, g, ~0u, b, &err))
            fail("read");
    k2_parquet_close(file);
    return b;
}

static void copy_rows(struct k2_batch *to, struct k2_batch *from) {
    for (uint32_t i = 0; i < from->rows; i++)
        k2_batch_copy_row(to, from, i);
    k2_batch_clear(from);
}

/* The same, a few rows at a time: by a cursor, or as ranges of rows. */
static struct k2_batch *read_slices(struct maker *m, struct k2_store *store, const char *path,
                                    const struct k2_field_ids *ids, bool is_cursor) {
    const struct k2_schema *schema = m->batch->schema;
    struct k2_intern strings = {0};
    uint32_t most = below(m, 3) ? 300 : 7;
    struct k2_parquet_file *file = k2_parquet_open(store, path, schema, ids, &err);
    if (!file)
        fail("open");
    struct k2_batch *slice = k2_batch_new(schema, most, &strings);
    struct k2_batch *all =
        k2_batch_new(schema, (uint32_t)k2_parquet_rows(file) + 1, m->batch->strings);
    for (int g = 0; g < k2_parquet_row_groups(file); g++) {
        uint32_t rows = (uint32_t)k2_parquet_row_group_rows(file, g), first = below(m, rows + 1);
        struct k2_parquet_cursor *cursor = NULL;
        if (is_cursor && !(cursor = k2_parquet_cursor_open(file, g, first, ~0u, &err)))
            fail("open a cursor");
        for (uint32_t at = 0, n; at < rows; at += n) {
            n = 1 + below(m, most);
            n = K2_MIN(n, rows - at);
            bool is_by_cursor = is_cursor && at >= first;
            if (is_cursor && at < first)
                n = K2_MIN(n, first - at);
            if (is_by_cursor ? !k2_parquet_cursor_next(cursor, n, slice, &err)
                             : !k2_parquet_read_rows(file, g, at, n, ~0u, slice, &err))
                fail("read a slice");
            copy_rows(all, slice);
        }
        if (cursor && (k2_parquet_cursor_left(cursor) ||
                       !k2_parquet_cursor_next(cursor, 1, slice, &err) || slice->rows))
            fail("the end of a cursor");
        k2_parquet_cursor_free(cursor);
    }
    k2_parquet_close(file);
    k2_batch_free(slice);
    k2_intern_done(&strings);
    return all;
}

static void compare(struct k2_batch *got, const char *path, struct k2_str want) {
    struct k2_buf text = {0};
    k2_buf_byte(&text, '{');
    put_columns(&text, got, NULL, got->rows);
    if (!k2_str_eq(k2_buf_view(&text), want)) {
        fprintf(stderr, "parquet_tool: %s: K2 reads other values than it wrote\n", path);
        exit(3);
    }
    k2_buf_done(&text);
    k2_batch_free(got);
}

/* Reads the file back in every way there is and compares it with what went in. */
static void check_own_reader(struct maker *m, struct k2_store *store, const char *path,
                             const struct k2_field_ids *ids, struct k2_str want) {
    const struct k2_schema *schema = m->batch->schema;
    struct k2_intern strings = {0};
    int findings = 0;
    compare(read_all(store, path, schema, ids, &strings), path, want);
    compare(read_slices(m, store, path, ids, true), path, want);
    compare(read_slices(m, store, path, ids, false), path, want);
    if (!k2_parquet_verify(store, path, schema, ids, print_finding, &findings, &err))
        fail("verify");
    if (findings)
        exit(3);
    k2_intern_done(&strings);
}

static struct k2_parquet_opts pick_opts(struct maker *m) {
    static const uint32_t sizes[] = {1, 7, 64, 129, 1000, 131072};
    struct k2_parquet_opts opts = k2_parquet_defaults();
    opts.row_group_rows = sizes[1 + below(m, K2_COUNT(sizes) - 1)];
    opts.page_rows = sizes[below(m, K2_COUNT(sizes))];
    if (below(m, 20) == 0)
        opts.row_group_rows = 1;
    opts.zstd_level = below(m, 3) ? 1 : below(m, 2) ? -1 : 3;
    opts.has_page_index = below(m, 4) > 0;
    opts.has_bloom = below(m, 2);
    return opts;
}

static void write_file(struct maker *m, struct k2_store *store, const char *path,
                       const struct k2_field_ids *ids, const struct k2_parquet_opts *opts,
                       const uint32_t *order) {
    struct k2_file_stats stats = {0};
    struct k2_sink *sink = k2_sink_open(store, path, &err);
    if (!sink)
        fail("open a sink");
    struct k2_parquet_writer *w = k2_parquet_writer_new(sink, m->batch->schema, ids, opts, &err);
    uint32_t first = below(m, 3) && m->batch->rows ? below(m, m->batch->rows) : 0;
    if (!w || !k2_parquet_write(w, m->batch, order, first, &err) ||
        !k2_parquet_write(w, m->batch, order + first, m->batch->rows - first, &err) ||
        !k2_parquet_finish(w, &stats, &err) || !k2_sink_commit(sink, &err))
        fail("write");
    if (stats.rows != m->batch->rows)
        exit(3);
    k2_parquet_writer_free(w);
    k2_file_stats_done(&stats);
}

/* ---- in sorted order ---- */

static int compare_rows(const void *a, const void *b, void *self) {
    const struct k2_batch *batch = (const struct k2_batch *)self;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int symbol = k2_schema_column(batch->schema, K2_STR("symbol"));
    int time = k2_schema_column(batch->schema, K2_STR("timestamp"));
    int nanos = k2_schema_column(batch->schema, K2_STR("timestamp_nanos"));
    int order = symbol < 0
                    ? 0
                    : k2_str_cmp(k2_batch_text(batch, symbol, x), k2_batch_text(batch, symbol, y));
    const int64_t *t = time < 0 ? NULL : batch->col[time].i64;
    const int32_t *n = nanos < 0 ? NULL : batch->col[nanos].i32;
    if (order == 0 && t)
        order = (t[x] > t[y]) - (t[x] < t[y]);
    if (order == 0 && n)
        order = (n[x] > n[y]) - (n[x] < n[y]);
    return order ? order : (x > y) - (x < y);
}

/* As they are, sorted as the option promises, or shuffled. */
static uint32_t *make_order(struct maker *m, bool is_sorted) {
    uint32_t rows = m->batch->rows;
    uint32_t *order = k2_new_array(uint32_t, rows + 1);
    for (uint32_t i = 0; i < rows; i++)
        order[i] = i;
    if (is_sorted)
        qsort_r(order, rows, sizeof *order, compare_rows, m->batch);
    else if (below(m, 2))
        for (uint32_t i = rows; i > 1; i--) {
            uint32_t other = below(m, i), kept = order[i - 1];
            order[i - 1] = order[other];
            order[other] = kept;
        }
    return order;
}

static void make_seed(struct k2_store *store, uint64_t seed) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_QUOTE,     K2_REFERENCE,
                                         K2_GAP,   K2_GAP_EVENT, K2_DEAD_LETTER};
    const struct k2_schema *schema = k2_schema_of(kinds[seed % K2_COUNT(kinds)]);
    struct maker m = {0};
    struct k2_intern strings = {0};
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    char path[40];
    k2_random_seed(&m.random, seed);
    uint32_t kind = below(&m, 8), rows = kind == 0   ? below(&m, 3)
                                         : kind == 1 ? below(&m, ROWS_MAX)
                                                     : below(&m, 400);
    m.batch = k2_batch_new(schema, rows + 1, &strings);
    make_batch(&m, rows);
    k2_schema_default_ids(schema, ids);
    struct k2_parquet_opts opts = pick_opts(&m);
    opts.is_sorted = below(&m, 2);
    if (rows > 1000)
        opts.row_group_rows = K2_MAX(opts.row_group_rows, 129u);
    uint32_t *order = make_order(&m, opts.is_sorted);
    snprintf(path, sizeof path, "%" PRIu64 ".parquet", seed);
    write_file(&m, store, path, ids, &opts, order);
    struct k2_buf out = {0}, columns = {0};
    k2_buf_byte(&columns, '{');
    put_columns(&columns, m.batch, order, rows);
    check_own_reader(&m, store, path, ids, k2_buf_view(&columns));
    k2_buf_byte(&out, '{');
    k2_json_key_str(&out, "table", k2_str_of(schema->table_name));
    k2_json_key_int(&out, "rows", rows);
    k2_json_key_int(&out, "row_group_rows", opts.row_group_rows);
    k2_json_key_int(&out, "page_rows", opts.page_rows);
    k2_json_key_bool(&out, "has_page_index", opts.has_page_index);
    k2_json_key_bool(&out, "has_bloom", opts.has_bloom);
    put_ids(&out, schema, ids);
    k2_buf_byte(&out, ',');
    k2_buf_append(&out, columns.ptr + 1, columns.len - 1);
    k2_buf_byte(&out, '}');
    snprintf(path, sizeof path, "%" PRIu64 ".json", seed);
    save(store, path, &out);
    k2_buf_done(&out);
    k2_buf_done(&columns);
    k2_free(order);
    k2_batch_free(m.batch);
    k2_arena_done(&m.arena);
    k2_intern_done(&strings);
}

/* ---- commands ---- */

static struct k2_store *open_folder(struct k2_str folder) {
    struct k2_buf url = {0};
    k2_buf_printf(&url, "file:%.*s", K2_FMT(folder));
    struct k2_store *store = k2_store_open(k2_buf_cstr(&url), &err);
    if (!store)
        fail("open the folder");
    k2_buf_done(&url);
    return store;
}

static int look_at(const char *command, const char *path, const struct k2_schema *schema) {
    const char *name = strrchr(path, '/');
    if (!name || !schema)
        return 2;
    struct k2_store *store = open_folder(k2_str_make(path, (size_t)(name - path)));
    struct k2_intern strings = {0};
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_buf out = {0};
    int findings = 0;
    k2_schema_default_ids(schema, ids);
    if (strcmp(command, "read") == 0) {
        struct k2_batch *b = read_all(store, name + 1, schema, ids, &strings);
        k2_buf_byte(&out, '{');
        put_ids(&out, schema, ids);
        put_columns(&out, b, NULL, b->rows);
        printf("%s}\n", k2_buf_cstr(&out));
        k2_batch_free(b);
    } else if (!k2_parquet_verify(store, name + 1, schema, ids, print_finding, &findings, &err)) {
        fail("verify");
    }
    k2_buf_done(&out);
    k2_intern_done(&strings);
    k2_store_free(store);
    return findings ? 1 : 0;
}

int main(int argc, char **argv) {
    int64_t first, count;
    if (argc == 5 && strcmp(argv[1], "make") == 0 && k2_str_to_i64(k2_str_of(argv[3]), &first) &&
        k2_str_to_i64(k2_str_of(argv[4]), &count)) {
        struct k2_store *store = open_folder(k2_str_of(argv[2]));
        for (int64_t seed = first; seed < first + count; seed++)
            make_seed(store, (uint64_t)seed);
        k2_store_free(store);
        return 0;
    }
    if (argc == 4 && (strcmp(argv[1], "read") == 0 || strcmp(argv[1], "verify") == 0))
        return look_at(argv[1], argv[2], k2_schema_by_table(k2_str_of(argv[3])));
    return 2;
}
