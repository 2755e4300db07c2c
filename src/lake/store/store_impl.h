/* store_impl.h -- what a store backend gives: one table of functions, and the front's first
 * members.
 *
 * The front (store.c) has checked every path and range before a backend sees them.
 */
#ifndef K2_LAKE_STORE_STORE_IMPL_H
#define K2_LAKE_STORE_STORE_IMPL_H

#include "lake/store/store.h"

enum {
    K2_STORE_PATH_MAX = 1024, /* bytes of a path */
    K2_STORE_PART_MAX = 255,  /* bytes between two '/' */
};
/* An object read whole is at most this long; larger ones are read by ranges. */
#define K2_STORE_GET_MAX (1ll << 30)

struct k2_store_ops {
    const char *name;
    bool (*put)(struct k2_store *store, const char *path, struct k2_str bytes, bool if_absent,
                struct k2_err *err);
    /* len < 0: all that follows offset. */
    bool (*get)(struct k2_store *store, const char *path, int64_t offset, int64_t len,
                struct k2_buf *out, struct k2_err *err);
    bool (*size)(struct k2_store *store, const char *path, int64_t *ret_bytes, struct k2_err *err);
    bool (*remove)(struct k2_store *store, const char *path, struct k2_err *err);
    bool (*list)(struct k2_store *store, const char *prefix, k2_object_fn *each, void *self,
                 struct k2_err *err);
    struct k2_sink *(*sink_open)(struct k2_store *store, const char *path, struct k2_err *err);
    bool (*sink_write)(struct k2_sink *sink, const void *bytes, size_t len, struct k2_err *err);
    /* Frees the sink, whatever comes of it. */
    bool (*sink_commit)(struct k2_sink *sink, struct k2_err *err);
    void (*sink_abort)(struct k2_sink *sink);
    void (*free)(struct k2_store *store);
};

/* First member of every backend. */
struct k2_store {
    const struct k2_store_ops *ops;
    char *root_uri; /* without a '/' at the end; the backend's memory */
};

/* First member of every backend's sink. */
struct k2_sink {
    struct k2_store *store;
    int64_t bytes;
};

/* Backends. path: the absolute folder. */
struct k2_store *k2_store_open_local(struct k2_str path, struct k2_err *err) K2_MUST;
struct k2_store *k2_store_open_memory(void);

#endif
