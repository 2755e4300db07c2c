/* bench_dedup.c -- what duplicates cost when very many ids are committed: memory, and look-ups. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/sink.h"

enum { PROBE_ROWS = 1000000 };

/* Only the first part of what the simulator would make. */
static bool is_enough(void *self, int64_t bytes, int64_t bytes_all, int64_t rows) {
    (void)self, (void)bytes, (void)bytes_all;
    return rows < PROBE_ROWS;
}

/* Appends as the pipeline follows. */
static bool ingest(struct k2_bench *bench, const struct k2_sim_opts *opts, bool is_probe,
                   struct k2_pipeline_counts *ret, struct k2_err *err) {
    struct k2_ingest in;
    struct k2_sim_truth truth = {0};
    bool ok = k2_ingest_open(&in, bench->home, "bench", err);
    struct k2_feed_out out = k2_ingest_out(&in);
    out.progress = is_probe ? is_enough : NULL;
    ok = ok &&
         (k2_sim_run(opts, 0, &out, NULL, NULL, bench->home->clock, &truth, err) ||
          (is_probe && err->code == K2_CANCELLED && !atomic_load(&k2_stop_asked))) &&
         k2_ingest_finish(&in, err);
    if (ok)
        k2_pipeline_counts(in.holder.pipeline, ret);
    k2_buf_done(&truth.json);
    k2_ingest_close(&in);
    return ok;
}

bool k2_bench_dedup(struct k2_bench *bench, struct k2_err *err) {
    struct k2_sim_opts first = {.rows = bench->rows, .symbols = 500, .seed = 1};
    /* About a million new messages, then the first million of the old ones again. */
    struct k2_sim_opts fresh = {.rows = K2_MIN(bench->rows, PROBE_ROWS), .symbols = 500, .seed = 2};
    struct k2_pipeline_counts counts = {0};
    struct k2_lap from = k2_lap_start();
    K2_TRY(ingest(bench, &first, false, &counts, err));
    k2_bench_add(bench, "ids committed", counts.rows, 0, from, K2_MARK_NONE, 0);
    from = k2_lap_start();
    K2_TRY(ingest(bench, &fresh, false, &counts, err));
    k2_bench_add(bench, "new ids beside them", counts.rows, 0, from, K2_MARK_NONE, 0);
    k2_say("%" PRId64 " of %" PRId64 " new ids had to be looked up", counts.looked_up, counts.rows);
    from = k2_lap_start();
    K2_TRY(ingest(bench, &first, true, &counts, err));
    k2_bench_add(bench, "old ids again", counts.duplicates, 0, from, K2_MARK_NONE, 0);
    k2_say("%" PRId64 " old ids were looked up by %" PRId64 " scans; %" PRId64 " rows came of them",
           counts.looked_up, counts.scans, counts.rows);
    return true;
}
