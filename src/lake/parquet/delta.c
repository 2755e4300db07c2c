/* delta.c -- DELTA_BINARY_PACKED.
 *
 *   header   varint 128, varint 4, varint count, zigzag first value
 *   block    zigzag least delta, 4 width bytes, then each miniblock: 32 deltas less the least
 * A miniblock that no value reaches has a width byte and no body; one that was begun is padded.
 */
#include "lake/parquet/delta.h"

#include <string.h>

#include "base/macros.h"
#include "lake/parquet/bitpack.h"
#include "lake/parquet/varint.h"

enum { BLOCK = 128, MINIBLOCKS = 4, MINIBLOCK = 32 };

static uint8_t *put_header(uint8_t *out, size_t count, int64_t first) {
    out = k2_varint_put(out, BLOCK);
    out = k2_varint_put(out, MINIBLOCKS);
    out = k2_varint_put(out, count);
    return k2_varint_put(out, k2_zigzag(first));
}

static int width_of(uint64_t bits, bool aligned) {
    int width = k2_bit_width(bits);
    return aligned ? (width + 7) & ~7 : width;
}

uint8_t *k2_delta_encode_i64(const int64_t *values, size_t count, bool aligned, uint8_t *out) {
    out = put_header(out, count, count ? values[0] : 0);
    uint64_t delta[BLOCK];
    for (size_t i = 1; i < count; i += BLOCK) {
        size_t n = K2_MIN((size_t)BLOCK, count - i);
        const int64_t *v = values + i;
        int64_t least = INT64_MAX;
        for (size_t j = 0; j < n; j++) {
            int64_t d = (int64_t)((uint64_t)v[j] - (uint64_t)v[(ptrdiff_t)j - 1]);
            delta[j] = (uint64_t)d;
            least = K2_MIN(least, d);
        }
        for (size_t j = n; j < BLOCK; j++)
            delta[j] = (uint64_t)least;
        out = k2_varint_put(out, k2_zigzag(least));
        uint8_t *widths = out;
        out += MINIBLOCKS;
        for (int m = 0; m < MINIBLOCKS; m++) {
            uint64_t *d = delta + m * MINIBLOCK, bits = 0;
            for (int j = 0; j < MINIBLOCK; j++)
                bits |= d[j] -= (uint64_t)least;
            widths[m] = (uint8_t)width_of(bits, aligned);
            if ((size_t)m * MINIBLOCK < n) {
                k2_bitpack_u64(d, out, widths[m]);
                out += widths[m] * (MINIBLOCK / 8);
            }
        }
    }
    return out;
}

uint8_t *k2_delta_encode_i32(const int32_t *values, size_t count, bool aligned, uint8_t *out) {
    out = put_header(out, count, count ? values[0] : 0);
    uint32_t delta[BLOCK];
    for (size_t i = 1; i < count; i += BLOCK) {
        size_t n = K2_MIN((size_t)BLOCK, count - i);
        const int32_t *v = values + i;
        int32_t least = INT32_MAX;
        for (size_t j = 0; j < n; j++) {
            int32_t d = (int32_t)((uint32_t)v[j] - (uint32_t)v[(ptrdiff_t)j - 1]);
            delta[j] = (uint32_t)d;
            least = K2_MIN(least, d);
        }
        for (size_t j = n; j < BLOCK; j++)
            delta[j] = (uint32_t)least;
        out = k2_varint_put(out, k2_zigzag(least));
        uint8_t *widths = out;
        out += MINIBLOCKS;
        for (int m = 0; m < MINIBLOCKS; m++) {
            uint32_t *d = delta + m * MINIBLOCK, bits = 0;
            for (int j = 0; j < MINIBLOCK; j++)
                bits |= d[j] -= (uint32_t)least;
            widths[m] = (uint8_t)width_of(bits, aligned);
            if ((size_t)m * MINIBLOCK < n) {
                k2_bitpack_u32(d, out, widths[m]);
                out += widths[m] * (MINIBLOCK / 8);
            }
        }
    }
    return out;
}

/* Passes over the blocks without unpacking any; whether they are whole. */
static bool walk_blocks(const struct k2_delta_in *in, const uint8_t **at, const uint8_t *end) {
    uint64_t least;
    for (size_t left = in->left ? in->left - 1 : 0; left;) {
        if (!k2_varint_get(at, end, &least) || (size_t)(end - *at) < in->miniblocks)
            return false;
        const uint8_t *widths = *at;
        *at += in->miniblocks;
        for (uint32_t m = 0; m < in->miniblocks && left; m++) {
            size_t bytes = widths[m] * (in->miniblock / 8);
            if (widths[m] > 64 || (size_t)(end - *at) < bytes)
                return false;
            *at += bytes;
            left -= K2_MIN(in->miniblock, left);
        }
    }
    return true;
}

