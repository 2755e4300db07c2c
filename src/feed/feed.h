/* feed.h -- sources of market data: each gives batches of records, all of one topic, in order.
 *
 * A feed never decides what is good: it turns bytes into records, and what it cannot turn into one
 * into an event (K2_EVENT batch). Threads: a feed belongs to one thread.
 */
#ifndef K2_FEED_FEED_H
#define K2_FEED_FEED_H

#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "market/batch.h"
#include "market/record.h"

/* ---- where a feed puts what it has: the log, or a test ---- */
struct k2_feed_out {
    void *self;
    /* Rows of one topic. The batch is the feed's own and is reused after the call. */
    bool (*batch)(void *self, const char *topic, struct k2_batch *batch, struct k2_err *err);
    /* Raw values, as a broken producer would send them (the simulator plants such). */
    bool (*raw)(void *self, const char *topic, struct k2_record *records, int count,
                struct k2_err *err);
    /* Told after each piece of work: bytes read of bytes in all (0: unknown), rows so far. May be
     * NULL. Returning false cancels the feed (CANCELLED). */
    bool (*progress)(void *self, int64_t bytes, int64_t bytes_all, int64_t rows);
};

/* ---- CSV ---- */
struct k2_csv_opts {
    const char *layout;   /* a name of k2_csv_layouts */
    const char *exchange; /* NULL: the layout's own */
    const char *symbol;
    const char *zone;       /* time zone of local times; NULL: the layout's own */
    int64_t sequence_start; /* 1 */
    struct k2_clock *clock;
};
struct k2_csv_result {
    int64_t bytes, lines, rows, events;
};
/* NULL-terminated, in the order help shows them. */
extern const char *const k2_csv_layouts[];
/* Reads one file ("-": standard input), gzip and zstd recognised by content, in constant memory.
 * Bad lines become events and the rest goes on. Errors: USAGE for an unknown layout or a symbol
 * that cannot be told, INVALID for a folder or a header that does not fit, CORRUPT for a broken
 * gzip or zstd stream (rows before it were given), NOT_FOUND, IO; those of out. */
bool k2_csv_read(const char *path, const struct k2_csv_opts *opts, const struct k2_feed_out *out,
                 struct k2_csv_result *ret_result, struct k2_err *err) K2_MUST;

/* ---- the simulator ---- */
struct k2_sim_opts {
    int64_t rows; /* good messages, trades and quotes together */
    uint32_t symbols;
    uint64_t seed;
    double quotes_per_trade;
    int64_t gaps, duplicates, late, bad; /* how many of each to plant */
};
struct k2_sim_truth {
    int64_t trades, quotes; /* good messages */
    int64_t gaps,
        missing; /* holes planted (late ones included) and numbers in them, at first sight */
    int64_t duplicates, late, bad_records, undecodable;
    struct k2_buf json; /* the whole truth, planted item by item */
};
/* Runs the generator to its end, deterministic by opts alone: the same calls of out for the same
 * opts, on every machine. rate: messages per second, 0 for as fast as it goes. Resuming: a record
 * whose (topic, key) count is below what already(self, topic, key) says is in the log is made but
 * not given to out; already may be NULL. */
typedef int64_t k2_sim_already_fn(void *self, const char *topic, struct k2_str key);
bool k2_sim_run(const struct k2_sim_opts *opts, double rate, const struct k2_feed_out *out,
                k2_sim_already_fn *already, void *already_self, struct k2_clock *clock,
                struct k2_sim_truth *ret_truth, struct k2_err *err) K2_MUST;

#endif
