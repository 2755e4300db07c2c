/* record.h -- a record as it lies in the log: bytes with a place. */
#ifndef K2_MARKET_RECORD_H
#define K2_MARKET_RECORD_H

#include <stdint.h>

#include "base/str.h"

/* Key and value are views: into the writer's memory when given, into the reader's when read. */
struct k2_record {
    int32_t log_partition;
    int64_t offset;
    int64_t time_us; /* when the log took it */
    struct k2_str key, value;
};

#endif
