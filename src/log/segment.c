/* segment.c -- mapped segments and the frames in them. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "log/journal.h"

/* No log gets that far; sums of offsets and counts stay in range. */
#define OFFSET_MAX (INT64_MAX / 2)

static int by_base(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool parse_name(const char *name, uint64_t *ret_base) {
    if (strlen(name) != 24 || strcmp(name + 20, ".seg") != 0)
        return false;
    uint64_t base = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        base = base * 10 + (uint64_t)(name[i] - '0');
    }
    *ret_base = base;
    return true;
}

bool k2_journal_segments(const struct k2_journal *journal, uint64_t **ret_bases, int *ret_count,
                         struct k2_err *err) {
    DIR *dir = opendir(journal->dir);
    if (!dir)
        return k2_err_sys(err, "open %s", journal->dir);
    uint64_t *bases = NULL, base;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!parse_name(entry->d_name, &base))
            continue;
        bases = k2_realloc(bases, (size_t)(count + 1) * sizeof *bases);
        bases[count++] = base;
    }
    closedir(dir);
    if (count)
        qsort(bases, (size_t)count, sizeof *bases, by_base);
    *ret_bases = bases;
    *ret_count = count;
    return true;
}

void k2_segment_unmap(struct k2_segment *segment) {
    if (segment->bytes)
        munmap((void *)(uintptr_t)segment->bytes, segment->mapped);
    *segment = (struct k2_segment){0};
}

void k2_segment_give_back(struct k2_segment *segment, uint64_t position) {
    enum { PAGE = 4096, STEP = 4 << 20 };
    if (!segment->bytes || position < segment->kept_from + STEP)
        return;
    uint64_t from = segment->kept_from - segment->base, to = position - segment->base;
    from = from / PAGE * PAGE;
    to = to / PAGE * PAGE;
    madvise((void *)(uintptr_t)(segment->bytes + from), to - from, MADV_DONTNEED);
    segment->kept_from = segment->base + to;
}

/* A segment that is still written is mapped with room to grow; what lies beyond the durable end is
 * never touched, so never faults. */
static bool map_base(const struct k2_journal *journal, struct k2_segment *segment, uint64_t base,
                     struct k2_err *err) {
    char path[4400];
    struct stat st;
    snprintf(path, sizeof path, "%s/%020" PRIu64 ".seg", journal->dir, base);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        k2_err_sys(err, "open segment %s", path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    uint64_t size = K2_MAX((uint64_t)st.st_size, (uint64_t)journal->segment_bytes) + 4096;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return k2_err_sys(err, "map segment %s", path);
    *segment = (struct k2_segment){bytes, base, size, base, (uint64_t)st.st_size};
    return true;
}

bool k2_segment_map(const struct k2_journal *journal, struct k2_segment *segment, uint64_t position,
                    struct k2_err *err) {
    uint64_t *bases, found = UINT64_MAX;
    int count;
    k2_segment_unmap(segment);
    K2_TRY(k2_journal_segments(journal, &bases, &count, err));
    for (int i = 0; i < count && bases[i] <= position; i++)
        found = bases[i];
    k2_free(bases);
    if (found == UINT64_MAX)
        return k2_err_set(err, K2_LIMIT, "position %" PRIu64 " of %s was trimmed away", position,
                          journal->dir);
    return map_base(journal, segment, found, err);
}

static bool corrupt(const struct k2_journal *journal, const struct k2_segment *segment,
                    uint64_t position, const char *what, struct k2_err *err) {
    return k2_err_set(err, K2_CORRUPT, "%s/%020" PRIu64 ".seg: at byte %" PRIu64 ": %s",
                      journal->dir, segment->base, position - segment->base, what);
}

/* Touching what a file has lost would kill the process. */
static bool check_reaches(const struct k2_journal *journal, struct k2_segment *segment,
                          uint64_t limit, struct k2_err *err) {
    char path[4400];
    struct stat st;
    if (K2_LIKELY(limit - segment->base <= segment->there))
        return true;
    snprintf(path, sizeof path, "%s/%020" PRIu64 ".seg", journal->dir, segment->base);
    if (stat(path, &st))
        return k2_err_sys(err, "stat segment %s", path);
    segment->there = K2_MIN((uint64_t)st.st_size, segment->mapped);
    return limit - segment->base <= segment->there ||
           k2_err_set(err, K2_CORRUPT,
                      "%s: the file ends at byte %" PRIu64 ", but %" PRIu64
                      " were written; restore it",
                      path, segment->there, limit - segment->base);
}

bool k2_segment_frame(const struct k2_journal *journal, struct k2_segment *segment,
                      uint64_t position, uint64_t limit, bool check_crc,
                      const struct k2_frame **ret_frame, struct k2_err *err) {
    K2_TRY(check_reaches(journal, segment, limit, err));
    if (limit - position < K2_FRAME_BYTES)
        return corrupt(journal, segment, position, "a frame header is cut off", err);
    if ((position - segment->base) % 8)
        return corrupt(journal, segment, position, "no frame begins here", err);
    const uint8_t *at = segment->bytes + (position - segment->base);
    const struct k2_frame *frame = (const struct k2_frame *)at;
    if (frame->magic != K2_FRAME_MAGIC || frame->version != K2_FRAME_VERSION)
        return corrupt(journal, segment, position, "no frame begins here", err);
    if (frame->bytes < K2_FRAME_BYTES || frame->bytes > limit - position || frame->bytes % 8 ||
        frame->log_partition >= (uint32_t)journal->partition_count ||
        frame->count > frame->bytes / 8 || frame->base_offset < 0 ||
        frame->base_offset > OFFSET_MAX)
        return corrupt(journal, segment, position, "a frame header makes no sense", err);
    if (check_crc && frame->crc != k2_crc32c(0, at + 8, frame->bytes - 8))
        return corrupt(journal, segment, position, "the checksum does not match", err);
    *ret_frame = frame;
    return true;
}
