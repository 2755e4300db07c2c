/* lease.h -- who runs the pipeline of an embedded log (docs/rules.md: log).
 *
 * One process at a time holds it; the kernel frees it when that process dies, however it dies.
 * Threads: one thread per lease.
 */
#ifndef K2_LOG_LEASE_H
#define K2_LOG_LEASE_H

#include "base/err.h"
#include "base/str.h"

struct k2_lease;
/* Tries to take the lease kept in folder (made when absent). who says what the holder does, for
 * others to read ("ingest csv"); the process id is added. Returns NULL with *ret_taken false when
 * another process holds it, whose text is then appended to holder; NULL with an error otherwise. */
struct k2_lease *k2_lease_try(const char *folder, const char *who, bool *ret_taken,
                              struct k2_buf *holder, struct k2_err *err) K2_MUST;
/* Gives it back. NULL is fine. */
void k2_lease_free(struct k2_lease *lease);

#endif
