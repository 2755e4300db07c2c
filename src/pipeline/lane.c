/* lane.c -- a lane's life: topics, positions and state at the start, then read, take, commit. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/hash.h"
#include "pipeline/lane.h"

/* ---- tables ---- */

static bool open_table(struct k2_lane *lane, enum k2_kind kind, const struct k2_metadata **ret,
                       struct k2_err *err) {
    const struct k2_schema *schema = k2_schema_of(kind);
    const char *partition = lane->opts->partition
                                ? lane->opts->partition(lane->opts->settings, schema->table_name)
                                : NULL;
    k2_metadata_unref(*ret);
    *ret = NULL;
    return k2_lake_create(lane->opts->lake, schema, partition, ret, err) ||
           k2_err_wrap(err, "open table %s.%s", schema->table_namespace, schema->table_name);
}

static bool open_tables(struct k2_lane *lane, struct k2_err *err) {
    return open_table(lane, lane->schema->kind, &lane->main, err) &&
           open_table(lane, K2_GAP, &lane->gaps, err) &&
           open_table(lane, K2_GAP_EVENT, &lane->gap_events, err) &&
           open_table(lane, K2_DEAD_LETTER, &lane->dead, err);
}

/* ---- topics ---- */

static void free_topic(struct k2_lane_topic *topic) {
    k2_log_reader_free(topic->reader);
    for (int i = 0; i < topic->plan_count; i++)
        k2_avro_plan_free(topic->plans[i].plan);
    k2_free(topic->parts);
    k2_free(topic->records);
    k2_free(topic);
}

static enum k2_numbering numbering_of(const struct k2_lane *lane, struct k2_str exchange) {
    int set = lane->opts->numbering ? lane->opts->numbering(lane->opts->settings, exchange) : -1;
    const struct k2_venue *venue = k2_venue_find(exchange);
    return set >= 0 ? (enum k2_numbering)set : venue ? venue->numbering : K2_NUMBERING_RISING;
}

static struct k2_lane_topic *new_topic(struct k2_lane *lane, const struct k2_topic_info *info) {
    struct k2_lane_topic *topic = k2_new(struct k2_lane_topic);
    topic->info = *info;
    char hex[9], exchange[K2_TOPIC_MAX];
    snprintf(hex, sizeof hex, "%08x", (unsigned)k2_hash64(info->log_id, strlen(info->log_id)));
    topic->log_code = k2_intern_add(&lane->strings, k2_str_of(hex));
    topic->name_code = k2_intern_add(&lane->strings, k2_str_of(info->name));
    k2_topic_exchange(info->name, exchange);
    topic->exchange_code = UINT32_MAX;
    topic->venue = k2_venue_find(k2_str_of(exchange));
    topic->numbering = numbering_of(lane, k2_str_of(exchange));
    topic->parts = k2_new_array(struct k2_part, (size_t)info->partition_count);
    topic->records = k2_new_array(struct k2_record, K2_CHUNK);
    return topic;
}

/* Where the table stands in one log partition, held against the log (docs/rules.md: log). */
static bool find_position(struct k2_lane *lane, struct k2_lane_topic *topic, int p,
                          const struct k2_log_range *range, struct k2_err *err) {
    struct k2_part *part = &topic->parts[p];
    const char *name = topic->info.name;
    *part = (struct k2_part){0};
    K2_TRY(k2_position_find(lane->main, name, p, &part->is_known, &part->committed, err));
    if (!part->is_known) {
        part->committed = (struct k2_position){.next = range->start};
        part->needs_state = true;
    }
    part->next = part->committed.next;
    part->epoch = part->committed.epoch + 1;
    part->settings = k2_settings_of(lane, topic);
    return !part->is_known || k2_loss_find(lane, topic, p, range, err);
}

/* Loads the section a position names. *ret_from: where reading must begin so that the records
 * between the state's offset and the position bring it up to date. Where they are not to be had any
 * more, and the state does not stand at the position itself, it is made from the tables. */
