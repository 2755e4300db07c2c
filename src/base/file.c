/* file.c -- files, folders, fsync and kernel locks. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/random.h"

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

bool k2_file_read(const char *path, int64_t max_bytes, struct k2_buf *buf, struct k2_err *err) {
    K2_AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return k2_err_sys(err, "read %s", path);
    if (S_ISDIR(st.st_mode))
        return k2_err_set(err, K2_INVALID, "%s is a folder, not a file", path);
    if (st.st_size > max_bytes)
        return k2_err_set(err, K2_LIMIT, "%s has %lld bytes, more than the limit of %lld", path,
                          (long long)st.st_size, (long long)max_bytes);
    for (;;) {
        char *at = k2_buf_reserve(buf, 65536);
        ssize_t got = read(fd, at, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return k2_err_sys(err, "read %s", path);
        if (got == 0)
            return true;
        buf->len += (size_t)got;
        if ((int64_t)buf->len > max_bytes)
            return k2_err_set(err, K2_LIMIT, "%s is longer than %lld bytes", path,
                              (long long)max_bytes);
    }
}

bool k2_fd_write(int fd, const void *bytes, size_t len, struct k2_err *err) {
    const char *p = bytes;
    while (len) {
        ssize_t put = write(fd, p, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return k2_err_sys(err, "write");
        p += put, len -= (size_t)put;
    }
    return true;
}

bool k2_fd_read_at(int fd, void *bytes, size_t len, int64_t offset, struct k2_err *err) {
    char *p = bytes;
    while (len) {
        ssize_t got = pread(fd, p, len, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return k2_err_sys(err, "read");
        if (got == 0)
            return k2_err_set(err, K2_CORRUPT, "file ends %zu bytes too early", len);
        p += got, len -= (size_t)got, offset += got;
    }
    return true;
}

const char *k2_dir_temp(void) {
    const char *set = getenv("TMPDIR");
    return set && *set ? set : "/tmp";
}

char *k2_dir_make_temp(const char *parent, const char *name, struct k2_err *err) {
    if (!parent)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : k2_dir_temp();
    struct k2_random random;
    struct k2_buf path = {0};
    char uuid[37];
    k2_random_seed_os(&random);
    k2_random_uuid(&random, uuid);
    k2_buf_printf(&path, "%s/%s-%.8s", parent, name, uuid);
    char *made = k2_strdup(k2_buf_cstr(&path));
    k2_buf_done(&path);
    if (mkdir(made, 0700) == 0)
        return made;
    k2_err_sys(err, "make a folder in %s", parent);
    k2_free(made);
    return NULL;
}

bool k2_dir_sync_parent(const char *path, struct k2_err *err) {
    struct k2_buf dir = {0};
    const char *slash = strrchr(path, '/');
    if (!slash)
        k2_buf_text(&dir, ".");
    else
        k2_buf_append(&dir, path, slash == path ? 1 : (size_t)(slash - path));
    K2_AUTO(close_fd) int fd = open(k2_buf_cstr(&dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        k2_err_sys(err, "fsync folder %s", dir.ptr);
    k2_buf_done(&dir);
    return ok;
}

static bool write_synced(const char *path, struct k2_str bytes, struct k2_err *err) {
    K2_AUTO(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return k2_err_sys(err, "create %s", path);
    if (!k2_fd_write(fd, bytes.ptr, bytes.len, err))
        return k2_err_wrap(err, "%s", path);
    if (fsync(fd))
        return k2_err_sys(err, "fsync %s", path);
    return true;
}

bool k2_file_replace(const char *path, struct k2_str bytes, struct k2_err *err) {
    struct k2_buf temp = {0};
    /* The thread's id: two threads may replace one file at the same time. */
    k2_buf_printf(&temp, "%s.%d.tmp", path, (int)gettid());
    bool ok = write_synced(temp.ptr, bytes, err);
    if (ok && rename(temp.ptr, path))
        ok = k2_err_sys(err, "rename to %s", path);
    if (!ok)
        unlink(temp.ptr);
    k2_buf_done(&temp);
    return ok && k2_dir_sync_parent(path, err);
}

