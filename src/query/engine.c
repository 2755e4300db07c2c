/* engine.c -- opens DuckDB locked down, streams results, and stops what runs too long. */
#include "query/engine.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "query/utc.h"

enum stop { STOP_NONE, STOP_CANCEL, STOP_TIMEOUT };

struct k2_engine {
    duckdb_database db;
    duckdb_connection con;
    bool is_broken;
    atomic_int stop; /* enum stop */
    int64_t timeout_ms;
    pthread_mutex_t lock; /* guards is_running and the wake-up of the watchdog */
    pthread_cond_t wake;
    pthread_t watchdog;
    bool is_running;
};

duckdb_connection k2_engine_connection(struct k2_engine *engine) {
    return engine->con;
}

bool k2_engine_is_broken(const struct k2_engine *engine) {
    return engine->is_broken;
}

static void put_quoted(struct k2_buf *out, struct k2_str text, char quote) {
    k2_buf_byte(out, (uint8_t)quote);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == quote)
            k2_buf_byte(out, (uint8_t)quote);
        k2_buf_byte(out, (uint8_t)text.ptr[i]);
    }
    k2_buf_byte(out, (uint8_t)quote);
}

void k2_sql_literal(struct k2_buf *out, struct k2_str text) {
    put_quoted(out, text, '\'');
}

void k2_sql_name(struct k2_buf *out, struct k2_str name) {
    put_quoted(out, name, '"');
}

void k2_sql_plain_path(struct k2_buf *out, struct k2_str path) {
    for (size_t i = 0; i < path.len; i++) {
        bool is_special = memchr("*?[", path.ptr[i], 3) != NULL;
        if (is_special)
            k2_buf_byte(out, '[');
        k2_buf_byte(out, (uint8_t)path.ptr[i]);
        if (is_special)
            k2_buf_byte(out, ']');
    }
}

/* ---- open ---- */

/* A folder goes by its own name and by the pattern that means it. */
static void put_folder(struct k2_buf *sql, const char *dir, bool is_first) {
    struct k2_buf name = {0}, pattern = {0};
    k2_buf_printf(&name, "%s/", dir);
    k2_sql_plain_path(&pattern, k2_buf_view(&name));
    k2_buf_text(sql, is_first ? "" : ",");
    k2_sql_literal(sql, k2_buf_view(&name));
    k2_buf_byte(sql, ',');
    k2_sql_literal(sql, k2_buf_view(&pattern));
    k2_buf_done(&name);
    k2_buf_done(&pattern);
}

/* What is the same for every engine. */
static const char *const common_sql =
    "SET TimeZone='UTC'; SET parquet_metadata_cache=true; SET enable_progress_bar=false; "
    "SET allow_persistent_secrets=false; CREATE SCHEMA k2; CREATE SCHEMA market_data; "
    "CREATE SCHEMA reference_data; CREATE SCHEMA ops; "
    "SET search_path='market_data,reference_data,ops';";

/* The order matters: a setting is refused once external access is off, all once it is locked. */
static void lockdown_sql(const struct k2_engine_opts *opts, struct k2_buf *sql) {
    k2_buf_text(sql, "SET temp_directory=");
    k2_sql_literal(sql, k2_str_of(opts->spill ? opts->spill : ""));
    if (opts->memory)
        k2_buf_printf(sql, "; SET memory_limit='%" PRId64 "B'", opts->memory);
    k2_buf_text(sql, "; SET allowed_directories=[");
    for (int i = 0; i < opts->dir_count; i++)
        put_folder(sql, opts->dirs[i], i == 0);
    if (opts->out_dir)
        put_folder(sql, opts->out_dir, opts->dir_count == 0);
    k2_buf_text(sql, "]; SET enable_external_access=false; SET lock_configuration=true;");
}

static bool open_database(struct k2_engine *engine, int thread_count, struct k2_err *err) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    char threads[16];
    snprintf(threads, sizeof threads, "%ld",
             thread_count ? thread_count : K2_MAX(1, K2_MIN(processors, 64)));
    const char *const settings[][2] = {{"autoinstall_known_extensions", "false"},
                                       {"autoload_known_extensions", "false"},
                                       {"allow_community_extensions", "false"},
                                       {"threads", threads}};
    duckdb_config config = NULL;
    char *message = NULL;
    bool ok = duckdb_create_config(&config) == DuckDBSuccess;
    for (size_t i = 0; ok && i < K2_COUNT(settings); i++)
        ok = duckdb_set_config(config, settings[i][0], settings[i][1]) == DuckDBSuccess;
    ok = ok && duckdb_open_ext(":memory:", &engine->db, config, &message) == DuckDBSuccess &&
         duckdb_connect(engine->db, &engine->con) == DuckDBSuccess;
    if (!ok)
        k2_err_set(err, K2_BUG, "open DuckDB: %s", message ? message : "it refused its settings");
    duckdb_free(message);
    duckdb_destroy_config(&config);
    return ok;
}