bool k2_delta_open(struct k2_delta_in *in, const uint8_t **at, const uint8_t *end, bool is_wide) {
    enum { BLOCK_MAX = 1 << 16 };
    uint64_t block, miniblocks, total, first;
    if (!k2_varint_get(at, end, &block) || !k2_varint_get(at, end, &miniblocks) ||
        !k2_varint_get(at, end, &total) || !k2_varint_get(at, end, &first))
        return false;
    if (block == 0 || block > BLOCK_MAX || block % 128 || miniblocks == 0 || miniblocks > block ||
        block % miniblocks || block / miniblocks % 32 || total > UINT32_MAX)
        return false;
    in->at = *at;
    in->left = (size_t)total;
    in->miniblocks = (uint32_t)miniblocks;
    in->miniblock = (size_t)(block / miniblocks);
    in->group = 0;
    in->more = 0;
    in->sum = (uint64_t)k2_unzigzag(first);
    in->ready_at = 0;
    in->ready_count = 1;
    in->ready[0] = is_wide ? (int64_t)in->sum : (int32_t)(uint32_t)in->sum;
    return walk_blocks(in, at, end);
}

/* Steps to the next miniblock with values, through the head of a block where one begins. */
static void next_miniblock(struct k2_delta_in *in) {
    if (in->more == 0) {
        uint64_t least = 0;
        bool is_whole = k2_varint_get(&in->at, in->at + 10, &least);
        K2_DCHECK(is_whole);
        (void)is_whole;
        in->least = (uint64_t)k2_unzigzag(least);
        in->widths = in->at;
        in->at += in->miniblocks;
        in->more = in->miniblocks;
    }
    in->more--;
    in->width = *in->widths++;
    in->group = in->miniblock;
}

static inline void unpack_i64(struct k2_delta_in *in, int64_t *out) {
    uint64_t delta[32], sum = in->sum, least = in->least;
    if (in->width == 0) {
        for (uint64_t j = 0; j < 32; j++)
            out[j] = (int64_t)(sum + (j + 1) * least);
        in->sum = sum + 32 * least;
        return;
    }
    k2_bitunpack_u64(in->at, delta, in->width);
    in->at += in->width * 4;
    for (int j = 0; j < 32; j++)
        out[j] = (int64_t)(sum += delta[j] + least);
    in->sum = sum;
}

/* Some writers do not wrap 32 bits around, and so have deltas of 33. */
static void unpack_i32_wide(struct k2_delta_in *in, int32_t *out) {
    int64_t values[32];
    unpack_i64(in, values);
    for (int j = 0; j < 32; j++)
        out[j] = (int32_t)(uint32_t)(uint64_t)values[j];
}

static inline void unpack_i32(struct k2_delta_in *in, int32_t *out) {
    uint32_t delta[32], sum = (uint32_t)in->sum, least = (uint32_t)in->least;
    if (in->width > 32) {
        unpack_i32_wide(in, out);
        return;
    }
    k2_bitunpack_u32(in->at, delta, in->width);
    in->at += in->width * 4;
    for (int j = 0; j < 32; j++)
        out[j] = (int32_t)(sum += delta[j] + least);
    in->sum = sum;
}

/* Both takers: whole groups of 32 are unpacked where they belong, the ends by way of ready. */
#define TAKE(name, type, unpack)                                                                   \
    void name(struct k2_delta_in *in, size_t count, type *out) {                                   \
        K2_DCHECK(count <= in->left);                                                              \
        in->left -= count;                                                                         \
        for (size_t i = 0; i < count;) {                                                           \
            if (in->ready_at < in->ready_count) {                                                  \
                out[i++] = (type)in->ready[in->ready_at++];                                        \
                continue;                                                                          \
            }                                                                                      \
            if (in->group == 0)                                                                    \
                next_miniblock(in);                                                                \
            in->group -= 32;                                                                       \
            if (count - i >= 32) {                                                                 \
                unpack(in, out + i);                                                               \
                i += 32;                                                                           \
                continue;                                                                          \
            }                                                                                      \
            type ready[32];                                                                        \
            unpack(in, ready);                                                                     \
            for (int j = 0; j < 32; j++)                                                           \
                in->ready[j] = ready[j];                                                           \
            in->ready_at = 0;                                                                      \
            in->ready_count = 32;                                                                  \
        }                                                                                          \
    }
TAKE(k2_delta_take_i64, int64_t, unpack_i64)
TAKE(k2_delta_take_i32, int32_t, unpack_i32)
