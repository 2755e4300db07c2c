/* lake.c -- one store and one catalog: opening, loading tables, and what is kept in memory.
 *
 * Metadata files, manifest lists and manifests never change once written, so what was parsed is
 * kept by address; the oldest unused goes first. Threads: the lock guards the cache alone, never a
 * read or a write.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "lake/table/table_impl.h"

struct k2_lake *k2_lake_open(const struct k2_lake_opts *opts, struct k2_err *err) {
    struct k2_lake *lake = k2_new(struct k2_lake);
    pthread_mutex_init(&lake->lock, NULL);
    k2_random_seed_os(&lake->random);
    lake->clock = opts->clock ? opts->clock : k2_clock_real();
    lake->previous_versions = opts->previous_versions ? opts->previous_versions : 100;
    lake->manifest_merge_count = opts->manifest_merge_count ? opts->manifest_merge_count : 100;
    lake->store = k2_store_open(opts->warehouse, err);
    if (lake->store)
        lake->catalog =
            k2_catalog_open(opts->catalog, opts->catalog_name ? opts->catalog_name : "k2", err);
    if (lake->catalog)
        return lake;
    k2_lake_free(lake);
    return NULL;
}

void k2_lake_free(struct k2_lake *lake) {
    if (!lake)
        return;
    for (int i = 0; i < K2_CACHED_TABLES; i++) {
        k2_metadata_unref(lake->tables[i].value);
        k2_free(lake->tables[i].uri);
    }
    for (int i = 0; i < K2_CACHED_LISTS; i++) {
        k2_manifest_list_unref(lake->lists[i].value);
        k2_free(lake->lists[i].uri);
    }
    for (int i = 0; i < K2_CACHED_MANIFESTS; i++) {
        k2_manifest_unref(lake->manifests[i].value);
        k2_free(lake->manifests[i].uri);
    }
    k2_catalog_free(lake->catalog);
    k2_store_free(lake->store);
    pthread_mutex_destroy(&lake->lock);
    k2_free(lake);
}

struct k2_store *k2_lake_store(struct k2_lake *lake) {
    return lake->store;
}

struct k2_catalog *k2_lake_catalog(struct k2_lake *lake) {
    return lake->catalog;
}

/* ---- random names ---- */
void k2_lake_uuid(struct k2_lake *lake, char ret_uuid[37]) {
    pthread_mutex_lock(&lake->lock);
    k2_random_uuid(&lake->random, ret_uuid);
    pthread_mutex_unlock(&lake->lock);
}

int64_t k2_lake_new_id(struct k2_lake *lake) {
    int64_t id = 0;
    pthread_mutex_lock(&lake->lock);
    while (id == 0)
        id = (int64_t)(k2_random_u64(&lake->random) & INT64_MAX);
    pthread_mutex_unlock(&lake->lock);
    return id;
}

void k2_lake_sync(struct k2_lake *lake, uint8_t ret_sync[16]) {
    pthread_mutex_lock(&lake->lock);
    for (int i = 0; i < 2; i++) {
        uint64_t word = k2_random_u64(&lake->random);
        memcpy(ret_sync + 8 * i, &word, sizeof word);
    }
    pthread_mutex_unlock(&lake->lock);
}

/* ---- the cache; all under the lock ---- */
static struct k2_cached *find_cached(struct k2_lake *lake, struct k2_cached *all, int count,
                                     struct k2_str uri) {
    uint64_t hash = k2_hash64(uri.ptr, uri.len);
    for (int i = 0; i < count; i++) {
        if (!all[i].uri || all[i].hash != hash || !k2_str_is(uri, all[i].uri))
            continue;
        all[i].used = ++lake->ticks;
        return &all[i];
    }
    return NULL;
}

static struct k2_cached *oldest_of(struct k2_cached *all, int count) {
    struct k2_cached *oldest = NULL;
    for (int i = 0; i < count; i++)
        if (all[i].uri && (!oldest || all[i].used < oldest->used))
            oldest = &all[i];
    return oldest;
}

/* What the place held is the caller's to give back. */
static void *clear_cached(struct k2_cached *place) {
    void *value = place->value;
    k2_free(place->uri);
    *place = (struct k2_cached){0};
    return value;
}

/* Puts value in uri's own place, a free one, or that of the oldest. Returns what that held. */
static void *put_cached(struct k2_lake *lake, struct k2_cached *all, int count, struct k2_str uri,
                        void *value) {
    struct k2_cached *place = find_cached(lake, all, count, uri);
    for (int i = 0; !place && i < count; i++)
        if (!all[i].uri)
            place = &all[i];
    if (!place)
        place = oldest_of(all, count);
    void *old = clear_cached(place);
    place->uri = k2_alloc(uri.len + 1);
    memcpy(place->uri, uri.ptr, uri.len);
    place->uri[uri.len] = 0;
    place->hash = k2_hash64(uri.ptr, uri.len);
    place->value = value;
    place->used = ++lake->ticks;
    return old;
}

