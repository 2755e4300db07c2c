/* journal.h -- one topic's journal: segments of frames, one lock, one fsync. Private to log.
 *
 * Position: a byte in the journal, counted from its first; segments are files named by the position
 * they begin at. A group is what one append wrote: a frame for each log partition it touched, kept
 * whole or cut whole.
 *
 *   frame   0  u32 magic "K2LB"          24  i64 base offset (of its first record)
 *           4  u32 crc32c of the rest    32  i64 log time, us
 *           8  u32 bytes of the frame    40  u64 position of the group
 *          12  u16 version, u16 flags    48  records
 *          16  u32 log partition
 *          20  u32 records
 *   record  u32 key bytes, u32 value bytes, key, value; the last is followed by 0-7 bytes of zero,
 * so that every frame begins at a multiple of eight
 *
 * A frame without records says where its log partition goes on: a new segment opens with one for
 * each log partition that has had records, so that trimming never makes an offset come again.
 *
 * Shared state lies in a mapped file all processes see: the written and the durable end, each
 * packed with the journal's generation (16 bits) above the position (48 bits), and the next offset
 * of each log partition. It is a cache of what the segments say: after a reboot, or when it is
 * damaged, it is made again from them. Threads: any; processes: any number.
 */
#ifndef K2_LOG_JOURNAL_H
#define K2_LOG_JOURNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/str.h"

enum {
    K2_FRAME_BYTES = 48,
    K2_FRAME_LAST = 1, /* flag: the group ends with this frame */
    K2_FRAME_VERSION = 1,
    K2_PARTITIONS_MAX = 1024,
    K2_GROUP_MAX = 1 << 30,
};
#define K2_FRAME_MAGIC 0x424c324bu

struct k2_frame {
    uint32_t magic, crc, bytes;
    uint16_t version, flags;
    uint32_t log_partition, count;
    int64_t base_offset, time_us;
    uint64_t group;
};
_Static_assert(sizeof(struct k2_frame) == K2_FRAME_BYTES, "frames are written as they are");

struct k2_control;
struct k2_journal {
    char *dir;
    char log_id[37];
    int partition_count;
    int64_t segment_bytes;
    bool is_volatile; /* in memory: nothing to fsync */
    struct k2_control *control;
    int lock_fd;
    pthread_mutex_t append_lock; /* guards lock_fd, the segment being written and scratch */
    pthread_mutex_t sync_lock;   /* one fsync at a time in this process */
    int segment_fd;
    uint64_t segment_base;
};

/* Opens a topic's folder, making it when partition_count > 0 and it is absent. NOT_FOUND otherwise.
 */
struct k2_journal *k2_journal_open(const char *dir, int partition_count, int64_t segment_bytes,
                                   bool is_volatile, struct k2_err *err) K2_MUST;
void k2_journal_free(struct k2_journal *journal);

/* One frame's worth of a group: bytes begin with room for the header. */
struct k2_group_part {
    uint32_t log_partition, count;
    struct k2_buf *bytes;
    int64_t base_offset; /* out */
};
/* Writes a group; *ret_position is the journal's end after it. Fills base offsets. */
bool k2_journal_write(struct k2_journal *journal, struct k2_group_part *parts, int count,
                      int64_t time_us, uint64_t *ret_position, uint64_t *ret_generation,
                      struct k2_err *err) K2_MUST;
/* The next record of log_partition gets offset next, if that is higher than what it would get:
 * durable on return. */
bool k2_journal_advance(struct k2_journal *journal, int log_partition, int64_t next,
                        int64_t time_us, struct k2_err *err) K2_MUST;
/* Returns when everything before position is durable; IO when the generation has passed. */
bool k2_journal_sync(struct k2_journal *journal, uint64_t position, uint64_t generation,
                     struct k2_err *err) K2_MUST;
uint64_t k2_journal_durable(const struct k2_journal *journal);
uint64_t k2_journal_start(const struct k2_journal *journal);
int64_t k2_journal_first_offset(const struct k2_journal *journal, int log_partition);
/* Waits until the durable end is beyond position, at most timeout_ms. */
bool k2_journal_wait(struct k2_journal *journal, uint64_t position, int timeout_ms);
/* Positions of the segments that there are, in order; *ret_count of them. Free with k2_free. */
bool k2_journal_segments(const struct k2_journal *journal, uint64_t **ret_bases, int *ret_count,
                         struct k2_err *err) K2_MUST;
/* Drops the segments before position (the beginning of one); first[] are the offsets that remain.
 * After an error they may still lie there, but are no longer part of the journal. */
bool k2_journal_drop(struct k2_journal *journal, uint64_t position, const int64_t *first,
                     int64_t *ret_bytes, struct k2_err *err) K2_MUST;

/* A segment mapped for reading. */
struct k2_segment {
    const uint8_t *bytes;
    uint64_t base, mapped;
    uint64_t kept_from; /* what lies before was given back */
    uint64_t there;     /* bytes that the file had when last looked */
};
/* Maps the segment that holds position, if it is not segment already. LIMIT: it was trimmed. */
bool k2_segment_map(const struct k2_journal *journal, struct k2_segment *segment, uint64_t position,
                    struct k2_err *err) K2_MUST;
void k2_segment_unmap(struct k2_segment *segment);
/* What lies before position will not be looked at again: its pages no longer count as the process's
 * memory. Cheap to call often. */
void k2_segment_give_back(struct k2_segment *segment, uint64_t position);
/* The frame at position, checked as far as its header and length go, with its checksum where asked.
 * limit is the end no frame may pass, and the file must reach. CORRUPT names segment and place. */
bool k2_segment_frame(const struct k2_journal *journal, struct k2_segment *segment,
                      uint64_t position, uint64_t limit, bool check_crc,
                      const struct k2_frame **ret_frame, struct k2_err *err) K2_MUST;

#endif
