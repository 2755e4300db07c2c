/* utc_test.c -- K2's time functions against DuckDB's own for timestamps without time zone. */
#include "query/utc.h"

#include "query/engine.h"
#include "support/test.h"

static struct k2_engine *open_engine(void) {
    struct k2_engine_opts opts = {0};
    struct k2_err err = {0};
    struct k2_engine *engine = k2_engine_start(1, &err);
    if (!engine || !k2_engine_lock(engine, &opts, &err))
        fail_msg("%s", err.msg);
    return engine;
}

/* The first column of the first row, as text. */
static bool text_of(struct k2_engine *engine, const char *sql, struct k2_buf *ret_text,
                    struct k2_err *err) {
    struct k2_buf cast = {0};
    k2_buf_printf(&cast, "SELECT CAST((%s) AS VARCHAR) || $1", sql);
    k2_buf_clear(ret_text);
    bool ok = k2_engine_text(engine, k2_buf_cstr(&cast), K2_STR(""), ret_text, err);
    k2_buf_done(&cast);
    return ok;
}

static void check_text(struct k2_engine *engine, const char *sql, const char *expected) {
    struct k2_buf text = {0};
    struct k2_err err = {0};
    if (!text_of(engine, sql, &text, &err))
        fail_msg("%s -> %s", sql, err.msg);
    if (!k2_str_is(k2_buf_view(&text), expected))
        fail_msg("%s\n-- got %s\n-- expected %s", sql, k2_buf_cstr(&text), expected);
    k2_buf_done(&text);
}

static void check_fails(struct k2_engine *engine, const char *sql, const char *part) {
    struct k2_buf text = {0};
    struct k2_err err = {0};
    if (text_of(engine, sql, &text, &err) || !strstr(err.msg, part))
        fail_msg("%s -> %s%s", sql, k2_buf_cstr(&text), err.msg);
    k2_buf_done(&text);
}

/* Times of all ages and all around the edges of days, months and years, and NULLs. */
static void make_times(struct k2_engine *engine) {
    struct k2_err err = {0};
    CHECK_OK(k2_engine_exec(
        engine,
        "CREATE TABLE times AS SELECT make_timestamptz(us) AS t, i FROM ("
        "SELECT i, (hash(i) % 62000000000000000)::BIGINT - 60000000000000000 AS us "
        "FROM range(20000) AS r(i) UNION ALL "
        "SELECT i, (hash(i) % 4000000000000000)::BIGINT - 1000000000000000 "
        "FROM range(20000) AS r(i) UNION ALL "
        "SELECT i, epoch_us(TIMESTAMP '1580-01-01' + to_months((i // 3)::INTEGER)) + i % 3 - 1 "
        "FROM range(30000) AS r(i) UNION ALL "
        "SELECT i, epoch_us(TIMESTAMP '1968-12-20' + to_days((i // 3)::INTEGER)) + i % 3 - 1 "
        "FROM range(60000) AS r(i) UNION ALL "
        "SELECT i, CASE WHEN i % 3 > 0 THEN i * 1000003 END FROM range(6000) AS r(i))",
        &err));
}

/* Times as DuckDB has them without a zone. */
#define PLAIN "timezone('UTC', t)"

TEST(utc_buckets_are_duckdbs) {
    static const char *const widths[] = {
        "1 microsecond", "7 milliseconds", "1 second", "90 seconds", "1 minute", "7 minutes",
        "1 hour",        "25 hours",       "1 day",    "3 days",     "7 days",   "1000 days",
        "1 month",       "5 months",       "1 year",   "10 years"};
    struct k2_engine *engine = open_engine();
    make_times(engine);
    for (size_t i = 0; i < K2_COUNT(widths); i++) {
        char sql[512];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FILTER (timezone('UTC', time_bucket(INTERVAL '%s', t)) IS "
                 "DISTINCT FROM time_bucket(INTERVAL '%s', " PLAIN ")) || ' of ' || count(*) "
                 "FROM times",
                 widths[i], widths[i]);
        check_text(engine, sql, "0 of 136000");
    }
    check_text(engine,
               "SELECT count(*) FROM times, LATERAL (SELECT CASE i % 4 WHEN 0 THEN INTERVAL 5 "
               "MINUTE WHEN 1 THEN INTERVAL 1 MONTH WHEN 2 THEN INTERVAL 2 DAY END AS w) WHERE "
               "timezone('UTC', time_bucket(w, t)) IS DISTINCT FROM time_bucket(w, " PLAIN ")",
               "0");
    k2_engine_free(engine);
}

