/* prune_lake.h -- a lake on which pruning can go wrong: many files that overlap, times before 1970,
 * numbers below 0 and absent, symbols that bounds must cut short, and days that end between files.
 */
#ifndef K2_TESTS_SUPPORT_PRUNE_LAKE_H
#define K2_TESTS_SUPPORT_PRUNE_LAKE_H

#include "support/replay_lake.h"

enum { PRUNE_COMMITS = 2, PRUNE_DAYS = 4 };

static const char *const prune_symbols[] = {
    "A",
    "AA",
    "AB",
    "B",
    "a",
    "\xc3\xa9",
    "\xf0\x9f\x8d\x92",
    "Z'Z",
    "A SYMBOL OF MORE THAN SIXTEEN BYTES 1",
    "A SYMBOL OF MORE THAN SIXTEEN BYTES 2",
    "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"};
static const char *const prune_exchanges[] = {"X", "Y", "ZED"};

/* A time on one of four days, two of them at the two ends of the epoch's first moment. Often on a
 * full second, or one microsecond beside midnight. */
static inline int64_t prune_ns(struct k2_random *random) {
    const int64_t day_ns = 86400000000000;
    static const int64_t days[PRUNE_DAYS] = {-1, 0, 16139, 16140};
    int64_t day = days[k2_random_below(random, PRUNE_DAYS)] * day_ns;
    switch (k2_random_below(random, 4)) {
    case 0: return day + (int64_t)k2_random_below(random, 86400) * 1000000000;
    case 1: return day + (int64_t)k2_random_below(random, 3) * 1000;
    case 2: return day + day_ns - 1 - (int64_t)k2_random_below(random, 3) * 500;
    default: return day + (int64_t)k2_random_below(random, (uint64_t)day_ns);
    }
}

/* What a cancel or a correction refers to: a trade of the same symbol. */
static inline void prune_refer(struct k2_batch *b, uint32_t row, const char *what, int64_t number) {
    char text[32];
    snprintf(text, sizeof text, "t%lld", (long long)number);
    struct k2_str condition = k2_str_of(what), key = K2_STR("ref_trade_id");
    struct k2_str value = k2_str_of(text);
    b->col[K2_TRADE_CONDITIONS].span[row] = k2_batch_put_list(b, &condition, 1);
    b->col[K2_TRADE_VENDOR_DATA].valid[row] = 1;
    b->col[K2_TRADE_VENDOR_DATA].span[row] = k2_batch_put_map(b, &key, &value, 1);
}

/* Rows are in the lake's batch; their log offset is their place in it. */
static inline void prune_fill(struct lake *lake, struct k2_random *random, uint32_t rows) {
    int64_t numbers[K2_COUNT(prune_symbols)] = {0};
    for (uint32_t i = 0; i < rows; i++) {
        struct k2_batch *b = lake->rows;
        size_t symbol = k2_random_below(random, K2_COUNT(prune_symbols));
        int64_t number = ++numbers[symbol];
        rows_add(b, prune_symbols[symbol], prune_exchanges[symbol % K2_COUNT(prune_exchanges)],
                 prune_ns(random), number);
        b->col[K2_TRADE_SOURCE_SEQUENCE].valid[i] = k2_random_below(random, 8) != 0;
        b->col[K2_TRADE_SOURCE_SEQUENCE].i64[i] = number - 20;
        b->col[K2_TRADE_PRICE].i64[i] = (int64_t)k2_random_below(random, 1u << 20) - (1 << 19);
        if (number > 3 && k2_random_below(random, 4) == 0)
            prune_refer(b, i, i % 2 ? "CANCEL" : "CORRECT",
                        1 + (int64_t)k2_random_below(random, (uint64_t)number));
    }
    lake_commit_all(lake, PRUNE_COMMITS, LAKE_DEALT_OUT);
}

#endif
