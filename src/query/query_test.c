/* query_test.c -- statements from SQL to bytes over files: views, formats, limits. */
#include "query/query.h"

#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "support/query_files.h"
#include "support/test.h"

/* ---- helpers ---- */

static bool keep(void *self, const void *bytes, size_t len, struct k2_err *err) {
    (void)err;
    k2_buf_append(self, bytes, len);
    return true;
}

static const char *trades_dir(void) {
    static const char *dir;
    struct k2_err err = {0};
    if (!dir) {
        dir = test_dir();
        CHECK_OK(query_files_trades(dir, "a.parquet", 1, 20000, &err));
        CHECK_OK(query_files_trades(dir, "b.parquet", 20001, 20000, &err));
    }
    return dir;
}

static struct k2_query *open_at(const char *dir, const struct k2_query_opts *opts) {
    struct k2_err err = {0};
    static const struct k2_query_opts defaults;
    struct k2_query *query = k2_query_open_with(opts ? opts : &defaults, dir, query_files_plan,
                                                (void *)(uintptr_t)dir, &err);
    if (!query)
        fail_msg("%s", err.msg);
    return query;
}

static struct k2_query_result run(struct k2_query *query, const char *sql, enum k2_format format,
                                  struct k2_buf *out) {
    struct k2_query_result result = {0};
    struct k2_err err = {0};
    k2_buf_clear(out);
    if (!k2_query_run(query, k2_str_of(sql), format, keep, out, &result, &err))
        fail_msg("%s -> %s: %s", sql, k2_err_text(err.code), err.msg);
    return result;
}

static void check_output(struct k2_query *query, const char *sql, enum k2_format format,
                         const char *expected) {
    struct k2_buf out = {0};
    run(query, sql, format, &out);
    if (!k2_str_is(k2_buf_view(&out), expected))
        fail_msg("%s\n-- got\n%s\n-- expected\n%s", sql, k2_buf_cstr(&out), expected);
    k2_buf_done(&out);
}

static enum k2_code error_of(struct k2_query *query, const char *sql, enum k2_format format,
                             struct k2_err *err) {
    struct k2_query_result result;
    struct k2_buf out = {0};
    *err = (struct k2_err){0};
    bool ok = k2_query_run(query, k2_str_of(sql), format, keep, &out, &result, err);
    k2_buf_done(&out);
    return ok ? K2_OK : err->code;
}

/* ---- views ---- */

TEST(trades_have_their_columns_in_order) {
    struct k2_query *query = open_at(trades_dir(), NULL);
    check_output(
        query, "SELECT * FROM trades WHERE source_sequence = 1", K2_FORMAT_NDJSON,
        "{\"message_id\":\"X.S1.1\",\"trade_id\":\"t1\",\"symbol\":\"S1\",\"exchange\":\"X\","
        "\"asset_class\":\"crypto\",\"timestamp\":\"2014-03-10T00:00:01.000000Z\","
        "\"timestamp_nanos\":1,\"timestamp_ns\":1394409601000000001,\"price\":100.01000000,"
        "\"quantity\":2.00000000,\"currency\":\"USD\",\"side\":\"SELL\",\"trade_conditions\":[],"
        "\"source_sequence\":1,\"ingestion_timestamp\":\"2014-03-10T00:00:02.000000Z\","
        "\"platform_sequence\":2014031000000000001,\"vendor_data\":{\"maker\":\"m1\","
        "\"note\":\"a\\\"b\"},\"quality_flags\":[],\"log_id\":\"0123abcd\",\"log_partition\":1,"
        "\"log_offset\":1}\n");
    check_output(query, "SELECT message_id FROM trades WHERE trade_id = 't11'", K2_FORMAT_CSV,
                 "message_id\nX.S1.2014031000000000011\n");
    k2_query_free(query);
}