struct k2_engine *k2_engine_start(int threads, struct k2_err *err) {
    struct k2_engine *engine = k2_new(struct k2_engine);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&engine->lock, NULL);
    if (open_database(engine, threads, err) && k2_utc_register(engine->con, err) &&
        k2_engine_exec(engine, common_sql, err))
        return engine;
    k2_err_wrap(err, "start the query engine");
    k2_engine_free(engine);
    return NULL;
}

bool k2_engine_lock(struct k2_engine *engine, const struct k2_engine_opts *opts,
                    struct k2_err *err) {
    struct k2_buf sql = {0};
    lockdown_sql(opts, &sql);
    bool ok = k2_engine_exec(engine, k2_buf_cstr(&sql), err);
    k2_buf_done(&sql);
    return ok || k2_err_wrap(err, "start the query engine");
}

void k2_engine_free(struct k2_engine *engine) {
    if (!engine)
        return;
    duckdb_disconnect(&engine->con);
    duckdb_close(&engine->db);
    k2_engine_leave(engine);
}

void k2_engine_leave(struct k2_engine *engine) {
    if (!engine)
        return;
    duckdb_disconnect(&engine->con);
    pthread_cond_destroy(&engine->wake);
    pthread_mutex_destroy(&engine->lock);
    k2_free(engine);
}

/* ---- the watchdog ---- */

static struct timespec after_ns(int64_t at_ns) {
    return (struct timespec){at_ns / 1000000000, at_ns % 1000000000};
}

/* An interrupt that comes between two statements is forgotten by DuckDB, so it is repeated until
 * the run has ended. */
static void *watch(void *self) {
    enum { REPEAT_NS = 5000000 };
    struct k2_engine *engine = self;
    int64_t deadline = k2_monotonic_ns() + engine->timeout_ms * 1000000;
    pthread_mutex_lock(&engine->lock);
    while (engine->is_running) {
        int64_t now = k2_monotonic_ns();
        int none = STOP_NONE;
        if (engine->timeout_ms && now >= deadline)
            atomic_compare_exchange_strong(&engine->stop, &none, STOP_TIMEOUT);
        if (atomic_load(&engine->stop)) {
            duckdb_interrupt(engine->con);
            struct timespec until = after_ns(now + REPEAT_NS);
            pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
        } else if (engine->timeout_ms) {
            struct timespec until = after_ns(deadline);
            pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
        } else {
            pthread_cond_wait(&engine->wake, &engine->lock);
        }
    }
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

bool k2_engine_begin(struct k2_engine *engine, int64_t timeout_ms, struct k2_err *err) {
    K2_ASSERT(!engine->is_running);
    engine->timeout_ms = timeout_ms;
    engine->is_running = true;
    int failed = pthread_create(&engine->watchdog, NULL, watch, engine);
    if (failed) {
        engine->is_running = false;
        return k2_err_set(err, K2_LIMIT, "no thread for the query's watchdog (error %d)", failed);
    }
    return true;
}

void k2_engine_end(struct k2_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->is_running = false;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->watchdog, NULL);
    atomic_store(&engine->stop, STOP_NONE);
}

