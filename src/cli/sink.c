/* sink.c -- feed batches into the log, a few appends ahead of their fsync, and the pipeline behind.
 */
#include "cli/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"

static bool try_lock(struct k2_ingest *ingest, bool is_first, struct k2_err *err) {
    struct k2_holder_opts opts = {.name = ingest->name};
    return k2_holder_try(&ingest->holder, ingest->home, &opts, is_first, err);
}

bool k2_ingest_open(struct k2_ingest *ingest, struct k2_home *home, const char *name,
                    struct k2_err *err) {
    *ingest = (struct k2_ingest){.home = home, .name = name, .started_ns = k2_monotonic_ns()};
    return k2_home_open(home, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) &&
           try_lock(ingest, true, err);
}

/* ---- what a feed calls ---- */

static bool add_ticket(struct k2_ingest *ingest, struct k2_ticket ticket, struct k2_err *err) {
    if (ingest->ticket_count == K2_TICKETS) {
        K2_TRY(k2_log_wait(ingest->home->log, &ingest->tickets[0], err));
        memmove(ingest->tickets, ingest->tickets + 1, sizeof ticket * (K2_TICKETS - 1));
        ingest->ticket_count--;
    }
    ingest->tickets[ingest->ticket_count++] = ticket;
    return true;
}

static bool go_on(void *self, const char *topic, int log_partition, int64_t committed,
                  int64_t end) {
    (void)self, (void)topic, (void)log_partition, (void)committed, (void)end;
    return true;
}

/* Nothing is appended to a log that lost what the tables have: its offsets would name two records.
 */
static bool meet_topic(struct k2_ingest *ingest, const char *topic, struct k2_err *err) {
    struct k2_str name = k2_str_of(topic);
    if (k2_intern_find(&ingest->topics, name) != UINT32_MAX)
        return true;
    k2_intern_add(&ingest->topics, name);
    return k2_pipeline_lag(ingest->home->lake, ingest->home->log, topic, go_on, NULL, err);
}

/* The log is at its limit: what it holds is committed and trimmed, which makes room. */
static bool make_room(struct k2_ingest *ingest, const char *topic, struct k2_err *err) {
    int64_t bytes;
    for (int i = 0; i < ingest->ticket_count; i++)
        K2_TRY(k2_log_wait(ingest->home->log, &ingest->tickets[i], err));
    ingest->ticket_count = 0;
    if (ingest->holder.pipeline)
        K2_TRY(k2_pipeline_drain(ingest->holder.pipeline, &k2_stop_asked, err));
    else
        K2_TRY(k2_holder_ask_commit(ingest->home, err));
    return k2_pipeline_trim(ingest->home->lake, ingest->home->log, topic, false, &bytes, err);
}

static bool take_batch(void *self, const char *topic, struct k2_batch *batch, struct k2_err *err) {
    struct k2_ingest *ingest = self;
    struct k2_ticket ticket;
    struct k2_err full = {0};
    K2_TRY(meet_topic(ingest, topic, err));
    bool ok = k2_log_write(ingest->home->log, topic, batch, &ticket, &full);
    if (!ok && full.code == K2_LIMIT) {
        K2_TRY(make_room(ingest, topic, err));
        ok = k2_log_write(ingest->home->log, topic, batch, &ticket, &full);
    }
    if (!ok) {
        *err = full;
        return false;
    }
    if (batch->schema->kind == K2_EVENT)
        ingest->events += batch->rows;
    else
        ingest->rows += batch->rows;
    return add_ticket(ingest, ticket, err);
}

static bool take_raw(void *self, const char *topic, struct k2_record *records, int count,
                     struct k2_err *err) {
    struct k2_ingest *ingest = self;
    struct k2_ticket ticket;
    K2_TRY(meet_topic(ingest, topic, err));
    K2_TRY(k2_log_write_raw(ingest->home->log, topic, records, count, &ticket, err));
    return add_ticket(ingest, ticket, err);
}

