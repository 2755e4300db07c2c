/* store_local.c -- a store in a folder: nameless or temporary file, fsync, link or rename, fsync of
 * the folder.
 *
 * A new object is written to a file without a name (O_TMPFILE) where the file system has that, so
 * that a crash leaves nothing behind; elsewhere to a ".k2-..." file, which no listing shows.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/intern.h"
#include "base/random.h"
#include "lake/store/store_impl.h"

struct local_store {
    struct k2_store store;
    char *root;
    pthread_mutex_t lock;     /* guards folders */
    struct k2_intern folders; /* known to exist, and their names to be durable */
};

struct local_file {
    int fd;
    char *path;   /* where it will be */
    char *folder; /* of path */
    char *temp;   /* NULL: a file without a name yet */
};

struct local_sink {
    struct k2_sink sink;
    struct local_file file;
};

static struct local_store *local_of(struct k2_store *store) {
    return (struct local_store *)store;
}

static char *full_path(const struct local_store *local, const char *path) {
    struct k2_buf full = {0};
    k2_buf_printf(&full, "%s%s%s", local->root, *path ? "/" : "", path);
    return k2_buf_cstr(&full);
}

static char *parent_of(const char *path) {
    char *parent = k2_strdup(path);
    char *slash = strrchr(parent, '/');
    K2_ASSERT(slash);
    slash[slash == parent ? 1 : 0] = 0;
    return parent;
}

static bool sync_folder(const char *folder, struct k2_err *err) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return k2_err_sys(err, "open folder %s", folder);
    bool ok = fsync(fd) == 0 || k2_err_sys(err, "fsync folder %s", folder);
    close(fd);
    return ok;
}

static bool is_known(struct local_store *local, const char *folder) {
    pthread_mutex_lock(&local->lock);
    bool known = k2_intern_find(&local->folders, k2_str_of(folder)) != UINT32_MAX;
    pthread_mutex_unlock(&local->lock);
    return known;
}

/* Makes one folder and its name durable. The parent is fsynced also where the folder was there:
 * another process may have made it a moment ago and not be that far yet. */
static bool make_one(struct local_store *local, char *folder, struct k2_err *err) {
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return k2_err_sys(err, "make folder %s", folder);
    char *parent = parent_of(folder);
    bool ok = sync_folder(parent, err);
    k2_free(parent);
    if (!ok)
        return false;
    pthread_mutex_lock(&local->lock);
    k2_intern_add(&local->folders, k2_str_of(folder));
    pthread_mutex_unlock(&local->lock);
    return true;
}

/* Every folder below the root down to folder; anew: also those known. */
static bool make_folders(struct local_store *local, const char *folder, bool anew,
                         struct k2_err *err) {
    if (!anew && is_known(local, folder))
        return true;
    char *step = k2_strdup(folder);
    size_t root_len = strlen(local->root), len = strlen(step);
    bool ok = true;
    for (size_t i = root_len + 1; ok && i <= len; i++) {
        if (step[i] != '/' && step[i] != 0)
            continue;
        char cut = step[i];
        step[i] = 0;
        if (anew || !is_known(local, step))
            ok = make_one(local, step, err);
        step[i] = cut;
    }
    k2_free(step);
    return ok;
}

static char *temp_name(const char *folder) {
    struct k2_random random;
    k2_random_seed_os(&random);
    struct k2_buf name = {0};
    k2_buf_printf(&name, "%s/.k2-%016" PRIx64, folder, k2_random_u64(&random));
    return k2_buf_cstr(&name);
}

static int open_unnamed(const char *folder) {
#ifdef O_TMPFILE
    return open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
#else
    errno = EOPNOTSUPP;
    return -1;
#endif
}

