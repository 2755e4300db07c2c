/* demo_monitor.c -- what an operator watches: rate, errors, duration; and an alert condition made
 * true by a pipeline that hangs, and false again by one that goes on. Nothing is lost meanwhile.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/demo.h"

enum { LAG_LIMIT = 10000, ROWS = 60000, WAIT_MS = 120000, POLL_MS = 50 };

/* ---- the alert: messages in the log that no table has ---- */

static bool lag_of(struct k2_demo *demo, int64_t *ret, struct k2_err *err) {
    const char *words[] = {"log", "lag", "--format", "json", NULL};
    struct k2_buf text = {0};
    bool ok = k2_demo_run(demo, words, &text, err);
    *ret = 0;
    for (const char *at = k2_buf_cstr(&text); ok && (at = strstr(at, "\"lag\":")); at++)
        *ret += strtoll(at + 6, NULL, 10);
    k2_buf_done(&text);
    return ok;
}

static bool wait_for_lag(struct k2_demo *demo, bool is_wanted_true, int64_t *ret_lag,
                         struct k2_err *err) {
    for (int waited = 0; waited < WAIT_MS; waited += POLL_MS) {
        K2_TRY(lag_of(demo, ret_lag, err));
        if ((*ret_lag > LAG_LIMIT) == is_wanted_true)
            return true;
        poll(NULL, 0, POLL_MS);
    }
    return k2_err_set(err, K2_BUG, "the lag stays at %" PRId64, *ret_lag);
}

static void show_alert(struct k2_demo *demo, int64_t lag) {
    k2_demo_say(demo,
                "alert ConsumerLag  sum(k2_kafka_consumer_lag_messages) > %d: %s (%" PRId64 ")",
                LAG_LIMIT, lag > LAG_LIMIT ? "TRUE" : "false", lag);
}

/* The pipeline is stopped in its tracks while a feed goes on. */
static bool hang_and_recover(struct k2_demo *demo, pid_t serve, struct k2_err *err) {
    char rows[12];
    snprintf(rows, sizeof rows, "%d", ROWS);
    const char *feed[] = {"ingest", "sim", "--rows", rows, "--symbols", "50", "--seed", "2", NULL};
    pid_t feeding;
    int64_t lag;
    K2_TRY(lag_of(demo, &lag, err));
    show_alert(demo, lag);
    kill(serve, SIGSTOP);
    k2_demo_say(demo,
                "The pipeline hangs (SIGSTOP) while a feed goes on: k2 ingest sim --rows %s "
                "--seed 2",
                rows);
    bool ok = k2_demo_start(demo, feed, &feeding, err);
    if (ok && (ok = wait_for_lag(demo, true, &lag, err)))
        show_alert(demo, lag);
    kill(serve, SIGCONT);
    if (!ok)
        return false;
    k2_demo_say(demo, "It goes on (SIGCONT), and works off what the log kept.");
    K2_TRY(k2_demo_wait(demo, feeding, err) && wait_for_lag(demo, false, &lag, err));
    show_alert(demo, lag);
    return true;
}

/* ---- rate, errors, duration ---- */

/* The sum of a metric over all its series. */
static double sum_of(struct k2_str metrics, const char *name) {
    double sum = 0;
    size_t len = strlen(name);
    while (metrics.ptr && metrics.len) {
        struct k2_str line = k2_str_split(metrics, '\n', &metrics);
        const char *value = line.len > len && memcmp(line.ptr, name, len) == 0 &&
                                    (line.ptr[len] == '{' || line.ptr[len] == ' ')
                                ? memrchr(line.ptr, ' ', line.len)
                                : NULL;
        if (value)
            sum += strtod(value, NULL);
    }
    return sum;
}

static bool show_metrics(struct k2_demo *demo, double seconds, struct k2_err *err) {
    struct k2_buf text = {0};
    K2_TRY(k2_file_read(k2_home_path(demo->home, "run/metrics.prom"), 1 << 24, &text, err));
    struct k2_str metrics = k2_buf_view(&text);
    double rows = sum_of(metrics, "k2_iceberg_rows_written_total");
    double commits = sum_of(metrics, "k2_iceberg_transactions_total");
    double spent = sum_of(metrics, "k2_iceberg_write_duration_seconds_sum");
    k2_demo_say(demo, "From run/metrics.prom, which Prometheus reads:");
    k2_out_printf("   rate      %.0f rows committed in %.1f s\n", rows, seconds);
    k2_out_printf("   errors    %.0f records set aside, %.0f gaps found\n",
                  sum_of(metrics, "k2_dead_letters_total"),
                  sum_of(metrics, "k2_sequence_gaps_detected_total"));
    k2_out_printf("   duration  %.1f ms a commit, of %.0f\n",
                  commits > 0 ? spent / commits * 1e3 : 0.0, commits);
    k2_demo_pause(demo);
    k2_buf_done(&text);
    return rows >= ROWS ||
           k2_err_set(err, K2_BUG, "the metrics know of %.0f rows, %d were committed", rows, ROWS);
}

/* Until the pipeline of the home is run by the process that was started. */
static bool wait_for_serve(struct k2_demo *demo, struct k2_err *err) {
    for (int waited = 0; waited < WAIT_MS; waited += POLL_MS) {
        if (k2_path_exists(k2_home_path(demo->home, "run/pipeline.sock")))
            return true;
        poll(NULL, 0, POLL_MS);
    }
    return k2_err_set(err, K2_BUG, "k2 serve did not start");
}

bool k2_demo_monitor(struct k2_demo *demo, struct k2_err *err) {
    const char *words[] = {"serve", NULL};
    pid_t serve;
    int64_t started = k2_monotonic_ns();
    k2_demo_show_command(words);
    K2_TRY(k2_demo_start(demo, words, &serve, err));
    bool ok = wait_for_serve(demo, err) && hang_and_recover(demo, serve, err);
    kill(serve, SIGTERM);
    struct k2_err why;
    if (!k2_demo_wait(demo, serve, ok ? err : &why))
        return false;
    return ok && show_metrics(demo, (double)(k2_monotonic_ns() - started) / 1e9, err);
}
