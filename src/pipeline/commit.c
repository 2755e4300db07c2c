/* commit.c -- the window becomes files, a state object and one commit over all tables it touches.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/date.h"
#include "pipeline/lane.h"

/* ---- order: file partition, symbol by name, time, number ---- */

struct rank_entry {
    struct k2_str name;
    uint32_t code;
};

static int by_name(const void *a, const void *b) {
    return k2_str_cmp(((const struct rank_entry *)a)->name, ((const struct rank_entry *)b)->name);
}

/* rank[code] is the place of the symbol among all names; made again only when names were added. */
static void rank_symbols(struct k2_lane *lane) {
    uint32_t count = lane->strings.count;
    if (lane->rank_count == count)
        return;
    struct rank_entry *entries = k2_new_array(struct rank_entry, count);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct rank_entry){k2_intern_str(&lane->strings, i), i};
    qsort(entries, count, sizeof *entries, by_name);
    lane->rank = k2_realloc(lane->rank, count * sizeof *lane->rank);
    for (uint32_t i = 0; i < count; i++)
        lane->rank[entries[i].code] = i;
    lane->rank_count = count;
    k2_free(entries);
}

static int compare_rows(const struct k2_batch *b, const struct k2_kind_columns *c, uint32_t i,
                        uint32_t j) {
    int64_t ti = b->col[c->timestamp].i64[i], tj = b->col[c->timestamp].i64[j];
    if (ti != tj)
        return ti < tj ? -1 : 1;
    int32_t ni = b->col[c->nanos].i32[i], nj = b->col[c->nanos].i32[j];
    if (ni != nj)
        return ni < nj ? -1 : 1;
    int64_t a = k2_row_number(b, c, i), z = k2_row_number(b, c, j);
    return a < z ? -1 : a > z;
}

struct sort_context {
    const struct k2_batch *batch;
    const struct k2_kind_columns *columns;
};

static int compare_places(const void *a, const void *b, void *context) {
    const struct sort_context *s = context;
    return compare_rows(s->batch, s->columns, *(const uint32_t *)a, *(const uint32_t *)b);
}

/* One symbol's rows nearly always stand in order already; the rest is sorted. */
static void sort_run(const struct k2_batch *batch, const struct k2_kind_columns *c, uint32_t *order,
                     uint32_t count) {
    bool is_sorted = true;
    for (uint32_t i = 1; is_sorted && i < count; i++)
        is_sorted = compare_rows(batch, c, order[i - 1], order[i]) <= 0;
    struct sort_context context = {batch, c};
    if (!is_sorted)
        qsort_r(order, count, sizeof *order, compare_places, &context);
}

/* Counting sort of the kept rows by (file partition, symbol rank), then each run by time. Fills
 * lane->order and starts[file_count + 1]; returns the rows kept. */
static uint32_t order_rows(struct k2_lane *lane, uint32_t *starts) {
    struct k2_window *w = &lane->window;
    const struct k2_kind_columns *c = &k2_kind_columns[lane->schema->kind];
    rank_symbols(lane);
    uint32_t symbols = lane->rank_count, buckets = symbols * (uint32_t)w->file_count;
    uint32_t *first = k2_new_array(uint32_t, buckets + 1), kept = 0;
    const uint32_t *symbol = w->rows->col[c->symbol].u32;
    for (uint32_t i = 0; i < w->rows->rows; i++)
        if (!w->drop[i])
            first[w->group[i] * symbols + lane->rank[symbol[i]] + 1]++, kept++;
    for (uint32_t b = 0; b < buckets; b++)
        first[b + 1] += first[b];
    uint32_t *at = k2_new_array(uint32_t, buckets);
    memcpy(at, first, buckets * sizeof *at);
    for (uint32_t i = 0; i < w->rows->rows; i++)
        if (!w->drop[i])
            lane->order[at[w->group[i] * symbols + lane->rank[symbol[i]]]++] = i;
    if (c->timestamp >= 0)
        for (uint32_t b = 0; b < buckets; b++)
            sort_run(w->rows, c, lane->order + first[b], first[b + 1] - first[b]);
    for (int f = 0; f <= w->file_count; f++)
        starts[f] = first[(uint32_t)f * symbols];
    k2_free(first);
    k2_free(at);
    return kept;
}

