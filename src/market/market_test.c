/* market_test.c -- decimals, names, batches and the schema table. */
#include "base/alloc.h"
#include "market/batch.h"
#include "market/decimal.h"
#include "market/topic.h"
#include "market/venue.h"
#include "support/test.h"

static enum k2_decimal_result parse(const char *text, int64_t *value) {
    return k2_decimal_parse(k2_str_of(text), value);
}

TEST(decimal_takes_numbers_exactly_or_not_at_all) {
    static const struct {
        const char *text;
        enum k2_decimal_result result;
        int64_t value;
    } cases[] = {
        {"0", K2_DECIMAL_OK, 0},
        {"36.667", K2_DECIMAL_OK, 3666700000},
        {"-0.00000001", K2_DECIMAL_OK, -1},
        {"+1", K2_DECIMAL_OK, 100000000},
        {".5", K2_DECIMAL_OK, 50000000},
        {"5.", K2_DECIMAL_OK, 500000000},
        {"9999999999.99999999", K2_DECIMAL_OK, K2_DECIMAL_MAX},
        {"1.2300000000000000000000", K2_DECIMAL_OK, 123000000},
        {"1e3", K2_DECIMAL_OK, 100000000000},
        {"1.5E-7", K2_DECIMAL_OK, 15},
        {"0e99", K2_DECIMAL_OK, 0},
        {"10000000000", K2_DECIMAL_RANGE, 0},
        {"0.000000001", K2_DECIMAL_RANGE, 0},
        {"1e10", K2_DECIMAL_RANGE, 0},
        {"1e-9", K2_DECIMAL_RANGE, 0},
        {"123456789012345678901234567890", K2_DECIMAL_RANGE, 0},
        {"", K2_DECIMAL_SYNTAX, 0},
        {"-", K2_DECIMAL_SYNTAX, 0},
        {".", K2_DECIMAL_SYNTAX, 0},
        {"1.2.3", K2_DECIMAL_SYNTAX, 0},
        {"1e", K2_DECIMAL_SYNTAX, 0},
        {" 1", K2_DECIMAL_SYNTAX, 0},
        {"0x10", K2_DECIMAL_SYNTAX, 0},
        {"nan", K2_DECIMAL_SYNTAX, 0},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        int64_t value = 0;
        if (parse(cases[i].text, &value) != cases[i].result)
            fail_msg("%s", cases[i].text);
        if (cases[i].result == K2_DECIMAL_OK)
            assert_int_equal(value, cases[i].value);
    }
}

TEST(decimal_text_round_trips) {
    static const int64_t values[] = {
        0, 1, -1, 100000000, 3666700000, K2_DECIMAL_MAX, -K2_DECIMAL_MAX, 1230000000};
    for (size_t i = 0; i < K2_COUNT(values); i++) {
        char text[24];
        int64_t back;
        k2_decimal_format(values[i], text);
        CHECK(parse(text, &back) == K2_DECIMAL_OK && back == values[i]);
        k2_decimal_format_full(values[i], text);
        CHECK(parse(text, &back) == K2_DECIMAL_OK && back == values[i]);
    }
    char text[24];
    k2_decimal_format(3666700000, text);
    assert_string_equal(text, "36.667");
    k2_decimal_format_full(3666700000, text);
    assert_string_equal(text, "36.66700000");
    k2_decimal_format(100000000, text);
    assert_string_equal(text, "1");
}

TEST(topic_names_follow_the_rule) {
    struct k2_err err = {0};
    char name[K2_TOPIC_MAX];
    CHECK_OK(k2_topic_name(k2_schema_of(K2_TRADE), K2_EQUITIES, K2_STR("ASX"), name, &err));
    assert_string_equal(name, "market.equities.trades.asx");
    CHECK(k2_topic_schema(k2_str_of(name)) == k2_schema_of(K2_TRADE));
    CHECK_OK(k2_topic_name(k2_schema_of(K2_EVENT), K2_EQUITIES, K2_STR("x"), name, &err));
    assert_string_equal(name, "k2.events");
    CHECK(!k2_topic_name(k2_schema_of(K2_TRADE), K2_CRYPTO, K2_STR("a/b"), name, &err));
    static const char *const strangers[] = {"market.equities.trades", "market.bonds.trades.asx",
                                            "market.equities.gaps.asx", "orders",
                                            "market.equities.trades.a.b"};
    for (size_t i = 0; i < K2_COUNT(strangers); i++)
        CHECK(!k2_topic_schema(k2_str_of(strangers[i])));
}

