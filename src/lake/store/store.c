/* store.c -- the front of every store: addresses, path rules, dispatch to the backend. */
#include "lake/store/store_impl.h"

struct k2_store *k2_store_open(const char *url, struct k2_err *err) {
    struct k2_str text = k2_str_of(url);
    if (k2_str_is(text, "memory:"))
        return k2_store_open_memory();
    if (k2_str_starts(text, "file:"))
        return k2_store_open_local(k2_str_make(text.ptr + 5, text.len - 5), err);
    k2_err_set(err, K2_INVALID, "no such kind of store: %s (use file:/absolute/folder or memory:)",
               url);
    return NULL;
}

void k2_store_free(struct k2_store *store) {
    if (store)
        store->ops->free(store);
}

void k2_store_freep(struct k2_store **store) {
    k2_store_free(*store);
}

static bool part_is_valid(struct k2_str part) {
    if (part.len == 0 || part.len > K2_STORE_PART_MAX || k2_str_is(part, ".") ||
        k2_str_is(part, "..") || k2_str_starts(part, ".k2-"))
        return false;
    for (size_t i = 0; i < part.len; i++)
        if ((unsigned char)part.ptr[i] < 0x20 || part.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool path_is_valid(struct k2_str path) {
    if (path.len == 0 || path.len > K2_STORE_PATH_MAX)
        return false;
    struct k2_str rest = path;
    while (rest.ptr)
        if (!part_is_valid(k2_str_split(rest, '/', &rest)))
            return false;
    return true;
}

static bool check_path(struct k2_str path, struct k2_err *err) {
    if (path_is_valid(path))
        return true;
    return k2_err_set(
        err, K2_INVALID,
        "not a path in a store: '%.*s' (parts of 1 to %d bytes joined by '/', none of "
        "them '.' or '..', none beginning with '.k2-', at most %d bytes in all)",
        (int)K2_MIN(path.len, (size_t)200), path.ptr ? path.ptr : "", K2_STORE_PART_MAX,
        K2_STORE_PATH_MAX);
}

void k2_store_uri(const struct k2_store *store, const char *path, struct k2_buf *out) {
    k2_buf_text(out, store->root_uri);
    if (*path)
        k2_buf_byte(out, '/');
    k2_buf_text(out, path);
}

/* "file:///a", "file:/a" and "file://localhost/a" are one address; Java writes the second form. */
static bool skip_scheme(struct k2_str *uri) {
    struct k2_str rest, scheme = k2_str_split(*uri, ':', &rest);
    if (!rest.ptr || (!k2_str_is(scheme, "file") && !k2_str_is(scheme, "memory")))
        return false;
    if (k2_str_starts(rest, "//localhost/"))
        rest = k2_str_make(rest.ptr + 11, rest.len - 11);
    while (k2_str_starts(rest, "//"))
        rest = k2_str_make(rest.ptr + 1, rest.len - 1);
    *uri = rest;
    return true;
}

bool k2_store_path(const struct k2_store *store, struct k2_str uri, struct k2_buf *ret_path,
                   struct k2_err *err) {
    struct k2_str root = k2_str_of(store->root_uri), place = uri;
    bool same_scheme = uri.len >= 4 && memcmp(uri.ptr, root.ptr, 4) == 0;
    if (!same_scheme || !skip_scheme(&root) || !skip_scheme(&place) || place.len <= root.len + 1 ||
        memcmp(place.ptr, root.ptr, root.len) != 0 || place.ptr[root.len] != '/')
        return k2_err_set(err, K2_INVALID, "%.*s lies outside the store %s",
                          (int)K2_MIN(uri.len, (size_t)300), uri.ptr ? uri.ptr : "",
                          store->root_uri);
    struct k2_str path = k2_str_make(place.ptr + root.len + 1, place.len - root.len - 1);
    K2_TRY(check_path(path, err));
    k2_buf_str(ret_path, path);
    return true;
}

bool k2_store_put(struct k2_store *store, const char *path, struct k2_str bytes, bool if_absent,
                  struct k2_err *err) {
    K2_TRY(check_path(k2_str_of(path), err));
    return store->ops->put(store, path, bytes, if_absent, err);
}

bool k2_store_get(struct k2_store *store, const char *path, struct k2_buf *out,
                  struct k2_err *err) {
    K2_TRY(check_path(k2_str_of(path), err));
    return store->ops->get(store, path, 0, -1, out, err);
}

bool k2_store_get_range(struct k2_store *store, const char *path, int64_t offset, int64_t len,
                        struct k2_buf *out, struct k2_err *err) {
    K2_TRY(check_path(k2_str_of(path), err));
    if (offset < 0 || len < 0 || len > K2_STORE_GET_MAX)
        return k2_err_set(err, K2_INVALID, "%s: no such range: %lld bytes from %lld", path,
                          (long long)len, (long long)offset);
    return store->ops->get(store, path, offset, len, out, err);
}

bool k2_store_size(struct k2_store *store, const char *path, int64_t *ret_bytes,
                   struct k2_err *err) {
    K2_TRY(check_path(k2_str_of(path), err));
    return store->ops->size(store, path, ret_bytes, err);
}

bool k2_store_delete(struct k2_store *store, const char *path, struct k2_err *err) {
    K2_TRY(check_path(k2_str_of(path), err));
    return store->ops->remove(store, path, err);
}

bool k2_store_list(struct k2_store *store, const char *prefix, k2_object_fn *each, void *self,
                   struct k2_err *err) {
    if (*prefix)
        K2_TRY(check_path(k2_str_of(prefix), err));
    return store->ops->list(store, prefix, each, self, err);
}

struct k2_sink *k2_sink_open(struct k2_store *store, const char *path, struct k2_err *err) {
    if (!check_path(k2_str_of(path), err))
        return NULL;
    struct k2_sink *sink = store->ops->sink_open(store, path, err);
    if (sink)
        sink->store = store;
    return sink;
}

bool k2_sink_write(struct k2_sink *sink, const void *bytes, size_t len, struct k2_err *err) {
    K2_TRY(sink->store->ops->sink_write(sink, bytes, len, err));
    sink->bytes += (int64_t)len;
    return true;
}

bool k2_sink_commit(struct k2_sink *sink, struct k2_err *err) {
    return sink->store->ops->sink_commit(sink, err);
}

void k2_sink_abort(struct k2_sink *sink) {
    if (sink)
        sink->store->ops->sink_abort(sink);
}

int64_t k2_sink_bytes(const struct k2_sink *sink) {
    return sink->bytes;
}
