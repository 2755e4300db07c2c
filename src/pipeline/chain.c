/* chain.c -- place, decode, sequence, validate: records become rows of the window, ledger rows, or
 * nothing. Look-ups for a chunk of records are gathered here and answered in lookup.c. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/date.h"
#include "base/hash.h"
#include "pipeline/lane.h"

/* ---- dead letters ---- */

static void letter_position(struct k2_lane *lane, const struct k2_lane_topic *topic,
                            const struct k2_record *record, uint32_t row) {
    struct k2_batch *d = lane->window.dead;
    d->col[K2_DEAD_RECEIVED_AT].i64[row] = record->time_us;
    d->col[K2_DEAD_LOG_TOPIC].u32[row] = topic->name_code;
    d->col[K2_DEAD_LOG_ID].u32[row] = topic->log_code;
    d->log_partition[row] = record->log_partition;
    d->log_offset[row] = record->offset;
    d->log_time_us[row] = record->time_us;
    uint32_t schema_id;
    struct k2_str body;
    d->col[K2_DEAD_SCHEMA_ID].valid[row] = k2_avro_unframe(record->value, &schema_id, &body);
    d->col[K2_DEAD_SCHEMA_ID].i32[row] =
        d->col[K2_DEAD_SCHEMA_ID].valid[row] ? (int32_t)schema_id : 0;
}

static void letter_identity(struct k2_lane *lane, uint32_t row, struct k2_str identity) {
    struct k2_batch *d = lane->window.dead;
    d->col[K2_DEAD_IDENTITY].valid[row] = identity.len > 0;
    d->col[K2_DEAD_IDENTITY].span[row] = k2_batch_put(d, identity);
}

uint32_t k2_chain_dead(struct k2_lane *lane, const struct k2_lane_topic *topic,
                       const struct k2_record *record, const char *stage, const char *code,
                       struct k2_str error, struct k2_str identity) {
    struct k2_batch *d = lane->window.dead;
    K2_ASSERT(d->rows < d->rows_max);
    uint32_t row = d->rows++;
    d->col[K2_DEAD_SOURCE].span[row] = k2_batch_put(d, record->key);
    d->col[K2_DEAD_STAGE].u32[row] = k2_intern_add(&lane->strings, k2_str_of(stage));
    d->col[K2_DEAD_ERROR_CODE].u32[row] = k2_intern_add(&lane->strings, k2_str_of(code));
    d->col[K2_DEAD_ERROR].span[row] = k2_batch_put(d, error);
    d->col[K2_DEAD_RAW].span[row] = k2_batch_put(d, record->value);
    letter_identity(lane, row, identity);
    letter_position(lane, topic, record, row);
    lane->window.counts.rejected++;
    return row;
}

/* ---- decode ---- */

/* The plan for a schema id, made at first sight. *ret_plan NULL: the registry does not know the id,
 * or it is no schema of this kind. A registry that cannot be asked is an error: the record waits.
 */
static bool find_plan(struct k2_lane *lane, struct k2_lane_topic *topic, uint32_t schema_id,
                      struct k2_avro_plan **ret_plan, struct k2_err *err) {
    for (int i = 0; i < topic->plan_count; i++)
        if (topic->plans[i].schema_id == schema_id) {
            *ret_plan = topic->plans[i].plan;
            return true;
        }
    struct k2_buf json = {0};
    struct k2_err why = {0};
    struct k2_avro_plan *plan = NULL;
    bool known = k2_registry_get(lane->opts->registry, schema_id, &json, &why);
    if (known)
        plan = k2_avro_plan_new(lane->wire, k2_buf_view(&json), &why);
    k2_buf_done(&json);
    if (!known && why.code != K2_NOT_FOUND) {
        *err = why;
        return k2_err_wrap(err, "schema %u of topic %s", schema_id, topic->info.name);
    }
    if (topic->plan_count == K2_PLANS_MAX) { /* the oldest makes way; it can be made again */
        k2_avro_plan_free(topic->plans[0].plan);
        memmove(topic->plans, topic->plans + 1, sizeof *topic->plans * (K2_PLANS_MAX - 1));
        topic->plan_count--;
    }
    topic->plans[topic->plan_count].schema_id = schema_id;
    topic->plans[topic->plan_count++].plan = plan;
    *ret_plan = plan;
    return true;
}

