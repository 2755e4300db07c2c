/* sim_cmd.c -- k2 ingest sim: generated data with planted faults, and whether they were all found.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli/sink.h"
#include "lake/table/read.h"

/* ---- what an earlier run of the same seed left in the log ---- */

struct already {
    struct k2_home *home;
    char prefix[32];       /* ".S7_": part of every key of the seed */
    struct k2_intern keys; /* topic NUL key */
    int64_t *counts;
    struct k2_err *err;
    bool is_ok;
};

static void count_record(struct already *a, const char *topic, struct k2_str key) {
    if (!key.len || !memmem(key.ptr, key.len, a->prefix, strlen(a->prefix)))
        return;
    char name[400];
    int len = snprintf(name, sizeof name, "%s %.*s", topic, K2_FMT(key));
    uint32_t before = a->keys.count;
    uint32_t at =
        k2_intern_add(&a->keys, (struct k2_str){name, K2_MIN((size_t)len, sizeof name - 1)});
    if (a->keys.count != before) {
        a->counts = k2_realloc(a->counts, a->keys.count * sizeof *a->counts);
        a->counts[at] = 0;
    }
    a->counts[at]++;
}

static bool count_topic(void *self, const struct k2_topic_info *info) {
    struct already *a = self;
    struct k2_log *log = a->home->log;
    struct k2_log_range *ranges = k2_new_array(struct k2_log_range, (size_t)info->partition_count);
    int64_t *from = k2_new_array(int64_t, (size_t)info->partition_count);
    a->is_ok = k2_log_ranges(log, info->name, ranges, a->err);
    for (int p = 0; p < info->partition_count; p++)
        from[p] = ranges[p].start;
    struct k2_log_reader *reader =
        a->is_ok ? k2_log_reader_new(log, info->name, from, a->err) : NULL;
    struct k2_record records[1024];
    a->is_ok = reader != NULL;
    for (int count = 1; a->is_ok && count;) {
        a->is_ok = k2_log_read(reader, records, 1024, &count, a->err);
        for (int i = 0; a->is_ok && i < count; i++)
            count_record(a, info->name, records[i].key);
    }
    k2_log_reader_free(reader);
    k2_free(ranges);
    k2_free(from);
    return a->is_ok;
}

static int64_t already_there(void *self, const char *topic, struct k2_str key) {
    struct already *a = self;
    char name[400];
    int len = snprintf(name, sizeof name, "%s %.*s", topic, K2_FMT(key));
    uint32_t at =
        k2_intern_find(&a->keys, (struct k2_str){name, K2_MIN((size_t)len, sizeof name - 1)});
    return at == UINT32_MAX ? 0 : a->counts[at];
}

/* ---- what was set aside of this seed ---- */

struct aside {
    const char *prefix;
    int64_t count;
};

static bool count_letters(void *self, const struct k2_batch *rows) {
    struct aside *a = self;
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct k2_str source = k2_batch_text(rows, K2_DEAD_SOURCE, i);
        a->count += source.len && memmem(source.ptr, source.len, a->prefix, strlen(a->prefix));
    }
    return true;
}

static bool count_aside(struct k2_home *home, const char *prefix, int64_t *ret,
                        struct k2_err *err) {
    const char *table = "ops.dead_letters";
    const struct k2_metadata *metadata = NULL;
    struct k2_intern strings = {0};
    struct aside a = {prefix, 0};
    K2_TRY(k2_lake_load(home->lake, &table, 1, &metadata, err));
    struct k2_read_opts read = {.metadata = metadata,
                                .schema = k2_schema_of(K2_DEAD_LETTER),
                                .columns = 1u << K2_DEAD_SOURCE,
                                .strings = &strings};
    bool ok = k2_table_read(home->lake, &read, count_letters, &a, err);
    k2_metadata_unref(metadata);
    k2_intern_done(&strings);
    *ret = a.count;
    return ok;
}

/* ---- the command ---- */

