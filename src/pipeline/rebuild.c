/* rebuild.c -- the state of a log partition from the tables, when its state object is gone. */
#include <stdio.h>

#include "base/alloc.h"
#include "lake/table/read.h"
#include "pipeline/lane.h"

struct section {
    struct k2_lane *lane;
    uint32_t topic_index, log_code;
    int32_t log_partition;
    int64_t next;
};

static bool is_ours(const struct section *s, const struct k2_batch *rows, int log_id, uint32_t i) {
    return rows->col[log_id].u32[i] == s->log_code && rows->log_partition[i] == s->log_partition &&
           rows->log_offset[i] < s->next;
}

/* The highest number of each key, and the newest row's time and price. */
static bool take_rows(void *self, const struct k2_batch *rows) {
    const struct section *s = self;
    struct k2_lane *lane = s->lane;
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
    return true;
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

static bool take_gaps(void *self, const struct k2_batch *rows) {
    const struct section *s = self;
    struct k2_lane *lane = s->lane;
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
    return true;
}

/* A fill names its gap as exchange.symbol.kind.first; the number itself tells the interval. */
static bool take_fills(void *self, const struct k2_batch *rows) {
    const struct section *s = self;
    struct k2_lane *lane = s->lane;
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
    return true;
}

static bool walk(struct section *s, const struct k2_metadata *metadata, enum k2_kind kind,
                 uint32_t columns, k2_rows_fn *take, struct k2_err *err) {
    struct k2_read_opts read = {.metadata = metadata,
                                .schema = k2_schema_of(kind),
                                .columns = columns,
                                .strings = &s->lane->strings};
    return k2_table_read(s->lane->opts->lake, &read, take, s, err);
}

bool k2_rebuild_section(struct k2_lane *lane, uint32_t topic_index, int32_t log_partition,
                        struct k2_err *err) {
    struct k2_lane_topic *topic = lane->topics[topic_index];
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    struct section s = {lane, topic_index, topic->log_code, log_partition,
                        topic->parts[log_partition].committed.next};
    uint32_t columns =
        1u << c->exchange | 1u << c->symbol | 1u << c->platform_sequence | 7u << c->log_id;
    if (c->source_sequence >= 0)
        columns |= 1u << c->source_sequence;
    if (c->timestamp >= 0)
        columns |= 1u << c->timestamp;
    if (lane->schema->kind == K2_TRADE)
        columns |= 1u << K2_TRADE_PRICE;
    return walk(&s, lane->main, lane->schema->kind, columns, take_rows, err) &&
           walk(&s, lane->gaps, K2_GAP, ~0u, take_gaps, err) &&
           walk(&s, lane->gap_events, K2_GAP_EVENT, ~0u, take_fills, err);
}
