/* journal.c -- writing, syncing and recovering one topic's journal. */
#include "log/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"

#define CONTROL_MAGIC 0x31304c52544e4332ull
#define POSITION_MASK ((1ull << 48) - 1)

struct k2_control {
    uint64_t magic;
    char boot_id[40];
    _Atomic uint64_t durable, written; /* generation << 48 | position */
    _Atomic uint64_t start;            /* position of the first segment */
    _Atomic uint32_t moved;            /* futex: counts moves of durable */
    uint32_t partition_count;
    struct {
        _Atomic int64_t first, next;
    } part[K2_PARTITIONS_MAX];
};

static uint64_t position_of(uint64_t packed) {
    return packed & POSITION_MASK;
}

static uint64_t generation_of(uint64_t packed) {
    return packed >> 48;
}

/* ---- locks ---- */

/* In-process first, then the kernel's, which dies with its holder. */
static bool lock(struct k2_journal *j, struct k2_err *err) {
    pthread_mutex_lock(&j->append_lock);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    while (fcntl(j->lock_fd, F_OFD_SETLKW, &range)) {
        if (errno == EINTR)
            continue;
        k2_err_sys(err, "lock %s", j->dir);
        pthread_mutex_unlock(&j->append_lock);
        return false;
    }
    return true;
}

static void unlock(struct k2_journal *j) {
    struct flock range = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(j->lock_fd, F_OFD_SETLK, &range);
    pthread_mutex_unlock(&j->append_lock);
}

/* ---- segments being written ---- */

static void segment_path(const struct k2_journal *j, uint64_t base, char path[4400]) {
    snprintf(path, 4400, "%s/%020" PRIu64 ".seg", j->dir, base);
}

/* The segment's name is durable before anything in it is acknowledged, also where it is there
 * already: whoever made it may have died before that. */
static bool open_segment(struct k2_journal *j, uint64_t base, bool create, struct k2_err *err) {
    char path[4400];
    if (j->segment_fd >= 0 && j->segment_base == base)
        return true;
    segment_path(j, base, path);
    int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0644);
    if (fd < 0)
        return k2_err_sys(err, "open segment %s", path);
    if (!j->is_volatile && !k2_dir_sync_parent(path, err)) {
        close(fd);
        return false;
    }
    if (j->segment_fd >= 0)
        close(j->segment_fd);
    j->segment_fd = fd;
    j->segment_base = base;
    return true;
}

/* The segment that position is written to: the last one that begins at or before it. */
static bool open_last(struct k2_journal *j, uint64_t position, struct k2_err *err) {
    uint64_t *bases, last = UINT64_MAX;
    int count;
    K2_TRY(k2_journal_segments(j, &bases, &count, err));
    for (int i = 0; i < count; i++)
        last = bases[i];
    k2_free(bases);
    if (last == UINT64_MAX || last > position)
        return open_segment(j, position, true, err);
    return open_segment(j, last, false, err);
}

/* ---- recovery ---- */

/* Walks frames from position; whole groups move *position and the next offsets. Stops at the first
 * byte that is no whole group. */
static void walk_groups(struct k2_journal *j, struct k2_segment *segment, uint64_t end,
                        bool check_crc, uint64_t *position, int64_t *next, int64_t *first) {
    struct k2_err ignored;
    const struct k2_frame *frame;
    int64_t pending[K2_PARTITIONS_MAX], pending_first[K2_PARTITIONS_MAX];
    size_t bytes = (size_t)j->partition_count * sizeof *next;
    memcpy(pending, next, bytes);
    memcpy(pending_first, first, bytes);
    uint64_t at = *position, group = at;
    while (at < end && k2_segment_frame(j, segment, at, end, check_crc, &frame, &ignored)) {
        if (frame->group != group)
            break;
        if (pending_first[frame->log_partition] < 0)
            pending_first[frame->log_partition] = frame->base_offset;
        pending[frame->log_partition] = frame->base_offset + frame->count;
        at += frame->bytes;
        if (frame->flags & K2_FRAME_LAST) {
            *position = group = at;
            memcpy(next, pending, bytes);
            memcpy(first, pending_first, bytes);
        }
    }
}

