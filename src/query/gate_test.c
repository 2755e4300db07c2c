/* gate_test.c -- what the gate lets through and what it does not, over a corpus of both. */
#include "query/gate_impl.h"

#include <inttypes.h>

#include "support/query_files.h"
#include "support/test.h"

static bool drop(void *self, const void *bytes, size_t len, struct k2_err *err) {
    (void)bytes, (void)err;
    *(size_t *)self += len;
    return true;
}

static struct k2_query *open_query(void) {
    static const char *dir;
    struct k2_err err = {0};
    if (!dir) {
        dir = test_dir();
        CHECK_OK(query_files_trades(dir, "a.parquet", 0, 500, &err));
        CHECK_OK(query_files_trades(dir, "b.parquet", 500, 500, &err));
    }
    struct k2_query_opts opts = {.limits = {.timeout_ms = 60000}};
    struct k2_query *query =
        k2_query_open_with(&opts, dir, query_files_plan, (void *)(uintptr_t)dir, &err);
    if (!query)
        fail_msg("%s", err.msg);
    return query;
}

static bool run(struct k2_query *query, const char *sql, struct k2_err *err) {
    struct k2_query_result result;
    size_t bytes = 0;
    *err = (struct k2_err){0};
    return k2_query_run(query, k2_str_of(sql), K2_FORMAT_CSV, drop, &bytes, &result, err);
}

