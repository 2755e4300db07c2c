/* avro_test.c -- records survive the wire, foreign schemas are taken, bad bytes are refused. */
#include "market/avro.h"

#include "base/alloc.h"
#include "base/random.h"
#include "market/avro_plan.h"
#include "support/test.h"

static struct k2_buf schema_json(enum k2_kind kind) {
    struct k2_buf json = {0};
    k2_schema_avro(k2_schema_of(kind), &json);
    return json;
}

static struct k2_avro_plan *plan_of(enum k2_kind kind) {
    struct k2_err err = {0};
    struct k2_buf json = schema_json(kind);
    struct k2_avro_plan *plan = k2_avro_plan_new(k2_schema_of(kind), k2_buf_view(&json), &err);
    CHECK(plan);
    k2_buf_done(&json);
    return plan;
}

/* Random text of up to 20 bytes, some of it beyond ASCII. */
static struct k2_str random_text(struct k2_random *random, char *buffer) {
    static const char *const pieces[] = {"a", "B", "7", "\xc3\xa9", "\xe6\x97\xa5", "-", "_"};
    size_t len = 0;
    for (uint64_t n = k2_random_below(random, 6); n; n--) {
        const char *piece = pieces[k2_random_below(random, K2_COUNT(pieces))];
        memcpy(buffer + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return (struct k2_str){buffer, len};
}

static void fill_value(struct k2_batch *b, int column, struct k2_random *random) {
    const struct k2_column *c = &b->schema->columns[column];
    struct k2_vector *v = &b->col[column];
    uint32_t row = b->rows;
    char text[64], other[64];
    int64_t wide = (int64_t)(k2_random_u64(random) >> k2_random_below(random, 63));
    struct k2_str items[3] = {random_text(random, text), random_text(random, other), K2_STR("k")};
    uint32_t count = (uint32_t)k2_random_below(random, 4);
    if (v->valid)
        v->valid[row] = k2_random_below(random, 2) == 0;
    switch (c->type) {
    case K2_INT32: v->i32[row] = (int32_t)wide; break;
    case K2_INT64:
    case K2_TIMESTAMP: v->i64[row] = k2_random_below(random, 2) ? wide : -wide; break;
    case K2_DECIMAL: v->i64[row] = wide % 1000000000000000000 * (wide & 1 ? 1 : -1); break;
    case K2_SYMBOL: v->u32[row] = k2_intern_add(b->strings, items[0]); break;
    case K2_ENUM: {
        int names = 0;
        while (c->names[names])
            names++;
        v->u8[row] = (uint8_t)k2_random_below(random, (uint64_t)names);
        break;
    }
    case K2_STRING:
    case K2_BINARY: v->span[row] = k2_batch_put(b, items[0]); break;
    case K2_LIST: v->span[row] = k2_batch_put_list(b, items, count); break;
    case K2_MAP: {
        struct k2_str keys[3] = {K2_STR("x"), K2_STR("y"), K2_STR("z")};
        v->span[row] = k2_batch_put_map(b, keys, items, count);
        break;
    }
    case K2_FLAGS: v->u32[row] = (uint32_t)k2_random_below(random, 256); break;
    }
}

static void fill_row(struct k2_batch *b, struct k2_random *random) {
    for (int i = 0; i < b->schema->column_count; i++)
        fill_value(b, i, random);
    b->rows++;
}

static void check_value(const struct k2_batch *a, const struct k2_batch *b, int column,
                        uint32_t row) {
    const struct k2_column *c = &a->schema->columns[column];
    CHECK(k2_batch_is_null(a, column, row) == k2_batch_is_null(b, column, 0));
    if (k2_batch_is_null(a, column, row))
        return;
    const struct k2_vector *x = &a->col[column], *y = &b->col[column];
    switch (c->type) {
    case K2_INT32: CHECK(x->i32[row] == y->i32[0]); break;
    case K2_FLAGS: CHECK(x->u32[row] == y->u32[0]); break;
    case K2_ENUM: CHECK(x->u8[row] == y->u8[0]); break;
    case K2_INT64:
    case K2_TIMESTAMP:
    case K2_DECIMAL: CHECK(x->i64[row] == y->i64[0]); break;
    default: CHECK(k2_str_eq(k2_batch_text(a, column, row), k2_batch_text(b, column, 0)));
    }
}

TEST(avro_fields_are_those_of_the_schema_table) {
    for (int k = 0; k < K2_KIND_COUNT; k++) {
        const struct k2_schema *s = k2_schema_of((enum k2_kind)k);
        int count, position = 0, seen = 0;
        const struct k2_avro_field *wire = k2_avro_wire((enum k2_kind)k, &count);
        for (int i = 0; i < count; i++) {
            const struct k2_column *c = &s->columns[wire[i].column];
            CHECK(c->avro > position && c->type == wire[i].type);
            CHECK((wire[i].form == K2_FIELD_OPTIONAL) == !c->is_required);
            CHECK((wire[i].form == K2_FIELD_ZERO_IS_NULL) == (c->avro_rule == K2_AVRO_NULLABLE));
            CHECK((wire[i].form == K2_FIELD_BOOLEAN) == k2_avro_is_boolean(c));
            position = c->avro;
        }
        for (int i = 0; i < s->column_count; i++)
            seen += s->columns[i].avro > 0;
        CHECK(seen == count);
    }
}

TEST(avro_round_trip_of_random_rows) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_QUOTE, K2_REFERENCE, K2_EVENT};
    struct k2_random random;
    k2_random_seed(&random, 7);
    for (size_t k = 0; k < K2_COUNT(kinds); k++) {
        const struct k2_schema *schema = k2_schema_of(kinds[k]);
        struct k2_intern strings = {0}, others = {0};
        struct k2_batch *in = k2_batch_new(schema, 500, &strings);
        struct k2_batch *out = k2_batch_new(schema, 1, &others);
        struct k2_avro_plan *plan = plan_of(kinds[k]);
        for (int i = 0; i < 500; i++)
            fill_row(in, &random);
        for (uint32_t row = 0; row < in->rows; row++) {
            struct k2_buf wire = {0};
            uint32_t id;
            struct k2_str body;
            k2_avro_encode(in, row, 77, &wire);
            CHECK(k2_avro_unframe(k2_buf_view(&wire), &id, &body) && id == 77);
            k2_batch_clear(out);
            CHECK(k2_avro_decode(plan, body, out) == K2_AVRO_OK && out->rows == 1);
            for (int i = 0; i < schema->column_count; i++)
                if (schema->columns[i].avro)
                    check_value(in, out, i, row);
            k2_buf_done(&wire);
        }
        k2_avro_plan_free(plan);
        k2_batch_free(in);
        k2_batch_free(out);
        k2_intern_done(&strings);
        k2_intern_done(&others);
    }
}

