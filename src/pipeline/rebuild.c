/* rebuild.c -- the state of a log partition from the tables, when its state object is gone. */
#include <stdio.h>

#include "base/alloc.h"
#include "pipeline/lane.h"

/* One pass over the files of a table; each row group's rows go to take. */
typedef void take_fn(struct k2_lane *lane, const struct k2_batch *rows, void *self);

static bool walk(struct k2_lane *lane, const struct k2_metadata *metadata,
                 const struct k2_schema *schema, uint32_t columns, take_fn *take, void *self,
                 struct k2_err *err) {
    if (!metadata || !metadata->current_snapshot_id)
        return true;
    struct k2_store *store = k2_lake_store(lane->opts->lake);
    struct k2_field_ids ids[K2_COLUMNS_MAX];
    struct k2_scan scan = {0};
    bool ok = k2_metadata_field_ids(metadata, schema, ids, err) &&
              k2_table_scan(lane->opts->lake, metadata, schema, 0, NULL, 0, &scan, err);
    for (int f = 0; ok && f < scan.file_count; f++) {
        struct k2_buf path = {0};
        struct k2_parquet_file *file = NULL;
        ok = k2_store_path(store, scan.files[f].path, &path, err) &&
             (file = k2_parquet_open(store, k2_buf_cstr(&path), schema, ids, err));
        for (int g = 0; ok && g < k2_parquet_row_groups(file); g++) {
            uint32_t rows = (uint32_t)k2_parquet_row_group_rows(file, g);
            struct k2_batch *found = k2_batch_new(schema, rows, &lane->strings);
            ok = k2_parquet_read(file, g, columns, found, err);
            if (ok)
                take(lane, found, self);
            k2_batch_free(found);
        }
        k2_parquet_close(file);
        k2_buf_done(&path);
    }
    k2_scan_done(&scan);
    return ok;
}

struct section {
    uint32_t topic_index, log_code;
    int32_t log_partition;
    int64_t next;
};

static bool is_ours(const struct section *s, const struct k2_batch *rows, int log_id, uint32_t i) {
    return rows->col[log_id].u32[i] == s->log_code && rows->log_partition[i] == s->log_partition &&
           rows->log_offset[i] < s->next;
}

/* The highest number of each key, and the newest row's time and price. */
static void take_rows(struct k2_lane *lane, const struct k2_batch *rows, void *self) {
    const struct section *s = self;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (!is_ours(s, rows, c->log_id, i))
            continue;
        bool is_new;
        struct k2_key *key = k2_keys_get(&lane->keys, s->topic_index, rows->col[c->exchange].u32[i],
                                         rows->col[c->symbol].u32[i], &is_new);
        key->log_partition = s->log_partition;
        int64_t number = k2_row_number(rows, c, i);
        key->last_platform = K2_MAX(key->last_platform, rows->col[c->platform_sequence].i64[i]);
        if (number <= key->last)
            continue;
        key->last = number;
        key->session = k2_number_session(number);
        if (c->timestamp >= 0)
            key->last_time_us = rows->col[c->timestamp].i64[i];
        if (lane->schema->kind == K2_TRADE)
            key->last_price = rows->col[K2_TRADE_PRICE].i64[i];
    }
}

static void add_interval(struct k2_key *key, struct k2_interval gap) {
    if (key->gap_count == K2_GAPS_MAX)
        return;
    if (key->gap_count == key->gap_cap) {
        key->gap_cap = key->gap_cap ? key->gap_cap * 2 : 4;
        key->gaps = k2_realloc(key->gaps, key->gap_cap * sizeof *key->gaps);
    }
    uint32_t at = key->gap_count++;
    for (; at > 0 && key->gaps[at - 1].first > gap.first; at--)
        key->gaps[at] = key->gaps[at - 1];
    key->gaps[at] = gap;
}

static void take_gaps(struct k2_lane *lane, const struct k2_batch *rows, void *self) {
    const struct section *s = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (!is_ours(s, rows, K2_GAP_LOG_ID, i) ||
            !k2_str_is(k2_batch_text(rows, K2_GAP_DATA_TYPE, i), lane->schema->name))
            continue;
        bool is_new;
        struct k2_key *key =
            k2_keys_get(&lane->keys, s->topic_index, rows->col[K2_GAP_EXCHANGE].u32[i],
                        rows->col[K2_GAP_SYMBOL].u32[i], &is_new);
        key->log_partition = s->log_partition;
        int64_t first = rows->col[K2_GAP_FIRST_MISSING].i64[i];
        add_interval(key,
                     (struct k2_interval){first, rows->col[K2_GAP_LAST_MISSING].i64[i], first});
    }
}

/* A fill names its gap as exchange.symbol.kind.first; the number itself tells the interval. */
static void take_fills(struct k2_lane *lane, const struct k2_batch *rows, void *self) {
    const struct section *s = self;
    struct k2_interval ignored;
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (!is_ours(s, rows, K2_GAP_EVENT_LOG_ID, i) ||
            !k2_str_is(k2_batch_text(rows, K2_GAP_EVENT_TYPE, i), "FILL"))
            continue;
        struct k2_str id = k2_batch_text(rows, K2_GAP_EVENT_GAP_ID, i);
        for (uint32_t k = 0; k < lane->keys.count; k++) {
            struct k2_key *key = &lane->keys.keys[k];
            char prefix[400];
            int len = snprintf(prefix, sizeof prefix, "%s.%s.%s.",
                               k2_intern_str(&lane->strings, key->exchange).ptr,
                               k2_intern_str(&lane->strings, key->symbol).ptr, lane->schema->name);
            if (key->topic != s->topic_index || (size_t)len >= id.len ||
                memcmp(prefix, id.ptr, (size_t)len) != 0)
                continue;
            int64_t last = rows->col[K2_GAP_EVENT_LAST].i64[i];
            for (int64_t n = rows->col[K2_GAP_EVENT_FIRST].i64[i]; n <= last && n <= key->last; n++)
                (void)k2_sequence_take(key, n, true, &ignored);
            break;
        }
    }
}

bool k2_rebuild_section(struct k2_lane *lane, uint32_t topic_index, int32_t log_partition,
                        struct k2_err *err) {
    struct k2_lane_topic *topic = lane->topics[topic_index];
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    struct section s = {topic_index, topic->log_code, log_partition,
                        topic->parts[log_partition].committed.next};
    uint32_t columns =
        1u << c->exchange | 1u << c->symbol | 1u << c->platform_sequence | 7u << c->log_id;
    if (c->source_sequence >= 0)
        columns |= 1u << c->source_sequence;
    if (c->timestamp >= 0)
        columns |= 1u << c->timestamp;
    if (lane->schema->kind == K2_TRADE)
        columns |= 1u << K2_TRADE_PRICE;
    uint32_t all = ~0u;
    return walk(lane, lane->main, lane->schema, columns, take_rows, &s, err) &&
           walk(lane, lane->gaps, k2_schema_of(K2_GAP), all, take_gaps, &s, err) &&
           walk(lane, lane->gap_events, k2_schema_of(K2_GAP_EVENT), all, take_fills, &s, err);
}
