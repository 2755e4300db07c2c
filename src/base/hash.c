/* hash.c -- XXH3 by libxxhash, CRC-32C by the SSE 4.2 instruction or a table, Kafka's murmur2. */
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

#include "base/macros.h"

uint64_t k2_hash64(const void *bytes, size_t len) {
    return XXH3_64bits(bytes, len);
}

uint64_t k2_xxh64(const void *bytes, size_t len) {
    return XXH64(bytes, len, 0);
}

struct k2_hash128 k2_hash128(const void *bytes, size_t len) {
    XXH128_hash_t h = XXH3_128bits(bytes, len);
    return (struct k2_hash128){h.low64, h.high64};
}

void k2_hash128_hex(struct k2_hash128 hash, char ret_hex[33]) {
    snprintf(ret_hex, 33, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
}

struct k2_hasher *k2_hasher_new(void) {
    XXH3_state_t *state = XXH3_createState();
    K2_ASSERT(state);
    XXH3_128bits_reset(state);
    return (struct k2_hasher *)state;
}

void k2_hasher_free(struct k2_hasher *hasher) {
    XXH3_freeState((XXH3_state_t *)hasher);
}

void k2_hasher_add(struct k2_hasher *hasher, const void *bytes, size_t len) {
    XXH3_128bits_update((XXH3_state_t *)hasher, bytes, len);
}

struct k2_hash128 k2_hasher_end(const struct k2_hasher *hasher) {
    XXH128_hash_t h = XXH3_128bits_digest((const XXH3_state_t *)hasher);
    return (struct k2_hash128){h.low64, h.high64};
}

#ifndef __SSE4_2__
/* Bit by bit: for machines without the instruction, where being right is all that is asked. */
static uint32_t crc_step(uint32_t crc, uint8_t byte) {
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    return crc;
}
#endif

uint32_t k2_crc32c(uint32_t crc, const void *bytes, size_t len) {
    const uint8_t *p = bytes;
    crc = ~crc;
#ifdef __SSE4_2__
    uint64_t wide = crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len; p++, len--)
        crc = _mm_crc32_u8(crc, *p);
#else
    for (; len; p++, len--)
        crc = crc_step(crc, *p);
#endif
    return ~crc;
}

uint32_t k2_murmur2(const void *bytes, size_t len) {
    const uint8_t *p = bytes;
    const uint32_t m = 0x5bd1e995u;
    uint32_t h = 0x9747b28cu ^ (uint32_t)len;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t k;
        memcpy(&k, p, 4);
        k *= m;
        k ^= k >> 24;
        k *= m;
        h = (h * m) ^ k;
    }
    if (len >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (len >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (len >= 1)
        h = (h ^ p[0]) * m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}
