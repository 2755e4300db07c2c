/* sequence.c -- the sequence rules over one key's state; no allocation unless a gap opens. */
#include "pipeline/sequence.h"

#include "base/alloc.h"
#include "market/topic.h"

static void open_gap(struct k2_key *key, struct k2_interval gap) {
    if (key->gap_count ==
        K2_GAPS_MAX) { /* the oldest is forgotten: its numbers will be looked up */
        memmove(key->gaps, key->gaps + 1, (key->gap_count - 1) * sizeof *key->gaps);
        key->gap_count--;
    }
    if (key->gap_count == key->gap_cap) {
        key->gap_cap = key->gap_cap ? key->gap_cap * 2 : 4;
        key->gaps = k2_realloc(key->gaps, key->gap_cap * sizeof *key->gaps);
    }
    key->gaps[key->gap_count++] = gap;
}

/* The open gap that holds number, or -1. */
static int find_gap(const struct k2_key *key, int64_t number) {
    int low = 0, high = (int)key->gap_count - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        if (number < key->gaps[middle].first)
            high = middle - 1;
        else if (number > key->gaps[middle].last)
            low = middle + 1;
        else
            return middle;
    }
    return -1;
}

static void remove_gap(struct k2_key *key, int at) {
    memmove(key->gaps + at, key->gaps + at + 1,
            (key->gap_count - (uint32_t)at - 1) * sizeof *key->gaps);
    key->gap_count--;
}

/* A number in the middle: the gap becomes two. With no room for another the oldest makes way. */
static void split(struct k2_key *key, int at, int64_t number) {
    struct k2_interval lower = key->gaps[at], upper = lower;
    lower.last = number - 1;
    upper.first = number + 1;
    if (key->gap_count == K2_GAPS_MAX) {
        remove_gap(key, 0);
        at--;
    }
    open_gap(key, upper);
    for (int i = (int)key->gap_count - 1; i > at + 1; i--)
        key->gaps[i] = key->gaps[i - 1];
    key->gaps[at + 1] = upper;
    if (at >= 0)
        key->gaps[at] = lower;
}

static void fill(struct k2_key *key, int at, int64_t number) {
    struct k2_interval gap = key->gaps[at];
    if (gap.first == gap.last) {
        remove_gap(key, at);
    } else if (number == gap.first) {
        key->gaps[at].first++;
    } else if (number == gap.last) {
        key->gaps[at].last--;
    } else {
        split(key, at, number);
    }
}

enum k2_sequence_event k2_sequence_take(struct k2_key *key, int64_t number, bool is_dense,
                                        struct k2_interval *ret_gap) {
    int64_t session = k2_number_session(number);
    if (K2_UNLIKELY(key->last == 0)) {
        key->last = number;
        key->session = session;
        return K2_SEQ_FIRST;
    }
    if (K2_LIKELY(number == key->last + 1 && session == key->session)) {
        key->last = number;
        return K2_SEQ_IN_ORDER;
    }
    if (session > key->session) {
        key->session = session;
        key->last = number;
        return K2_SEQ_RESET;
    }
    if (number > key->last) {
        struct k2_interval gap = {key->last + 1, number - 1, key->last + 1};
        key->last = number;
        if (!is_dense)
            return K2_SEQ_IN_ORDER;
        *ret_gap = gap;
        open_gap(key, gap);
        return K2_SEQ_GAP;
    }
    int at = key->gap_count ? find_gap(key, number) : -1;
    if (at < 0)
        return K2_SEQ_LOOK;
    *ret_gap = key->gaps[at];
    fill(key, at, number);
    return K2_SEQ_FILL;
}

bool k2_sequence_fell(const struct k2_key *key, int64_t raw, int64_t time_us) {
    int64_t last_raw = key->reset_day ? key->last % K2_NUMBER_DAY : key->last;
    return key->last && raw < last_raw / 2 && time_us - key->last_time_us > 3600000000ll;
}
