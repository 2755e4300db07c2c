/* rebuild.c -- the state of a log partition from the tables, when its state object is gone. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "lake/table/read.h"
#include "pipeline/lane.h"

enum { LOGS_MAX = 64 };

struct section {
    struct k2_lane *lane;
    uint32_t topic_index, log_code; /* of the log the table stands in */
    int32_t log_partition;
    int64_t next;
    struct {
        uint32_t code;
        bool is_topics;
    } logs[LOGS_MAX]; /* log ids met: whether the topic ever lived in them */
    int log_count;
};

/* A topic whose log was replaced has rows of several log ids; the table's properties name them. */
static bool is_log_of_topic(struct section *s, uint32_t code) {
    for (int i = 0; i < s->log_count; i++)
        if (s->logs[i].code == code)
            return s->logs[i].is_topics;
    char key[32];
    const struct k2_lane_topic *topic = s->lane->topics[s->topic_index];
    struct k2_str hex = k2_intern_str(&s->lane->strings, code);
    snprintf(key, sizeof key, "k2.log.%.*s", (int)K2_MIN(hex.len, (size_t)16), hex.ptr);
    struct k2_str name = k2_metadata_property(s->lane->main, key);
    bool is_topics = name.ptr && k2_str_is(name, topic->info.name);
    if (s->log_count < LOGS_MAX) {
        s->logs[s->log_count].code = code;
        s->logs[s->log_count++].is_topics = is_topics;
    }
    return is_topics;
}

static bool is_ours(struct section *s, const struct k2_batch *rows, int log_id, uint32_t i) {
    uint32_t code = rows->col[log_id].u32[i];
    if (rows->log_partition[i] != s->log_partition)
        return false;
    return code == s->log_code ? rows->log_offset[i] < s->next : is_log_of_topic(s, code);
}

/* The session of a venue that counts anew without saying so, as the chain keeps it: rows of it are
 * numbered in it, and the first of them began it (docs/rules.md: identity). */
static void take_session(struct k2_key *key, int64_t number, int64_t time_us) {
    int64_t day = number - number % K2_NUMBER_DAY;
    if (day < key->reset_day || !day)
        return;
    if (day > key->reset_day || time_us < key->reset_time_us)
        key->reset_time_us = time_us;
    key->reset_day = day;
}

/* The highest number of each key, and the newest row's time and price. */
static bool take_rows(void *self, const struct k2_batch *rows) {
    struct section *s = self;
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
        if (c->source_sequence >= 0 && rows->col[c->source_sequence].valid[i])
            take_session(key, number, rows->col[c->timestamp].i64[i]);
        if (number <= key->last)
            continue;
        key->last = number;
        key->session = k2_number_session(number);
        if (c->timestamp >= 0)
            key->last_time_us = rows->col[c->timestamp].i64[i];
        if (lane->schema->kind == K2_TRADE)
            key->last_price = rows->col[K2_TRADE_PRICE].i64[i];
        if (lane->schema->kind == K2_REFERENCE)
            key->version_hash = k2_version_hash(rows, i);
    }
    return true;
}

/* "exchange.symbol.kind.number:why" of a rejected row; false for other identities. */
static bool split_identity(struct k2_str identity, const char *kind, struct k2_str *ret_exchange,
                           struct k2_str *ret_symbol, int64_t *ret_number) {
    struct k2_str rest, head = k2_str_split(identity, ':', &rest), tail;
    size_t dot = head.len, kind_len = strlen(kind);
    while (dot > 0 && head.ptr[dot - 1] != '.')
        dot--;
    if (!rest.ptr || dot < kind_len + 4 ||
        !k2_str_to_i64(k2_str_make(head.ptr + dot, head.len - dot), ret_number))
        return false;
    struct k2_str name = k2_str_make(head.ptr, dot - 1 - kind_len - 1);
    *ret_exchange = k2_str_split(name, '.', &tail);
    *ret_symbol = tail;
    return tail.ptr && tail.len && memcmp(head.ptr + name.len + 1, kind, kind_len) == 0;
}

/* A row that validation rejected had come all the same: its number is not missing. */
static bool take_letters(void *self, const struct k2_batch *rows) {
    struct section *s = self;
    struct k2_lane *lane = s->lane;
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct k2_str exchange, symbol;
        int64_t number;
        if (!is_ours(s, rows, K2_DEAD_LOG_ID, i) || !rows->col[K2_DEAD_IDENTITY].valid[i] ||
            !k2_str_is(k2_batch_text(rows, K2_DEAD_STAGE, i), "validate") ||
            !split_identity(k2_batch_text(rows, K2_DEAD_IDENTITY, i), lane->schema->name, &exchange,
                            &symbol, &number))
            continue;
        bool is_new;
        struct k2_key *key =
            k2_keys_get(&lane->keys, s->topic_index, k2_intern_add(&lane->strings, exchange),
                        k2_intern_add(&lane->strings, symbol), &is_new);
        key->log_partition = s->log_partition;
        if (number > key->last) {
            key->last = number;
            key->session = k2_number_session(number);
        }
    }
    return true;
}

/* All gaps ever found are held until the fills are known: most are closed by then. */
static void add_interval(struct k2_key *key, struct k2_interval gap) {
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
    struct section *s = self;
    struct k2_lane *lane = s->lane;
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (!is_ours(s, rows, K2_GAP_LOG_ID, i) ||
            !k2_str_is(k2_batch_text(rows, K2_GAP_CODE, i), "SEQUENCE") ||
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
    struct section *s = self;
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

/* As the chain does: of too many the oldest make way. */
static void forget_oldest(const struct section *s) {
    for (uint32_t k = 0; k < s->lane->keys.count; k++) {
        struct k2_key *key = &s->lane->keys.keys[k];
        if (key->topic != s->topic_index || key->gap_count <= K2_GAPS_MAX)
            continue;
        uint32_t more = key->gap_count - K2_GAPS_MAX;
        memmove(key->gaps, key->gaps + more, K2_GAPS_MAX * sizeof *key->gaps);
        key->gap_count = K2_GAPS_MAX;
    }
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
    const struct k2_position *at = &topic->parts[log_partition].committed;
    char hex[9];
    snprintf(hex, sizeof hex, "%08x", (unsigned)k2_hash64(at->log_id, strlen(at->log_id)));
    struct section s = {.lane = lane,
                        .topic_index = topic_index,
                        .log_code = k2_intern_add(&lane->strings, k2_str_of(hex)),
                        .log_partition = log_partition,
                        .next = at->next};
    uint32_t columns =
        1u << c->exchange | 1u << c->symbol | 1u << c->platform_sequence | 7u << c->log_id;
    if (c->source_sequence >= 0)
        columns |= 1u << c->source_sequence;
    if (c->timestamp >= 0)
        columns |= 1u << c->timestamp;
    if (lane->schema->kind == K2_TRADE)
        columns |= 1u << K2_TRADE_PRICE;
    if (lane->schema->kind == K2_REFERENCE)
        columns = ~0u;
    uint32_t letters = 1u << K2_DEAD_STAGE | 1u << K2_DEAD_IDENTITY | 7u << K2_DEAD_LOG_ID;
    bool ok = walk(&s, lane->main, lane->schema->kind, columns, take_rows, err) &&
              walk(&s, lane->dead, K2_DEAD_LETTER, letters, take_letters, err) &&
              walk(&s, lane->gaps, K2_GAP, ~0u, take_gaps, err) &&
              walk(&s, lane->gap_events, K2_GAP_EVENT, ~0u, take_fills, err);
    forget_oldest(&s);
    return ok;
}