/* Every one must be refused by the gate: before DuckDB plans it. */
static const char *const escapes[] = {
    "SELECT * FROM read_parquet('/tmp/x.parquet')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM READ_TEXT('/etc/passwd')",
    "SELECT * FROM \"read_text\"('/etc/passwd')",
    "SELECT * FROM \"READ_Text\"('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_json_auto('x'), trades",
    "SELECT * FROM read_ndjson('x')",
    "SELECT * FROM read_json_objects('x')",
    "SELECT * FROM read_duckdb('x')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_scan('x')",
    "SELECT * FROM parquet_metadata('x')",
    "SELECT * FROM parquet_schema('x')",
    "SELECT * FROM parquet_file_metadata('x')",
    "SELECT * FROM parquet_kv_metadata('x')",
    "SELECT * FROM parquet_bloom_probe('x', 'a', 1)",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM iceberg_scan('x')",
    "SELECT * FROM system.main.read_csv('/etc/passwd')",
    "SELECT * FROM 'main'.\"read_csv_auto\"('/etc/passwd')",
    "SELECT * FROM main.read_text(filename := '/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd', delim = ':', header = false)",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM \"x.csv\"",
    "SELECT * FROM 'x.parquet' AS trades",
    "SELECT * FROM 'https://example.com/x.parquet'",
    "FROM '/etc/passwd'",
    "TABLE \"/etc/passwd\"",
    "SELECT * FROM market_data.\"x.parquet\"",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('trades')",
    "SELECT * FROM query_table(['trades'])",
    "SELECT getenv('HOME')",
    "SELECT current_setting('memory_limit')",
    "SELECT getvariable('x')",
    "SELECT nextval('s')",
    "SELECT currval('s')",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT json_deserialize_sql('{}')",
    "SELECT json_serialize_plan('SELECT 1')",
    "SELECT write_log('x')",
    "SELECT version()",
    "SELECT pg_sleep(1)",
    "SELECT sleep_ms(1000)",
    "SELECT pg_catalog.pg_typeof(1)",
    "SELECT pg_get_viewdef(1)",
    "SELECT current_database()",
    "SELECT current_schema",
    "SELECT CURRENT_USER",
    "SELECT \"current_catalog\"",
    "SELECT current_schemas(true)",
    "SELECT in_search_path('a', 'b')",
    "SELECT txid_current()",
    "SELECT get_block_size('memory')",
    "SELECT current_query()",
    "SELECT set_config('a', 'b', false)",
    "SELECT finalize('x'::BLOB)",
    "SELECT sum(price) EXPORT_STATE FROM trades",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_settings",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_functions()",
    "SELECT * FROM duckdb_views",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM which_secret('x', 's3')",
    "SELECT * FROM pragma_table_info('trades')",
    "SELECT * FROM pragma_show('trades')",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM pragma_storage_info('x')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM system.information_schema.tables",
    "SELECT * FROM memory.market_data.trades",
    "SELECT * FROM k2.trades",
    "SELECT * FROM main.trades",
    "SELECT * FROM temp.trades",
    "SELECT * FROM summary('trades')",
    "SELECT * FROM histogram('trades', 'price')",
    "SELECT * FROM histogram_values('trades', 'price')",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM repeat_row(1, 2)",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint()",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM seq_scan('trades')",
    "SELECT * FROM sql_auto_complete('SEL')",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM icu_calendar_names()",
    "SELECT * FROM pg_timezone_names()",
    /* at every place an expression or a table may stand */
    "WITH a AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM a",
    "WITH a AS (SELECT 1) SELECT * FROM (WITH b AS (FROM '/etc/passwd') SELECT * FROM b), a",
    "WITH RECURSIVE a AS (SELECT 'x' UNION SELECT content FROM read_text('/etc/passwd')) FROM a",
    "WITH a AS MATERIALIZED (FROM glob('*')) SELECT 1",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT EXISTS (FROM read_text('/etc/passwd'))",
    "SELECT 1 WHERE 'x' IN (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT 1 > ALL (SELECT size FROM read_text('/etc/passwd'))",
    "SELECT ARRAY(SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM trades t, LATERAL (SELECT * FROM read_text(t.symbol))",
    "SELECT * FROM trades JOIN read_text('/etc/passwd') ON true",
    "SELECT * FROM trades JOIN trades b ON (SELECT true FROM read_text('/etc/passwd'))",
    "SELECT * FROM trades ASOF JOIN (FROM read_csv('x')) b USING (symbol)",
    "SELECT * FROM trades POSITIONAL JOIN read_csv('x')",
    "SELECT list_transform([1], x -> (SELECT content FROM read_text('/etc/passwd')))",
    "SELECT list_transform([1], lambda x: getvariable('x'))",
    "SELECT [getvariable(x) FOR x IN ['a'] IF true]",
    "SELECT 1 UNION ALL SELECT size FROM read_text('/etc/passwd')",
    "(SELECT 1) EXCEPT (SELECT size FROM read_text('/etc/passwd'))",
    "SELECT symbol FROM trades ORDER BY (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT symbol FROM trades ORDER BY getvariable('x')",
    "SELECT symbol FROM trades LIMIT (SELECT size FROM read_text('/etc/passwd'))",
    "SELECT symbol FROM trades LIMIT 1 OFFSET getvariable('x')",
    "SELECT DISTINCT ON (getvariable('x')) symbol FROM trades",
    "SELECT sum(price) OVER (ORDER BY getvariable('x')) FROM trades",
    "SELECT sum(price) OVER (PARTITION BY (SELECT 1 FROM glob('*'))) FROM trades",
    "SELECT sum(price) OVER w FROM trades WINDOW w AS (ORDER BY getvariable('x'))",
    "SELECT sum(price) OVER (ROWS BETWEEN getvariable('x') PRECEDING AND CURRENT ROW) FROM trades",
    "SELECT count(*) FILTER (WHERE getvariable('x') = 1) FROM trades",
    "SELECT first(price ORDER BY getvariable('x')) FROM trades",
    "SELECT symbol FROM trades GROUP BY symbol HAVING getvariable('x') = 1",
    "SELECT symbol FROM trades GROUP BY ROLLUP (getvariable('x'))",
    "SELECT symbol FROM trades QUALIFY row_number() OVER (ORDER BY getvariable('x')) = 1",
    "SELECT CASE WHEN getvariable('x') = 1 THEN 1 END",
    "SELECT CAST(getvariable('x') AS INTEGER)",
    "SELECT TRY_CAST(getvariable('x') AS INTEGER)",
    "SELECT TRY(getvariable('x'))",
    "SELECT 1 BETWEEN getvariable('x') AND 2",
    "SELECT getvariable('x') COLLATE nocase",
    "SELECT {'a': getvariable('x')}",
    "SELECT MAP {getvariable('x'): 1}",
    "SELECT [1, 2][getvariable('x')]",
    "SELECT (getvariable('x')).a",
    "SELECT 'x'.getvariable()",
    "SELECT COALESCE(NULL, getvariable('x'))",
    "SELECT * REPLACE (getvariable('x') AS symbol) FROM trades",
    "SELECT COLUMNS(c -> c = getvariable('x')) FROM trades",
    "VALUES (getvariable('x'))",
    "VALUES ((SELECT content FROM read_text('/etc/passwd')))",
    "SELECT * FROM (VALUES (getvariable('x'))) v(a)",
    "SELECT * FROM unnest([getvariable('x')])",
    "SELECT * FROM range((SELECT size FROM read_text('/etc/passwd')))",
    "SELECT * FROM generate_series(1, getvariable('x'))",
    "PIVOT trades ON symbol IN ('A') USING sum(getvariable('x'))",
    "PIVOT 'x.csv' ON symbol IN ('A') USING count(*)",
    "SELECT * FROM (PIVOT read_csv('x') ON a IN (1) USING count(*))",
    "UNPIVOT 'x.csv' ON a, b INTO NAME n VALUE v",
    "FROM trades SELECT getvariable('x')",
    "SELECT /* getvariable */ getvariable/**/('x') -- nothing",
    "SELECT * FROM/**/read_text/**/('/etc/passwd')",
    "EXPLAIN SELECT * FROM read_text('/etc/passwd')",
    "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
    "/* x */ EXPLAIN /* y */ ANALYZE -- z\n SELECT * FROM '/etc/passwd'",
    "EXPLAIN ANALYZE COPY trades TO '/tmp/x'",
    "EXPLAIN EXPLAIN SELECT 1",
    /* CTE names are names only where they can be seen */
    "SELECT * FROM (WITH \"/etc/passwd\" AS (SELECT 1) SELECT 1), '/etc/passwd'",
    "WITH a AS (FROM '/etc/passwd'), \"/etc/passwd\" AS (SELECT 1) SELECT * FROM a",
    "WITH \"/etc/passwd\" AS (FROM '/etc/passwd') SELECT * FROM \"/etc/passwd\"",
    "(WITH \"x.csv\" AS (SELECT 1) FROM \"x.csv\") UNION ALL FROM \"x.csv\"",
    "WITH \"x.csv\" AS (SELECT 1) SELECT * FROM main.\"x.csv\"",
    /* what is no query at all */
    "COPY trades TO '/tmp/x'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "SELECT * FROM (COPY trades TO '/tmp/x')",
    "ATTACH '/tmp/x.db'",
    "DETACH memory",
    "USE memory",
    "SET memory_limit = '10GB'",
    "RESET memory_limit",
    "PRAGMA database_list",
    "PRAGMA table_info('trades')",
    "CALL pragma_version()",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW market_data.trades AS SELECT 1",
    "CREATE MACRO f(x) AS getvariable(x)",
    "DROP VIEW trades",
    "INSERT INTO trades SELECT * FROM trades",
    "UPDATE trades SET price = 1",
    "DELETE FROM trades",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "DESCRIBE",
    "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
    "SUMMARIZE '/etc/passwd'",
    "SELECT * FROM (SUMMARIZE duckdb_settings())",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "SELECT * FROM (SHOW TABLES)",
    "WITH x AS (INSERT INTO trades VALUES (1) RETURNING *) SELECT * FROM x",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW trades",
    "SELECT 1;; SELECT 2",
    "SELECT ';'; SELECT 2",
    "SELECT $$;$$; SET threads = 1",
    "SELECT 1 /* ; */ ; /* x */ SET threads = 1",
    "SELECT 1 -- ;\n; SELECT 2",
    "SELECT E'\\'; SELECT 1; --'; SET threads = 1",
    "SELECT $1",
    "SELECT ?",
    "SELECT $name",
    "SELECT * FROM trades AT (VERSION => 3)",
    "SELECT * FROM trades AT (TIMESTAMP => now())",
    "",
    "   ",
    ";",
    "-- nothing",
    "EXPLAIN",
    "SELECT",
    "SELEC 1",
    "\xc2\xa0",
    "SELECT * FROM read\xe2\x80\x8b_text('/etc/passwd')",
    "SELECT * FROM \xef\xbd\x92\xef\xbd\x85\xef\xbd\x81\xef\xbd\x84_text('/etc/passwd')",
    "SELECT \xff",
    "SELECT * FROM tradez",
    "SELECT * FROM nothing.trades",
    "SELECT avgg(price) FROM trades",
};

