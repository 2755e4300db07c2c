/* rle.c -- runs (varint length << 1, value in whole bytes) and literals (varint groups << 1 | 1,
 * packed groups of 8), as they pay.
 */
#include "lake/parquet/rle.h"

#include <string.h>
#ifdef __BMI2__
#include <immintrin.h>
#endif

#include "base/macros.h"
#include "lake/parquet/bitpack.h"
#include "lake/parquet/varint.h"

/* Literals of a width below which a run would not be shorter. */
static size_t run_min(int width) {
    return width == 0 ? 1 : width <= 2 ? 32 : width <= 4 ? 16 : 8;
}

static uint8_t *put_literal(const uint32_t *values, size_t count, int width, uint8_t *out) {
    if (count == 0)
        return out;
    out = k2_varint_put(out, (uint64_t)((count + 7) / 8) << 1 | 1);
    for (; count >= 32; count -= 32, values += 32) {
        k2_bitpack_u32(values, out, width);
        out += width * 4;
    }
    if (count) {
        uint32_t rest[32] = {0};
        memcpy(rest, values, count * sizeof *rest);
        k2_bitpack_u32(rest, out, width);
        out += (count + 7) / 8 * (size_t)width;
    }
    return out;
}

static uint8_t *put_run(uint32_t value, size_t count, int width, uint8_t *out) {
    out = k2_varint_put(out, (uint64_t)count << 1);
    memcpy(out, &value, sizeof value);
    return out + (width + 7) / 8;
}

/* Literals stand in whole groups of 8 from where the last run ended, so a run is looked for only
 * at the start of a group. */
uint8_t *k2_rle_encode(const uint32_t *values, size_t count, int width, uint8_t *out) {
    size_t literal = 0, i = 0, min = run_min(width);
    while (i < count) {
        uint32_t differ = 0;
        size_t group = K2_MIN((size_t)8, count - i);
        for (size_t j = 1; j < group; j++)
            differ |= values[i + j] ^ values[i];
        if (differ) {
            i += group;
            continue;
        }
        size_t end = k2_run_end(values, (uint32_t)(i + group - 1), (uint32_t)count);
        if (end - i < min && !(literal == i && end == count)) {
            i += group;
            continue;
        }
        out = put_literal(values + literal, i - literal, width, out);
        out = put_run(values[i], end - i, width, out);
        literal = i = end;
    }
    return put_literal(values + literal, count - literal, width, out);
}

