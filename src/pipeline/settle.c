/* settle.c -- what became of the rows that only a look-up can judge. Nothing the chain does next
 * depends on the answer, so questions gather, and one scan of the table answers many of them.
 */
#include "base/alloc.h"
#include "pipeline/lane.h"

bool k2_settle_is_due(const struct k2_lane *lane) {
    const struct k2_window *w = &lane->window;
    uint32_t ledger = K2_MAX(w->dead->rows, w->gap_events->rows);
    return lane->wanted_count + 2 * K2_CHUNK > K2_WANTED_MAX ||
           lane->letter_count + 2 * K2_CHUNK > K2_WANTED_MAX ||
           ledger + lane->wanted_count + 2 * K2_CHUNK > K2_LEDGER_ROWS;
}

/* Drops duplicates, flags the late, writes fills; returns how many rows contradict one that is
 * there. */
static uint32_t judge(struct k2_lane *lane) {
    struct k2_window *w = &lane->window;
    uint32_t *flags = w->rows->col[k2_kind_columns[lane->schema->kind].flags].u32;
    uint32_t conflicts = 0;
    for (uint32_t i = 0; i < lane->wanted_count; i++) {
        struct k2_wanted *want = &lane->wanted[i];
        if (want->found == K2_FOUND_NONE) {
            uint32_t twin = k2_window_find(lane, want->row, want->number);
            if (twin != UINT32_MAX)
                want->found = k2_rows_same(w->rows, want->row, w->rows, twin) ? K2_FOUND_SAME
                                                                              : K2_FOUND_OTHER;
        }
        if (want->found != K2_FOUND_NONE) {
            w->drop[want->row] = 1;
            w->counts.duplicates += want->found == K2_FOUND_SAME;
            conflicts += want->found == K2_FOUND_OTHER;
        } else if (want->is_fill) {
            k2_chain_fill(lane, &lane->keys.keys[w->key_of[want->row]], want->row, want->gap_first,
                          want->number);
        } else if (want->is_below) {
            flags[want->row] |= K2_FLAG_LATE;
            w->counts.late++;
        }
    }
    return conflicts;
}

/* ---- conflicts ---- */

/* The contradicting rows of one topic, in the order of its log. */
struct conflicts {
    struct k2_lane *lane;
    uint32_t topic;
    uint32_t at; /* the next of lane->wanted to look at */
};

static const struct k2_wanted *next_conflict(struct conflicts *c) {
    const struct k2_lane *lane = c->lane;
    for (; c->at < lane->wanted_count; c->at++) {
        const struct k2_wanted *want = &lane->wanted[c->at];
        if (want->found == K2_FOUND_OTHER &&
            lane->keys.keys[lane->window.key_of[want->row]].topic == c->topic)
            return want;
    }
    return NULL;
}

/* From the first contradicting record of each log partition on. */
static struct k2_log_reader *read_again(struct conflicts *c, struct k2_err *err) {
    const struct k2_topic_info *info = &c->lane->topics[c->topic]->info;
    const struct k2_batch *rows = c->lane->window.rows;
    int64_t *from = k2_new_array(int64_t, (size_t)info->partition_count);
    for (int p = 0; p < info->partition_count; p++)
        from[p] = -1;
    for (const struct k2_wanted *want; (want = next_conflict(c)); c->at++) {
        int64_t *first = &from[rows->log_partition[want->row]];
        if (*first < 0)
            *first = rows->log_offset[want->row];
    }
    c->at = 0;
    struct k2_log_reader *reader = k2_log_reader_new(c->lane->opts->log, info->name, from, err);
    k2_free(from);
    return reader;
}

/* The records were let go of while the questions gathered; their bytes come from the log again. */
static bool set_aside(struct conflicts *c, struct k2_err *err) {
    struct k2_lane *lane = c->lane;
    const struct k2_batch *rows = lane->window.rows;
    if (!next_conflict(c))
        return true;
    struct k2_log_reader *reader = read_again(c, err);
    struct k2_record *records = k2_new_array(struct k2_record, K2_CHUNK);
    bool ok = reader != NULL;
    const struct k2_wanted *want = next_conflict(c);
    for (int count = 0; ok && want;) {
        ok = k2_log_read(reader, records, K2_CHUNK, &count, err);
        if (ok && !count)
            ok = k2_err_set(err, K2_CORRUPT, "%s: a record that was read cannot be read again",
                            lane->topics[c->topic]->info.name);
        for (int i = 0; ok && want && i < count; i++) {
            if (records[i].log_partition != rows->log_partition[want->row] ||
                records[i].offset != rows->log_offset[want->row])
                continue;
            struct k2_step s = {.topic = lane->topics[c->topic],
                                .record = &records[i],
                                .key = &lane->keys.keys[lane->window.key_of[want->row]],
                                .row = want->row};
            k2_chain_set_aside(lane, &s, "dedup", "SEQUENCE_CONFLICT",
                               "a row with this number and other content is there already", true);
            c->at++;
            want = next_conflict(c);
        }
    }
    k2_free(records);
    k2_log_reader_free(reader);
    return ok;
}

bool k2_settle(struct k2_lane *lane, struct k2_err *err) {
    if (lane->wanted_count) {
        K2_TRY(k2_lookup_rows(lane, err));
        lane->window.counts.looked_up += lane->wanted_count;
        lane->window.counts.scans++;
        uint32_t conflicts = judge(lane);
        for (int t = 0; conflicts && t < lane->topic_count; t++) {
            struct conflicts c = {.lane = lane, .topic = (uint32_t)t};
            K2_TRY(set_aside(&c, err));
        }
    }
    lane->wanted_count = 0;
    if (lane->letter_count)
        K2_TRY(k2_lookup_letters(lane, err));
    lane->letter_count = 0;
    return true;
}
