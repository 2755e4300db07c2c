/* measure.c -- metrics of the pipeline, once a commit: rows, gaps and rejects by where they are
 * from.
 */
#include "pipeline/lane.h"

/* "market.{asset_class}.{data_type}.{exchange}". */
static const char *asset_class_of(const struct k2_lane_topic *topic, char text[K2_TOPIC_MAX]) {
    struct k2_str rest, class;
    (void)k2_str_split(k2_str_of(topic->info.name), '.', &rest);
    class = k2_str_split(rest, '.', &rest);
    memcpy(text, class.ptr, class.len);
    text[class.len] = 0;
    return text;
}

static void measure_topics(struct k2_lane *lane, struct k2_metrics *m) {
    for (int t = 0; t < lane->topic_count; t++) {
        struct k2_lane_topic *topic = lane->topics[t];
        char exchange[K2_TOPIC_MAX], class[K2_TOPIC_MAX];
        int64_t moved = 0;
        for (int p = 0; p < topic->info.partition_count; p++)
            moved += K2_MAX(topic->parts[p].next - topic->parts[p].committed.next, 0);
        if (!moved)
            continue;
        k2_topic_exchange(topic->info.name, exchange);
        k2_series_add(k2_metrics_series(m, K2_METRIC_LOG_CONSUMED, exchange,
                                        asset_class_of(topic, class), topic->info.name, "k2"),
                      (uint64_t)moved);
    }
}

static void measure_gaps(struct k2_lane *lane, struct k2_metrics *m) {
    const struct k2_batch *g = lane->window.gaps;
    for (uint32_t i = 0; i < g->rows; i++)
        k2_series_add(
            k2_metrics_series(m, K2_METRIC_GAPS,
                              k2_intern_str(&lane->strings, g->col[K2_GAP_EXCHANGE].u32[i]).ptr, "",
                              k2_intern_str(&lane->strings, g->col[K2_GAP_SYMBOL].u32[i]).ptr,
                              k2_severities[g->col[K2_GAP_SEVERITY].u8[i]]),
            1);
}

static void measure_rejects(struct k2_lane *lane, struct k2_metrics *m) {
    const struct k2_batch *d = lane->window.dead;
    for (uint32_t i = 0; i < d->rows; i++) {
        if (d == lane->window.rows && lane->window.drop[i])
            continue;
        char exchange[K2_TOPIC_MAX];
        k2_topic_exchange(k2_intern_str(&lane->strings, d->col[K2_DEAD_LOG_TOPIC].u32[i]).ptr,
                          exchange);
        k2_series_add(
            k2_metrics_series(m, K2_METRIC_REJECTED, exchange, "",
                              k2_intern_str(&lane->strings, d->col[K2_DEAD_STAGE].u32[i]).ptr,
                              k2_intern_str(&lane->strings, d->col[K2_DEAD_ERROR_CODE].u32[i]).ptr),
            1);
    }
}

void k2_measure_commit(struct k2_lane *lane, int64_t ns) {
    struct k2_metrics *m = lane->opts->metrics;
    const char *table = lane->schema->table_name;
    const struct k2_pipeline_counts *n = &lane->window.counts;
    if (!m)
        return;
    k2_series_add(k2_metrics_series(m, K2_METRIC_COMMITS, table), 1);
    k2_series_observe(k2_metrics_series(m, K2_METRIC_COMMIT_ROWS, table), (double)n->rows);
    k2_series_observe(k2_metrics_series(m, K2_METRIC_WRITE_SECONDS, "", "", table, "append"),
                      (double)ns / 1e9);
    k2_series_add(k2_metrics_series(m, K2_METRIC_ROWS_WRITTEN, "", "", table), (uint64_t)n->rows);
    measure_topics(lane, m);
    measure_gaps(lane, m);
    measure_rejects(lane, m);
}
