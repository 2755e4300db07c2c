/* registry.c -- the embedded schema registry: a folder of schemas and an index, under one lock. */
#include "log/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"

/* index: a line per subject and version: id, version, hash of the schema, subject. */
struct k2_registry {
    char *dir;
    bool is_volatile;
    int lock_fd;
    pthread_mutex_t lock;
};

enum { SCHEMA_BYTES_MAX = 1 << 20, INDEX_BYTES_MAX = 1 << 26, SUBJECT_MAX = 250 };

struct k2_registry *k2_registry_open(const char *url, struct k2_err *err) {
    struct k2_registry *r = k2_new(struct k2_registry);
    char path[4400];
    r->lock_fd = -1;
    pthread_mutex_init(&r->lock, NULL);
    bool ok = true;
    if (strcmp(url, "memory:") == 0) {
        r->dir = k2_dir_make_temp(NULL, "k2-registry", err);
        ok = r->is_volatile = r->dir;
    } else if (strncmp(url, "embedded:/", 10) == 0) {
        r->dir = k2_strdup(url + 9);
        ok = k2_dir_make(r->dir, err);
    } else {
        ok = k2_err_set(err, K2_USAGE,
                        "registry %s: K2 knows embedded:/absolute/folder and memory:", url);
    }
    if (ok) {
        snprintf(path, sizeof path, "%s/lock", r->dir);
        r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        ok = r->lock_fd >= 0 || k2_err_sys(err, "open %s", path);
    }
    if (ok)
        return r;
    k2_registry_free(r);
    return NULL;
}

void k2_registry_free(struct k2_registry *registry) {
    if (!registry)
        return;
    struct k2_err ignored;
    if (registry->lock_fd >= 0)
        close(registry->lock_fd);
    if (registry->is_volatile)
        (void)!k2_path_remove(registry->dir, &ignored);
    pthread_mutex_destroy(&registry->lock);
    k2_free(registry->dir);
    k2_free(registry);
}

static bool lock(struct k2_registry *r, struct k2_err *err) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    pthread_mutex_lock(&r->lock);
    while (fcntl(r->lock_fd, F_OFD_SETLKW, &range)) {
        if (errno == EINTR)
            continue;
        k2_err_sys(err, "lock %s", r->dir);
        pthread_mutex_unlock(&r->lock);
        return false;
    }
    return true;
}

static void unlock(struct k2_registry *r) {
    struct flock range = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(r->lock_fd, F_OFD_SETLK, &range);
    pthread_mutex_unlock(&r->lock);
}

static bool read_index(struct k2_registry *r, struct k2_buf *index, struct k2_err *err) {
    char path[4400];
    snprintf(path, sizeof path, "%s/index", r->dir);
    return !k2_path_exists(path) || k2_file_read(path, INDEX_BYTES_MAX, index, err);
}

struct line {
    uint32_t id;
    int version;
    struct k2_str hash, subject;
};

static bool parse_line(struct k2_str text, struct line *line) {
    int64_t id, version;
    struct k2_str rest;
    bool ok = k2_str_to_i64(k2_str_split(text, ' ', &rest), &id) && id > 0 && id < INT32_MAX &&
              k2_str_to_i64(k2_str_split(rest, ' ', &rest), &version) && version > 0 &&
              version < INT32_MAX;
    if (!ok)
        return false;
    line->id = (uint32_t)id;
    line->version = (int)version;
    line->hash = k2_str_split(rest, ' ', &line->subject);
    return line->hash.len == 32 && line->subject.len > 0 && line->subject.len <= SUBJECT_MAX;
}

/* *ret_found false: the end. A damaged line is an error, never passed over: its id would be given
 * to another schema. */
static bool next_line(struct k2_registry *r, struct k2_str *rest, struct line *line,
                      bool *ret_found, struct k2_err *err) {
    *ret_found = rest->len > 0;
    if (!*ret_found)
        return true;
    bool is_whole = memchr(rest->ptr, '\n', rest->len);
    struct k2_str text = k2_str_split(*rest, '\n', rest);
    return (is_whole && parse_line(text, line)) ||
           k2_err_set(err, K2_CORRUPT, "%s/index: a line is damaged; restore the file", r->dir);
}

static void schema_path(const struct k2_registry *r, uint32_t id, char path[4400]) {
    snprintf(path, 4400, "%s/%u.avsc", r->dir, id);
}

/* Stores schema under a new id. A number whose file is there already, though the index does not
 * name it, stays what it is: the index may have lost it. */
static bool store_schema(struct k2_registry *r, uint32_t last, struct k2_str schema,
                         uint32_t *ret_id, struct k2_err *err) {
    char path[4400];
    do {
        *ret_id = ++last;
        schema_path(r, last, path);
    } while (k2_path_exists(path));
    return k2_file_replace(path, schema, err);
}