/* Makes names made and removed last, where anything here is to last. */
static bool sync_dir(struct k2_journal *j, struct k2_err *err) {
    char path[4400];
    segment_path(j, 0, path);
    return j->is_volatile || k2_dir_sync_parent(path, err);
}

static bool remove_segment(struct k2_journal *j, uint64_t base, struct k2_err *err) {
    char path[4400];
    segment_path(j, base, path);
    if (j->segment_fd >= 0 && j->segment_base == base) {
        close(j->segment_fd);
        j->segment_fd = -1;
    }
    return unlink(path) == 0 || k2_err_sys(err, "remove segment %s", path);
}

/* Shortens the segment so that the journal ends at position. */
static bool shorten_segment(struct k2_journal *j, uint64_t base, uint64_t position,
                            struct k2_err *err) {
    char path[4400];
    struct stat st;
    segment_path(j, base, path);
    if (stat(path, &st) || (uint64_t)st.st_size <= position - base)
        return true;
    if (truncate(path, (off_t)(position - base)))
        return k2_err_sys(err, "shorten segment %s", path);
    k2_warn("log.cut",
            "segment=%s bytes=%lld why=\"an append was not finished, or its fsync failed\"", path,
            (long long)((uint64_t)st.st_size - (position - base)));
    return true;
}

/* Cuts the journal at position: later segments are removed, for good before anything is written in
 * their place, and the one that holds it is shortened. */
static bool cut_at(struct k2_journal *j, uint64_t position, struct k2_err *err) {
    uint64_t *bases;
    int count;
    bool is_any_removed = false;
    K2_TRY(k2_journal_segments(j, &bases, &count, err));
    bool ok = true;
    for (; ok && count > 1 && bases[count - 1] >= position; count--) {
        ok = remove_segment(j, bases[count - 1], err);
        is_any_removed = true;
    }
    if (ok && is_any_removed)
        ok = sync_dir(j, err);
    if (ok && count && bases[count - 1] <= position)
        ok = shorten_segment(j, bases[count - 1], position, err);
    k2_free(bases);
    return ok;
}

/* Walks every segment from *position, the journal's start. A segment is whole and fsynced before
 * the next is made, so a crash never leaves a hole: what follows one is not thrown away. */
static bool walk_segments(struct k2_journal *j, const uint64_t *bases, int count,
                          uint64_t *position, int64_t *next, int64_t *first, struct k2_err *err) {
    for (int i = 0; i < count; i++) {
        struct k2_segment segment = {0};
        struct stat st;
        char path[4400];
        if (bases[i] != *position)
            return k2_err_set(err, K2_CORRUPT,
                              "%s: whole batches end at position %" PRIu64 ", but a segment "
                              "begins at %" PRIu64 ": a segment is damaged or missing; restore it",
                              j->dir, *position, bases[i]);
        segment_path(j, bases[i], path);
        K2_TRY(k2_segment_map(j, &segment, bases[i], err));
        bool ok = stat(path, &st) == 0 || k2_err_sys(err, "stat %s", path);
        if (ok)
            walk_groups(j, &segment, bases[i] + (uint64_t)st.st_size, true, position, next, first);
        k2_segment_unmap(&segment);
        K2_TRY(ok);
    }
    return true;
}

/* Walks what is there; *ret_start is where the journal begins. */
static bool find_all(struct k2_journal *j, uint64_t *ret_start, uint64_t *position, int64_t *next,
                     int64_t *first, struct k2_err *err) {
    uint64_t *bases;
    int count;
    K2_TRY(k2_journal_segments(j, &bases, &count, err));
    *ret_start = *position = count ? bases[0] : 0;
    bool ok = walk_segments(j, bases, count, position, next, first, err);
    k2_free(bases);
    return ok;
}

