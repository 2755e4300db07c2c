/* rows.c -- the rows of a row group, sorted back into the order in which they lie in memory. */
#include "lake/parquet/leaf.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES_MAX = 3, SORT_MIN = 2048 };

static bool is_ascending(const uint32_t *rows, uint32_t count) {
    bool falls = false;
    for (uint32_t i = 1; i < count; i++)
        falls |= rows[i] < rows[i - 1];
    return !falls;
}

/* Sorts pairs of (row << 32 | place) by row; returns the array that holds them in the end. */
static uint64_t *sort_pairs(uint64_t *pairs, uint64_t *spare, uint32_t count, uint32_t row_max) {
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        int shift = pass * DIGIT_BITS;
        if (pass && row_max >> shift == 0)
            break;
        uint32_t starts[DIGITS] = {0}, sum = 0;
        for (uint32_t i = 0; i < count; i++)
            starts[pairs[i] >> (32 + shift) & (DIGITS - 1)]++;
        for (int d = 0; d < DIGITS; d++) {
            uint32_t n = starts[d];
            starts[d] = sum;
            sum += n;
        }
        for (uint32_t i = 0; i < count; i++)
            spare[starts[pairs[i] >> (32 + shift) & (DIGITS - 1)]++] = pairs[i];
        uint64_t *sorted = spare;
        spare = pairs;
        pairs = sorted;
    }
    return pairs;
}

struct k2_pq_rows k2_pq_rows_of(struct k2_pq_builder *builder, const struct k2_batch *batch,
                                const uint32_t *order, uint32_t first, uint32_t count) {
    struct k2_pq_rows rows = {.batch = batch, .first = first, .count = count};
    if (!order)
        return rows;
    rows.row = order + first;
    if (count < SORT_MIN || is_ascending(rows.row, count))
        return rows;
    uint64_t *pairs = k2_pq_scratch(&builder->pairs, (size_t)count * sizeof *pairs);
    uint64_t *spare = k2_pq_scratch(&builder->pairs_too, (size_t)count * sizeof *spare);
    uint32_t row_max = 0;
    for (uint32_t i = 0; i < count; i++) {
        pairs[i] = (uint64_t)rows.row[i] << 32 | i;
        row_max = K2_MAX(row_max, rows.row[i]);
    }
    pairs = sort_pairs(pairs, spare, count, row_max);
    uint32_t *row = k2_pq_scratch(&builder->row, (size_t)count * sizeof *row);
    uint32_t *place = k2_pq_scratch(&builder->place, (size_t)count * sizeof *place);
    for (uint32_t i = 0; i < count; i++) {
        row[i] = (uint32_t)(pairs[i] >> 32);
        place[i] = (uint32_t)pairs[i];
    }
    rows.row = row;
    rows.place = place;
    return rows;
}