TEST(unwritten_tables_are_empty_and_typed) {
    const char *dir = test_dir();
    struct k2_query *query = open_at(dir, NULL);
    struct k2_buf out = {0};
    for (int i = 0; i < K2_SQL_TABLE_COUNT; i++) {
        const struct k2_sql_table *table = k2_sql_table_of(i);
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT * FROM %s.%s", table->schema, table->name);
        CHECK(run(query, sql, K2_FORMAT_CSV, &out).rows == 0);
        snprintf(sql, sizeof sql, "SELECT * FROM %s", table->name);
        CHECK(run(query, sql, K2_FORMAT_ARROW, &out).rows == 0);
    }
    check_output(query, "SELECT * FROM gaps", K2_FORMAT_CSV,
                 "gap_id,exchange,symbol,data_type,first_missing,last_missing,missing,recovered,"
                 "severity,detected_at,recovered_at,log_topic,log_id,log_partition,log_offset\n");
    check_output(query, "SELECT * FROM dead_letters", K2_FORMAT_CSV,
                 "received_at,source,log_topic,log_id,log_partition,log_offset,stage,error_code,"
                 "error,raw,schema_id\n");
    check_output(query, "SELECT * FROM quotes", K2_FORMAT_CSV,
                 "message_id,quote_id,symbol,exchange,asset_class,timestamp,timestamp_nanos,"
                 "timestamp_ns,bid_price,bid_quantity,ask_price,ask_quantity,currency,"
                 "source_sequence,ingestion_timestamp,platform_sequence,vendor_data,quality_flags,"
                 "log_id,log_partition,log_offset\n");
    check_output(query,
                 "SELECT count(*) AS n, sum(price) AS p, max(timestamp_ns) AS t, "
                 "any_value(is_active) AS a FROM trades, instruments",
                 K2_FORMAT_NDJSON, "{\"n\":0,\"p\":null,\"t\":null,\"a\":null}\n");
    k2_buf_done(&out);
    k2_query_free(query);
}

#define TRADE(id, conditions, ref, number)                                                         \
    "SELECT '" id "', 'S', 'X', 'equities', TIMESTAMPTZ '2014-03-10 00:00:00Z', 0, "               \
    "1.5::DECIMAL(18,8), 1::DECIMAL(18,8), 'AUD', 'UNKNOWN', " conditions "::VARCHAR[], " number   \
    "::BIGINT, TIMESTAMPTZ '2014-03-10 00:00:00Z', " number "::BIGINT, "                           \
    "CASE WHEN '" ref "' = '' THEN NULL ELSE MAP {'ref_trade_id': '" ref "'} END, "                \
    "[]::VARCHAR[], '01234567', 0, " number "::BIGINT"

TEST(trades_final_applies_cancels_and_corrections) {
    const char *dir = test_dir();
    struct k2_err err = {0};
    CHECK_OK(query_files_write(dir, K2_TRADE, "a.parquet",
                               "SELECT * FROM (" TRADE("kept", "[]", "", "1") " UNION ALL " TRADE("cancelled", "[]", "", "2") " UNION ALL " TRADE("x1", "['CANCEL']", "cancelled", "3") " UNION ALL " TRADE("wrong", "[]", "", "4") " UNION ALL " TRADE("right", "['CORRECT']", "wrong", "5") " UNION ALL " TRADE("twice", "[]", "", "6") " UNION ALL " TRADE("first",
                                                                                                                                                                                                                                                                                                                                                              "['CORRECT']", "twice", "7") " UNION ALL " TRADE("second",
                                                                                                                                                                                                                                                                                                                                                                                                               "['CORRECT']", "twice", "8") " UNION ALL " TRADE("gone",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                "[]",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                "", "9") " UNION ALL " TRADE("fixed",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "['CORRECT']", "gone", "10") " UNION ALL " TRADE("x2",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "['CANCEL']",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "gone",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "11") " UNION ALL " TRADE("chain", "[]", "", "12") " UNION ALL " TRADE("link",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "['CORRECT']",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "chain",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "13") " UNION ALL " TRADE("end",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "['CORRECT', 'A']",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "link",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "14") " UNION ALL " TRADE("same", "[]", "", "15") " UNION ALL " TRADE("same",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "['CORRECT']",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "same",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "16") ") t(trade_id, symbol, exchange, asset_class, \"timestamp\", timestamp_nanos, price, "
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           "quantity, currency, side, trade_conditions, source_sequence, ingestion_timestamp, "
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           "platform_sequence, vendor_data, quality_flags, log_id, log_partition, log_offset)",
                               &err));
    struct k2_query *query = open_at(dir, NULL);
    check_output(query,
                 "SELECT trade_id, source_sequence AS n FROM trades_final ORDER BY source_sequence",
                 K2_FORMAT_CSV, "trade_id,n\nkept,1\nright,5\nsecond,8\nend,14\nsame,16\n");
    check_output(query, "SELECT count(*) AS n FROM trades", K2_FORMAT_CSV, "n\n16\n");
    k2_query_free(query);
}

