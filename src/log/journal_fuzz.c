/* journal_fuzz.c -- any bytes as the files of a topic: its segments, and the state that processes
 * share. What opens can be read to an end or an error, and takes records.
 *
 * Input: flags; where the bytes part into two segments and how many the first of them loses once
 * the log has been open (u16 each, in eights); 48 bytes that change the shared state then; the rest
 * is the journal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/hash.h"
#include "log/journal.h"
#include "log/log.h"
#include "log/registry.h"

#define TOPIC  "t"
#define LOG_ID "6e1b9a52-0c0d-4a53-9d56-3f1f5a9be1c7"

enum {
    SEAL = 1,    /* make checksums right */
    REOPEN = 2,  /* open, damage, open again */
    RENUMBER = 4 /* make every frame say that it belongs to the group that it stands in */
};
enum { PARTITIONS = 4, HEAD = 53, CONTROL_AT = 48, CONTROL_BYTES = 48, OFFSET_MAX = 1 << 30 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *root;
static struct k2_registry *registry;

static void remove_root(void) {
    struct k2_err ignored;
    k2_registry_free(registry);
    (void)!k2_path_remove(root, &ignored);
    k2_free(root);
}

static void open_once(void) {
    struct k2_err err = {0};
    if (root)
        return;
    root = k2_dir_make_temp(NULL, "k2-fuzz", &err);
    K2_ASSERT(root);
    k2_diag_init(K2_DIAG_ERROR, K2_DIAG_LOGFMT, stderr); /* what is cut is of no interest here */
    registry = k2_registry_open("memory:", &err);
    K2_ASSERT(registry);
    atexit(remove_root);
}

static void put_file(const char *name, struct k2_str bytes) {
    struct k2_err err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/" TOPIC "/%s", root, name);
    K2_ASSERT(k2_file_replace(path, bytes, &err));
}

/* Follows the lengths that frames name, so that the fuzzer need not find checksums. */
static void mend_frames(struct k2_buf *bytes, int flags) {
    uint64_t group = 0;
    for (uint64_t at = 0; bytes->len - at >= K2_FRAME_BYTES;) {
        struct k2_frame frame;
        memcpy(&frame, bytes->ptr + at, sizeof frame);
        if (frame.bytes < K2_FRAME_BYTES || frame.bytes > bytes->len - at)
            return;
        if (flags & RENUMBER)
            frame.group = group;
        memcpy(bytes->ptr + at, &frame, sizeof frame);
        frame.crc = k2_crc32c(0, bytes->ptr + at + 8, frame.bytes - 8);
        if (flags & SEAL)
            memcpy(bytes->ptr + at, &frame, sizeof frame);
        at += frame.bytes;
        if (frame.flags & K2_FRAME_LAST)
            group = at;
    }
}

static size_t eights(const uint8_t *at, size_t max) {
    return ((size_t)at[0] | (size_t)at[1] << 8) * 8 % (max + 1);
}

static void put_segments(struct k2_str bytes, size_t cut) {
    char name[40];
    put_file("00000000000000000000.seg", (struct k2_str){bytes.ptr, cut ? cut : bytes.len});
    snprintf(name, sizeof name, "%020zu.seg", cut);
    if (cut)
        put_file(name, (struct k2_str){bytes.ptr + cut, bytes.len - cut});
}

static struct k2_log *open_log(void) {
    struct k2_err err = {0};
    char url[96];
    snprintf(url, sizeof url, "embedded:%s", root);
    struct k2_log_opts opts = {.url = url,
                               .partitions = PARTITIONS,
                               .segment_bytes = 1 << 16,
                               .clock = k2_clock_real(),
                               .registry = registry};
    struct k2_log *log = k2_log_open(&opts, &err);
    K2_ASSERT(log);
    return log;
}

/* Reads to an end or an error; every byte that is handed out is touched. */
static void read_all(struct k2_log *log, const int64_t *from) {
    struct k2_err err = {0};
    struct k2_record records[16];
    int count = 1;
    struct k2_log_reader *reader = k2_log_reader_new(log, TOPIC, from, &err);
    while (reader && count && k2_log_read(reader, records, K2_COUNT(records), &count, &err))
        for (int i = 0; i < count; i++)
            (void)k2_crc32c(k2_crc32c(0, records[i].key.ptr, records[i].key.len),
                            records[i].value.ptr, records[i].value.len);
    k2_log_reader_free(reader);
}

/* What is appended gets the offset that the ranges told, and the ranges know it then. */
static void append_one(struct k2_log *log, const struct k2_log_range *ranges) {
    struct k2_err err = {0};
    struct k2_ticket ticket;
    struct k2_log_range after[PARTITIONS];
    struct k2_record record = {.log_partition = 1, .key = K2_STR("k"), .value = K2_STR("value")};
    K2_ASSERT(k2_log_write_raw(log, TOPIC, &record, 1, &ticket, &err));
    K2_ASSERT(k2_log_wait(log, &ticket, &err) && record.offset == ranges[1].end);
    K2_ASSERT(k2_log_ranges(log, TOPIC, after, &err) && after[1].end == record.offset + 1);
}

/* is_whole: the shared state is made from the segments, so all of it fits together. */
static void use_log(bool is_whole) {
    struct k2_log *log = open_log();
    struct k2_err err = {0};
    struct k2_topic_info info;
    struct k2_log_range ranges[PARTITIONS];
    int64_t from[PARTITIONS] = {0}, bytes;
    if (k2_log_topic(log, TOPIC, true, &info, &err)) {
        bool ok = k2_log_ranges(log, TOPIC, ranges, &err);
        K2_ASSERT(ok || !is_whole);
        for (int p = 0; ok && p < PARTITIONS; p++)
            from[p] = ranges[p].start;
        read_all(log, from);
        for (int p = 0; ok && p < PARTITIONS; p++)
            from[p] = ranges[p].start + (ranges[p].end - ranges[p].start) / 2;
        read_all(log, from);
        if (ok && is_whole && ranges[1].end < OFFSET_MAX)
            append_one(log, ranges);
        (void)!k2_log_trim(log, TOPIC, from, true, &bytes, &err);
        read_all(log, from);
    }
    K2_ASSERT(err.code == K2_OK || err.len > 0);
    k2_log_free(log);
}

static void damage(const uint8_t *data, struct k2_str journal, size_t cut) {
    struct k2_err err = {0};
    struct k2_buf control = {0};
    char path[128];
    size_t first = cut ? cut : journal.len;
    snprintf(path, sizeof path, "%s/" TOPIC "/control", root);
    K2_ASSERT(k2_file_read(path, 1 << 20, &control, &err));
    for (size_t i = 0; i < CONTROL_BYTES; i++)
        control.ptr[CONTROL_AT + i] ^= (char)data[5 + i];
    put_file("control", k2_buf_view(&control));
    size_t lost = eights(data + 3, first);
    if (lost)
        put_file("00000000000000000000.seg", (struct k2_str){journal.ptr, first - lost});
    k2_buf_done(&control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct k2_err err = {0};
    struct k2_buf journal = {0};
    char path[128];
    if (size < HEAD)
        return 0;
    open_once();
    snprintf(path, sizeof path, "%s/" TOPIC, root);
    K2_ASSERT(k2_path_remove(path, &err) && k2_dir_make(path, &err));
    put_file("topic", K2_STR("k2-topic 1\n" LOG_ID "\n4\n"));
    k2_buf_append(&journal, data + HEAD, size - HEAD);
    mend_frames(&journal, data[0]);
    size_t cut = eights(data + 1, journal.len);
    put_segments(k2_buf_view(&journal), cut);
    use_log(true);
    if (data[0] & REOPEN) {
        damage(data, k2_buf_view(&journal), cut);
        use_log(false);
    }
    k2_buf_done(&journal);
    return 0;
}