static bool load_section(struct k2_lane *lane, uint32_t index, int p,
                         const struct k2_log_range *range, int64_t *ret_from, struct k2_err *err) {
    struct k2_lane_topic *topic = lane->topics[index];
    struct k2_part *part = &topic->parts[p];
    bool is_same_log = strcmp(part->committed.log_id, topic->info.log_id) == 0;
    *ret_from = part->next;
    if (!part->is_known || lane->schema->kind == K2_DEAD_LETTER)
        return true;
    struct k2_buf object = {0};
    char path[128];
    int64_t offset = 0;
    struct k2_err why = {0};
    snprintf(path, sizeof path, "_k2/state/%s", part->committed.state);
    bool ok = k2_store_get(k2_lake_store(lane->opts->lake), path, &object, &why) &&
              k2_state_read(k2_buf_view(&object), k2_str_of(topic->info.name), p, index,
                            &lane->keys, &lane->strings, &part->settings, &offset, &why);
    k2_buf_done(&object);
    bool has_rest = is_same_log && offset >= range->start && offset < part->committed.next &&
                    part->committed.next <= range->end;
    if (ok && (has_rest || offset == part->committed.next)) {
        *ret_from = has_rest ? offset : part->next;
        return true;
    }
    if (!ok && why.code != K2_NOT_FOUND && why.code != K2_CORRUPT) {
        *err = why;
        return k2_err_wrap(err, "read state of %s/%d", topic->info.name, p);
    }
    k2_keys_drop(&lane->keys, index, p);
    part->needs_state = part->is_rebuilt = true;
    if (!topic->is_rebuilt) /* said once, not for each log partition */
        k2_warn("pipeline.rebuilt", "topic=%s state=%s error=%s", topic->info.name,
                part->committed.state,
                ok ? K2_Q("the log no longer holds the records behind it") : K2_Q(why.msg));
    topic->is_rebuilt = true;
    return k2_rebuild_section(lane, index, p, err) ||
           k2_err_wrap(err, "rebuild state of %s/%d from the tables", topic->info.name, p);
}

/* A topic whose log is not what the table stands in is left alone, and said; the others go on. */
static void stop_topic(struct k2_lane_topic *topic, const struct k2_err *why) {
    topic->is_stopped = true;
    topic->why = *why;
    topic->record_count = topic->record_at = 0;
    for (int p = 0; p < topic->info.partition_count; p++) {
        topic->parts[p].next = topic->parts[p].committed.next;
        topic->parts[p].loss = (struct k2_loss){0};
    }
    k2_warn("pipeline.stopped", "topic=%s error=%s", topic->info.name, K2_Q(why->msg));
}

static bool hold_against_log(struct k2_lane *lane, struct k2_lane_topic *topic,
                             const struct k2_log_range *ranges, struct k2_err *err) {
    struct k2_err why = {0};
    topic->is_stopped = false;
    for (int p = 0; p < topic->info.partition_count; p++) {
        struct k2_err error = {0};
        if (find_position(lane, topic, p, &ranges[p], &error))
            continue;
        if (error.code != K2_CONFLICT) {
            *err = error;
            return false;
        }
        if (!why.code)
            why = error;
    }
    if (why.code)
        stop_topic(topic, &why);
    return true;
}

static bool open_topic(struct k2_lane *lane, uint32_t index, struct k2_err *err) {
    struct k2_lane_topic *topic = lane->topics[index];
    int count = topic->info.partition_count;
    struct k2_log_range *ranges = k2_new_array(struct k2_log_range, (size_t)count);
    int64_t *from = k2_new_array(int64_t, (size_t)count);
    bool ok = k2_log_ranges(lane->opts->log, topic->info.name, ranges, err) &&
              hold_against_log(lane, topic, ranges, err);
    for (int p = 0; ok && !topic->is_stopped && p < count; p++)
        ok = load_section(lane, index, p, &ranges[p], &from[p], err);
    if (ok && !topic->is_stopped) {
        k2_log_reader_free(topic->reader);
        topic->reader = k2_log_reader_new(lane->opts->log, topic->info.name, from, err);
        topic->record_count = topic->record_at = 0;
        ok = topic->reader != NULL;
    }
    k2_free(ranges);
    k2_free(from);
    return ok;
}

/* What was lost is recorded once every topic is open: its commit holds all positions. */
static bool open_topics(struct k2_lane *lane, int first, struct k2_err *err) {
    for (int i = first; i < lane->topic_count; i++)
        K2_TRY(open_topic(lane, (uint32_t)i, err));
    return k2_loss_record(lane, err);
}

static bool is_wanted(const struct k2_lane *lane, const char *name) {
    if (k2_topic_schema(k2_str_of(name)) != lane->wire)
        return false;
    if (!lane->opts->topics)
        return true;
    struct k2_str rest = k2_str_of(lane->opts->topics);
    while (rest.ptr)
        if (k2_str_is(k2_str_trim(k2_str_split(rest, ',', &rest)), name))
            return true;
    return false;
}

