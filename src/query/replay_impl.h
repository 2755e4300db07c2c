/* replay_impl.h -- the parts of a replay: files on one side, windows of ordered rows on the other.
 *
 * A loader reads data files and fills windows, on a thread of its own; the replay emits them. Each
 * window holds rows that all lie before those of the next one. Private to query.
 */
#ifndef K2_QUERY_REPLAY_IMPL_H
#define K2_QUERY_REPLAY_IMPL_H

#include <stdatomic.h>

#include "base/agent.h"
#include "base/ring.h"
#include "query/replay.h"

struct k2_replay_columns {
    int symbol, exchange, timestamp, nanos, source, platform;
};
/* The columns that order the rows of a kind; trades and quotes have them. */
const struct k2_replay_columns *k2_replay_columns_of(enum k2_kind kind);
static inline int64_t k2_replay_number(const struct k2_replay_columns *c, const struct k2_batch *b,
                                       uint32_t row) {
    return b->col[c->source].valid[row] ? b->col[c->source].i64[row] : b->col[c->platform].i64[row];
}

/* A data file and how far it was read: its rows before done_us were emitted or lie in a window. */
struct k2_replay_file {
    struct k2_str uri;
    int64_t rows;
    int64_t low_us, high_us; /* of its timestamps, both inclusive */
    int64_t done_us;         /* INT64_MAX: nothing left */
};

/* Rows, and their order: order[0, ready) come before all that is not in the window; those behind
 * are carried into the next one. */
struct k2_window {
    struct k2_intern *strings;
    struct k2_batch *batch;
    int64_t *ts; /* nanoseconds, by place in order */
    uint32_t *order;
    uint32_t count, ready;
    bool is_last;
};

struct k2_loader;
/* files (count, borrowed, written to) are read once or, where many overlap, several times, so that
 * two windows take no more than opts->memory. strings are those of the two windows. */
struct k2_loader *k2_loader_new(const struct k2_replay_opts *opts,
                                const struct k2_metadata *metadata, struct k2_replay_file *files,
                                int count, struct k2_intern strings[2]);
void k2_loader_free(struct k2_loader *loader);
bool k2_loader_start(struct k2_loader *loader, struct k2_err *err) K2_MUST;
/* The next window, NULL while there is none yet; the last one is marked. Hand it back with
 * k2_loader_return. *ret_failed: the loader ended with an error, which k2_loader_stop returns. */
struct k2_window *k2_loader_take(struct k2_loader *loader, bool *ret_failed);
void k2_loader_return(struct k2_loader *loader, struct k2_window *window);
/* Ends the thread. False with the loader's error. */
bool k2_loader_stop(struct k2_loader *loader, struct k2_err *err) K2_MUST;

/* Sorts places by time, then exchange, symbol and number. */
void k2_window_sort(struct k2_window *window, const struct k2_replay_columns *columns,
                    struct k2_buf *scratch);

/* Whether the gap ledger, as of the snapshot, proves that nothing is missing in what was asked. */
bool k2_replay_judge(const struct k2_replay_opts *opts, const struct k2_metadata *metadata,
                     int64_t snapshot, const struct k2_metadata *gaps,
                     const struct k2_metadata *gap_events, struct k2_replay_result *result,
                     struct k2_err *err) K2_MUST;
/* The part of opts that scans can prune by; predicates must hold three. */
int k2_replay_predicates(const struct k2_replay_opts *opts, struct k2_predicate *predicates);

#endif