/* Decodes into batch. *ret_code NULL: a row was added; else why not. */
static bool decode(struct k2_lane *lane, struct k2_lane_topic *topic,
                   const struct k2_record *record, struct k2_batch *batch, const char **ret_code,
                   const char **ret_text, struct k2_err *err) {
    uint32_t schema_id;
    struct k2_str body;
    *ret_text = "the value is empty";
    *ret_code = "EMPTY_VALUE";
    if (!record->value.len)
        return true;
    *ret_text = "the value does not begin with byte 0 and a schema id";
    *ret_code = "BAD_FRAMING";
    if (!k2_avro_unframe(record->value, &schema_id, &body))
        return true;
    struct k2_avro_plan *plan;
    K2_TRY(find_plan(lane, topic, schema_id, &plan, err));
    *ret_text = "the schema id is not known, or is no schema of this kind of record";
    *ret_code = "SCHEMA_UNKNOWN";
    if (!plan)
        return true;
    switch (k2_avro_decode(plan, body, batch)) {
    case K2_AVRO_OK: *ret_code = NULL; return true;
    case K2_AVRO_MALFORMED:
        *ret_code = "DECODE_FAILED";
        *ret_text = "the Avro body is malformed or ends early";
        return true;
    case K2_AVRO_RANGE:
        *ret_code = "NUMBER_RANGE";
        *ret_text = "a number does not fit decimal(18,8)";
        return true;
    case K2_AVRO_TEXT:
        *ret_code = "TEXT_MALFORMED";
        *ret_text = "a string is not UTF-8 or holds a NUL";
        return true;
    }
    return true;
}

/* ---- events: dead letters as they are, or what a person decided about a gap ---- */

static void take_ack(struct k2_lane *lane, const struct k2_lane_topic *topic,
                     const struct k2_record *record) {
    const struct k2_batch *e = lane->events;
    struct k2_batch *g = lane->window.gap_events;
    struct k2_str reason = k2_batch_text(e, K2_EVENT_ERROR, 0);
    uint32_t row = g->rows++;
    g->col[K2_GAP_EVENT_GAP_ID].span[row] = k2_batch_put(g, k2_batch_text(e, K2_EVENT_SOURCE, 0));
    g->col[K2_GAP_EVENT_TYPE].u32[row] = k2_intern_add(&lane->strings, K2_STR("ACK"));
    g->col[K2_GAP_EVENT_FIRST].i64[row] = g->col[K2_GAP_EVENT_LAST].i64[row] = 0;
    g->col[K2_GAP_EVENT_AT].i64[row] = record->time_us;
    g->col[K2_GAP_EVENT_REASON].valid[row] = reason.len > 0;
    g->col[K2_GAP_EVENT_REASON].span[row] = k2_batch_put(g, reason);
    g->col[K2_GAP_EVENT_LOG_TOPIC].u32[row] = topic->name_code;
    g->col[K2_GAP_EVENT_LOG_ID].u32[row] = topic->log_code;
    g->log_partition[row] = record->log_partition;
    g->log_offset[row] = record->offset;
    lane->window.counts.acknowledged++;
}