static bool show_progress(void *self, int64_t bytes, int64_t bytes_all, int64_t rows) {
    struct k2_ingest *ingest = self;
    int64_t now = k2_monotonic_ns();
    if (now - ingest->said_ns > 100000000 && k2_stderr_is_terminal()) {
        struct k2_pipeline_counts counts = {0};
        if (ingest->holder.pipeline)
            k2_pipeline_counts(ingest->holder.pipeline, &counts);
        double seconds = (double)(now - ingest->started_ns) / 1e9;
        double share = bytes_all > 0 ? (double)bytes / (double)bytes_all : 0;
        double left = share > 0 ? seconds / share - seconds : 0;
        if (bytes_all > 0)
            k2_progress_bar(share, "%.2f M rows read, %.2f M committed, %.2f M/s, %.0f s left",
                            (double)rows / 1e6, (double)counts.rows / 1e6,
                            (double)rows / seconds / 1e6, left);
        else
            k2_progress("%.2f M rows read, %.2f M committed, %.2f M/s", (double)rows / 1e6,
                        (double)counts.rows / 1e6, (double)rows / seconds / 1e6);
        ingest->said_ns = now;
    }
    bool has_failed = ingest->holder.pipeline && k2_pipeline_failed(ingest->holder.pipeline);
    return !has_failed && !atomic_load(&k2_stop_asked);
}

struct k2_feed_out k2_ingest_out(struct k2_ingest *ingest) {
    return (struct k2_feed_out){ingest, take_batch, take_raw, show_progress};
}

/* ---- the end ---- */

static bool is_behind(void *self, const char *topic, int log_partition, int64_t committed,
                      int64_t end) {
    (void)topic, (void)log_partition;
    *(bool *)self = committed < end;
    return committed >= end;
}

/* Another process commits: wait for it, or take over when it is gone. */
static bool wait_for_holder(struct k2_ingest *ingest, struct k2_err *err) {
    while (!ingest->holder.pipeline) {
        bool behind = false;
        for (uint32_t i = 0; !behind && i < ingest->topics.count; i++)
            K2_TRY(k2_pipeline_lag(ingest->home->lake, ingest->home->log,
                                   k2_intern_str(&ingest->topics, i).ptr, is_behind, &behind, err));
        if (!behind)
            return true;
        if (atomic_load(&k2_stop_asked))
            return k2_err_set(err, K2_CANCELLED,
                              "stopped; what was added is in the log and will be committed");
        struct k2_err why = {0};
        if (!k2_holder_ask_commit(ingest->home, &why)) {
            k2_clock_real()->sleep_ns(k2_clock_real(), 20000000);
            K2_TRY(try_lock(ingest, false, err));
        }
    }
    return k2_pipeline_drain(ingest->holder.pipeline, &k2_stop_asked, err);
}

bool k2_ingest_finish(struct k2_ingest *ingest, struct k2_err *err) {
    for (int i = 0; i < ingest->ticket_count; i++)
        K2_TRY(k2_log_wait(ingest->home->log, &ingest->tickets[i], err));
    ingest->ticket_count = 0;
    k2_progress("committing");
    bool ok = ingest->holder.pipeline
                  ? k2_pipeline_drain(ingest->holder.pipeline, &k2_stop_asked, err)
                  : wait_for_holder(ingest, err);
    k2_progress_end();
    /* A topic that the pipeline had to leave alone is behind for good: that is no success. */
    for (uint32_t i = 0; ok && i < ingest->topics.count; i++)
        ok = k2_pipeline_lag(ingest->home->lake, ingest->home->log,
                             k2_intern_str(&ingest->topics, i).ptr, go_on, NULL, err);
    return ok;
}

void k2_ingest_say_done(struct k2_ingest *ingest, const char *what) {
    struct k2_pipeline_counts n = {0};
    if (ingest->holder.pipeline)
        k2_pipeline_counts(ingest->holder.pipeline, &n);
    double seconds = (double)(k2_monotonic_ns() - ingest->started_ns) / 1e9;
    if (ingest->holder.pipeline)
        k2_say("%s; committed %" PRId64 " rows (%" PRId64 " duplicates dropped, %" PRId64
               " late, %" PRId64 " set aside, %" PRId64 " gaps) in %.2f s, %.0f rows/s",
               what, n.rows, n.duplicates, n.late, n.rejected, n.gaps, seconds,
               (double)n.rows / seconds);
    else
        k2_say("%s; committed by the process that runs the pipeline, in %.2f s", what, seconds);
}

void k2_ingest_blame(struct k2_ingest *ingest, struct k2_err *err) {
    struct k2_err why = {0};
    if (err->code == K2_CANCELLED && ingest->holder.pipeline &&
        !k2_pipeline_stop(ingest->holder.pipeline, &why))
        *err = why;
}

void k2_ingest_close(struct k2_ingest *ingest) {
    k2_holder_close(&ingest->holder);
    k2_intern_done(&ingest->topics);
}
