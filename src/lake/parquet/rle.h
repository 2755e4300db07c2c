/* rle.h -- Parquet's hybrid of run lengths and bit packing, for levels and dictionary indices.
 *
 * Threads: no state.
 */
#ifndef K2_LAKE_PARQUET_RLE_H
#define K2_LAKE_PARQUET_RLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the run of equal values that begins at a place below count ends. */
static inline uint32_t k2_run_end(const uint32_t *values, uint32_t start, uint32_t count) {
    uint32_t end = start + 1;
    for (; end + 8 <= count; end += 8) {
        uint32_t differ = 0;
        for (uint32_t i = 0; i < 8; i++)
            differ |= values[end + i] ^ values[start];
        if (differ)
            break;
    }
    while (end < count && values[end] == values[start])
        end++;
    return end;
}

/* The most bytes that count values of a width can take, slack included. */
static inline size_t k2_rle_bound(size_t count, int width) {
    return count * (size_t)(width + 7) / 8 + count + 128;
}
/* Encode to out (k2_rle_bound bytes) and return its end; values lie below 2^width. */
uint8_t *k2_rle_encode(const uint32_t *values, size_t count, int width, uint8_t *out);
/* The same for levels, one byte each, width 1..8. */
uint8_t *k2_rle_encode_levels(const uint8_t *levels, size_t count, int width, uint8_t *out);

/* Where a reader of such a sequence stands. [at, end) is followed by K2_PQ_SLACK readable bytes. */
struct k2_rle_in {
    const uint8_t *at, *end;
    int width;
    bool is_literal;      /* the stretch at hand */
    size_t left, taken;   /* of its values */
    uint32_t value;       /* of a run */
    const uint8_t *bytes; /* of a literal */
};

/* Begins to read values of a width (0..32; levels 1..8). */
void k2_rle_open(struct k2_rle_in *in, const uint8_t *at, const uint8_t *end, int width);
/* Takes the next values, at most max of them: those of one stretch. Returns how many; 0: the bytes
 * are no such sequence, or have ended. Where *ret_is_run is set they all equal out[0], which alone
 * is written. */
size_t k2_rle_take(struct k2_rle_in *in, size_t max, uint32_t *out, bool *ret_is_run);
/* Takes exactly count levels. False: the bytes are no such sequence, or end early. */
bool k2_rle_take_levels(struct k2_rle_in *in, size_t count, uint8_t *out);
/* How many of the values that come next are one run, and of what; 0: they are no run. */
size_t k2_rle_peek_run(struct k2_rle_in *in, uint32_t *ret_value);
/* Passes over values of a run that was peeked at. */
static inline void k2_rle_pass(struct k2_rle_in *in, size_t count) {
    in->left -= count;
}

#endif
