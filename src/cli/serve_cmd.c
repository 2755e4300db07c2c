/* serve_cmd.c -- k2 serve: runs the pipeline of a home until told to stop. */
#include <inttypes.h>
#include <signal.h>

#include "cli/holder.h"

static atomic_bool reload_asked;

static void on_hangup(int signal_number) {
    (void)signal_number;
    atomic_store(&reload_asked, true);
}

/* Until a signal, or until a lane fails; its error is found when the pipeline is stopped. */
static void wait_for_signal(struct k2_pipeline *pipeline) {
    while (!atomic_load(&k2_stop_asked) && !atomic_load(&reload_asked) &&
           !k2_pipeline_failed(pipeline))
        k2_clock_real()->sleep_ns(k2_clock_real(), 20000000);
}

/* What was taken is committed; the rest stays in the log. */
static bool drain(struct k2_pipeline *pipeline, struct k2_err *err) {
    K2_TRY(k2_pipeline_stop(pipeline, err));
    return k2_pipeline_flush(pipeline, err);
}

static bool run_once(struct k2_home *home, struct k2_err *err) {
    struct k2_holder holder;
    struct k2_holder_opts opts = {.name = "serve"};
    bool ok = k2_holder_wait(&holder, home, &opts, err);
    if (ok) {
        k2_say("serve: running the pipeline of %s (SIGTERM ends it, SIGHUP reads settings again)",
               home->dir);
        wait_for_signal(holder.pipeline);
        ok = drain(holder.pipeline, err);
        struct k2_pipeline_counts n;
        k2_pipeline_counts(holder.pipeline, &n);
        k2_say("serve: committed %" PRId64 " rows in %" PRId64 " commits (%" PRId64
               " duplicates dropped, %" PRId64 " set aside, %" PRId64 " gaps)",
               n.rows, n.commits, n.duplicates, n.rejected, n.gaps);
    }
    k2_holder_close(&holder);
    return ok;
}

int k2_cmd_serve(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    (void)args;
    struct sigaction action = {.sa_handler = on_hangup};
    sigaction(SIGHUP, &action, NULL);
    if (!k2_home_open(home, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err))
        return -1;
    while (run_once(home, err)) {
        if (!atomic_exchange(&reload_asked, false) || atomic_load(&k2_stop_asked))
            return K2_EXIT_DONE;
        struct k2_err why = {0};
        if (k2_settings_reload(home, &why))
            k2_say("serve: settings were read again");
        else
            k2_say("serve: settings stay as they were: %s", why.msg);
    }
    return err->code == K2_CANCELLED ? K2_EXIT_DONE : -1;
}
