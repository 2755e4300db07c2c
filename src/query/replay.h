/* replay.h -- the rows of a pinned snapshot in time order, and the digest of what was emitted.
 *
 * Order: (timestamp_ns, exchange, symbol, number). Files are read on a thread of their own, a
 * window of rows ahead of what is emitted; the two windows take at most opts->memory, however many
 * files overlap in time, besides one row group being read. A replay that follows goes on with the
 * commits after its snapshot, each in that order in itself. Threads: one thread per replay; each is
 * called on it.
 */
#ifndef K2_QUERY_REPLAY_H
#define K2_QUERY_REPLAY_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "lake/table/table.h"

struct k2_replay_opts {
    struct k2_lake *lake;
    const struct k2_schema *schema; /* K2_TRADE or K2_QUOTE */
    const char *as_of;              /* as k2_as_of_find takes it; NULL: now */
    const struct k2_str *symbols;   /* none: all */
    int symbol_count;
    struct k2_str exchange; /* empty: all */
    bool has_from, has_to;
    int64_t from_ns, to_ns;  /* from <= t < to */
    int64_t memory;          /* bytes; 0: 512 MiB */
    bool reads_all;          /* each looks at log positions and flags too */
    bool follows;            /* goes on with what is committed, until it is stopped */
    double speed;            /* times that of the rows' own times; 0: as fast as it goes */
    struct k2_clock *clock;  /* of speed and follows; NULL: the system's */
    const atomic_bool *stop; /* set by another thread or a signal; NULL: never */
};
struct k2_replay_result {
    int64_t rows, snapshot_id; /* the snapshot is the last one of which all rows were emitted, or
                                  the one that was being emitted */
    struct k2_hash128 digest;
    bool is_complete; /* no number can be missing in what was asked for, and all was emitted */
    bool is_stopped;  /* by stop or by each, before all of the snapshot was emitted */
    int64_t open_gaps;
};
/* Takes rows[0..count) of batch, which come next in order. With count 0 (batch is NULL) nothing
 * comes for a while: what is held back may be sent. Returns false to stop (err filled); with
 * CANCELLED the replay ends as if stop had been set. */
typedef bool k2_replay_fn(void *self, const struct k2_batch *batch, const uint32_t *rows,
                          uint32_t count, struct k2_err *err);
/* Calls each (NULL: only the digest is wanted) for all rows asked for. Errors: NOT_FOUND for a
 * snapshot that is not there, USAGE for an as_of that cannot be one, LIMIT when one moment has more
 * rows than memory holds, CONFLICT when a table that is followed was rolled back or rewritten,
 * those of the lake and of each. */
bool k2_replay_run(const struct k2_replay_opts *opts, k2_replay_fn *each, void *self,
                   struct k2_replay_result *ret_result, struct k2_err *err) K2_MUST;

#endif
