/* partition_test.c -- specs as text, transforms against Iceberg's vectors, data paths, bounds. */
#include "base/alloc.h"
#include "base/date.h"
#include "lake/table/bounds.h"
#include "lake/table/table_impl.h"
#include "support/test.h"

static void check_spec(const char *text, const char *expected) {
    struct k2_err err = {0};
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_arena arena = {0};
    struct k2_partition_spec spec;
    struct k2_buf fields = {0};
    k2_schema_default_ids(k2_schema_of(K2_TRADE), ids);
    CHECK_OK(k2_spec_parse(k2_schema_of(K2_TRADE), ids, text, &arena, &spec, &err));
    k2_spec_put(&spec, &fields);
    assert_string_equal(k2_buf_cstr(&fields), expected);
    k2_buf_done(&fields);
    k2_arena_done(&arena);
}

TEST(partition_spec_text) {
    check_spec("", "[]");
    check_spec("none", "[]");
    check_spec("exchange", "[{\"name\":\"exchange\",\"transform\":\"identity\",\"source-id\":3,"
                           "\"field-id\":1000}]");
    check_spec(" day(timestamp) , truncate(symbol,  4)",
               "[{\"name\":\"timestamp_day\",\"transform\":\"day\",\"source-id\":5,"
               "\"field-id\":1000},{\"name\":\"symbol_trunc\",\"transform\":\"truncate[4]\","
               "\"source-id\":2,\"field-id\":1001}]");
    check_spec("bucket[16](symbol)", "[{\"name\":\"symbol_bucket\",\"transform\":\"bucket[16]\","
                                     "\"source-id\":2,\"field-id\":1000}]");
    struct k2_err err = {0};
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    k2_schema_default_ids(k2_schema_of(K2_TRADE), ids);
    const char *bad[] = {"nocolumn",
                         "day(symbol)",
                         "day(timestamp",
                         "truncate(symbol)",
                         "truncate[0](symbol)",
                         "trade_conditions",
                         "identity(vendor_data)",
                         ",",
                         "day(timestamp),,exchange",
                         "void(symbol)",
                         "truncate(symbol, 4x)",
                         "bucket[4(symbol)",
                         "hour(timestamp, 3)",
                         "price",
                         "exchange,symbol,side,asset_class,currency"};
    for (size_t i = 0; i < K2_COUNT(bad); i++) {
        struct k2_arena arena = {0};
        struct k2_partition_spec spec;
        if (k2_spec_parse(k2_schema_of(K2_TRADE), ids, bad[i], &arena, &spec, &err))
            fail_msg("'%s' was taken", bad[i]);
        CHECK(err.code == K2_INVALID);
        k2_arena_done(&arena);
    }
}

static int32_t number_of(const char *transform, enum k2_type type, int64_t number) {
    struct k2_bound_field bound = {.column = 0};
    struct k2_partition_value value;
    bound.transform = k2_transform_parse(k2_str_of(transform), &bound.width);
    CHECK(k2_transform_number(&bound, type, number, &value));
    return value.number;
}

static struct k2_partition_value text_of(const char *transform, const char *text) {
    struct k2_bound_field bound = {.column = 0};
    struct k2_partition_value value;
    bound.transform = k2_transform_parse(k2_str_of(transform), &bound.width);
    CHECK(k2_transform_text(&bound, k2_str_of(text), &value));
    return value;
}

TEST(partition_transforms) {
    /* The hashes of the spec: 34 -> 2017239379, "iceberg" -> 1210000089, 14.20 -> -500754589. */
    CHECK(number_of("bucket[2147483647]", K2_INT64, 34) == 2017239379);
    CHECK(number_of("bucket[2147483647]", K2_INT32, 34) == 2017239379);
    CHECK(text_of("bucket[2147483647]", "iceberg").number == 1210000089);
    CHECK(number_of("bucket[2147483647]", K2_DECIMAL, 1420) == (-500754589 & INT32_MAX));
    CHECK(number_of("bucket[16]", K2_INT64, 34) == 2017239379 % 16);
    CHECK(number_of("day", K2_TIMESTAMP, 0) == 0);
    CHECK(number_of("day", K2_TIMESTAMP, -1) == -1);
    CHECK(number_of("hour", K2_TIMESTAMP, -1) == -1);
    CHECK(number_of("hour", K2_TIMESTAMP, 3600000000) == 1);
    CHECK(number_of("month", K2_TIMESTAMP, -1) == -1);
    CHECK(number_of("year", K2_TIMESTAMP, -1) == -1);
    CHECK(number_of("month", K2_TIMESTAMP, 16139 * K2_DAY_US) == (2014 - 1970) * 12 + 2);
    CHECK(number_of("truncate[10]", K2_INT32, -1) == -10);
    CHECK(number_of("truncate[10]", K2_INT32, 19) == 10);
    CHECK(k2_str_is(text_of("truncate[3]", "iceberg").text, "ice"));
    CHECK(k2_str_is(text_of("truncate[2]", "\xc3\xa4\xf0\x9f\x92\xb0z").text,
                    "\xc3\xa4\xf0\x9f\x92\xb0"));
    CHECK(k2_str_is(text_of("truncate[9]", "short").text, "short"));
    struct k2_bound_field hour = {K2_TRANSFORM_HOUR, 0, 0};
    struct k2_partition_value value;
    CHECK(!k2_transform_number(&hour, K2_TIMESTAMP, INT64_MAX, &value));
}