/* The file of an id that the index names for schema: it is written again where it is lost. */
static bool confirm_schema(struct k2_registry *r, uint32_t id, struct k2_str schema,
                           struct k2_err *err) {
    char path[4400];
    struct k2_buf there = {0};
    schema_path(r, id, path);
    if (!k2_path_exists(path))
        return k2_file_replace(path, schema, err);
    bool ok = k2_file_read(path, SCHEMA_BYTES_MAX, &there, err);
    if (ok && !k2_str_eq(k2_buf_view(&there), schema))
        ok = k2_err_set(err, K2_CORRUPT, "%s is damaged, or the index beside it; restore them",
                        path);
    k2_buf_done(&there);
    return ok;
}

/* Under the lock. The schema is on the disk before the index names it, and both before it is given
 * out. */
static bool register_locked(struct k2_registry *r, const char *subject, struct k2_str schema,
                            uint32_t *ret_id, struct k2_err *err) {
    struct k2_buf index = {0};
    char hash[33], path[4400];
    uint32_t id = 0, last = 0;
    int version = 0;
    bool is_registered = false, found = true;
    struct line line;
    k2_hash128_hex(k2_hash128(schema.ptr, schema.len), hash);
    bool ok = read_index(r, &index, err);
    struct k2_str rest = k2_buf_view(&index);
    while (ok && (ok = next_line(r, &rest, &line, &found, err)) && found) {
        bool same = k2_str_is(line.hash, hash), own = k2_str_is(line.subject, subject);
        last = K2_MAX(last, line.id);
        id = same ? line.id : id;
        version = own ? K2_MAX(version, line.version) : version;
        is_registered |= same && own;
    }
    if (ok)
        ok = id ? confirm_schema(r, id, schema, err) : store_schema(r, last, schema, &id, err);
    if (ok && !is_registered) {
        k2_buf_printf(&index, "%u %d %s %s\n", id, version + 1, hash, subject);
        snprintf(path, sizeof path, "%s/index", r->dir);
        ok = k2_file_replace(path, k2_buf_view(&index), err);
    }
    k2_buf_done(&index);
    if (ok)
        *ret_id = id;
    return ok;
}

bool k2_registry_register(struct k2_registry *registry, const char *subject, struct k2_str schema,
                          uint32_t *ret_id, struct k2_err *err) {
    if (schema.len > SCHEMA_BYTES_MAX || strlen(subject) > SUBJECT_MAX)
        return k2_err_set(err, K2_LIMIT, "schema of %zu bytes for %s is too large", schema.len,
                          subject);
    K2_TRY(lock(registry, err));
    bool ok = register_locked(registry, subject, schema, ret_id, err);
    unlock(registry);
    return ok;
}

/* What the index says of an id, if it names it, is what its file must hold. */
static bool check_schema(struct k2_registry *r, uint32_t id, struct k2_str schema,
                         struct k2_err *err) {
    struct k2_buf index = {0};
    struct line line;
    char hash[33];
    bool found = true;
    k2_hash128_hex(k2_hash128(schema.ptr, schema.len), hash);
    bool ok = read_index(r, &index, err);
    struct k2_str rest = k2_buf_view(&index);
    while (ok && (ok = next_line(r, &rest, &line, &found, err)) && found)
        if (line.id == id && !k2_str_is(line.hash, hash))
            ok = k2_err_set(err, K2_CORRUPT, "%s/%u.avsc is damaged; restore it", r->dir, id);
    k2_buf_done(&index);
    return ok;
}

bool k2_registry_get(struct k2_registry *registry, uint32_t id, struct k2_buf *ret_schema,
                     struct k2_err *err) {
    char path[4400];
    size_t start = ret_schema->len;
    schema_path(registry, id, path);
    if (!k2_path_exists(path))
        return k2_err_set(err, K2_NOT_FOUND, "schema %u is not in the registry", id);
    K2_TRY(k2_file_read(path, SCHEMA_BYTES_MAX, ret_schema, err));
    return check_schema(registry, id, k2_str_make(ret_schema->ptr + start, ret_schema->len - start),
                        err);
}

bool k2_registry_list(struct k2_registry *registry, k2_subject_fn *each, void *self,
                      struct k2_err *err) {
    struct k2_buf index = {0};
    struct line line;
    char subject[SUBJECT_MAX + 1];
    bool found = true, go_on = true;
    bool ok = read_index(registry, &index, err);
    struct k2_str rest = k2_buf_view(&index);
    while (ok && go_on && (ok = next_line(registry, &rest, &line, &found, err)) && found) {
        snprintf(subject, sizeof subject, "%.*s", K2_FMT(line.subject));
        go_on = each(self, subject, line.version, line.id);
    }
    k2_buf_done(&index);
    return ok;
}