static bool open_temp(struct local_file *file) {
    file->fd = open_unnamed(file->folder);
    if (file->fd >= 0 || errno == ENOENT)
        return file->fd >= 0;
    k2_free(file->temp);
    file->temp = temp_name(file->folder);
    file->fd = open(file->temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    return file->fd >= 0;
}

static void file_done(struct local_file *file) {
    if (file->fd >= 0)
        close(file->fd);
    if (file->temp)
        unlink(file->temp);
    k2_free(file->temp);
    k2_free(file->folder);
    k2_free(file->path);
}

static bool file_open(struct local_store *local, const char *path, struct local_file *file,
                      struct k2_err *err) {
    *file = (struct local_file){.fd = -1, .path = full_path(local, path)};
    file->folder = parent_of(file->path);
    bool ok = make_folders(local, file->folder, false, err);
    /* A known folder may have been removed since; then it is made once more. */
    bool opened = ok && open_temp(file);
    if (ok && !opened && errno == ENOENT) {
        ok = make_folders(local, file->folder, true, err);
        opened = ok && open_temp(file);
    }
    if (ok && !opened)
        k2_err_sys(err, "make a file in %s", file->folder);
    if (!opened)
        file_done(file);
    return opened;
}

/* Gives a file its name at target. False with errno. */
static bool name_it(const struct local_file *file, const char *target) {
    if (file->temp)
        return link(file->temp, target) == 0;
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, target, AT_SYMLINK_FOLLOW) == 0;
}

/* Puts the file in the place of one that is there: by a temporary name and rename. */
static bool replace(struct local_file *file, struct k2_err *err) {
    if (!file->temp) {
        char *temp = temp_name(file->folder);
        if (!name_it(file, temp)) {
            k2_err_sys(err, "link %s", temp);
            k2_free(temp);
            return false;
        }
        file->temp = temp;
    }
    if (rename(file->temp, file->path) != 0)
        return k2_err_sys(err, "rename %s to %s", file->temp, file->path);
    k2_free(file->temp);
    file->temp = NULL;
    return true;
}

static bool file_commit(struct local_file *file, bool if_absent, struct k2_err *err) {
    if (fsync(file->fd) != 0)
        return k2_err_sys(err, "fsync %s", file->path);
    if (!name_it(file, file->path)) {
        if (errno != EEXIST)
            return k2_err_sys(err, "link %s", file->path);
        if (if_absent)
            return k2_err_set(err, K2_CONFLICT, "%s is there already", file->path);
        K2_TRY(replace(file, err));
    }
    return sync_folder(file->folder, err);
}

static bool local_put(struct k2_store *store, const char *path, struct k2_str bytes, bool if_absent,
                      struct k2_err *err) {
    struct local_file file;
    K2_TRY(file_open(local_of(store), path, &file, err));
    bool ok =
        k2_fd_write(file.fd, bytes.ptr, bytes.len, err) || k2_err_wrap(err, "write %s", file.path);
    ok = ok && file_commit(&file, if_absent, err);
    file_done(&file);
    return ok;
}

static bool open_object(const char *full, int *ret_fd, int64_t *ret_size, struct k2_err *err) {
    struct stat st;
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0;
    if (!ok)
        k2_err_sys(err, "open %s", full);
    else if (!S_ISREG(st.st_mode))
        ok = k2_err_set(err, K2_NOT_FOUND, "%s is no file", full);
    if (!ok && fd >= 0)
        close(fd);
    if (ok) {
        *ret_fd = fd;
        *ret_size = st.st_size;
    }
    return ok;
}

static bool get_part(const char *path, int64_t offset, int64_t len, struct k2_buf *out,
                     struct k2_err *err) {
    int fd;
    int64_t size;
    K2_TRY(open_object(path, &fd, &size, err));
    bool ok = true;
    if (offset > size || (len >= 0 && len > size - offset))
        ok = k2_err_set(err, K2_CORRUPT, "%s has %lld bytes; %lld from %lld were asked for", path,
                        (long long)size, (long long)len, (long long)offset);
    int64_t want = len < 0 ? size - offset : len;
    if (ok && want > K2_STORE_GET_MAX)
        ok =
            k2_err_set(err, K2_LIMIT, "%s has %lld bytes; read it in parts", path, (long long)size);
    if (ok) {
        ok = k2_fd_read_at(fd, k2_buf_reserve(out, (size_t)want), (size_t)want, offset, err) ||
             k2_err_wrap(err, "read %s", path);
        out->len += ok ? (size_t)want : 0;
    }
    close(fd);
    return ok;
}

