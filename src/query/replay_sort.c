/* replay_sort.c -- the order of a window: time by radix, the rest where times are equal. */
#include <stdlib.h>

#include "base/alloc.h"
#include "query/replay_impl.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, FEW = 128 };

/* Two arrays of times and places; rows go from one to the other and back. */
struct side {
    int64_t *ts;
    uint32_t *order;
};

/* Of a time after low; apart they may lie further than an int64_t goes. */
static inline uint64_t after(int64_t ts, int64_t low) {
    return (uint64_t)ts - (uint64_t)low;
}

static void sort_digit(struct side from, struct side to, uint32_t count, int64_t low, int shift) {
    uint32_t starts[DIGITS] = {0};
    for (uint32_t i = 0; i < count; i++)
        starts[after(from.ts[i], low) >> shift & (DIGITS - 1)]++;
    for (uint32_t b = 0, sum = 0; b < DIGITS; b++) {
        uint32_t n = starts[b];
        starts[b] = sum;
        sum += n;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = starts[after(from.ts[i], low) >> shift & (DIGITS - 1)]++;
        to.ts[place] = from.ts[i];
        to.order[place] = from.order[i];
    }
}

/* By so many digits of time, from bit shift on; stable. The result is here. */
static void sort_digits(struct side here, struct side other, uint32_t count, int64_t low, int shift,
                        int digits) {
    for (int d = 0; d < digits; d++) {
        bool is_back = d % 2;
        sort_digit(is_back ? other : here, is_back ? here : other, count, low,
                   shift + d * DIGIT_BITS);
    }
    if (digits % 2) {
        memcpy(here.ts, other.ts, count * sizeof *here.ts);
        memcpy(here.order, other.order, count * sizeof *here.order);
    }
}

static void sort_few(struct side here, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        int64_t ts = here.ts[i];
        uint32_t row = here.order[i], at = i;
        for (; at > 0 && here.ts[at - 1] > ts; at--) {
            here.ts[at] = here.ts[at - 1];
            here.order[at] = here.order[at - 1];
        }
        here.ts[at] = ts;
        here.order[at] = row;
    }
}

/* Rows stand in the order of their times' bits above shift; puts those right that differ only
 * below. */
static void sort_rest(struct side here, struct side other, uint32_t count, int64_t low, int shift) {
    int digits = (shift + DIGIT_BITS - 1) / DIGIT_BITS;
    for (uint32_t i = 0, end; i < count; i = end) {
        uint64_t above = after(here.ts[i], low) >> shift;
        bool is_sorted = true;
        for (end = i + 1; end < count && after(here.ts[end], low) >> shift == above; end++)
            is_sorted &= here.ts[end - 1] <= here.ts[end];
        struct side some = {here.ts + i, here.order + i};
        if (!is_sorted && end - i <= FEW)
            sort_few(some, end - i);
        else if (!is_sorted)
            sort_digits(some, other, end - i, low, 0, digits);
    }
}

/* Stable. Times are spread over far more bits than there are rows: as many of the upper ones as
 * tell most rows apart are sorted by digits, and the few rows that are still alike by comparing. */
static void sort_by_time(struct k2_window *w, struct k2_buf *scratch) {
    int64_t low = INT64_MAX, high = INT64_MIN;
    bool is_sorted = true;
    for (uint32_t i = 0; i < w->count; i++) {
        is_sorted &= i == 0 || w->ts[i - 1] <= w->ts[i];
        low = K2_MIN(low, w->ts[i]);
        high = K2_MAX(high, w->ts[i]);
    }
    if (is_sorted)
        return;
    int bits = 64 - __builtin_clzll(after(high, low));
    int wanted = K2_MIN(bits, 32 - __builtin_clz(w->count));
    int digits = (wanted + DIGIT_BITS - 1) / DIGIT_BITS;
    int shift = K2_MAX(bits - digits * DIGIT_BITS, 0);
    k2_buf_clear(scratch);
    struct side here = {w->ts, w->order}, other;
    other.ts = (int64_t *)(void *)k2_buf_reserve(scratch, (size_t)w->count * 12);
    other.order = (uint32_t *)(other.ts + w->count);
    sort_digits(here, other, w->count, low, shift, digits);
    if (shift)
        sort_rest(here, other, w->count, low, shift);
}

/* ---- equal times ---- */

struct ties {
    const struct k2_batch *batch;
    const struct k2_kind_columns *c;
};

static int compare_codes(const struct k2_intern *strings, uint32_t a, uint32_t b) {
    return a == b ? 0 : k2_str_cmp(k2_intern_str(strings, a), k2_intern_str(strings, b));
}

static int compare(const void *a, const void *b, void *context) {
    const struct ties *t = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const uint32_t *exchange = t->batch->col[t->c->exchange].u32;
    const uint32_t *symbol = t->batch->col[t->c->symbol].u32;
    int order = compare_codes(t->batch->strings, exchange[i], exchange[j]);
    if (!order)
        order = compare_codes(t->batch->strings, symbol[i], symbol[j]);
    if (order)
        return order;
    int64_t x = k2_row_number(t->batch, t->c, i), y = k2_row_number(t->batch, t->c, j);
    return x < y ? -1 : x > y;
}

/* Files sorted by (symbol, time, number) come out of the radix sort right; others are put right. */
static void sort_ties(struct k2_window *w, const struct k2_kind_columns *columns) {
    struct ties ties = {w->batch, columns};
    for (uint32_t i = 0, end; i < w->count; i = end) {
        bool is_sorted = true;
        for (end = i + 1; end < w->count && w->ts[end] == w->ts[i]; end++)
            is_sorted = is_sorted && compare(&w->order[end - 1], &w->order[end], &ties) <= 0;
        if (!is_sorted)
            qsort_r(w->order + i, end - i, sizeof *w->order, compare, &ties);
    }
}

void k2_window_sort(struct k2_window *window, const struct k2_kind_columns *columns,
                    struct k2_buf *scratch) {
    sort_by_time(window, scratch);
    sort_ties(window, columns);
}
