/* sink.c -- feed batches into the log, a few appends ahead of their fsync, and the pipeline behind.
 */
#include "cli/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"

static bool start_pipeline(struct k2_ingest *ingest, struct k2_err *err) {
    struct k2_pipeline_opts opts;
    char writer[128];
    snprintf(writer, sizeof writer, "pid %d %s", (int)getpid(), ingest->name);
    k2_home_pipeline_opts(ingest->home, writer, &opts);
    ingest->pipeline = k2_pipeline_open(&opts, err);
    if (!ingest->pipeline)
        return false;
    k2_pipeline_start(ingest->pipeline);
    return true;
}

/* Takes the lock and starts the pipeline if nobody has it; says who has it the first time. */
static bool try_lease(struct k2_ingest *ingest, bool is_first, struct k2_err *err) {
    bool is_taken;
    struct k2_buf holder = {0};
    ingest->lease =
        k2_lease_try(k2_home_path(ingest->home, "run"), ingest->name, &is_taken, &holder, err);
    bool ok = is_taken == (ingest->lease != NULL) && (is_taken || err->code == K2_OK);
    if (ok && !is_taken && is_first)
        k2_say("the pipeline of this home is run by %s; this command adds to the log and waits "
               "until it has committed",
               holder.len ? k2_buf_cstr(&holder) : "another process");
    k2_buf_done(&holder);
    if (!ok)
        return false;
    return !is_taken || start_pipeline(ingest, err);
}

bool k2_ingest_open(struct k2_ingest *ingest, struct k2_home *home, const char *name,
                    struct k2_err *err) {
    *ingest = (struct k2_ingest){.home = home, .name = name, .started_ns = k2_monotonic_ns()};
    return k2_home_open(home, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) &&
           try_lease(ingest, true, err);
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

static bool take_batch(void *self, const char *topic, struct k2_batch *batch, struct k2_err *err) {
    struct k2_ingest *ingest = self;
    struct k2_ticket ticket;
    K2_TRY(k2_log_write(ingest->home->log, topic, batch, &ticket, err));
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
    K2_TRY(k2_log_write_raw(ingest->home->log, topic, records, count, &ticket, err));
    return add_ticket(ingest, ticket, err);
}

static bool show_progress(void *self, int64_t bytes, int64_t bytes_all, int64_t rows) {
    struct k2_ingest *ingest = self;
    int64_t now = k2_monotonic_ns();
    if (now - ingest->said_ns > 100000000 && k2_stderr_is_terminal()) {
        struct k2_pipeline_counts counts = {0};
        if (ingest->pipeline)
            k2_pipeline_counts(ingest->pipeline, &counts);
        double seconds = (double)(now - ingest->started_ns) / 1e9;
        char share[32] = "";
        if (bytes_all > 0)
            snprintf(share, sizeof share, "%3.0f%%  ", 100.0 * (double)bytes / (double)bytes_all);
        k2_progress("%s%" PRId64 " rows read, %" PRId64 " committed, %.0f rows/s", share, rows,
                    counts.rows, (double)rows / seconds);
        ingest->said_ns = now;
    }
    bool has_failed = ingest->pipeline && k2_pipeline_failed(ingest->pipeline);
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
    while (!ingest->pipeline) {
        bool behind = false;
        K2_TRY(k2_pipeline_lag(ingest->home->lake, ingest->home->log, is_behind, &behind, err));
        if (!behind)
            return true;
        if (atomic_load(&k2_stop_asked))
            return k2_err_set(err, K2_CANCELLED,
                              "stopped; what was added is in the log and will be committed");
        k2_clock_real()->sleep_ns(k2_clock_real(), 20000000);
        K2_TRY(try_lease(ingest, false, err));
    }
    return k2_pipeline_drain(ingest->pipeline, &k2_stop_asked, err);
}

bool k2_ingest_finish(struct k2_ingest *ingest, struct k2_err *err) {
    for (int i = 0; i < ingest->ticket_count; i++)
        K2_TRY(k2_log_wait(ingest->home->log, &ingest->tickets[i], err));
    ingest->ticket_count = 0;
    k2_progress("committing");
    bool ok = ingest->pipeline ? k2_pipeline_drain(ingest->pipeline, &k2_stop_asked, err)
                               : wait_for_holder(ingest, err);
    k2_progress_end();
    return ok;
}

void k2_ingest_blame(struct k2_ingest *ingest, struct k2_err *err) {
    struct k2_err why = {0};
    if (err->code == K2_CANCELLED && ingest->pipeline && !k2_pipeline_stop(ingest->pipeline, &why))
        *err = why;
}

void k2_ingest_close(struct k2_ingest *ingest) {
    k2_pipeline_free(ingest->pipeline);
    k2_lease_free(ingest->lease);
    ingest->pipeline = NULL;
    ingest->lease = NULL;
}