TEST(gaps_count_what_was_filled) {
    const char *dir = test_dir();
    struct k2_err err = {0};
    CHECK_OK(query_files_write(
        dir, K2_GAP, "a.parquet",
        "SELECT 'g' || i AS gap_id, 'X' AS exchange, 'S' AS symbol, 'trades' AS data_type, "
        "'SEQUENCE' AS code, i * 10 AS first_missing, i * 10 + 4 AS last_missing, 5::BIGINT AS "
        "missing, 'log' AS severity, TIMESTAMPTZ '2014-03-10 00:00:00Z' AS detected_at, 't' AS "
        "log_topic, '01234567' AS log_id, 0 AS log_partition, i AS log_offset FROM range(3) t(i)",
        &err));
    CHECK_OK(query_files_write(
        dir, K2_GAP_EVENT, "a.parquet",
        "SELECT gap_id, type, first, last, TIMESTAMPTZ '2014-03-10 00:00:00Z' + to_seconds(n) AS "
        "\"at\", NULL::VARCHAR AS reason, 't' AS log_topic, '01234567' AS log_id, 0 AS "
        "log_partition, n AS log_offset FROM (VALUES ('g1', 'FILL', 10::BIGINT, 11::BIGINT, "
        "1::BIGINT), ('g1', 'ACK', 10, 14, 2), ('g2', 'FILL', 20, 22, 3), ('g2', 'FILL', 23, 24, "
        "4)) "
        "v(gap_id, type, first, last, n)",
        &err));
    struct k2_query *query = open_at(dir, NULL);
    check_output(query, "SELECT gap_id, missing, recovered, recovered_at FROM gaps ORDER BY gap_id",
                 K2_FORMAT_CSV,
                 "gap_id,missing,recovered,recovered_at\ng0,5,0,\ng1,5,2,\n"
                 "g2,5,5,2014-03-10T00:00:04.000000Z\n");
    check_output(query, "SELECT count(*) AS n FROM gap_events WHERE type = 'ACK'", K2_FORMAT_CSV,
                 "n\n1\n");
    check_output(query, "SELECT DISTINCT code FROM gaps_found", K2_FORMAT_CSV, "code\nSEQUENCE\n");
    k2_query_free(query);
}

TEST(instruments_are_the_latest_versions) {
    const char *dir = test_dir();
    struct k2_err err = {0};
    CHECK_OK(query_files_write(
        dir, K2_REFERENCE, "a.parquet",
        "SELECT '7' AS company_id, s AS symbol, 'ASX' AS exchange, 'equities' AS asset_class, 'C' "
        "|| v AS company_name, NULL::VARCHAR AS isin, 'AUD' AS currency, NULL::TIMESTAMPTZ AS "
        "listing_date, NULL::TIMESTAMPTZ AS delisting_date, CASE v WHEN 3 THEN 'false' ELSE 'true' "
        "END AS is_active, 'false' AS may_be_negative, 2 AS tier, TIMESTAMPTZ '2014-03-10 "
        "00:00:00Z' AS ingestion_timestamp, v::BIGINT AS platform_sequence, NULL::MAP(VARCHAR, "
        "VARCHAR) AS vendor_data, '01234567' AS log_id, 0 AS log_partition, v::BIGINT AS "
        "log_offset FROM (VALUES ('A', 1), ('B', 2), ('A', 3)) t(s, v)",
        &err));
    struct k2_query *query = open_at(dir, NULL);
    check_output(
        query,
        "SELECT symbol, company_name, is_active, may_be_negative FROM instruments ORDER BY 1",
        K2_FORMAT_NDJSON,
        "{\"symbol\":\"A\",\"company_name\":\"C3\",\"is_active\":false,"
        "\"may_be_negative\":false}\n{\"symbol\":\"B\",\"company_name\":\"C2\","
        "\"is_active\":true,\"may_be_negative\":false}\n");
    check_output(query, "SELECT count(*) AS n FROM instruments_history", K2_FORMAT_CSV, "n\n3\n");
    k2_query_free(query);
}