TEST(avro_every_cut_and_flip_is_refused_or_harmless) {
    struct k2_random random;
    k2_random_seed(&random, 11);
    struct k2_intern strings = {0};
    struct k2_batch *in = k2_batch_new(k2_schema_of(K2_TRADE), 20, &strings);
    struct k2_batch *out = k2_batch_new(k2_schema_of(K2_TRADE), 4, &strings);
    struct k2_avro_plan *plan = plan_of(K2_TRADE);
    for (int i = 0; i < 20; i++)
        fill_row(in, &random);
    for (uint32_t row = 0; row < in->rows; row++) {
        struct k2_buf wire = {0};
        k2_avro_encode(in, row, 1, &wire);
        size_t len = wire.len - 5;
        char *copy = k2_alloc(len); /* exact size, so that a sanitizer sees any byte too far */
        for (size_t cut = 0; cut < len; cut++) {
            char *part = k2_alloc(cut);
            memcpy(part, wire.ptr + 5, cut);
            k2_batch_clear(out);
            CHECK(k2_avro_decode(plan, (struct k2_str){part, cut}, out) != K2_AVRO_OK);
            CHECK(out->rows == 0 && out->text.len == 0);
            k2_free(part);
        }
        for (size_t at = 0; at < len; at++) {
            memcpy(copy, wire.ptr + 5, len);
            copy[at] = (char)k2_random_u64(&random);
            k2_batch_clear(out);
            enum k2_avro_result result = k2_avro_decode(plan, (struct k2_str){copy, len}, out);
            CHECK(out->rows == (result == K2_AVRO_OK));
        }
        k2_free(copy);
        k2_buf_done(&wire);
    }
    k2_avro_plan_free(plan);
    k2_batch_free(in);
    k2_batch_free(out);
    k2_intern_done(&strings);
}

