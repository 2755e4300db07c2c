/* pipeline.h -- from the log to the tables: place, decode, sequence, validate, dedup, commit.
 *
 * Invariants (docs/rules.md: commit, state): the rows of a commit are a function of state, records
 * and table, and of nothing else; positions, rows, ledgers and state land under one
 * compare-and-swap; after any crash the next pipeline goes on where the tables stand. One lane per
 * main table (trades, quotes, instruments, dead letters): lanes share nothing, so each may have a
 * thread. Threads: the calls below are for the owner's thread, bar those that say otherwise.
 */
#ifndef K2_PIPELINE_PIPELINE_H
#define K2_PIPELINE_PIPELINE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "lake/table/table.h"
#include "log/log.h"
#include "log/registry.h"
#include "market/venue.h"

struct k2_pipeline_opts {
    struct k2_lake *lake; /* borrowed, as log, registry and clock */
    struct k2_log *log;
    struct k2_registry *registry;
    struct k2_clock *clock;
    const char *writer; /* who, for the commits' k2.writer: "pid 12 ingest csv" */
    int64_t commit_rows, commit_bytes, commit_age_ms;
    int64_t gap_page, gap_halt, future_ms;
    int64_t
        price_move_ppm; /* a move beyond so many millionths of the last price is flagged; 0: none */
    /* venue.<name>.numbering, or -1 where it is not set */
    int (*numbering)(void *self, struct k2_str exchange);
    /* table.<name>.partition, or NULL for the default */
    const char *(*partition)(void *self, const char *table);
    void *settings;
    const char *topics; /* comma-separated names to narrow to; NULL: all that fit */
    const char *accept; /* topics, with commas, whose log is another one now, or shorter: go on */
    struct k2_metrics *metrics; /* borrowed; NULL: nothing is measured */
    uint64_t seed;              /* for file names; 0: from the kernel */
};

/* What has been committed since open, over all lanes. */
struct k2_pipeline_counts {
    int64_t records, rows, duplicates, late, rejected, skipped, gaps, fills, commits;
    int64_t rejected_by_validation; /* rows set aside although they decoded */
    int64_t acknowledged;           /* gaps, by a person */
    int64_t losses;                 /* log partitions that had lost records */
    int64_t looked_up, scans; /* rows only the table could judge, and how often it was asked */
};

struct k2_pipeline;
/* Makes missing tables, loads positions and state. A topic whose position names another log or lies
 * past its end is left alone, see k2_pipeline_stopped. Errors: CORRUPT, IO. */
struct k2_pipeline *k2_pipeline_open(const struct k2_pipeline_opts *opts,
                                     struct k2_err *err) K2_MUST;
void k2_pipeline_free(struct k2_pipeline *pipeline);

/* One duty cycle of every lane on this thread; *ret_moved: records taken plus commits made, 0 means
 * idle. For tests and the simulation. */
bool k2_pipeline_step(struct k2_pipeline *pipeline, int64_t *ret_moved, struct k2_err *err) K2_MUST;
/* Commits what is buffered, now, on this thread. After an error of either what was buffered is
 * dropped; the next step reads it again. */
bool k2_pipeline_flush(struct k2_pipeline *pipeline, struct k2_err *err) K2_MUST;

/* A thread per lane until k2_pipeline_stop; lanes that fail stop and keep their error. */
void k2_pipeline_start(struct k2_pipeline *pipeline);
/* Waits until everything durable in the log at the time of the call is committed. False when a lane
 * failed (its error) or *cancel became true (CANCELLED; cancel may be NULL). Started lanes only. */
bool k2_pipeline_drain(struct k2_pipeline *pipeline, const atomic_bool *cancel,
                       struct k2_err *err) K2_MUST;
/* Ends the threads; what is buffered and not committed stays in the log for the next. */
bool k2_pipeline_stop(struct k2_pipeline *pipeline, struct k2_err *err) K2_MUST;
/* Any thread. */
void k2_pipeline_counts(struct k2_pipeline *pipeline, struct k2_pipeline_counts *ret_counts);
/* True when a started lane has failed. Any thread. */
bool k2_pipeline_failed(struct k2_pipeline *pipeline);

/* True when a topic is left alone because its log is not the one the tables stand in, or lost its
 * end; err says which, and what to do. Any thread. */
bool k2_pipeline_stopped(struct k2_pipeline *pipeline, struct k2_err *err) K2_MUST;

/* The committed position of every log partition (of one topic, or all: NULL) against the log, for
 * `log lag` and those who wait for another process's pipeline. Calls each with committed next and
 * durable end. CONFLICT when the tables stand in another log or past its end. */
typedef bool k2_lag_fn(void *self, const char *topic, int log_partition, int64_t committed,
                       int64_t end);
bool k2_pipeline_lag(struct k2_lake *lake, struct k2_log *log, const char *topic, k2_lag_fn *each,
                     void *self, struct k2_err *err) K2_MUST;
/* Drops whole segments of the log (of one topic, or all: NULL) that neither tables nor their state
 * need any more and retention has no place for; with is_forced whatever retention says. */
bool k2_pipeline_trim(struct k2_lake *lake, struct k2_log *log, const char *topic, bool is_forced,
                      int64_t *ret_bytes, struct k2_err *err) K2_MUST;
/* The table whose metadata holds a topic's positions: "market_data.trades"; NULL for none. */
const char *k2_pipeline_main_table(struct k2_str topic);

#endif
