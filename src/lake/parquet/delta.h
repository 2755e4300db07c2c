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

/* Decode exactly count values; [*at, end) is followed by K2_PQ_SLACK readable bytes. *at moves
 * behind the last byte. False: the bytes are no such sequence. */
bool k2_delta_decode_i64(const uint8_t **at, const uint8_t *end, size_t count, int64_t *out);
bool k2_delta_decode_i32(const uint8_t **at, const uint8_t *end, size_t count, int32_t *out);

#endif