static bool take_event(struct k2_lane *lane, struct k2_lane_topic *topic,
                       const struct k2_record *record, struct k2_err *err) {
    struct k2_batch *e = lane->events, *d = lane->window.dead;
    const char *code, *text;
    k2_batch_clear(e);
    K2_TRY(decode(lane, topic, record, e, &code, &text, err));
    if (code) {
        k2_chain_dead(lane, topic, record, "decode", code, k2_str_of(text), (struct k2_str){0});
        return true;
    }
    if (k2_str_is(k2_batch_text(e, K2_EVENT_TYPE, 0), K2_EVENT_GAP_ACK)) {
        take_ack(lane, topic, record);
        return true;
    }
    uint32_t row = d->rows++;
    struct k2_str identity = k2_batch_text(e, K2_EVENT_IDENTITY, 0);
    d->col[K2_DEAD_SOURCE].span[row] = k2_batch_put(d, k2_batch_text(e, K2_EVENT_SOURCE, 0));
    d->col[K2_DEAD_STAGE].u32[row] =
        k2_intern_add(&lane->strings, k2_batch_text(e, K2_EVENT_STAGE, 0));
    d->col[K2_DEAD_ERROR_CODE].u32[row] =
        k2_intern_add(&lane->strings, k2_batch_text(e, K2_EVENT_ERROR_CODE, 0));
    d->col[K2_DEAD_ERROR].span[row] = k2_batch_put(d, k2_batch_text(e, K2_EVENT_ERROR, 0));
    d->col[K2_DEAD_RAW].span[row] = k2_batch_put(d, k2_batch_text(e, K2_EVENT_RAW, 0));
    letter_identity(lane, row, identity);
    letter_position(lane, topic, record, row);
    d->col[K2_DEAD_SCHEMA_ID].valid[row] = 0; /* the event's own schema says nothing about raw */
    lane->window.counts.rejected++;
    if (identity.len)
        lane->letters[lane->letter_count++] = (struct k2_wanted_letter){.row = row};
    return true;
}

/* ---- ledgers ---- */

static struct k2_span gap_id(struct k2_lane *lane, struct k2_batch *batch, const struct k2_key *key,
                             int64_t first) {
    char id[400];
    int len = snprintf(id, sizeof id, "%s.%s.%s.%" PRId64,
                       k2_intern_str(&lane->strings, key->exchange).ptr,
                       k2_intern_str(&lane->strings, key->symbol).ptr, lane->schema->name, first);
    return k2_batch_put(batch, (struct k2_str){id, K2_MIN((size_t)len, sizeof id - 1)});
}

static enum k2_severity severity_of(const struct k2_lane *lane, const struct k2_lane_topic *topic,
                                    int64_t missing) {
    if (missing < lane->settings.gap_page)
        return K2_SEVERITY_LOG;
    bool halts = topic->venue && topic->venue->is_halt_armed;
    return missing > lane->settings.gap_halt && halts ? K2_SEVERITY_HALT : K2_SEVERITY_PAGE;
}

static void add_gap(struct k2_lane *lane, const struct k2_lane_topic *topic,
                    const struct k2_key *key, const struct k2_record *record,
                    struct k2_interval gap) {
    struct k2_batch *g = lane->window.gaps;
    uint32_t row = g->rows++;
    int64_t missing = gap.last - gap.first + 1;
    g->col[K2_GAP_ID].span[row] = gap_id(lane, g, key, gap.first);
    g->col[K2_GAP_EXCHANGE].u32[row] = key->exchange;
    g->col[K2_GAP_SYMBOL].u32[row] = key->symbol;
    g->col[K2_GAP_DATA_TYPE].u32[row] =
        k2_intern_add(&lane->strings, k2_str_of(lane->schema->name));
    g->col[K2_GAP_CODE].u32[row] = k2_intern_add(&lane->strings, K2_STR("SEQUENCE"));
    g->col[K2_GAP_FIRST_MISSING].i64[row] = gap.first;
    g->col[K2_GAP_LAST_MISSING].i64[row] = gap.last;
    g->col[K2_GAP_MISSING].i64[row] = missing;
    g->col[K2_GAP_SEVERITY].u8[row] = (uint8_t)severity_of(lane, topic, missing);
    g->col[K2_GAP_DETECTED_AT].i64[row] = record->time_us;
    g->col[K2_GAP_LOG_TOPIC].u32[row] = topic->name_code;
    g->col[K2_GAP_LOG_ID].u32[row] = topic->log_code;
    g->log_partition[row] = record->log_partition;
    g->log_offset[row] = record->offset;
    lane->window.counts.gaps++;
}

