/* query_cmd.c -- k2 query, and the ledgers' commands, which are queries K2 wrote itself. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/query_run.h"

/* Ctrl-C reaches the engine through a thread of its own: a signal handler may not call it. The
 * thread looks now and then, and is woken at the end so that nobody waits for its next look. */
struct canceller {
    struct k2_query *query;
    bool is_done; /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t done;
    pthread_t thread;
};

static void *watch(void *self) {
    enum { LOOK_NS = 5000000 };
    struct canceller *c = self;
    bool is_told = false;
    pthread_mutex_lock(&c->lock);
    while (!c->is_done) {
        if (atomic_load(&k2_stop_asked) && !is_told) {
            k2_query_cancel(c->query);
            is_told = true;
        }
        int64_t until = k2_monotonic_ns() + LOOK_NS;
        struct timespec at = {until / 1000000000, until % 1000000000};
        pthread_cond_timedwait(&c->done, &c->lock, &at);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static bool watch_begin(struct canceller *c) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->done, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&c->lock, NULL);
    return pthread_create(&c->thread, NULL, watch, c) == 0;
}

static void watch_end(struct canceller *c, bool is_watched) {
    pthread_mutex_lock(&c->lock);
    c->is_done = true;
    pthread_cond_signal(&c->done);
    pthread_mutex_unlock(&c->lock);
    if (is_watched)
        pthread_join(c->thread, NULL);
    pthread_cond_destroy(&c->done);
    pthread_mutex_destroy(&c->lock);
}

struct output {
    int fd; /* -1: standard output */
};

static bool write_out(void *self, const void *bytes, size_t len, struct k2_err *err) {
    struct output *o = self;
    if (o->fd >= 0)
        return k2_fd_write(o->fd, bytes, len, err);
    k2_out(k2_str_make(bytes, len));
    return k2_out_flush(err);
}

/* ---- opening ---- */

/* The lake is opened on a thread of its own while this one starts DuckDB, which takes longer; what
 * is left of that time goes into reading what the plan will want. Until the thread has ended, it
 * alone uses the home. */
struct lake_opening {
    struct k2_home *home;
    struct k2_str sql;
    atomic_bool is_enough; /* DuckDB has started */
    bool is_open;
    struct k2_err err;
};

static void *open_lake(void *self) {
    struct lake_opening *o = self;
    o->is_open = k2_home_open(o->home, K2_HOME_LAKE, &o->err);
    if (o->is_open)
        k2_query_read_ahead(o->home->lake, o->sql, &o->is_enough);
    return NULL;
}

bool k2_query_begin_home(struct k2_home *home, struct k2_str sql, struct k2_query **ret_begun,
                         struct k2_err *err) {
    struct lake_opening o = {.home = home, .sql = sql};
    pthread_t thread;
    K2_TRY(k2_home_open(home, 0, err)); /* whether it is there at all is said before all that */
    bool has_thread = pthread_create(&thread, NULL, open_lake, &o) == 0;
    struct k2_query *begun = k2_query_begin(err);
    atomic_store(&o.is_enough, true);
    if (has_thread)
        pthread_join(thread, NULL);
    else
        open_lake(&o);
    if (begun && o.is_open) {
        *ret_begun = begun;
        return true;
    }
    k2_query_free(begun);
    if (!o.is_open)
        *err = o.err;
    return false;
}

/* ---- running ---- */

bool k2_query_stream(struct k2_home *home, const struct k2_statement *statement,
                     struct k2_query_result *ret, struct k2_err *err) {
    struct output output = {statement->fd};
    struct k2_query_opts opts = {.lake = home->lake,
                                 .as_of = statement->as_of,
                                 .limits = *statement->limits,
                                 .spill = k2_home_path(home, "spill"),
                                 .begun = statement->begun};
    struct canceller c = {.query = k2_query_open(&opts, err)};
    if (!c.query)
        return false;
    bool is_watched = watch_begin(&c);
    bool ok =
        k2_query_run(c.query, statement->sql, statement->format, write_out, &output, ret, err);
    watch_end(&c, is_watched);
    if (statement->is_last)
        k2_query_leave(c.query);
    else
        k2_query_free(c.query);
    return ok;
}

