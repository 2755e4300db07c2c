/* bloom.c -- the split-block Bloom filter. */
#include "lake/parquet/bloom.h"

#include "base/hash.h"
#include "lake/parquet/thrift_compact.h"

enum { BLOCK = 32, WORDS = 8, BITS_PER_VALUE = 12, BYTES_MAX = 1 << 20 };

static const uint32_t salt[WORDS] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                     0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};

/* The block of a hash, and the bit in each of its words. */
static size_t block_at(uint64_t hash, size_t bytes) {
    return (size_t)((hash >> 32) * (bytes / BLOCK) >> 32) * BLOCK;
}
static uint32_t bit_of(uint64_t hash, int word) {
    return 1u << ((uint32_t)hash * salt[word] >> 27);
}

void k2_bloom_put(const struct k2_pq_dictionary *dictionary, struct k2_buf *out) {
    size_t bytes = BLOCK;
    while (bytes * 8 < (size_t)dictionary->count * BITS_PER_VALUE && bytes < BYTES_MAX)
        bytes *= 2;
    struct k2_thrift_out thrift;
    k2_thrift_open(&thrift, out);
    k2_thrift_i32(&thrift, 1, (int32_t)bytes);
    for (int id = 2; id <= 4; id++) { /* block algorithm, XXH64, uncompressed: the only choices */
        k2_thrift_struct(&thrift, id);
        k2_thrift_empty_struct(&thrift, 1);
        k2_thrift_end(&thrift);
    }
    k2_thrift_end(&thrift);
    char *words = k2_buf_reserve(out, bytes);
    memset(words, 0, bytes);
    out->len += bytes;
    for (uint32_t i = 0; i < dictionary->count; i++) {
        struct k2_str s = dictionary->strings[i];
        uint64_t hash = k2_xxh64(s.ptr, s.len);
        char *block = words + block_at(hash, bytes);
        for (int w = 0; w < WORDS; w++) {
            uint32_t word;
            memcpy(&word, block + 4 * w, 4);
            word |= bit_of(hash, w);
            memcpy(block + 4 * w, &word, 4);
        }
    }
}

bool k2_bloom_open(struct k2_str bytes, struct k2_str *ret_words) {
    struct k2_thrift_in in = {(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len,
                              false};
    int id = 0, type;
    int32_t size = 0;
    while ((type = k2_thrift_next(&in, &id)))
        if (id == 1)
            size = k2_thrift_get_i32(&in, type);
        else
            k2_thrift_skip(&in, type);
    if (in.failed || size <= 0 || size % BLOCK || in.end - in.at < size)
        return false;
    *ret_words = k2_str_make(in.at, (size_t)size);
    return true;
}

bool k2_bloom_may_hold(struct k2_str words, struct k2_str value) {
    uint64_t hash = k2_xxh64(value.ptr, value.len);
    const char *block = words.ptr + block_at(hash, words.len);
    for (int w = 0; w < WORDS; w++) {
        uint32_t word;
        memcpy(&word, block + 4 * w, 4);
        if ((word & bit_of(hash, w)) == 0)
            return false;
    }
    return true;
}
