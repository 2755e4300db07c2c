/* bench.c -- k2 bench: how fast every part is here, beside what the machine itself can do. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/bench.h"

struct k2_lap k2_lap_start(void) {
    return (struct k2_lap){k2_monotonic_ns(), k2_cpu_ns()};
}

/* ---- results ---- */

struct result {
    const char *name;
    int64_t count, bytes, max_rss;
    double wall, cpu;
    enum k2_mark kind;
    double mark, reached; /* in the mark's own unit */
};

static double reached(const struct result *r) {
    double count = (double)r->count;
    switch (r->kind) {
    case K2_MARK_PER_SECOND: return count / r->wall;
    case K2_MARK_PER_CPU_SECOND: return count / r->cpu;
    case K2_MARK_NS: return r->cpu * 1e9 / count;
    case K2_MARK_MS: return r->wall * 1e3 / count;
    case K2_MARK_BYTES: return (double)r->bytes / count;
    case K2_MARK_NONE: break;
    }
    return 0;
}

static const char *unit_of(enum k2_mark kind) {
    static const char *const units[] = {"", "/s", "/CPU-s", "ns", "ms", "B"};
    return units[kind];
}

static bool is_rate(enum k2_mark kind) {
    return kind == K2_MARK_PER_SECOND || kind == K2_MARK_PER_CPU_SECOND;
}

static void print_line(const struct result *r) {
    k2_out_printf("%-34s %11" PRId64 " %8.3f s %8.3f s CPU %8.2f M/s", r->name, r->count, r->wall,
                  r->cpu, (double)r->count / r->wall / 1e6);
    if (r->bytes)
        k2_out_printf(" %7.1f B each", (double)r->bytes / (double)r->count);
    else
        k2_out_printf(" %7s       ", "");
    k2_out_printf(" %5" PRId64 " MB", r->max_rss >> 20);
    if (is_rate(r->kind))
        k2_out_printf("  %.2f M%s, mark %.2f", r->reached / 1e6, unit_of(r->kind), r->mark / 1e6);
    else if (r->kind)
        k2_out_printf("  %.1f %s, mark %.1f", r->reached, unit_of(r->kind), r->mark);
    k2_out_printf("\n");
}

static void put_json(struct k2_bench *bench, const struct result *r) {
    static const char *const kinds[] = {"none", "per_second",   "per_cpu_second",
                                        "ns",   "milliseconds", "bytes"};
    struct k2_buf *json = &bench->json;
    k2_buf_text(json, json->len ? ",\n {" : "[{");
    k2_json_key_str(json, "name", k2_str_of(r->name));
    k2_json_key_int(json, "count", r->count);
    k2_json_key_int(json, "bytes", r->bytes);
    k2_json_key(json, "wall_s");
    k2_buf_printf(json, "%.6f", r->wall);
    k2_json_key(json, "cpu_s");
    k2_buf_printf(json, "%.6f", r->cpu);
    k2_json_key_int(json, "max_rss_bytes", r->max_rss);
    if (r->kind) {
        k2_json_key_str(json, "mark_kind", k2_str_of(kinds[r->kind]));
        k2_json_key(json, "mark");
        k2_buf_printf(json, "%.3f", r->mark);
        k2_json_key(json, "reached");
        k2_buf_printf(json, "%.3f", r->reached);
    }
    k2_buf_byte(json, '}');
}

void k2_bench_add(struct k2_bench *bench, const char *name, int64_t count, int64_t bytes,
                  struct k2_lap from, enum k2_mark kind, double mark) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    struct result r = {.name = name,
                       .count = K2_MAX(count, 1),
                       .bytes = bytes,
                       .max_rss = (int64_t)usage.ru_maxrss * 1024,
                       .wall = (double)(k2_monotonic_ns() - from.wall_ns) / 1e9,
                       .cpu = (double)(k2_cpu_ns() - from.cpu_ns) / 1e9,
                       .kind = kind,
                       .mark = mark};
    r.reached = reached(&r);
    if (bench->is_json)
        put_json(bench, &r);
    else
        print_line(&r);
}