/* Decodes by both plans and holds the results against each other. */
static enum k2_avro_result decode_both(const struct k2_avro_plan *plan,
                                       const struct k2_avro_plan *slow, struct k2_str body,
                                       struct k2_batch *a, struct k2_batch *b) {
    k2_batch_clear(a);
    k2_batch_clear(b);
    enum k2_avro_result result = k2_avro_decode(plan, body, a);
    CHECK(k2_avro_decode(slow, body, b) == result && a->rows == b->rows);
    for (int i = 0; a->rows && i < a->schema->column_count; i++)
        if (a->schema->columns[i].avro)
            check_value(a, b, i, 0);
    return result;
}

TEST(avro_fast_way_reads_what_the_long_way_reads) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_QUOTE, K2_REFERENCE, K2_EVENT};
    struct k2_random random;
    k2_random_seed(&random, 13);
    for (size_t k = 0; k < K2_COUNT(kinds); k++) {
        const struct k2_schema *schema = k2_schema_of(kinds[k]);
        struct k2_intern strings = {0};
        struct k2_batch *in = k2_batch_new(schema, 200, &strings);
        struct k2_batch *a = k2_batch_new(schema, 1, &strings);
        struct k2_batch *b = k2_batch_new(schema, 1, &strings);
        struct k2_avro_plan *plan = plan_of(kinds[k]), *slow = plan_of(kinds[k]);
        for (int i = 0; i < slow->step_count; i++)
            slow->steps[i].fast = K2_FAST_NONE;
        int good = 0, changed = 0;
        for (int i = 0; i < 200; i++)
            fill_row(in, &random);
        for (uint32_t row = 0; row < in->rows; row++) {
            struct k2_buf wire = {0};
            k2_avro_encode(in, row, 1, &wire);
            size_t len = wire.len - 5;
            char *body = k2_alloc(len);
            for (size_t at = 0; at <= len; at++) {
                memcpy(body, wire.ptr + 5, len);
                if (at < len)
                    body[at] = (char)(k2_random_u64(&random) >> k2_random_below(&random, 8));
                bool is_good =
                    decode_both(plan, slow, (struct k2_str){body, len}, a, b) == K2_AVRO_OK;
                good += is_good;
                changed += at < len && is_good;
                CHECK(at < len || is_good);
            }
            k2_free(body);
            k2_buf_done(&wire);
        }
        CHECK(good > 200 && changed > 200);
        k2_avro_plan_free(plan);
        k2_avro_plan_free(slow);
        k2_batch_free(in);
        k2_batch_free(a);
        k2_batch_free(b);
        k2_intern_done(&strings);
    }
}

/* Every text of every kind in turn is long: the encoder makes room for each. */
TEST(avro_long_text_survives_in_every_column) {
    static const enum k2_kind kinds[] = {K2_TRADE, K2_QUOTE, K2_REFERENCE, K2_EVENT};
    enum { LONG = 50000 };
    char *text = k2_alloc(LONG);
    memset(text, 'x', LONG);
    struct k2_str value = {text, LONG}, key = K2_STR("key");
    struct k2_random random;
    k2_random_seed(&random, 17);
    for (size_t k = 0; k < K2_COUNT(kinds); k++) {
        const struct k2_schema *schema = k2_schema_of(kinds[k]);
        struct k2_avro_plan *plan = plan_of(kinds[k]);
        for (int column = 0; column < schema->column_count; column++) {
            enum k2_type type = schema->columns[column].type;
            struct k2_intern strings = {0};
            struct k2_batch *in = k2_batch_new(schema, 1, &strings);
            struct k2_batch *out = k2_batch_new(schema, 1, &strings);
            struct k2_buf wire = {0};
            fill_row(in, &random);
            struct k2_vector *v = &in->col[column];
            if (v->valid)
                v->valid[0] = 1;
            if (type == K2_SYMBOL)
                v->u32[0] = k2_intern_add(&strings, value);
            else if (type == K2_STRING || type == K2_BINARY)
                v->span[0] = k2_batch_put(in, value);
            else if (type == K2_LIST)
                v->span[0] = k2_batch_put_list(in, &value, 1);
            else if (type == K2_MAP)
                v->span[0] = k2_batch_put_map(in, &key, &value, 1);
            k2_avro_encode(in, 0, 1, &wire);
            struct k2_str body = {wire.ptr + 5, wire.len - 5};
            CHECK(k2_avro_decode(plan, body, out) == K2_AVRO_OK);
            for (int i = 0; i < schema->column_count; i++)
                if (schema->columns[i].avro)
                    check_value(in, out, i, 0);
            k2_buf_done(&wire);
            k2_batch_free(in);
            k2_batch_free(out);
            k2_intern_done(&strings);
        }
        k2_avro_plan_free(plan);
    }
    k2_free(text);
}