struct finding {
    struct k2_lane *lane;
    int found;
};

static bool find_topic(void *self, const struct k2_topic_info *info) {
    struct finding *f = self;
    struct k2_lane *lane = f->lane;
    if (!is_wanted(lane, info->name))
        return true;
    for (int i = 0; i < lane->topic_count; i++)
        if (strcmp(lane->topics[i]->info.name, info->name) == 0)
            return true;
    lane->topics = k2_realloc(lane->topics, (size_t)(lane->topic_count + 1) * sizeof *lane->topics);
    lane->topics[lane->topic_count++] = new_topic(lane, info);
    f->found++;
    return true;
}

bool k2_lane_find_topics(struct k2_lane *lane, struct k2_err *err) {
    struct finding f = {lane, 0};
    lane->topics_checked_ns = k2_monotonic_ns();
    K2_TRY(k2_log_topics(lane->opts->log, find_topic, &f, err));
    /* What they have lost goes into a window of its own, where there is room for it. */
    if (f.found)
        K2_TRY(k2_lane_commit(lane, err));
    return open_topics(lane, lane->topic_count - f.found, err);
}

bool k2_lane_note_ends(struct k2_lane *lane, struct k2_err *err) {
    for (int t = 0; t < lane->topic_count; t++) {
        struct k2_lane_topic *topic = lane->topics[t];
        size_t count = (size_t)topic->info.partition_count;
        struct k2_log_range *ranges = k2_new_array(struct k2_log_range, count);
        bool ok = k2_log_ranges(lane->opts->log, topic->info.name, ranges, err);
        for (size_t p = 0; ok && p < count; p++)
            topic->parts[p].end = topic->is_stopped ? 0 : ranges[p].end;
        k2_free(ranges);
        if (!ok)
            return false;
    }
    return true;
}

bool k2_lane_is_past_ends(const struct k2_lane *lane) {
    for (int t = 0; t < lane->topic_count; t++)
        for (int p = 0; p < lane->topics[t]->info.partition_count; p++)
            if (lane->topics[t]->parts[p].next < lane->topics[t]->parts[p].end)
                return false;
    return true;
}

/* ---- settings ---- */

static bool wanted_settings(struct k2_lane *lane, struct k2_chain_settings *ret,
                            struct k2_err *err) {
    const struct k2_pipeline_opts *o = lane->opts;
    *ret = (struct k2_chain_settings){.future_us = o->future_ms * 1000,
                                      .price_move_ppm = o->price_move_ppm,
                                      .gap_page = o->gap_page,
                                      .gap_halt = o->gap_halt};
    const char *table = "reference_data.instruments";
    const struct k2_metadata *instruments = NULL;
    K2_TRY(k2_lake_load(o->lake, &table, 1, &instruments, err));
    if (instruments)
        ret->reference_snapshot = instruments->current_snapshot_id;
    k2_metadata_unref(instruments);
    return true;
}

/* Between two commits: what is set now becomes what the chain works by, and the next commit of each
 * log partition that was taken by other settings writes a state object that says so (docs/rules.md:
 * the chain). */
static bool adopt_settings(struct k2_lane *lane, struct k2_err *err) {
    if (lane->schema->kind == K2_DEAD_LETTER || lane->schema->kind == K2_REFERENCE)
        return true;
    K2_TRY(wanted_settings(lane, &lane->window_settings, err));
    lane->may_use_others = true;
    for (int t = 0; t < lane->topic_count; t++) {
        struct k2_lane_topic *topic = lane->topics[t];
        struct k2_chain_settings now = k2_settings_of(lane, topic);
        for (int p = 0; p < topic->info.partition_count; p++)
            topic->parts[p].needs_state |= memcmp(&now, &topic->parts[p].settings, sizeof now) != 0;
    }
    return true;
}

bool k2_lane_use(struct k2_lane *lane, const struct k2_chain_settings *settings,
                 struct k2_err *err) {
    lane->settings = *settings;
    return lane->negatives_snapshot == settings->reference_snapshot || k2_reference_load(lane, err);
}

/* ---- life ---- */

bool k2_lane_init(struct k2_lane *lane, const struct k2_pipeline_opts *opts, enum k2_kind kind,
                  struct k2_err *err) {
    *lane = (struct k2_lane){.opts = opts,
                             .schema = k2_schema_of(kind),
                             .wire = k2_schema_of(kind == K2_DEAD_LETTER ? K2_EVENT : kind)};
    if (opts->seed)
        k2_random_seed(&lane->random, opts->seed + kind);
    else
        k2_random_seed_os(&lane->random);
    lane->writer = (struct k2_data_writer){
        .lake = opts->lake, .random = &lane->random, .opts = k2_parquet_defaults()};
    return open_tables(lane, err) && k2_lane_find_topics(lane, err);
}

