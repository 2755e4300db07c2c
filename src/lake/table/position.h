/* position.h -- the text of positions. Private to lake/table. */
#ifndef K2_LAKE_TABLE_POSITION_H
#define K2_LAKE_TABLE_POSITION_H

#include "lake/table/table.h"

/* Append the property's key and its value. */
void k2_position_key(const char *topic, int log_partition, struct k2_buf *out);
void k2_position_text(const struct k2_position *position, struct k2_buf *out);
/* False when text is no position. */
bool k2_position_parse(struct k2_str text, struct k2_position *ret_position);

#endif