/* A name that was there already may not be durable yet: whoever made it may have died before that.
 * Only the last is looked after, as those above it are rarely K2's. */
static bool make_step(const char *path, bool is_last, struct k2_err *err) {
    if (mkdir(path, 0755) == 0)
        return k2_dir_sync_parent(path, err);
    if (errno != EEXIST)
        return k2_err_sys(err, "make folder %s", path);
    struct k2_err why = {0};
    if (!is_last || k2_dir_sync_parent(path, &why) || errno == EACCES)
        return true;
    if (err)
        *err = why;
    return false;
}

bool k2_dir_make(const char *path, struct k2_err *err) {
    if (!path[0])
        return k2_err_set(err, K2_INVALID, "a folder needs a name");
    char *copy = k2_strdup(path);
    bool ok = true;
    for (char *p = copy + 1; ok; p++) {
        bool is_last = *p == 0;
        if (*p != '/' && !is_last)
            continue;
        *p = 0;
        ok = make_step(copy, is_last, err);
        if (is_last)
            break;
        *p = '/';
    }
    struct stat st;
    if (ok && (stat(path, &st) || !S_ISDIR(st.st_mode)))
        ok = k2_err_set(err, K2_IO, "%s is there but is not a folder", path);
    k2_free(copy);
    return ok;
}

/* path, of which nothing is known but its last name, below the one spelling of the rest. */
static char *real_below(const char *path, size_t len) {
    size_t start = len;
    while (start > 0 && path[start - 1] != '/')
        start--;
    struct k2_str name = k2_str_make(path + start, len - start);
    struct k2_buf text = {0};
    k2_buf_append(&text, start ? path : ".", start ? start : 1);
    char *parent = k2_path_real(k2_buf_cstr(&text));
    text.len = 0;
    char *last = strrchr(parent, '/');
    if (k2_str_is(name, ".."))
        k2_buf_append(&text, parent, K2_MAX((size_t)(last - parent), (size_t)1));
    else if (!name.len || k2_str_is(name, "."))
        k2_buf_text(&text, parent);
    else
        k2_buf_printf(&text, "%s/%.*s", parent[1] ? parent : "", K2_FMT(name));
    char *out = k2_strdup(k2_buf_cstr(&text));
    k2_buf_done(&text);
    k2_free(parent);
    return out;
}

char *k2_path_real(const char *path) {
    char known[PATH_MAX];
    if (realpath(path, known))
        return k2_strdup(known);
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    /* The root and the working folder are always there; where not even they are, text must do. */
    if (!len || (len == 1 && (*path == '/' || *path == '.')))
        return k2_strdup("/");
    return real_below(path, len);
}

bool k2_path_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

bool k2_path_remove(const char *path, struct k2_err *err) {
    if (nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
        return k2_err_sys(err, "remove %s", path);
    return true;
}

static void read_holder(int fd, struct k2_buf *holder) {
    char *at = k2_buf_reserve(holder, 256);
    ssize_t got = pread(fd, at, 256, 0);
    if (got > 0)
        holder->len += (size_t)got;
    while (holder->len && holder->ptr[holder->len - 1] == '\n')
        holder->len--;
}

/* Open file description locks: freed by death, and not by closing some other descriptor. */
bool k2_lock_try(const char *path, const char *text, struct k2_lock *lock, bool *ret_taken,
                 struct k2_buf *holder, struct k2_err *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return k2_err_sys(err, "open lock %s", path);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &range) == 0) {
        size_t len = strlen(text);
        bool ok = ftruncate(fd, 0) == 0 && pwrite(fd, text, len, 0) == (ssize_t)len;
        if (!ok) {
            k2_err_sys(err, "write lock %s", path);
            close(fd);
            return false;
        }
        lock->fd = fd;
        *ret_taken = true;
        return true;
    }
    bool busy = errno == EAGAIN || errno == EACCES;
    if (!busy)
        k2_err_sys(err, "lock %s", path);
    else if (holder)
        read_holder(fd, holder);
    close(fd);
    lock->fd = -1;
    *ret_taken = false;
    return busy;
}

void k2_lock_release(struct k2_lock *lock) {
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}
