/* fetch.h -- reading ahead: DuckDB works out the next rows while the last ones are formatted.
 *
 * Small results never start a thread: it begins once some chunks have been taken. Threads: a fetch
 * belongs to the thread that takes from it; its own thread is the only other one to touch the
 * stream, and has ended when k2_fetch_stop returns.
 */
#ifndef K2_QUERY_FETCH_H
#define K2_QUERY_FETCH_H

#include <pthread.h>

#include "query/engine.h"

enum { K2_FETCH_AHEAD = 8, K2_FETCH_ALONE = 4 };

struct k2_fetch {
    struct k2_stream *stream;
    pthread_t thread;
    bool has_thread;
    int taken;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t moved;
    duckdb_data_chunk ring[K2_FETCH_AHEAD];
    int first, count;
    bool is_stopped; /* the taker wants no more */
    bool is_ended;   /* the thread gives no more: end or error */
    bool is_failed;
    struct k2_err err;
};

/* stream is borrowed and started. */
void k2_fetch_init(struct k2_fetch *fetch, struct k2_stream *stream);
/* As k2_stream_next. */
bool k2_fetch_next(struct k2_fetch *fetch, duckdb_data_chunk *ret_chunk,
                   struct k2_err *err) K2_MUST;
/* Ends the thread, interrupting what it is at, and frees chunks nobody took. */
void k2_fetch_stop(struct k2_fetch *fetch);

#endif