TEST(utc_truncates_as_duckdb) {
    static const char *const names[] = {
        "us",      "milliseconds", "s",        "epoch",      "MINUTE", "hrs",     "day",      "dow",
        "julian",  "Weeks",        "yearweek", "weekofyear", "month",  "quarter", "quarters", "y",
        "isoyear", "decade",       "c",        "millennia"};
    struct k2_engine *engine = open_engine();
    make_times(engine);
    for (size_t i = 0; i < K2_COUNT(names); i++) {
        char sql[512];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FILTER (timezone('UTC', date_trunc('%s', t)) IS DISTINCT FROM "
                 "date_trunc('%s', " PLAIN ")) || ' of ' || count(*) FROM times",
                 names[i], names[i]);
        check_text(engine, sql, "0 of 136000");
    }
    check_text(
        engine,
        "SELECT count(*) FROM times, LATERAL (SELECT (['day', 'month', NULL, 'h'])[i % 4 + "
        "1] AS u) WHERE timezone('UTC', datetrunc(u, t)) IS DISTINCT FROM datetrunc(u, " PLAIN ")",
        "0");
    k2_engine_free(engine);
}

TEST(utc_differences_are_duckdbs) {
    static const char *const names[] = {
        "us",   "ms",    "s",       "epoch", "minute",  "hour",   "day",     "doy",
        "week", "month", "quarter", "year",  "isoyear", "decade", "century", "millennium"};
    struct k2_engine *engine = open_engine();
    struct k2_err err = {0};
    make_times(engine);
    CHECK_OK(k2_engine_exec(engine,
                            "CREATE TABLE pairs AS SELECT t, lead(t) OVER (ORDER BY hash(t, i)) "
                            "AS u FROM times UNION ALL SELECT t, lead(t) OVER (ORDER BY t) FROM "
                            "times",
                            &err));
    for (size_t i = 0; i < K2_COUNT(names); i++) {
        char sql[512];
        snprintf(
            sql, sizeof sql,
            "SELECT count(*) FILTER (date_diff('%s', t, u) IS DISTINCT FROM date_diff('%s', " PLAIN
            ", timezone('UTC', u))) || ' of ' || count(*) FROM pairs",
            names[i], names[i]);
        check_text(engine, sql, "0 of 272000");
    }
    check_text(engine,
               "SELECT count(*) FROM pairs WHERE (t - u)::VARCHAR IS DISTINCT FROM (" PLAIN
               " - timezone('UTC', u))::VARCHAR",
               "0");
    check_text(engine,
               "SELECT count(*) FROM pairs WHERE datediff('yearweek', t, u) IS DISTINCT FROM "
               "datediff('day', date_trunc('week', t), date_trunc('week', u)) // 7",
               "0");
    check_text(engine, "coalesce(date_diff('day', TIMESTAMPTZ 'infinity', now()), 7)", "7");
    check_text(engine,
               "make_timestamptz(9223372036854775806) - make_timestamptz(-9223372022400000000)",
               "213503982 days 04:00:54.775806");
    check_text(engine, "TIMESTAMPTZ '2024-03-01 00:00:00Z' - DATE '2024-02-01'", "29 days");
    check_fails(engine,
                "date_diff('us', make_timestamptz(-9223372022400000000), "
                "make_timestamptz(9223372036854775806))",
                "too far apart");
    check_fails(engine, "TIMESTAMPTZ 'infinity' - now()", "infinite");
    k2_engine_free(engine);
}

