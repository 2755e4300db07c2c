/* disk.c -- file calls of the whole program, held against the rules of a watch.
 *
 * The functions below stand before those of the C library, for our objects and for shared libraries
 * alike, because the linker takes the program's own first. They reach the kernel by syscall(2).
 */
#include "support/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/disk_impl.h"

enum { WATCHES = 4, RULES = 8, PATH_BYTES = 4400 };

struct watch {
    char root[PATH_BYTES];
    size_t root_len;
    struct disk_rule rules[RULES];
    long seen[RULES];
    int rule_count;
    long calls, hits;
    bool is_asleep;
    struct disk_state *state; /* NULL: nothing is remembered */
};

static struct watch watches[WATCHES];
static int watch_count, boot_number;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER; /* of rules and state, against calls */

/* ---- the kernel ---- */

int disk_raw_open(const char *path, int flags, int mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

void disk_raw_close(int fd) {
    syscall(SYS_close, fd);
}

long disk_raw_read(int fd, void *bytes, size_t len) {
    return syscall(SYS_read, fd, bytes, len);
}

long disk_raw_write(int fd, const void *bytes, size_t len) {
    return syscall(SYS_write, fd, bytes, len);
}

int disk_raw_mkdir(const char *path) {
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, 0755);
}

/* ---- watches ---- */

static struct watch *newest(void) {
    return watch_count ? &watches[watch_count - 1] : NULL;
}

void disk_watch(const char *root) {
    if (watch_count == WATCHES)
        abort();
    struct watch *w = &watches[watch_count];
    *w = (struct watch){0};
    snprintf(w->root, sizeof w->root, "%s", root);
    w->root_len = strlen(w->root);
    watch_count++;
}

void disk_end(void) {
    struct watch *w = newest();
    if (!w)
        abort();
    disk_state_free(w->state);
    watch_count--;
}

void disk_rule(struct disk_rule rule) {
    struct watch *w = newest();
    if (!w || w->rule_count == RULES)
        abort();
    w->seen[w->rule_count] = 0;
    w->rules[w->rule_count++] = rule;
}

void disk_no_rules(void) {
    newest()->rule_count = 0;
}

long disk_calls(void) {
    return newest()->calls;
}

long disk_hits(void) {
    return newest()->hits;
}

void disk_record(void) {
    struct watch *w = newest();
    disk_state_free(w->state);
    w->state = disk_state_new(w->root);
}

void disk_cut(const char *folder, uint64_t seed) {
    disk_state_cut(newest()->state, folder, seed);
}

void disk_boot(int number) {
    boot_number = number;
}

/* ---- a call against the rules ---- */

static struct watch *watch_of(const char *path) {
    struct watch *w = newest();
    if (!w || w->is_asleep || strncmp(path, w->root, w->root_len) != 0)
        return NULL;
    return path[w->root_len] == 0 || path[w->root_len] == '/' ? w : NULL;
}

/* The path behind a descriptor; false for one that is no file, and when nobody watches. */
static bool path_of(int fd, char path[PATH_BYTES]) {
    char self[40];
    if (!watch_count)
        return false;
    int saved = errno;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, self, path, PATH_BYTES - 1);
    errno = saved;
    path[len > 0 ? len : 0] = 0;
    return len > 0 && path[0] == '/';
}

static bool full_path(int dir, const char *name, char path[PATH_BYTES]) {
    char folder[PATH_BYTES];
    if (!watch_count)
        return false;
    if (strncmp(name, "/proc/self/fd/", 14) == 0)
        return path_of((int)strtol(name + 14, NULL, 10), path);
    if (name[0] == '/') {
        snprintf(path, PATH_BYTES, "%s", name);
        return true;
    }
    if (dir == AT_FDCWD ? !getcwd(folder, sizeof folder) : !path_of(dir, folder))
        return false;
    snprintf(path, PATH_BYTES, "%.2100s/%.2100s", folder, name);
    return true;
}

/* The act that is due at this call: the rule, or NULL for none. */
static const struct disk_rule *rule_of(struct watch *w, unsigned call, const char *path,
                                       enum disk_act *ret_act) {
    const struct disk_rule *found = NULL;
    w->calls++;
    for (int i = 0; i < w->rule_count; i++) {
        const struct disk_rule *rule = &w->rules[i];
        if (!(rule->calls & call) || (rule->pattern && fnmatch(rule->pattern, path, 0) != 0))
            continue;
        long n = w->seen[i]++;
        if (found || n < rule->nth || (n > rule->nth && !rule->and_after))
            continue;
        found = rule;
        *ret_act = rule->act == DISK_SHORT && n > rule->nth ? DISK_FAIL : rule->act;
    }
    w->hits += found != NULL;
    return found;
}

