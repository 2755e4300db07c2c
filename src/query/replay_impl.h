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

/* A replay being run. */
struct k2_digest;
struct k2_replay {
    const struct k2_replay_opts *opts;
    struct k2_clock *clock;
    k2_replay_fn *each;
    void *self;
    const struct k2_metadata *tables[3]; /* the replayed one, the ledger's gaps and their events */
    struct k2_intern strings[2];         /* of the two windows */
    struct k2_digest *digest;
    struct k2_loader *loader;
    struct k2_window *window; /* being emitted */
    uint32_t at;              /* in it */
    int64_t rows, snapshot_id, snapshot_ms;
    bool is_done; /* all rows of the files at hand were emitted */
    bool is_stopped;
    bool has_begun; /* with a speed: the row of first_ns was due at start_ns */
    int64_t start_ns, first_ns;
    struct k2_err *err;
};
/* Pins the tables as they are now. */
bool k2_replay_pin(struct k2_replay *replay, struct k2_err *err) K2_MUST;
/* Emits the rows of a snapshot: all of them, or only those its own commit added. Stopped or not,
 * replay->snapshot_id is then this one. */
bool k2_replay_snapshot(struct k2_replay *replay, int64_t snapshot, bool is_commit_only,
                        struct k2_err *err) K2_MUST;
/* Whether it was stopped from outside; is_stopped is set once it has been seen in the midst of
 * rows. */
bool k2_replay_is_asked_to_stop(const struct k2_replay *replay);
/* Says that nothing comes for a while. */
bool k2_replay_idle(struct k2_replay *replay, struct k2_err *err) K2_MUST;
/* Emits what is committed from here on, until it is stopped. */
bool k2_replay_follow(struct k2_replay *replay, struct k2_err *err) K2_MUST;

/* Sorts places by time, then exchange, symbol and number. */
void k2_window_sort(struct k2_window *window, const struct k2_kind_columns *columns,
                    struct k2_buf *scratch);

/* Whether the gap ledger, as of the snapshot that was emitted last, proves that nothing is missing
 * in what was asked. look_rows: to look for the rows beside one gap costs as much as reading so
 * many rows; by it the cheaper way is taken, the answer is the same. */
#define K2_REPLAY_LOOK_ROWS (1ll << 18)
bool k2_replay_judge(const struct k2_replay *replay, int64_t look_rows,
                     struct k2_replay_result *result, struct k2_err *err) K2_MUST;
/* The part of opts that scans can prune by; predicates must hold three. */
int k2_replay_predicates(const struct k2_replay_opts *opts, struct k2_predicate *predicates);

#endif