void k2_chain_fill(struct k2_lane *lane, const struct k2_key *key, uint32_t row, int64_t gap_first,
                   int64_t number) {
    const struct k2_batch *rows = lane->window.rows;
    const struct k2_lane_topic *topic = lane->topics[key->topic];
    struct k2_batch *g = lane->window.gap_events;
    uint32_t at = g->rows++;
    g->col[K2_GAP_EVENT_GAP_ID].span[at] = gap_id(lane, g, key, gap_first);
    g->col[K2_GAP_EVENT_TYPE].u32[at] = k2_intern_add(&lane->strings, K2_STR("FILL"));
    g->col[K2_GAP_EVENT_FIRST].i64[at] = number;
    g->col[K2_GAP_EVENT_LAST].i64[at] = number;
    g->col[K2_GAP_EVENT_AT].i64[at] = rows->log_time_us[row];
    g->col[K2_GAP_EVENT_REASON].valid[at] = 0;
    g->col[K2_GAP_EVENT_REASON].span[at] = (struct k2_span){0};
    g->col[K2_GAP_EVENT_LOG_TOPIC].u32[at] = topic->name_code;
    g->col[K2_GAP_EVENT_LOG_ID].u32[at] = topic->log_code;
    g->log_partition[at] = rows->log_partition[row];
    g->log_offset[at] = rows->log_offset[row];
    lane->window.counts.fills++;
}

/* ---- numbers ---- */

static int64_t day_number(struct k2_lane *lane, int64_t time_us) {
    int32_t day = k2_days_from_us(time_us);
    if (day != lane->numbered_day || !lane->day_number) {
        lane->numbered_day = day;
        lane->day_number = k2_day_number(day);
    }
    return lane->day_number;
}

/* A venue that began to count anew without saying so: the number moves into the new session and the
 * raw one is kept in vendor_data (docs/rules.md: identity). */
static int64_t restart(struct k2_lane *lane, struct k2_key *key, uint32_t row, int64_t raw,
                       int64_t time_us) {
    if (k2_sequence_fell(key, raw, time_us)) {
        key->reset_time_us = time_us;
        key->reset_day = day_number(lane, time_us);
    }
    if (!key->reset_day || time_us < key->reset_time_us)
        return raw;
    struct k2_batch *b = lane->window.rows;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    int map = lane->schema->kind == K2_TRADE ? K2_TRADE_VENDOR_DATA : K2_QUOTE_VENDOR_DATA;
    struct k2_str keys[64], values[64];
    uint32_t count = 0;
    struct k2_buf old = {0};
    if (b->col[map].valid[row]) {
        k2_buf_str(&old, k2_batch_get(b, b->col[map].span[row]));
        struct k2_cursor cursor = {0};
        while (count < 63 && k2_map_next(k2_buf_view(&old), &cursor, &keys[count], &values[count]))
            count++;
    }
    char text[24];
    keys[count] = K2_STR("source_sequence");
    values[count++] = (struct k2_str){text, (size_t)snprintf(text, sizeof text, "%" PRId64, raw)};
    b->col[map].span[row] = k2_batch_put_map(b, keys, values, count);
    b->col[map].valid[row] = 1;
    k2_buf_done(&old);
    return b->col[c->source_sequence].i64[row] = key->reset_day + raw;
}

/* Gives the row its platform sequence where the feed did not, and tells its number; one whose time
 * cannot be begins no session. *ret_dense: a hole in these numbers is a gap. */
static int64_t number_row(struct k2_lane *lane, const struct k2_step *s, bool has_time,
                          bool *ret_is_source, bool *ret_is_dense) {
    struct k2_batch *b = lane->window.rows;
    struct k2_key *key = s->key;
    uint32_t row = s->row;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    int64_t time_us = b->col[c->timestamp].i64[row];
    int64_t *platform = &b->col[c->platform_sequence].i64[row];
    bool is_given = *platform > 0;
    if (!is_given)
        *platform = K2_MAX(key->last_platform, has_time ? day_number(lane, time_us) : 0) + 1;
    key->last_platform = K2_MAX(key->last_platform, *platform);
    bool is_source = b->col[c->source_sequence].valid[row];
    *ret_is_source = is_source;
    if (!is_source) {
        *ret_is_dense = is_given; /* files count their lines */
        return *platform;
    }
    int64_t numbering = s->is_replay ? lane->settings.numbering : (int64_t)s->topic->numbering;
    *ret_is_dense = numbering == K2_NUMBERING_DENSE || numbering == K2_NUMBERING_RANGED;
    int64_t raw = b->col[c->source_sequence].i64[row];
    if (raw >= K2_NUMBER_DAY)
        return raw; /* carries its session already */
    if (!has_time)
        return key->reset_day + raw;
    return restart(lane, key, row, raw, time_us);
}

