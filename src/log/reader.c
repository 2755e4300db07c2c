/* reader.c -- records of a topic in journal order, straight from the mapped segments. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "log/log_impl.h"

struct k2_log_reader {
    struct k2_topic *topic;
    struct k2_segment segment;
    uint64_t position;            /* of the next frame */
    uint64_t limit;               /* how far the mapped segment may be read */
    int64_t *from;                /* the next wanted offset; -1: not wanted */
    const struct k2_frame *frame; /* being read; NULL: none */
    uint64_t frame_at;
    const uint8_t *record;
    uint32_t index;
};

/* ---- ranges: what the journal's frames say up to the durable end ---- */

/* Where each log partition stands at the beginning of a segment, by the group of empty frames that
 * opens it. *ret_found false: it does not open so, or is damaged there, which its reader will say.
 */
static bool read_opening(struct k2_journal *j, uint64_t base, uint64_t limit, int64_t *next,
                         bool *ret_found, struct k2_err *err) {
    struct k2_segment segment = {0};
    struct k2_err ignored;
    const struct k2_frame *frame;
    *ret_found = false;
    K2_TRY(k2_segment_map(j, &segment, base, err));
    uint64_t at = base;
    while (!*ret_found && at < limit &&
           k2_segment_frame(j, &segment, at, limit, true, &frame, &ignored) && !frame->count &&
           frame->group == base) {
        next[frame->log_partition] = K2_MAX(frame->base_offset, next[frame->log_partition]);
        at += frame->bytes;
        *ret_found = frame->flags & K2_FRAME_LAST;
    }
    k2_segment_unmap(&segment);
    return true;
}

/* Whether nothing that is wanted (-1: nothing of a log partition) lies before where they stand. */
static bool stand_before(const struct k2_journal *j, const int64_t *next, const int64_t *from) {
    for (int p = 0; from && p < j->partition_count; p++)
        if (from[p] >= 0 && next[p] > from[p])
            return false;
    return true;
}

/* The last segment before which nothing that is wanted lies (from NULL: the last one), and where
 * each log partition stands as it begins. */
static bool find_start(struct k2_journal *j, const int64_t *from, uint64_t *ret_at, int64_t *next,
                       struct k2_err *err) {
    uint64_t start = k2_journal_start(j), limit = k2_journal_durable(j), *bases;
    int count;
    bool ok = true, is_found = false;
    K2_TRY(k2_journal_segments(j, &bases, &count, err));
    *ret_at = start;
    for (int i = count - 1; ok && !is_found && i >= 0; i--) {
        if (bases[i] >= limit && bases[i] > start)
            continue;
        for (int p = 0; p < j->partition_count; p++)
            next[p] = k2_journal_first_offset(j, p);
        if (bases[i] <= start)
            break;
        ok = read_opening(j, bases[i], limit, next, &is_found, err);
        is_found = is_found && stand_before(j, next, from);
        *ret_at = is_found ? bases[i] : start;
        limit = bases[i];
    }
    k2_free(bases);
    return ok;
}

/* Walks frame headers of the last segment; next[] gets each log partition's end. */
static bool walk(struct k2_journal *j, int64_t *next, struct k2_err *err) {
    uint64_t at, end = k2_journal_durable(j);
    struct k2_segment segment = {0};
    K2_TRY(find_start(j, NULL, &at, next, err));
    bool ok = true;
    while (ok && at < end) {
        const struct k2_frame *frame;
        ok = k2_segment_map(j, &segment, at, err);
        uint64_t *bases, limit = end;
        int count = 0;
        if (ok && (ok = k2_journal_segments(j, &bases, &count, err))) {
            for (int i = count - 1; i >= 0 && bases[i] > at; i--)
                limit = K2_MIN(bases[i], limit);
            k2_free(bases);
        }
        while (ok && at < limit) {
            ok = k2_segment_frame(j, &segment, at, limit, false, &frame, err);
            if (ok) {
                next[frame->log_partition] = frame->base_offset + frame->count;
                at += frame->bytes;
                k2_segment_give_back(&segment, at);
            }
        }
    }
    k2_segment_unmap(&segment);
    return ok;
}