static const char *const queries[] = {
    "SELECT 1",
    "SELECT 1;",
    " SELECT 1 ; -- done\n",
    "/* a /* nested */ comment */ SELECT ';' AS \"semi;colon\", $$;$$, E'\\';' ;",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT * FROM trades",
    "FROM trades",
    "TABLE trades",
    "FROM market_data.trades SELECT symbol LIMIT 3",
    "SELECT * FROM Market_Data.TRADES LIMIT 1",
    "SELECT * FROM \"trades\" LIMIT 1",
    "SELECT * FROM quotes",
    "SELECT * FROM trades_final ORDER BY timestamp_ns LIMIT 5",
    "SELECT * FROM instruments",
    "SELECT * FROM reference_data.instruments_history",
    "SELECT * FROM gaps WHERE recovered < missing",
    "SELECT * FROM ops.gaps",
    "SELECT * FROM gap_events",
    "SELECT * FROM gaps_found",
    "SELECT * FROM dead_letters",
    "SELECT * FROM commits",
    "SELECT symbol, count(*), sum(price * quantity) / sum(quantity) AS vwap FROM trades "
    "GROUP BY symbol ORDER BY vwap DESC",
    "SELECT symbol, time_bucket(INTERVAL 1 MINUTE, timestamp) AS minute, "
    "first(price ORDER BY timestamp_ns), max(price), min(price), last(price ORDER BY timestamp_ns) "
    "FROM trades GROUP BY ALL ORDER BY ALL",
    "SELECT symbol, arg_max(price, timestamp_ns), arg_min(price, timestamp_ns) FROM trades "
    "WHERE timestamp >= '2014-03-10' AND timestamp < TIMESTAMPTZ '2014-03-11' GROUP BY 1",
    "SELECT * FROM trades WHERE symbol IN ('S1', 'S2') AND price BETWEEN 100 AND 102",
    "SELECT * FROM trades WHERE symbol LIKE 'S%' AND side ILIKE 'b_y' AND symbol ~ 'S[12]'",
    "SELECT t.symbol, q.bid_price FROM trades t ASOF LEFT JOIN quotes q ON t.symbol = q.symbol AND "
    "t.timestamp >= q.timestamp",
    "SELECT * FROM trades a JOIN trades b USING (message_id) LIMIT 1",
    "SELECT * FROM trades a POSITIONAL JOIN (SELECT 1 AS one) b LIMIT 2",
    "SELECT * FROM trades SEMI JOIN (SELECT 'S1' AS symbol) b USING (symbol) LIMIT 1",
    "SELECT * FROM trades t, LATERAL (SELECT t.price * 2 AS twice) LIMIT 2",
    "SELECT symbol, lag(price) OVER w, row_number() OVER w, sum(quantity) OVER (PARTITION BY "
    "symbol "
    "ORDER BY timestamp_ns ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) FROM trades WINDOW w AS "
    "(PARTITION BY symbol ORDER BY timestamp_ns)",
    "SELECT * FROM trades QUALIFY rank() OVER (PARTITION BY symbol ORDER BY price DESC) = 1",
    "SELECT ntile(4) OVER (ORDER BY price), first_value(price) OVER (), nth_value(price, 2) OVER "
    "() "
    "FROM trades LIMIT 1",
    "WITH a AS (SELECT symbol, avg(price) AS p FROM trades GROUP BY 1), b AS (SELECT max(p) AS m "
    "FROM a) SELECT * FROM a, b WHERE a.p = b.m",
    "WITH trades AS (SELECT 1 AS x) SELECT x FROM trades",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) "
    "FROM n",
    "WITH a AS MATERIALIZED (SELECT 1 AS x), b AS NOT MATERIALIZED (SELECT 2 AS x) "
    "SELECT * FROM a UNION ALL SELECT * FROM b",
    "SELECT DISTINCT ON (symbol) symbol, price FROM trades ORDER BY symbol, timestamp DESC",
    "SELECT symbol FROM trades UNION SELECT symbol FROM quotes EXCEPT SELECT 'S1'",
    "SELECT symbol, side, count(*) FROM trades GROUP BY GROUPING SETS ((symbol), (side), ())",
    "SELECT symbol, side, grouping(symbol), count(*) FROM trades GROUP BY CUBE (symbol, side)",
    "SELECT condition, count(*) FROM (SELECT unnest(trade_conditions) AS condition FROM trades) "
    "GROUP BY 1",
    "SELECT vendor_data['maker'], map_keys(vendor_data), cardinality(vendor_data) FROM trades",
    "SELECT list_transform([1, 2], x -> x + 1), list_filter([1, 2], lambda x: x > 1), "
    "[x * 2 FOR x IN [1, 2, 3] IF x > 1], list_reduce([1, 2], lambda a, b: a + b)",
    "SELECT {'a': 1, 'b': [1, 2]}.b[1], struct_pack(x := 1), MAP {'k': 1}['k'], row(1, 2)",
    "SELECT [1, 2, 3][2:3], 'abc'[1], array_value(1, 2), list_sort([2, 1]), len([1])",
    "SELECT CASE WHEN price > 101 THEN 'high' ELSE 'low' END, price::DOUBLE, "
    "try_cast('x' AS INTEGER), coalesce(NULL, 1), nullif(1, 1), ifnull(NULL, 2) FROM trades LIMIT "
    "1",
    "SELECT strftime(timestamp, '%Y-%m-%d'), date_trunc('hour', timestamp), extract(year FROM "
    "timestamp), timestamp AT TIME ZONE 'Australia/Sydney', timezone('UTC', timestamp), "
    "epoch_ns(timestamp), age(timestamp), to_timestamp(0), make_date(2014, 3, 10) FROM trades "
    "LIMIT 1",
    "SELECT now(), current_date, current_timestamp, today()",
    "SELECT upper(symbol), symbol || '/' || exchange, concat_ws('.', exchange, symbol), "
    "substring(symbol FROM 1 FOR 1), trim(symbol), position('1' IN symbol), lpad(symbol, 5, '0'), "
    "regexp_replace(symbol, 'S', 'T'), split_part(symbol, 'S', 2), symbol.lower() FROM trades "
    "LIMIT 1",
    "SELECT abs(-1), round(1.5), floor(1.5), ceil(1.5), sqrt(2), ln(2), power(2, 3), 7 // 2, 7 % "
    "2, "
    "2 ** 3, 5!, @ -5, 1 << 3, 6 & 3, 6 | 1, ~1, greatest(1, 2), least(1, 2)",
    "SELECT stddev(price), var_pop(price), corr(price, quantity), median(price), "
    "quantile_cont(price, 0.5), mode(side), approx_count_distinct(symbol), string_agg(symbol, "
    "','), "
    "list(price)[1:3], histogram(side), bool_and(price > 0), any_value(symbol), "
    "max_by(price, timestamp_ns), count(DISTINCT symbol), skewness(price), entropy(symbol), "
    "sum(price) FILTER (WHERE side = 'BUY'), product(1), regr_slope(price, quantity) FROM trades",
    "SELECT * FROM range(3)",
    "SELECT i FROM generate_series(1, 10, 2) t(i)",
    "SELECT * FROM unnest([1, 2, 3]) t(x), unnest(['a'])",
    "SELECT generate_series FROM generate_series(TIMESTAMP '2014-03-10', TIMESTAMP '2014-03-11', "
    "INTERVAL 6 HOUR)",
    "PIVOT trades ON side IN ('BUY', 'SELL') USING count(*) GROUP BY symbol",
    "SELECT * FROM (SELECT symbol, side, price FROM trades) PIVOT (sum(price) FOR side IN ('BUY', "
    "'SELL'))",
    "UNPIVOT (SELECT price::DOUBLE AS p, quantity::DOUBLE AS q FROM trades LIMIT 2) ON p, q INTO "
    "NAME n VALUE v",
    "SELECT * EXCLUDE (vendor_data) REPLACE (price * 2 AS price) FROM trades LIMIT 1",
    "SELECT * RENAME (price AS p) FROM trades LIMIT 1",
    "SELECT COLUMNS('.*price.*') FROM quotes",
    "SELECT min(COLUMNS(c -> c LIKE '%sequence')) FROM trades",
    "SELECT #1, price AS p FROM trades ORDER BY 2, #1 LIMIT 1",
    "SELECT * FROM trades USING SAMPLE 10 ROWS",
    "SELECT * FROM trades TABLESAMPLE 10%",
    "SELECT symbol FROM trades ORDER BY symbol COLLATE NOCASE NULLS LAST LIMIT 10%",
    "SELECT EXISTS (FROM trades WHERE price > 1), 1 IN (SELECT 1), 2 > ANY (SELECT 1), "
    "(SELECT max(price) FROM trades), ARRAY(SELECT 1)",
    "SELECT json_extract_string('{\"a\": 1}', '$.a'), '{\"a\": [1]}'->'a'->>0, to_json({'a': 1}), "
    "json_object('a', 1)",
    "SELECT hash(symbol), md5(symbol), sha256(symbol), hex(raw) FROM trades, dead_letters",
    "SELECT date_diff('minute', timestamp, ingestion_timestamp), date '2014-03-10' + 1, "
    "INTERVAL '1 day' * 2, datepart('dow', timestamp), last_day(timestamp), epoch_us(timestamp), "
    "isodow(timestamp) FROM trades LIMIT 1",
    "SELECT 1e400, 18446744073709551615, 170141183460469231731687303715884105727, 1e-300, .5, 0x1F",
    "SELECT CAST({'a': 1} AS STRUCT(a BIGINT)), [1]::BIGINT[], 'x'::VARCHAR, 1::DECIMAL(10, 2)",
    "SELECT (1, 2) = (1, 2), 1 IS DISTINCT FROM NULL, NOT true, NULL IS NULL, 'a' NOT LIKE 'b', "
    "'a' SIMILAR TO 'a', 'abc' GLOB 'a*', 1 NOT BETWEEN 2 AND 3, 'a' ^@ 'a'",
    "SELECT typeof(price), bin(5), format('{:.2f}', 1.5), printf('%d', 1), bar(1, 0, 2), "
    "format_bytes(1000), uuid() IS NULL, random() < 2 FROM trades LIMIT 1",
    "EXPLAIN SELECT * FROM trades",
    "explain analyze SELECT count(*) FROM trades;",
    "/* why */ EXPLAIN -- so\n SELECT 1",
    "SELECT price AS \"select\", 'it''s' AS \"from \"\"x\"\"\" FROM trades LIMIT 1",
    "SELECT 1 AS a, 2 AS a",
    "SELECT '\xf0\x9f\x98\x80' AS \"\xc3\xa9\xe2\x82\xac\"",
    "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 1",
    "SELECT * FROM (VALUES (1, 'a')) v(x, y)",
};