/* ---- one record ---- */

void k2_chain_set_aside(struct k2_lane *lane, const struct k2_step *s, const char *stage,
                        const char *code, const char *text, bool may_be_known) {
    struct k2_window *w = &lane->window;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    char identity[400];
    bool is_numbered = lane->schema->kind == K2_TRADE || lane->schema->kind == K2_QUOTE;
    int len = snprintf(identity, sizeof identity, "%s.%s.%s.%" PRId64 ":%s:%016" PRIx64,
                       k2_intern_str(&lane->strings, s->key->exchange).ptr,
                       k2_intern_str(&lane->strings, s->key->symbol).ptr, lane->schema->name,
                       is_numbered ? k2_row_number(w->rows, c, s->row) : 0, code,
                       is_numbered ? k2_row_content_hash(w->rows, s->row)
                                   : k2_hash64(s->record->value.ptr, s->record->value.len));
    w->drop[s->row] = 1;
    if (s->is_replay)
        return;
    struct k2_str name = {identity, K2_MIN((size_t)len, sizeof identity - 1)};
    uint32_t letter = k2_chain_dead(lane, s->topic, s->record, stage, code, k2_str_of(text), name);
    w->counts.rejected_by_validation++;
    if (may_be_known)
        lane->letters[lane->letter_count++] = (struct k2_wanted_letter){.row = letter};
}

/* Reference data: a record equal to the newest version is a duplicate, another one the next
 * version. */
static void take_version(struct k2_lane *lane, const struct k2_step *s) {
    struct k2_batch *b = lane->window.rows;
    uint64_t hash = k2_version_hash(b, s->row);
    if (s->key->last && s->key->version_hash == hash) {
        lane->window.drop[s->row] = 1;
        lane->window.counts.duplicates += !s->is_replay;
        return;
    }
    s->key->version_hash = hash;
    s->key->last++;
    s->key->last_platform = b->col[K2_REFERENCE_PLATFORM_SEQUENCE].i64[s->row] = s->key->last;
}

static void remember_row(struct k2_lane *lane, const struct k2_step *s, int64_t time_us) {
    s->key->last_time_us = time_us;
    if (lane->schema->kind == K2_TRADE)
        s->key->last_price = lane->window.rows->col[K2_TRADE_PRICE].i64[s->row];
}

/* Sequence, validate, and what only a look-up can tell, for a row with a number. */
static void take_numbered(struct k2_lane *lane, const struct k2_step *s) {
    struct k2_window *w = &lane->window;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    bool is_source, is_dense;
    struct k2_interval gap = {0};
    char text[160];
    const char *code = k2_validate_time(lane, s->row, s->record->time_us, text);
    if (K2_UNLIKELY(code) && !w->rows->col[c->source_sequence].valid[s->row]) {
        /* Its number follows from its time, so nobody knows it: it must not move the key. */
        k2_chain_set_aside(lane, s, "validate", code, text, true);
        return;
    }
    int64_t number = number_row(lane, s, !code, &is_source, &is_dense);
    if (number <= 0) {
        k2_chain_set_aside(lane, s, "sequence", "NUMBER_NOT_POSITIVE",
                           "the sequence number is not above 0", true);
        return;
    }
    enum k2_sequence_event event = k2_sequence_take(s->key, number, is_dense, &gap);
    if (event == K2_SEQ_GAP && !s->is_replay)
        add_gap(lane, s->topic, s->key, s->record, gap);
    uint32_t *flags = &w->rows->col[c->flags].u32[s->row];
    if (K2_LIKELY(!code))
        code = k2_validate(lane, s->key, s->row, flags, text);
    bool must_look = event == K2_SEQ_FIRST || event == K2_SEQ_LOOK ||
                     (event == K2_SEQ_FILL && k2_number_session(number) < s->key->session);
    bool is_fill = event == K2_SEQ_FILL;
    if (code) {
        /* Its number was there, so the gap it fills is smaller though the row is not kept. */
        if (is_fill && !s->is_replay)
            k2_chain_fill(lane, s->key, s->row, gap.gap_first, number);
        k2_chain_set_aside(lane, s, "validate", code, text, must_look);
        return;
    }
    if (is_fill)
        *flags |= K2_FLAG_OUT_OF_ORDER;
    else if (event != K2_SEQ_LOOK)
        remember_row(lane, s, w->rows->col[c->timestamp].i64[s->row]);
    if (s->is_replay)
        return;
    if (must_look)
        lane->wanted[lane->wanted_count++] = (struct k2_wanted){.row = s->row,
                                                                .number = number,
                                                                .gap_first = gap.gap_first,
                                                                .is_source = is_source,
                                                                .is_fill = is_fill,
                                                                .is_below = event == K2_SEQ_LOOK};
    else if (is_fill)
        k2_chain_fill(lane, s->key, s->row, gap.gap_first, number);
}