TEST(commits_show_the_snapshots) {
    struct k2_property summary[] = {{K2_STR("operation"), K2_STR("append")},
                                    {K2_STR("added-records"), K2_STR("12")},
                                    {K2_STR("k2.duplicates"), K2_STR("3")},
                                    {K2_STR("k2.moved"), K2_STR("{\"t\":{\"0\":[0,12]}}")}};
    struct k2_snapshot snapshots[] = {
        {.snapshot_id = 5, .timestamp_ms = 1000, .summary_count = 4, .summary = summary},
        {.snapshot_id = 6,
         .parent_id = 5,
         .timestamp_ms = 2000,
         .summary_count = 3,
         .summary = summary},
        {.snapshot_id = 7, .parent_id = 6, .timestamp_ms = 3000}};
    struct k2_metadata metadata = {
        .identifier = K2_STR("market_data.trades"), .snapshot_count = 3, .snapshots = snapshots};
    struct k2_sources sources = {.commits = {{&metadata, 2000}}, .commit_count = 1};
    struct k2_engine_opts opts = {0};
    struct k2_err err = {0};
    struct k2_engine *engine = k2_engine_start(0, &err);
    CHECK_OK(engine && k2_engine_lock(engine, &opts, &err));
    CHECK_OK(k2_views_commits(engine, &sources, &err));
    struct k2_buf out = {0};
    CHECK_OK(k2_engine_text(engine,
                            "SELECT string_agg(concat_ws(' ', \"table\", snapshot_id, parent_id, "
                            "\"rows\", duplicates, moved), ';' ORDER BY snapshot_id) FROM "
                            "ops.commits WHERE $1 = ''",
                            K2_STR(""), &out, &err));
    CHECK(k2_str_is(k2_buf_view(&out), "market_data.trades 5 12 3 {\"t\":{\"0\":[0,12]}};"
                                       "market_data.trades 6 5 12"));
    k2_buf_done(&out);
    k2_engine_free(engine);
}

TEST(paths_may_hold_any_character) {
    struct k2_err err = {0};
    struct k2_buf dir = {0};
    k2_buf_printf(&dir, "%s/it's [a] \"day\"=*?", test_dir());
    CHECK_OK(query_files_trades(trades_dir(), "a.parquet", 1, 20000, &err));
    CHECK_OK(k2_dir_make(k2_buf_cstr(&dir), &err));
    struct k2_buf link = {0};
    k2_buf_printf(&link, "%s/trades", dir.ptr);
    CHECK_OK(k2_dir_make(k2_buf_cstr(&link), &err));
    struct k2_buf from = {0}, to = {0}, bytes = {0};
    k2_buf_printf(&from, "%s/trades/a.parquet", trades_dir());
    k2_buf_printf(&to, "%s/exchange=X*.parquet", link.ptr);
    CHECK_OK(k2_file_read(k2_buf_cstr(&from), 1 << 30, &bytes, &err));
    CHECK_OK(k2_file_replace(k2_buf_cstr(&to), k2_buf_view(&bytes), &err));
    struct k2_query *query = open_at(dir.ptr, NULL);
    check_output(query, "SELECT count(*) AS n, max(exchange) AS x FROM trades", K2_FORMAT_CSV,
                 "n,x\n20000,X\n");
    k2_query_free(query);
    struct k2_buf *all[] = {&dir, &link, &from, &to, &bytes};
    for (size_t i = 0; i < K2_COUNT(all); i++)
        k2_buf_done(all[i]);
}

/* ---- formats ---- */

static const char *const every_type =
    "SELECT true AS a, NULL AS b, 1::TINYINT AS c, -2::SMALLINT AS d, 9223372036854775807 AS e, "
    "18446744073709551615::UBIGINT AS f, -170141183460469231731687303715884105727::HUGEINT AS g, "
    "0.1::FLOAT AS h, 1e100 AS i, 'a,\"b\"' AS j, '\\x00a'::BLOB AS k, DATE '2014-03-10' AS l, "
    "TIME '01:02:03.5' AS m, TIMESTAMP '1969-12-31 23:59:59.999999' AS n, "
    "TIMESTAMPTZ '2014-03-10 00:00:00+11' AS o, TIMESTAMP_NS '2014-03-10 00:00:00.123456789' AS p, "
    "-0.05::DECIMAL(4,2) AS q, 12345678901234567890.5::DECIMAL(38,1) AS r, [1, NULL] AS s, "
    "{'x': 1, 'y': ['z']} AS t, MAP {'k': 1.5} AS u, 'e'::ENUM('d', 'e') AS v, "
    "'b5f6f1a0-1111-4222-8333-0123456789ab'::UUID AS w, INTERVAL '1 day' AS x, '' AS y, "
    "'nan'::DOUBLE AS z";