TEST(gate_refuses_every_escape) {
    struct k2_query *query = open_query();
    struct k2_err err = {0};
    int passed = 0;
    for (size_t i = 0; i < K2_COUNT(escapes); i++) {
        struct k2_gated gated;
        bool ok = k2_gate(query->engine, k2_str_of(escapes[i]), &gated, &err);
        bool is_clean = !ok && strlen(err.msg) > 8 && !strchr(err.msg, '\n') &&
                        (err.code == K2_USAGE || err.code == K2_DENIED || err.code == K2_NOT_FOUND);
        if (!is_clean)
            print_message("%s\n  -> %s\n", escapes[i], ok ? "accepted" : err.msg);
        if (ok)
            k2_gated_done(&gated);
        passed += !is_clean;
    }
    CHECK(passed == 0);
    k2_query_free(query);
}

TEST(gate_accepts_and_runs_queries) {
    struct k2_query *query = open_query();
    struct k2_err err = {0};
    int failed = 0;
    for (size_t i = 0; i < K2_COUNT(queries); i++)
        if (!run(query, queries[i], &err)) {
            print_message("%s\n  -> %s: %s\n", queries[i], k2_err_text(err.code), err.msg);
            failed++;
        }
    CHECK(failed == 0);
    k2_query_free(query);
}