/* ---- files ---- */

/* What a commit is being made of. */
struct making {
    struct k2_lane *lane;
    struct k2_arena arena;
    struct k2_data_file files[K2_WINDOW_FILES + 3];
    struct k2_file_stats stats[K2_WINDOW_FILES + 3];
    int file_count;
    struct k2_move *moves;
    int move_count;
    struct k2_property *properties, summary[16];
    int property_count, summary_count;
    struct k2_change changes[4];
    const struct k2_metadata **owners[4];
    int change_count;
    char state[64];
};

static bool write_file(struct making *m, const struct k2_metadata *metadata,
                       const struct k2_batch *batch, const uint32_t *order, uint32_t count,
                       struct k2_err *err) {
    int at = m->file_count;
    K2_ASSERT(at < (int)K2_COUNT(m->files));
    m->lane->writer.opts.is_sorted = k2_kind_columns[batch->schema->kind].timestamp >= 0;
    K2_TRY(k2_data_file_write(&m->lane->writer, metadata, batch, order, count, &m->arena,
                              &m->files[at], &m->stats[at], err));
    m->file_count++;
    return true;
}

static bool write_main(struct making *m, struct k2_err *err) {
    struct k2_lane *lane = m->lane;
    struct k2_window *w = &lane->window;
    if (lane->schema->kind == K2_DEAD_LETTER) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < w->rows->rows; i++)
            if (!w->drop[i])
                lane->order[kept++] = i;
        w->counts.rows = kept;
        return !kept || write_file(m, lane->main, w->rows, lane->order, kept, err);
    }
    uint32_t starts[K2_WINDOW_FILES + 1];
    w->counts.rows = order_rows(lane, starts);
    if (lane->writer.parquet)
        k2_parquet_prepare(lane->writer.parquet, w->rows, lane->order, (uint32_t)w->counts.rows);
    bool ok = true;
    for (int f = 0; ok && f < w->file_count; f++)
        if (starts[f + 1] > starts[f])
            ok = write_file(m, lane->main, w->rows, lane->order + starts[f],
                            starts[f + 1] - starts[f], err);
    if (lane->writer.parquet)
        k2_parquet_prepare(lane->writer.parquet, NULL, NULL, 0);
    return ok;
}

/* ---- positions and state ---- */

static bool is_state_due(const struct k2_part *part) {
    return part->needs_state || part->state_records >= K2_STATE_RECORDS ||
           part->state_commits >= K2_STATE_COMMITS;
}

static void move_parts(struct making *m, struct k2_section *sections, int *section_count) {
    struct k2_lane *lane = m->lane;
    bool has_state = lane->schema->kind != K2_DEAD_LETTER;
    for (int t = 0; t < lane->topic_count; t++) {
        struct k2_lane_topic *topic = lane->topics[t];
        for (int p = 0; p < topic->info.partition_count; p++) {
            struct k2_part *part = &topic->parts[p];
            bool is_same_log = strcmp(part->committed.log_id, topic->info.log_id) == 0;
            /* With state that was rebuilt the next commit says so, or each start would do it again.
             */
            bool is_at_rest = part->next == part->committed.next && !part->is_rebuilt;
            if (topic->is_stopped || (is_at_rest && (is_same_log || !part->is_known)))
                continue;
            struct k2_move *move = &m->moves[m->move_count++];
            *move = (struct k2_move){.topic = topic->info.name,
                                     .log_partition = p,
                                     .is_first = !part->is_known,
                                     .from = part->committed,
                                     .to = part->committed};
            memcpy(move->to.log_id, topic->info.log_id, sizeof move->to.log_id);
            if (!part->is_known)
                memcpy(move->from.log_id, topic->info.log_id, sizeof move->from.log_id);
            move->to.next = part->next;
            move->to.epoch = part->epoch;
            if (!has_state || !is_state_due(part))
                continue;
            snprintf(move->to.state, sizeof move->to.state, "%s", m->state);
            move->to.state_offset = part->next;
            sections[(*section_count)++] =
                (struct k2_section){.topic = k2_str_of(topic->info.name),
                                    .log_partition = p,
                                    .offset = part->next,
                                    .topic_index = (uint32_t)t,
                                    .settings = k2_settings_of(lane, topic)};
        }
    }
}

