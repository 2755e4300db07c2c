/* bench.c -- k2 bench: how fast the way from feed to table is here, and what the machine itself
 * does. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/sink.h"
#include "query/replay.h"

/* One measured stretch. */
struct lap {
    int64_t wall_ns, cpu_ns;
};

static struct lap lap_start(void) {
    return (struct lap){k2_monotonic_ns(), k2_cpu_ns()};
}

struct report {
    struct k2_buf json;
    bool is_json;
};

static void add(struct report *r, const char *name, int64_t rows, int64_t bytes, struct lap from) {
    double wall = (double)(k2_monotonic_ns() - from.wall_ns) / 1e9;
    double cpu = (double)(k2_cpu_ns() - from.cpu_ns) / 1e9;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (!r->is_json) {
        k2_out_printf("%-28s %10" PRId64 " rows  %7.3f s wall %7.3f s CPU  %6.2f M rows/s  %6.2f M "
                      "rows/CPU-s",
                      name, rows, wall, cpu, (double)rows / wall / 1e6, (double)rows / cpu / 1e6);
        if (bytes)
            k2_out_printf("  %.1f B/row", (double)bytes / (double)rows);
        k2_out_printf("  %ld MB\n", usage.ru_maxrss / 1024);
        return;
    }
    k2_buf_text(&r->json, r->json.len ? ",\n {" : "[{");
    k2_json_key_str(&r->json, "name", k2_str_of(name));
    k2_json_key_int(&r->json, "rows", rows);
    k2_json_key_int(&r->json, "bytes", bytes);
    k2_json_key(&r->json, "wall_s");
    k2_buf_printf(&r->json, "%.6f", wall);
    k2_json_key(&r->json, "cpu_s");
    k2_buf_printf(&r->json, "%.6f", cpu);
    k2_json_key_int(&r->json, "max_rss_bytes", (int64_t)usage.ru_maxrss * 1024);
    k2_buf_byte(&r->json, '}');
}

/* ---- the machine's own limit: sequential write and fsync ---- */

static bool machine_write(struct report *r, struct k2_home *home, struct k2_err *err) {
    enum { BLOCK = 1 << 20, BLOCKS = 256 };
    const char *path = k2_home_path(home, "run/bench.probe");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return k2_err_sys(err, "create %s", path);
    char *block = k2_calloc(1, BLOCK);
    struct lap from = lap_start();
    bool ok = true;
    for (int i = 0; ok && i < BLOCKS; i++) {
        block[i] = (char)i;
        ok = k2_fd_write(fd, block, BLOCK, err);
    }
    if (ok && fsync(fd))
        ok = k2_err_sys(err, "fsync %s", path);
    if (ok)
        add(r, "machine: write+fsync 128 B", (int64_t)BLOCK * BLOCKS / 128, (int64_t)BLOCK * BLOCKS,
            from);
    close(fd);
    unlink(path);
    k2_free(block);
    return ok;
}

/* ---- K2 ---- */

static bool sum_bytes(void *self, const struct k2_topic_info *info) {
    struct k2_ingest *ingest = self;
    struct k2_err ignored;
    int64_t bytes = 0;
    (void)!k2_log_bytes(ingest->home->log, info->name, &bytes, &ignored);
    ingest->offset_bytes += bytes;
    return true;
}

static bool bench_log(struct report *r, struct k2_ingest *ingest, int64_t rows,
                      struct k2_err *err) {
    struct k2_sim_opts opts = {.rows = rows, .symbols = 500, .seed = 1, .quotes_per_trade = 0};
    struct k2_sim_truth truth = {0};
    struct k2_feed_out out = k2_ingest_out(ingest);
    struct lap from = lap_start();
    bool ok = k2_sim_run(&opts, 0, &out, NULL, NULL, ingest->home->clock, &truth, err);
    for (int i = 0; ok && i < ingest->ticket_count; i++)
        ok = k2_log_wait(ingest->home->log, &ingest->tickets[i], err);
    ingest->ticket_count = 0;
    k2_buf_done(&truth.json);
    ok = ok && k2_log_topics(ingest->home->log, sum_bytes, ingest, err);
    if (ok)
        add(r, "simulator to durable log", rows, ingest->offset_bytes, from);
    return ok;
}

static bool table_bytes(struct k2_home *home, int64_t *ret, struct k2_err *err) {
    const char *table = "market_data.trades";
    const struct k2_metadata *metadata = NULL;
    struct k2_scan scan = {0};
    K2_TRY(k2_lake_load(home->lake, &table, 1, &metadata, err));
    bool ok = !metadata ||
              k2_table_scan(home->lake, metadata, k2_schema_of(K2_TRADE), 0, NULL, 0, &scan, err);
    *ret = 0;
    for (int i = 0; i < scan.file_count; i++)
        *ret += scan.files[i].file_size;
    k2_scan_done(&scan);
    k2_metadata_unref(metadata);
    return ok;
}

static bool bench_commit(struct report *r, struct k2_home *home, int64_t rows, struct k2_err *err) {
    struct k2_pipeline_opts opts;
    k2_home_pipeline_opts(home, "bench", &opts);
    struct lap from = lap_start();
    struct k2_pipeline *pipeline = k2_pipeline_open(&opts, err);
    if (!pipeline)
        return false;
    k2_pipeline_start(pipeline);
    bool ok = k2_pipeline_drain(pipeline, &k2_stop_asked, err);
    int64_t bytes = 0;
    if (ok && table_bytes(home, &bytes, err))
        add(r, "log to committed table", rows, bytes, from);
    k2_pipeline_free(pipeline);
    return ok;
}

static bool bench_replay(struct report *r, struct k2_home *home, struct k2_err *err) {
    struct k2_replay_opts opts = {.lake = home->lake, .schema = k2_schema_of(K2_TRADE)};
    struct k2_replay_result result;
    struct lap from = lap_start();
    K2_TRY(k2_replay_run(&opts, NULL, NULL, &result, err));
    add(r, "replay, all symbols, digest", result.rows, 0, from);
    return true;
}

int k2_cmd_bench(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    int64_t rows = 5000000;
    struct report r = {.is_json = k2_arg(args, "json") != NULL};
    struct k2_ingest ingest = {.home = home, .name = "bench"};
    char dir[] = "/var/tmp/k2-bench-XXXXXX";
    const char *names[] = {"all", "ingest"};
    bool is_known = !args->count;
    for (size_t i = 0; args->count && i < K2_COUNT(names); i++)
        is_known |= strcmp(args->words[0], names[i]) == 0;
    if (!is_known)
        k2_err_set(err, K2_USAGE, "bench %s: there is all and ingest", args->words[0]);
    if (!is_known || !k2_arg_i64(args, "rows", 1000, 1000000000, &rows, err))
        return -1;
    if (!mkdtemp(dir)) {
        k2_err_sys(err, "make a folder in /var/tmp");
        return -1;
    }
    const char *own = home->dir;
    home->dir = dir;
    bool ok = k2_home_open(home, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) &&
              machine_write(&r, home, err) && bench_log(&r, &ingest, rows, err) &&
              bench_commit(&r, home, rows, err) && bench_replay(&r, home, err);
    k2_home_close(home);
    home->dir = own;
    struct k2_err ignored;
    (void)!k2_path_remove(dir, &ignored);
    if (r.is_json) {
        k2_buf_text(&r.json, "]\n");
        k2_out(k2_buf_view(&r.json));
    }
    k2_buf_done(&r.json);
    return ok ? K2_EXIT_DONE : -1;
}