static bool parse_real(const struct k2_args *args, const char *name, double low, double high,
                       double *ret, struct k2_err *err) {
    const char *text = k2_arg(args, name);
    if (!text)
        return true;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high))
        return k2_err_set(err, K2_USAGE, "--%s %s: wants a number from %g to %g", name, text, low,
                          high);
    *ret = value;
    return true;
}

static bool parse(const struct k2_args *args, struct k2_sim_opts *opts, double *rate,
                  struct k2_err *err) {
    int64_t symbols = 500, seed = 1;
    opts->rows = 1000000;
    opts->quotes_per_trade = 1;
    K2_TRY(k2_arg_i64(args, "rows", 0, INT64_C(1000000000000), &opts->rows, err));
    K2_TRY(k2_arg_i64(args, "symbols", 1, 1000000, &symbols, err));
    K2_TRY(k2_arg_i64(args, "seed", 0, INT64_MAX, &seed, err));
    K2_TRY(k2_arg_i64(args, "gaps", 0, 1000000, &opts->gaps, err));
    K2_TRY(k2_arg_i64(args, "duplicates", 0, 100000000, &opts->duplicates, err));
    K2_TRY(k2_arg_i64(args, "late", 0, 1000000, &opts->late, err));
    K2_TRY(k2_arg_i64(args, "bad", 0, 1000000, &opts->bad, err));
    K2_TRY(parse_real(args, "quotes-per-trade", 0, 1000, &opts->quotes_per_trade, err));
    K2_TRY(parse_real(args, "rate", 0, 1e9, rate, err));
    opts->symbols = (uint32_t)symbols;
    opts->seed = (uint64_t)seed;
    return true;
}

static bool run(struct k2_ingest *ingest, const struct k2_sim_opts *opts, double rate,
                struct already *already, struct k2_sim_truth *truth, struct k2_err *err) {
    struct k2_home *home = ingest->home;
    already->home = home;
    already->err = err;
    already->is_ok = true;
    snprintf(already->prefix, sizeof already->prefix, ".S%llu_", (unsigned long long)opts->seed);
    if (!k2_log_topics(home->log, count_topic, already, err) || !already->is_ok)
        return false;
    struct k2_feed_out out = k2_ingest_out(ingest);
    if (!k2_sim_run(opts, rate, &out, already->keys.count ? already_there : NULL, already,
                    home->clock, truth, err)) {
        k2_ingest_blame(ingest, err);
        return false;
    }
    return k2_ingest_finish(ingest, err);
}

int k2_cmd_ingest_sim(struct k2_home *home, const struct k2_args *args, struct k2_err *err) {
    struct k2_sim_opts opts = {0};
    double rate = 0;
    const char *truth_file = k2_arg(args, "truth");
    if (!parse(args, &opts, &rate, err))
        return -1;
    struct k2_ingest ingest;
    struct already already = {0};
    struct k2_sim_truth truth = {0};
    int64_t aside = 0;
    bool ok = k2_ingest_open(&ingest, home, "ingest sim", err) &&
              run(&ingest, &opts, rate, &already, &truth, err) &&
              (!truth_file || k2_file_replace(truth_file, k2_buf_view(&truth.json), err)) &&
              count_aside(home, already.prefix, &aside, err);
    if (ok) {
        char what[128];
        snprintf(what, sizeof what, "ingest sim: made %" PRId64 " trades and %" PRId64 " quotes",
                 truth.trades, truth.quotes);
        k2_ingest_say_done(&ingest, what);
    }
    int64_t planted = truth.bad_records + truth.undecodable;
    k2_buf_done(&truth.json);
    k2_intern_done(&already.keys);
    k2_free(already.counts);
    k2_ingest_close(&ingest);
    if (!ok)
        return -1;
    if (aside == planted)
        return K2_EXIT_DONE;
    k2_say("ingest sim: planted %" PRId64 " bad records, but %" PRId64
           " were set aside; see: k2 dlq show",
           planted, aside);
    return K2_EXIT_SET_ASIDE;
}
