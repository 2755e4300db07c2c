/* bounds.h -- Iceberg's single-value form of bounds (spec, appendix D). Private to lake/table.
 *
 * int, date: 4 bytes little endian; long, timestamp: 8; decimal: big-endian two's complement, as
 * short as can be; string, binary: the bytes. A bound may be narrower than its column, which has
 * been widened since.
 */
#ifndef K2_LAKE_TABLE_BOUNDS_H
#define K2_LAKE_TABLE_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* <0, 0, >0; strings in byte order, everything else as little-endian numbers. */
int k2_bound_cmp(bool is_string, struct k2_str a, struct k2_str b);
/* The number in a bound of a column of that type (Iceberg's name). False when it holds none. */
bool k2_bound_number(struct k2_str type, struct k2_str bound, int64_t *ret_value);
bool k2_bound_is_text(struct k2_str type);

#endif