TEST(formats_write_every_type) {
    struct k2_query *query = open_at(test_dir(), NULL);
    check_output(query, every_type, K2_FORMAT_JSON,
                 "[\n{\"a\":true,\"b\":null,\"c\":1,\"d\":-2,\"e\":9223372036854775807,"
                 "\"f\":18446744073709551615,\"g\":-170141183460469231731687303715884105727,"
                 "\"h\":0.1,\"i\":1e+100,\"j\":\"a,\\\"b\\\"\",\"k\":\"AGE=\",\"l\":\"2014-03-10\","
                 "\"m\":\"01:02:03.500000\",\"n\":\"1969-12-31T23:59:59.999999\","
                 "\"o\":\"2014-03-09T13:00:00.000000Z\",\"p\":\"2014-03-10T00:00:00.123456789\","
                 "\"q\":-0.05,\"r\":12345678901234567890.5,\"s\":[1,null],"
                 "\"t\":{\"x\":1,\"y\":[\"z\"]},\"u\":{\"k\":1.5},\"v\":\"e\","
                 "\"w\":\"b5f6f1a0-1111-4222-8333-0123456789ab\",\"x\":\"1 day\",\"y\":\"\","
                 "\"z\":null}\n]\n");
    check_output(query, every_type, K2_FORMAT_CSV,
                 "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z\n"
                 "true,,1,-2,9223372036854775807,18446744073709551615,"
                 "-170141183460469231731687303715884105727,0.1,1e+100,\"a,\"\"b\"\"\",AGE=,"
                 "2014-03-10,01:02:03.500000,1969-12-31T23:59:59.999999,"
                 "2014-03-09T13:00:00.000000Z,2014-03-10T00:00:00.123456789,-0.05,"
                 "12345678901234567890.5,\"[1,null]\",\"{\"\"x\"\":1,\"\"y\"\":[\"\"z\"\"]}\","
                 "\"{\"\"k\"\":1.5}\",e,b5f6f1a0-1111-4222-8333-0123456789ab,1 day,\"\",NaN\n");
    k2_query_free(query);
}

TEST(formats_handle_names_and_no_rows) {
    struct k2_query *query = open_at(test_dir(), NULL);
    check_output(query, "SELECT 1 AS a, 2 AS a, 3 AS \"x\"\"y,\n\" LIMIT 0", K2_FORMAT_CSV,
                 "a,a,\"x\"\"y,\n\"\n");
    check_output(query, "SELECT 1 AS a, 2 AS a, 3 AS \"x\"\"y\"", K2_FORMAT_NDJSON,
                 "{\"a\":1,\"a_1\":2,\"x\\\"y\":3}\n");
    check_output(query, "SELECT 1 AS a LIMIT 0", K2_FORMAT_JSON, "[]\n");
    check_output(query, "SELECT 1 AS a LIMIT 0", K2_FORMAT_NDJSON, "");
    check_output(query, "SELECT 1 AS a LIMIT 0", K2_FORMAT_TABLE, " a\n---\n(0 rows)\n");
    k2_query_free(query);
}

TEST(table_is_aligned_and_harmless) {
    struct k2_query *query = open_at(test_dir(), NULL);
    check_output(query, "SELECT * FROM (VALUES ('\xc3\xa9', 1.5), (NULL, 100)) v(name, price)",
                 K2_FORMAT_TABLE,
                 " name | price\n------+-------\n \xc3\xa9    |   1.5\n NULL | 100.0\n(2 rows)\n");
    check_output(query,
                 "SELECT chr(27) || '[31m' || chr(10) || chr(155) AS x, '\\x1b\\x41'::BLOB AS y",
                 K2_FORMAT_TABLE,
                 " x                | y\n------------------+-------\n"
                 " \\x1b[31m\\n\\u009b | \\x1bA\n(1 row)\n");
    struct k2_buf out = {0};
    CHECK(run(query, "EXPLAIN SELECT 1", K2_FORMAT_TABLE, &out).rows == 1);
    CHECK(strstr(k2_buf_cstr(&out), "PROJECTION") && !strstr(out.ptr, "\\n"));
    CHECK(run(query, "SELECT * FROM range(10000)", K2_FORMAT_TABLE, &out).rows == 10000);
    CHECK(strstr(k2_buf_cstr(&out), "(10000 rows)"));
    k2_buf_done(&out);
    k2_query_free(query);
}

