/* query_prompt.c -- k2 query without SQL at a terminal: statements one after another. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/prompt.h"
#include "cli/query_run.h"
#include "query/tables.h"

enum { ROWS_SHOWN = 1000, WORDS_MAX = 512 };

static const char *const keywords[] = {
    "select",       "from",     "where",    "group by",  "order by",
    "having",       "limit",    "with",     "join",      "using",
    "between",      "interval", "distinct", "union",     "case",
    "when",         "describe", "explain",  "qualify",   "window",
    "count(*)",     "sum(",     "avg(",     "min(",      "max(",
    "first(",       "last(",    "asof",     "summarize", "date_trunc('",
    "time_bucket(", ".help",    ".tables",  ".format",   ".as-of",
    ".quit",        NULL};

struct session {
    struct k2_home *home;
    struct k2_query_limits limits;
    enum k2_format format;
    char *as_of; /* NULL: now */
    bool is_over;
};

/* Tables, their columns and keywords, each once. */
static void gather_words(const char **words) {
    int count = 0;
    for (int i = 0; keywords[i]; i++)
        words[count++] = keywords[i];
    for (int i = 0; i < K2_SQL_TABLE_COUNT; i++)
        words[count++] = k2_sql_table_of(i)->name;
    words[count++] = "message_id";
    words[count++] = "timestamp_ns";
    for (int kind = 0; kind < K2_KIND_COUNT; kind++) {
        const struct k2_schema *schema = k2_schema_of((enum k2_kind)kind);
        for (int c = 0; schema && c < schema->column_count; c++) {
            bool is_there = false;
            for (int i = 0; !is_there && i < count; i++)
                is_there = strcmp(words[i], schema->columns[c].name) == 0;
            if (!is_there && count + 1 < WORDS_MAX)
                words[count++] = schema->columns[c].name;
        }
    }
    words[count] = NULL;
}

static void help(void) {
    k2_out_printf(
        "SQL ends with ';' or an empty line. Tab completes, Ctrl-R searches, Ctrl-C stops "
        "a query, Ctrl-D leaves.\n"
        "  .tables        the tables; DESCRIBE trades; tells what one holds\n"
        "  .format F      table, csv, json or ndjson\n"
        "  .as-of S       a snapshot id, a tag or a time; alone: now again\n"
        "  .quit\n");
}

static void set_format(struct session *s, struct k2_str name) {
    enum k2_format format;
    if (!k2_format_parse(name, &format) || format == K2_FORMAT_PARQUET || format == K2_FORMAT_ARROW)
        k2_say(".format %.*s: here it is table, csv, json or ndjson", K2_FMT(name));
    else
        s->format = format;
}

static void command(struct session *s, struct k2_str line) {
    struct k2_str value, word = k2_str_split(line, ' ', &value);
    value = k2_str_trim(value);
    if (k2_str_is(word, ".quit") || k2_str_is(word, ".exit")) {
        s->is_over = true;
    } else if (k2_str_is(word, ".help")) {
        help();
    } else if (k2_str_is(word, ".tables")) {
        for (int i = 0; i < K2_SQL_TABLE_COUNT; i++)
            k2_out_printf("%s.%s\n", k2_sql_table_of(i)->schema, k2_sql_table_of(i)->name);
    } else if (k2_str_is(word, ".format")) {
        set_format(s, value);
    } else if (k2_str_is(word, ".as-of")) {
        k2_free(s->as_of);
        s->as_of = NULL;
        if (value.len) {
            struct k2_buf text = {0};
            k2_buf_str(&text, value);
            s->as_of = k2_buf_cstr(&text);
        }
    } else {
        k2_say("there is no %.*s; .help lists what there is", K2_FMT(word));
    }
}

static void run_sql(struct session *s, struct k2_str sql) {
    struct k2_query_result result = {0};
    struct k2_err err = {0};
    int64_t started = k2_monotonic_ns();
    struct k2_statement statement = {
        .sql = sql, .as_of = s->as_of, .limits = &s->limits, .format = s->format, .fd = -1};
    bool ok = k2_query_stream(s->home, &statement, &result, &err);
    double ms = (double)(k2_monotonic_ns() - started) / 1e6;
    struct k2_err out_err = {0};
    if (!k2_out_flush(&out_err))
        s->is_over = true;
    if (!ok)
        k2_say("%s", err.msg);
    else if (result.is_cut)
        k2_say("cut at %" PRId64 " rows (--limit-rows); %.0f ms", s->limits.rows, ms);
    else
        k2_say("%.0f ms, %" PRId64 " of %" PRId64 " files%s%s", ms, result.files, result.files_all,
               s->as_of ? ", as of " : "", s->as_of ? s->as_of : "");
    /* Ctrl-C meant that query. */
    atomic_store(&k2_stop_asked, false);
}

int k2_query_prompt(struct k2_home *home, const char *as_of, const struct k2_query_limits *limits,
                    enum k2_format format, struct k2_err *err) {
    const char *words[WORDS_MAX];
    struct session s = {.home = home, .limits = *limits, .format = format};
    struct k2_buf statement = {0};
    gather_words(words);
    s.as_of = as_of ? k2_strdup(as_of) : NULL;
    if (!s.limits.rows)
        s.limits.rows = ROWS_SHOWN;
    struct k2_prompt *prompt = k2_prompt_open(k2_home_path(home, "run/query_history"), words, err);
    if (!prompt)
        return -1;
    k2_out_printf("SQL on %s; .help tells more, Ctrl-D leaves\n", home->dir);
    bool ok = k2_out_flush(err);
    while (ok && !s.is_over && k2_prompt_next(prompt, &statement)) {
        if (statement.ptr[0] == '.')
            command(&s, k2_str_trim(k2_buf_view(&statement)));
        else
            run_sql(&s, k2_buf_view(&statement));
        ok = k2_out_flush(err);
    }
    k2_prompt_close(prompt);
    k2_buf_done(&statement);
    k2_free(s.as_of);
    return ok ? K2_EXIT_DONE : -1;
}
