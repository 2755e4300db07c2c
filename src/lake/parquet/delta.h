/* delta.h -- DELTA_BINARY_PACKED: integers as differences, in blocks of 128 with 4 widths each.
 *
 * Arithmetic wraps, so every sequence of integers can be written. Threads: no state.
 */
#ifndef K2_LAKE_PARQUET_DELTA_H
#define K2_LAKE_PARQUET_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that count values can take, slack included. */
static inline size_t k2_delta_bound(size_t count) {
    return 128 + (count / 128 + 1) * 1040;
}
/* Encode to out (k2_delta_bound bytes) and return its end. aligned: widths are whole bytes, which
 * lets a compressor that follows see equal bytes. */
uint8_t *k2_delta_encode_i64(const int64_t *values, size_t count, bool aligned, uint8_t *out);
uint8_t *k2_delta_encode_i32(const int32_t *values, size_t count, bool aligned, uint8_t *out);

/* Where a reader of such a sequence stands. */
struct k2_delta_in {
    const uint8_t *at;         /* the next block or miniblock */
    const uint8_t *widths;     /* of the miniblocks of the block that are still to come */
    uint64_t least, sum;       /* of the block; the last value */
    size_t left;               /* values not yet taken, those in ready included */
    size_t miniblock, group;   /* values of one; of the one at hand, not yet unpacked */
    uint32_t miniblocks, more; /* of a block; of this one, not yet begun */
    int width;
    uint32_t ready_at, ready_count;
    int64_t ready[32]; /* unpacked and not yet taken */
};

/* Begins to read values of 8 (is_wide) or 4 bytes. All of the sequence is walked through, so that
 * taking needs no more checks; *at moves behind it. [*at, end) is followed by K2_PQ_SLACK readable
 * bytes. False: the bytes are no such sequence. */
bool k2_delta_open(struct k2_delta_in *in, const uint8_t **at, const uint8_t *end, bool is_wide);
/* Take exactly count values; no more than in->left may be asked for. */
void k2_delta_take_i64(struct k2_delta_in *in, size_t count, int64_t *out);
void k2_delta_take_i32(struct k2_delta_in *in, size_t count, int32_t *out);

#endif
