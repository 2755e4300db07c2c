/* dictionary.h -- distinct values of a column chunk, and each row's index: by first sight or rank.
 *
 * A dictionary is reused from chunk to chunk: clear, then add. Threads: belongs to one thread.
 */
#ifndef K2_LAKE_PARQUET_DICTIONARY_H
#define K2_LAKE_PARQUET_DICTIONARY_H

#include "base/str.h"

struct k2_pq_slot {
    uint64_t key; /* the value, or the hash of the string */
    uint32_t entry;
};

struct k2_pq_dictionary {
    uint32_t count;
    uint32_t cap;
    int64_t *numbers;       /* entries of a dictionary of integers */
    struct k2_str *strings; /* of strings, borrowed from whoever added them */
    struct k2_pq_slot *slots;
    uint32_t slot_count, slots_used; /* slots_used: how many the current contents may occupy */
    uint32_t *direct;                /* where integers lie close together: by value */
    uint32_t direct_cap;
    struct k2_buf ranking; /* scratch */
    uint32_t expected;     /* entries of the next integers, as the caller guesses: saves growing */
};

/* An all-zero dictionary is valid and empty. */
void k2_pq_dictionary_done(struct k2_pq_dictionary *dictionary);
/* No entries; memory stays. */
void k2_pq_dictionary_clear(struct k2_pq_dictionary *dictionary);
/* The entry of s, added when new. */
uint32_t k2_pq_dictionary_str(struct k2_pq_dictionary *dictionary, struct k2_str s);
/* Clears, then indexes count integers within [low, high]. False when there are more than
 * entries_max distinct ones: index is then of no use. */
bool k2_pq_dictionary_i64(struct k2_pq_dictionary *dictionary, const int64_t *values,
                          uint32_t count, int64_t low, int64_t high, uint32_t entries_max,
                          uint32_t *index);
bool k2_pq_dictionary_i32(struct k2_pq_dictionary *dictionary, const int32_t *values,
                          uint32_t count, int32_t low, int32_t high, uint32_t entries_max,
                          uint32_t *index);
/* Gives the integers within [low, high] ranks instead, the most frequent first and equally frequent
 * ones by value, in dictionary and index: both are easier to compress then. */
void k2_pq_dictionary_rank(struct k2_pq_dictionary *dictionary, int64_t low, int64_t high,
                           uint32_t *index, uint32_t count);
/* Appends an entry that the caller knows to be new. Returns its index. */
uint32_t k2_pq_dictionary_push(struct k2_pq_dictionary *dictionary, struct k2_str s);

#endif
