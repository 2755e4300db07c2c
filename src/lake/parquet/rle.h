/* rle.h -- Parquet's hybrid of run lengths and bit packing, for levels and dictionary indices.
 *
 * Threads: no state.
 */
#ifndef K2_LAKE_PARQUET_RLE_H
#define K2_LAKE_PARQUET_RLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that count values of a width can take, slack included. */
static inline size_t k2_rle_bound(size_t count, int width) {
    return count * (size_t)(width + 7) / 8 + count + 128;
}
/* Encode to out (k2_rle_bound bytes) and return its end; values lie below 2^width. */
uint8_t *k2_rle_encode(const uint32_t *values, size_t count, int width, uint8_t *out);
/* The same for levels, one byte each, width 1..8. */
uint8_t *k2_rle_encode_levels(const uint8_t *levels, size_t count, int width, uint8_t *out);

/* Decode exactly count values (width 0..32; levels 1..8); [at, end) is followed by K2_PQ_SLACK
 * readable bytes. False: the bytes are no such sequence, or end early. */
bool k2_rle_decode(const uint8_t *at, const uint8_t *end, int width, size_t count, uint32_t *out);
bool k2_rle_decode_levels(const uint8_t *at, const uint8_t *end, int width, size_t count,
                          uint8_t *out);
/* True when the bytes begin with one run that covers all count values; then its value. */
bool k2_rle_is_run(const uint8_t *at, const uint8_t *end, int width, size_t count,
                   uint32_t *ret_value);

#endif
