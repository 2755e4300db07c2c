/* pipeline.c -- the lanes together: in turn on one thread, or a thread each. */
#include "pipeline/pipeline.h"

#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "pipeline/lane.h"

enum { LANES = 4 };
static const enum k2_kind lane_kinds[LANES] = {K2_TRADE, K2_QUOTE, K2_REFERENCE, K2_DEAD_LETTER};

/* A lane with its thread. The pipeline's lock guards totals, errors and drain_seen. */
struct runner {
    struct k2_pipeline *pipeline;
    struct k2_lane lane;
    pthread_t thread;
    bool is_started, is_failed, must_reload;
    uint64_t drain_seen; /* the drain request this lane has met */
    struct k2_err err;
    struct k2_err stopped; /* why a topic is left alone; code OK: none is */
};

struct k2_pipeline {
    struct k2_pipeline_opts opts;
    char *writer, *topics, *accept;
    struct runner runners[LANES];
    pthread_mutex_t lock;
    atomic_bool stop;
    atomic_ullong drain_wanted;
    struct k2_pipeline_counts totals[LANES];
};

static void publish(struct runner *r) {
    struct k2_pipeline *p = r->pipeline;
    pthread_mutex_lock(&p->lock);
    p->totals[r - p->runners] = r->lane.totals;
    r->stopped = (struct k2_err){0};
    for (int t = 0; t < r->lane.topic_count; t++)
        if (r->lane.topics[t]->is_stopped)
            r->stopped = r->lane.topics[t]->why;
    pthread_mutex_unlock(&p->lock);
}

struct k2_pipeline *k2_pipeline_open(const struct k2_pipeline_opts *opts, struct k2_err *err) {
    struct k2_pipeline *p = k2_new(struct k2_pipeline);
    p->opts = *opts;
    p->opts.writer = p->writer = k2_strdup(opts->writer ? opts->writer : "k2");
    p->opts.topics = p->topics = opts->topics ? k2_strdup(opts->topics) : NULL;
    p->opts.accept = p->accept = opts->accept ? k2_strdup(opts->accept) : NULL;
    pthread_mutex_init(&p->lock, NULL);
    for (int i = 0; i < LANES; i++) {
        p->runners[i].pipeline = p;
        if (!k2_lane_init(&p->runners[i].lane, &p->opts, lane_kinds[i], err)) {
            k2_pipeline_free(p);
            return NULL;
        }
        publish(&p->runners[i]);
    }
    return p;
}

void k2_pipeline_free(struct k2_pipeline *pipeline) {
    if (!pipeline)
        return;
    struct k2_err ignored;
    (void)!k2_pipeline_stop(pipeline, &ignored); /* its error was reported by whoever drained */
    for (int i = 0; i < LANES; i++)
        if (pipeline->runners[i].lane.opts)
            k2_lane_done(&pipeline->runners[i].lane);
    pthread_mutex_destroy(&pipeline->lock);
    k2_free(pipeline->writer);
    k2_free(pipeline->topics);
    k2_free(pipeline->accept);
    k2_free(pipeline);
}

/* After an error the buffer is dropped and the lane begins where the table stands: what was half
 * done is never done twice. */
static bool renew(struct runner *r, struct k2_err *err) {
    if (r->must_reload && !k2_lane_reload(&r->lane, err))
        return false;
    r->must_reload = false;
    return true;
}

/* A commit that met another writer's (CONFLICT) is no error here. */
static bool work(struct runner *r, int64_t *ret_moved, struct k2_err *err) {
    K2_TRY(renew(r, err));
    if (k2_lane_work(&r->lane, ret_moved, err))
        return true;
    r->must_reload = true;
    return err->code == K2_CONFLICT && err->retriable && renew(r, err);
}

static bool commit(struct runner *r, struct k2_err *err) {
    K2_TRY(renew(r, err));
    r->must_reload = !k2_lane_commit(&r->lane, err);
    return !r->must_reload;
}

bool k2_pipeline_step(struct k2_pipeline *pipeline, int64_t *ret_moved, struct k2_err *err) {
    *ret_moved = 0;
    for (int i = 0; i < LANES; i++) {
        int64_t moved;
        K2_TRY(work(&pipeline->runners[i], &moved, err));
        *ret_moved += moved;
        publish(&pipeline->runners[i]);
    }
    return true;
}