/* The row's file partition; false when the window has no room for another. */
static bool place_in_file(struct k2_lane *lane, uint32_t row) {
    struct k2_window *w = &lane->window;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    struct k2_file_partition p = {0};
    if (c->timestamp >= 0)
        p = (struct k2_file_partition){k2_days_from_us(w->rows->col[c->timestamp].i64[row]),
                                       w->rows->col[c->exchange].u32[row]};
    int at = row ? w->group[row - 1] : 0;
    for (int tried = 0; tried < w->file_count; tried++, at = (at + 1) % w->file_count)
        if (w->files[at].day == p.day && w->files[at].exchange == p.exchange) {
            w->group[row] = (uint8_t)at;
            return true;
        }
    if (w->file_count == K2_WINDOW_FILES)
        return false;
    w->files[w->file_count] = p;
    w->group[row] = (uint8_t)w->file_count++;
    return true;
}

/* The record must belong where it lies: its exchange to the topic, its key to one log partition. */
static const char *check_place(struct k2_lane *lane, struct k2_lane_topic *topic, uint32_t row,
                               const struct k2_record *record, struct k2_key *key, bool is_new,
                               char text[160]) {
    uint32_t exchange = key->exchange;
    if (K2_UNLIKELY(exchange != topic->exchange_code)) {
        char name[K2_TOPIC_MAX];
        int asset_class = lane->schema->kind == K2_TRADE   ? K2_TRADE_ASSET_CLASS
                          : lane->schema->kind == K2_QUOTE ? K2_QUOTE_ASSET_CLASS
                                                           : K2_REFERENCE_ASSET_CLASS;
        struct k2_err ignored;
        bool fits = k2_topic_name(lane->wire, lane->window.rows->col[asset_class].u8[row],
                                  k2_intern_str(&lane->strings, exchange), name, &ignored) &&
                    strcmp(name, topic->info.name) == 0;
        if (!fits) {
            snprintf(text, 160, "exchange or asset class of the record belong to another topic");
            return "TOPIC_MISMATCH";
        }
        topic->exchange_code = exchange;
    }
    if (is_new)
        key->log_partition = record->log_partition;
    if (K2_UNLIKELY(key->log_partition != record->log_partition)) {
        snprintf(text, 160, "the key lives in log partition %d, the record lies in %d",
                 key->log_partition, record->log_partition);
        return "KEY_SPLIT";
    }
    return NULL;
}

/* A row was decoded: place, number, judge. False: the window has no room for its file partition,
 * and the row was taken back. */