TEST(keys_hash_as_java_clients_do) {
    CHECK(k2_key_partition(K2_STR("foobar"), 8) == ((uint32_t)-790332482 & 0x7fffffff) % 8);
    CHECK(k2_key_partition(K2_STR(""), 1) == 0);
}

TEST(schema_ids_and_names_are_consistent) {
    for (int k = 0; k < K2_KIND_COUNT; k++) {
        const struct k2_schema *s = k2_schema_of((enum k2_kind)k);
        struct k2_field_ids ids[K2_COLUMNS_MAX];
        int32_t last = k2_schema_default_ids(s, ids);
        CHECK((int)s->kind == k && s->column_count <= K2_COLUMNS_MAX && last >= s->column_count);
        for (int i = 0; i < s->column_count; i++) {
            CHECK(s->columns[i].name && s->columns[i].doc);
            CHECK(k2_schema_column(s, k2_str_of(s->columns[i].name)) == i);
            CHECK(ids[i].id == i + 1);
        }
        if (s->table_name) {
            CHECK(k2_str_is(k2_str_of(s->columns[s->column_count - 1].name), "log_offset"));
            CHECK(k2_schema_by_table(k2_str_of(s->table_name)) == s);
        }
    }
    CHECK(!k2_schema_by_table(K2_STR("ops.trades")));
    CHECK(k2_schema_by_table(K2_STR("market_data.trades")) == k2_schema_of(K2_TRADE));
    CHECK(!k2_schema_by_table(K2_STR("")));
}

TEST(batch_copies_rows_between_string_tables) {
    struct k2_intern a = {0}, b = {0};
    const struct k2_schema *schema = k2_schema_of(K2_TRADE);
    struct k2_batch *from = k2_batch_new(schema, 4, &a), *to = k2_batch_new(schema, 4, &b);
    k2_intern_add(&b, K2_STR("other"));
    from->col[K2_TRADE_SYMBOL].u32[0] = k2_intern_add(&a, K2_STR("BHP"));
    for (int i = 0; i < 3; i++) {
        static const int others[] = {K2_TRADE_EXCHANGE, K2_TRADE_CURRENCY, K2_TRADE_LOG_ID};
        from->col[others[i]].u32[0] = k2_intern_add(&a, K2_STR("X"));
    }
    struct k2_str keys[] = {K2_STR("k")}, values[] = {K2_STR("v")}, key, value;
    from->col[K2_TRADE_VENDOR_DATA].valid[0] = 1;
    from->col[K2_TRADE_VENDOR_DATA].span[0] = k2_batch_put_map(from, keys, values, 1);
    from->rows = 1;
    k2_batch_copy_row(to, from, 0);
    CHECK(to->rows == 1 && k2_str_is(k2_batch_text(to, K2_TRADE_SYMBOL, 0), "BHP"));
    struct k2_cursor cursor = {0};
    CHECK(k2_map_next(k2_batch_text(to, K2_TRADE_VENDOR_DATA, 0), &cursor, &key, &value));
    CHECK(k2_str_is(key, "k") && k2_str_is(value, "v"));
    CHECK(!k2_map_next(k2_batch_text(to, K2_TRADE_VENDOR_DATA, 0), &cursor, &key, &value));
    CHECK(k2_batch_is_null(to, K2_TRADE_SOURCE_SEQUENCE, 0));
    k2_batch_free(from);
    k2_batch_free(to);
    k2_intern_done(&a);
    k2_intern_done(&b);
}

TEST(venues_are_found_by_name) {
    CHECK(k2_venue_find(K2_STR("ASX"))->numbering == K2_NUMBERING_DENSE);
    CHECK(!k2_venue_find(K2_STR("asx")) && !k2_venue_find(K2_STR("")));
    CHECK(k2_venue_asset_class(K2_STR("KRAKEN")) == K2_CRYPTO);
}