bool k2_pipeline_flush(struct k2_pipeline *pipeline, struct k2_err *err) {
    for (int i = 0; i < LANES; i++) {
        K2_TRY(commit(&pipeline->runners[i], err));
        publish(&pipeline->runners[i]);
    }
    return true;
}

/* ---- threads ---- */

/* Everything that was durable when the drain was asked for is taken and committed; what comes while
 * that goes on is not waited for, or a feed that never rests would keep it from ending. */
static bool finish_drain(struct runner *r, uint64_t wanted, struct k2_err *err) {
    K2_TRY(k2_lane_find_topics(&r->lane, err));
    K2_TRY(k2_lane_note_ends(&r->lane, err));
    for (int64_t moved = 1; moved && !k2_lane_is_past_ends(&r->lane);)
        K2_TRY(work(r, &moved, err));
    K2_TRY(commit(r, err));
    publish(r);
    pthread_mutex_lock(&r->pipeline->lock);
    r->drain_seen = wanted;
    pthread_mutex_unlock(&r->pipeline->lock);
    return true;
}

static bool cycle(struct runner *r, int *idle, struct k2_err *err) {
    struct k2_pipeline *p = r->pipeline;
    int64_t moved;
    K2_TRY(work(r, &moved, err));
    uint64_t wanted = atomic_load(&p->drain_wanted);
    if (wanted != r->drain_seen)
        return finish_drain(r, wanted, err);
    *idle = moved ? 0 : K2_MIN(*idle + 1, 20);
    if (moved)
        publish(r);
    else
        k2_clock_real()->sleep_ns(k2_clock_real(), *idle * 100000);
    return true;
}

static void *run(void *self) {
    struct runner *r = self;
    struct k2_err err = {0};
    bool ok = true;
    for (int idle = 0; ok && !atomic_load(&r->pipeline->stop);)
        ok = cycle(r, &idle, &err);
    if (!ok) {
        pthread_mutex_lock(&r->pipeline->lock);
        r->is_failed = true;
        r->err = err;
        pthread_mutex_unlock(&r->pipeline->lock);
    }
    return NULL;
}

void k2_pipeline_start(struct k2_pipeline *pipeline) {
    atomic_store(&pipeline->stop, false);
    for (int i = 0; i < LANES; i++) {
        struct runner *r = &pipeline->runners[i];
        K2_ASSERT(!r->is_started);
        r->is_started = pthread_create(&r->thread, NULL, run, r) == 0;
        K2_ASSERT(r->is_started);
    }
}

/* The first failed lane's error; false when there is one. */
static bool lanes_ok(struct k2_pipeline *pipeline, bool *ret_drained, uint64_t wanted,
                     struct k2_err *err) {
    bool ok = true;
    *ret_drained = true;
    pthread_mutex_lock(&pipeline->lock);
    for (int i = 0; i < LANES && ok; i++) {
        struct runner *r = &pipeline->runners[i];
        *ret_drained &= r->drain_seen >= wanted;
        if (r->is_failed) {
            *err = r->err;
            ok = false;
        }
    }
    pthread_mutex_unlock(&pipeline->lock);
    return ok;
}

bool k2_pipeline_drain(struct k2_pipeline *pipeline, const atomic_bool *cancel,
                       struct k2_err *err) {
    uint64_t wanted = atomic_fetch_add(&pipeline->drain_wanted, 1) + 1;
    bool is_drained = false;
    while (!is_drained) {
        K2_TRY(lanes_ok(pipeline, &is_drained, wanted, err));
        if (cancel && atomic_load(cancel))
            return k2_err_set(err, K2_CANCELLED,
                              "stopped before everything was committed; what is "
                              "in the log will be committed by the next run");
        if (!is_drained)
            k2_clock_real()->sleep_ns(k2_clock_real(), 500000);
    }
    return true;
}

bool k2_pipeline_stop(struct k2_pipeline *pipeline, struct k2_err *err) {
    atomic_store(&pipeline->stop, true);
    for (int i = 0; i < LANES; i++) {
        struct runner *r = &pipeline->runners[i];
        if (r->is_started)
            pthread_join(r->thread, NULL);
        r->is_started = false;
    }
    bool ignored;
    return lanes_ok(pipeline, &ignored, 0, err);
}