TEST(gate_says_what_and_where) {
    static const struct {
        const char *sql;
        enum k2_code code;
        const char *part;
    } cases[] = {
        {"SELECT *\nFROM read_text('x')", K2_DENIED,
         "FROM read_text(...) is not allowed (line 2, "},
        {"SELECT getvariable('x')", K2_DENIED, "getvariable is not allowed (line 1, column 8)"},
        {"SELECT * FROM tradez", K2_NOT_FOUND,
         "there is no table tradez (line 1, column 15); did "
         "you mean trades?"},
        {"SELECT * FROM something", K2_NOT_FOUND, "K2 has trades, quotes"},
        {"SELECT avgg(price) FROM trades", K2_USAGE,
         "there is no function avgg (line 1, column 8); "
         "did you mean avg?"},
        {"COPY trades TO 'x'", K2_USAGE, "COPY is not a query"},
        {"PIVOT trades ON side USING count(*)", K2_USAGE, "PIVOT needs its values"},
        {"SELECT 1; SELECT 2", K2_USAGE, "text follows the ';'"},
        {"SELECT * FRM trades", K2_USAGE, "(line 1, column "},
        {"SELECT ?", K2_USAGE, "parameters"},
        {"SHOW TABLES", K2_DENIED, "k2 table list"},
        {"SELECT * FROM '/etc/passwd'", K2_DENIED, "out of reach"},
    };
    struct k2_query *query = open_query();
    struct k2_err err;
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        CHECK(!run(query, cases[i].sql, &err));
        if (err.code != cases[i].code || !strstr(err.msg, cases[i].part))
            fail_msg("%s -> %s: %s", cases[i].sql, k2_err_text(err.code), err.msg);
    }
    k2_query_free(query);
}