static bool local_get(struct k2_store *store, const char *path, int64_t offset, int64_t len,
                      struct k2_buf *out, struct k2_err *err) {
    char *full = full_path(local_of(store), path);
    bool ok = get_part(full, offset, len, out, err);
    k2_free(full);
    return ok;
}

static bool local_size(struct k2_store *store, const char *path, int64_t *ret_bytes,
                       struct k2_err *err) {
    char *full = full_path(local_of(store), path);
    struct stat st;
    bool ok = stat(full, &st) == 0 || k2_err_sys(err, "look at %s", full);
    if (ok && !S_ISREG(st.st_mode))
        ok = k2_err_set(err, K2_NOT_FOUND, "%s is no file", full);
    if (ok)
        *ret_bytes = st.st_size;
    k2_free(full);
    return ok;
}

static bool local_remove(struct k2_store *store, const char *path, struct k2_err *err) {
    char *full = full_path(local_of(store), path);
    bool ok = unlink(full) == 0 || errno == ENOENT || k2_err_sys(err, "delete %s", full);
    k2_free(full);
    return ok;
}

/* ---- list ---- */
struct listing {
    struct k2_arena arena;
    struct k2_object *objects;
    size_t count, cap;
    const char **folders; /* still to be read */
    size_t folder_count, folder_cap;
};

static void listing_add(struct listing *list, const char *path, const struct stat *st) {
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 256;
        list->objects = k2_realloc(list->objects, list->cap * sizeof *list->objects);
    }
    int64_t ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    list->objects[list->count++] = (struct k2_object){path, st->st_size, ms};
}

static void listing_push(struct listing *list, const char *folder) {
    if (list->folder_count == list->folder_cap) {
        list->folder_cap = list->folder_cap ? list->folder_cap * 2 : 64;
        list->folders = k2_realloc(list->folders, list->folder_cap * sizeof *list->folders);
    }
    list->folders[list->folder_count++] = folder;
}

static bool read_folder(struct local_store *local, struct listing *list, const char *folder,
                        struct k2_err *err) {
    char *full = full_path(local, folder);
    DIR *dir = opendir(full);
    bool ok = dir || errno == ENOENT || errno == ENOTDIR || k2_err_sys(err, "list %s", full);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strncmp(name, ".k2-", 4) == 0)
            continue;
        struct stat st;
        if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue; /* deleted since it was read */
        char *path = k2_arena_printf(&list->arena, "%s%s%s", folder, *folder ? "/" : "", name);
        if (S_ISREG(st.st_mode))
            listing_add(list, path, &st);
        else if (S_ISDIR(st.st_mode) && strlen(path) < K2_STORE_PATH_MAX)
            listing_push(list, path);
    }
    if (dir)
        closedir(dir);
    k2_free(full);
    return ok;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct k2_object *)a)->path, ((const struct k2_object *)b)->path);
}

static bool local_list(struct k2_store *store, const char *prefix, k2_object_fn *each, void *self,
                       struct k2_err *err) {
    struct listing list = {0};
    listing_push(&list, prefix);
    bool ok = true;
    while (ok && list.folder_count)
        ok = read_folder(local_of(store), &list, list.folders[--list.folder_count], err);
    if (ok && list.count)
        qsort(list.objects, list.count, sizeof *list.objects, by_path);
    for (size_t i = 0; ok && i < list.count; i++)
        if (!each(self, &list.objects[i]))
            break;
    k2_free(list.objects);
    k2_free(list.folders);
    k2_arena_done(&list.arena);
    return ok;
}