static const char foreign[] =
    "{\"type\":\"record\",\"name\":\"T\",\"fields\":["
    "{\"name\":\"price\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,"
    "\"scale\":2}},"
    "{\"name\":\"extra\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"double\"}]},"
    "{\"name\":\"quantity\",\"type\":{\"type\":\"fixed\",\"name\":\"q\",\"size\":4,"
    "\"logicalType\":\"decimal\",\"precision\":9,\"scale\":0}},"
    "{\"name\":\"symbol\",\"type\":\"string\"},{\"name\":\"exchange\",\"type\":\"string\"},"
    "{\"name\":\"asset_class\",\"type\":\"string\"},"
    "{\"name\":\"timestamp\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"currency\",\"type\":\"string\"},{\"name\":\"trade_id\",\"type\":\"string\"},"
    "{\"name\":\"side\",\"type\":{\"type\":\"enum\",\"name\":\"s\",\"symbols\":[\"SELL\",\"HUH\","
    "\"BUY\"]}},"
    "{\"name\":\"ingestion_timestamp\",\"type\":\"long\"}]}";

TEST(avro_takes_another_producers_schema) {
    struct k2_err err = {0};
    struct k2_avro_plan *plan = k2_avro_plan_new(k2_schema_of(K2_TRADE), k2_str_of(foreign), &err);
    CHECK(plan);
    const uint8_t body[] = {
        4, 0x0e, 0x53,                                      /* price 36.67 */
        2, 2,    0,    0,   0,  0,   0,   0,   0,   0,   0, /* extra: one double */
        0, 0,    0,    5,                                   /* quantity 5 */
        2, 'A',  2,    'X', 12, 'c', 'r', 'y', 'p', 't', 'o', 20, 2, '$', 2, '1', 4, /* side: BUY */
        14};
    struct k2_intern strings = {0};
    struct k2_batch *out = k2_batch_new(k2_schema_of(K2_TRADE), 2, &strings);
    CHECK(k2_avro_decode(plan, k2_str_make(body, sizeof body), out) == K2_AVRO_OK);
    CHECK(out->col[K2_TRADE_PRICE].i64[0] == 3667000000);
    CHECK(out->col[K2_TRADE_QUANTITY].i64[0] == 500000000);
    CHECK(out->col[K2_TRADE_TIMESTAMP].i64[0] == 10000);
    CHECK(out->col[K2_TRADE_SIDE].u8[0] == K2_BUY);
    CHECK(out->col[K2_TRADE_ASSET_CLASS].u8[0] == K2_CRYPTO);
    CHECK(out->col[K2_TRADE_INGESTION].i64[0] == 7);
    CHECK(!out->col[K2_TRADE_SOURCE_SEQUENCE].valid[0]);
    CHECK(out->col[K2_TRADE_PLATFORM_SEQUENCE].i64[0] == 0);
    uint8_t unknown_side[sizeof body];
    memcpy(unknown_side, body, sizeof body);
    unknown_side[sizeof body - 2] = 2;
    CHECK(k2_avro_decode(plan, k2_str_make(unknown_side, sizeof body), out) == K2_AVRO_MALFORMED);
    k2_avro_plan_free(plan);
    k2_batch_free(out);
    k2_intern_done(&strings);
}

