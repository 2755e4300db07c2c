/* bitpack.c -- one straight-line function for each width, made by the compiler from one text. */
#include "lake/parquet/bitpack.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define EIGHT(F, w) F(w) F(w + 1) F(w + 2) F(w + 3) F(w + 4) F(w + 5) F(w + 6) F(w + 7)

INLINE void pack_u64(const uint64_t *in, uint8_t *out, const int width) {
    uint64_t word = 0;
    int used = 0;
    UNROLL
    for (int i = 0; i < 32; i++) {
        word |= in[i] << used;
        if (used + width < 64) {
            used += width;
            continue;
        }
        memcpy(out, &word, 8);
        out += 8;
        int taken = 64 - used;
        word = taken < width ? in[i] >> taken : 0;
        used += width - 64;
    }
    if (used) /* 32 values are a whole number of 4-byte words */
        memcpy(out, &word, 4);
}

INLINE void pack_u32(const uint32_t *in, uint8_t *out, const int width) {
    uint64_t word = 0;
    int used = 0;
    UNROLL
    for (int i = 0; i < 32; i++) {
        word |= (uint64_t)in[i] << used;
        used += width;
        if (used >= 32) {
            uint32_t low = (uint32_t)word;
            memcpy(out, &low, 4);
            out += 4;
            word >>= 32;
            used -= 32;
        }
    }
}

INLINE uint64_t load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

INLINE void unpack_u64(const uint8_t *in, uint64_t *out, const int width) {
    const uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
    UNROLL
    for (int i = 0; i < 32; i++) {
        const int bit = i * width, shift = bit & 7;
        uint64_t value = load(in + (bit >> 3)) >> shift;
        if (shift + width > 64)
            value |= (uint64_t)in[(bit >> 3) + 8] << (64 - shift);
        out[i] = value & mask;
    }
}

INLINE void unpack_u32(const uint8_t *in, uint32_t *out, const int width) {
    const uint64_t mask = (1ull << width) - 1;
    UNROLL
    for (int i = 0; i < 32; i++) {
        const int bit = i * width;
        out[i] = (uint32_t)((load(in + (bit >> 3)) >> (bit & 7)) & mask);
    }
}

#define PACK_U64(w)                                                                                \
    case w:                                                                                        \
        pack_u64(in, out, w);                                                                      \
        return;
#define PACK_U32(w)                                                                                \
    case w:                                                                                        \
        pack_u32(in, out, w);                                                                      \
        return;
#define UNPACK_U64(w)                                                                              \
    case w:                                                                                        \
        unpack_u64(in, out, w);                                                                    \
        return;
#define UNPACK_U32(w)                                                                              \
    case w:                                                                                        \
        unpack_u32(in, out, w);                                                                    \
        return;
#define UP_TO_32(F) EIGHT(F, 1) EIGHT(F, 9) EIGHT(F, 17) EIGHT(F, 25)
#define UP_TO_64(F) UP_TO_32(F) EIGHT(F, 33) EIGHT(F, 41) EIGHT(F, 49) EIGHT(F, 57)

void k2_bitpack_u64(const uint64_t *in, uint8_t *out, int width) {
    switch (width) { UP_TO_64(PACK_U64) }
}

void k2_bitpack_u32(const uint32_t *in, uint8_t *out, int width) {
    switch (width) { UP_TO_32(PACK_U32) }
}

void k2_bitunpack_u64(const uint8_t *in, uint64_t *out, int width) {
    switch (width) {
        UP_TO_64(UNPACK_U64)
    default: memset(out, 0, 32 * sizeof *out);
    }
}

void k2_bitunpack_u32(const uint8_t *in, uint32_t *out, int width) {
    switch (width) {
        UP_TO_32(UNPACK_U32)
    default: memset(out, 0, 32 * sizeof *out);
    }
}