/* False with errno: the call must fail. *ret_short: it must do half. */
static bool may_pass(unsigned call, const char *path, bool *ret_short) {
    struct watch *w = watch_of(path);
    enum disk_act act = DISK_FAIL;
    if (!w)
        return true;
    pthread_mutex_lock(&guard);
    const struct disk_rule *rule = rule_of(w, call, path, &act);
    pthread_mutex_unlock(&guard);
    if (!rule)
        return true;
    switch (act) {
    case DISK_SHORT:
        if (ret_short)
            *ret_short = true;
        return true;
    case DISK_KILL: kill(getpid(), SIGKILL); return true;
    case DISK_STOP: kill(getpid(), SIGSTOP); return true;
    case DISK_TELL:
        w->is_asleep = true;
        rule->tell(rule->self);
        w->is_asleep = false;
        if (!rule->error)
            return true;
        break;
    case DISK_FAIL: break;
    }
    errno = rule->error;
    return false;
}

/* The state of the watch path lies below; the guard is held until done(). NULL: not remembered. */
static struct disk_state *state_of(const char *path) {
    struct watch *w = watch_of(path);
    if (!w || !w->state)
        return NULL;
    pthread_mutex_lock(&guard);
    return w->state;
}

static void done(struct disk_state *state) {
    if (state)
        pthread_mutex_unlock(&guard);
}

/* ---- open and close ---- */

static int open_boot_id(void) {
    char text[64];
    int fd = memfd_create("boot_id", MFD_CLOEXEC);
    int len = snprintf(text, sizeof text, "%08x-0000-4000-8000-000000000000\n", boot_number);
    if (fd < 0 || disk_raw_write(fd, text, (size_t)len) != len || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    return fd;
}

static int open_file(int dir, const char *name, int flags, mode_t mode) {
    char path[PATH_BYTES];
    struct stat st;
    if (boot_number && strcmp(name, "/proc/sys/kernel/random/boot_id") == 0)
        return open_boot_id();
    if (!full_path(dir, name, path) || !watch_of(path))
        return (int)syscall(SYS_openat, dir, name, flags, mode);
    bool is_unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    bool is_new = is_unnamed || ((flags & O_CREAT) && lstat(path, &st) != 0);
    bool is_changed = is_new || (flags & O_TRUNC);
    if (!may_pass(is_changed ? DISK_CREATE : DISK_OPEN, path, NULL))
        return -1;
    int fd = (int)syscall(SYS_openat, dir, name, flags, mode);
    struct disk_state *state = fd >= 0 && is_new ? state_of(path) : NULL;
    if (state)
        disk_state_made_fd(state, fd);
    done(state);
    return fd;
}

#define OPEN_MODE(flags, mode)                                                                     \
    do {                                                                                           \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))                                      \
            mode = va_arg(list, mode_t);                                                           \
        va_end(list);                                                                              \
    } while (0)