static void make_buffers(struct k2_lane *lane) {
    k2_window_init(lane);
    lane->events =
        lane->wire->kind == K2_EVENT ? k2_batch_new(lane->wire, 1, &lane->strings) : NULL;
    lane->wanted = k2_new_array(struct k2_wanted, K2_WANTED_MAX);
    lane->letters = k2_new_array(struct k2_wanted_letter, 2 * K2_WANTED_MAX);
    lane->order = k2_new_array(uint32_t, lane->window.rows->rows_max);
}

bool k2_lane_begin(struct k2_lane *lane, struct k2_err *err) {
    if (!lane->window.rows)
        make_buffers(lane);
    if (lane->window.records)
        return true;
    lane->window.started_ns = k2_now_ns(lane->opts->clock);
    return adopt_settings(lane, err);
}

void k2_lane_done(struct k2_lane *lane) {
    k2_lookup_close(lane);
    for (int i = 0; i < lane->topic_count; i++)
        free_topic(lane->topics[i]);
    k2_free(lane->topics);
    k2_window_done(&lane->window);
    k2_batch_free(lane->events);
    k2_batch_free(lane->found);
    k2_free(lane->wanted);
    k2_free(lane->letters);
    k2_data_writer_done(&lane->writer);
    k2_free(lane->order);
    k2_free(lane->rank);
    k2_keys_done(&lane->keys);
    k2_intern_done(&lane->negatives);
    k2_intern_done(&lane->strings);
    k2_metadata_unref(lane->main);
    k2_metadata_unref(lane->gaps);
    k2_metadata_unref(lane->gap_events);
    k2_metadata_unref(lane->dead);
}

bool k2_lane_reload(struct k2_lane *lane, struct k2_err *err) {
    if (lane->window.rows)
        k2_window_clear(&lane->window);
    lane->wanted_count = lane->letter_count = 0;
    k2_keys_done(&lane->keys);
    K2_TRY(open_tables(lane, err));
    return open_topics(lane, 0, err);
}

static bool is_commit_due(struct k2_lane *lane) {
    const struct k2_window *w = &lane->window;
    const struct k2_pipeline_opts *o = lane->opts;
    if (!w->records)
        return false;
    return w->rows->rows >= o->commit_rows || w->bytes >= o->commit_bytes ||
           k2_now_ns(o->clock) - w->started_ns >= o->commit_age_ms * 1000000;
}

/* Reads and takes one chunk of a topic. */
static bool work_topic(struct k2_lane *lane, uint32_t index, int64_t *moved, struct k2_err *err) {
    struct k2_lane_topic *topic = lane->topics[index];
    if (topic->is_stopped)
        return true;
    if (topic->record_at == topic->record_count) {
        topic->record_at = topic->record_count = 0;
        K2_TRY(k2_log_read(topic->reader, topic->records, K2_CHUNK, &topic->record_count, err));
        if (!topic->record_count)
            return true;
    }
    K2_TRY(k2_lane_begin(lane, err));
    int taken;
    bool is_full;
    K2_TRY(k2_chain_take(lane, topic, index, topic->records + topic->record_at,
                         topic->record_count - topic->record_at, &taken, &is_full, err));
    topic->record_at += taken;
    *moved += taken;
    if (is_full && !lane->window.records)
        return k2_err_set(err, K2_BUG, "%s: a record does not fit an empty window",
                          topic->info.name);
    return !is_full || k2_lane_commit(lane, err);
}

bool k2_lane_work(struct k2_lane *lane, int64_t *ret_moved, struct k2_err *err) {
    enum { LOOK_EVERY_NS = 20000000 };
    *ret_moved = 0;
    for (int i = 0; i < lane->topic_count; i++) {
        K2_TRY(work_topic(lane, (uint32_t)i, ret_moved, err));
        if (is_commit_due(lane)) {
            K2_TRY(k2_lane_commit(lane, err));
            ++*ret_moved;
        }
    }
    if (*ret_moved == 0 && k2_monotonic_ns() - lane->topics_checked_ns > LOOK_EVERY_NS) {
        int before = lane->topic_count;
        K2_TRY(k2_lane_find_topics(lane, err));
        *ret_moved += lane->topic_count - before;
    }
    return true;
}
