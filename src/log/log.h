/* log.h -- the durable, ordered log between feeds and tables (docs/rules.md: log).
 *
 * Invariants: (1) an offset names one record for ever; (2) an append is acknowledged when its
 * records survive a power cut; (3) a reader sees a prefix and never passes the durable end; (4) a
 * topic has a log id, a log partition count fixed for the life of that id, and per log partition
 * offsets from 0. The value of a record is Confluent-framed Avro in every backend, its key
 * "exchange.symbol" (empty in k2.events). Threads: any appenders and readers per log; a
 * k2_log_reader belongs to one thread. Processes: several may append to and read an embedded log at
 * once.
 */
#ifndef K2_LOG_LOG_H
#define K2_LOG_LOG_H

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "market/batch.h"
#include "market/record.h"

struct k2_log;
struct k2_log_opts {
    const char *url;     /* "embedded:/abs/folder" or "memory:" */
    uint32_t partitions; /* of topics made from now on; k2.events always has 1 */
    int64_t segment_bytes, retention_bytes, retention_ms; /* retention 0: none */
    struct k2_clock *clock;
    struct k2_registry *registry; /* borrowed */
    bool read_only;
};
struct k2_log *k2_log_open(const struct k2_log_opts *opts, struct k2_err *err) K2_MUST;
void k2_log_free(struct k2_log *log);

/* ---- topics ---- */
struct k2_topic_info {
    char name[200];
    char log_id[37]; /* UUID made with the topic */
    int partition_count;
};
/* Makes the topic when it is absent. */
bool k2_log_topic(struct k2_log *log, const char *topic, bool create,
                  struct k2_topic_info *ret_info, struct k2_err *err) K2_MUST;
typedef bool k2_topic_fn(void *self, const struct k2_topic_info *info);
bool k2_log_topics(struct k2_log *log, k2_topic_fn *each, void *self, struct k2_err *err) K2_MUST;
struct k2_log_range {
    int64_t start, end; /* end: durable; one past the last offset */
};
/* ranges[partition_count]. */
bool k2_log_ranges(struct k2_log *log, const char *topic, struct k2_log_range *ranges,
                   struct k2_err *err) K2_MUST;
/* The bytes of the topic, for `k2 log list`. */
bool k2_log_bytes(struct k2_log *log, const char *topic, int64_t *ret_bytes,
                  struct k2_err *err) K2_MUST;

/* ---- append ---- */
/* A promise that bytes up to position are written; kept once k2_log_wait returned true. */
struct k2_ticket {
    void *topic;
    uint64_t position, generation;
};
/* Encodes every row of batch (any asset class and exchange mix as long as all belong to topic),
 * puts each into its key's log partition and fills batch->log_partition, log_offset and
 * log_time_us. Written, not yet durable. One call is atomic: all its records are kept or none.
 * Errors: LIMIT (byte limit with unread records, or a full disk), IO; after a failed fsync every
 * ticket of that generation fails and the log has been cut back to its durable end: append again.
 */
bool k2_log_write(struct k2_log *log, const char *topic, struct k2_batch *batch,
                  struct k2_ticket *ret_ticket, struct k2_err *err) K2_MUST;
/* Returns when the ticket's records survive a power cut. Many waiters share one fsync. */
bool k2_log_wait(struct k2_log *log, const struct k2_ticket *ticket, struct k2_err *err) K2_MUST;
/* Write and wait. */
bool k2_log_append(struct k2_log *log, const char *topic, struct k2_batch *batch,
                   struct k2_err *err) K2_MUST;
/* Raw records (partition < 0: by key). Fills their partition, offset and time. */
bool k2_log_write_raw(struct k2_log *log, const char *topic, struct k2_record *records, int count,
                      struct k2_ticket *ret_ticket, struct k2_err *err) K2_MUST;

/* ---- read ---- */
struct k2_log_reader;
/* Reads every log partition of a topic, in the order the journal holds them, each from its own
 * offset: from[partition_count], -1 to leave one out. LIMIT when an offset was trimmed away (the
 * message says the start), INVALID when it lies past the end, CORRUPT names segment and place. */
struct k2_log_reader *k2_log_reader_new(struct k2_log *log, const char *topic, const int64_t *from,
                                        struct k2_err *err) K2_MUST;
void k2_log_reader_free(struct k2_log_reader *reader);
/* Up to max records that are durable now; *ret_count 0 means the end was reached. The records and
 * what they point to are valid until the next call. */
bool k2_log_read(struct k2_log_reader *reader, struct k2_record *records, int max, int *ret_count,
                 struct k2_err *err) K2_MUST;
/* Waits until the topic's durable end moved past what this reader has seen, at most timeout_ms. */
bool k2_log_reader_wait(struct k2_log_reader *reader, int timeout_ms, bool *ret_moved,
                        struct k2_err *err) K2_MUST;

/* ---- retention ---- */
/* Drops whole segments whose records all lie below keep[partition] (the lowest offset tables and
 * state still need) and that retention has no place for; with is_forced whatever retention says. */
bool k2_log_trim(struct k2_log *log, const char *topic, const int64_t *keep, bool is_forced,
                 int64_t *ret_bytes, struct k2_err *err) K2_MUST;
/* The next record of a log partition gets offset next, if that is higher than what it would get.
 * For a log that lost its end: offsets that tables know must not name other records. */
bool k2_log_advance(struct k2_log *log, const char *topic, int log_partition, int64_t next,
                    struct k2_err *err) K2_MUST;

#endif
