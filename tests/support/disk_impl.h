/* disk_impl.h -- between the calls (disk.c) and what is remembered of them (disk_state.c). */
#ifndef K2_TESTS_SUPPORT_DISK_IMPL_H
#define K2_TESTS_SUPPORT_DISK_IMPL_H

#include <stddef.h>
#include <stdint.h>

/* What fsync has covered below one root. */
struct disk_state;
struct disk_state *disk_state_new(const char *root);
void disk_state_free(struct disk_state *state);
/* fd is a file that was made a moment ago; path is such a folder. */
void disk_state_made_fd(struct disk_state *state, int fd);
void disk_state_made_path(struct disk_state *state, const char *path);
/* fd was fsynced. */
void disk_state_synced(struct disk_state *state, int fd);
/* The name at path is about to go. */
void disk_state_leaving(struct disk_state *state, const char *path);
void disk_state_cut(struct disk_state *state, const char *folder, uint64_t seed);

/* The kernel's own calls, past the layer. */
int disk_raw_open(const char *path, int flags, int mode);
void disk_raw_close(int fd);
long disk_raw_read(int fd, void *bytes, size_t len);
long disk_raw_write(int fd, const void *bytes, size_t len);
int disk_raw_mkdir(const char *path);

#endif
