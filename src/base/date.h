/* date.h -- civil dates and ISO 8601 text, UTC, proleptic Gregorian.
 *
 * Times are int64_t microseconds or nanoseconds since the epoch; the name says which.
 */
#ifndef K2_BASE_DATE_H
#define K2_BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define K2_DAY_US 86400000000ll
#define K2_DAY_NS 86400000000000ll

struct k2_date {
    int32_t year, month, day; /* month and day from 1 */
};

/* Days since 1970-01-01, and back. */
int32_t k2_days_from_date(struct k2_date date);
struct k2_date k2_date_from_days(int32_t days);
bool k2_date_is_valid(struct k2_date date);
/* Floor division: right before 1970 too. */
int32_t k2_days_from_us(int64_t us);
/* year * 10000 + month * 100 + day. */
int64_t k2_yyyymmdd(int32_t days);

/* "2014-03-10T00:00:00.000000Z" (six digits always), at most 40 bytes with NUL; returns its length.
 */
int k2_us_to_iso(int64_t us, char ret_text[40]);
/* "2014-03-10", returns its length. */
int k2_days_to_iso(int32_t days, char ret_text[16]);
/* ISO 8601 date, or date and time with up to nine digits of a second; 'T' or a space between; zone
 * Z, +hh:mm, -hh:mm or none (= UTC). Result in ns. INVALID says what is wrong. */
bool k2_iso_to_ns(struct k2_str text, int64_t *ret_ns, struct k2_err *err) K2_MUST;

#endif
