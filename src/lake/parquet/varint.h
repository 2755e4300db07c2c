/* varint.h -- LEB128 at raw pointers, for encoders that know their room and decoders that do not.
 */
#ifndef K2_LAKE_PARQUET_VARINT_H
#define K2_LAKE_PARQUET_VARINT_H

#include <stdbool.h>
#include <stdint.h>

/* At most 10 bytes; returns their end. */
static inline uint8_t *k2_varint_put(uint8_t *out, uint64_t value) {
    for (; value >= 128; value >>= 7)
        *out++ = (uint8_t)(value | 128);
    *out++ = (uint8_t)value;
    return out;
}

/* False, with *at anywhere up to end, when it does not end before end or is too long. */
static inline bool k2_varint_get(const uint8_t **at, const uint8_t *end, uint64_t *ret_value) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static inline uint64_t k2_zigzag(int64_t value) {
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}
static inline int64_t k2_unzigzag(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

#endif
