/* rows.c -- rows into the order they are written in, several row groups at once.
 *
 * The rows of one row group lie all over a large batch, so taking them group by group would read
 * most of its memory once for each. Here a stretch of many groups is copied column by column,
 * reading memory forwards, and the groups are then cut from the copy.
 */
#include "lake/parquet/leaf.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES_MAX = 3, SORT_MIN = 2048, SPARSE = 16 };

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

/* Rows as they lie in memory, and where each goes. */
struct forwards {
    const uint32_t *row, *place;
    uint32_t count;
};

static struct forwards sort_rows(struct k2_pq_builder *b, const uint32_t *order, uint32_t count,
                                 uint32_t row_max) {
    uint64_t *pairs = k2_pq_scratch(&b->pairs, (size_t)count * sizeof *pairs);
    uint64_t *spare = k2_pq_scratch(&b->pairs_too, (size_t)count * sizeof *spare);
    uint32_t *row = k2_pq_scratch(&b->row, (size_t)count * sizeof *row);
    uint32_t *place = k2_pq_scratch(&b->place, (size_t)count * sizeof *place);
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = (uint64_t)order[i] << 32 | i;
    pairs = sort_pairs(pairs, spare, count, row_max);
    for (uint32_t i = 0; i < count; i++) {
        row[i] = (uint32_t)(pairs[i] >> 32);
        place[i] = (uint32_t)pairs[i];
    }
    return (struct forwards){row, place, count};
}

/* The same by a table over all rows from least to greatest, which is faster where most of them are
 * wanted; false when a row is wanted twice. */
static bool turn_rows(struct k2_pq_builder *b, const uint32_t *order, uint32_t count,
                      uint32_t row_min, uint32_t range, struct forwards *ret) {
    uint32_t *places = k2_pq_scratch(&b->pairs, (size_t)range * sizeof *places); /* + 1; 0: none */
    uint32_t *row = k2_pq_scratch(&b->row, ((size_t)count + 1) * sizeof *row);
    uint32_t *place = k2_pq_scratch(&b->place, ((size_t)count + 1) * sizeof *place);
    memset(places, 0, (size_t)range * sizeof *places);
    for (uint32_t i = 0; i < count; i++)
        places[order[i] - row_min] = i + 1;
    uint32_t found = 0;
    for (uint32_t i = 0; i < range; i++) {
        row[found] = row_min + i;
        place[found] = places[i] - 1;
        found += places[i] != 0;
    }
    *ret = (struct forwards){row, place, count};
    return found == count;
}

#define MOVE(name, type)                                                                           \
    static void name(const struct forwards *f, const void *from, void *to) {                       \
        const type *in = from;                                                                     \
        type *out = to;                                                                            \
        for (uint32_t k = 0; k < f->count; k++)                                                    \
            out[f->place[k]] = in[f->row[k]];                                                      \
    }
MOVE(move_u8, uint8_t)
MOVE(move_u32, uint32_t)
MOVE(move_u64, uint64_t)

static void *move_column(const struct forwards *f, const void *from, size_t width,
                         struct k2_buf *buf) {
    void *to = k2_pq_scratch(buf, f->count * width);
    if (width == 8)
        move_u64(f, from, to);
    else if (width == 4)
        move_u32(f, from, to);
    else
        move_u8(f, from, to);
    return to;
}

const struct k2_batch *k2_pq_gather(struct k2_pq_builder *builder, const struct k2_batch *batch,
                                    const uint32_t *order, uint32_t count) {
    struct k2_pq_builder *b = builder;
    uint32_t least = UINT32_MAX, greatest = 0;
    if (count < SORT_MIN || is_ascending(order, count))
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        least = K2_MIN(least, order[i]);
        greatest = K2_MAX(greatest, order[i]);
    }
    struct forwards f;
    uint64_t range = (uint64_t)greatest - least + 1;
    if (range > (uint64_t)count * SPARSE || !turn_rows(b, order, count, least, (uint32_t)range, &f))
        f = sort_rows(b, order, count, greatest);
    b->view = (struct k2_batch){.schema = batch->schema,
                                .rows = count,
                                .rows_max = count,
                                .strings = batch->strings,
                                .text = batch->text};
    for (int c = 0; c < batch->schema->column_count; c++) {
        const struct k2_vector *v = &batch->col[c];
        size_t width = k2_type_width(batch->schema->columns[c].type);
        b->view.col[c].data = move_column(&f, v->data, width, &b->columns[c]);
        if (v->valid)
            b->view.col[c].valid = move_column(&f, v->valid, 1, &b->valids[c]);
    }
    return &b->view;
}
