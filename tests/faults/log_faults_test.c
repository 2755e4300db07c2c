/* log_faults_test.c -- appends, rolls, reads, trims and reopening of the log with failing calls.
 *
 * A writer that meets an error appends once more with what it has open, as a feed would: whatever
 * is acknowledged after an error must be as good as what was before it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "faults/loop.h"
#include "log/log.h"
#include "log/registry.h"
#include "support/disk.h"
#include "support/test.h"

#define TOPIC "market.equities.trades.simx"
enum { PARTITIONS = 3, RECORDS = 512, BATCH = 12, APPENDS = 6 };

struct subject {
    char dir[160], label[128];
    struct k2_clock_fake clock;
    struct k2_registry *registry;
    struct k2_log *log;
    int acked[PARTITIONS][RECORDS]; /* the number of the record acknowledged there, or 0 */
    int64_t kept_from[PARTITIONS];  /* below this a trim may have taken it */
    int last;                       /* number of the last record tried */
    int64_t segment_bytes;
    bool trims; /* trims between writing and waiting */
};

static bool open_log(struct subject *s, struct k2_err *err) {
    char url[200];
    snprintf(url, sizeof url, "embedded:%s/registry", s->dir);
    s->registry = k2_registry_open(url, err);
    snprintf(url, sizeof url, "embedded:%s/log", s->dir);
    struct k2_log_opts opts = {.url = url,
                               .partitions = PARTITIONS,
                               .segment_bytes = s->segment_bytes,
                               .clock = &s->clock.clock,
                               .registry = s->registry};
    s->log = s->registry ? k2_log_open(&opts, err) : NULL;
    struct k2_topic_info info;
    return s->log && k2_log_topic(s->log, TOPIC, true, &info, err);
}

static void close_log(struct subject *s) {
    k2_log_free(s->log);
    k2_registry_free(s->registry);
    s->log = NULL;
    s->registry = NULL;
}

static bool trim(struct subject *s, struct k2_err *err) {
    int64_t bytes;
    for (int p = 0; p < PARTITIONS; p++)
        for (int64_t o = 0; o < RECORDS; o++)
            s->kept_from[p] = s->acked[p][o] ? o + 1 : s->kept_from[p];
    return k2_log_trim(s->log, TOPIC, s->kept_from, true, &bytes, err);
}

struct batch {
    struct k2_record records[BATCH];
    char values[BATCH][16];
    struct k2_ticket ticket;
    int first;
};

static bool write_batch(struct subject *s, struct batch *batch, int partitions,
                        struct k2_err *err) {
    batch->first = s->last + 1;
    for (int i = 0; i < BATCH; i++) {
        int len = snprintf(batch->values[i], sizeof batch->values[i], "v%d", ++s->last);
        batch->records[i] = (struct k2_record){.log_partition = i % partitions,
                                               .key = K2_STR("SIMX.AAA"),
                                               .value = k2_str_make(batch->values[i], (size_t)len)};
    }
    return k2_log_write_raw(s->log, TOPIC, batch->records, BATCH, &batch->ticket, err);
}

static bool wait_for(struct subject *s, const struct batch *batch, struct k2_err *err) {
    K2_TRY(k2_log_wait(s->log, &batch->ticket, err));
    for (int i = 0; i < BATCH; i++) {
        const struct k2_record *record = &batch->records[i];
        CHECK(record->offset < RECORDS);
        CHECK(!s->acked[record->log_partition][record->offset]);
        s->acked[record->log_partition][record->offset] = batch->first + i;
    }
    return true;
}

/* Two batches, the second written before the first is waited for, so that what is durable lags
 * behind what is written, also where a segment ends and where one is trimmed. */
static bool append(struct subject *s, int partitions, struct k2_err *err) {
    struct batch batches[2];
    struct k2_err ignored;
    bool is_first = write_batch(s, &batches[0], partitions, err);
    bool is_second = write_batch(s, &batches[1], partitions, is_first ? err : &ignored);
    if (s->trims && is_second)
        (void)!trim(s, &ignored); /* what it leaves is looked at when all is read */
    is_first = is_first && wait_for(s, &batches[0], err);
    is_second = is_second && wait_for(s, &batches[1], is_first ? err : &ignored);
    return is_first && is_second;
}