bool k2_log_ranges(struct k2_log *log, const char *topic, struct k2_log_range *ranges,
                   struct k2_err *err) {
    struct k2_topic *t;
    K2_TRY(k2_topic_open(log, topic, false, &t, err));
    struct k2_journal *j = t->journal;
    int64_t next[K2_PARTITIONS_MAX] = {0};
    K2_TRY(walk(j, next, err));
    for (int p = 0; p < j->partition_count; p++)
        ranges[p] = (struct k2_log_range){k2_journal_first_offset(j, p), next[p]};
    return true;
}

/* ---- reader ---- */

static bool check_from(const struct k2_log_range *range, int64_t from, const char *topic, int p,
                       struct k2_err *err) {
    if (from >= 0 && from < range->start)
        return k2_err_set(err, K2_LIMIT,
                          "%s/%d: offset %" PRId64 " was trimmed; the log begins at "
                          "%" PRId64,
                          topic, p, from, range->start);
    if (from > range->end)
        return k2_err_set(err, K2_INVALID, "%s/%d: offset %" PRId64 " lies past the end, %" PRId64,
                          topic, p, from, range->end);
    return true;
}

struct k2_log_reader *k2_log_reader_new(struct k2_log *log, const char *topic, const int64_t *from,
                                        struct k2_err *err) {
    struct k2_topic *t;
    if (!k2_topic_open(log, topic, false, &t, err))
        return NULL;
    int count = t->journal->partition_count;
    struct k2_log_range *ranges = k2_new_array(struct k2_log_range, (size_t)count);
    bool ok = k2_log_ranges(log, topic, ranges, err);
    for (int p = 0; ok && p < count; p++)
        ok = check_from(&ranges[p], from[p], topic, p, err);
    k2_free(ranges);
    int64_t next[K2_PARTITIONS_MAX];
    uint64_t position;
    if (!ok || !find_start(t->journal, from, &position, next, err))
        return NULL;
    struct k2_log_reader *r = k2_new(struct k2_log_reader);
    r->topic = t;
    r->from = k2_new_array(int64_t, (size_t)count);
    memcpy(r->from, from, (size_t)count * sizeof *from);
    r->position = position;
    return r;
}

void k2_log_reader_free(struct k2_log_reader *reader) {
    if (!reader)
        return;
    k2_segment_unmap(&reader->segment);
    k2_free(reader->from);
    k2_free(reader);
}

/* Where a trim has taken the segment the reader stands in: goes on where the journal begins now, if
 * nothing it wants is gone. */
static bool pass_trimmed(struct k2_log_reader *r, struct k2_err *err) {
    struct k2_journal *j = r->topic->journal;
    uint64_t start = k2_journal_start(j);
    if (r->position >= start)
        return true;
    for (int p = 0; p < j->partition_count; p++) {
        struct k2_log_range range = {k2_journal_first_offset(j, p), INT64_MAX};
        K2_TRY(check_from(&range, r->from[p], r->topic->name, p, err));
    }
    r->position = start;
    return true;
}

/* Finds how far the segment that holds the position may be read, and maps it. */
static bool advance(struct k2_log_reader *r, uint64_t end, struct k2_err *err) {
    struct k2_journal *j = r->topic->journal;
    uint64_t *bases, base = UINT64_MAX, limit = end;
    int count;
    K2_TRY(pass_trimmed(r, err));
    K2_TRY(k2_journal_segments(j, &bases, &count, err));
    for (int i = 0; i < count; i++) {
        if (bases[i] <= r->position)
            base = bases[i];
        else
            limit = K2_MIN(limit, bases[i]);
    }
    k2_free(bases);
    bool is_mapped =
        r->segment.bytes && r->segment.base == base && limit - base <= r->segment.mapped;
    if (!is_mapped)
        K2_TRY(k2_segment_map(j, &r->segment, r->position, err));
    r->limit = limit;
    return true;
}