/* ---- objects ---- */
bool k2_lake_get(struct k2_lake *lake, struct k2_str uri, struct k2_buf *out, struct k2_err *err) {
    struct k2_buf path = {0};
    bool ok = k2_store_path(lake->store, uri, &path, err) &&
              k2_store_get(lake->store, k2_buf_cstr(&path), out, err);
    k2_buf_done(&path);
    return ok;
}

bool k2_lake_put(struct k2_lake *lake, struct k2_str uri, struct k2_str bytes, struct k2_err *err) {
    struct k2_buf path = {0};
    bool ok = k2_store_path(lake->store, uri, &path, err) &&
              k2_store_put(lake->store, k2_buf_cstr(&path), bytes, true, err);
    k2_buf_done(&path);
    return ok;
}

/* ---- metadata ---- */
void k2_lake_keep(struct k2_lake *lake, const struct k2_metadata *metadata) {
    pthread_mutex_lock(&lake->lock);
    const struct k2_metadata *old =
        put_cached(lake, lake->tables, K2_CACHED_TABLES, metadata->identifier,
                   (void *)k2_metadata_ref(metadata));
    pthread_mutex_unlock(&lake->lock);
    k2_metadata_unref(old);
}

static const struct k2_metadata *cached_metadata(struct k2_lake *lake, const char *table,
                                                 struct k2_str location) {
    const struct k2_metadata *metadata = NULL;
    pthread_mutex_lock(&lake->lock);
    struct k2_cached *place = find_cached(lake, lake->tables, K2_CACHED_TABLES, k2_str_of(table));
    if (place) {
        const struct k2_metadata *kept = place->value;
        if (k2_str_eq(kept->metadata_location, location))
            metadata = k2_metadata_ref(kept);
    }
    pthread_mutex_unlock(&lake->lock);
    return metadata;
}

static const struct k2_metadata *load_one(struct k2_lake *lake, struct k2_pointer *pointer,
                                          struct k2_err *err) {
    struct k2_str location = k2_buf_view(&pointer->location);
    const struct k2_metadata *metadata = cached_metadata(lake, pointer->table, location);
    if (metadata)
        return metadata;
    struct k2_buf bytes = {0};
    if (k2_lake_get(lake, location, &bytes, err))
        metadata = k2_metadata_parse(k2_buf_view(&bytes), pointer->table,
                                     k2_buf_cstr(&pointer->location), err);
    k2_buf_done(&bytes);
    if (metadata)
        k2_lake_keep(lake, metadata);
    else
        k2_err_wrap(err,
                    err->code == K2_NOT_FOUND || err->code == K2_CORRUPT
                        ? "load table %s (restore its metadata file %s)"
                        : "load table %s from %s",
                    pointer->table, k2_buf_cstr(&pointer->location));
    return metadata;
}