/* ---- sinks ---- */
static struct k2_sink *local_sink_open(struct k2_store *store, const char *path,
                                       struct k2_err *err) {
    struct local_file file;
    if (!file_open(local_of(store), path, &file, err))
        return NULL;
    struct local_sink *sink = k2_new(struct local_sink);
    sink->file = file;
    return &sink->sink;
}

static bool local_sink_write(struct k2_sink *base, const void *bytes, size_t len,
                             struct k2_err *err) {
    struct local_sink *sink = (struct local_sink *)base;
    return k2_fd_write(sink->file.fd, bytes, len, err) ||
           k2_err_wrap(err, "write %s", sink->file.path);
}

static void local_sink_abort(struct k2_sink *base) {
    struct local_sink *sink = (struct local_sink *)base;
    file_done(&sink->file);
    k2_free(sink);
}

static bool local_sink_commit(struct k2_sink *base, struct k2_err *err) {
    struct local_sink *sink = (struct local_sink *)base;
    bool ok = file_commit(&sink->file, false, err);
    local_sink_abort(base);
    return ok;
}

static void local_free(struct k2_store *store) {
    struct local_store *local = local_of(store);
    k2_intern_done(&local->folders);
    pthread_mutex_destroy(&local->lock);
    k2_free(local->root);
    k2_free(store->root_uri);
    k2_free(local);
}

static const struct k2_store_ops local_ops = {
    .name = "local",
    .put = local_put,
    .get = local_get,
    .size = local_size,
    .remove = local_remove,
    .list = local_list,
    .sink_open = local_sink_open,
    .sink_write = local_sink_write,
    .sink_commit = local_sink_commit,
    .sink_abort = local_sink_abort,
    .free = local_free,
};

/* The root and what it lies in; the names of folders made here are durable when it returns. */
static bool make_root(const char *root, struct k2_err *err) {
    char *step = k2_strdup(root);
    size_t len = strlen(step);
    bool ok = true;
    for (size_t i = 1; ok && i <= len; i++) {
        if (step[i] != '/' && step[i] != 0)
            continue;
        char cut = step[i];
        step[i] = 0;
        bool is_made = mkdir(step, 0777) == 0;
        if (!is_made && errno != EEXIST)
            ok = k2_err_sys(err, "make folder %s", step);
        else if (is_made || i == len) /* the root may have been made by one who died at it */
            ok = k2_dir_sync_parent(step, err);
        step[i] = cut;
    }
    k2_free(step);
    struct stat st;
    if (ok && (stat(root, &st) != 0 || !S_ISDIR(st.st_mode)))
        ok = k2_err_set(err, K2_INVALID, "%s is no folder", root);
    return ok;
}

struct k2_store *k2_store_open_local(struct k2_str path, struct k2_err *err) {
    while (k2_str_starts(path, "//"))
        path = k2_str_make(path.ptr + 1, path.len - 1);
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    if (path.len < 2 || path.ptr[0] != '/' || memchr(path.ptr, 0, path.len)) {
        k2_err_set(err, K2_INVALID, "not a folder for a store: '%.*s' (use file:/absolute/folder)",
                   K2_FMT(path));
        return NULL;
    }
    struct k2_buf root = {0}, uri = {0};
    k2_buf_str(&root, path);
    k2_buf_printf(&uri, "file://%.*s", K2_FMT(path));
    if (!make_root(k2_buf_cstr(&root), err)) {
        k2_buf_done(&root);
        k2_buf_done(&uri);
        return NULL;
    }
    struct local_store *local = k2_new(struct local_store);
    local->store.ops = &local_ops;
    local->store.root_uri = k2_buf_cstr(&uri);
    local->root = root.ptr;
    pthread_mutex_init(&local->lock, NULL);
    return &local->store;
}