TEST(gate_bounds_length_and_depth) {
    struct k2_query *query = open_query();
    struct k2_err err;
    struct k2_buf sql = {0};
    k2_buf_text(&sql, "SELECT ");
    for (int i = 0; i < 50000; i++)
        k2_buf_byte(&sql, '(');
    k2_buf_byte(&sql, '1');
    for (int i = 0; i < 50000; i++)
        k2_buf_byte(&sql, ')');
    CHECK(!run(query, k2_buf_cstr(&sql), &err));
    k2_buf_clear(&sql);
    k2_buf_text(&sql, "SELECT 1");
    for (int i = 0; i < 20000; i++)
        k2_buf_text(&sql, "+1");
    CHECK(!run(query, k2_buf_cstr(&sql), &err));
    for (int i = 0; i < 300000; i++)
        k2_buf_text(&sql, "+1+1");
    CHECK(!run(query, k2_buf_cstr(&sql), &err) && err.code == K2_LIMIT);
    k2_buf_clear(&sql);
    k2_buf_text(&sql, "SELECT 1 WHERE 1 IN (1");
    for (int i = 0; i < 20000; i++)
        k2_buf_printf(&sql, ",%d", i);
    k2_buf_byte(&sql, ')');
    CHECK_OK(run(query, k2_buf_cstr(&sql), &err));
    CHECK_OK(run(query, "SELECT 1", &err));
    k2_buf_done(&sql);
    k2_query_free(query);
}