bool k2_pipeline_stopped(struct k2_pipeline *pipeline, struct k2_err *err) {
    bool is_stopped = false;
    pthread_mutex_lock(&pipeline->lock);
    for (int i = 0; !is_stopped && i < LANES; i++)
        if ((is_stopped = pipeline->runners[i].stopped.code != K2_OK))
            *err = pipeline->runners[i].stopped;
    pthread_mutex_unlock(&pipeline->lock);
    return is_stopped;
}

bool k2_pipeline_failed(struct k2_pipeline *pipeline) {
    struct k2_err ignored;
    bool drained;
    return !lanes_ok(pipeline, &drained, 0, &ignored);
}

void k2_pipeline_counts(struct k2_pipeline *pipeline, struct k2_pipeline_counts *ret_counts) {
    struct k2_pipeline_counts sum = {0};
    pthread_mutex_lock(&pipeline->lock);
    for (int i = 0; i < LANES; i++) {
        const struct k2_pipeline_counts *c = &pipeline->totals[i];
        sum.records += c->records;
        sum.rows += lane_kinds[i] == K2_DEAD_LETTER ? 0 : c->rows;
        sum.duplicates += c->duplicates;
        sum.late += c->late;
        sum.rejected += c->rejected;
        sum.skipped += c->skipped;
        sum.gaps += c->gaps;
        sum.fills += c->fills;
        sum.commits += c->commits;
        sum.rejected_by_validation += c->rejected_by_validation;
        sum.acknowledged += c->acknowledged;
        sum.losses += c->losses;
        sum.looked_up += c->looked_up;
        sum.scans += c->scans;
    }
    pthread_mutex_unlock(&pipeline->lock);
    *ret_counts = sum;
}

/* ---- lag ---- */

const char *k2_pipeline_main_table(struct k2_str topic) {
    const struct k2_schema *schema = k2_topic_schema(topic);
    if (!schema)
        return NULL;
    switch (schema->kind) {
    case K2_TRADE: return "market_data.trades";
    case K2_QUOTE: return "market_data.quotes";
    case K2_REFERENCE: return "reference_data.instruments";
    case K2_EVENT: return "ops.dead_letters";
    default: return NULL;
    }
}

struct lag {
    struct k2_lake *lake;
    struct k2_log *log;
    const char *only;
    k2_lag_fn *each;
    void *self;
    struct k2_err *err;
    bool is_ok, is_ended;
};

static bool lag_of_topic(void *self, const struct k2_topic_info *info) {
    struct lag *l = self;
    const char *table = k2_pipeline_main_table(k2_str_of(info->name));
    if (!table || (l->only && strcmp(l->only, info->name) != 0))
        return true;
    const struct k2_metadata *metadata = NULL;
    struct k2_log_range *ranges = k2_new_array(struct k2_log_range, (size_t)info->partition_count);
    l->is_ok = k2_lake_load(l->lake, &table, 1, &metadata, l->err) &&
               k2_log_ranges(l->log, info->name, ranges, l->err);
    for (int p = 0; l->is_ok && !l->is_ended && p < info->partition_count; p++) {
        bool found = false;
        struct k2_position position;
        if (metadata)
            l->is_ok = k2_position_find(metadata, info->name, p, &found, &position, l->err) &&
                       (!found || k2_loss_check(info, p, &position, &ranges[p], l->err));
        int64_t committed = found ? position.next : ranges[p].start;
        if (l->is_ok)
            l->is_ended = !l->each(l->self, info->name, p, committed, ranges[p].end);
    }
    k2_metadata_unref(metadata);
    k2_free(ranges);
    return l->is_ok && !l->is_ended;
}

bool k2_pipeline_lag(struct k2_lake *lake, struct k2_log *log, const char *topic, k2_lag_fn *each,
                     void *self, struct k2_err *err) {
    struct lag l = {lake, log, topic, each, self, err, true, false};
    K2_TRY(k2_log_topics(log, lag_of_topic, &l, err));
    return l.is_ok;
}
