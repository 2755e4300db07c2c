/* replay.h -- the rows of a pinned snapshot in time order, and the digest of what was emitted.
 *
 * Order: (timestamp_ns, exchange, symbol, number). Files are merged, each opened when the merge
 * reaches its first moment and closed at its last, so memory follows how many overlap in time.
 * Threads: one thread per replay.
 */
#ifndef K2_QUERY_REPLAY_H
#define K2_QUERY_REPLAY_H

#include "base/hash.h"
#include "lake/table/table.h"

struct k2_replay_opts {
    struct k2_lake *lake;
    const struct k2_schema *schema; /* K2_TRADE or K2_QUOTE */
    const char *as_of;              /* snapshot id, tag or time; NULL: now */
    const struct k2_str *symbols;   /* none: all */
    int symbol_count;
    struct k2_str exchange; /* empty: all */
    bool has_from, has_to;
    int64_t from_ns, to_ns; /* from <= t < to */
};
struct k2_replay_result {
    int64_t rows, snapshot_id;
    struct k2_hash128 digest;
    bool is_complete; /* no open gap between the numbers emitted */
    int64_t open_gaps;
};
/* One row, in order. Returns false to stop (err filled: an error; else just the end). */
typedef bool k2_replay_fn(void *self, const struct k2_batch *batch, uint32_t row,
                          struct k2_err *err);
/* Errors: NOT_FOUND for a snapshot that is not there, CANCELLED when each stopped without an error,
 * those of the lake. */
bool k2_replay_run(const struct k2_replay_opts *opts, k2_replay_fn *each, void *self,
                   struct k2_replay_result *ret_result, struct k2_err *err) K2_MUST;

/* Adds one row to a digest (contracts 9): per non-null stored column in schema order, but log_* and
 * quality_flags: its number from 1 (u16); ints and times i64, decimals i64 times 10^8, strings u32
 * length and bytes, lists u32 count and items, maps u32 count and entries by key bytes; all little
 * endian. scratch is reused from row to row. */
void k2_digest_row(struct k2_hasher *hasher, const struct k2_batch *batch, uint32_t row,
                   struct k2_buf *scratch);

/* The snapshot an --as-of text means for a table: digits an id, else a tag, else a time (ISO 8601).
 * *ret_snapshot 0 when the table had none yet at that time. NOT_FOUND, USAGE. */
bool k2_as_of_resolve(const struct k2_metadata *metadata, const char *as_of, int64_t *ret_snapshot,
                      struct k2_err *err) K2_MUST;

#endif
