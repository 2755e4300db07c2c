/* demo.c -- k2 demo: the story in six chapters on generated data, each step a command anyone could
 * type, each chapter with the reason to care.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/demo.h"

/* Symbols carry the seed they were made with; later chapters add other seeds. */
#define OF_DEMO "starts_with(symbol, 'S1_')"

/* ---- planted and found ---- */

static int64_t sum_of(const struct k2_json *list, const char *key) {
    int64_t sum = 0;
    for (size_t i = 0; i < k2_json_count(list); i++)
        sum += k2_json_int(k2_json_get(k2_json_at(list, i), key), 0);
    return sum;
}

static bool compare(struct k2_demo *demo, const char *what, int64_t planted, const char *sql,
                    struct k2_err *err) {
    int64_t found;
    K2_TRY(k2_demo_number(demo, sql, &found, err));
    bool agrees = planted == found;
    k2_out_printf("   %-34s %10" PRId64 " %10" PRId64 "  %s\n", what, planted, found,
                  agrees ? "agree" : "DISAGREE");
    demo->disagreements += !agrees;
    return true;
}

static bool compare_all(struct k2_demo *demo, const struct k2_json *truth, struct k2_err *err) {
    const struct k2_json *rows = k2_json_get(truth, "rows"), *gaps = k2_json_get(truth, "gaps");
    k2_out_printf("   %-34s %10s %10s\n", "", "planted", "found");
    return compare(demo, "good trades", k2_json_int(k2_json_get(rows, "trades"), -1),
                   "select count(*) from trades where " OF_DEMO, err) &&
           compare(demo, "good quotes", k2_json_int(k2_json_get(rows, "quotes"), -1),
                   "select count(*) from quotes where " OF_DEMO, err) &&
           compare(demo, "gaps", (int64_t)k2_json_count(gaps),
                   "select count(*) from gaps where " OF_DEMO, err) &&
           compare(demo, "numbers missing at first", sum_of(gaps, "missing"),
                   "select coalesce(sum(missing), 0)::bigint from gaps where " OF_DEMO, err) &&
           compare(demo, "numbers that came late after all", sum_of(gaps, "filled"),
                   "select coalesce(sum(recovered), 0)::bigint from gaps where " OF_DEMO, err) &&
           compare(demo, "duplicates dropped",
                   (int64_t)k2_json_count(k2_json_get(truth, "duplicates")),
                   "select coalesce(sum(duplicates), 0)::bigint from commits", err) &&
           compare(demo, "bad records set aside", (int64_t)k2_json_count(k2_json_get(truth, "bad")),
                   "select count(*) from dead_letters", err);
}

static bool planted_and_found(struct k2_demo *demo, struct k2_err *err) {
    struct k2_buf text = {0};
    struct k2_json *truth = NULL;
    bool ok = k2_file_read(demo->truth, 1 << 28, &text, err) &&
              (truth = k2_json_parse(k2_buf_view(&text), err)) && compare_all(demo, truth, err);
    k2_json_free(truth);
    k2_buf_done(&text);
    return ok;
}

/* ---- the chapters ---- */

static bool architecture(struct k2_demo *demo, struct k2_err *err) {
    k2_demo_heading(demo, 1, "Architecture",
                    "One program and one folder; there is no server to run, and nothing hidden in "
                    "one.");
    k2_out_printf(
        "   files, feeds --> log ----------> checks --------> Iceberg tables --> SQL\n"
        "                  durable by      sequence,        Parquet files      replay\n"
        "                  fsync           duplicates,      and a catalog      any other\n"
        "                                  validity         (SQLite)           engine\n\n");
    k2_demo_pause(demo);
    const char *check[] = {"check", NULL};
    return k2_demo_step(demo, 12, check, err);
}

static bool ingest(struct k2_demo *demo, struct k2_err *err) {
    k2_demo_heading(demo, 2, "Ingestion with faults",
                    "Feeds lose, repeat and garble messages. Here it is planned which, and written "
                    "down.");
    const char *words[] = {"ingest", "sim",     "--rows",    "400000", "--symbols",
                           "500",    "--seed",  "1",         "--gaps", "25",
                           "--late", "10",      "--bad",     "12",     "--duplicates",
                           "200",    "--truth", demo->truth, NULL};
    const char *gaps[] = {"gaps", "--open", NULL};
    const char *dlq[] = {"dlq", "list", NULL};
    K2_TRY(k2_demo_step(demo, 20, words, err) && k2_demo_step(demo, 6, gaps, err) &&
           k2_demo_step(demo, 10, dlq, err) && planted_and_found(demo, err));
    k2_demo_pause(demo);
    return true;
}