TEST(utc_parts_are_duckdbs) {
    static const char *const names[] = {"year",       "quarter",   "month",     "day",
                                        "dayofmonth", "dayofyear", "dayofweek", "weekday",
                                        "isodow",     "hour",      "minute",    "second"};
    struct k2_engine *engine = open_engine();
    make_times(engine);
    for (size_t i = 0; i < K2_COUNT(names); i++) {
        char sql[512];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FILTER (%s(t) IS DISTINCT FROM %s(" PLAIN ") OR "
                 "date_part('%s', t) IS DISTINCT FROM %s(t)) || ' of ' || count(*) FROM times",
                 names[i], names[i], names[i], names[i]);
        check_text(engine, sql, "0 of 136000");
    }
    check_text(engine, "hour(TIMESTAMPTZ 'infinity') IS NULL", "true");
    check_text(engine, "extract(year FROM make_timestamptz(9223372036854775806))", "294247");
    check_text(engine, "minute(make_timestamptz(-9223372022400000000))", "0");
    check_fails(engine, "minute(make_timestamptz(-9223372036854775806))", "out of range");
    k2_engine_free(engine);
}

TEST(utc_edges) {
    struct k2_engine *engine = open_engine();
    check_text(engine, "time_bucket('5 minutes', TIMESTAMPTZ '2024-03-14 02:07:00.5Z')",
               "2024-03-14 02:05:00+00");
    check_text(engine, "time_bucket(INTERVAL 1 DAY, TIMESTAMPTZ 'infinity')", "infinity");
    check_text(engine, "date_trunc('month', TIMESTAMPTZ '-infinity')", "-infinity");
    check_text(engine, "coalesce(time_bucket(NULL::INTERVAL, now()), TIMESTAMPTZ 'epoch')",
               "1970-01-01 00:00:00+00");
    check_fails(engine, "date_trunc('fortnight', now())", "\"fortnight\" is no unit");
    check_fails(engine, "date_trunc('era', now())", "\"era\" is no unit");
    check_fails(engine, "date_trunc('', now())", "\"\" is no unit");
    check_fails(engine, "date_trunc('day week', now())", "\"day week\" is no unit");
    check_fails(engine, "time_bucket(INTERVAL '-1 hour', now())", "longer than nothing");
    check_fails(engine, "time_bucket(INTERVAL '0 days', now())", "longer than nothing");
    check_fails(engine, "time_bucket(INTERVAL '1 month 1 day', now())", "bucket of months");
    check_fails(engine, "time_bucket(INTERVAL '1 day 1 hour', now())", "bucket of days");
    check_fails(engine, "time_bucket(to_days(2147483647), now())", "too far away");
    check_text(engine, "time_bucket(to_months(2147483647), now())", "2000-01-01 00:00:00+00");
    check_fails(engine, "time_bucket(to_months(2147483647), TIMESTAMPTZ 'epoch')", "too far away");
    check_fails(engine, "time_bucket(INTERVAL 100000 DAY, make_timestamptz(-9223372022400000000))",
                "too far away");
    check_fails(engine, "date_trunc('millennium', make_timestamptz(-9223372022400000000))",
                "too far away");
    check_text(engine, "epoch_us(date_trunc('year', make_timestamptz(9223372036854775806)))",
               "9223371244800000000");
    k2_engine_free(engine);
}

TEST(utc_nanoseconds_are_exact) {
    struct k2_engine *engine = open_engine();
    check_text(engine, "epoch_ns(TIMESTAMPTZ '2014-03-10 00:00:01Z', 1)", "1394409601000000001");
    check_text(engine, "epoch_ns(TIMESTAMPTZ '1969-12-31 23:59:59.999999Z', 999)", "-1");
    check_text(engine, "coalesce(epoch_ns(now(), NULL::INTEGER), 7)", "7");
    check_text(engine,
               "SELECT sum(epoch_ns(make_timestamptz(i), CASE WHEN i % 2 = 0 THEN 5 END)) "
               "FROM range(10) AS r(i)",
               "20025");
    check_fails(engine, "epoch_ns(TIMESTAMPTZ '2300-01-01 00:00:00Z', 0)", "nanoseconds");
    k2_engine_free(engine);
}