int open(const char *path, int flags, ...) {
    mode_t mode = 0;
    OPEN_MODE(flags, mode);
    return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    OPEN_MODE(flags, mode);
    return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    mode_t mode = 0;
    OPEN_MODE(flags, mode);
    return open_file(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    mode_t mode = 0;
    OPEN_MODE(flags, mode);
    return open_file(dir, path, flags, mode);
}

int creat(const char *path, mode_t mode) {
    return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* ---- read and write ---- */

/* How many of len bytes the call may handle; -1 with errno. */
static ssize_t allowed(unsigned call, int fd, size_t len) {
    char path[PATH_BYTES];
    bool is_short = false;
    if (path_of(fd, path) && !may_pass(call, path, &is_short))
        return -1;
    return (ssize_t)(is_short && len > 1 ? len / 2 : len);
}

ssize_t read(int fd, void *bytes, size_t len) {
    ssize_t want = allowed(DISK_READ, fd, len);
    return want < 0 ? -1 : syscall(SYS_read, fd, bytes, (size_t)want);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset) {
    ssize_t want = allowed(DISK_READ, fd, len);
    return want < 0 ? -1 : syscall(SYS_pread64, fd, bytes, (size_t)want, offset);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t offset) {
    return pread(fd, bytes, len, offset);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    ssize_t want = allowed(DISK_WRITE, fd, len);
    return want < 0 ? -1 : syscall(SYS_write, fd, bytes, (size_t)want);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
    ssize_t want = allowed(DISK_WRITE, fd, len);
    return want < 0 ? -1 : syscall(SYS_pwrite64, fd, bytes, (size_t)want, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset) {
    return pwrite(fd, bytes, len, offset);
}

/* Vectors one by one: a call that must be short ends inside one of them. */
static ssize_t write_vectors(int fd, const struct iovec *parts, int count, off_t offset) {
    size_t total = 0, put = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    ssize_t want = allowed(DISK_WRITE, fd, total);
    if (want < 0)
        return -1;
    for (int i = 0; i < count && put < (size_t)want; i++) {
        size_t left = (size_t)want - put, len = parts[i].iov_len < left ? parts[i].iov_len : left;
        ssize_t got = offset < 0
                          ? syscall(SYS_write, fd, parts[i].iov_base, len)
                          : syscall(SYS_pwrite64, fd, parts[i].iov_base, len, offset + (off_t)put);
        if (got < 0)
            return put ? (ssize_t)put : -1;
        put += (size_t)got;
        if ((size_t)got < len)
            break;
    }
    return (ssize_t)put;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return write_vectors(fd, parts, count, -1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return write_vectors(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return write_vectors(fd, parts, count, offset);
}

/* ---- fsync ---- */

static int sync_file(int fd, long number) {
    char path[PATH_BYTES];
    if (!path_of(fd, path) || !watch_of(path))
        return (int)syscall(number, fd);
    if (!may_pass(DISK_SYNC, path, NULL))
        return -1;
    struct disk_state *state = state_of(path);
    if (state)
        disk_state_synced(state, fd);
    done(state);
    return 0;
}

int fsync(int fd) {
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return sync_file(fd, SYS_fdatasync);
}

/* ---- sizes ---- */

static bool may_pass_fd(unsigned call, int fd) {
    char path[PATH_BYTES];
    return !path_of(fd, path) || may_pass(call, path, NULL);
}

int ftruncate(int fd, off_t size) {
    return may_pass_fd(DISK_TRUNCATE, fd) ? (int)syscall(SYS_ftruncate, fd, size) : -1;
}

int ftruncate64(int fd, off64_t size) {
    return ftruncate(fd, size);
}

int truncate(const char *name, off_t size) {
    char path[PATH_BYTES];
    if (full_path(AT_FDCWD, name, path) && !may_pass(DISK_TRUNCATE, path, NULL))
        return -1;
    return (int)syscall(SYS_truncate, name, size);
}

int fallocate(int fd, int mode, off_t offset, off_t len) {
    return may_pass_fd(DISK_ALLOCATE, fd) ? (int)syscall(SYS_fallocate, fd, mode, offset, len) : -1;
}

int posix_fallocate(int fd, off_t offset, off_t len) {
    int saved = errno, code = 0;
    if (fallocate(fd, 0, offset, len) != 0)
        code = errno;
    errno = saved;
    return code;
}

/* ---- names ---- */

static void leaving(const char *path) {
    struct disk_state *state = state_of(path);
    if (state)
        disk_state_leaving(state, path);
    done(state);
}

static int rename_file(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char path[PATH_BYTES];
    if (full_path(to_dir, to, path)) {
        if (!may_pass(DISK_RENAME, path, NULL))
            return -1;
        leaving(path);
    }
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to) {
    return rename_file(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return rename_file(from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return rename_file(from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char path[PATH_BYTES];
    if (full_path(to_dir, to, path) && !may_pass(DISK_LINK, path, NULL))
        return -1;
    return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to) {
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *name, int flags) {
    char path[PATH_BYTES];
    if (full_path(dir, name, path)) {
        if (!may_pass(DISK_UNLINK, path, NULL))
            return -1;
        leaving(path);
    }
    return (int)syscall(SYS_unlinkat, dir, name, flags);
}

int unlink(const char *name) {
    return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name) {
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int mkdirat(int dir, const char *name, mode_t mode) {
    char path[PATH_BYTES];
    bool is_known = full_path(dir, name, path);
    if (is_known && !may_pass(DISK_MKDIR, path, NULL))
        return -1;
    int result = (int)syscall(SYS_mkdirat, dir, name, mode);
    struct disk_state *state = is_known && result == 0 ? state_of(path) : NULL;
    if (state)
        disk_state_made_path(state, path);
    done(state);
    return result;
}

int mkdir(const char *name, mode_t mode) {
    return mkdirat(AT_FDCWD, name, mode);
}
