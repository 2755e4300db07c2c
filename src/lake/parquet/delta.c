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

struct header {
    uint64_t miniblocks, miniblock; /* of a block; values of one */
    uint64_t first;
};

static bool get_header(const uint8_t **at, const uint8_t *end, size_t count, struct header *ret) {
    uint64_t block, miniblocks, total, first;
    if (!k2_varint_get(at, end, &block) || !k2_varint_get(at, end, &miniblocks) ||
        !k2_varint_get(at, end, &total) || !k2_varint_get(at, end, &first))
        return false;
    if (block == 0 || block > 1 << 20 || block % 128 || miniblocks == 0 || block % miniblocks ||
        block / miniblocks % 32 || total != count)
        return false;
    *ret = (struct header){miniblocks, block / miniblocks, (uint64_t)k2_unzigzag(first)};
    return true;
}

/* One miniblock's deltas are added up into out; n <= miniblock. */
static uint64_t add_i64(const uint8_t *in, int width, size_t n, uint64_t least, uint64_t sum,
                        int64_t *out) {
    uint64_t delta[32];
    for (size_t i = 0; i < n; i += 32, in += width * 4) {
        k2_bitunpack_u64(in, delta, width);
        size_t part = K2_MIN((size_t)32, n - i);
        if (part == 32)
            for (size_t j = 0; j < 32; j++)
                out[i + j] = (int64_t)(sum += delta[j] + least);
        else
            for (size_t j = 0; j < part; j++)
                out[i + j] = (int64_t)(sum += delta[j] + least);
    }
    return sum;
}

static uint64_t add_i32(const uint8_t *in, int width, size_t n, uint64_t least, uint64_t sum,
                        int32_t *out) {
    uint32_t delta[32];
    for (size_t i = 0; i < n; i += 32, in += width * 4) {
        k2_bitunpack_u32(in, delta, width);
        size_t part = K2_MIN((size_t)32, n - i);
        for (size_t j = 0; j < part; j++)
            out[i + j] = (int32_t)(uint32_t)(sum += delta[j] + least);
    }
    return sum;
}

/* Both decoders: wide picks the width of the output. */
static bool decode(const uint8_t **at, const uint8_t *end, size_t count, void *out, bool wide) {
    struct header h;
    if (!get_header(at, end, count, &h))
        return false;
    uint64_t sum = h.first;
    if (count && wide)
        *(int64_t *)out = (int64_t)sum;
    else if (count)
        *(int32_t *)out = (int32_t)(uint32_t)sum;
    for (size_t i = 1; i < count;) {
        uint64_t least;
        if (!k2_varint_get(at, end, &least) || (uint64_t)(end - *at) < h.miniblocks)
            return false;
        least = (uint64_t)k2_unzigzag(least);
        const uint8_t *widths = *at;
        *at += h.miniblocks;
        for (uint64_t m = 0; m < h.miniblocks && i < count; m++) {
            size_t bytes = widths[m] * (size_t)(h.miniblock / 8);
            size_t n = K2_MIN((size_t)h.miniblock, count - i);
            if (widths[m] > (wide ? 64 : 32) || (size_t)(end - *at) < bytes)
                return false;
            sum = wide ? add_i64(*at, widths[m], n, least, sum, (int64_t *)out + i)
                       : add_i32(*at, widths[m], n, least, sum, (int32_t *)out + i);
            *at += bytes;
            i += n;
        }
    }
    return true;
}

bool k2_delta_decode_i64(const uint8_t **at, const uint8_t *end, size_t count, int64_t *out) {
    return decode(at, end, count, out, true);
}

bool k2_delta_decode_i32(const uint8_t **at, const uint8_t *end, size_t count, int32_t *out) {
    return decode(at, end, count, out, false);
}
