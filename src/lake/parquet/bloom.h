/* bloom.h -- Parquet's split-block Bloom filter: 32-byte blocks of 8 words, XXH64 of the value.
 *
 * Threads: no state.
 */
#ifndef K2_LAKE_PARQUET_BLOOM_H
#define K2_LAKE_PARQUET_BLOOM_H

#include "lake/parquet/dictionary.h"

/* Appends the header and the filter of a dictionary's strings; about 1 in 100 absent values pass.
 */
void k2_bloom_put(const struct k2_pq_dictionary *dictionary, struct k2_buf *out);
/* Splits what k2_bloom_put made (or another writer, by the same rules): false when it is no such
 * filter. *ret_words has a multiple of 32 bytes. */
bool k2_bloom_open(struct k2_str bytes, struct k2_str *ret_words);
/* False: the value is not among those added. */
bool k2_bloom_may_hold(struct k2_str words, struct k2_str value);

#endif