static bool storage(struct k2_demo *demo, struct k2_err *err) {
    k2_demo_heading(demo, 3, "Storage",
                    "Tables are open files: any engine reads them, and every file and offset is "
                    "accounted for.");
    const char *list[] = {"table", "list", NULL};
    const char *files[] = {"table", "files", "trades", NULL};
    const char *verify[] = {"verify", NULL};
    return k2_demo_step(demo, 12, list, err) && k2_demo_step(demo, 5, files, err) &&
           k2_demo_step(demo, 8, verify, err);
}

static bool monitoring(struct k2_demo *demo, struct k2_err *err) {
    k2_demo_heading(demo, 4, "Monitoring",
                    "A fault shows where somebody looks, and goes away without anybody repairing "
                    "data.");
    return k2_demo_monitor(demo, err);
}

/* The snapshot of trades that was committed first, or last. */
static bool snapshot_of(struct k2_demo *demo, const char *order, char id[24], struct k2_err *err) {
    char sql[160];
    int64_t snapshot;
    snprintf(sql, sizeof sql,
             "select snapshot_id from commits where \"table\" = 'market_data.trades' and rows > 0 "
             "order by committed_at %s limit 1",
             order);
    K2_TRY(k2_demo_number(demo, sql, &snapshot, err));
    snprintf(id, 24, "%" PRId64, snapshot);
    return true;
}

static bool replay_twice(struct k2_demo *demo, struct k2_err *err) {
    char id[24];
    K2_TRY(snapshot_of(demo, "desc", id, err));
    const char *words[] = {"replay", "trades", "--format", "none", "--as-of", id, NULL};
    struct k2_buf once = {0}, twice = {0};
    k2_demo_show_command(words);
    bool ok = k2_demo_run(demo, words, &once, err) && k2_demo_run(demo, words, &twice, err);
    if (ok) {
        k2_demo_show_text(k2_buf_view(&once), 2);
        k2_demo_show_text(k2_buf_view(&twice), 2);
        bool agrees = k2_str_eq(k2_buf_view(&once), k2_buf_view(&twice));
        demo->disagreements += !agrees;
        k2_demo_say(demo, "the two digests %s", agrees ? "agree" : "DISAGREE");
    }
    k2_buf_done(&once);
    k2_buf_done(&twice);
    return ok;
}

static bool query(struct k2_demo *demo, struct k2_err *err) {
    k2_demo_heading(
        demo, 5, "Query and replay",
        "What is known now, what was known then, and the same bytes again when somebody "
        "asks.");
    const char *bars[] = {
        "query",
        "select symbol, date_trunc('hour', timestamp) as hour, first(price order by timestamp_ns, "
        "source_sequence) as open, max(price) as high, min(price) as low, last(price order by "
        "timestamp_ns, source_sequence) as close, sum(quantity) as volume, count(*) as trades "
        "from trades group by all order by trades desc, hour limit 4",
        NULL};
    char id[24];
    K2_TRY(k2_demo_step(demo, 12, bars, err) && snapshot_of(demo, "asc", id, err));
    const char *now[] = {"query", "select count(*) as trades_now from trades", NULL};
    const char *then[] = {"query", "select count(*) as trades_then from trades", "--as-of", id,
                          NULL};
    return k2_demo_step(demo, 6, now, err) && k2_demo_step(demo, 6, then, err) &&
           replay_twice(demo, err);
}

