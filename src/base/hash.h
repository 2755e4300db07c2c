/* hash.h -- the hash functions K2 stores or sends: XXH3, CRC-32C, and Java's murmur2. */
#ifndef K2_BASE_HASH_H
#define K2_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3, 64 bits, seed 0. */
uint64_t k2_hash64(const void *bytes, size_t len);

struct k2_hash128 {
    uint64_t low, high;
};
/* XXH3, 128 bits, seed 0. */
struct k2_hash128 k2_hash128(const void *bytes, size_t len);
/* 32 lower-case hex digits, high half first, NUL-terminated. */
void k2_hash128_hex(struct k2_hash128 hash, char ret_hex[33]);

/* Streaming XXH3-128. Free with k2_hasher_free. */
struct k2_hasher;
struct k2_hasher *k2_hasher_new(void);
void k2_hasher_free(struct k2_hasher *hasher);
void k2_hasher_add(struct k2_hasher *hasher, const void *bytes, size_t len);
struct k2_hash128 k2_hasher_end(const struct k2_hasher *hasher);

/* XXH64, seed 0 (Parquet's Bloom filter). */
uint64_t k2_xxh64(const void *bytes, size_t len);

/* CRC-32C (Castagnoli) of bytes, continuing from crc (0 to begin). */
uint32_t k2_crc32c(uint32_t crc, const void *bytes, size_t len);
/* Murmur2 as Kafka's Java client computes it; the sign bit is the caller's to drop. */
uint32_t k2_murmur2(const void *bytes, size_t len);

#endif
