/* utc.h -- time functions of SQL for an engine whose clock is UTC.
 *
 * DuckDB asks a calendar library about every timestamp with time zone, since days may have 23 hours
 * elsewhere: minute bars over millions of rows spend most of their time there, day bars nearly all
 * of it. In UTC the answers are divisions. Invariant: the same answers as DuckDB's own.
 */
#ifndef K2_QUERY_UTC_H
#define K2_QUERY_UTC_H

#include <duckdb.h>

#include "base/err.h"

/* Puts these in the place of DuckDB's own for timestamptz: time_bucket(interval, t),
 * date_trunc(unit, t), date_diff(unit, t, t), t - t, and year, quarter, month, day, weekday, hour,
 * minute and second of t, which date_part and extract become too. Adds epoch_ns(t, integer):
 * nanoseconds of a time and of what it lacks. The connection's time zone must be UTC and stay it.
 */
bool k2_utc_register(duckdb_connection connection, struct k2_err *err) K2_MUST;

#endif
