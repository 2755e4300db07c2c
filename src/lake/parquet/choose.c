/* choose.c -- which encoding a chunk gets: by its type, whether rows are sorted, and its values.
 *
 * Nothing depends on a column's name. Where two encodings compete, a sample of a few runs decides;
 * a dictionary is built whole before the first page, so a chunk never changes its mind midway.
 */
#include <math.h>

#include "lake/parquet/writer_impl.h"

enum { RUNS = 4, RUN = 512, SAMPLE = RUNS * RUN, COUNTER_SLOTS = 8192 };

/* Where the runs of a sample of count values begin; returns how many there are of *ret_run. */
static uint32_t sample_runs(uint32_t count, uint32_t starts[RUNS], uint32_t *ret_run) {
    if (count <= SAMPLE) {
        starts[0] = 0;
        *ret_run = count;
        return 1;
    }
    for (uint32_t i = 0; i < RUNS; i++)
        starts[i] = (uint32_t)((uint64_t)(count - RUN) * i / (RUNS - 1));
    *ret_run = RUN;
    return RUNS;
}

struct counter {
    uint64_t key;
    uint32_t count;
};

static void count_key(struct counter *slots, uint64_t key) {
    uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 32) & (COUNTER_SLOTS - 1);
    while (slots[at].count && slots[at].key != key)
        at = (at + 1) & (COUNTER_SLOTS - 1);
    slots[at].key = key;
    slots[at].count++;
}

/* Empirical entropy: what an ideal coder would need for each, in bits. */
static double entropy(const struct counter *slots, uint32_t total) {
    double sum = 0;
    for (uint32_t i = 0; i < COUNTER_SLOTS; i++)
        if (slots[i].count > 1)
            sum += slots[i].count * log2(slots[i].count);
    return log2(total) - sum / total;
}

/* Prices walk: their differences are fewer than they are. Quantities are drawn from a set: it is
 * the other way round. */
static bool deltas_are_simpler(struct k2_parquet_writer *w, const struct k2_pq_leaf *leaf) {
    uint32_t starts[RUNS], run, runs = sample_runs(leaf->values, starts, &run);
    if (run < 2)
        return true;
    struct counter *values = k2_pq_scratch(&w->sample, 2 * COUNTER_SLOTS * sizeof *values);
    struct counter *deltas = values + COUNTER_SLOTS;
    memset(values, 0, 2 * COUNTER_SLOTS * sizeof *values);
    for (uint32_t r = 0; r < runs; r++) {
        const int64_t *v = leaf->i64 + starts[r];
        for (uint32_t i = 1; i < run; i++) {
            count_key(values, (uint64_t)v[i]);
            count_key(deltas, (uint64_t)v[i] - (uint64_t)v[i - 1]);
        }
    }
    return entropy(deltas, runs * (run - 1)) <= entropy(values, runs * (run - 1));
}

/* Bits of a difference, on average over the sample, were widths as they are packed: by 32. */
static double delta_bits(const struct k2_pq_leaf *leaf) {
    uint32_t starts[RUNS], run, runs = sample_runs(leaf->values, starts, &run), groups = 0;
    double bits = 0;
    for (uint32_t r = 0; r < runs; r++) {
        const int64_t *v = leaf->i64 + starts[r];
        for (uint32_t i = 1; i + 32 <= run; i += 32, groups++) {
            int64_t low = INT64_MAX, high = INT64_MIN;
            for (uint32_t j = i; j < i + 32; j++) {
                int64_t d = (int64_t)((uint64_t)v[j] - (uint64_t)v[j - 1]);
                low = K2_MIN(low, d);
                high = K2_MAX(high, d);
            }
            uint64_t range = (uint64_t)high - (uint64_t)low;
            bits += range ? 64 - __builtin_clzll(range) : 0;
        }
    }
    return groups ? bits / groups : 64;
}

/* Bytes of a dictionary of integers and its indices, uncompressed. */
static double dictionary_bytes(uint32_t entries, uint32_t values) {
    int width = entries > 1 ? 32 - __builtin_clz(entries - 1) : 0;
    return 8.0 * entries + (double)values * width / 8;
}

static struct k2_pq_plan delta_plan(bool is_aligned, enum k2_pq_search search) {
    return (struct k2_pq_plan){
        .encoding = K2_PQ_DELTA, .is_aligned = is_aligned, .is_zstd = true, .search = search};
}

static void use_dictionary(struct k2_pq_source *s, const struct k2_pq_dictionary *dictionary,
                           const uint32_t *index, bool is_aligned, bool is_zstd) {
    s->plan = (struct k2_pq_plan){.encoding = K2_PQ_RLE_DICTIONARY,
                                  .is_aligned = is_aligned,
                                  .is_zstd = is_zstd,
                                  .search = K2_PQ_SEARCH_LONG};
    s->dictionary = dictionary;
    s->index = index;
}

static void choose_decimal(struct k2_parquet_writer *w, struct k2_pq_source *s) {
    const struct k2_pq_leaf *leaf = &s->leaf;
    s->plan = delta_plan(true, K2_PQ_SEARCH_BOTH);
    if (deltas_are_simpler(w, leaf))
        return;
    uint32_t *index = k2_pq_scratch(&w->index, (size_t)leaf->values * sizeof *index);
    if (k2_pq_dictionary_i64(&w->dictionary, leaf->i64, leaf->values, s->bounds.low, s->bounds.high,
                             leaf->values / 2 + 1, index) &&
        dictionary_bytes(w->dictionary.count, leaf->values) < delta_bits(leaf) / 8 * leaf->values) {
        k2_pq_dictionary_rank(&w->dictionary, s->bounds.low, s->bounds.high, index, leaf->values);
        use_dictionary(s, &w->dictionary, index, true, true);
    }
}