/* Products of prices and quantities do not overflow, and columns keep their types. */
TEST(products_are_wide) {
    struct k2_query *query = open_at(trades_dir(), NULL);
    check_output(query,
                 "SELECT price, quantity, price * quantity AS value, price * 1000 AS more FROM "
                 "trades WHERE source_sequence = 20000",
                 K2_FORMAT_CSV,
                 "price,quantity,value,more\n300.00000000,2.00000000,600.0000000000000000,"
                 "300000.00000000\n");
    /* A product of doubles needs no wide decimals, which cost five times as much to turn into one.
     */
    check_output(query,
                 "SELECT typeof(price) AS p, typeof(price::DOUBLE * quantity) AS v FROM trades "
                 "WHERE source_sequence = 20000",
                 K2_FORMAT_CSV, "p,v\n\"DECIMAL(18,8)\",DOUBLE\n");
    struct k2_buf wide = {0}, plain = {0};
    run(query, "SELECT price FROM trades WHERE source_sequence < 20", K2_FORMAT_ARROW, &plain);
    run(query, "SELECT price FROM trades WHERE source_sequence * 1 < 20", K2_FORMAT_ARROW, &wide);
    CHECK(k2_str_eq(k2_buf_view(&wide), k2_buf_view(&plain)));
    k2_buf_done(&wide);
    k2_buf_done(&plain);
    k2_query_free(query);
}

TEST(order_survives_wrapping) {
    struct k2_query *query = open_at(trades_dir(), NULL);
    struct k2_buf out = {0};
    run(query, "SELECT log_offset, INTERVAL '1 day' AS x FROM trades ORDER BY log_offset DESC",
        K2_FORMAT_CSV, &out);
    int64_t expected = 40000;
    struct k2_str rest = k2_buf_view(&out), line;
    for (line = k2_str_split(rest, '\n', &rest); expected > 0; expected--) {
        int64_t number;
        line = k2_str_split(rest, '\n', &rest);
        struct k2_str tail;
        CHECK(k2_str_to_i64(k2_str_split(line, ',', &tail), &number) && number == expected);
    }
    k2_buf_done(&out);
    k2_query_free(query);
}

/* As of files from before others added columns. */
static bool plan_foreign(void *self, const struct k2_gated *gated, struct k2_plan *ret_plan,
                         struct k2_err *err) {
    static const char *const names[] = {"NULL", " a\"b\\'c={x: [1]}, y ", "\xc3\xa9"};
    K2_TRY(query_files_plan(self, gated, ret_plan, err));
    struct k2_source *source = &ret_plan->sources.kinds[K2_TRADE];
    struct k2_source_column *columns = k2_arena_new(
        &ret_plan->sources.arena, struct k2_source_column, source->column_count + K2_COUNT(names));
    memcpy(columns, source->columns, (size_t)source->column_count * sizeof *columns);
    source->columns = columns;
    for (int i = 0; i < (int)K2_COUNT(names); i++)
        columns[source->column_count++] =
            (struct k2_source_column){900 + i, k2_str_of(names[i]), i ? "DATE" : "VARCHAR", true};
    return true;
}

TEST(columns_of_others_have_names_of_any_kind) {
    struct k2_err err = {0};
    struct k2_query_opts opts = {0};
    const char *dir = trades_dir();
    struct k2_query *query =
        k2_query_open_with(&opts, dir, plan_foreign, (void *)(uintptr_t)dir, &err);
    CHECK_OK(query != NULL);
    check_output(query,
                 "SELECT count(*) AS n, count(\"NULL\") AS a, "
                 "count(\" a\"\"b\\'c={x: [1]}, y \") AS b, max(\"\xc3\xa9\") AS c, "
                 "count(trade_conditions) AS d FROM trades",
                 K2_FORMAT_CSV, "n,a,b,c,d\n40000,0,0,,40000\n");
    k2_query_free(query);
}

/* ---- limits ---- */

TEST(rows_are_cut_and_said) {
    struct k2_query_opts opts = {.limits = {.rows = 5000}};
    struct k2_query *query = open_at(trades_dir(), &opts);
    struct k2_buf out = {0};
    static const enum k2_format formats[] = {K2_FORMAT_CSV, K2_FORMAT_ARROW, K2_FORMAT_PARQUET,
                                             K2_FORMAT_TABLE};
    for (size_t i = 0; i < K2_COUNT(formats); i++) {
        struct k2_query_result r = run(query, "SELECT * FROM trades", formats[i], &out);
        CHECK(r.rows == 5000 && r.is_cut && r.files == 2);
        r = run(query, "SELECT * FROM trades LIMIT 5000", formats[i], &out);
        CHECK(r.rows == 5000 && !r.is_cut);
        r = run(query, "SELECT * FROM trades LIMIT 10", formats[i], &out);
        CHECK(r.rows == 10 && !r.is_cut);
    }
    k2_buf_done(&out);
    k2_query_free(query);
}

static const char *const endless =
    "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range + b.range) = 3";

