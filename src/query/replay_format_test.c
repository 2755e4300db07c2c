/* replay_format_test.c -- rows as bytes: the same however they are cut into calls, and the same as
 * written by another hand.
 */
#include "query/replay_format.h"

#include "base/alloc.h"
#include "base/random.h"
#include "query/row_json.h"
#include "support/property.h"
#include "support/test.h"

enum { ROWS = 500 };

/* Texts around the length that DuckDB's strings hold within themselves. */
static struct k2_str pick_text(struct k2_random *random) {
    static const char *const texts[] = {"",
                                        "a",
                                        "say \"yes\"",
                                        "back\\slash",
                                        "eleven text",
                                        "twelve texts",
                                        "thirteen text",
                                        "\xc3\xa9\xf0\x9f\x8d\x92",
                                        "a, b\nand c, which is a longer text than all others"};
    return k2_str_of(texts[k2_random_below(random, K2_COUNT(texts))]);
}

static int64_t pick_number(struct k2_random *random) {
    static const int64_t numbers[] = {0, 1, -1, 99, -100, 12345678, INT64_MAX, -INT64_MAX};
    return k2_random_below(random, 2) ? numbers[k2_random_below(random, K2_COUNT(numbers))]
                                      : (int64_t)k2_random_below(random, 1ull << 40);
}

static int64_t pick_time(struct k2_random *random) {
    return (int64_t)k2_random_below(random, 1ull << 52) - (1ll << 50);
}

static void fill_value(struct k2_batch *b, int column, uint32_t row, struct k2_random *random) {
    const struct k2_column *c = &b->schema->columns[column];
    struct k2_vector *v = &b->col[column];
    struct k2_str items[3] = {pick_text(random), pick_text(random), pick_text(random)};
    struct k2_str keys[3] = {K2_STR("x"), K2_STR("y \"z\""), K2_STR("a key of more than twelve")};
    uint32_t count = (uint32_t)k2_random_below(random, 4), names = 0;
    if (v->valid)
        v->valid[row] = k2_random_below(random, 4) != 0;
    while (c->names && c->names[names])
        names++;
    switch (c->type) {
    case K2_INT32: v->i32[row] = (int32_t)k2_random_below(random, 1000); break;
    case K2_INT64: v->i64[row] = pick_number(random); break;
    case K2_TIMESTAMP: v->i64[row] = pick_time(random); break;
    case K2_DECIMAL: v->i64[row] = pick_number(random); break;
    case K2_SYMBOL: v->u32[row] = k2_intern_add(b->strings, pick_text(random)); break;
    case K2_ENUM: v->u8[row] = (uint8_t)k2_random_below(random, names); break;
    case K2_STRING:
    case K2_BINARY: v->span[row] = k2_batch_put(b, items[0]); break;
    case K2_LIST: v->span[row] = k2_batch_put_list(b, items, count); break;
    case K2_MAP: v->span[row] = k2_batch_put_map(b, keys, items, count); break;
    case K2_FLAGS: v->u32[row] = (uint32_t)k2_random_below(random, 1u << names); break;
    }
}

static struct k2_batch *make_rows(enum k2_kind kind, struct k2_intern *strings,
                                  struct k2_random *random) {
    struct k2_batch *b = k2_batch_new(k2_schema_of(kind), ROWS, strings);
    for (uint32_t row = 0; row < ROWS; row++) {
        for (int i = 0; i < b->schema->column_count; i++)
            fill_value(b, i, row, random);
        b->rows++;
    }
    return b;
}

static bool keep(void *self, const void *bytes, size_t len, struct k2_err *err) {
    (void)err;
    k2_buf_append(self, bytes, len);
    return true;
}

/* In calls of at most step rows, from the last row to the first. */
static void write_rows(const struct k2_batch *b, const char *format, uint32_t step, bool flushes,
                       struct k2_buf *out) {
    struct k2_err err = {0};
    uint32_t rows[ROWS];
    struct k2_replay_writer *w =
        k2_replay_writer_new(b->schema, k2_str_of(format), keep, out, &err);
    CHECK_OK(w != NULL);
    CHECK_OK(k2_replay_writer_begin(w, &err));
    for (uint32_t i = 0; i < b->rows; i++)
        rows[i] = b->rows - 1 - i;
    for (uint32_t at = 0; at < b->rows; at += step) {
        CHECK_OK(k2_replay_writer_add(w, b, rows + at, K2_MIN(step, b->rows - at), &err));
        CHECK_OK(!flushes || k2_replay_writer_flush(w, &err));
    }
    CHECK_OK(k2_replay_writer_end(w, &err));
    k2_replay_writer_free(w);
}

static void check_ndjson(const struct k2_batch *b) {
    struct k2_buf out = {0}, expected = {0};
    write_rows(b, "ndjson", ROWS, false, &out);
    for (uint32_t i = b->rows; i-- > 0;) {
        k2_row_json(&expected, b, i, K2_ROW_STORED);
        k2_buf_byte(&expected, '\n');
    }
    size_t at = 0;
    while (at < out.len && at < expected.len && out.ptr[at] == expected.ptr[at])
        at++;
    if (at < out.len || at < expected.len)
        fail_msg("from byte %zu: %.80s instead of %.80s", at, k2_buf_cstr(&out) + at,
                 k2_buf_cstr(&expected) + at);
    k2_buf_done(&out);
    k2_buf_done(&expected);
}

static void check_cuts(const struct k2_batch *b, const char *format, bool flushes) {
    static const uint32_t steps[] = {1, 7, 64, 65};
    struct k2_buf whole = {0};
    write_rows(b, format, ROWS, false, &whole);
    CHECK(whole.len > ROWS);
    for (size_t i = 0; i < K2_COUNT(steps); i++) {
        struct k2_buf cut = {0};
        write_rows(b, format, steps[i], flushes, &cut);
        CHECK(k2_str_eq(k2_buf_view(&whole), k2_buf_view(&cut)));
        k2_buf_done(&cut);
    }
    k2_buf_done(&whole);
}

TEST(replayed_rows_are_written_alike) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_QUOTE};
    struct k2_random random;
    k2_random_seed(&random, (uint64_t)property_seed());
    for (size_t i = 0; i < K2_COUNT(kinds); i++) {
        struct k2_intern strings = {0};
        struct k2_batch *b = make_rows(kinds[i], &strings, &random);
        check_ndjson(b);
        check_cuts(b, "ndjson", true);
        check_cuts(b, "json", true);
        check_cuts(b, "csv", true);
        check_cuts(b, "avro", false);
        check_cuts(b, "arrow", false);
        k2_batch_free(b);
        k2_intern_done(&strings);
    }
}

TEST(replay_knows_its_formats) {
    struct k2_err err = {0};
    CHECK(!k2_replay_writer_new(k2_schema_of(K2_TRADE), K2_STR("parquet"), keep, NULL, &err));
    CHECK(err.code == K2_USAGE && strstr(err.msg, "parquet") && strstr(err.msg, "avro"));
}
