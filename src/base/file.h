/* file.h -- whole-file reads and writes, folders, and what must be fsynced so that they last.
 *
 * Errors: IO, NOT_FOUND where the path does not exist, LIMIT for a full disk; the message names the
 * path. Threads: no shared state.
 */
#ifndef K2_BASE_FILE_H
#define K2_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Appends the whole file to buf. Refuses folders and files over max_bytes (LIMIT). */
bool k2_file_read(const char *path, int64_t max_bytes, struct k2_buf *buf,
                  struct k2_err *err) K2_MUST;
/* Replaces path by bytes: temporary file in the same folder, fsync, rename, fsync of the folder. */
bool k2_file_replace(const char *path, struct k2_str bytes, struct k2_err *err) K2_MUST;
/* write(2) until all is written. */
bool k2_fd_write(int fd, const void *bytes, size_t len, struct k2_err *err) K2_MUST;
/* pread(2) of exactly len bytes; fewer is CORRUPT. */
bool k2_fd_read_at(int fd, void *bytes, size_t len, int64_t offset, struct k2_err *err) K2_MUST;
/* mkdir -p; the name of the last folder, and of each that was made, is durable when it returns. */
bool k2_dir_make(const char *path, struct k2_err *err) K2_MUST;
/* Where files go that need not last: $TMPDIR, else /tmp. Not the caller's to free. */
const char *k2_dir_temp(void);
/* A new folder of the caller's own, <parent>/<name>-<eight characters>, which it frees (k2_free)
 * and removes; NULL and err where it cannot be made. parent NULL: in memory (/dev/shm) where the
 * system allows that, else k2_dir_temp. */
char *k2_dir_make_temp(const char *parent, const char *name, struct k2_err *err) K2_MUST;
/* fsync of the folder that holds path, so that a name made or renamed in it lasts. */
bool k2_dir_sync_parent(const char *path, struct k2_err *err) K2_MUST;
bool k2_path_exists(const char *path);
/* The one absolute spelling of path: without links, "." and "..", as far as it exists. The caller
 * frees it (k2_free). */
char *k2_path_real(const char *path);
/* Removes a file or a whole folder; absent is fine. */
bool k2_path_remove(const char *path, struct k2_err *err) K2_MUST;

/* A lock that the kernel frees when the process dies (fcntl, whole file). *ret_taken false: another
 * process holds it, and then holder (may be NULL) gets what that one wrote into the file. */
struct k2_lock {
    int fd;
};
/* text is written into the file for others to read, e.g. "pid 12 k2 ingest csv". */
bool k2_lock_try(const char *path, const char *text, struct k2_lock *lock, bool *ret_taken,
                 struct k2_buf *holder, struct k2_err *err) K2_MUST;
void k2_lock_release(struct k2_lock *lock);

#endif