/* Makes the shared state from the segments: after a reboot, or when it cannot be trusted. What lies
 * before least was acknowledged, so it must be there. */
static bool recover_all(struct k2_journal *j, uint64_t generation, uint64_t least,
                        struct k2_err *err) {
    uint64_t start, position;
    int64_t *next = k2_new_array(int64_t, K2_PARTITIONS_MAX);
    int64_t *first = k2_new_array(int64_t, K2_PARTITIONS_MAX);
    memset(first, 0xff, K2_PARTITIONS_MAX * sizeof *first);
    bool ok = find_all(j, &start, &position, next, first, err);
    if (ok && position < least)
        ok = k2_err_set(err, K2_CORRUPT,
                        "%s: whole batches end at position %" PRIu64 ", but %" PRIu64
                        " was acknowledged: a segment is damaged; restore it",
                        j->dir, position, least);
    ok = ok && cut_at(j, position, err);
    struct k2_control *c = j->control;
    if (ok) {
        for (int p = 0; p < j->partition_count; p++) {
            atomic_store(&c->part[p].first, first[p] < 0 ? next[p] : first[p]);
            atomic_store(&c->part[p].next, next[p]);
        }
        atomic_store(&c->start, start);
        atomic_store(&c->written, generation << 48 | position);
        atomic_store(&c->durable, generation << 48 | position);
    }
    k2_free(next);
    k2_free(first);
    return ok;
}

/* A failed fsync is never repeated: nobody knows what it left behind. From here on every waiter of
 * the generation fails, and as long as the written end is of the old one, what lies beyond the
 * durable end is still to be cut. */
static void fail_generation(struct k2_journal *j, uint64_t generation) {
    uint64_t old = atomic_load(&j->control->durable);
    while (generation_of(old) == generation)
        if (atomic_compare_exchange_weak(&j->control->durable, &old,
                                         (generation + 1) << 48 | position_of(old)))
            return;
}

/* Under the lock. */
static bool cut_back(struct k2_journal *j, struct k2_err *err) {
    uint64_t durable = atomic_load(&j->control->durable);
    return cut_at(j, position_of(durable), err) &&
           recover_all(j, generation_of(durable), position_of(durable), err);
}

/* Bytes past the written end: an appender died. Whole groups stay, the rest is cut. */
static bool recover_tail(struct k2_journal *j, struct k2_err *err) {
    struct k2_control *c = j->control;
    struct stat st;
    if (generation_of(atomic_load(&c->durable)) != generation_of(atomic_load(&c->written)))
        K2_TRY(cut_back(j, err));
    uint64_t packed = atomic_load(&c->written), position = position_of(packed);
    K2_TRY(open_last(j, position, err));
    if (fstat(j->segment_fd, &st))
        return k2_err_sys(err, "stat a segment of %s", j->dir);
    uint64_t end = j->segment_base + (uint64_t)st.st_size;
    if (K2_LIKELY(end == position))
        return true;
    if (end < position)
        return recover_all(j, generation_of(packed) + 1, position_of(atomic_load(&c->durable)),
                           err);
    struct k2_segment segment = {0};
    int64_t *next = k2_new_array(int64_t, K2_PARTITIONS_MAX);
    int64_t *first = k2_new_array(int64_t, K2_PARTITIONS_MAX);
    for (int p = 0; p < j->partition_count; p++)
        next[p] = atomic_load(&c->part[p].next);
    bool ok = k2_segment_map(j, &segment, position, err);
    if (ok)
        walk_groups(j, &segment, end, true, &position, next, first);
    k2_segment_unmap(&segment);
    ok = ok && cut_at(j, position, err);
    for (int p = 0; ok && p < j->partition_count; p++)
        atomic_store(&c->part[p].next, next[p]);
    if (ok)
        atomic_store(&c->written, (packed & ~POSITION_MASK) | position);
    k2_free(next);
    k2_free(first);
    return ok;
}

/* ---- open ---- */