TEST(time_is_limited) {
    struct k2_query_opts opts = {.limits = {.timeout_ms = 200}};
    struct k2_query *query = open_at(trades_dir(), &opts);
    struct k2_err err;
    int64_t started = k2_monotonic_ns();
    CHECK(error_of(query, endless, K2_FORMAT_CSV, &err) == K2_CANCELLED);
    CHECK(strstr(err.msg, "200 ms"));
    CHECK(error_of(query, endless, K2_FORMAT_PARQUET, &err) == K2_CANCELLED);
    CHECK(k2_monotonic_ns() - started < 20000000000);
    CHECK(error_of(query, "SELECT 1", K2_FORMAT_CSV, &err) == K2_OK);
    k2_query_free(query);
}

static void *cancel_soon(void *self) {
    usleep(100000);
    k2_query_cancel(self);
    return NULL;
}

TEST(cancel_stops_a_run) {
    struct k2_query *query = open_at(trades_dir(), NULL);
    struct k2_err err;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_soon, query) == 0);
    CHECK(error_of(query, endless, K2_FORMAT_CSV, &err) == K2_CANCELLED);
    pthread_join(thread, NULL);
    CHECK(error_of(query, "SELECT 1", K2_FORMAT_CSV, &err) == K2_OK);
    k2_query_cancel(query); /* before a run: it counts for the next one */
    CHECK(error_of(query, "SELECT * FROM trades", K2_FORMAT_CSV, &err) == K2_CANCELLED);
    CHECK(error_of(query, "SELECT * FROM trades", K2_FORMAT_CSV, &err) == K2_OK);
    k2_query_free(query);
}

static bool refuse_later(void *self, const void *bytes, size_t len, struct k2_err *err) {
    (void)bytes;
    *(size_t *)self += len;
    return *(size_t *)self < 1000000 || k2_err_set(err, K2_IO, "the reader went away");
}

TEST(a_reader_may_go_away) {
    struct k2_query *query = open_at(trades_dir(), NULL);
    struct k2_query_result result;
    static const enum k2_format formats[] = {K2_FORMAT_CSV, K2_FORMAT_ARROW, K2_FORMAT_PARQUET};
    for (size_t i = 0; i < K2_COUNT(formats); i++) {
        struct k2_err err = {0};
        size_t taken = formats[i] == K2_FORMAT_PARQUET ? 999999 : 0;
        CHECK(!k2_query_run(query, K2_STR("SELECT * FROM trades"), formats[i], refuse_later, &taken,
                            &result, &err));
        CHECK(err.code == K2_IO && strstr(err.msg, "went away"));
    }
    k2_query_free(query);
}

TEST(memory_is_limited) {
    struct k2_query_opts opts = {.limits = {.memory = 64 << 20, .timeout_ms = 60000}};
    struct k2_query *query = open_at(trades_dir(), &opts);
    static const char *const sort =
        "SELECT * FROM trades, range(200) r ORDER BY hash(log_offset * 7 + r.range)";
    struct k2_err err;
    int64_t started = k2_monotonic_ns();
    CHECK(error_of(query, sort, K2_FORMAT_CSV, &err) == K2_LIMIT);
    CHECK(strstr(err.msg, "--limit-memory"));
    CHECK(k2_monotonic_ns() - started < 30000000000);
    CHECK(error_of(query, "SELECT repeat('x', 17000000)", K2_FORMAT_JSON, &err) == K2_LIMIT);
    CHECK(error_of(query, "SELECT count(*) FROM trades", K2_FORMAT_CSV, &err) == K2_OK);
    k2_query_free(query);
    opts.spill = test_dir();
    for (int i = 0; i < 2; i++) {
        query = open_at(trades_dir(), &opts);
        CHECK(error_of(query,
                       "SELECT log_offset FROM trades, range(50) r ORDER BY hash(log_offset)",
                       K2_FORMAT_CSV, &err) == K2_OK);
        if (i)
            k2_query_leave(query);
        else
            k2_query_free(query);
        CHECK(rmdir(opts.spill) == 0); /* nothing was left behind */
        CHECK_OK(k2_dir_make(opts.spill, &err));
    }
}

static struct k2_query *begin(void) {
    struct k2_err err = {0};
    struct k2_query *query = k2_query_begin(&err);
    CHECK_OK(query != NULL);
    return query;
}