static bool write_state(struct making *m, const struct k2_section *sections, int count,
                        struct k2_err *err) {
    if (!count)
        return true;
    struct k2_lane *lane = m->lane;
    struct k2_buf object = {0};
    k2_state_write(&lane->keys, &lane->strings, sections, count, &object);
    char *path = k2_arena_printf(&m->arena, "_k2/state/%s", m->state);
    bool ok = k2_store_put(k2_lake_store(lane->opts->lake), path, k2_buf_view(&object), true, err);
    k2_buf_done(&object);
    return ok || k2_err_wrap(err, "write state object");
}

/* ---- the change ---- */

static void add_summary(struct making *m, const char *key, int64_t value) {
    char *text = k2_arena_printf(&m->arena, "%" PRId64, value);
    m->summary[m->summary_count++] = (struct k2_property){k2_str_of(key), k2_str_of(text)};
}

static void add_change(struct making *m, const struct k2_metadata **owner, int first_file) {
    struct k2_change *change = &m->changes[m->change_count];
    m->owners[m->change_count++] = owner;
    *change = (struct k2_change){.base = *owner,
                                 .operation = "append",
                                 .add_count = m->file_count - first_file,
                                 .add = m->files + first_file,
                                 .set = m->properties,
                                 .set_count = m->property_count,
                                 .summary = m->summary,
                                 .summary_count = m->summary_count};
}

/* Which topic a log_id stands for (docs/rules.md: time travel and readers). */
static void name_logs(struct making *m) {
    struct k2_lane *lane = m->lane;
    m->properties = k2_arena_new(&m->arena, struct k2_property, lane->topic_count + 1);
    for (int t = 0; t < lane->topic_count; t++) {
        struct k2_lane_topic *topic = lane->topics[t];
        struct k2_str code = k2_intern_str(&lane->strings, topic->log_code);
        char *key = k2_arena_printf(&m->arena, "k2.log.%.*s", K2_FMT(code));
        m->properties[m->property_count++] =
            (struct k2_property){k2_str_of(key), k2_str_of(topic->info.name)};
    }
}

static bool write_ledgers(struct making *m, struct k2_err *err) {
    struct k2_lane *lane = m->lane;
    struct k2_window *w = &lane->window;
    const struct {
        struct k2_batch *batch;
        const struct k2_metadata **owner;
    } ledgers[] = {{w->gaps, &lane->gaps},
                   {w->gap_events, &lane->gap_events},
                   {w->dead == w->rows ? NULL : w->dead, &lane->dead}};
    for (size_t i = 0; i < K2_COUNT(ledgers); i++) {
        if (!ledgers[i].batch || !ledgers[i].batch->rows)
            continue;
        int first = m->file_count;
        K2_TRY(
            write_file(m, *ledgers[i].owner, ledgers[i].batch, NULL, ledgers[i].batch->rows, err));
        add_change(m, ledgers[i].owner, first);
    }
    return true;
}

