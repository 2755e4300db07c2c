/* metrics_test.c -- series, updates from many threads, the text Prometheus reads. */
#include "base/metrics.h"

#include <pthread.h>

#include "base/alloc.h"
#include "support/test.h"

TEST(metrics_text_format) {
    struct k2_metrics *m = k2_metrics_new("k2", "test \"x\"", "unit");
    k2_series_add(k2_metrics_series(m, K2_METRIC_COMMITS, "trades"), 3);
    k2_series_set(k2_metrics_series(m, K2_METRIC_DEGRADATION), 0.1);
    struct k2_series *seconds = k2_metrics_series(m, K2_METRIC_QUERY_SECONDS, "a\"b\\c\nd");
    k2_series_observe(seconds, 0.001);
    k2_series_observe(seconds, 0.3);
    k2_series_observe(seconds, 60);
    struct k2_buf buf = {0};
    k2_metrics_text(m, &buf);
    const char *text = k2_buf_cstr(&buf);
#define COMMON "service=\"k2\",environment=\"test \\\"x\\\"\",component=\"unit\""
#define QUERY  COMMON ",query_type=\"a\\\"b\\\\c\\nd\""
    static const char *const lines[] = {
        "# HELP k2_iceberg_transactions_total Commits made.\n",
        "# TYPE k2_iceberg_transactions_total counter\n",
        ("k2_iceberg_transactions_total{" COMMON ",table=\"trades\"} 3\n"),
        "# TYPE k2_degradation_level gauge\n",
        ("k2_degradation_level{" COMMON "} 0.1\n"),
        "# TYPE k2_query_duration_seconds histogram\n",
        ("k2_query_duration_seconds_bucket{" QUERY ",le=\"0.001\"} 1\n"),
        ("k2_query_duration_seconds_bucket{" QUERY ",le=\"0.25\"} 1\n"),
        ("k2_query_duration_seconds_bucket{" QUERY ",le=\"0.5\"} 2\n"),
        ("k2_query_duration_seconds_bucket{" QUERY ",le=\"+Inf\"} 3\n"),
        ("k2_query_duration_seconds_count{" QUERY "} 3\n"),
        ("k2_query_duration_seconds_sum{" QUERY "} 60.301\n"),
    };
    for (size_t i = 0; i < K2_COUNT(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("no %s in %s", lines[i], text);
    CHECK(!strstr(text, "k2_platform_info")); /* without series: left out */
    k2_buf_done(&buf);
    k2_metrics_free(m);
    k2_metrics_free(NULL);
}

TEST(metrics_series_are_found_again) {
    struct k2_metrics *m = k2_metrics_new("a", "b", "c");
    struct k2_series *one = k2_metrics_series(m, K2_METRIC_LOG_LAG_MESSAGES, "t", "1", "g");
    struct k2_series *two = k2_metrics_series(m, K2_METRIC_LOG_LAG_MESSAGES, "t", "11", "g");
    CHECK(one != two);
    CHECK(one == k2_metrics_series(m, K2_METRIC_LOG_LAG_MESSAGES, "t", "1", "g"));
    k2_series_set(one, 5);
    k2_series_move(one, -1.5);
    CHECK(k2_series_value(one) == 3.5 && k2_series_value(two) == 0);
    k2_metrics_free(m);
}

TEST(metrics_cardinality_is_bounded) {
    struct k2_metrics *m = k2_metrics_new("a", "b", "c");
    for (int i = 0; i < 3000; i++) {
        char table[16];
        snprintf(table, sizeof table, "t%d", i);
        k2_series_add(k2_metrics_series(m, K2_METRIC_COMMITS, table), 1);
    }
    CHECK(k2_series_value(k2_metrics_series(m, K2_METRIC_COMMITS, "other")) == 1000);
    char longer[300];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    CHECK(k2_metrics_series(m, K2_METRIC_QUERY_CACHE_HITS, longer) ==
          k2_metrics_series(m, K2_METRIC_QUERY_CACHE_HITS, longer));
    k2_metrics_free(m);
}

static void *update(void *arg) {
    struct k2_metrics *m = arg;
    for (int i = 0; i < 10000; i++) {
        char table[16];
        snprintf(table, sizeof table, "t%d", i % 20);
        struct k2_series *commits = k2_metrics_series(m, K2_METRIC_COMMITS, table);
        struct k2_series *rows = k2_metrics_series(m, K2_METRIC_COMMIT_ROWS, table);
        K2_NO_ALLOC;
        k2_series_add(commits, 1);
        k2_series_observe(rows, i);
    }
    return NULL;
}

TEST(metrics_threads_lose_nothing) {
    struct k2_metrics *m = k2_metrics_new("a", "b", "c");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, update, m) == 0);
    struct k2_buf buf = {0};
    k2_metrics_text(m, &buf); /* while they write */
    k2_buf_done(&buf);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    double commits = 0, rows = 0;
    for (int i = 0; i < 20; i++) {
        char table[16];
        snprintf(table, sizeof table, "t%d", i);
        commits += k2_series_value(k2_metrics_series(m, K2_METRIC_COMMITS, table));
        rows += k2_series_value(k2_metrics_series(m, K2_METRIC_COMMIT_ROWS, table));
    }
    CHECK(commits == 40000 && rows == 40000);
    k2_metrics_free(m);
}
