/* bench.h -- what the benchmarks share. Private to cli. Threads: the main thread.
 *
 * A benchmark works on a home of its own that goes with the run. What it says is a rate, beside the
 * mark it is held against; marks are goals, and no benchmark ever fails by time.
 */
#ifndef K2_CLI_BENCH_H
#define K2_CLI_BENCH_H

#include "cli/cli.h"

struct k2_bench {
    struct k2_home *home;
    int64_t rows; /* how much work: rows of the way, ids of dedup */
    bool is_json;
    struct k2_buf json;
};

/* The beginning of a measured stretch. */
struct k2_lap {
    int64_t wall_ns, cpu_ns;
};
struct k2_lap k2_lap_start(void);

/* How a mark is meant. */
enum k2_mark {
    K2_MARK_NONE,
    K2_MARK_PER_SECOND,     /* units per second of wall time, at least */
    K2_MARK_PER_CPU_SECOND, /* units per second of CPU, at least */
    K2_MARK_NS,             /* CPU nanoseconds a unit, at most */
    K2_MARK_MS,             /* wall milliseconds a unit, at most */
    K2_MARK_BYTES,          /* bytes a unit, at most */
};
/* One line, or one JSON object: count units of work since from, which moved bytes (0: none). */
void k2_bench_add(struct k2_bench *bench, const char *name, int64_t count, int64_t bytes,
                  struct k2_lap from, enum k2_mark kind, double mark);

/* Each measures one part; the later ones of a whole run use what the earlier ones left. */
typedef bool k2_bench_fn(struct k2_bench *bench, struct k2_err *err);
k2_bench_fn k2_bench_machine, k2_bench_log, k2_bench_commit, k2_bench_size, k2_bench_replay,
    k2_bench_query, k2_bench_csv, k2_bench_small_commits, k2_bench_parquet, k2_bench_avro,
    k2_bench_sequence, k2_bench_dedup;

#endif