/* Steps to the next frame that holds wanted records. *ret_found false: the durable end, or, where
 * the mapping must stay because views into it were given out, the end of what is mapped. */
static bool next_frame(struct k2_log_reader *r, bool must_stay, bool *ret_found,
                       struct k2_err *err) {
    struct k2_journal *j = r->topic->journal;
    *ret_found = false;
    for (;;) {
        if (r->position >= r->limit) {
            uint64_t end = k2_journal_durable(j);
            if (r->position >= end || must_stay)
                return true;
            K2_TRY(advance(r, end, err));
        }
        const struct k2_frame *frame;
        K2_TRY(k2_segment_frame(j, &r->segment, r->position, r->limit, false, &frame, err));
        int64_t from = r->from[frame->log_partition];
        uint64_t at = r->position;
        if (!must_stay)
            k2_segment_give_back(&r->segment, at);
        r->position += frame->bytes;
        if (from < 0 || !frame->count || frame->base_offset + frame->count <= from)
            continue;
        K2_TRY(k2_segment_frame(j, &r->segment, at, r->limit, true, &frame, err));
        r->frame = frame;
        r->frame_at = at;
        r->record = (const uint8_t *)frame + K2_FRAME_BYTES;
        r->index = 0;
        *ret_found = true;
        return true;
    }
}

/* The next record of the frame; its lengths are checked against the frame's end. */
static bool take_record(struct k2_log_reader *r, struct k2_record *record, struct k2_err *err) {
    const struct k2_frame *f = r->frame;
    const uint8_t *end = (const uint8_t *)f + f->bytes;
    uint32_t lengths[2];
    bool fits = end - r->record >= 8;
    if (fits) {
        memcpy(lengths, r->record, 8);
        fits = (uint64_t)lengths[0] + lengths[1] <= (uint64_t)(end - r->record - 8);
    }
    if (!fits)
        return k2_err_set(err, K2_CORRUPT, "%s: the frame at %" PRIu64 " ends inside a record",
                          r->topic->journal->dir, r->frame_at);
    *record = (struct k2_record){.log_partition = (int32_t)f->log_partition,
                                 .offset = f->base_offset + r->index,
                                 .time_us = f->time_us,
                                 .key = k2_str_make(r->record + 8, lengths[0]),
                                 .value = k2_str_make(r->record + 8 + lengths[0], lengths[1])};
    r->record += 8 + lengths[0] + lengths[1];
    r->index++;
    return true;
}

bool k2_log_read(struct k2_log_reader *reader, struct k2_record *records, int max, int *ret_count,
                 struct k2_err *err) {
    *ret_count = 0;
    k2_segment_give_back(&reader->segment, reader->frame ? reader->frame_at : reader->position);
    while (*ret_count < max) {
        if (!reader->frame) {
            bool found;
            K2_TRY(next_frame(reader, *ret_count > 0, &found, err));
            if (!found)
                return true;
        }
        struct k2_record record;
        K2_TRY(take_record(reader, &record, err));
        if (record.offset >= reader->from[record.log_partition]) {
            reader->from[record.log_partition] = record.offset + 1;
            records[(*ret_count)++] = record;
        }
        if (reader->index == reader->frame->count)
            reader->frame = NULL;
    }
    return true;
}

bool k2_log_reader_wait(struct k2_log_reader *reader, int timeout_ms, bool *ret_moved,
                        struct k2_err *err) {
    (void)err;
    *ret_moved = k2_journal_wait(reader->topic->journal, reader->position, timeout_ms);
    return true;
}

/* ---- retention ---- */