static bool read_all(struct subject *s, struct k2_err *err) {
    struct k2_log_range ranges[PARTITIONS];
    struct k2_record records[50];
    int64_t from[PARTITIONS];
    K2_TRY(k2_log_ranges(s->log, TOPIC, ranges, err));
    for (int p = 0; p < PARTITIONS; p++)
        from[p] = ranges[p].start;
    struct k2_log_reader *reader = k2_log_reader_new(s->log, TOPIC, from, err);
    bool ok = reader != NULL;
    for (int count = 1; ok && count;) {
        ok = k2_log_read(reader, records, 50, &count, err);
        for (int i = 0; ok && i < count; i++) {
            int p = records[i].log_partition;
            char value[16];
            int number = s->acked[p][records[i].offset];
            snprintf(value, sizeof value, "v%d", number);
            if (records[i].offset != from[p]++ || (number && !k2_str_is(records[i].value, value)))
                fail_msg("%s: %d/%lld is %.*s, not %s", s->label, p, (long long)records[i].offset,
                         K2_FMT(records[i].value), value);
        }
    }
    k2_log_reader_free(reader);
    for (int p = 0; ok && p < PARTITIONS; p++) {
        if (ranges[p].start > s->kept_from[p] || from[p] != ranges[p].end)
            fail_msg("%s: %d begins at %lld", s->label, p, (long long)ranges[p].start);
        for (int64_t o = ranges[p].end; o < RECORDS; o++)
            if (s->acked[p][o])
                fail_msg("%s: %d/%lld was acknowledged and is lost; the end is %lld", s->label, p,
                         (long long)o, (long long)ranges[p].end);
    }
    return ok;
}

static void *begin(const char *dir, const char *label) {
    struct subject *s = k2_new(struct subject);
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    snprintf(s->label, sizeof s->label, "%s", label);
    k2_clock_fake_init(&s->clock, 1700000000000000000);
    s->segment_bytes = 700;
    disk_boot(1);
    return s;
}

static void end(void *self) {
    disk_boot(0);
    k2_free(self);
}

/* The first error is the run's; after it every batch is tried all the same. The later appends
 * leave one log partition out: it has no record in late segments. */
static bool work(struct subject *s, struct k2_err *err) {
    struct k2_err first = {0}, why = {0};
    K2_TRY(open_log(s, err));
    for (int i = 0; i < APPENDS; i++) {
        s->trims = i >= APPENDS - 2;
        bool ok = append(s, i < APPENDS / 2 ? PARTITIONS : PARTITIONS - 1, &why);
        if (!ok && !first.code)
            first = why;
    }
    s->trims = false;
    if (!first.code && read_all(s, &first) && trim(s, &first) && read_all(s, &first))
        return true;
    *err = first;
    return false;
}

static bool run(void *self, struct k2_err *err) {
    bool ok = work(self, err);
    close_log(self);
    return ok;
}

static void check_open(struct subject *s) {
    struct k2_err err = {0};
    CHECK_OK(open_log(s, &err));
    CHECK_OK(read_all(s, &err));
    CHECK_OK(append(s, PARTITIONS, &err));
    CHECK_OK(read_all(s, &err));
    CHECK_OK(trim(s, &err));
    CHECK_OK(read_all(s, &err));
    close_log(s);
}

/* Opened again as another process would, or after a reboot, where all is found in the segments. */
static void check(void *self, bool is_rebooted) {
    static int turn;
    for (int i = 1; i <= 3; i++) {
        disk_boot(i + (is_rebooted ? 1 : turn % 2));
        check_open(self);
    }
    turn++;
}

static const struct fault_subject the_log = {
    .name = "log", .begin = begin, .run = run, .check = check, .end = end};

TEST(faults_in_the_log) {
    fault_loops(&the_log);
}

TEST(power_cuts_in_the_log) {
    power_cuts(&the_log);
}

/* What an fsync that failed was to cover is gone, whatever the next one says: who waits for any of
 * it is told so, the log ends where it was durable, and goes on from there. */
TEST(log_never_repeats_a_failed_fsync) {
    struct subject *s = begin(test_dir(), "an fsync that fails once");
    struct k2_log_range before[PARTITIONS], after[PARTITIONS];
    struct batch batches[2];
    struct k2_err err = {0};
    s->segment_bytes = 1 << 16; /* none ends, so that only waiting syncs */
    CHECK_OK(open_log(s, &err));
    CHECK_OK(append(s, PARTITIONS, &err));
    CHECK_OK(k2_log_ranges(s->log, TOPIC, before, &err));
    for (int i = 0; i < 2; i++)
        CHECK_OK(write_batch(s, &batches[i], PARTITIONS, &err));
    disk_watch(s->dir);
    disk_rule((struct disk_rule){.calls = DISK_SYNC, .pattern = "*.seg", .error = EIO});
    for (int i = 0; i < 2; i++) {
        CHECK(!wait_for(s, &batches[i], &err) && err.code == K2_IO);
        CHECK_OK(k2_log_ranges(s->log, TOPIC, after, &err));
        CHECK(memcmp(before, after, sizeof before) == 0);
    }
    CHECK(disk_hits() == 1);
    disk_end();
    CHECK_OK(read_all(s, &err));
    CHECK_OK(append(s, PARTITIONS, &err));
    CHECK_OK(read_all(s, &err));
    close_log(s);
    end(s);
}
