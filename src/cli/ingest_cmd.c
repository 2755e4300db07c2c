/* ingest_cmd.c -- k2 ingest csv | worker: files, or the log as it is, into the tables. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cli/sink.h"

static bool is_layout(const char *name, struct k2_err *err) {
    struct k2_buf known = {0};
    for (int i = 0; k2_csv_layouts[i]; i++) {
        if (name && strcmp(name, k2_csv_layouts[i]) == 0) {
            k2_buf_done(&known);
            return true;
        }
        k2_buf_printf(&known, "%s%s", i ? ", " : "", k2_csv_layouts[i]);
    }
    if (name)
        k2_err_set(err, K2_USAGE, "--layout %s: there is no such layout; K2 knows %s", name,
                   k2_buf_cstr(&known));
    else
        k2_err_set(err, K2_USAGE, "ingest csv wants --layout, one of %s", k2_buf_cstr(&known));
    k2_buf_done(&known);
    return false;
}

static void say_done(struct k2_ingest *ingest, const char *what) {
    struct k2_pipeline_counts n = {0};
    if (ingest->pipeline)
        k2_pipeline_counts(ingest->pipeline, &n);
    double seconds = (double)(k2_monotonic_ns() - ingest->started_ns) / 1e9;
    if (ingest->pipeline)
        k2_say("%s; committed %" PRId64 " rows (%" PRId64 " duplicates dropped, %" PRId64
               " late, %" PRId64 " set aside, %" PRId64 " gaps) in %.2f s, %.0f rows/s",
               what, n.rows, n.duplicates, n.late, n.rejected, n.gaps, seconds,
               (double)n.rows / seconds);
    else
        k2_say("%s; committed by the process that runs the pipeline, in %.2f s", what, seconds);
}

/* Reads every file; one that cannot be read is said and the rest go on. */
static bool read_files(const struct k2_args *args, const struct k2_csv_opts *opts,
                       struct k2_ingest *ingest, int64_t *ret_bad_files, struct k2_err *err) {
    struct k2_feed_out out = k2_ingest_out(ingest);
    for (int i = 0; i < args->count; i++) {
        struct k2_csv_result result = {0};
        struct k2_err why = {0};
        if (k2_csv_read(args->words[i], opts, &out, &result, &why))
            continue;
        bool is_input = why.code == K2_NOT_FOUND || why.code == K2_INVALID ||
                        why.code == K2_CORRUPT || why.code == K2_USAGE;
        if (!is_input || atomic_load(&k2_stop_asked)) {
            *err = why;
            k2_ingest_blame(ingest, err);
            return false;
        }
        if (args->count == 1) {
            *err = why;
            return false;
        }
        k2_say("ingest csv: %s", why.msg);
        ++*ret_bad_files;
    }
    return true;
}

int k2_cmd_ingest_csv(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_csv_opts opts = {.layout = k2_arg(args, "layout"),
                               .exchange = k2_arg(args, "exchange"),
                               .symbol = k2_arg(args, "symbol"),
                               .zone = k2_arg(args, "tz"),
                               .sequence_start = 1,
                               .clock = home->clock};
    struct k2_ingest ingest;
    int64_t bad_files = 0;
    if (!is_layout(opts.layout, err) ||
        !k2_arg_i64(args, "sequence-start", 1, 99999999999, &opts.sequence_start, err))
        return -1;
    bool ok = k2_ingest_open(&ingest, home, "ingest csv", err) &&
              read_files(args, &opts, &ingest, &bad_files, err) && k2_ingest_finish(&ingest, err);
    struct k2_pipeline_counts n = {0};
    if (ok && ingest.pipeline)
        k2_pipeline_counts(ingest.pipeline, &n);
    if (ok) {
        char what[128];
        snprintf(what, sizeof what, "read %" PRId64 " rows from %" PRId64 " of %d files",
                 ingest.rows, args->count - bad_files, args->count);
        say_done(&ingest, what);
    }
    int64_t aside = K2_MAX(n.rejected, ingest.events);
    if (ok && aside)
        k2_say("%" PRId64 " bad lines or records were set aside; see: k2 dlq show", aside);
    k2_ingest_close(&ingest);
    if (!ok)
        return -1;
    return bad_files ? K2_EXIT_FAILED : aside ? K2_EXIT_SET_ASIDE : K2_EXIT_DONE;
}

/* ---- worker ---- */

static bool take_lease(struct k2_home *home, struct k2_lease **ret, struct k2_err *err) {
    for (bool is_said = false; !atomic_load(&k2_stop_asked); is_said = true) {
        bool is_taken;
        struct k2_buf holder = {0};
        *ret = k2_lease_try(k2_home_path(home, "run"), "ingest worker", &is_taken, &holder, err);
        if (!is_taken && err->code == K2_OK && !is_said)
            k2_say("ingest worker: the pipeline of this home is run by %s; waiting to take over",
                   holder.len ? k2_buf_cstr(&holder) : "another process");
        k2_buf_done(&holder);
        if (is_taken || err->code != K2_OK)
            return is_taken;
        k2_clock_real()->sleep_ns(k2_clock_real(), 50000000);
    }
    return k2_err_set(err, K2_CANCELLED, "stopped while waiting for the pipeline");
}

static bool work(struct k2_pipeline *pipeline, bool until_idle, struct k2_err *err) {
    k2_pipeline_start(pipeline);
    bool ok = true;
    if (until_idle)
        ok = k2_pipeline_drain(pipeline, &k2_stop_asked, err);
    while (!until_idle && !atomic_load(&k2_stop_asked) && !k2_pipeline_failed(pipeline))
        k2_clock_real()->sleep_ns(k2_clock_real(), 20000000);
    struct k2_err why = {0};
    bool is_stopped = k2_pipeline_stop(pipeline, &why);
    if (ok && !is_stopped) {
        *err = why;
        return false;
    }
    /* A stop drains: what was taken is committed, the rest stays in the log. */
    if (!ok && err->code == K2_CANCELLED)
        ok = true;
    return ok && k2_pipeline_flush(pipeline, err);
}

int k2_cmd_ingest_worker(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_ingest ingest = {.home = home, .name = "ingest worker"};
    ingest.started_ns = k2_monotonic_ns();
    if (!k2_home_open(home, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) ||
        !take_lease(home, &ingest.lease, err))
        return -1;
    struct k2_pipeline_opts opts;
    k2_home_pipeline_opts(home, "ingest worker", &opts);
    opts.topics = k2_arg(args, "topics");
    ingest.pipeline = k2_pipeline_open(&opts, err);
    bool ok = ingest.pipeline && work(ingest.pipeline, k2_arg(args, "until-idle") != NULL, err);
    struct k2_pipeline_counts n = {0};
    if (ok) {
        k2_pipeline_counts(ingest.pipeline, &n);
        say_done(&ingest, "worked through the log");
    }
    k2_ingest_close(&ingest);
    if (!ok)
        return -1;
    return n.rejected ? K2_EXIT_SET_ASIDE : K2_EXIT_DONE;
}
