/* bench_way.c -- from feed to log to table and out again, and what the disk itself does. */
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/bench.h"
#include "cli/sink.h"
#include "query/replay.h"

extern char **environ;

/* ---- the machine's own limits ---- */

bool k2_bench_machine(struct k2_bench *bench, struct k2_err *err) {
    enum { BLOCK = 1 << 20, BLOCKS = 512, ROW = 107 };
    const char *path = k2_home_path(bench->home, "run/bench.probe");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return k2_err_sys(err, "create %s", path);
    char *block = k2_calloc(2, BLOCK);
    struct k2_lap from = k2_lap_start();
    bool ok = true;
    for (int i = 0; ok && i < BLOCKS; i++) {
        block[i] = (char)i;
        ok = k2_fd_write(fd, block, BLOCK, err);
    }
    if (ok && fsync(fd))
        ok = k2_err_sys(err, "fsync %s", path);
    int64_t bytes = (int64_t)BLOCK * BLOCKS;
    if (ok)
        k2_bench_add(bench, "machine: write and fsync", bytes / ROW, bytes, from, K2_MARK_NONE, 0);
    from = k2_lap_start();
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = (char)i;
        memcpy(block + BLOCK, block, BLOCK);
    }
    if (ok)
        k2_bench_add(bench, "machine: copy in memory", bytes / ROW, bytes, from, K2_MARK_NONE, 0);
    close(fd);
    unlink(path);
    k2_free(block);
    return ok;
}

/* ---- in ---- */

struct log_bytes {
    struct k2_log *log;
    int64_t bytes;
};

static bool sum_bytes(void *self, const struct k2_topic_info *info) {
    struct log_bytes *sum = self;
    struct k2_err ignored;
    int64_t bytes = 0;
    (void)!k2_log_bytes(sum->log, info->name, &bytes, &ignored);
    sum->bytes += bytes;
    return true;
}

/* The simulator's messages into the log of a home. */
static bool fill_log(struct k2_home *home, const struct k2_sim_opts *opts, struct k2_err *err) {
    struct k2_ingest ingest = {.home = home, .name = "bench"};
    struct k2_sim_truth truth = {0};
    struct k2_feed_out out = k2_ingest_out(&ingest);
    bool ok = k2_sim_run(opts, 0, &out, NULL, NULL, home->clock, &truth, err);
    for (int i = 0; ok && i < ingest.ticket_count; i++)
        ok = k2_log_wait(home->log, &ingest.tickets[i], err);
    k2_buf_done(&truth.json);
    k2_intern_done(&ingest.topics);
    return ok;
}

bool k2_bench_log(struct k2_bench *bench, struct k2_err *err) {
    struct k2_sim_opts opts = {.rows = bench->rows, .symbols = 500, .seed = 1};
    struct log_bytes sum = {.log = bench->home->log};
    struct k2_lap from = k2_lap_start();
    K2_TRY(fill_log(bench->home, &opts, err));
    K2_TRY(k2_log_topics(bench->home->log, sum_bytes, &sum, err));
    k2_bench_add(bench, "simulator to durable log", bench->rows, sum.bytes, from,
                 K2_MARK_PER_SECOND, 2e6);
    return true;
}

/* Adds the bytes of a kind's data files to *total. */
static bool add_table_bytes(struct k2_home *home, enum k2_kind kind, int64_t *total,
                            struct k2_err *err) {
    const char *table = kind == K2_TRADE ? "market_data.trades" : "market_data.quotes";
    const struct k2_metadata *metadata = NULL;
    struct k2_scan scan = {0};
    K2_TRY(k2_lake_load(home->lake, &table, 1, &metadata, err));
    bool ok = !metadata ||
              k2_table_scan(home->lake, metadata, k2_schema_of(kind), 0, NULL, 0, &scan, err);
    for (int i = 0; i < scan.file_count; i++)
        *total += scan.files[i].file_size;
    k2_scan_done(&scan);
    k2_metadata_unref(metadata);
    return ok;
}

/* Everything in the log into tables, with commits of commit_rows and for no other reason (0: as
 * set). */
static bool drain(struct k2_home *home, int64_t commit_rows, struct k2_pipeline_counts *ret_counts,
                  struct k2_err *err) {
    struct k2_pipeline_opts opts;
    k2_home_pipeline_opts(home, "bench", &opts);
    if (commit_rows) {
        opts.commit_rows = commit_rows;
        opts.commit_bytes = 16ll << 30;
        opts.commit_age_ms = 3600000;
    }
    struct k2_pipeline *pipeline = k2_pipeline_open(&opts, err);
    if (!pipeline)
        return false;
    k2_pipeline_start(pipeline);
    bool ok = k2_pipeline_drain(pipeline, &k2_stop_asked, err);
    k2_pipeline_counts(pipeline, ret_counts);
    k2_pipeline_free(pipeline);
    return ok;
}

bool k2_bench_commit(struct k2_bench *bench, struct k2_err *err) {
    struct k2_lap from = k2_lap_start();
    struct k2_pipeline_counts counts;
    int64_t bytes = 0;
    K2_TRY(drain(bench->home, 0, &counts, err));
    K2_TRY(add_table_bytes(bench->home, K2_TRADE, &bytes, err));
    k2_bench_add(bench, "log to committed table", counts.rows, bytes, from, K2_MARK_PER_SECOND,
                 1.5e6);
    return true;
}

