/* digest.h -- one number for the rows that were emitted, in the order they were (docs/rules.md:
 * digest).
 *
 * Per row, for each non-null stored column in schema order, but log_* and quality_flags: the
 * column's number from 1 (u16), then ints and times i64, decimals i64 times 10^8, strings u32
 * length and bytes, lists u32 count and items, maps u32 count and entries by key bytes; all little
 * endian. The digest is XXH3-128 of all rows' bytes one after the other: how they were cut into
 * calls does not show. Threads: a digest belongs to one thread.
 */
#ifndef K2_QUERY_DIGEST_H
#define K2_QUERY_DIGEST_H

#include "base/hash.h"
#include "market/batch.h"

struct k2_digest;
/* Of rows of one kind. Free with k2_digest_free. */
struct k2_digest *k2_digest_new(const struct k2_schema *schema);
void k2_digest_free(struct k2_digest *digest);
/* Adds rows[0..count) of batch. Strings are known by their code: between calls the string table of
 * a batch may grow, but may neither be emptied nor freed. */
void k2_digest_add(struct k2_digest *digest, const struct k2_batch *batch, const uint32_t *rows,
                   uint32_t count);
/* The digest of all rows so far. */
struct k2_hash128 k2_digest_end(struct k2_digest *digest);
/* Bit per column that the digest reads. */
uint32_t k2_digest_columns(const struct k2_schema *schema);

#endif