static bool limits_of(struct k2_home *home, const struct k2_args *args, struct k2_query_limits *ret,
                      struct k2_err *err) {
    int64_t seconds = -1;
    ret->timeout_ms = k2_config_i64(home->config, "query.timeout_ms");
    ret->rows = 0;
    if (!args) {
        ret->memory = k2_config_i64(home->config, "query.memory");
        return true;
    }
    const char *memory = k2_arg(args, "limit-memory");
    if (memory)
        K2_TRY(k2_config_set(home->config, "query.memory", memory, "--limit-memory", err));
    K2_TRY(k2_arg_i64(args, "timeout", 0, 1000000, &seconds, err));
    K2_TRY(k2_arg_i64(args, "limit-rows", 1, INT64_MAX, &ret->rows, err));
    if (seconds >= 0)
        ret->timeout_ms = seconds * 1000;
    ret->memory = k2_config_i64(home->config, "query.memory");
    return true;
}

static bool read_stdin(struct k2_buf *sql, struct k2_err *err) {
    enum { SQL_MAX = 1 << 20 };
    for (;;) {
        char *at = k2_buf_reserve(sql, 65536);
        ssize_t got = read(STDIN_FILENO, at, 65536);
        if (got < 0)
            return k2_err_sys(err, "read SQL from standard input");
        if (got == 0)
            return true;
        sql->len += (size_t)got;
        if (sql->len > SQL_MAX)
            return k2_err_set(err, K2_LIMIT, "SQL on standard input is longer than 1 MiB");
    }
}

static void say_result(const struct k2_query_result *r, const struct k2_query_limits *limits) {
    if (r->is_cut)
        k2_say("query: cut at %" PRId64 " rows (--limit-rows)", limits->rows);
}

int k2_cmd_query(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    enum k2_format format = K2_FORMAT_TABLE;
    const char *name = k2_arg(args, "format"), *path = k2_arg(args, "out");
    if (name && !k2_format_parse(k2_str_of(name), &format)) {
        k2_err_set(err, K2_USAGE,
                   "--format %s: query writes table, csv, json, ndjson, parquet or arrow", name);
        return -1;
    }
    struct k2_query_limits limits;
    struct k2_query_result result = {0};
    struct k2_statement statement = {.as_of = k2_arg(args, "as-of"),
                                     .limits = &limits,
                                     .format = format,
                                     .fd = -1,
                                     .is_last = true};
    struct k2_buf sql = {0};
    const char *text = args->count ? args->words[0] : "-";
    bool ok = limits_of(home, args, &limits, err);
    if (!args->count && !path && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return ok && k2_home_open(home, K2_HOME_LAKE, err)
                   ? k2_query_prompt(home, statement.as_of, &limits, format, err)
                   : -1;
    if (ok && strcmp(text, "-") == 0)
        ok = read_stdin(&sql, err);
    else
        k2_buf_text(&sql, text);
    if (ok && !k2_str_trim(k2_buf_view(&sql)).len)
        ok = k2_err_set(err, K2_USAGE,
                        "no SQL was given; try: k2 query \"select * from trades limit 10\"");
    statement.sql = k2_buf_view(&sql);
    ok = ok && k2_query_begin_home(home, statement.sql, &statement.begun, err);
    if (ok && path) {
        statement.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        ok = statement.fd >= 0 || k2_err_sys(err, "create %s", path);
        if (!ok)
            k2_query_free(statement.begun);
    }
    ok = ok && k2_query_stream(home, &statement, &result, err);
    if (statement.fd >= 0 && close(statement.fd) && ok)
        ok = k2_err_sys(err, "write %s", path);
    if (!ok && path)
        unlink(path);
    k2_buf_done(&sql);
    if (ok)
        say_result(&result, &limits);
    return ok ? K2_EXIT_DONE : -1;
}

int k2_run_sql(struct k2_home *home, const char *sql, const char *format, struct k2_err *err) {
    enum k2_format form = K2_FORMAT_TABLE;
    struct k2_query_limits limits;
    struct k2_query_result result;
    if (format && !k2_format_parse(k2_str_of(format), &form)) {
        k2_err_set(err, K2_USAGE, "--format %s: use table, csv, json, ndjson, parquet or arrow",
                   format);
        return -1;
    }
    struct k2_statement statement = {
        .sql = k2_str_of(sql), .limits = &limits, .format = form, .fd = -1, .is_last = true};
    bool ok = limits_of(home, NULL, &limits, err) &&
              (home->lake || k2_query_begin_home(home, statement.sql, &statement.begun, err)) &&
              k2_query_stream(home, &statement, &result, err);
    return ok ? K2_EXIT_DONE : -1;
}