/* Several processes append at once; whichever of them holds the pipeline commits for all. */
static bool scaling(struct k2_demo *demo, struct k2_err *err) {
    enum { FEEDS = 3, ROWS = 100000 };
    k2_demo_heading(demo, 6, "Scaling",
                    "Feeds are processes of their own; they share one log and none of them waits "
                    "for another.");
    pid_t feeds[FEEDS];
    int64_t before, after, started = k2_monotonic_ns();
    static const char count[] = "select (select count(*) from trades) + (select count(*) from "
                                "quotes)";
    bool ok = k2_demo_number(demo, count, &before, err);
    int running = 0;
    for (; ok && running < FEEDS; running++) {
        char seed[8];
        snprintf(seed, sizeof seed, "%d", 10 + running);
        const char *words[] = {"ingest", "sim",    "--rows", "100000", "--symbols",
                               "200",    "--seed", seed,     NULL};
        k2_demo_show_command(words);
        ok = k2_demo_start(demo, words, &feeds[running], err);
    }
    struct k2_err why = {0};
    for (int i = 0; i < running; i++)
        if (!k2_demo_wait(demo, feeds[i], ok ? err : &why))
            ok = false;
    if (!ok || !k2_demo_number(demo, count, &after, err))
        return false;
    bool agrees = after - before == (int64_t)FEEDS * ROWS;
    demo->disagreements += !agrees;
    k2_demo_say(demo, "%d feeds at once: %" PRId64 " rows more in %.1f s, %s", FEEDS,
                after - before, (double)(k2_monotonic_ns() - started) / 1e9,
                agrees ? "each of them once" : "which is NOT what they sent");
    const char *verify[] = {"verify", NULL};
    return k2_demo_step(demo, 8, verify, err);
}

/* ---- the command ---- */

/* Found beside planted only tells something on a home that holds nothing else, so a whole demo
 * begins anew; a single chapter goes on with what is there. */
static bool prepare(struct k2_demo *demo, bool is_reset, int64_t only, struct k2_err *err) {
    struct k2_home *home = demo->home;
    bool is_demo = k2_path_exists(demo->truth);
    if (!is_demo && k2_path_exists(k2_home_path(home, "catalog.db")))
        return k2_err_set(err, K2_USAGE,
                          "%s is a home with data of its own; give the demo another: k2 --home DIR "
                          "demo",
                          home->dir);
    bool is_fed = k2_path_exists(k2_home_path(home, "warehouse/market_data/trades"));
    if (only > 2 && (is_reset || !is_fed))
        return k2_err_set(err, K2_USAGE,
                          "--step %" PRId64
                          " goes on with what step 2 ingested; run k2 demo --step 2 "
                          "first",
                          only);
    if (is_reset || (is_demo && !only))
        K2_TRY(k2_path_remove(home->dir, err));
    return k2_home_open(home, K2_HOME_MAKE, err) &&
           (k2_path_exists(demo->truth) || k2_file_replace(demo->truth, K2_STR("{}"), err));
}

int k2_cmd_demo(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    static bool (*const chapters[])(struct k2_demo *, struct k2_err *) = {
        architecture, ingest, storage, monitoring, query, scaling};
    const char *pace = k2_arg(args, "pace");
    struct k2_demo demo = {.home = home,
                           .truth = k2_home_path(home, "truth.json"),
                           .is_talk = pace && strcmp(pace, "talk") == 0};
    int64_t only = 0, started = k2_monotonic_ns();
    if (pace && !demo.is_talk && strcmp(pace, "fast") != 0) {
        k2_err_set(err, K2_USAGE, "--pace %s: it is fast or talk", pace);
        return -1;
    }
    if (!k2_arg_i64(args, "step", 1, K2_COUNT(chapters), &only, err) ||
        !prepare(&demo, k2_arg(args, "reset") != NULL, only, err))
        return -1;
    k2_out_printf("K2 demo in %s, with commits of 60,000 rows (-o commit.rows=60000)\n", home->dir);
    for (int64_t i = 1; i <= (int64_t)K2_COUNT(chapters); i++)
        if ((!only || only == i) && !chapters[i - 1](&demo, err))
            return -1;
    k2_out_printf("\n%s, in %.1f s. The home stays; try:\n\n"
                  "   build/k2 --home %s query \"select * from trades limit 5\"\n"
                  "   build/k2 --home %s gaps\n"
                  "   build/k2 --home %s table snapshots trades\n",
                  demo.disagreements ? "Something DISAGREES" : "What was planted and found agrees",
                  (double)(k2_monotonic_ns() - started) / 1e9, home->dir, home->dir, home->dir);
    return demo.disagreements ? K2_EXIT_FAILED : K2_EXIT_DONE;
}
