/* sink.h -- from a feed into the log of a home, and from there to the tables: what ingest commands
 * share.
 *
 * Whoever holds the pipeline lock commits; an ingest that finds it taken appends and waits until
 * the holder's commits have passed what it appended, and takes over when the holder is gone.
 */
#ifndef K2_CLI_SINK_H
#define K2_CLI_SINK_H

#include "cli/holder.h"
#include "feed/feed.h"

enum { K2_TICKETS = 4 };

struct k2_ingest {
    struct k2_home *home;
    const char *name; /* of the command */
    struct k2_holder holder;
    struct k2_ticket tickets[K2_TICKETS];
    int ticket_count;
    struct k2_intern topics; /* appended to; each was held against the tables before */
    int64_t rows, events, started_ns, said_ns;
};
/* Opens the home, takes the pipeline lock if it is free, and starts the pipeline. */
bool k2_ingest_open(struct k2_ingest *ingest, struct k2_home *home, const char *name,
                    struct k2_err *err) K2_MUST;
/* Where a feed puts its records. */
struct k2_feed_out k2_ingest_out(struct k2_ingest *ingest);
/* Waits until everything given is durable and committed, by whomever. */
bool k2_ingest_finish(struct k2_ingest *ingest, struct k2_err *err) K2_MUST;
/* what, and what has been committed since, in how long. */
void k2_ingest_say_done(struct k2_ingest *ingest, const char *what);
/* After a feed failed: when it was stopped because the pipeline had failed, that is the error. */
void k2_ingest_blame(struct k2_ingest *ingest, struct k2_err *err);
void k2_ingest_close(struct k2_ingest *ingest);

#endif