bool k2_lake_load(struct k2_lake *lake, const char *const *tables, int count,
                  const struct k2_metadata **ret_metadata, struct k2_err *err) {
    struct k2_pointer *pointers = k2_new_array(struct k2_pointer, (size_t)count + 1);
    const struct k2_metadata **loaded = k2_new_array(const struct k2_metadata *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        pointers[i].table = tables[i];
    bool ok = k2_catalog_load(lake->catalog, pointers, count, err);
    for (int i = 0; ok && i < count; i++) {
        if (pointers[i].location.len)
            ok = (loaded[i] = load_one(lake, &pointers[i], err)) != NULL;
    }
    for (int i = 0; i < count; i++) {
        if (ok)
            ret_metadata[i] = loaded[i];
        else
            k2_metadata_unref(loaded[i]);
        k2_buf_done(&pointers[i].location);
    }
    k2_free(pointers);
    k2_free(loaded);
    return ok;
}

/* ---- manifest lists and manifests ---- */
void k2_lake_keep_list(struct k2_lake *lake, struct k2_str uri, struct k2_manifest_list *list) {
    pthread_mutex_lock(&lake->lock);
    struct k2_manifest_list *old =
        put_cached(lake, lake->lists, K2_CACHED_LISTS, uri, k2_manifest_list_ref(list));
    pthread_mutex_unlock(&lake->lock);
    k2_manifest_list_unref(old);
}

struct k2_manifest_list *k2_lake_list(struct k2_lake *lake, const struct k2_snapshot *snapshot,
                                      struct k2_err *err) {
    if (!snapshot)
        return k2_manifest_list_new();
    if (!snapshot->manifest_list.len) {
        k2_err_set(err, K2_INVALID,
                   "snapshot %lld lists its manifests in the metadata (format v1 of old); K2 does "
                   "not read such",
                   (long long)snapshot->snapshot_id);
        return NULL;
    }
    pthread_mutex_lock(&lake->lock);
    struct k2_cached *place =
        find_cached(lake, lake->lists, K2_CACHED_LISTS, snapshot->manifest_list);
    struct k2_manifest_list *list = place ? k2_manifest_list_ref(place->value) : NULL;
    pthread_mutex_unlock(&lake->lock);
    if (list)
        return list;
    struct k2_buf bytes = {0};
    if (k2_lake_get(lake, snapshot->manifest_list, &bytes, err))
        list = k2_manifest_list_parse(k2_buf_view(&bytes), err);
    k2_buf_done(&bytes);
    if (list)
        k2_lake_keep_list(lake, snapshot->manifest_list, list);
    else
        k2_err_wrap(err, "manifest list %s", snapshot->manifest_list.ptr);
    return list;
}

static void keep_manifest(struct k2_lake *lake, struct k2_str uri, struct k2_manifest *manifest) {
    if (manifest->count > K2_CACHED_ENTRIES / 2)
        return;
    pthread_mutex_lock(&lake->lock);
    struct k2_manifest *old =
        put_cached(lake, lake->manifests, K2_CACHED_MANIFESTS, uri, k2_manifest_ref(manifest));
    lake->manifest_entries += manifest->count - (old ? old->count : 0);
    k2_manifest_unref(old);
    while (lake->manifest_entries > K2_CACHED_ENTRIES) {
        old = clear_cached(oldest_of(lake->manifests, K2_CACHED_MANIFESTS));
        lake->manifest_entries -= old->count;
        k2_manifest_unref(old);
    }
    pthread_mutex_unlock(&lake->lock);
}

struct k2_manifest *k2_lake_manifest(struct k2_lake *lake, const struct k2_metadata *metadata,
                                     const struct k2_manifest_file *row, struct k2_err *err) {
    pthread_mutex_lock(&lake->lock);
    struct k2_cached *place = find_cached(lake, lake->manifests, K2_CACHED_MANIFESTS, row->path);
    struct k2_manifest *manifest = place ? k2_manifest_ref(place->value) : NULL;
    pthread_mutex_unlock(&lake->lock);
    if (manifest)
        return manifest;
    struct k2_buf bytes = {0};
    const struct k2_partition_spec *spec = k2_metadata_spec(metadata, row->spec_id);
    if (k2_lake_get(lake, row->path, &bytes, err))
        manifest = k2_manifest_parse(k2_buf_view(&bytes), row, spec, err);
    k2_buf_done(&bytes);
    if (manifest)
        keep_manifest(lake, row->path, manifest);
    else
        k2_err_wrap(err, "manifest %.*s", K2_FMT(row->path));
    return manifest;
}

/* ---- the hint ---- */
/* ".../metadata/00003-<uuid>.metadata.json" -> the folder's path and "00003-<uuid>". */
static bool hint_of(struct k2_lake *lake, struct k2_str location, struct k2_buf *path,
                    struct k2_buf *text) {
    struct k2_err ignored = {0};
    if (!k2_str_ends(location, ".metadata.json") ||
        !k2_store_path(lake->store, location, path, &ignored))
        return false;
    const char *slash = strrchr(k2_buf_cstr(path), '/');
    if (!slash)
        return false;
    k2_buf_append(text, slash + 1, strlen(slash + 1) - strlen(".metadata.json"));
    path->len = (size_t)(slash + 1 - path->ptr);
    k2_buf_text(path, "version-hint.text");
    return true;
}

void k2_lake_hint(struct k2_lake *lake, const char *const *tables, int count) {
    struct k2_err ignored = {0};
    struct k2_pointer *pointers = k2_new_array(struct k2_pointer, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        pointers[i].table = tables[i];
    bool ok = k2_catalog_load(lake->catalog, pointers, count, &ignored);
    for (int i = 0; i < count; i++) {
        struct k2_buf path = {0}, text = {0};
        if (ok && hint_of(lake, k2_buf_view(&pointers[i].location), &path, &text))
            ok = k2_store_put(lake->store, k2_buf_cstr(&path), k2_buf_view(&text), false, &ignored);
        k2_buf_done(&path);
        k2_buf_done(&text);
        k2_buf_done(&pointers[i].location);
    }
    k2_free(pointers);
}