TEST(partition_of_rows_and_paths) {
    struct k2_err err = {0};
    struct k2_buf url = {0}, path = {0};
    k2_buf_printf(&url, "sqlite:%s/catalog.db", test_dir());
    struct k2_lake_opts opts = {.warehouse = "memory:", .catalog = k2_buf_cstr(&url)};
    struct k2_lake *lake = k2_lake_open(&opts, &err);
    CHECK_OK(lake != NULL);
    const struct k2_metadata *m;
    CHECK_OK(k2_lake_create(lake, k2_schema_of(K2_TRADE),
                            "day(timestamp), exchange, truncate(symbol, 4)", &m, &err));
    struct k2_intern strings = {0};
    struct k2_batch *batch = k2_batch_new(k2_schema_of(K2_TRADE), 4, &strings);
    batch->rows = 2;
    batch->col[K2_TRADE_TIMESTAMP].i64[0] = 16139 * K2_DAY_US + 5;
    batch->col[K2_TRADE_TIMESTAMP].i64[1] = -1;
    batch->col[K2_TRADE_EXCHANGE].u32[0] = k2_intern_add(&strings, K2_STR("ASX"));
    batch->col[K2_TRADE_EXCHANGE].u32[1] = k2_intern_add(&strings, K2_STR("../a b/\xc3\xa4"));
    batch->col[K2_TRADE_SYMBOL].u32[0] = k2_intern_add(&strings, K2_STR("BHPLONG"));
    batch->col[K2_TRADE_SYMBOL].u32[1] = k2_intern_add(&strings, K2_STR("X"));
    struct k2_partition_value values[K2_PARTITION_MAX];
    struct k2_random random;
    k2_random_seed(&random, 1);
    CHECK_OK(k2_partition_of(m, batch, 0, values, &err));
    CHECK(values[0].number == 16139 && k2_str_is(values[1].text, "ASX"));
    CHECK(k2_str_is(values[2].text, "BHPL"));
    k2_data_path(m, values, &random, &path);
    static const char head[] =
        "market_data/trades/data/timestamp_day=2014-03-10/exchange=ASX/symbol_trunc=BHPL/";
    CHECK(k2_str_starts(k2_buf_view(&path), head));
    CHECK(path.len == sizeof head - 1 + 36 + 8 && k2_str_ends(k2_buf_view(&path), ".parquet"));
    path.len = 0;
    CHECK_OK(k2_partition_of(m, batch, 1, values, &err));
    values[2].is_null = true;
    k2_data_path(m, values, &random, &path);
    CHECK(k2_str_starts(k2_buf_view(&path), "market_data/trades/data/timestamp_day=1969-12-31/"
                                            "exchange=..%2Fa%20b%2F%C3%A4/symbol_trunc=null/"));
    CHECK_OK(k2_store_put(k2_lake_store(lake), k2_buf_cstr(&path), K2_STR("x"), true, &err));
    k2_batch_free(batch);
    k2_intern_done(&strings);
    k2_metadata_unref(m);
    k2_lake_free(lake);
    k2_buf_done(&url);
    k2_buf_done(&path);
}

TEST(bounds_numbers) {
    int64_t value;
    int32_t narrow = -7;
    CHECK(k2_bound_number(K2_STR("int"), k2_str_make(&narrow, 4), &value) && value == -7);
    CHECK(k2_bound_number(K2_STR("long"), k2_str_make(&narrow, 4), &value) && value == -7);
    CHECK(!k2_bound_number(K2_STR("long"), K2_STR("abc"), &value));
    CHECK(k2_bound_number(K2_STR("decimal(18, 8)"), K2_STR("\xff"), &value) && value == -1);
    CHECK(k2_bound_number(K2_STR("decimal(18, 8)"), K2_STR("\x02\x5a\x01\xc5\x01"), &value));
    CHECK(value == 0x025a01c501);
    CHECK(k2_bound_number(K2_STR("decimal(38, 8)"), K2_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xfe"),
                          &value) &&
          value == -2);
    CHECK(!k2_bound_number(K2_STR("decimal(38, 8)"), K2_STR("\x01\0\0\0\0\0\0\0\0"), &value));
    CHECK(!k2_bound_number(K2_STR("decimal(38, 8)"), K2_STR("\0\xff\0\0\0\0\0\0\0"), &value));
    CHECK(!k2_bound_number(K2_STR("decimal(38, 8)"), K2_STR(""), &value));
    CHECK(!k2_bound_number(K2_STR("double"), K2_STR("12345678"), &value));
    int32_t small = -3, large = 2;
    CHECK(k2_bound_cmp(false, k2_str_make(&small, 4), k2_str_make(&large, 4)) < 0);
    CHECK(k2_bound_cmp(true, K2_STR("a"), K2_STR("\xc3\xa4")) < 0);
}