/* ---- the reviewed list of functions against the library's ---- */

/* Functions of DuckDB 1.5.6 that K2 leaves out. A trailing '*' stands for any rest. */
static const char *const left_out[] = {
    "__internal_*",
    "icu_*",
    "pg_*",
    "has_*",
    "inet_*",
    "st_*",
    "current_*",
    "variant_bytes_to_variant",
    "variant_to_parquet_variant",
    "variant_normalize",
    "col_description",
    "obj_description",
    "shobj_description",
    "session_user",
    "user",
    "txid_current",
    "version",
    "currval",
    "nextval",
    "getvariable",
    "in_search_path",
    "json_serialize_sql",
    "json_deserialize_sql",
    "json_serialize_plan",
    "parse_duckdb_log_message",
    "write_log",
    "get_block_size",
    "setseed",
    "sleep_ms",
    "stats",
    "vector_type",
    "combine",
    "finalize",
    "remap_struct",
    "unpivot_list",
    "format_type",
    "format_pg_type",
    "map_to_pg_oid",
    "can_cast_implicitly",
    "create_sort_key",
    "timetz_byte_comparable",
    "constant_or_null",
    "sum_no_overflow",
    "get_type",
    "make_type",
};

static bool is_left_out(struct k2_str name) {
    for (size_t i = 0; i < K2_COUNT(left_out); i++) {
        struct k2_str pattern = k2_str_of(left_out[i]);
        if (pattern.ptr[pattern.len - 1] == '*'
                ? name.len >= pattern.len && memcmp(name.ptr, pattern.ptr, pattern.len - 1) == 0
                : k2_str_eq(name, pattern))
            return true;
    }
    return false;
}

