/* bitpack.h -- 32 integers of a fixed bit width to bytes and back, least significant bit first.
 *
 * Packing writes, and unpacking may read, up to K2_PQ_SLACK bytes beyond the 4 * width that it
 * means. Threads: no state.
 */
#ifndef K2_LAKE_PARQUET_BITPACK_H
#define K2_LAKE_PARQUET_BITPACK_H

#include <stdint.h>

/* in[32], each below 2^width; width 0..64 (0..32 for u32). */
void k2_bitpack_u64(const uint64_t *in, uint8_t *out, int width);
void k2_bitpack_u32(const uint32_t *in, uint8_t *out, int width);
/* out[32]. */
void k2_bitunpack_u64(const uint8_t *in, uint64_t *out, int width);
void k2_bitunpack_u32(const uint8_t *in, uint32_t *out, int width);

/* Bits needed for value. */
static inline int k2_bit_width(uint64_t value) {
    return value ? 64 - __builtin_clzll(value) : 0;
}

#endif
