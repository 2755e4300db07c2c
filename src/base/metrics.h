/* metrics.h -- counters, gauges and histograms from one table, as Prometheus text.
 *
 * Every metric is a row of K2_METRICS: identifier, type, buckets, name without "k2_", labels, help.
 * A series is one metric with one set of label values: get it once, keep the pointer, update it
 * without lock or heap. A metric holds at most 2000 series; further label values share one series
 * whose labels all read "other", so that nothing outside can make memory grow.
 * Threads: everything may be called from any thread; k2_metrics_text sees each number whole.
 */
#ifndef K2_BASE_METRICS_H
#define K2_BASE_METRICS_H

#include <stdint.h>

#include "base/str.h"

#define K2_LABELS_E "exchange,asset_class"

#define K2_METRICS(X)                                                                              \
    X(PLATFORM_INFO, GAUGE, NONE, "platform_info", "version",                                      \
      "Version of the running program; the value is 1.")                                           \
    X(LOG_PRODUCED, COUNTER, NONE, "kafka_messages_produced_total",                                \
      K2_LABELS_E ",topic,data_type", "Messages appended to the log.")                             \
    X(LOG_PRODUCE_ERRORS, COUNTER, NONE, "kafka_produce_errors_total",                             \
      K2_LABELS_E ",topic,error_type", "Appends that failed.")                                     \
    X(LOG_PRODUCE_RETRIES, COUNTER, NONE, "kafka_produce_retries_total", K2_LABELS_E ",topic",     \
      "Appends that were tried again.")                                                            \
    X(LOG_PRODUCE_GAVE_UP, COUNTER, NONE, "kafka_produce_max_retries_exceeded_total",              \
      K2_LABELS_E ",topic", "Appends given up after retries.")                                     \
    X(LOG_PRODUCE_SECONDS, HISTOGRAM, LATENCY, "kafka_produce_duration_seconds",                   \
      K2_LABELS_E ",topic", "Time from append to acknowledgement.")                                \
    X(PRODUCERS_STARTED, COUNTER, NONE, "producer_initialized_total", "component_type",            \
      "Producers started.")                                                                        \
    X(PRODUCER_START_ERRORS, COUNTER, NONE, "producer_init_errors_total", "component_type,error",  \
      "Producers that could not start.")                                                           \
    X(SERIALIZER_ERRORS, COUNTER, NONE, "serializer_errors_total", "component_type,subject",       \
      "Records that could not be encoded.")                                                        \
    X(SERIALIZER_CACHE_SIZE, GAUGE, NONE, "serializer_cache_size", "",                             \
      "Schemas held in the cache.")                                                                \
    X(SERIALIZER_CACHE_EVICTIONS, COUNTER, NONE, "serializer_cache_evictions_total", "",           \
      "Schemas dropped from the cache.")                                                           \
    X(LOG_CONSUMED, COUNTER, NONE, "kafka_messages_consumed_total",                                \
      K2_LABELS_E ",topic,consumer_group", "Messages read from the log.")                          \
    X(CONSUMER_ERRORS, COUNTER, NONE, "consumer_errors_total", "error_type,consumer_group",        \
      "Reads from the log that failed.")                                                           \
    X(LOG_LAG_MESSAGES, GAUGE, NONE, "kafka_consumer_lag_messages",                                \
      "topic,partition,consumer_group", "Messages behind the end of the log.")                     \
    X(LOG_LAG_SECONDS, GAUGE, NONE, "kafka_consumer_lag_seconds",                                  \
      "topic,partition,consumer_group", "Age of the oldest uncommitted message.")                  \
    X(LOG_OFFSET, GAUGE, NONE, "kafka_consumer_offset", "topic,partition,consumer_group",          \
      "Next offset to commit.")                                                                    \
    X(GAPS, COUNTER, NONE, "sequence_gaps_detected_total", K2_LABELS_E ",symbol,severity",         \
      "Sequence gaps found.")                                                                      \
    X(SEQUENCE_RESETS, COUNTER, NONE, "sequence_resets_detected_total", K2_LABELS_E ",symbol",     \
      "Sequences that began anew.")                                                                \
    X(OUT_OF_ORDER, COUNTER, NONE, "out_of_order_messages_total", K2_LABELS_E ",symbol",           \
      "Messages behind one already seen.")                                                         \
    X(DUPLICATES, COUNTER, NONE, "duplicate_messages_detected_total", K2_LABELS_E ",symbol",       \
      "Messages dropped as duplicates.")                                                           \
    X(DEDUP_CACHE_SIZE, GAUGE, NONE, "deduplication_cache_size", "",                               \
      "Identities held to find duplicates.")                                                       \
    X(REJECTED, COUNTER, NONE, "dead_letters_total", K2_LABELS_E ",stage,error_code",              \
      "Records set aside as bad.")                                                                 \
    X(BINANCE_RECEIVED, COUNTER, NONE, "binance_messages_received_total", "symbol",                \
      "Messages from Binance.")                                                                    \
    X(BINANCE_MESSAGE_ERRORS, COUNTER, NONE, "binance_message_errors_total", "error_type",         \
      "Messages that could not be read.")                                                          \
    X(BINANCE_CONNECTION_ERRORS, COUNTER, NONE, "binance_connection_errors_total", "error_type",   \
      "Connections that failed.")                                                                  \
    X(BINANCE_RECONNECTS, COUNTER, NONE, "binance_reconnects_total", "reason",                     \
      "Connections made again.")                                                                   \
    X(BINANCE_CONNECTED, GAUGE, NONE, "binance_connection_status", "", "1 when connected.")        \
    X(BINANCE_LAST_MESSAGE, GAUGE, NONE, "binance_last_message_timestamp_seconds", "",             \
      "When the last message came.")                                                               \
    X(BINANCE_RECONNECT_DELAY, GAUGE, NONE, "binance_reconnect_delay_seconds", "",                 \
      "Wait before the next connection.")                                                          \
    X(KRAKEN_RECEIVED, COUNTER, NONE, "kraken_messages_received_total", "symbol",                  \
      "Messages from Kraken.")                                                                     \
    X(KRAKEN_MESSAGE_ERRORS, COUNTER, NONE, "kraken_message_errors_total", "error_type",           \
      "Messages that could not be read.")                                                          \
    X(KRAKEN_CONNECTION_ERRORS, COUNTER, NONE, "kraken_connection_errors_total", "error_type",     \
      "Connections that failed.")                                                                  \
    X(KRAKEN_RECONNECTS, COUNTER, NONE, "kraken_reconnects_total", "reason",                       \
      "Connections made again.")                                                                   \
    X(KRAKEN_CONNECTED, GAUGE, NONE, "kraken_connection_status", "", "1 when connected.")          \
    X(KRAKEN_LAST_MESSAGE, GAUGE, NONE, "kraken_last_message_timestamp_seconds", "",               \
      "When the last message came.")                                                               \
    X(KRAKEN_RECONNECT_DELAY, GAUGE, NONE, "kraken_reconnect_delay_seconds", "",                   \
      "Wait before the next connection.")                                                          \
    X(ROWS_WRITTEN, COUNTER, NONE, "iceberg_rows_written_total", K2_LABELS_E ",table",             \
      "Rows committed.")                                                                           \
    X(WRITE_ERRORS, COUNTER, NONE, "iceberg_write_errors_total", K2_LABELS_E ",table,error_type",  \
      "Writes of table files that failed.")                                                        \
    X(COMMIT_FAILURES, COUNTER, NONE, "iceberg_commit_failures_total", K2_LABELS_E ",table",       \
      "Commits that failed.")                                                                      \
    X(COMMITS, COUNTER, NONE, "iceberg_transactions_total", "table", "Commits made.")              \
    X(WRITE_SECONDS, HISTOGRAM, STORAGE, "iceberg_write_duration_seconds",                         \
      K2_LABELS_E ",table,operation", "Time to write and commit.")                                 \
    X(COMMIT_ROWS, HISTOGRAM, COMMIT_ROWS, "iceberg_transaction_rows", "table",                    \
      "Rows per commit.")                                                                          \
    X(BATCH_ROWS, HISTOGRAM, BATCH_ROWS, "iceberg_batch_size", "table", "Rows per batch.")         \
    X(TABLE_BYTES, GAUGE, NONE, "iceberg_table_size_bytes", "table",                               \
      "Bytes of the current snapshot.")                                                            \
    X(TABLE_SNAPSHOTS, GAUGE, NONE, "iceberg_snapshot_count", "table", "Snapshots of the table.")  \
    X(QUERIES, COUNTER, NONE, "query_executions_total", "query_type,status", "Queries run.")       \
    X(QUERY_SECONDS, HISTOGRAM, LATENCY, "query_duration_seconds", "query_type",                   \
      "Time of a query.")                                                                          \
    X(QUERY_ROWS, HISTOGRAM, SCAN_ROWS, "query_rows_scanned", "query_type", "Rows a query read.")  \
    X(QUERY_CACHE_HITS, COUNTER, NONE, "query_cache_hits_total", "cache_tier",                     \
      "Answers found in a cache.")                                                                 \
    X(QUERY_CACHE_MISSES, COUNTER, NONE, "query_cache_misses_total", "cache_tier",                 \
      "Answers not found in a cache.")                                                             \
    X(POOL_SIZE, GAUGE, NONE, "connection_pool_size", "", "Connections of the query pool.")        \
    X(POOL_ACTIVE, GAUGE, NONE, "connection_pool_active_connections", "", "Connections in use.")   \
    X(POOL_FREE, GAUGE, NONE, "connection_pool_available_connections", "", "Connections free.")    \
    X(POOL_WAIT_SECONDS, HISTOGRAM, LATENCY, "connection_pool_wait_time_seconds", "",              \
      "Wait for a connection.")                                                                    \
    X(POOL_TIMEOUTS, COUNTER, NONE, "connection_pool_acquisition_timeouts_total", "",              \
      "Waits that took too long.")                                                                 \
    X(POOL_ERRORS, COUNTER, NONE, "connection_pool_creation_errors_total", "",                     \
      "Connections that could not be made.")                                                       \
    X(HTTP_REQUESTS, COUNTER, NONE, "http_requests_total", "method,endpoint,status_code",          \
      "Requests answered.")                                                                        \
    X(HTTP_SECONDS, HISTOGRAM, LATENCY, "http_request_duration_seconds", "method,endpoint",        \
      "Time to answer.")                                                                           \
    X(HTTP_IN_PROGRESS, GAUGE, NONE, "http_requests_in_progress", "method,endpoint",               \
      "Requests being answered.")                                                                  \
    X(HTTP_ERRORS, COUNTER, NONE, "http_request_errors_total", "method,endpoint,error_type",       \
      "Requests that failed.")                                                                     \
    X(HTTP_TOO_LARGE, COUNTER, NONE, "http_request_size_limit_exceeded_total", "",                 \
      "Requests refused for their size.")                                                          \
    X(BREAKER_STATE, GAUGE, NONE, "circuit_breaker_state", "breaker_name",                         \
      "0 closed, 1 open, 2 half open.")                                                            \
    X(BREAKER_FAILURES, COUNTER, NONE, "circuit_breaker_failures_total", "breaker_name",           \
      "Failures that a breaker counted.")                                                          \
    X(BACKPRESSURE, COUNTER, NONE, "backpressure_events_total", "level",                           \
      "Times that a stage waited for the next.")                                                   \
    X(DEGRADATION, GAUGE, NONE, "degradation_level", "", "0 normal to 4 shedding.")                \
    X(DEGRADATIONS, COUNTER, NONE, "degradation_transitions_total", "from_level,to_level",         \
      "Changes of the level.")                                                                     \
    X(SHED, COUNTER, NONE, "messages_shed_total", "symbol_tier,reason",                            \
      "Messages left for later under load.")                                                       \
    X(RSS_BYTES, GAUGE, NONE, "process_memory_rss_bytes", "", "Memory of the process in RAM.")     \
    X(VMS_BYTES, GAUGE, NONE, "process_memory_vms_bytes", "", "Address space of the process.")