static bool land(struct making *m, struct k2_err *err) {
    struct k2_lane *lane = m->lane;
    int64_t started = k2_monotonic_ns(), begun_ns = k2_now_ns(lane->opts->clock);
    char uuid[37];
    k2_random_uuid(&lane->random, uuid);
    snprintf(m->state, sizeof m->state, "%s", uuid);
    int parts = 0;
    for (int t = 0; t < lane->topic_count; t++)
        parts += lane->topics[t]->info.partition_count;
    m->moves = k2_arena_new(&m->arena, struct k2_move, parts + 1);
    struct k2_section *sections = k2_arena_new(&m->arena, struct k2_section, parts + 1);
    int section_count = 0;
    K2_TRY(write_main(m, err));
    move_parts(m, sections, &section_count);
    K2_TRY(write_state(m, sections, section_count, err));
    const struct k2_pipeline_counts *n = &lane->window.counts;
    m->summary[m->summary_count++] =
        (struct k2_property){K2_STR("k2.writer"), k2_str_of(lane->opts->writer)};
    add_summary(m, "k2.rows", n->rows);
    add_summary(m, "k2.duplicates", n->duplicates);
    add_summary(m, "k2.late", n->late);
    add_summary(m, "k2.rejected", n->rejected);
    add_summary(m, "k2.skipped", n->skipped);
    add_summary(m, "k2.acknowledged", n->acknowledged);
    add_summary(m, "k2.take-ms", K2_MAX(begun_ns - lane->window.started_ns, (int64_t)0) / 1000000);
    add_summary(m, "k2.write-ms", (k2_monotonic_ns() - started) / 1000000);
    name_logs(m);
    add_change(m, &lane->main, 0);
    m->changes[0].moves = m->moves;
    m->changes[0].move_count = m->move_count;
    K2_TRY(write_ledgers(m, err));
    return k2_lake_commit(lane->opts->lake, m->changes, m->change_count, err);
}

static void add_counts(struct k2_pipeline_counts *to, const struct k2_pipeline_counts *from) {
    to->records += from->records;
    to->rows += from->rows;
    to->duplicates += from->duplicates;
    to->late += from->late;
    to->rejected += from->rejected;
    to->skipped += from->skipped;
    to->gaps += from->gaps;
    to->fills += from->fills;
    to->rejected_by_validation += from->rejected_by_validation;
    to->acknowledged += from->acknowledged;
    to->losses += from->losses;
    to->looked_up += from->looked_up;
    to->scans += from->scans;
    to->commits++;
}

static void landed(struct making *m) {
    struct k2_lane *lane = m->lane;
    for (int i = 0; i < m->change_count; i++) {
        k2_metadata_unref(*m->owners[i]);
        *m->owners[i] = m->changes[i].result;
    }
    for (int i = 0; i < m->move_count; i++)
        for (int t = 0; t < lane->topic_count; t++) {
            struct k2_lane_topic *topic = lane->topics[t];
            if (topic->info.name != m->moves[i].topic)
                continue;
            struct k2_part *part = &topic->parts[m->moves[i].log_partition];
            bool has_new_state = strcmp(part->committed.state, m->moves[i].to.state) != 0;
            part->committed = m->moves[i].to;
            part->is_known = true;
            part->state_commits = has_new_state ? 0 : part->state_commits + 1;
            part->state_records = has_new_state ? 0 : part->state_records;
            part->needs_state &= !has_new_state;
            part->is_rebuilt &= !has_new_state;
            if (has_new_state)
                part->settings = k2_settings_of(lane, topic);
        }
    add_counts(&lane->totals, &lane->window.counts);
    k2_window_clear(&lane->window);
}

bool k2_lane_commit(struct k2_lane *lane, struct k2_err *err) {
    if (!lane->window.records)
        return true;
    if (!k2_settle(lane, err))
        return k2_err_wrap(err, "commit %s", lane->schema->table_name);
    struct making *m = k2_new(struct making);
    m->lane = lane;
    int64_t started = k2_monotonic_ns();
    bool ok = land(m, err);
    if (ok) {
        k2_measure_commit(lane, k2_monotonic_ns() - started);
        landed(m);
    }
    if (!ok && err->code == K2_CONFLICT)
        err->retriable = true; /* by reloading: positions and state are read again */
    for (int i = 0; i < m->file_count; i++)
        k2_file_stats_done(&m->stats[i]);
    k2_arena_done(&m->arena);
    k2_free(m);
    return ok || k2_err_wrap(err, "commit %s", lane->schema->table_name);
}
