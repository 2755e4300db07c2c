/* dictionary.c -- open addressing for what lies anywhere, a plain array for what lies close. */
#include "lake/parquet/dictionary.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "lake/parquet/bitpack.h"
#include "lake/parquet/strings.h"

enum { SLOTS_MIN = 4096, SLOTS_EXPECTED_MAX = 1 << 20, DIRECT_MAX = 1 << 16 };
#define FREE UINT32_MAX

/* A plain array pays where it is not much larger than what it indexes. */
static bool is_close(uint64_t range, uint32_t count) {
    return range < DIRECT_MAX && range <= 4ull * count + 1024;
}

void k2_pq_dictionary_done(struct k2_pq_dictionary *dictionary) {
    k2_free(dictionary->numbers);
    k2_free(dictionary->strings);
    k2_free(dictionary->slots);
    k2_free(dictionary->direct);
    k2_buf_done(&dictionary->ranking);
    *dictionary = (struct k2_pq_dictionary){0};
}

static void free_slots(struct k2_pq_dictionary *d, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        d->slots[i].entry = FREE;
}

/* Only the slots in use grow with the contents, so a small dictionary after a large one is cheap.
 */
static void use_slots(struct k2_pq_dictionary *d, uint32_t count) {
    if (d->slot_count < count) {
        k2_free(d->slots);
        d->slots = k2_alloc(count * sizeof *d->slots);
        d->slot_count = count;
    }
    d->slots_used = count;
    free_slots(d, count);
}

static uint32_t slots_for(uint32_t entries) {
    uint32_t slots = SLOTS_MIN;
    while (slots < SLOTS_EXPECTED_MAX && slots / 2 <= entries)
        slots *= 2;
    return slots;
}

void k2_pq_dictionary_clear(struct k2_pq_dictionary *dictionary) {
    dictionary->count = 0;
    use_slots(dictionary, SLOTS_MIN);
}

static void grow_entries(struct k2_pq_dictionary *d) {
    d->cap = d->cap ? d->cap * 2 : 1024;
    d->numbers = k2_realloc(d->numbers, d->cap * sizeof *d->numbers);
    d->strings = k2_realloc(d->strings, d->cap * sizeof *d->strings);
}

static uint32_t slot_of(const struct k2_pq_dictionary *d, uint64_t key) {
    return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 32) & (d->slots_used - 1);
}

/* At half full the slots double; the keys are in the old ones. */
static void grow_slots(struct k2_pq_dictionary *d) {
    struct k2_pq_slot *old = d->slots;
    uint32_t old_used = d->slots_used;
    d->slots = NULL;
    d->slot_count = 0;
    use_slots(d, old_used * 2);
    for (uint32_t i = 0; i < old_used; i++) {
        if (old[i].entry == FREE)
            continue;
        uint32_t at = slot_of(d, old[i].key);
        while (d->slots[at].entry != FREE)
            at = (at + 1) & (d->slots_used - 1);
        d->slots[at] = old[i];
    }
    k2_free(old);
}

uint32_t k2_pq_dictionary_push(struct k2_pq_dictionary *dictionary, struct k2_str s) {
    if (dictionary->count == dictionary->cap)
        grow_entries(dictionary);
    dictionary->strings[dictionary->count] = s;
    return dictionary->count++;
}

uint32_t k2_pq_dictionary_str(struct k2_pq_dictionary *dictionary, struct k2_str s) {
    uint64_t key = k2_hash64(s.ptr, s.len);
    uint32_t at = slot_of(dictionary, key);
    for (;; at = (at + 1) & (dictionary->slots_used - 1)) {
        const struct k2_pq_slot *slot = &dictionary->slots[at];
        if (slot->entry == FREE)
            break;
        if (slot->key == key && k2_str_eq(dictionary->strings[slot->entry], s))
            return slot->entry;
    }
    uint32_t entry = k2_pq_dictionary_push(dictionary, s);
    dictionary->slots[at] = (struct k2_pq_slot){key, entry};
    if (dictionary->count * 2 > dictionary->slots_used)
        grow_slots(dictionary);
    return entry;
}

static uint32_t add_number(struct k2_pq_dictionary *d, int64_t value) {
    if (d->count == d->cap)
        grow_entries(d);
    d->numbers[d->count] = value;
    return d->count++;
}

static uint32_t find_number(struct k2_pq_dictionary *d, int64_t value) {
    uint32_t at = slot_of(d, (uint64_t)value);
    for (;; at = (at + 1) & (d->slots_used - 1)) {
        if (d->slots[at].entry == FREE)
            break;
        if (d->slots[at].key == (uint64_t)value)
            return d->slots[at].entry;
    }
    uint32_t entry = add_number(d, value);
    d->slots[at] = (struct k2_pq_slot){(uint64_t)value, entry};
    if (d->count * 2 > d->slots_used)
        grow_slots(d);
    return entry;
}