enum k2_metric {
#define K2_METRIC_ENUM(id, type, buckets, name, labels, help) K2_METRIC_##id,
    K2_METRICS(K2_METRIC_ENUM)
#undef K2_METRIC_ENUM
        K2_METRIC_COUNT
};

struct k2_metrics;
struct k2_series;

/* An empty registry whose series all carry these labels first. Free with k2_metrics_free. */
struct k2_metrics *k2_metrics_new(const char *service, const char *environment,
                                  const char *component);
/* All series end with it; NULL is fine. */
void k2_metrics_free(struct k2_metrics *metrics);

/* The series of a metric with these label values, in the table's order and number (NULL for a
 * metric without labels); made when it is new. Valid as long as metrics. Values are cut at 128
 * bytes. */
struct k2_series *k2_metrics_get(struct k2_metrics *metrics, enum k2_metric metric,
                                 const char *const *values);
/* k2_metrics_series(m, K2_METRIC_COMMITS, "trades"): label values as arguments. */
#define k2_metrics_series(metrics, metric, ...)                                                    \
    k2_metrics_get((metrics), (metric), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* Counter up by n. */
void k2_series_add(struct k2_series *series, uint64_t n);
/* Gauge to value, or by delta. */
void k2_series_set(struct k2_series *series, double value);
void k2_series_move(struct k2_series *series, double delta);
/* One observation of a histogram, in the unit of its name. */
void k2_series_observe(struct k2_series *series, double value);
/* The number of a counter or gauge; of a histogram, how many were observed. */
double k2_series_value(const struct k2_series *series);

/* Appends all series in the Prometheus text format 0.0.4; metrics without series are left out. */
void k2_metrics_text(struct k2_metrics *metrics, struct k2_buf *buf);

#endif
