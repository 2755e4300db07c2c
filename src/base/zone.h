/* zone.h -- time zones with their history, from the system's TZif files (RFC 8536).
 *
 * Threads: a zone is immutable once loaded.
 */
#ifndef K2_BASE_ZONE_H
#define K2_BASE_ZONE_H

#include "base/err.h"
#include "base/str.h"

struct k2_zone;
/* By name, like "Australia/Sydney"; "UTC" needs no file. NOT_FOUND for a name that is not there
 * (the package tzdata holds them), CORRUPT for a file that is none. Free with k2_zone_free. */
struct k2_zone *k2_zone_load(const char *name, struct k2_err *err) K2_MUST;
/* From the bytes of a TZif file. */
struct k2_zone *k2_zone_parse(struct k2_str bytes, struct k2_err *err) K2_MUST;
void k2_zone_free(struct k2_zone *zone);

/* Offset from UTC in seconds that was in force at a time (seconds since the epoch). */
int32_t k2_zone_offset(const struct k2_zone *zone, int64_t utc_s);
/* The time whose local reading is local_s (seconds of the local civil time since 1970-01-01T00:00).
 * Of two, the earlier. False: that reading was skipped. */
bool k2_zone_to_utc(const struct k2_zone *zone, int64_t local_s, int64_t *ret_utc_s);

#endif