/* Trades and quotes in large commits: what a row takes where files are not small. */
bool k2_bench_size(struct k2_bench *bench, struct k2_err *err) {
    enum { COMMIT_ROWS = 2000000 };
    char *dir = k2_strdup(k2_home_path(bench->home, "size"));
    struct k2_home second = {
        .dir = dir, .config = bench->home->config, .clock = bench->home->clock};
    struct k2_sim_opts opts = {
        .rows = bench->rows, .symbols = 500, .seed = 1, .quotes_per_trade = 1};
    struct k2_pipeline_counts counts;
    struct k2_lap from = k2_lap_start();
    int64_t bytes = 0;
    bool ok = k2_home_open(&second, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) &&
              fill_log(&second, &opts, err) && drain(&second, COMMIT_ROWS, &counts, err) &&
              add_table_bytes(&second, K2_TRADE, &bytes, err) &&
              add_table_bytes(&second, K2_QUOTE, &bytes, err);
    if (ok)
        k2_bench_add(bench, "trades and quotes in large files", counts.rows, bytes, from,
                     K2_MARK_BYTES, 12);
    k2_home_close(&second);
    k2_free(dir);
    return ok;
}

/* Commits of 10,000 rows: what one costs, its data file included. */
bool k2_bench_small_commits(struct k2_bench *bench, struct k2_err *err) {
    enum { ROWS = 10000, COMMITS = 200 };
    struct k2_sim_opts opts = {
        .rows = K2_MIN(bench->rows, (int64_t)ROWS * COMMITS), .symbols = 500, .seed = 2};
    struct k2_pipeline_counts counts;
    bool ok = fill_log(bench->home, &opts, err);
    struct k2_lap from = k2_lap_start();
    ok = ok && drain(bench->home, ROWS, &counts, err);
    if (ok)
        k2_bench_add(bench, "commits of 10,000 rows", counts.commits, 0, from, K2_MARK_MS, 20);
    return ok;
}

/* ---- out ---- */

static bool take_rows(void *self, const struct k2_batch *batch, const uint32_t *rows,
                      uint32_t count, struct k2_err *err) {
    (void)batch, (void)rows, (void)err;
    *(int64_t *)self += count;
    return true;
}

bool k2_bench_replay(struct k2_bench *bench, struct k2_err *err) {
    struct k2_replay_opts opts = {.lake = bench->home->lake, .schema = k2_schema_of(K2_TRADE)};
    struct k2_replay_result result;
    int64_t rows = 0;
    struct k2_lap from = k2_lap_start();
    K2_TRY(k2_replay_run(&opts, take_rows, &rows, &result, err));
    k2_bench_add(bench, "replay in time order, with digest", rows, 0, from, K2_MARK_PER_SECOND,
                 5e6);
    return true;
}

/* Runs this program as a user would; its output goes nowhere. */
static bool run_self(struct k2_bench *bench, const char *const *words, struct k2_err *err) {
    const char *argv[16] = {"k2", "--home", bench->home->dir};
    for (int i = 0; words[i]; i++)
        argv[3 + i] = words[i];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status = 0;
    int code =
        posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code || waitpid(pid, &status, 0) < 0)
        return k2_err_set(err, K2_IO, "run %s: %s", words[0], strerror(code));
    return status == 0 || k2_err_set(err, K2_IO, "k2 %s ended with status %d", words[0], status);
}

bool k2_bench_query(struct k2_bench *bench, struct k2_err *err) {
    enum { RUNS = 20 };
    static const char *const words[] = {
        "query",
        "select * from trades where symbol = 'S1_0011' and timestamp >= '2024-03-14T02:00:00Z' and "
        "timestamp < '2024-03-14T03:00:00Z'",
        "--format", "csv", NULL};
    K2_TRY(run_self(bench, words, err)); /* so that the files are in the page cache */
    struct k2_lap from = k2_lap_start();
    for (int i = 0; i < RUNS; i++)
        K2_TRY(run_self(bench, words, err));
    k2_bench_add(bench, "query of one symbol's hour, process", RUNS, 0, from, K2_MARK_MS, 50);
    return true;
}

static bool ingest_csv(struct k2_bench *bench, struct k2_home *home, const char *path,
                       struct k2_err *err) {
    struct k2_ingest ingest;
    struct k2_csv_opts opts = {.layout = "k2-trades", .sequence_start = 1, .clock = home->clock};
    struct k2_csv_result result = {0};
    struct k2_lap from = k2_lap_start();
    bool ok = k2_ingest_open(&ingest, home, "bench", err);
    struct k2_feed_out out = k2_ingest_out(&ingest);
    ok = ok && k2_csv_read(path, &opts, &out, &result, err) && k2_ingest_finish(&ingest, err);
    k2_ingest_close(&ingest);
    if (ok)
        k2_bench_add(bench, "CSV to committed table", result.rows, result.bytes, from,
                     K2_MARK_PER_SECOND, 500e3);
    return ok;
}

bool k2_bench_csv(struct k2_bench *bench, struct k2_err *err) {
    char *dir = k2_strdup(k2_home_path(bench->home, "csv"));
    char *path = k2_strdup(k2_home_path(bench->home, "trades.csv"));
    const char *words[] = {"query",
                           "select symbol, exchange, asset_class, timestamp, timestamp_nanos, "
                           "price, quantity, side, trade_id, source_sequence from trades limit "
                           "2000000",
                           "--format",
                           "csv",
                           "--out",
                           path,
                           NULL};
    struct k2_home second = {
        .dir = dir, .config = bench->home->config, .clock = bench->home->clock};
    bool ok = run_self(bench, words, err) &&
              k2_home_open(&second, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) &&
              ingest_csv(bench, &second, path, err);
    k2_home_close(&second);
    k2_free(dir);
    k2_free(path);
    return ok;
}
