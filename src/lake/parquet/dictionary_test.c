/* dictionary_test.c -- ranks keep what every row holds, and put the frequent first. */
#include "lake/parquet/dictionary.h"

#include "base/alloc.h"
#include "support/property.h"
#include "support/test.h"

enum { COUNT_MAX = 200000 };

struct rig {
    struct k2_pq_dictionary dictionary;
    int64_t *values, low, high;
    uint32_t *index, count;
};

static void rig_fill(struct rig *rig, struct k2_random *random, uint32_t count, uint64_t range) {
    int64_t base = (int64_t)k2_random_u64(random) >> 4;
    rig->count = count;
    rig->low = INT64_MAX, rig->high = INT64_MIN;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t step = k2_random_below(random, 3) ? k2_random_below(random, K2_MIN(range, 20ull))
                                                   : k2_random_below(random, range);
        int64_t value = base + (int64_t)step;
        rig->values[i] = value;
        rig->low = K2_MIN(rig->low, value);
        rig->high = K2_MAX(rig->high, value);
    }
}

static void check_ranks(const struct rig *rig) {
    const struct k2_pq_dictionary *d = &rig->dictionary;
    uint32_t *counts = k2_new_array(uint32_t, d->count + 1);
    for (uint32_t i = 0; i < rig->count; i++) {
        CHECK(rig->index[i] < d->count && d->numbers[rig->index[i]] == rig->values[i]);
        counts[rig->index[i]]++;
    }
    bool is_exact = (uint64_t)rig->high - (uint64_t)rig->low < 1ull << 48;
    for (uint32_t i = 1; i < d->count; i++) {
        uint32_t before = K2_MIN(counts[i - 1], (uint32_t)UINT16_MAX),
                 here = K2_MIN(counts[i], (uint32_t)UINT16_MAX);
        CHECK(before >= here);
        CHECK(before > here || !is_exact || d->numbers[i - 1] < d->numbers[i]);
    }
    k2_free(counts);
}

TEST(ranks_put_the_frequent_first) {
    static const uint64_t ranges[] = {1, 2, 300, 70000, 1ull << 40, 1ull << 59};
    static const uint32_t counts[] = {1, 2, 1000, COUNT_MAX};
    struct rig rig = {.values = k2_new_array(int64_t, COUNT_MAX),
                      .index = k2_new_array(uint32_t, COUNT_MAX)};
    struct k2_random random;
    k2_random_seed(&random, (uint64_t)property_seed());
    for (size_t r = 0; r < K2_COUNT(ranges); r++)
        for (size_t c = 0; c < K2_COUNT(counts); c++) {
            rig_fill(&rig, &random, counts[c], ranges[r]);
            CHECK(k2_pq_dictionary_i64(&rig.dictionary, rig.values, rig.count, rig.low, rig.high,
                                       COUNT_MAX, rig.index));
            k2_pq_dictionary_rank(&rig.dictionary, rig.low, rig.high, rig.index, rig.count);
            check_ranks(&rig);
        }
    k2_pq_dictionary_done(&rig.dictionary);
    k2_free(rig.values);
    k2_free(rig.index);
}