/* A new version of the library that brings or drops functions fails here until the list has been
 * reviewed. current_date and its like are allowed one by one. */
TEST(gate_knows_every_function) {
    struct k2_query *query = open_query();
    struct k2_stream stream;
    struct k2_err err = {0};
    CHECK_OK(k2_stream_prepare(&stream, query->engine,
                               "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE "
                               "function_type IN ('scalar', 'aggregate', 'macro')",
                               &err));
    CHECK_OK(k2_stream_start(&stream, &err));
    int allowed = 0, unknown = 0;
    for (duckdb_data_chunk chunk; k2_stream_next(&stream, &chunk, &err) && chunk;
         duckdb_destroy_data_chunk(&chunk)) {
        struct k2_type_node type = {.id = DUCKDB_TYPE_VARCHAR};
        struct k2_vec vec = {0};
        k2_vec_bind(&type, duckdb_data_chunk_get_vector(chunk, 0), &vec);
        for (uint64_t i = 0; i < duckdb_data_chunk_get_size(chunk); i++) {
            struct k2_str name = k2_cell_bytes(&type, &vec, i);
            bool is_allowed = k2_gate_allows_function(name);
            allowed += is_allowed;
            if (!is_allowed && !is_left_out(name)) {
                print_message("not reviewed: %.*s\n", K2_FMT(name));
                unknown++;
            }
        }
    }
    k2_stream_done(&stream);
    CHECK(unknown == 0);
    CHECK(allowed == k2_gate_function_count() - 1); /* unnest is none of DuckDB's list */
    CHECK(!k2_gate_allows_function(K2_STR("current_schema")));
    CHECK(k2_gate_allows_function(K2_STR("current_date")));
    k2_query_free(query);
}

TEST(gate_tames_numbers) {
    static const char *const cases[][2] = {
        {"{\"a\":18446744073709551615,\"b\":[1,-5,1.5,1e400]}",
         "{\"a\":null,\"b\":[1,-5,1.5,1e400]}"},
        {"[Infinity,-Infinity,NaN,true,false,null]", "[null,null,null,true,false,null]"},
        {"\"18446744073709551615 \\\" Infinity\"", "\"18446744073709551615 \\\" Infinity\""},
        {"\"open", "\"open"},
        {"\"\\", "\"\\"},
        {"999999999999999999", "999999999999999999"},
        {"1000000000000000000", "null"},
        {"", ""},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++) {
        struct k2_buf json = {0};
        k2_buf_text(&json, cases[i][0]);
        k2_gate_tame_numbers(&json);
        CHECK(k2_str_is(k2_buf_view(&json), cases[i][1]));
        k2_buf_done(&json);
    }
}

/* What is read ahead follows from it: too much is read in vain, too little only later. */
TEST(gate_guesses_tables_by_their_words) {
    static const struct {
        const char *sql;
        uint32_t tables;
    } cases[] = {
        {"", 0},
        {"select 'trades', E'it\\'s gaps', $$quotes$$ -- gaps\n /* quotes */ from x", 0},
        {"from Trades", 1u << K2_SQL_TRADES},
        {"select * from market_data.quotes q, gaps", 1u << K2_SQL_QUOTES | 1u << K2_SQL_GAPS},
        {"select trades_finally", 0},
        {"'unended trades", 0},
    };
    for (size_t i = 0; i < K2_COUNT(cases); i++)
        if (k2_gate_guess(k2_str_of(cases[i].sql)) != cases[i].tables)
            fail_msg("%s", cases[i].sql);
}
