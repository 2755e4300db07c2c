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
    if (ok && ingest.holder.pipeline)
        k2_pipeline_counts(ingest.holder.pipeline, &n);
    if (ok) {
        char what[128];
        snprintf(what, sizeof what, "read %" PRId64 " rows from %" PRId64 " of %d files",
                 ingest.rows, args->count - bad_files, args->count);
        k2_ingest_say_done(&ingest, what);
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

static bool work(struct k2_pipeline *pipeline, bool until_idle, struct k2_err *err) {
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
    ok = ok && k2_pipeline_flush(pipeline, err);
    return ok && !(until_idle && k2_pipeline_stopped(pipeline, err));
}

int k2_cmd_ingest_worker(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_ingest ingest = {.home = home, .name = "ingest worker"};
    struct k2_holder_opts opts = {.name = "ingest worker", .topics = k2_arg(args, "topics")};
    ingest.started_ns = k2_monotonic_ns();
    bool ok = k2_home_open(home, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) &&
              k2_holder_wait(&ingest.holder, home, &opts, err) &&
              work(ingest.holder.pipeline, k2_arg(args, "until-idle") != NULL, err);
    struct k2_pipeline_counts n = {0};
    if (ok) {
        k2_pipeline_counts(ingest.holder.pipeline, &n);
        k2_ingest_say_done(&ingest, "worked through the log");
    }
    k2_ingest_close(&ingest);
    if (!ok)
        return -1;
    return n.rejected ? K2_EXIT_SET_ASIDE : K2_EXIT_DONE;
}