static bool take_row(struct k2_lane *lane, struct k2_lane_topic *topic, uint32_t topic_index,
                     const struct k2_record *record, bool is_replay) {
    struct k2_window *w = &lane->window;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    uint32_t row = w->rows->rows - 1;
    if (!is_replay && !place_in_file(lane, row)) {
        w->rows->rows--;
        return false;
    }
    w->rows->log_partition[row] = record->log_partition;
    w->rows->log_offset[row] = record->offset;
    w->rows->log_time_us[row] = record->time_us;
    w->rows->col[c->log_id].u32[row] = topic->log_code;
    bool is_new;
    struct k2_step s = {.topic = topic, .record = record, .row = row, .is_replay = is_replay};
    s.key = k2_keys_get(&lane->keys, topic_index, w->rows->col[c->exchange].u32[row],
                        w->rows->col[c->symbol].u32[row], &is_new);
    w->key_of[row] = (uint32_t)(s.key - lane->keys.keys);
    char text[160];
    const char *code = check_place(lane, topic, row, record, s.key, is_new, text);
    if (K2_UNLIKELY(code))
        k2_chain_set_aside(lane, &s, "place", code, text, true);
    else if (K2_UNLIKELY(s.key->held >= 0 && record->offset >= s.key->held))
        w->drop[row] = 1;
    else if (lane->schema->kind == K2_REFERENCE)
        take_version(lane, &s);
    else
        take_numbered(lane, &s);
    if (is_replay) {
        w->drop[row] = 0;
        w->rows->rows--;
    }
    return true;
}

/* ---- a chunk ---- */

static bool has_room(const struct k2_lane *lane) {
    const struct k2_window *w = &lane->window;
    return w->rows->rows + 1 < w->rows->rows_max && w->gaps->rows + 1 < w->gaps->rows_max &&
           w->gap_events->rows + 1 < w->gap_events->rows_max &&
           w->dead->rows + K2_CHUNK < w->dead->rows_max && w->rows->text.len < UINT32_MAX / 2 &&
           w->dead->text.len < UINT32_MAX / 4;
}

/* What was committed already is taken once more by the settings it was taken by then
 * (docs/rules.md: the chain), new records by the window's. */
static bool use_settings(struct k2_lane *lane, const struct k2_part *part, bool is_replay,
                         struct k2_err *err) {
    if (K2_LIKELY(!is_replay && !lane->may_use_others))
        return true;
    lane->may_use_others = is_replay;
    return k2_lane_use(lane, is_replay ? &part->settings : &lane->window_settings, err);
}

/* Takes one record; *ret_done false: the window must be committed first. */
static bool take_record(struct k2_lane *lane, struct k2_lane_topic *topic, uint32_t topic_index,
                        const struct k2_record *record, bool *ret_done, struct k2_err *err) {
    struct k2_window *w = &lane->window;
    struct k2_part *part = &topic->parts[record->log_partition];
    bool is_replay = record->offset < part->committed.next;
    *ret_done = true;
    if (lane->wire->kind == K2_EVENT)
        return is_replay || take_event(lane, topic, record, err);
    const char *code, *text;
    K2_TRY(use_settings(lane, part, is_replay, err));
    K2_TRY(decode(lane, topic, record, w->rows, &code, &text, err));
    if (K2_UNLIKELY(code)) {
        if (!is_replay)
            k2_chain_dead(lane, topic, record, "decode", code, k2_str_of(text), (struct k2_str){0});
        return true;
    }
    *ret_done = take_row(lane, topic, topic_index, record, is_replay);
    return true;
}

bool k2_chain_take(struct k2_lane *lane, struct k2_lane_topic *topic, uint32_t topic_index,
                   const struct k2_record *records, int count, int *ret_taken, bool *ret_is_full,
                   struct k2_err *err) {
    struct k2_window *w = &lane->window;
    int at = 0;
    *ret_is_full = false;
    for (; at < count; at++) {
        const struct k2_record *record = &records[at];
        struct k2_part *part = &topic->parts[record->log_partition];
        bool is_done = false;
        if (K2_LIKELY(has_room(lane)))
            K2_TRY(take_record(lane, topic, topic_index, record, &is_done, err));
        if (!is_done) {
            *ret_is_full = true;
            break;
        }
        if (record->offset < part->committed.next)
            continue;
        w->counts.skipped += record->offset - part->next;
        part->next = record->offset + 1;
        part->state_records++;
        w->records++;
        w->bytes += (int64_t)record->value.len;
    }
    w->counts.records += at;
    *ret_taken = at;
    return !k2_settle_is_due(lane) || k2_settle(lane, err);
}
