/* loss.c -- records a table never got to read, because the log no longer has them (docs/rules.md:
 * log, 5.5). The loss becomes a row of ops.gaps in the commit that moves the position past it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "pipeline/lane.h"

/* opts.accept holds names, with commas between them. */
static bool is_accepted(const struct k2_lane *lane, const struct k2_lane_topic *topic) {
    struct k2_str rest = k2_str_of(lane->opts->accept ? lane->opts->accept : "");
    while (rest.ptr)
        if (k2_str_is(k2_str_split(rest, ',', &rest), topic->info.name))
            return true;
    return false;
}

bool k2_loss_check(const struct k2_topic_info *info, int p, const struct k2_position *position,
                   const struct k2_log_range *range, struct k2_err *err) {
    if (strcmp(position->log_id, info->log_id) != 0)
        return k2_err_set(err, K2_CONFLICT,
                          "%s/%d: the table stands in log %s, but this topic's log is %s: the log "
                          "was made anew, or belongs to another home. To go on with this one and "
                          "have the loss on record: k2 log accept %s",
                          info->name, p, position->log_id, info->log_id, info->name);
    return position->next <= range->end ||
           k2_err_set(err, K2_CONFLICT,
                      "%s/%d: the table stands at offset %" PRId64 ", but the log ends at "
                      "%" PRId64 ": records that were committed are gone from the log. To go "
                      "on and have the loss on record: k2 log accept %s",
                      info->name, p, position->next, range->end, info->name);
}

bool k2_loss_find(struct k2_lane *lane, struct k2_lane_topic *topic, int p,
                  const struct k2_log_range *range, struct k2_err *err) {
    struct k2_part *part = &topic->parts[p];
    const struct k2_position *at = &part->committed;
    bool is_other_log = strcmp(at->log_id, topic->info.log_id) != 0;
    if (!is_accepted(lane, topic))
        K2_TRY(k2_loss_check(&topic->info, p, at, range, err));
    if (is_other_log)
        part->loss = (struct k2_loss){"LOG_REPLACED", at->next, at->next, 0};
    else if (at->next > range->end)
        part->loss = (struct k2_loss){"LOG_LOST", range->end, at->next - 1, 0};
    else if (at->next < range->start)
        part->loss =
            (struct k2_loss){"LOG_TRUNCATED", at->next, range->start - 1, range->start - at->next};
    if (!is_other_log && at->next > range->end)
        K2_TRY(k2_log_advance(lane->opts->log, topic->info.name, p, at->next, err));
    if (is_other_log || at->next < range->start) {
        part->next = range->start;
        part->needs_state = true;
    }
    return true;
}

static void add_row(struct k2_lane *lane, const struct k2_lane_topic *topic, int p) {
    const struct k2_part *part = &topic->parts[p];
    struct k2_batch *g = lane->window.gaps;
    char id[300], log[9], exchange[K2_TOPIC_MAX];
    uint32_t row = g->rows++;
    int len = snprintf(id, sizeof id, "%s/%d.%" PRId64, topic->info.name, p, part->loss.first);
    snprintf(log, sizeof log, "%08x",
             (unsigned)k2_hash64(part->committed.log_id, strlen(part->committed.log_id)));
    k2_topic_exchange(topic->info.name, exchange);
    g->col[K2_GAP_ID].span[row] = k2_batch_put(g, k2_str_make(id, (size_t)len));
    g->col[K2_GAP_EXCHANGE].u32[row] = k2_intern_add(&lane->strings, k2_str_of(exchange));
    g->col[K2_GAP_SYMBOL].u32[row] = k2_intern_add(&lane->strings, K2_STR("*"));
    g->col[K2_GAP_DATA_TYPE].u32[row] = k2_intern_add(&lane->strings, k2_str_of(lane->wire->name));
    g->col[K2_GAP_CODE].u32[row] = k2_intern_add(&lane->strings, k2_str_of(part->loss.code));
    g->col[K2_GAP_FIRST_MISSING].i64[row] = part->loss.first;
    g->col[K2_GAP_LAST_MISSING].i64[row] = part->loss.last;
    g->col[K2_GAP_MISSING].i64[row] = part->loss.missing;
    g->col[K2_GAP_SEVERITY].u8[row] = K2_SEVERITY_PAGE;
    g->col[K2_GAP_DETECTED_AT].i64[row] = k2_now_ns(lane->opts->clock) / 1000;
    g->col[K2_GAP_LOG_TOPIC].u32[row] = topic->name_code;
    g->col[K2_GAP_LOG_ID].u32[row] = k2_intern_add(&lane->strings, k2_str_of(log));
    g->log_partition[row] = p;
    g->log_offset[row] = part->loss.first;
}

static bool record_topic(struct k2_lane *lane, const struct k2_lane_topic *topic, int *found,
                         struct k2_err *err) {
    for (int p = 0; p < topic->info.partition_count; p++) {
        struct k2_part *part = &topic->parts[p];
        if (!part->loss.code)
            continue;
        if (!(*found)++)
            K2_TRY(k2_lane_begin(lane, err));
        add_row(lane, topic, p);
        lane->window.counts.gaps++;
        lane->window.counts.skipped += part->loss.missing;
        lane->window.counts.losses++;
        lane->window.records++;
        part->loss = (struct k2_loss){0};
    }
    return true;
}

bool k2_loss_record(struct k2_lane *lane, struct k2_err *err) {
    int found = 0;
    for (int t = 0; t < lane->topic_count; t++)
        K2_TRY(record_topic(lane, lane->topics[t], &found, err));
    return !found || k2_lane_commit(lane, err) || k2_err_wrap(err, "record what the log has lost");
}