static void read_boot_id(char boot_id[40]) {
    struct k2_buf text = {0};
    struct k2_err ignored;
    memset(boot_id, 0, 40);
    if (k2_file_read("/proc/sys/kernel/random/boot_id", 4096, &text, &ignored))
        memcpy(boot_id, text.ptr, K2_MIN(text.len, (size_t)36));
    k2_buf_done(&text);
}

static bool map_control(struct k2_journal *j, struct k2_err *err) {
    char path[4400];
    snprintf(path, sizeof path, "%s/control", j->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return k2_err_sys(err, "open %s", path);
    struct stat st;
    bool ok = fstat(fd, &st) == 0;
    if (ok && st.st_size < (off_t)sizeof(struct k2_control)) {
        errno = posix_fallocate(fd, 0, sizeof(struct k2_control)); /* it tells by its result */
        ok = errno == 0;
    }
    void *memory =
        ok ? mmap(NULL, sizeof(struct k2_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
           : MAP_FAILED;
    if (memory == MAP_FAILED)
        k2_err_sys(err, "map %s", path);
    else
        j->control = memory;
    close(fd);
    return memory != MAP_FAILED;
}

/* What was found is handed out as durable, so it must be: without a reboot it may not be yet. */
static bool sync_found(struct k2_journal *j, struct k2_err *err) {
    uint64_t written = position_of(atomic_load(&j->control->written));
    if (j->is_volatile || written == atomic_load(&j->control->start))
        return true;
    return open_last(j, written, err) &&
           (fdatasync(j->segment_fd) == 0 || k2_err_sys(err, "fsync a segment of %s", j->dir));
}

/* Whether the shared state can be true of these segments. The durable end is looked at first, as it
 * may move, but never beyond the written one. */
static bool is_sound(const struct k2_journal *j, const uint64_t *bases, int count) {
    const struct k2_control *c = j->control;
    uint64_t durable = atomic_load(&c->durable), written = atomic_load(&c->written);
    uint64_t start = atomic_load(&c->start);
    bool ok = start <= position_of(durable) && position_of(durable) <= position_of(written);
    uint64_t lead = (generation_of(durable) - generation_of(written)) & 0xffff;
    ok = ok && lead <= 1 && (count ? bases[count - 1] <= position_of(written) : !start);
    bool is_start = !count;
    for (int i = 0; i < count; i++)
        is_start |= bases[i] == start;
    for (int p = 0; ok && p < j->partition_count; p++) {
        int64_t first = atomic_load(&c->part[p].first), next = atomic_load(&c->part[p].next);
        ok = first >= 0 && first <= next;
    }
    return ok && is_start;
}

/* Whether the shared state is of this boot and topic, and whole. CORRUPT: it speaks of records, but
 * no segment is there. */
static bool look_at_control(const struct k2_journal *j, const char *boot_id, bool *ret_known,
                            struct k2_err *err) {
    const struct k2_control *c = j->control;
    uint64_t *bases;
    int count;
    *ret_known = c->magic == CONTROL_MAGIC && memcmp(c->boot_id, boot_id, 40) == 0 &&
                 c->partition_count == (uint32_t)j->partition_count;
    if (!*ret_known)
        return true;
    K2_TRY(k2_journal_segments(j, &bases, &count, err));
    *ret_known = is_sound(j, bases, count);
    k2_free(bases);
    return count || position_of(atomic_load(&c->durable)) == 0 ||
           k2_err_set(err, K2_CORRUPT,
                      "%s: no segment is there, but records were acknowledged; restore them",
                      j->dir);
}

static bool open_control(struct k2_journal *j, struct k2_err *err) {
    char boot_id[40];
    K2_TRY(map_control(j, err));
    read_boot_id(boot_id);
    K2_TRY(lock(j, err));
    struct k2_control *c = j->control;
    bool is_known, ok = look_at_control(j, boot_id, &is_known, err);
    if (ok && !is_known) {
        ok = recover_all(j, 1, 0, err) && sync_found(j, err);
        if (ok) {
            memcpy(c->boot_id, boot_id, 40);
            c->partition_count = (uint32_t)j->partition_count;
            c->magic = CONTROL_MAGIC;
        }
    } else if (ok) {
        ok = recover_tail(j, err);
    }
    unlock(j);
    /* What a process that died had written, and nobody waited for, is made durable now: it will be
     * read one day, so it had better be there for everyone from the start. */
    uint64_t packed = atomic_load(&c->written);
    return ok && (position_of(packed) == 0 ||
                  k2_journal_sync(j, position_of(packed), generation_of(packed), err));
}

/* topic: "k2-topic 1", the log id and the log partition count, a line each. */
static bool read_topic(struct k2_journal *j, const char *path, bool *ret_there,
                       struct k2_err *err) {
    struct k2_buf text = {0};
    *ret_there = k2_path_exists(path);
    if (!*ret_there)
        return true;
    bool ok = k2_file_read(path, 4096, &text, err);
    if (ok &&
        sscanf(k2_buf_cstr(&text), "k2-topic 1\n%36s\n%d\n", j->log_id, &j->partition_count) != 2)
        ok = k2_err_set(err, K2_CORRUPT, "%s is no topic of K2's log", path);
    if (ok && (j->partition_count < 1 || j->partition_count > K2_PARTITIONS_MAX))
        ok = k2_err_set(err, K2_CORRUPT, "%s names %d log partitions", path, j->partition_count);
    k2_buf_done(&text);
    return ok;
}

static bool open_topic(struct k2_journal *j, int partition_count, struct k2_err *err) {
    char path[4400];
    bool is_there;
    snprintf(path, sizeof path, "%s/topic", j->dir);
    K2_TRY(read_topic(j, path, &is_there, err));
    if (is_there)
        return true;
    if (partition_count <= 0)
        return k2_err_set(err, K2_NOT_FOUND, "there is no such topic (%s); see k2 log list",
                          j->dir);
    struct k2_random random;
    struct k2_buf text = {0};
    k2_random_seed_os(&random);
    k2_random_uuid(&random, j->log_id);
    j->partition_count = partition_count;
    k2_buf_printf(&text, "k2-topic 1\n%s\n%d\n", j->log_id, partition_count);
    bool ok = k2_file_replace(path, k2_buf_view(&text), err) && k2_dir_sync_parent(j->dir, err);
    k2_buf_done(&text);
    return ok;
}

struct k2_journal *k2_journal_open(const char *dir, int partition_count, int64_t segment_bytes,
                                   bool is_volatile, struct k2_err *err) {
    struct k2_journal *j = k2_new(struct k2_journal);
    char path[4400];
    j->dir = k2_strdup(dir);
    j->segment_bytes = segment_bytes;
    j->is_volatile = is_volatile;
    j->segment_fd = j->lock_fd = -1;
    pthread_mutex_init(&j->append_lock, NULL);
    pthread_mutex_init(&j->sync_lock, NULL);
    snprintf(path, sizeof path, "%s/lock", dir);
    bool ok = partition_count <= 0 || k2_dir_make(dir, err);
    if (ok && partition_count <= 0 && !k2_path_exists(dir))
        ok = k2_err_set(err, K2_NOT_FOUND, "there is no such topic (%s); see k2 log list", dir);
    if (ok) {
        j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        ok = j->lock_fd >= 0 || k2_err_sys(err, "open %s", path);
    }
    /* Two processes may make one topic at once: the lock decides whose log id it gets. */
    if (ok && (ok = lock(j, err))) {
        ok = open_topic(j, partition_count, err);
        unlock(j);
    }
    if (ok && open_control(j, err))
        return j;
    k2_journal_free(j);
    return NULL;
}

void k2_journal_free(struct k2_journal *journal) {
    if (!journal)
        return;
    if (journal->control)
        munmap(journal->control, sizeof *journal->control);
    if (journal->segment_fd >= 0)
        close(journal->segment_fd);
    if (journal->lock_fd >= 0)
        close(journal->lock_fd);
    pthread_mutex_destroy(&journal->append_lock);
    pthread_mutex_destroy(&journal->sync_lock);
    k2_free(journal->dir);
    k2_free(journal);
}

/* ---- durable end ---- */

/* Forward only, and only within the generation. */
static void publish_durable(struct k2_journal *j, uint64_t generation, uint64_t position) {
    struct k2_control *c = j->control;
    uint64_t old = atomic_load(&c->durable);
    while (generation_of(old) == generation && position_of(old) < position)
        if (atomic_compare_exchange_weak(&c->durable, &old, generation << 48 | position)) {
            atomic_fetch_add(&c->moved, 1);
            syscall(SYS_futex, &c->moved, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
            return;
        }
}

uint64_t k2_journal_durable(const struct k2_journal *journal) {
    return position_of(atomic_load(&journal->control->durable));
}

uint64_t k2_journal_start(const struct k2_journal *journal) {
    return atomic_load(&journal->control->start);
}

int64_t k2_journal_first_offset(const struct k2_journal *journal, int log_partition) {
    return atomic_load(&journal->control->part[log_partition].first);
}

bool k2_journal_wait(struct k2_journal *journal, uint64_t position, int timeout_ms) {
    struct k2_control *c = journal->control;
    uint32_t seen = atomic_load(&c->moved);
    if (k2_journal_durable(journal) > position)
        return true;
    struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000l};
    syscall(SYS_futex, &c->moved, FUTEX_WAIT, seen, &limit, NULL, 0);
    return k2_journal_durable(journal) > position;
}

/* Where the cut fails too, the next appender makes it. */
static void give_up(struct k2_journal *j, uint64_t generation) {
    struct k2_err ignored;
    fail_generation(j, generation);
    if (!lock(j, &ignored))
        return;
    if (generation_of(atomic_load(&j->control->written)) == generation)
        (void)!cut_back(j, &ignored);
    unlock(j);
}

bool k2_journal_sync(struct k2_journal *j, uint64_t position, uint64_t generation,
                     struct k2_err *err) {
    struct k2_control *c = j->control;
    bool ok = true;
    pthread_mutex_lock(&j->sync_lock);
    uint64_t durable = atomic_load(&c->durable);
    if (generation_of(durable) == generation && position_of(durable) < position) {
        uint64_t target = position_of(atomic_load(&c->written));
        char path[4400];
        struct k2_segment at = {0};
        ok = j->is_volatile || k2_segment_map(j, &at, target - 1, err);
        segment_path(j, at.base, path);
        k2_segment_unmap(&at);
        int fd = ok && !j->is_volatile ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (ok && !j->is_volatile && (fd < 0 || fdatasync(fd))) {
            ok = k2_err_sys(err, "fsync %s", path);
            err->retriable = true;
            give_up(j, generation);
        }
        if (fd >= 0)
            close(fd);
        if (ok)
            publish_durable(j, generation, target);
    }
    durable = atomic_load(&c->durable);
    pthread_mutex_unlock(&j->sync_lock);
    if (ok && generation_of(durable) != generation) {
        ok = k2_err_set(err, K2_IO, "%s was cut back after a failed fsync; append again", j->dir);
        err->retriable = true;
    }
    return ok;
}

/* ---- write ---- */

static bool write_all(struct k2_journal *j, struct iovec *parts, int count, uint64_t position,
                      struct k2_err *err) {
    while (count) {
        ssize_t put = pwritev(j->segment_fd, parts, K2_MIN(count, IOV_MAX),
                              (off_t)(position - j->segment_base));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return k2_err_sys(err, "write a segment of %s", j->dir);
        position += (uint64_t)put;
        for (; count && (size_t)put >= parts->iov_len; parts++, count--)
            put -= (ssize_t)parts->iov_len;
        if (put) {
            parts->iov_base = (char *)parts->iov_base + put;
            parts->iov_len -= (size_t)put;
        }
    }
    return true;
}

/* A group of empty frames: each says where its log partition goes on, so that the journal knows it
 * also when every record of that log partition has been trimmed. next[p] < 0: nothing to say. */
static bool write_marks(struct k2_journal *j, const int64_t *next, int64_t time_us,
                        struct k2_err *err) {
    struct k2_control *c = j->control;
    uint64_t packed = atomic_load(&c->written), position = position_of(packed);
    struct k2_frame *frames = k2_new_array(struct k2_frame, (size_t)j->partition_count);
    int count = 0;
    for (int p = 0; p < j->partition_count; p++)
        if (next[p] >= 0)
            frames[count++] = (struct k2_frame){.magic = K2_FRAME_MAGIC,
                                                .bytes = K2_FRAME_BYTES,
                                                .version = K2_FRAME_VERSION,
                                                .log_partition = (uint32_t)p,
                                                .base_offset = next[p],
                                                .time_us = time_us,
                                                .group = position};
    for (int i = 0; i < count; i++) {
        frames[i].flags = i == count - 1 ? K2_FRAME_LAST : 0;
        frames[i].crc = k2_crc32c(0, (const char *)&frames[i] + 8, K2_FRAME_BYTES - 8);
    }
    size_t bytes = (size_t)count * K2_FRAME_BYTES;
    struct iovec all = {frames, bytes};
    bool ok = !count || write_all(j, &all, 1, position, err);
    k2_free(frames);
    if (!ok) {
        struct k2_err ignored;
        (void)!cut_at(j, position, &ignored); /* else the next appender cuts it */
        return false;
    }
    for (int p = 0; p < j->partition_count; p++)
        if (next[p] >= 0)
            atomic_store(&c->part[p].next, next[p]);
    atomic_store(&c->written, (packed & ~POSITION_MASK) | (position + bytes));
    return true;
}

/* A segment opens with where each log partition stands; one that its maker died over gets that now.
 */
static bool mark_opening(struct k2_journal *j, int64_t time_us, struct k2_err *err) {
    if (position_of(atomic_load(&j->control->written)) != j->segment_base)
        return true;
    int64_t *next = k2_new_array(int64_t, (size_t)j->partition_count);
    for (int p = 0; p < j->partition_count; p++) {
        next[p] = atomic_load(&j->control->part[p].next);
        next[p] = next[p] ? next[p] : -1;
    }
    bool ok = write_marks(j, next, time_us, err);
    k2_free(next);
    return ok;
}

/* Ends the segment being written and begins the next. */
static bool roll(struct k2_journal *j, uint64_t generation, uint64_t position, struct k2_err *err) {
    if (!j->is_volatile && fdatasync(j->segment_fd)) {
        struct k2_err ignored;
        k2_err_sys(err, "fsync a segment of %s", j->dir);
        err->retriable = true;
        fail_generation(j, generation);
        (void)!cut_back(j, &ignored);
        return false;
    }
    publish_durable(j, generation, position);
    return open_segment(j, position, true, err);
}

/* Offsets are known only under the lock, so headers and checksums are made here. */
static void seal(struct k2_journal *j, struct k2_group_part *parts, int count, int64_t time_us,
                 uint64_t position, struct iovec *vectors) {
    for (int i = 0; i < count; i++) {
        struct k2_group_part *part = &parts[i];
        struct k2_frame *frame = (struct k2_frame *)part->bytes->ptr;
        part->base_offset = atomic_load(&j->control->part[part->log_partition].next);
        *frame = (struct k2_frame){.magic = K2_FRAME_MAGIC,
                                   .bytes = (uint32_t)part->bytes->len,
                                   .version = K2_FRAME_VERSION,
                                   .flags = i == count - 1 ? K2_FRAME_LAST : 0,
                                   .log_partition = part->log_partition,
                                   .count = part->count,
                                   .base_offset = part->base_offset,
                                   .time_us = time_us,
                                   .group = position};
        frame->crc = k2_crc32c(0, part->bytes->ptr + 8, part->bytes->len - 8);
        vectors[i] = (struct iovec){part->bytes->ptr, part->bytes->len};
    }
}

static bool write_locked(struct k2_journal *j, struct k2_group_part *parts, int count,
                         int64_t time_us, uint64_t *ret_position, uint64_t *ret_generation,
                         struct k2_err *err) {
    struct k2_control *c = j->control;
    uint64_t total = 0;
    K2_TRY(recover_tail(j, err));
    uint64_t packed = atomic_load(&c->written), position = position_of(packed);
    for (int i = 0; i < count; i++) {
        while (parts[i].bytes->len % 8) /* headers are read where they lie, so they lie aligned */
            k2_buf_byte(parts[i].bytes, 0);
        total += parts[i].bytes->len;
    }
    if (total > K2_GROUP_MAX)
        return k2_err_set(err, K2_LIMIT, "an append of %" PRIu64 " bytes is too large", total);
    if (position > j->segment_base &&
        position - j->segment_base + total > (uint64_t)j->segment_bytes)
        K2_TRY(roll(j, generation_of(packed), position, err));
    K2_TRY(mark_opening(j, time_us, err));
    packed = atomic_load(&c->written);
    position = position_of(packed);
    struct iovec *vectors = k2_new_array(struct iovec, (size_t)count);
    seal(j, parts, count, time_us, position, vectors);
    bool ok = write_all(j, vectors, count, position, err);
    k2_free(vectors);
    if (!ok) {
        struct k2_err ignored;
        (void)!cut_at(j, position, &ignored); /* else the next appender cuts it */
        return false;
    }
    for (int i = 0; i < count; i++)
        atomic_fetch_add(&c->part[parts[i].log_partition].next, parts[i].count);
    *ret_position = position + total;
    *ret_generation = generation_of(packed);
    atomic_store(&c->written, (packed & ~POSITION_MASK) | (position + total));
    return true;
}

bool k2_journal_write(struct k2_journal *journal, struct k2_group_part *parts, int count,
                      int64_t time_us, uint64_t *ret_position, uint64_t *ret_generation,
                      struct k2_err *err) {
    K2_TRY(lock(journal, err));
    bool ok = write_locked(journal, parts, count, time_us, ret_position, ret_generation, err);
    unlock(journal);
    return ok;
}

bool k2_journal_advance(struct k2_journal *journal, int log_partition, int64_t next,
                        int64_t time_us, struct k2_err *err) {
    uint64_t packed = 0;
    K2_TRY(lock(journal, err));
    bool ok = recover_tail(journal, err) && mark_opening(journal, time_us, err);
    if (ok && next > atomic_load(&journal->control->part[log_partition].next)) {
        int64_t *all = k2_alloc((size_t)journal->partition_count * sizeof *all);
        memset(all, 0xff, (size_t)journal->partition_count * sizeof *all);
        all[log_partition] = next;
        ok = write_marks(journal, all, time_us, err);
        k2_free(all);
    }
    packed = atomic_load(&journal->control->written);
    unlock(journal);
    return ok && k2_journal_sync(journal, position_of(packed), generation_of(packed), err);
}

bool k2_journal_drop(struct k2_journal *journal, uint64_t position, const int64_t *first,
                     int64_t *ret_bytes, struct k2_err *err) {
    uint64_t *bases = NULL;
    int count = 0;
    int64_t bytes = 0;
    K2_TRY(lock(journal, err));
    bool ok = k2_journal_segments(journal, &bases, &count, err);
    if (ok) {
        for (int p = 0; p < journal->partition_count; p++)
            atomic_store(&journal->control->part[p].first, first[p]);
        atomic_store(&journal->control->start, position);
    }
    /* One after another, each for good: what is left after a crash has no hole in it. */
    for (int i = 0; ok && i + 1 < count && bases[i] < position; i++) {
        ok = remove_segment(journal, bases[i], err) && sync_dir(journal, err);
        bytes += (int64_t)(bases[i + 1] - bases[i]);
    }
    unlock(journal);
    k2_free(bases);
    if (ok)
        *ret_bytes = bytes;
    return ok;
}
