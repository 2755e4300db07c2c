/* replay_cmd.c -- k2 replay: a pinned snapshot as an ordered stream, and its digest. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/date.h"
#include "cli/cli.h"
#include "cli/replay_to.h"
#include "query/replay.h"
#include "query/replay_format.h"

enum { SYMBOLS_MAX = 256 };

struct job {
    struct k2_replay_opts opts;
    struct k2_str symbols[SYMBOLS_MAX];
    const char *format, *to_url;
    struct k2_outlet outlet;
    struct k2_replay_writer *writer; /* NULL: only the digest is wanted */
    bool shows_progress;
    int64_t started_ns, said_ns, rows;
};

/* ---- arguments ---- */

static bool parse_table(struct job *job, const char *table, struct k2_err *err) {
    job->opts.schema = k2_table_typed(table, err);
    if (!job->opts.schema)
        return false;
    if (job->opts.schema->kind == K2_TRADE || job->opts.schema->kind == K2_QUOTE)
        return true;
    return k2_err_set(err, K2_USAGE, "replay %s: only trades and quotes can be replayed", table);
}

static bool parse_symbols(struct job *job, const char *list, struct k2_err *err) {
    struct k2_str rest = k2_str_of(list);
    job->opts.symbols = job->symbols;
    while (rest.ptr) {
        struct k2_str symbol = k2_str_split(rest, ',', &rest);
        if (!symbol.len)
            return k2_err_set(err, K2_USAGE, "--symbol \"%s\" has an empty symbol in it", list);
        if (job->opts.symbol_count == SYMBOLS_MAX)
            return k2_err_set(err, K2_USAGE, "--symbol takes at most %d symbols", SYMBOLS_MAX);
        job->symbols[job->opts.symbol_count++] = symbol;
    }
    return true;
}

static bool parse_speed(struct job *job, const char *text, struct k2_err *err) {
    enum { SPEED_MAX = 1000000000 };
    if (!text || strcmp(text, "max") == 0)
        return true;
    char *end;
    job->opts.speed = strtod(text, &end);
    if (end != text && !*end && isfinite(job->opts.speed) && job->opts.speed > 0 &&
        job->opts.speed <= SPEED_MAX)
        return true;
    return k2_err_set(err, K2_USAGE,
                      "--speed %s: wants max, or how many times faster than the rows' own times, "
                      "above 0 and up to %d",
                      text, SPEED_MAX);
}

static bool parse_time(const char *flag, const char *text, bool *ret_has, int64_t *ret_ns,
                       struct k2_err *err) {
    *ret_has = text != NULL;
    if (!text || k2_iso_to_ns(k2_str_of(text), ret_ns, err))
        return true;
    err->code = K2_USAGE;
    return k2_err_wrap(err, "--%s", flag);
}

/* --to is given for the end of the time range, for where the rows go, or once for each. */
static bool parse_to(struct job *job, const struct k2_args *args, struct k2_err *err) {
    const char *time = NULL;
    for (int i = 0; args->flags[i].name; i++) {
        const char *value = args->values[i];
        if (!value || strcmp(args->flags[i].name, "to") != 0)
            continue;
        const char **what = strstr(value, "://") ? &job->to_url : &time;
        if (*what)
            return k2_err_set(err, K2_USAGE, "--to %s and --to %s: one of them is enough", *what,
                              value);
        *what = value;
    }
    return parse_time("to", time, &job->opts.has_to, &job->opts.to_ns, err);
}

static bool parse_args(struct job *job, const struct k2_args *args, struct k2_err *err) {
    struct k2_replay_opts *o = &job->opts;
    const char *exchange = k2_arg(args, "exchange"), *format = k2_arg(args, "format");
    o->as_of = k2_arg(args, "as-of");
    o->follows = k2_arg(args, "follow") != NULL;
    job->format = format ? format : "ndjson";
    if (exchange)
        o->exchange = k2_str_of(exchange);
    K2_TRY(parse_table(job, args->words[0], err));
    K2_TRY(parse_symbols(job, k2_arg(args, "symbol"), err));
    K2_TRY(parse_speed(job, k2_arg(args, "speed"), err));
    K2_TRY(parse_time("from", k2_arg(args, "from"), &o->has_from, &o->from_ns, err));
    K2_TRY(parse_to(job, args, err));
    if (exchange && !*exchange)
        return k2_err_set(err, K2_USAGE, "--exchange is empty");
    if (o->has_from && o->has_to && o->from_ns >= o->to_ns)
        return k2_err_set(err, K2_USAGE, "--from %s is not before --to", k2_arg(args, "from"));
    return true;
}