static uint64_t load(const void *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* 8 levels of one byte each to 8 * width bits. */
static uint64_t squeeze(uint64_t levels, int width) {
#ifdef __BMI2__
    return _pext_u64(levels, 0x0101010101010101ull * ((1u << width) - 1));
#else
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits |= (levels >> (8 * i) & 255) << (width * i);
    return bits;
#endif
}

static uint64_t spread(uint64_t bits, int width) {
#ifdef __BMI2__
    return _pdep_u64(bits, 0x0101010101010101ull * ((1u << width) - 1));
#else
    uint64_t levels = 0, mask = (1u << width) - 1;
    for (int i = 0; i < 8; i++)
        levels |= (bits >> (width * i) & mask) << (8 * i);
    return levels;
#endif
}

static uint8_t *put_literal_levels(const uint8_t *levels, size_t count, int width, uint8_t *out) {
    if (count == 0)
        return out;
    out = k2_varint_put(out, (uint64_t)((count + 7) / 8) << 1 | 1);
    for (; count; out += width) {
        uint64_t group = 0;
        size_t n = K2_MIN((size_t)8, count);
        memcpy(&group, levels, n);
        uint64_t bits = squeeze(group, width);
        memcpy(out, &bits, 8);
        levels += n, count -= n;
    }
    return out;
}

uint8_t *k2_rle_encode_levels(const uint8_t *levels, size_t count, int width, uint8_t *out) {
    size_t literal = 0, i = 0;
    while (i + 8 <= count) {
        uint64_t same = levels[i] * 0x0101010101010101ull;
        if (load(levels + i) != same) {
            i += 8;
            continue;
        }
        size_t end = i + 8;
        while (end + 8 <= count && load(levels + end) == same)
            end += 8;
        while (end < count && levels[end] == levels[i])
            end++;
        if (end - i < 32 && !(literal == i && end == count)) {
            i += 8;
            continue;
        }
        out = put_literal_levels(levels + literal, i - literal, width, out);
        out = put_run(levels[i], end - i, width, out);
        literal = i = end;
    }
    return put_literal_levels(levels + literal, count - literal, width, out);
}

void k2_rle_open(struct k2_rle_in *in, const uint8_t *at, const uint8_t *end, int width) {
    *in = (struct k2_rle_in){.at = at, .end = end, .width = width};
}

/* Reads the head of the next stretch once the one at hand is used up. */
static bool has_stretch(struct k2_rle_in *in) {
    uint64_t head;
    if (in->left)
        return true;
    if (!k2_varint_get(&in->at, in->end, &head) || head >> 1 == 0 || head >> 1 > UINT32_MAX / 8)
        return false;
    size_t count = (size_t)(head >> 1), bytes = (size_t)(in->width + 7) / 8;
    in->is_literal = head & 1;
    in->taken = 0;
    if (in->is_literal)
        bytes = count * (size_t)in->width;
    if ((size_t)(in->end - in->at) < bytes)
        return false;
    in->bytes = in->at;
    in->at += bytes;
    if (in->is_literal) {
        in->left = count * 8;
        return true;
    }
    in->value = 0;
    memcpy(&in->value, in->bytes, bytes);
    if (in->width < 32 && in->value >> in->width)
        return false;
    in->left = count;
    return true;
}

size_t k2_rle_peek_run(struct k2_rle_in *in, uint32_t *ret_value) {
    if (!has_stretch(in) || in->is_literal)
        return 0;
    *ret_value = in->value;
    return in->left;
}

/* Values [first, first + count) of packed bytes. */
static void get_literal(const uint8_t *in, int width, size_t first, size_t count, uint32_t *out) {
    uint64_t mask = (1ull << width) - 1;
    size_t i = 0;
    if (first % 8 == 0)
        for (const uint8_t *at = in + first / 8 * (size_t)width; i + 32 <= count; i += 32) {
            k2_bitunpack_u32(at, out + i, width);
            at += width * 4;
        }
    for (; i < count; i++) {
        size_t bit = (first + i) * (size_t)width;
        out[i] = (uint32_t)(load(in + bit / 8) >> (bit & 7) & mask);
    }
}

size_t k2_rle_take(struct k2_rle_in *in, size_t max, uint32_t *out, bool *ret_is_run) {
    if (!has_stretch(in))
        return 0;
    size_t count = K2_MIN(in->left, max);
    *ret_is_run = !in->is_literal;
    if (!in->is_literal) {
        *out = in->value;
    } else {
        if (in->taken % 8 && count > 8 - in->taken % 8)
            count = 8 - in->taken % 8; /* so that what follows begins at a byte */
        get_literal(in->bytes, in->width, in->taken, count, out);
        in->taken += count;
    }
    in->left -= count;
    return count;
}

/* Levels [first, first + count) of packed bytes. */
static void get_literal_levels(const uint8_t *in, int width, size_t first, size_t count,
                               uint8_t *out) {
    size_t i = 0, mask = (1u << width) - 1;
    if (first % 8 == 0)
        for (const uint8_t *at = in + first / 8 * (size_t)width; i + 8 <= count; i += 8) {
            uint64_t levels = spread(load(at), width);
            memcpy(out + i, &levels, 8);
            at += width;
        }
    for (; i < count; i++) {
        size_t bit = (first + i) * (size_t)width;
        out[i] = (uint8_t)(load(in + bit / 8) >> (bit & 7) & mask);
    }
}

bool k2_rle_take_levels(struct k2_rle_in *in, size_t count, uint8_t *out) {
    while (count) {
        if (!has_stretch(in))
            return false;
        size_t n = K2_MIN(in->left, count);
        if (in->is_literal)
            get_literal_levels(in->bytes, in->width, in->taken, n, out);
        else
            memset(out, (int)in->value, n);
        in->taken += n;
        in->left -= n;
        out += n, count -= n;
    }
    return true;
}