/* Prices have ten digits before the point: one more is no number of ours, however it is written. */
TEST(avro_numbers_beyond_ten_digits_are_told_from_the_malformed) {
    static const uint8_t prices[2][6] = {{0, 0xe8, 0xd4, 0xa5, 0x0f, 0xff}, /* 9999999999.99 */
                                         {0, 0xe8, 0xd4, 0xa5, 0x10, 0x00}};
    const uint8_t rest[] = {0,   0,   0,   0,   5,  2, 'A', 2, 'X', 12, 'c', 'r',
                            'y', 'p', 't', 'o', 20, 2, '$', 2, '1', 4,  14};
    struct k2_err err = {0};
    struct k2_avro_plan *plan = k2_avro_plan_new(k2_schema_of(K2_TRADE), k2_str_of(foreign), &err);
    struct k2_intern strings = {0};
    struct k2_batch *out = k2_batch_new(k2_schema_of(K2_TRADE), 2, &strings);
    CHECK(plan);
    for (int i = 0; i < 2; i++) {
        struct k2_buf body = {0};
        k2_buf_byte(&body, 2 * sizeof prices[i]);
        k2_buf_append(&body, prices[i], sizeof prices[i]);
        k2_buf_append(&body, rest, sizeof rest);
        CHECK(k2_avro_decode(plan, k2_buf_view(&body), out) == (i ? K2_AVRO_RANGE : K2_AVRO_OK));
        k2_buf_done(&body);
    }
    CHECK(out->rows == 1 && out->col[K2_TRADE_PRICE].i64[0] == 999999999999000000);
    k2_avro_plan_free(plan);
    k2_batch_free(out);
    k2_intern_done(&strings);
}

TEST(avro_refuses_schemas_that_cannot_be_read) {
    static const char *const bad[] = {
        "",
        "{",
        "42",
        "\"string\"",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[]}",
        "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"self\",\"type\":\"T\"}]}",
        "{\"type\":\"array\",\"items\":\"nope\"}"};
    for (size_t i = 0; i < K2_COUNT(bad); i++) {
        struct k2_err err = {0};
        CHECK(!k2_avro_plan_new(k2_schema_of(K2_TRADE), k2_str_of(bad[i]), &err));
        CHECK(err.code == K2_INVALID);
    }
    struct k2_buf deep = {0};
    for (int i = 0; i < 100; i++)
        k2_buf_text(&deep, "{\"type\":\"array\",\"items\":");
    k2_buf_text(&deep, "\"int\"");
    for (int i = 0; i < 100; i++)
        k2_buf_text(&deep, "}");
    struct k2_err err = {0};
    CHECK(!k2_avro_plan_new(k2_schema_of(K2_TRADE), k2_buf_view(&deep), &err));
    k2_buf_done(&deep);
}

TEST(avro_text_must_be_utf8_without_nul) {
    struct k2_intern strings = {0};
    struct k2_batch *in = k2_batch_new(k2_schema_of(K2_EVENT), 1, &strings);
    struct k2_batch *out = k2_batch_new(k2_schema_of(K2_EVENT), 1, &strings);
    struct k2_avro_plan *plan = plan_of(K2_EVENT);
    const struct k2_str bad[] = {K2_STR("\xff"), K2_STR("a\0b"), K2_STR("\xed\xa0\x80")};
    for (size_t i = 0; i < K2_COUNT(bad); i++) {
        struct k2_buf wire = {0};
        k2_batch_clear(in);
        memset(in->memory, 0, 8);
        for (int c = 0; c < K2_EVENT_INGESTION; c++)
            in->col[c].span[0] = k2_batch_put(in, K2_STR("ok"));
        in->col[K2_EVENT_SOURCE].span[0] = k2_batch_put(in, bad[i]);
        in->rows = 1;
        k2_avro_encode(in, 0, 1, &wire);
        CHECK(k2_avro_decode(plan, (struct k2_str){wire.ptr + 5, wire.len - 5}, out) ==
              K2_AVRO_TEXT);
        k2_buf_done(&wire);
    }
    k2_avro_plan_free(plan);
    k2_batch_free(in);
    k2_batch_free(out);
    k2_intern_done(&strings);
}