TEST(a_query_may_begin_before_it_is_known) {
    struct k2_err err = {0};
    struct k2_query_opts opts = {.begun = begin(), .limits = {.rows = 10}};
    struct k2_query *query = open_at(trades_dir(), &opts);
    struct k2_buf out = {0};
    CHECK(run(query, "SELECT * FROM trades", K2_FORMAT_CSV, &out).rows == 10);
    CHECK(run(query, "SELECT * FROM trades", K2_FORMAT_PARQUET, &out).rows == 10);
    CHECK(error_of(query, "SELECT * FROM read_text('x')", K2_FORMAT_CSV, &err) == K2_DENIED);
    k2_buf_done(&out);
    k2_query_free(query);
    k2_query_free(begin()); /* never opened */
    opts.begun = begin();
    k2_query_cancel(opts.begun); /* before it is open: it counts for the first run */
    query = open_at(trades_dir(), &opts);
    CHECK(error_of(query, "SELECT * FROM trades", K2_FORMAT_CSV, &err) == K2_CANCELLED);
    CHECK(error_of(query, "SELECT * FROM trades", K2_FORMAT_CSV, &err) == K2_OK);
    k2_query_free(query);
}

TEST(a_begun_query_that_cannot_be_opened_is_freed) {
    struct k2_err err = {0};
    struct k2_query_opts opts = {.begun = begin(), .spill = "/dev/null/spill"};
    CHECK(!k2_query_open_with(&opts, trades_dir(), query_files_plan, NULL, &err));
    CHECK(err.code != K2_OK);
    opts = (struct k2_query_opts){.begun = begin()};
    CHECK(!k2_query_open_with(&opts, "/no\xffutf8", query_files_plan, NULL, &err));
    CHECK(strstr(err.msg, "start the query engine"));
}

/* Should the gate ever let something through, DuckDB itself must refuse it. */
TEST(engine_is_locked_down) {
    static const char *const refused[] = {
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '/tmp/k2-query-test-out.csv'",
        "ATTACH '/tmp/k2-query-test.db'",
        "SET memory_limit = '10GB'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET TimeZone = 'Europe/Berlin'",
        "SET lock_configuration = false",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('/dev/stdin')",
    };
    const char *dir = trades_dir();
    struct k2_engine_opts opts = {.dirs = &dir, .dir_count = 1};
    struct k2_err err = {0};
    struct k2_engine *engine = k2_engine_start(0, &err);
    CHECK_OK(engine && k2_engine_lock(engine, &opts, &err));
    for (size_t i = 0; i < K2_COUNT(refused); i++)
        if (k2_engine_exec(engine, refused[i], &err))
            fail_msg("not refused: %s", refused[i]);
    struct k2_buf sql = {0}, out = {0};
    k2_buf_printf(&sql, "SELECT count(*)::VARCHAR FROM read_parquet('%s/trades/*') WHERE $1 = ''",
                  dir);
    CHECK_OK(k2_engine_text(engine, k2_buf_cstr(&sql), K2_STR(""), &out, &err));
    CHECK(k2_str_is(k2_buf_view(&out), "40000"));
    k2_buf_clear(&sql);
    k2_buf_printf(&sql, "SELECT * FROM read_text('%s/../../../etc/passwd')", dir);
    CHECK(!k2_engine_exec(engine, k2_buf_cstr(&sql), &err));
    k2_buf_done(&sql);
    k2_buf_done(&out);
    k2_engine_free(engine);
}

TEST(errors_are_one_line_with_their_code) {
    static const struct {
        const char *sql;
        enum k2_code code;
        const char *part;
    } cases[] = {
        {"SELECT nosuch FROM trades", K2_USAGE, "nosuch"},
        {"SELECT 'x'::INTEGER", K2_INVALID, "Could not convert"},
        {"SELECT 1::TINYINT + 127::TINYINT", K2_INVALID, "Overflow"},
        {"SELECT error('mine')", K2_INVALID, "mine"},
        {"SELECT sum(symbol) FROM trades", K2_USAGE, "sum"},
    };
    struct k2_query *query = open_at(trades_dir(), NULL);
    struct k2_err err;
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        enum k2_code code = error_of(query, cases[i].sql, K2_FORMAT_CSV, &err);
        if (code != cases[i].code || !strstr(err.msg, cases[i].part) || strchr(err.msg, '\n'))
            fail_msg("%s -> %s: %s", cases[i].sql, k2_err_text(code), err.msg);
    }
    CHECK(error_of(query, "EXPLAIN SELECT 1", K2_FORMAT_PARQUET, &err) == K2_USAGE);
    enum k2_format format;
    CHECK(k2_format_parse(K2_STR("ndjson"), &format) && format == K2_FORMAT_NDJSON);
    CHECK(!k2_format_parse(K2_STR("xml"), &format));
    k2_query_free(query);
}