/* A map from value - low to entry + 1; only used where high - low is small. */
static uint32_t *use_direct(struct k2_pq_dictionary *d, uint32_t places) {
    if (d->direct_cap < places) {
        k2_free(d->direct);
        d->direct = k2_alloc(places * sizeof *d->direct);
        d->direct_cap = places;
    }
    memset(d->direct, 0, places * sizeof *d->direct);
    return d->direct;
}

/* One body for both widths; is_wide is constant where it is inlined. */
static inline __attribute__((always_inline)) bool index_numbers(struct k2_pq_dictionary *d,
                                                                const void *values, bool is_wide,
                                                                uint32_t count, int64_t low,
                                                                int64_t high, uint32_t entries_max,
                                                                uint32_t *index) {
    const int64_t *wide = values;
    const int32_t *narrow = values;
    d->count = 0;
    uint64_t range = (uint64_t)high - (uint64_t)low;
    if (count && is_close(range, count)) {
        uint32_t *direct = use_direct(d, (uint32_t)range + 1);
        for (uint32_t i = 0; i < count; i++) {
            int64_t value = is_wide ? wide[i] : narrow[i];
            uint32_t *place = &direct[(uint64_t)value - (uint64_t)low];
            if (K2_UNLIKELY(*place == 0))
                *place = add_number(d, value) + 1;
            index[i] = *place - 1;
        }
        return d->count <= entries_max;
    }
    use_slots(d, slots_for(d->expected));
    for (uint32_t i = 0; i < count; i++) {
        index[i] = find_number(d, is_wide ? wide[i] : narrow[i]);
        if (K2_UNLIKELY(d->count > entries_max))
            return false;
    }
    return true;
}

bool k2_pq_dictionary_i64(struct k2_pq_dictionary *dictionary, const int64_t *values,
                          uint32_t count, int64_t low, int64_t high, uint32_t entries_max,
                          uint32_t *index) {
    return index_numbers(dictionary, values, true, count, low, high, entries_max, index);
}

bool k2_pq_dictionary_i32(struct k2_pq_dictionary *dictionary, const int32_t *values,
                          uint32_t count, int32_t low, int32_t high, uint32_t entries_max,
                          uint32_t *index) {
    return index_numbers(dictionary, values, false, count, low, high, entries_max, index);
}

/* ---- ranks ---- */

/* An entry on its way to its rank. */
struct ranked {
    uint64_t key;
    uint32_t entry;
};

/* Sorts by key, least byte first; bytes that all keys share are passed over. Returns which of the
 * two holds the result. */
static struct ranked *sort_ranked(struct ranked *from, struct ranked *to, uint32_t count) {
    for (int shift = 0; shift < 64; shift += 8) {
        uint32_t starts[256] = {0};
        for (uint32_t i = 0; i < count; i++)
            starts[from[i].key >> shift & 255]++;
        if (starts[from[0].key >> shift & 255] == count)
            continue;
        for (uint32_t digit = 0, start = 0; digit < 256; digit++) {
            uint32_t here = starts[digit];
            starts[digit] = start;
            start += here;
        }
        for (uint32_t i = 0; i < count; i++)
            to[starts[from[i].key >> shift & 255]++] = from[i];
        struct ranked *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

void k2_pq_dictionary_rank(struct k2_pq_dictionary *dictionary, int64_t low, int64_t high,
                           uint32_t *index, uint32_t count) {
    enum { VALUE_BITS = 48 };
    struct k2_pq_dictionary *d = dictionary;
    uint32_t n = d->count;
    if (n < 2)
        return;
    struct ranked *room = k2_pq_scratch(&d->ranking, 2 * n * sizeof *room), *ranked = room;
    int shift = K2_MAX(0, k2_bit_width((uint64_t)high - (uint64_t)low) - VALUE_BITS);
    for (uint32_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){UINT16_MAX, i};
    for (uint32_t i = 0; i < count; i++)
        ranked[index[i]].key -= ranked[index[i]].key > 0;
    for (uint32_t i = 0; i < n; i++)
        ranked[i].key =
            ranked[i].key << VALUE_BITS | ((uint64_t)d->numbers[i] - (uint64_t)low) >> shift;
    ranked = sort_ranked(ranked, ranked + n, n);
    struct ranked *other = ranked == room ? room + n : room;
    for (uint32_t rank = 0; rank < n; rank++) {
        other[rank].key = (uint64_t)d->numbers[ranked[rank].entry];
        other[ranked[rank].entry].entry = rank;
    }
    for (uint32_t rank = 0; rank < n; rank++)
        d->numbers[rank] = (int64_t)other[rank].key;
    for (uint32_t i = 0; i < count; i++)
        index[i] = other[index[i]].entry;
}
