/* log_impl.h -- what the files of the embedded log share. Private to log. */
#ifndef K2_LOG_LOG_IMPL_H
#define K2_LOG_LOG_IMPL_H

#include "log/journal.h"
#include "log/log.h"
#include "log/registry.h"

/* An opened topic. Its encoder's memory is guarded by lock. */
struct k2_topic {
    char name[200];
    struct k2_journal *journal;
    pthread_mutex_t lock;
    uint32_t schema_id;   /* of K2's own schema; 0: not registered yet */
    struct k2_buf *bytes; /* per log partition: the frame being made */
    uint32_t *counts;
    uint32_t *row_partition, *row_index;
    uint32_t rows_max;
    uint16_t *partition_of; /* by symbol code, + 1; 0: not known */
    uint32_t partition_cap;
};

struct k2_log {
    struct k2_log_opts opts;
    char *root;
    bool is_volatile;     /* "memory:": in a folder that goes with the log */
    pthread_mutex_t lock; /* guards topics */
    struct k2_topic **topics;
    int topic_count;
};

/* The topic, opened once per log. NOT_FOUND without create. Valid until the log is freed. */
bool k2_topic_open(struct k2_log *log, const char *name, bool create, struct k2_topic **ret_topic,
                   struct k2_err *err) K2_MUST;

#endif
