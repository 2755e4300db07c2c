/* replay_sort.c -- the order of a window: time by radix, the rest where times are equal. */
#include <stdlib.h>

#include "base/alloc.h"
#include "query/replay_impl.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

static void sort_digit(const int64_t *ts, const uint32_t *order, int64_t *to_ts, uint32_t *to_order,
                       uint32_t count, int64_t low, int shift) {
    uint32_t starts[DIGITS] = {0};
    for (uint32_t i = 0; i < count; i++)
        starts[(uint64_t)(ts[i] - low) >> shift & (DIGITS - 1)]++;
    for (uint32_t b = 0, sum = 0; b < DIGITS; b++) {
        uint32_t n = starts[b];
        starts[b] = sum;
        sum += n;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = starts[(uint64_t)(ts[i] - low) >> shift & (DIGITS - 1)]++;
        to_ts[place] = ts[i];
        to_order[place] = order[i];
    }
}

/* Stable, over the bits in which times differ. */
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
    k2_buf_clear(scratch);
    int64_t *other_ts = (int64_t *)k2_buf_reserve(scratch, (size_t)w->count * 12);
    uint32_t *other_order = (uint32_t *)(other_ts + w->count);
    bool is_here = true;
    for (int shift = 0; shift < 64 && (uint64_t)(high - low) >> shift; shift += DIGIT_BITS) {
        sort_digit(is_here ? w->ts : other_ts, is_here ? w->order : other_order,
                   is_here ? other_ts : w->ts, is_here ? other_order : w->order, w->count, low,
                   shift);
        is_here = !is_here;
    }
    if (!is_here) {
        memcpy(w->ts, other_ts, w->count * sizeof *w->ts);
        memcpy(w->order, other_order, w->count * sizeof *w->order);
    }
}

/* ---- equal times ---- */

struct ties {
    const struct k2_batch *batch;
    const struct k2_replay_columns *c;
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
    int64_t x = k2_replay_number(t->c, t->batch, i), y = k2_replay_number(t->c, t->batch, j);
    return x < y ? -1 : x > y;
}

/* Files sorted by (symbol, time, number) come out of the radix sort right; others are put right. */
static void sort_ties(struct k2_window *w, const struct k2_replay_columns *columns) {
    struct ties ties = {w->batch, columns};
    for (uint32_t i = 0, end; i < w->count; i = end) {
        bool is_sorted = true;
        for (end = i + 1; end < w->count && w->ts[end] == w->ts[i]; end++)
            is_sorted = is_sorted && compare(&w->order[end - 1], &w->order[end], &ties) <= 0;
        if (!is_sorted)
            qsort_r(w->order + i, end - i, sizeof *w->order, compare, &ties);
    }
}

void k2_window_sort(struct k2_window *window, const struct k2_replay_columns *columns,
                    struct k2_buf *scratch) {
    sort_by_time(window, scratch);
    sort_ties(window, columns);
}