/* Walks the whole segments of a journal from its start, as far as they may go. */
struct trim {
    struct k2_log *log;
    struct k2_journal *journal;
    const int64_t *keep;
    bool is_forced;
    int64_t next[K2_PARTITIONS_MAX]; /* after the segments looked at */
    int64_t newest_us;               /* log time of the last frame of the segment looked at */
};

static bool walk_segment(struct trim *t, uint64_t base, uint64_t end, struct k2_err *err) {
    struct k2_segment segment = {0};
    const struct k2_frame *frame;
    bool ok = k2_segment_map(t->journal, &segment, base, err);
    for (uint64_t at = base; ok && at < end; at += frame->bytes) {
        ok = k2_segment_frame(t->journal, &segment, at, end, false, &frame, err);
        if (!ok)
            break;
        t->next[frame->log_partition] = frame->base_offset + frame->count;
        t->newest_us = frame->time_us;
        k2_segment_give_back(&segment, at);
    }
    k2_segment_unmap(&segment);
    return ok;
}

/* Nothing that somebody still needs goes; of the rest, what retention has no place for. */
static bool may_go(const struct trim *t, uint64_t segment_end) {
    const struct k2_log_opts *o = &t->log->opts;
    for (int p = 0; p < t->journal->partition_count; p++)
        if (t->next[p] > t->keep[p])
            return false;
    if (t->is_forced)
        return true;
    int64_t left = (int64_t)(k2_journal_durable(t->journal) - segment_end);
    int64_t age_ms = (k2_now_ns(o->clock) / 1000 - t->newest_us) / 1000;
    /* The segment being written counts as full, else every append would wait for a trim. */
    bool is_over = o->retention_bytes && left + o->segment_bytes > o->retention_bytes;
    return is_over || (o->retention_ms && age_ms > o->retention_ms);
}

bool k2_log_trim(struct k2_log *log, const char *topic, const int64_t *keep, bool is_forced,
                 int64_t *ret_bytes, struct k2_err *err) {
    struct k2_topic *topic_of;
    uint64_t *bases;
    int count;
    *ret_bytes = 0;
    K2_TRY(k2_topic_open(log, topic, false, &topic_of, err));
    struct k2_journal *j = topic_of->journal;
    struct trim t = {.log = log, .journal = j, .keep = keep, .is_forced = is_forced};
    int64_t first[K2_PARTITIONS_MAX];
    for (int p = 0; p < j->partition_count; p++)
        first[p] = t.next[p] = k2_journal_first_offset(j, p);
    K2_TRY(k2_journal_segments(j, &bases, &count, err));
    uint64_t end = k2_journal_durable(j), start = k2_journal_start(j), cut = start;
    bool ok = true;
    /* The segment that stays must be durable past its beginning, as it says where offsets go on. */
    for (int i = 0; ok && i + 1 < count && bases[i + 1] < end; i++) {
        if (bases[i] < start)
            continue; /* left over from a trim that failed on the way */
        ok = walk_segment(&t, bases[i], bases[i + 1], err);
        if (!ok || !may_go(&t, bases[i + 1]))
            break;
        cut = bases[i + 1];
        memcpy(first, t.next, (size_t)j->partition_count * sizeof *first);
    }
    bool has_cut = cut > start;
    k2_free(bases);
    return ok && (!has_cut || k2_journal_drop(j, cut, first, ret_bytes, err));
}

bool k2_log_advance(struct k2_log *log, const char *topic, int log_partition, int64_t next,
                    struct k2_err *err) {
    struct k2_topic *t;
    K2_TRY(k2_topic_open(log, topic, false, &t, err));
    K2_ASSERT(log_partition >= 0 && log_partition < t->journal->partition_count);
    return k2_journal_advance(t->journal, log_partition, next, k2_now_ns(log->opts.clock) / 1000,
                              err) ||
           k2_err_wrap(err, "advance %s/%d", topic, log_partition);
}
