/* demo.c -- k2 demo: the whole story on generated data, each step a command anyone could type. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"

enum { WORDS_MAX = 40 };

struct demo {
    struct k2_home *home;
    const char *truth; /* file */
    int disagreements;
};

/* ---- running k2 itself ---- */

static void child(int out, const char *const *words) {
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv("/proc/self/exe", (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Runs k2 with words on the demo's home; its output, both streams, goes to text. */
static bool run(struct demo *demo, const char *const *words, struct k2_buf *text,
                struct k2_err *err) {
    enum { BEFORE = 5 };
    const char *argv[WORDS_MAX] = {"k2", "--home", demo->home->dir, "-o", "commit.rows=60000"};
    int count = BEFORE, ends[2], status;
    for (; words[count - BEFORE]; count++)
        argv[count] = words[count - BEFORE];
    k2_buf_clear(text);
    if (pipe(ends))
        return k2_err_sys(err, "make a pipe");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child(ends[1], argv);
    close(ends[1]);
    for (ssize_t got = 1; pid > 0 && got;) {
        char *at = k2_buf_reserve(text, 4096);
        got = read(ends[0], at, 4096);
        if (got > 0)
            text->len += (size_t)got;
        else if (got < 0 && errno != EINTR)
            break;
    }
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return k2_err_sys(err, "run k2 %s", words[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return k2_err_set(err, K2_BUG, "k2 %s %s failed: %s", words[0], words[1] ? words[1] : "",
                          k2_buf_cstr(text));
    return true;
}

static void heading(int number, const char *title, const char *why) {
    k2_out_printf("\n%d. %s\n   %s\n\n", number, title, why);
}

static void show_command(const char *const *words) {
    k2_out_printf("   $ k2");
    for (int i = 0; words[i]; i++)
        k2_out_printf(strpbrk(words[i], " (*") ? " \"%s\"" : " %s", words[i]);
    k2_out_printf("\n");
}

static void show_text(struct k2_str text, int lines_max) {
    for (int i = 0; text.ptr && text.len && i < lines_max; i++) {
        struct k2_str line = k2_str_split(text, '\n', &text);
        k2_out_printf("   %.*s\n", K2_FMT(line));
    }
    if (text.ptr && text.len)
        k2_out_printf("   ...\n");
}

/* Shows a command, runs it, shows what it printed. */
static bool step(struct demo *demo, int lines_max, struct k2_err *err, const char *const *words) {
    struct k2_buf text = {0};
    show_command(words);
    bool ok = run(demo, words, &text, err);
    if (ok)
        show_text(k2_buf_view(&text), lines_max);
    k2_buf_done(&text);
    return ok;
}

/* The one number a query answers. */
static bool number(struct demo *demo, const char *sql, int64_t *ret, struct k2_err *err) {
    const char *words[] = {"query", sql, "--format", "csv", NULL};
    struct k2_buf text = {0};
    bool ok = run(demo, words, &text, err);
    struct k2_str rest = k2_buf_view(&text);
    k2_str_split(rest, '\n', &rest);
    if (ok && !k2_str_to_i64(k2_str_trim(k2_str_split(rest, '\n', &rest)), ret))
        ok = k2_err_set(err, K2_BUG, "\"%s\" did not answer a number: %s", sql, k2_buf_cstr(&text));
    k2_buf_done(&text);
    return ok;
}

/* ---- planted and found ---- */

static int64_t sum_of(const struct k2_json *list, const char *key) {
    int64_t sum = 0;
    for (size_t i = 0; i < k2_json_count(list); i++)
        sum += k2_json_int(k2_json_get(k2_json_at(list, i), key), 0);
    return sum;
}

static bool compare(struct demo *demo, const char *what, int64_t planted, const char *sql,
                    struct k2_err *err) {
    int64_t found;
    K2_TRY(number(demo, sql, &found, err));
    bool agrees = planted == found;
    k2_out_printf("   %-34s %10" PRId64 " %10" PRId64 "  %s\n", what, planted, found,
                  agrees ? "agree" : "DISAGREE");
    demo->disagreements += !agrees;
    return true;
}

static bool compare_all(struct demo *demo, const struct k2_json *truth, struct k2_err *err) {
    const struct k2_json *rows = k2_json_get(truth, "rows"), *gaps = k2_json_get(truth, "gaps");
    k2_out_printf("   %-34s %10s %10s\n", "", "planted", "found");
    return compare(demo, "good trades", k2_json_int(k2_json_get(rows, "trades"), -1),
                   "select count(*) from trades", err) &&
           compare(demo, "good quotes", k2_json_int(k2_json_get(rows, "quotes"), -1),
                   "select count(*) from quotes", err) &&
           compare(demo, "gaps", (int64_t)k2_json_count(gaps), "select count(*) from gaps", err) &&
           compare(demo, "numbers missing at first", sum_of(gaps, "missing"),
                   "select coalesce(sum(missing), 0)::bigint from gaps", err) &&
           compare(demo, "numbers that came late after all", sum_of(gaps, "filled"),
                   "select coalesce(sum(recovered), 0)::bigint from gaps", err) &&
           compare(demo, "duplicates dropped",
                   (int64_t)k2_json_count(k2_json_get(truth, "duplicates")),
                   "select coalesce(sum(duplicates), 0)::bigint from commits", err) &&
           compare(demo, "bad records set aside", (int64_t)k2_json_count(k2_json_get(truth, "bad")),
                   "select count(*) from dead_letters", err);
}

static bool planted_and_found(struct demo *demo, struct k2_err *err) {
    struct k2_buf text = {0};
    struct k2_json *truth = NULL;
    bool ok = k2_file_read(demo->truth, 1 << 28, &text, err) &&
              (truth = k2_json_parse(k2_buf_view(&text), err)) && compare_all(demo, truth, err);
    k2_json_free(truth);
    k2_buf_done(&text);
    return ok;
}

/* ---- steps ---- */

static bool ingest(struct demo *demo, struct k2_err *err) {
    heading(1, "Ingestion", "500 symbols on three venues, with faults planted and written down.");
    const char *words[] = {"ingest", "sim",     "--rows",    "400000", "--symbols",
                           "500",    "--seed",  "1",         "--gaps", "25",
                           "--late", "10",      "--bad",     "12",     "--duplicates",
                           "200",    "--truth", demo->truth, NULL};
    return step(demo, 20, err, words);
}

static bool storage(struct demo *demo, struct k2_err *err) {
    heading(2, "Storage", "Iceberg tables as plain files; any engine reads them.");
    const char *list[] = {"table", "list", NULL};
    const char *files[] = {"table", "files", "trades", NULL};
    const char *lag[] = {"log", "lag", NULL};
    return step(demo, 12, err, list) && step(demo, 5, err, files) && step(demo, 4, err, lag);
}

static bool ledgers(struct demo *demo, struct k2_err *err) {
    heading(3, "What is missing is known", "Gaps, duplicates and rejects are data, with offsets.");
    const char *gaps[] = {"gaps", "--open", NULL};
    const char *dlq[] = {"dlq", "list", NULL};
    K2_TRY(step(demo, 6, err, gaps) && step(demo, 10, err, dlq));
    k2_out_printf("\n");
    return planted_and_found(demo, err);
}

static bool query(struct demo *demo, struct k2_err *err) {
    heading(4, "Query", "SQL over history, now and as it stood at an earlier commit.");
    const char *bars[] = {
        "query",
        "select symbol, date_trunc('hour', timestamp) as hour, first(price order by timestamp_ns, "
        "source_sequence) as open, max(price) as high, min(price) as low, last(price order by "
        "timestamp_ns, source_sequence) as close, sum(quantity) as volume, count(*) as trades "
        "from trades group by all order by trades desc, hour limit 4",
        NULL};
    K2_TRY(step(demo, 12, err, bars));
    int64_t first;
    K2_TRY(number(demo,
                  "select snapshot_id from commits where \"table\" = 'market_data.trades' "
                  "order by committed_at limit 1",
                  &first, err));
    char id[24];
    snprintf(id, sizeof id, "%" PRId64, first);
    const char *now[] = {"query", "select count(*) as trades_now from trades", NULL};
    const char *then[] = {"query", "select count(*) as trades_then from trades", "--as-of", id,
                          NULL};
    return step(demo, 6, err, now) && step(demo, 6, err, then);
}

static bool replay(struct demo *demo, struct k2_err *err) {
    heading(5, "Replay", "A pinned snapshot in time order, twice: equal digests or it is not so.");
    int64_t last;
    K2_TRY(number(demo,
                  "select snapshot_id from commits where \"table\" = 'market_data.trades' "
                  "order by committed_at desc limit 1",
                  &last, err));
    char id[24];
    snprintf(id, sizeof id, "%" PRId64, last);
    const char *words[] = {"replay", "trades", "--format", "none", "--as-of", id, NULL};
    struct k2_buf once = {0}, twice = {0};
    show_command(words);
    bool ok = run(demo, words, &once, err) && run(demo, words, &twice, err);
    if (ok) {
        show_text(k2_buf_view(&once), 2);
        show_text(k2_buf_view(&twice), 2);
        bool agrees = k2_str_eq(k2_buf_view(&once), k2_buf_view(&twice));
        k2_out_printf("   the two digests %s\n", agrees ? "agree" : "DISAGREE");
        demo->disagreements += !agrees;
    }
    k2_buf_done(&once);
    k2_buf_done(&twice);
    return ok;
}

static bool verify(struct demo *demo, struct k2_err *err) {
    heading(6, "Verify", "Every rule from the catalog down to the pages of each file.");
    const char *words[] = {"verify", NULL};
    return step(demo, 8, err, words);
}

int k2_cmd_demo(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct demo demo = {.home = home, .truth = k2_home_path(home, "truth.json")};
    int64_t started = k2_monotonic_ns();
    bool is_there = k2_path_exists(home->dir), is_demo = k2_path_exists(demo.truth);
    if (is_there && !is_demo && k2_path_exists(k2_home_path(home, "catalog.db"))) {
        k2_err_set(err, K2_USAGE,
                   "%s is a home with data of its own; give the demo another: k2 --home DIR demo",
                   home->dir);
        return -1;
    }
    /* Found beside planted only tells something on a home that holds nothing else. */
    if ((k2_arg(args, "reset") || is_demo) && !k2_path_remove(home->dir, err))
        return -1;
    if (!k2_home_open(home, K2_HOME_MAKE, err))
        return -1;
    k2_out_printf("K2 demo in %s, with commits of 60,000 rows (-o commit.rows=60000)\n", home->dir);
    bool ok = ingest(&demo, err) && storage(&demo, err) && ledgers(&demo, err) &&
              query(&demo, err) && replay(&demo, err) && verify(&demo, err);
    if (!ok)
        return -1;
    k2_out_printf("\n%s, in %.1f s. The home stays; try:\n\n"
                  "   build/k2 --home %s query \"select * from trades limit 5\"\n"
                  "   build/k2 --home %s gaps\n"
                  "   build/k2 --home %s table snapshots trades\n",
                  demo.disagreements ? "Something DISAGREES" : "Planted and found agree",
                  (double)(k2_monotonic_ns() - started) / 1e9, home->dir, home->dir, home->dir);
    return demo.disagreements ? K2_EXIT_FAILED : K2_EXIT_DONE;
}
