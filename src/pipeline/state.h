/* state.h -- what the chain knows of every key, and the object it is kept in (docs/rules.md:
 * state).
 *
 * A key is (exchange, symbol) of one topic; it lives in one log partition. Invariants: gaps[] is
 * sorted and disjoint, all below last; held is the offset from which the key's records are passed
 * over, or -1. Threads: a table of keys belongs to one lane.
 */
#ifndef K2_PIPELINE_STATE_H
#define K2_PIPELINE_STATE_H

#include "base/err.h"
#include "base/intern.h"

enum { K2_GAPS_MAX = 1024 };

/* Numbers first..last are missing; they belong to the gap that began at gap_first. */
struct k2_interval {
    int64_t first, last, gap_first;
};

struct k2_key {
    uint32_t topic;            /* index in the lane */
    uint32_t exchange, symbol; /* codes in the lane's strings */
    int32_t log_partition;
    int64_t last; /* highest number taken; 0: none yet */
    int64_t session;
    int64_t last_platform;
    int64_t last_time_us, last_price; /* of the last row taken in order; price 0: none */
    uint64_t version_hash;            /* reference data: content of the newest version */
    int64_t reset_time_us, reset_day; /* numbers fell at that time; day 0: never */
    int64_t held;
    uint32_t gap_count, gap_cap;
    struct k2_interval *gaps;
};

/* The settings the chain works by; a change takes effect at a commit and writes a state object. */
struct k2_chain_settings {
    int64_t future_us, price_move_ppm, gap_page, gap_halt;
    int64_t reference_snapshot; /* of reference_data.instruments; 0: none */
    int64_t numbering;          /* enum k2_numbering of the topic's venue */
};

struct k2_keys {
    struct k2_key *keys;
    uint32_t count, cap;
    uint32_t *slots; /* key + 1 */
    uint32_t slot_mask;
};
void k2_keys_done(struct k2_keys *keys);
/* The key, making it when new (*ret_is_new). Pointers move when keys are added. */
struct k2_key *k2_keys_get(struct k2_keys *keys, uint32_t topic, uint32_t exchange, uint32_t symbol,
                           bool *ret_is_new);
/* Forgets every key of one topic's log partition. */
void k2_keys_drop(struct k2_keys *keys, uint32_t topic, int32_t log_partition);

/* A section of a state object: the keys of one log partition at offset. */
struct k2_section {
    struct k2_str topic;
    int32_t log_partition;
    int64_t offset;
    uint32_t topic_index;
    struct k2_chain_settings settings; /* its records were taken by */
};
/* Appends the state object of the sections to out. */
void k2_state_write(const struct k2_keys *keys, const struct k2_intern *strings,
                    const struct k2_section *sections, int count, struct k2_buf *out);
/* Reads the section of (topic, log partition) from an object into keys, under topic_index. CORRUPT
 * when the object is damaged, NOT_FOUND when it has no such section. */
bool k2_state_read(struct k2_str object, struct k2_str topic, int32_t log_partition,
                   uint32_t topic_index, struct k2_keys *keys, struct k2_intern *strings,
                   struct k2_chain_settings *ret_settings, int64_t *ret_offset,
                   struct k2_err *err) K2_MUST;

#endif
