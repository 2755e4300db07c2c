/* store_memory.c -- a store in memory: a sorted list of objects behind one lock, for tests. */
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "lake/store/store_impl.h"

struct entry {
    char *path;
    struct k2_buf bytes;
    int64_t modified_ms;
};

struct memory_store {
    struct k2_store store;
    pthread_mutex_t lock; /* guards the entries */
    struct entry *entries;
    size_t count, cap;
};

struct memory_sink {
    struct k2_sink sink;
    char *path;
    struct k2_buf bytes;
};

/* The place of path, or where it would go. */
static size_t find(const struct memory_store *memory, const char *path, bool *ret_found) {
    size_t low = 0, high = memory->count;
    *ret_found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(memory->entries[mid].path, path);
        if (order == 0) {
            *ret_found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void insert(struct memory_store *memory, size_t at, const char *path) {
    if (memory->count == memory->cap) {
        memory->cap = memory->cap ? memory->cap * 2 : 64;
        memory->entries = k2_realloc(memory->entries, memory->cap * sizeof *memory->entries);
    }
    memmove(memory->entries + at + 1, memory->entries + at,
            (memory->count - at) * sizeof *memory->entries);
    memory->entries[at] = (struct entry){.path = k2_strdup(path)};
    memory->count++;
}

static bool memory_put(struct k2_store *store, const char *path, struct k2_str bytes,
                       bool if_absent, struct k2_err *err) {
    struct memory_store *memory = (struct memory_store *)store;
    pthread_mutex_lock(&memory->lock);
    bool found;
    size_t at = find(memory, path, &found);
    bool ok = !found || !if_absent;
    if (ok) {
        if (!found)
            insert(memory, at, path);
        struct entry *entry = &memory->entries[at];
        k2_buf_clear(&entry->bytes);
        k2_buf_str(&entry->bytes, bytes);
        entry->modified_ms = k2_now_ms(k2_clock_real());
    }
    pthread_mutex_unlock(&memory->lock);
    return ok || k2_err_set(err, K2_CONFLICT, "%s is there already", path);
}

static bool memory_get(struct k2_store *store, const char *path, int64_t offset, int64_t len,
                       struct k2_buf *out, struct k2_err *err) {
    struct memory_store *memory = (struct memory_store *)store;
    pthread_mutex_lock(&memory->lock);
    bool found, ok = false;
    size_t at = find(memory, path, &found);
    int64_t size = found ? (int64_t)memory->entries[at].bytes.len : 0;
    if (!found)
        k2_err_set(err, K2_NOT_FOUND, "%s: no such object", path);
    else if (offset > size || (len >= 0 && len > size - offset))
        k2_err_set(err, K2_CORRUPT, "%s has %lld bytes; %lld from %lld were asked for", path,
                   (long long)size, (long long)len, (long long)offset);
    else {
        k2_buf_append(out, memory->entries[at].bytes.ptr + offset,
                      (size_t)(len < 0 ? size - offset : len));
        ok = true;
    }
    pthread_mutex_unlock(&memory->lock);
    return ok;
}

static bool memory_size(struct k2_store *store, const char *path, int64_t *ret_bytes,
                        struct k2_err *err) {
    struct memory_store *memory = (struct memory_store *)store;
    pthread_mutex_lock(&memory->lock);
    bool found;
    size_t at = find(memory, path, &found);
    if (found)
        *ret_bytes = (int64_t)memory->entries[at].bytes.len;
    pthread_mutex_unlock(&memory->lock);
    return found || k2_err_set(err, K2_NOT_FOUND, "%s: no such object", path);
}

static void entry_done(struct entry *entry) {
    k2_free(entry->path);
    k2_buf_done(&entry->bytes);
}

static bool memory_remove(struct k2_store *store, const char *path, struct k2_err *err) {
    (void)err;
    struct memory_store *memory = (struct memory_store *)store;
    pthread_mutex_lock(&memory->lock);
    bool found;
    size_t at = find(memory, path, &found);
    if (found) {
        entry_done(&memory->entries[at]);
        memory->count--;
        memmove(memory->entries + at, memory->entries + at + 1,
                (memory->count - at) * sizeof *memory->entries);
    }
    pthread_mutex_unlock(&memory->lock);
    return true;
}

/* The callback runs without the lock (it may use the store), on a copy of the names. */
static bool memory_list(struct k2_store *store, const char *prefix, k2_object_fn *each, void *self,
                        struct k2_err *err) {
    (void)err;
    struct memory_store *memory = (struct memory_store *)store;
    size_t len = strlen(prefix), count = 0;
    pthread_mutex_lock(&memory->lock);
    struct k2_object *objects = k2_new_array(struct k2_object, memory->count + 1);
    for (size_t i = 0; i < memory->count; i++) {
        const struct entry *entry = &memory->entries[i];
        if (len && (strncmp(entry->path, prefix, len) != 0 || entry->path[len] != '/'))
            continue;
        objects[count++] = (struct k2_object){k2_strdup(entry->path), (int64_t)entry->bytes.len,
                                              entry->modified_ms};
    }
    pthread_mutex_unlock(&memory->lock);
    bool go_on = true;
    for (size_t i = 0; i < count; i++) {
        go_on = go_on && each(self, &objects[i]);
        k2_free((char *)objects[i].path);
    }
    k2_free(objects);
    return true;
}

static struct k2_sink *memory_sink_open(struct k2_store *store, const char *path,
                                        struct k2_err *err) {
    (void)store, (void)err;
    struct memory_sink *sink = k2_new(struct memory_sink);
    sink->path = k2_strdup(path);
    return &sink->sink;
}

static bool memory_sink_write(struct k2_sink *sink, const void *bytes, size_t len,
                              struct k2_err *err) {
    (void)err;
    k2_buf_append(&((struct memory_sink *)sink)->bytes, bytes, len);
    return true;
}

static void memory_sink_abort(struct k2_sink *base) {
    struct memory_sink *sink = (struct memory_sink *)base;
    k2_free(sink->path);
    k2_buf_done(&sink->bytes);
    k2_free(sink);
}

static bool memory_sink_commit(struct k2_sink *base, struct k2_err *err) {
    struct memory_sink *sink = (struct memory_sink *)base;
    bool ok = memory_put(base->store, sink->path, k2_buf_view(&sink->bytes), false, err);
    memory_sink_abort(base);
    return ok;
}

static void memory_free(struct k2_store *store) {
    struct memory_store *memory = (struct memory_store *)store;
    for (size_t i = 0; i < memory->count; i++)
        entry_done(&memory->entries[i]);
    k2_free(memory->entries);
    k2_free(store->root_uri);
    pthread_mutex_destroy(&memory->lock);
    k2_free(memory);
}

static const struct k2_store_ops memory_ops = {
    .name = "memory",
    .put = memory_put,
    .get = memory_get,
    .size = memory_size,
    .remove = memory_remove,
    .list = memory_list,
    .sink_open = memory_sink_open,
    .sink_write = memory_sink_write,
    .sink_commit = memory_sink_commit,
    .sink_abort = memory_sink_abort,
    .free = memory_free,
};

struct k2_store *k2_store_open_memory(void) {
    struct memory_store *memory = k2_new(struct memory_store);
    memory->store.ops = &memory_ops;
    memory->store.root_uri = k2_strdup("memory:///lake");
    pthread_mutex_init(&memory->lock, NULL);
    return &memory->store;
}