/* Nanoseconds beyond the microsecond, partitions, tiers: small sets without an order. */
static void choose_i32(struct k2_parquet_writer *w, struct k2_pq_source *s) {
    const struct k2_pq_leaf *leaf = &s->leaf;
    uint32_t *index = k2_pq_scratch(&w->index, (size_t)leaf->values * sizeof *index);
    if (k2_pq_dictionary_i32(&w->dictionary, leaf->i32, leaf->values, (int32_t)s->bounds.low,
                             (int32_t)s->bounds.high, leaf->values / 4 + 1, index))
        use_dictionary(s, &w->dictionary, index, false, false);
    else
        s->plan = delta_plan(false, K2_PQ_SEARCH_SHORT);
}

/* Whether at most half of a sample's strings are distinct, and how much neighbours share. */
static bool strings_repeat(struct k2_parquet_writer *w, const struct k2_pq_leaf *leaf,
                           double *ret_shared) {
    uint32_t starts[RUNS], run, runs = sample_runs(leaf->values, starts, &run);
    size_t shared = 0, total = 0;
    k2_pq_dictionary_clear(&w->dictionary);
    for (uint32_t r = 0; r < runs; r++)
        for (uint32_t i = starts[r]; i < starts[r] + run; i++) {
            struct k2_str s = k2_pq_text_at(&leaf->text, i);
            k2_pq_dictionary_str(&w->dictionary, s);
            total += s.len;
            if (i > starts[r])
                shared += k2_pq_shared_prefix(k2_pq_text_at(&leaf->text, i - 1), s);
        }
    *ret_shared = total ? (double)shared / (double)total : 0;
    return (uint64_t)w->dictionary.count * 2 <= (uint64_t)runs * run;
}

static size_t strings_bytes(const struct k2_pq_dictionary *dictionary) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < dictionary->count; i++)
        bytes += dictionary->strings[i].len + 4;
    return bytes;
}

/* Indexes all strings of a text; false as soon as a dictionary is seen not to pay. */
static bool index_text(struct k2_parquet_writer *w, const struct k2_pq_leaf *leaf,
                       uint32_t *index) {
    k2_pq_dictionary_clear(&w->dictionary);
    for (uint32_t i = 0; i < leaf->values; i++) {
        index[i] = k2_pq_dictionary_str(&w->dictionary, k2_pq_text_at(&leaf->text, i));
        if (w->dictionary.count > leaf->values / 2 + 1)
            return false;
    }
    return true;
}

static void choose_text(struct k2_parquet_writer *w, struct k2_pq_source *s) {
    const struct k2_pq_leaf *leaf = &s->leaf;
    double shared = 0;
    if (leaf->values && strings_repeat(w, leaf, &shared)) {
        uint32_t *index = k2_pq_scratch(&w->index, (size_t)leaf->values * sizeof *index);
        if (index_text(w, leaf, index)) {
            use_dictionary(s, &w->dictionary, index, false, true);
            s->leaf.kind = K2_PQ_VALUES_INDEX;
            s->leaf.index = index;
            s->leaf.dictionary = &w->dictionary;
            return;
        }
    }
    s->plan = (struct k2_pq_plan){.encoding = K2_PQ_PLAIN, .is_zstd = true};
    if (s->shape->type == K2_STRING && shared >= 0.25)
        s->plan = (struct k2_pq_plan){
            .encoding = K2_PQ_DELTA_STRINGS, .is_zstd = true, .search = K2_PQ_SEARCH_LONG};
}

/* Elements of lists and maps come with their dictionary; it is dropped where most elements are
 * distinct. */
static void choose_index(struct k2_parquet_writer *w, struct k2_pq_source *s) {
    const struct k2_pq_leaf *leaf = &s->leaf;
    const struct k2_pq_dictionary *dictionary = leaf->dictionary;
    bool is_nested = s->shape->part != K2_PQ_FLAT;
    if (is_nested && dictionary->count > leaf->values / 4) {
        size_t plain = 0;
        for (uint32_t i = 0; i < leaf->values; i++)
            plain += dictionary->strings[leaf->index[i]].len + 4;
        if (strings_bytes(dictionary) + (size_t)leaf->values * 2 >= plain) {
            s->plan = (struct k2_pq_plan){.encoding = K2_PQ_PLAIN, .is_zstd = true};
            return;
        }
    }
    bool is_scattered = s->shape->type == K2_SYMBOL && !w->opts.is_sorted;
    use_dictionary(s, dictionary, leaf->index, false, is_nested || is_scattered);
}

void k2_pq_choose(struct k2_parquet_writer *writer, struct k2_pq_source *source) {
    switch (source->leaf.kind) {
    case K2_PQ_VALUES_I32: choose_i32(writer, source); break;
    case K2_PQ_VALUES_I64:
        if (source->shape->type == K2_DECIMAL)
            choose_decimal(writer, source);
        else
            source->plan = delta_plan(false, K2_PQ_SEARCH_LONG);
        break;
    case K2_PQ_VALUES_TEXT: choose_text(writer, source); break;
    case K2_PQ_VALUES_INDEX: choose_index(writer, source); break;
    }
    if (writer->opts.zstd_level < 0)
        source->plan.is_aligned = source->plan.is_zstd = false;
}