/* ---- the run ---- */

static void show_progress(struct job *job, const struct k2_batch *batch, const uint32_t *rows,
                          uint32_t count) {
    int64_t now = k2_monotonic_ns();
    job->rows += count;
    if (!count || now - job->said_ns < 100000000)
        return;
    char reached[40];
    int column = k2_kind_columns[batch->schema->kind].timestamp;
    double seconds = (double)(now - job->started_ns) / 1e9;
    k2_us_to_iso(batch->col[column].i64[rows[count - 1]], reached);
    k2_progress("%.2f M rows, up to %s, %.2f M/s", (double)job->rows / 1e6, reached,
                (double)job->rows / seconds / 1e6);
    job->said_ns = now;
}

static bool emit(void *self, const struct k2_batch *batch, const uint32_t *rows, uint32_t count,
                 struct k2_err *err) {
    struct job *job = self;
    if (job->shows_progress)
        show_progress(job, batch, rows, count);
    if (!job->writer)
        return true;
    if (count)
        return k2_replay_writer_add(job->writer, batch, rows, count, err);
    return k2_replay_writer_flush(job->writer, err) && k2_outlet_check(&job->outlet, err);
}

static bool write_all(struct job *job, struct k2_replay_result *result, struct k2_err *err) {
    return k2_replay_writer_begin(job->writer, err) &&
           k2_replay_run(&job->opts, emit, job, result, err) &&
           (job->outlet.is_left || k2_replay_writer_end(job->writer, err));
}

static bool run(struct job *job, struct k2_replay_result *result, struct k2_err *err) {
    /* Rows on the same terminal tell how far it is. */
    job->shows_progress =
        k2_stderr_is_terminal() && (!job->writer || job->to_url || !isatty(STDOUT_FILENO));
    job->started_ns = job->said_ns = k2_monotonic_ns();
    if (!job->writer)
        return k2_replay_run(&job->opts, job->shows_progress ? emit : NULL, job, result, err);
    K2_TRY(k2_outlet_open(&job->outlet, job->to_url, &k2_stop_asked, err));
    bool ok = write_all(job, result, err) || job->outlet.is_left;
    k2_outlet_close(&job->outlet);
    if (job->outlet.is_left)
        result->is_complete = false;
    return ok;
}

static bool open_writer(struct job *job, struct k2_err *err) {
    job->opts.reads_all = strcmp(job->format, "none") != 0;
    if (!job->opts.reads_all)
        return !job->to_url || k2_err_set(err, K2_USAGE,
                                          "--to %s: with --format none there is "
                                          "nothing to send",
                                          job->to_url);
    job->writer = k2_replay_writer_new(job->opts.schema, k2_str_of(job->format), k2_outlet_write,
                                       &job->outlet, err);
    return job->writer != NULL;
}

static void say_end(const struct k2_replay_result *result) {
    char digest[33];
    k2_hash128_hex(result->digest, digest);
    k2_progress_end();
    fprintf(stderr, "rows=%" PRId64 " digest=%s snapshot=%" PRId64 " complete=%s\n", result->rows,
            digest, result->snapshot_id, result->is_complete ? "yes" : "no");
}

/* A reader that has enough and a signal to one that follows are how replays end; a signal to one
 * that does not is an end before its time. */
int k2_cmd_replay(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct job job = {.opts = {.stop = &k2_stop_asked}, .outlet = {.fd = -1}};
    struct k2_replay_result result = {0};
    bool ok = parse_args(&job, args, err) && open_writer(&job, err) &&
              k2_home_open(home, K2_HOME_LAKE, err);
    if (ok) {
        job.opts.lake = home->lake;
        job.opts.memory = k2_config_i64(home->config, "replay.memory");
        ok = run(&job, &result, err);
    }
    k2_replay_writer_free(job.writer);
    if (!ok)
        return -1;
    say_end(&result);
    if (!result.is_stopped || job.outlet.is_left || job.opts.follows)
        return K2_EXIT_DONE;
    k2_err_set(err, K2_CANCELLED, "stopped before its end");
    return -1;
}