void k2_engine_cancel(struct k2_engine *engine) {
    int none = STOP_NONE;
    pthread_mutex_lock(&engine->lock);
    atomic_compare_exchange_strong(&engine->stop, &none, STOP_CANCEL);
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

bool k2_engine_check(struct k2_engine *engine, struct k2_err *err) {
    switch (atomic_load_explicit(&engine->stop, memory_order_relaxed)) {
    case STOP_CANCEL: return k2_err_set(err, K2_CANCELLED, "the query was cancelled");
    case STOP_TIMEOUT:
        return k2_err_set(err, K2_CANCELLED,
                          "the query was stopped after %" PRId64 " ms (its time limit)",
                          engine->timeout_ms);
    default: return true;
    }
}

/* ---- errors ---- */

static const struct error_kind {
    const char *prefix;
    enum k2_code code;
} error_kinds[] = {
    {"Parser Error: ", K2_USAGE},
    {"Syntax Error: ", K2_USAGE},
    {"Binder Error: ", K2_USAGE},
    {"Catalog Error: ", K2_USAGE},
    {"Planner Error: ", K2_USAGE},
    {"Not implemented Error: ", K2_USAGE},
    {"Parameter Not Allowed Error: ", K2_USAGE},
    {"Parameter Not Resolved Error: ", K2_USAGE},
    {"Expression Error: ", K2_USAGE},
    {"Mismatch Type Error: ", K2_USAGE},
    {"Invalid type Error: ", K2_USAGE},
    {"Conversion Error: ", K2_INVALID},
    {"Out of Range Error: ", K2_INVALID},
    {"Invalid Input Error: ", K2_INVALID},
    {"Divide by Zero Error: ", K2_INVALID},
    {"Decimal Error: ", K2_INVALID},
    {"Out of Memory Error: ", K2_LIMIT},
    {"Object Size Error: ", K2_LIMIT},
    {"INTERRUPT Error: ", K2_CANCELLED},
    {"Permission Error: ", K2_DENIED},
    {"IO Error: ", K2_IO},
    {"INTERNAL Error: ", K2_BUG},
    {"FATAL Error: ", K2_BUG},
};

/* The text up to DuckDB's picture of the place ("LINE 1: select ..." and a caret), on one line. */
static void one_line(struct k2_str message, struct k2_buf *out) {
    const char *line = memmem(message.ptr, message.len, "\n\nLINE ", 7);
    size_t len = line ? (size_t)(line - message.ptr) : message.len;
    bool was_space = true;
    for (size_t i = 0; i < len; i++) {
        bool is_space = message.ptr[i] == '\n' || message.ptr[i] == '\t' || message.ptr[i] == ' ';
        if (!is_space && was_space && out->len)
            k2_buf_byte(out, ' ');
        if (!is_space)
            k2_buf_byte(out, (uint8_t)message.ptr[i]);
        was_space = is_space;
    }
    if (line) {
        struct k2_str number = {line + 7, 0};
        while (number.ptr + number.len < message.ptr + message.len && number.len < 9 &&
               number.ptr[number.len] >= '0' && number.ptr[number.len] <= '9')
            number.len++;
        k2_buf_printf(out, " (line %.*s)", K2_FMT(number));
    }
}

static void memory_error(const struct k2_buf *text, struct k2_err *err) {
    k2_err_set(err, K2_LIMIT,
               "the query needs more memory than its limit; read fewer rows or columns, or "
               "raise --limit-memory (%.*s)",
               (int)K2_MIN(text->len, (size_t)200), text->ptr);
}

void k2_engine_error(struct k2_engine *engine, const char *message, struct k2_err *err) {
    struct k2_str rest = k2_str_of(message ? message : "DuckDB gave no reason");
    enum k2_code code = K2_INVALID;
    for (size_t i = 0; i < K2_COUNT(error_kinds); i++) {
        if (!k2_str_starts(rest, error_kinds[i].prefix))
            continue;
        size_t skip = strlen(error_kinds[i].prefix);
        rest = (struct k2_str){rest.ptr + skip, rest.len - skip};
        code = error_kinds[i].code;
        break;
    }
    engine->is_broken |= code == K2_BUG;
    if (code == K2_CANCELLED && !k2_engine_check(engine, err))
        return;
    struct k2_buf text = {0};
    one_line(rest, &text);
    if (code == K2_LIMIT)
        memory_error(&text, err);
    else
        k2_err_set(err, code, "%.*s", K2_FMT(k2_buf_view(&text)));
    k2_buf_done(&text);
}

/* ---- statements ---- */

bool k2_engine_exec(struct k2_engine *engine, const char *sql, struct k2_err *err) {
    duckdb_result result;
    bool ok = duckdb_query(engine->con, sql, &result) == DuckDBSuccess;
    if (!ok)
        k2_engine_error(engine, duckdb_result_error(&result), err);
    duckdb_destroy_result(&result);
    return ok;
}

static bool first_text(struct k2_engine *engine, duckdb_prepared_statement statement,
                       struct k2_buf *out, struct k2_err *err) {
    duckdb_result result;
    bool ok = duckdb_execute_prepared(statement, &result) == DuckDBSuccess;
    if (!ok)
        k2_engine_error(engine, duckdb_result_error(&result), err);
    duckdb_data_chunk chunk = ok ? duckdb_fetch_chunk(result) : NULL;
    if (chunk) {
        duckdb_string_t *text = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
        k2_buf_append(out, duckdb_string_t_data(text), duckdb_string_t_length(*text));
    }
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    return ok;
}

bool k2_engine_text(struct k2_engine *engine, const char *sql, struct k2_str text,
                    struct k2_buf *out, struct k2_err *err) {
    duckdb_prepared_statement statement = NULL;
    bool ok = duckdb_prepare(engine->con, sql, &statement) == DuckDBSuccess &&
              duckdb_bind_varchar_length(statement, 1, text.ptr, text.len) == DuckDBSuccess;
    if (!ok)
        k2_engine_error(engine, duckdb_prepare_error(statement), err);
    ok = ok && first_text(engine, statement, out, err);
    duckdb_destroy_prepare(&statement);
    return ok;
}

/* True when sql is one statement and that one a COPY. */
static bool is_one_copy(struct k2_engine *engine, const char *sql) {
    duckdb_extracted_statements statements = NULL;
    duckdb_prepared_statement statement = NULL;
    bool ok = duckdb_extract_statements(engine->con, sql, &statements) == 1 &&
              duckdb_prepare_extracted_statement(engine->con, statements, 0, &statement) ==
                  DuckDBSuccess &&
              duckdb_prepared_statement_type(statement) == DUCKDB_STATEMENT_TYPE_COPY;
    duckdb_destroy_prepare(&statement);
    duckdb_destroy_extracted(&statements);
    return ok;
}

bool k2_engine_copy(struct k2_engine *engine, const char *sql, int64_t *ret_rows,
                    struct k2_err *err) {
    struct k2_stream stream;
    K2_TRY(k2_stream_prepare(&stream, engine, sql, err));
    duckdb_data_chunk chunk = NULL;
    bool ok = (is_one_copy(engine, sql) ||
               k2_err_set(err, K2_BUG, "the copy of a query's result is not one COPY")) &&
              k2_stream_start(&stream, err) && k2_stream_next(&stream, &chunk, err);
    if (chunk)
        *ret_rows = *(int64_t *)duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
    duckdb_destroy_data_chunk(&chunk);
    k2_stream_done(&stream);
    return ok;
}

bool k2_stream_prepare(struct k2_stream *stream, struct k2_engine *engine, const char *sql,
                       struct k2_err *err) {
    *stream = (struct k2_stream){.engine = engine};
    if (duckdb_prepare(engine->con, sql, &stream->statement) == DuckDBSuccess)
        return true;
    k2_engine_error(engine, duckdb_prepare_error(stream->statement), err);
    k2_stream_done(stream);
    return false;
}

bool k2_stream_start(struct k2_stream *stream, struct k2_err *err) {
    duckdb_pending_result pending = NULL;
    if (duckdb_pending_prepared_streaming(stream->statement, &pending) != DuckDBSuccess) {
        k2_engine_error(stream->engine, duckdb_pending_error(pending), err);
        duckdb_destroy_pending(&pending);
        return false;
    }
    stream->has_result = true;
    bool ok = duckdb_execute_pending(pending, &stream->result) == DuckDBSuccess;
    if (!ok)
        k2_engine_error(stream->engine, duckdb_result_error(&stream->result), err);
    duckdb_destroy_pending(&pending);
    return ok;
}

bool k2_stream_next(struct k2_stream *stream, duckdb_data_chunk *ret_chunk, struct k2_err *err) {
    K2_TRY(k2_engine_check(stream->engine, err));
    duckdb_data_chunk chunk = duckdb_fetch_chunk(stream->result);
    const char *message = chunk ? NULL : duckdb_result_error(&stream->result);
    if (message) {
        k2_engine_error(stream->engine, message, err);
        return false;
    }
    if (chunk && duckdb_data_chunk_get_size(chunk) == 0)
        duckdb_destroy_data_chunk(&chunk);
    *ret_chunk = chunk;
    return true;
}

void k2_stream_done(struct k2_stream *stream) {
    if (stream->has_result)
        duckdb_destroy_result(&stream->result);
    duckdb_destroy_prepare(&stream->statement);
    *stream = (struct k2_stream){0};
}
