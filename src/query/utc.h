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

/* Puts these in the place of DuckDB's own: time_bucket(interval, timestamptz), date_trunc(varchar,
 * timestamptz), and the functions of a timestamptz that give its year, quarter, month, day,
 * weekday, hour, minute or second, which date_part and extract become too. Adds
 * epoch_ns(timestamptz, integer): nanoseconds of a time and of what it lacks. The connection's time
 * zone must be UTC and stay it. */
bool k2_utc_register(duckdb_connection connection, struct k2_err *err) K2_MUST;

#endif
