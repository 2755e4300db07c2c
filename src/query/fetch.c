/* fetch.c -- a ring of chunks between DuckDB and the formatter. */
#include "query/fetch.h"

void k2_fetch_init(struct k2_fetch *fetch, struct k2_stream *stream) {
    *fetch = (struct k2_fetch){.stream = stream};
    pthread_mutex_init(&fetch->lock, NULL);
    pthread_cond_init(&fetch->moved, NULL);
}

/* Waits for room; false when the taker has stopped. */
static bool give(struct k2_fetch *fetch, duckdb_data_chunk chunk) {
    pthread_mutex_lock(&fetch->lock);
    while (fetch->count == K2_FETCH_AHEAD && !fetch->is_stopped)
        pthread_cond_wait(&fetch->moved, &fetch->lock);
    bool is_wanted = !fetch->is_stopped;
    if (is_wanted)
        fetch->ring[(fetch->first + fetch->count++) % K2_FETCH_AHEAD] = chunk;
    pthread_cond_signal(&fetch->moved);
    pthread_mutex_unlock(&fetch->lock);
    return is_wanted;
}

static void *read_ahead(void *self) {
    struct k2_fetch *fetch = self;
    struct k2_err err = {0};
    duckdb_data_chunk chunk = NULL;
    bool ok = true, is_wanted = true;
    while (is_wanted && (ok = k2_stream_next(fetch->stream, &chunk, &err)) && chunk)
        is_wanted = give(fetch, chunk);
    if (!is_wanted)
        duckdb_destroy_data_chunk(&chunk);
    pthread_mutex_lock(&fetch->lock);
    fetch->is_ended = true;
    fetch->is_failed = !ok;
    fetch->err = err;
    pthread_cond_signal(&fetch->moved);
    pthread_mutex_unlock(&fetch->lock);
    return NULL;
}

static bool take(struct k2_fetch *fetch, duckdb_data_chunk *ret_chunk, struct k2_err *err) {
    pthread_mutex_lock(&fetch->lock);
    while (!fetch->count && !fetch->is_ended)
        pthread_cond_wait(&fetch->moved, &fetch->lock);
    bool ok = fetch->count || !fetch->is_failed;
    *ret_chunk = NULL;
    if (fetch->count) {
        *ret_chunk = fetch->ring[fetch->first];
        fetch->first = (fetch->first + 1) % K2_FETCH_AHEAD;
        fetch->count--;
    } else if (!ok) {
        *err = fetch->err;
    }
    pthread_cond_signal(&fetch->moved);
    pthread_mutex_unlock(&fetch->lock);
    return ok;
}

bool k2_fetch_next(struct k2_fetch *fetch, duckdb_data_chunk *ret_chunk, struct k2_err *err) {
    if (fetch->has_thread)
        return take(fetch, ret_chunk, err);
    if (fetch->taken++ >= K2_FETCH_ALONE) {
        fetch->has_thread = pthread_create(&fetch->thread, NULL, read_ahead, fetch) == 0;
        if (fetch->has_thread)
            return take(fetch, ret_chunk, err);
    }
    return k2_stream_next(fetch->stream, ret_chunk, err);
}

void k2_fetch_stop(struct k2_fetch *fetch) {
    if (fetch->has_thread) {
        pthread_mutex_lock(&fetch->lock);
        fetch->is_stopped = true;
        if (!fetch->is_ended)
            duckdb_interrupt(k2_engine_connection(fetch->stream->engine));
        pthread_cond_signal(&fetch->moved);
        pthread_mutex_unlock(&fetch->lock);
        pthread_join(fetch->thread, NULL);
    }
    for (; fetch->count; fetch->count--) {
        duckdb_destroy_data_chunk(&fetch->ring[fetch->first]);
        fetch->first = (fetch->first + 1) % K2_FETCH_AHEAD;
    }
    pthread_cond_destroy(&fetch->moved);
    pthread_mutex_destroy(&fetch->lock);
}