/* ---- the command ---- */

/* A name runs its parts in order; those before the one asked for make what it needs. */
static const struct {
    const char *name, *what;
    k2_bench_fn *parts[12];
    bool has_short_log; /* what is committed leaves the log */
} benches[] = {
    {"all",
     "everything but dedup",
     {k2_bench_machine, k2_bench_avro, k2_bench_sequence, k2_bench_log, k2_bench_commit,
      k2_bench_replay, k2_bench_query, k2_bench_parquet, k2_bench_csv, k2_bench_small_commits,
      k2_bench_size}},
    {"ingest",
     "feed to log to table",
     {k2_bench_machine, k2_bench_log, k2_bench_commit, k2_bench_replay}},
    {"query", "one symbol's hour, as a process", {k2_bench_log, k2_bench_commit, k2_bench_query}},
    {"parquet", "writer and reader", {k2_bench_log, k2_bench_commit, k2_bench_parquet}},
    {"size", "bytes a row takes", {k2_bench_size}},
    {"csv", "a file to committed rows", {k2_bench_log, k2_bench_commit, k2_bench_csv}},
    {"commit", "many small commits", {k2_bench_small_commits}},
    {"avro", "codec", {k2_bench_avro}},
    {"sequence", "sequence and duplicate check", {k2_bench_sequence}},
    {"dedup", "duplicates of --rows committed ids", {k2_bench_dedup}, true},
};

static int find_bench(const char *name, struct k2_err *err) {
    struct k2_buf names = {0};
    for (int i = 0; i < (int)K2_COUNT(benches); i++) {
        if (strcmp(name, benches[i].name) == 0) {
            k2_buf_done(&names);
            return i;
        }
        k2_buf_printf(&names, "%s%s", i ? ", " : "", benches[i].name);
    }
    k2_err_set(err, K2_USAGE, "bench %s: there is %s", name, k2_buf_cstr(&names));
    k2_buf_done(&names);
    return -1;
}

static bool run_parts(struct k2_bench *bench, int which, struct k2_err *err) {
    for (k2_bench_fn *const *part = benches[which].parts; *part; part++) {
        if (atomic_load(&k2_stop_asked))
            return k2_err_set(err, K2_CANCELLED, "stopped");
        K2_TRY((*part)(bench, err));
        K2_TRY(bench->is_json || k2_out_flush(err));
    }
    return true;
}

int k2_cmd_bench(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_bench bench = {
        .home = home, .rows = 5000000, .is_json = k2_arg(args, "json") != NULL};
    int which = find_bench(args->count ? args->words[0] : "all", err);
    if (which < 0 || !k2_arg_i64(args, "rows", 1000, 2000000000, &bench.rows, err))
        return -1;
    char *dir = k2_dir_make_temp("/var/tmp", "k2-bench", err); /* a disk, unlike most of /tmp */
    if (!dir)
        return -1;
    const char *own = home->dir;
    home->dir = dir;
    bool ok = (!benches[which].has_short_log ||
               k2_config_set(home->config, "log.retention.bytes", "1GiB", "bench", err)) &&
              k2_home_open(home, K2_HOME_MAKE | K2_HOME_LAKE | K2_HOME_LOG, err) &&
              run_parts(&bench, which, err);
    k2_home_close(home);
    home->dir = own;
    struct k2_err ignored;
    (void)!k2_path_remove(dir, &ignored);
    k2_free(dir);
    if (bench.is_json) {
        k2_buf_text(&bench.json, bench.json.len ? "]\n" : "[]\n");
        k2_out(k2_buf_view(&bench.json));
    }
    k2_buf_done(&bench.json);
    return ok ? K2_EXIT_DONE : -1;
}
