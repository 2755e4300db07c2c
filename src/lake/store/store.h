/* store.h -- immutable objects by path: a folder ("file:/path") or memory ("memory:").
 *
 * Invariants: an object appears whole or not at all, and once a put or a sink's commit returned it
 * survives a power cut (file and folder are fsynced). Paths are relative to the store's root, use
 * '/', and never leave it ("..", absolute and empty parts are INVALID). Threads: any, at once.
 */
#ifndef K2_LAKE_STORE_STORE_H
#define K2_LAKE_STORE_STORE_H

#include "base/err.h"
#include "base/str.h"

struct k2_store;

/* url picks the backend: "file:/abs/path" (made when absent) or "memory:". Free with k2_store_free.
 */
struct k2_store *k2_store_open(const char *url, struct k2_err *err) K2_MUST;
void k2_store_free(struct k2_store *store);
void k2_store_freep(struct k2_store **store);

/* Appends the address other engines use for path ("file:///abs/path/..."), and the way back: the
 * relative path of such an address, INVALID when it lies outside the store. */
void k2_store_uri(const struct k2_store *store, const char *path, struct k2_buf *out);
bool k2_store_path(const struct k2_store *store, struct k2_str uri, struct k2_buf *ret_path,
                   struct k2_err *err) K2_MUST;

/* if_absent: CONFLICT when the object is there already (exactly one of many racing puts wins). */
bool k2_store_put(struct k2_store *store, const char *path, struct k2_str bytes, bool if_absent,
                  struct k2_err *err) K2_MUST;
/* Append the object, or len bytes of it from offset (CORRUPT when it is shorter), to out. */
bool k2_store_get(struct k2_store *store, const char *path, struct k2_buf *out,
                  struct k2_err *err) K2_MUST;
bool k2_store_get_range(struct k2_store *store, const char *path, int64_t offset, int64_t len,
                        struct k2_buf *out, struct k2_err *err) K2_MUST;
bool k2_store_size(struct k2_store *store, const char *path, int64_t *ret_bytes,
                   struct k2_err *err) K2_MUST;
/* Deleting what is absent is fine. */
bool k2_store_delete(struct k2_store *store, const char *path, struct k2_err *err) K2_MUST;

struct k2_object {
    const char *path;
    int64_t bytes;
    int64_t modified_ms;
};
/* Calls each for every object below prefix (a folder; "" for all), in path order; each returns
 * false to stop. */
typedef bool k2_object_fn(void *self, const struct k2_object *object);
bool k2_store_list(struct k2_store *store, const char *prefix, k2_object_fn *each, void *self,
                   struct k2_err *err) K2_MUST;

/* A stream into a new object. The object exists from k2_sink_commit on; k2_sink_abort (also for
 * NULL) throws it away. Both free the sink. One thread per sink. */
struct k2_sink;
struct k2_sink *k2_sink_open(struct k2_store *store, const char *path, struct k2_err *err) K2_MUST;
bool k2_sink_write(struct k2_sink *sink, const void *bytes, size_t len, struct k2_err *err) K2_MUST;
bool k2_sink_commit(struct k2_sink *sink, struct k2_err *err) K2_MUST;
void k2_sink_abort(struct k2_sink *sink);
int64_t k2_sink_bytes(const struct k2_sink *sink);

#endif
