/* replay_sort_test.c -- windows are put in order whatever their times are like. */
#include <stdlib.h>

#include "base/alloc.h"
#include "query/replay_impl.h"
#include "support/property.h"
#include "support/replay_lake.h"
#include "support/test.h"

enum { ROWS = 3000 };

/* How times are spread: everything within some bits, some of it far off. */
struct spread {
    int bits;     /* of most times */
    int far_bits; /* of one in far_every; 0: none */
    uint32_t far_every;
    bool is_descending;
};

static int64_t time_of(struct k2_random *random, const struct spread *s, uint32_t row) {
    bool is_far = s->far_every && k2_random_below(random, s->far_every) == 0;
    int64_t ns = (int64_t)(k2_random_u64(random) >> (64 - (is_far ? s->far_bits : s->bits)));
    return s->is_descending ? LAKE_START_NS - (int64_t)row * 977 : LAKE_START_NS + ns;
}

static int compare_rows(const void *a, const void *b, void *batch) {
    const struct k2_batch *t = batch;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int64_t x = rows_ns(t, i), y = rows_ns(t, j);
    int64_t *numbers = t->col[K2_TRADE_SOURCE_SEQUENCE].i64;
    int order = x < y ? -1 : x > y;
    for (int column = K2_TRADE_EXCHANGE; !order && column >= K2_TRADE_SYMBOL; column--)
        order = k2_str_cmp(k2_batch_text(t, column, i), k2_batch_text(t, column, j));
    return order ? order : numbers[i] < numbers[j] ? -1 : 1;
}

static void check_spread(struct k2_random *random, const struct spread *s, uint32_t rows) {
    static const char *const symbols[] = {"B", "A", "AB", "C"}, *const exchanges[] = {"Y", "X"};
    struct k2_intern strings = {0};
    struct k2_buf scratch = {0};
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_TRADE), rows, &strings);
    struct k2_window w = {.strings = &strings, .batch = b, .count = rows};
    uint32_t *expected = k2_new_array(uint32_t, rows);
    w.ts = k2_new_array(int64_t, rows);
    w.order = k2_new_array(uint32_t, rows);
    for (uint32_t i = 0; i < rows; i++) {
        rows_add(b, symbols[k2_random_below(random, 4)], exchanges[k2_random_below(random, 2)],
                 time_of(random, s, i), (int64_t)(i * 7919ull % rows));
        w.ts[i] = rows_ns(b, i);
        w.order[i] = expected[i] = i;
    }
    k2_window_sort(&w, &k2_kind_columns[K2_TRADE], &scratch);
    qsort_r(expected, rows, sizeof *expected, compare_rows, b);
    for (uint32_t i = 0; i < rows; i++)
        CHECK(w.order[i] == expected[i] && w.ts[i] == rows_ns(b, w.order[i]));
    k2_free(expected);
    k2_free(w.ts);
    k2_free(w.order);
    k2_buf_done(&scratch);
    k2_batch_free(b);
    k2_intern_done(&strings);
}

TEST(windows_are_sorted_whatever_their_times) {
    static const struct spread spreads[] = {
        {.bits = 1},
        {.bits = 8},
        {.bits = 12},
        {.bits = 24},
        {.bits = 45},
        {.bits = 60},
        {.bits = 10, .far_bits = 60, .far_every = 500},
        {.bits = 20, .far_bits = 50, .far_every = 50},
        {.bits = 30, .far_bits = 62, .far_every = 3000},
        {.bits = 40, .far_bits = 52, .far_every = 2},
        {.is_descending = true, .bits = 1},
    };
    static const uint32_t counts[] = {1, 2, 3, 33, 500, ROWS};
    struct k2_random random;
    k2_random_seed(&random, (uint64_t)property_seed());
    for (size_t i = 0; i < K2_COUNT(spreads); i++)
        for (size_t c = 0; c < K2_COUNT(counts); c++)
            check_spread(&random, &spreads[i], counts[c]);
}
