/* log_test.c -- the log's contract over every backend, and what only files can suffer. */
#include "log/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "log/journal.h"
#include "log/lease.h"
#include "log/registry.h"
#include "market/avro.h"
#include "market/topic.h"
#include "support/test.h"

#define TOPIC "market.equities.trades.simx"

struct rig {
    char url[128];
    struct k2_registry *registry;
    struct k2_log *log;
    struct k2_intern strings;
    struct k2_batch *batch;
};

static struct k2_log *open_log(struct rig *r) {
    struct k2_err err = {0};
    struct k2_log_opts opts = {.url = r->url,
                               .partitions = 4,
                               .segment_bytes = 1 << 16,
                               .clock = k2_clock_real(),
                               .registry = r->registry};
    struct k2_log *log = k2_log_open(&opts, &err);
    if (!log)
        fail_msg("%s", err.msg);
    return log;
}

static void rig_open(struct rig *r, bool is_memory) {
    struct k2_err err = {0};
    *r = (struct rig){0};
    r->registry = k2_registry_open("memory:", &err);
    CHECK(r->registry);
    if (is_memory)
        snprintf(r->url, sizeof r->url, "memory:");
    else
        snprintf(r->url, sizeof r->url, "embedded:%s/log", test_dir());
    r->log = open_log(r);
    r->batch = k2_batch_new(k2_schema_of(K2_TRADE), 4096, &r->strings);
}

static void rig_close(struct rig *r) {
    k2_batch_free(r->batch);
    k2_intern_done(&r->strings);
    k2_log_free(r->log);
    k2_registry_free(r->registry);
}

static void put(struct rig *r, int symbol, int64_t n) {
    struct k2_batch *b = r->batch;
    char name[16], id[24];
    uint32_t row = b->rows++;
    int len = snprintf(id, sizeof id, "%lld", (long long)n);
    snprintf(name, sizeof name, "S%d", symbol);
    k2_batch_zero(b, row, 1);
    b->col[K2_TRADE_SYMBOL].u32[row] = k2_intern_add(&r->strings, k2_str_of(name));
    b->col[K2_TRADE_EXCHANGE].u32[row] = k2_intern_add(&r->strings, K2_STR("SIMX"));
    b->col[K2_TRADE_CURRENCY].u32[row] = k2_intern_add(&r->strings, K2_STR("USD"));
    b->col[K2_TRADE_ID].span[row] = k2_batch_put(b, (struct k2_str){id, (size_t)len});
    b->col[K2_TRADE_SOURCE_SEQUENCE].valid[row] = 1;
    b->col[K2_TRADE_SOURCE_SEQUENCE].i64[row] = n;
}

static void append(struct rig *r) {
    struct k2_err err = {0};
    CHECK_OK(k2_log_append(r->log, TOPIC, r->batch, &err));
    k2_batch_clear(r->batch);
}

/* Reads everything from the start; checks offsets and places; returns the records. */
static int64_t read_all(struct k2_log *log, int max) {
    struct k2_err err = {0};
    struct k2_log_range ranges[4];
    int64_t from[4], total = 0;
    CHECK_OK(k2_log_ranges(log, TOPIC, ranges, &err));
    for (int p = 0; p < 4; p++)
        from[p] = ranges[p].start;
    struct k2_log_reader *reader = k2_log_reader_new(log, TOPIC, from, &err);
    if (!reader)
        fail_msg("%s", err.msg);
    struct k2_record *records = k2_new_array(struct k2_record, (size_t)max);
    for (int count = 1; count;) {
        CHECK_OK(k2_log_read(reader, records, max, &count, &err));
        for (int i = 0; i < count; i++) {
            int p = records[i].log_partition;
            CHECK(records[i].offset == from[p]++);
            CHECK((int)k2_key_partition(records[i].key, 4) == p);
        }
        total += count;
    }
    for (int p = 0; p < 4; p++)
        CHECK(from[p] == ranges[p].end);
    k2_free(records);
    k2_log_reader_free(reader);
    return total;
}

static void contract(bool is_memory) {
    struct rig r;
    struct k2_err err = {0};
    rig_open(&r, is_memory);
    struct k2_topic_info info;
    CHECK(!k2_log_topic(r.log, TOPIC, false, &info, &err) && err.code == K2_NOT_FOUND);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 100; i++)
            put(&r, i % 17, round * 100 + i + 1);
        append(&r);
    }
    CHECK_OK(k2_log_topic(r.log, TOPIC, false, &info, &err));
    CHECK(info.partition_count == 4 && strlen(info.log_id) == 36);
    CHECK(read_all(r.log, 4096) == 4000 && read_all(r.log, 7) == 4000);
    CHECK(!k2_log_topic(r.log, "../x", true, &info, &err) && err.code == K2_USAGE);
    struct k2_topic_info events;
    CHECK_OK(k2_log_topic(r.log, K2_EVENTS_TOPIC, true, &events, &err));
    CHECK(events.partition_count == 1);
    int64_t beyond[4] = {1 << 20, 0, 0, 0};
    CHECK(!k2_log_reader_new(r.log, TOPIC, beyond, &err) && err.code == K2_INVALID);
    rig_close(&r);
}

/* Batches with string tables of their own give equal codes to other symbols. */
TEST(log_places_keys_by_name_not_by_code) {
    struct rig r;
    rig_open(&r, false);
    for (int round = 0; round < 20; round++) {
        k2_batch_free(r.batch);
        k2_intern_done(&r.strings);
        r.batch = k2_batch_new(k2_schema_of(K2_TRADE), 64, &r.strings);
        put(&r, round, 1);
        append(&r);
    }
    CHECK(read_all(r.log, 64) == 20);
    rig_close(&r);
}

TEST(log_contract_memory) {
    contract(true);
}
TEST(log_contract_embedded) {
    contract(false);
}

static void decodes_what_was_written(bool is_memory) {
    struct rig r;
    struct k2_err err = {0};
    rig_open(&r, is_memory);
    put(&r, 1, 42);
    append(&r);
    int64_t from[4] = {0};
    struct k2_log_reader *reader = k2_log_reader_new(r.log, TOPIC, from, &err);
    struct k2_record record;
    int count;
    CHECK_OK(k2_log_read(reader, &record, 1, &count, &err));
    CHECK(count == 1 && k2_str_is(record.key, "SIMX.S1"));
    uint32_t id;
    struct k2_str body;
    struct k2_buf json = {0};
    CHECK(k2_avro_unframe(record.value, &id, &body));
    CHECK_OK(k2_registry_get(r.registry, id, &json, &err));
    struct k2_avro_plan *plan = k2_avro_plan_new(k2_schema_of(K2_TRADE), k2_buf_view(&json), &err);
    CHECK(k2_avro_decode(plan, body, r.batch) == K2_AVRO_OK);
    CHECK(r.batch->col[K2_TRADE_SOURCE_SEQUENCE].i64[0] == 42);
    bool moved;
    CHECK_OK(k2_log_reader_wait(reader, 10, &moved, &err));
    CHECK(!moved);
    k2_avro_plan_free(plan);
    k2_buf_done(&json);
    k2_log_reader_free(reader);
    rig_close(&r);
}

TEST(log_decodes_memory) {
    decodes_what_was_written(true);
}
TEST(log_decodes_embedded) {
    decodes_what_was_written(false);
}

TEST(log_reader_never_passes_the_durable_end) {
    struct rig r;
    struct k2_err err = {0};
    rig_open(&r, false);
    put(&r, 1, 1);
    append(&r);
    struct k2_ticket ticket;
    put(&r, 1, 2);
    CHECK_OK(k2_log_write(r.log, TOPIC, r.batch, &ticket, &err));
    CHECK(read_all(r.log, 16) == 1);
    CHECK_OK(k2_log_wait(r.log, &ticket, &err));
    CHECK(read_all(r.log, 16) == 2);
    rig_close(&r);
}

TEST(log_reopens_with_everything) {
    struct rig r;
    rig_open(&r, false);
    for (int i = 0; i < 500; i++)
        put(&r, i % 9, i + 1);
    append(&r);
    k2_log_free(r.log);
    r.log = open_log(&r);
    CHECK(read_all(r.log, 64) == 500);
    put(&r, 3, 501);
    append(&r);
    CHECK(read_all(r.log, 64) == 501);
    rig_close(&r);
}

/* A topic keeps its log partitions whatever is set later, and an append says where each record
 * lies.
 */
TEST(log_keeps_the_number_of_its_partitions) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_topic_info before, after;
    struct k2_record record;
    int count;
    rig_open(&r, false);
    put(&r, 1, 1);
    append(&r);
    CHECK_OK(k2_log_topic(r.log, TOPIC, false, &before, &err));
    k2_log_free(r.log);
    struct k2_log_opts opts = {.url = r.url,
                               .partitions = 16,
                               .segment_bytes = 1 << 16,
                               .clock = k2_clock_real(),
                               .registry = r.registry};
    CHECK_OK((r.log = k2_log_open(&opts, &err)) != NULL);
    CHECK_OK(k2_log_topic(r.log, TOPIC, true, &after, &err));
    CHECK(after.partition_count == 4 && strcmp(after.log_id, before.log_id) == 0);
    put(&r, 1, 2);
    CHECK_OK(k2_log_append(r.log, TOPIC, r.batch, &err));
    int p = r.batch->log_partition[0];
    CHECK(p == (int)k2_key_partition(K2_STR("SIMX.S1"), 4) && r.batch->log_offset[0] == 1);
    int64_t from[4] = {-1, -1, -1, -1};
    from[p] = 1;
    struct k2_log_reader *reader = k2_log_reader_new(r.log, TOPIC, from, &err);
    CHECK(reader);
    CHECK_OK(k2_log_read(reader, &record, 1, &count, &err));
    CHECK(count == 1 && record.time_us == r.batch->log_time_us[0]);
    k2_log_reader_free(reader);
    rig_close(&r);
}

static void last_segment(struct rig *r, char path[256]) {
    char command[300];
    snprintf(command, sizeof command, "ls %s/" TOPIC "/*.seg | tail -1", r->url + 9);
    FILE *pipe = popen(command, "r");
    CHECK(fgets(path, 256, pipe));
    path[strcspn(path, "\n")] = 0;
    pclose(pipe);
}

static void forget_control(struct rig *r) {
    char path[256];
    snprintf(path, sizeof path, "%s/" TOPIC "/control", r->url + 9);
    CHECK(unlink(path) == 0);
}

/* A file of the topic, opened for changes. */
static int open_file(struct rig *r, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/" TOPIC "/%s", r->url + 9, name);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    return fd;
}

/* A power cut may leave any prefix of the last append: it goes whole or stays whole. */
TEST(log_torn_tail_of_every_length) {
    struct rig r;
    struct stat st;
    char path[256];
    rig_open(&r, false);
    for (int i = 0; i < 5; i++)
        put(&r, i, 1);
    append(&r);
    last_segment(&r, path);
    CHECK(stat(path, &st) == 0);
    off_t before = st.st_size;
    for (int i = 0; i < 5; i++)
        put(&r, i, 2);
    append(&r);
    CHECK(stat(path, &st) == 0);
    struct k2_buf whole = {0};
    char *bytes = k2_buf_reserve(&whole, (size_t)st.st_size);
    int fd = open(path, O_RDONLY);
    CHECK(read(fd, bytes, (size_t)st.st_size) == st.st_size);
    close(fd);
    k2_diag_init(K2_DIAG_ERROR, K2_DIAG_LOGFMT, stderr); /* each cut would be said */
    for (off_t size = before; size <= st.st_size; size++) {
        k2_log_free(r.log);
        fd = open(path, O_WRONLY | O_TRUNC);
        CHECK(write(fd, bytes, (size_t)size) == size);
        close(fd);
        forget_control(&r);
        r.log = open_log(&r);
        CHECK(read_all(r.log, 16) == (size == st.st_size ? 10 : 5));
    }
    k2_diag_init(K2_DIAG_INFO, K2_DIAG_LOGFMT, stderr);
    put(&r, 1, 3);
    append(&r);
    CHECK(read_all(r.log, 16) == 11);
    k2_buf_done(&whole);
    rig_close(&r);
}

TEST(log_flipped_bytes_are_named) {
    struct rig r;
    struct k2_err err = {0};
    char path[256];
    rig_open(&r, false);
    for (int i = 0; i < 50; i++)
        put(&r, 1, i + 1);
    append(&r);
    last_segment(&r, path);
    int fd = open(path, O_RDWR);
    char byte;
    CHECK(pread(fd, &byte, 1, 200) == 1);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, 200) == 1);
    close(fd);
    int64_t from[4] = {0};
    struct k2_log_reader *reader = k2_log_reader_new(r.log, TOPIC, from, &err);
    struct k2_record records[64];
    int count;
    CHECK(reader && !k2_log_read(reader, records, 64, &count, &err));
    CHECK(err.code == K2_CORRUPT && strstr(err.msg, ".seg"));
    k2_log_reader_free(reader);
    rig_close(&r);
}

/* Touching the missing pages of a mapped file would kill the process. */
TEST(log_a_segment_that_lost_its_end_is_named) {
    struct rig r;
    struct k2_err err = {0};
    struct stat st;
    char path[256];
    rig_open(&r, false);
    for (int i = 0; i < 500; i++)
        put(&r, i % 7, i + 1);
    append(&r);
    last_segment(&r, path);
    CHECK(stat(path, &st) == 0 && st.st_size > 8192);
    CHECK(truncate(path, 4096) == 0);
    struct k2_log_range ranges[4];
    int64_t from[4] = {0}, bytes;
    CHECK(!k2_log_ranges(r.log, TOPIC, ranges, &err) && err.code == K2_CORRUPT);
    CHECK(strstr(err.msg, path) && strstr(err.msg, "the file ends at byte 4096"));
    CHECK(!k2_log_reader_new(r.log, TOPIC, from, &err) && err.code == K2_CORRUPT);
    CHECK_OK(k2_log_trim(r.log, TOPIC, from, true, &bytes, &err)); /* it never was a whole one */
    k2_log_free(r.log);
    r.log = open_log(&r);
    CHECK(!k2_log_ranges(r.log, TOPIC, ranges, &err) && err.code == K2_CORRUPT);
    rig_close(&r);
}

/* The shared state begins with a magic number and the boot; then the durable and the written end,
 * the start, and from byte 80 the first and next offset of each log partition. */
TEST(log_shared_state_that_cannot_be_true_is_made_again) {
    static const struct {
        off_t at;
        uint64_t value;
    } wrong[] = {{48, 1ull << 48 | 1 << 20}, /* durable past written */
                 {48, 7ull << 48},           /* of a generation that never was */
                 {56, 1ull << 48 | 8},       /* written before the durable end */
                 {64, 16},                   /* the start is no segment's */
                 {80, (uint64_t)-5},         /* the first offset is none */
                 {80, 1 << 20}};             /* the first offset lies past the next */
    struct rig r;
    rig_open(&r, false);
    for (int i = 0; i < 20; i++)
        put(&r, i, 1);
    append(&r);
    for (size_t i = 0; i < K2_COUNT(wrong); i++) {
        k2_log_free(r.log);
        int fd = open_file(&r, "control");
        CHECK(pwrite(fd, &wrong[i].value, 8, wrong[i].at) == 8);
        close(fd);
        r.log = open_log(&r);
        CHECK(read_all(r.log, 16) == 20 + (int64_t)i);
        put(&r, 1, (int64_t)i + 2);
        append(&r);
        CHECK(read_all(r.log, 16) == 21 + (int64_t)i);
    }
    rig_close(&r);
}

TEST(log_that_lost_every_segment_is_not_begun_anew) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_topic_info info;
    char path[256];
    rig_open(&r, false);
    put(&r, 1, 1);
    append(&r);
    last_segment(&r, path);
    k2_log_free(r.log);
    CHECK(unlink(path) == 0);
    r.log = open_log(&r);
    CHECK(!k2_log_topic(r.log, TOPIC, true, &info, &err) && err.code == K2_CORRUPT);
    CHECK(strstr(err.msg, "no segment is there"));
    rig_close(&r);
}

/* Sealed as if it were whole: where a header makes no sense the journal ends. */
TEST(log_headers_that_make_no_sense_end_the_journal) {
    static const struct {
        size_t at;
        int len;
        uint64_t value;
    } wrong[] = {{0, 4, 0},   {8, 4, 40},     {8, 4, 1u << 31},   {12, 2, 2}, {16, 4, 4},
                 {20, 4, 99}, {24, 8, ~0ull}, {24, 8, INT64_MAX}, {40, 8, 8}};
    struct rig r;
    char path[256];
    struct k2_frame frame;
    rig_open(&r, false);
    put(&r, 1, 1);
    append(&r);
    last_segment(&r, path);
    int fd = open(path, O_RDWR);
    char whole[512], changed[512];
    ssize_t size = pread(fd, whole, sizeof whole, 0);
    CHECK(size > K2_FRAME_BYTES && size < (ssize_t)sizeof whole);
    for (size_t i = 0; i < K2_COUNT(wrong); i++) {
        k2_log_free(r.log);
        memcpy(changed, whole, (size_t)size);
        memcpy(changed + wrong[i].at, &wrong[i].value, (size_t)wrong[i].len);
        memcpy(&frame, changed, sizeof frame);
        frame.crc = k2_crc32c(0, changed + 8, (size_t)size - 8);
        memcpy(changed + 4, &frame.crc, 4);
        CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, changed, (size_t)size, 0) == size);
        forget_control(&r);
        r.log = open_log(&r);
        CHECK(read_all(r.log, 16) == 0);
    }
    k2_log_free(r.log);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, whole, (size_t)size, 0) == size);
    close(fd);
    forget_control(&r);
    r.log = open_log(&r);
    CHECK(read_all(r.log, 16) == 1);
    rig_close(&r);
}

/* A frame whose checksum is right, but whose records do not fit in it. */
TEST(log_records_that_pass_their_frame_are_named) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_frame frame;
    struct k2_record record;
    char path[256], bytes[512];
    int64_t from[4] = {0};
    int count;
    rig_open(&r, false);
    put(&r, 1, 1);
    append(&r);
    last_segment(&r, path);
    int fd = open(path, O_RDWR);
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    memcpy(&frame, bytes, sizeof frame);
    CHECK(size == (ssize_t)frame.bytes);
    bytes[K2_FRAME_BYTES + 7] = 1; /* 16 MiB of value */
    frame.crc = k2_crc32c(0, bytes + 8, (size_t)size - 8);
    memcpy(bytes + 4, &frame.crc, 4);
    CHECK(pwrite(fd, bytes, (size_t)size, 0) == size);
    close(fd);
    struct k2_log_reader *reader = k2_log_reader_new(r.log, TOPIC, from, &err);
    CHECK(reader && !k2_log_read(reader, &record, 1, &count, &err) && count == 0);
    CHECK(err.code == K2_CORRUPT && strstr(err.msg, "inside a record"));
    k2_log_reader_free(reader);
    rig_close(&r);
}

TEST(log_refuses_what_it_cannot_open) {
    static const struct k2_log_opts wrong[] = {{.url = "kafka", .partitions = 4},
                                               {.url = "embedded:relative", .partitions = 4},
                                               {.url = "memory:", .partitions = 0},
                                               {.url = "memory:", .partitions = 1025}};
    struct k2_err err = {0};
    for (size_t i = 0; i < K2_COUNT(wrong); i++) {
        err = (struct k2_err){0};
        CHECK(!k2_log_open(&wrong[i], &err) && err.code == K2_USAGE);
    }
    CHECK(!k2_registry_open("embedded:relative", &err) && err.code == K2_USAGE);
}

static void *append_many(void *self) {
    struct rig *shared = self;
    struct rig own = {.log = shared->log, .registry = shared->registry};
    own.batch = k2_batch_new(k2_schema_of(K2_TRADE), 64, &own.strings);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 20; i++)
            put(&own, i, round + 1);
        append(&own);
    }
    k2_batch_free(own.batch);
    k2_intern_done(&own.strings);
    return NULL;
}

TEST(log_takes_appends_from_many_threads) {
    struct rig r;
    pthread_t threads[4];
    rig_open(&r, false);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, append_many, &r) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(read_all(r.log, 500) == 4000);
    rig_close(&r);
}

/* A child appends and reports what was acknowledged; it is killed at a random moment. */
static void appender(struct rig *r, int out) {
    struct rig own = {.registry = r->registry};
    memcpy(own.url, r->url, sizeof own.url);
    own.log = open_log(&own);
    own.batch = k2_batch_new(k2_schema_of(K2_TRADE), 64, &own.strings);
    for (int64_t n = 1;; n++) {
        struct k2_err err = {0};
        for (int i = 0; i < 8; i++)
            put(&own, i, n);
        if (!k2_log_append(own.log, TOPIC, own.batch, &err) || write(out, &n, sizeof n) < 0)
            _exit(1);
        k2_batch_clear(own.batch);
    }
}

TEST(log_keeps_what_it_acknowledged_through_kills) {
    struct rig r;
    struct k2_random random;
    rig_open(&r, false);
    k2_random_seed(&random, 1);
    int64_t acknowledged = 0;
    for (int round = 0; round < 15; round++) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        pid_t pid = fork();
        if (pid == 0)
            appender(&r, ends[1]);
        close(ends[1]);
        usleep((useconds_t)(2000 + k2_random_below(&random, 20000)));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        int64_t n, last = 0;
        while (read(ends[0], &n, sizeof n) == (ssize_t)sizeof n)
            last = n;
        close(ends[0]);
        acknowledged += last * 8;
        put(&r, 1, 1);
        append(&r); /* recovers the tail */
        acknowledged++;
        int64_t there = read_all(r.log, 512);
        CHECK(there >= acknowledged && there <= acknowledged + 8);
        acknowledged = there;
    }
    rig_close(&r);
}

TEST(log_trims_whole_segments_that_nobody_needs) {
    struct rig r;
    struct k2_err err = {0};
    rig_open(&r, false);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 100; i++)
            put(&r, i % 17, round * 100 + i + 1);
        append(&r);
    }
    int64_t keep[4] = {0}, bytes, from[4] = {0};
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, true, &bytes, &err));
    CHECK(bytes == 0);
    struct k2_log_range before[4], after[4];
    CHECK_OK(k2_log_ranges(r.log, TOPIC, before, &err));
    for (int p = 0; p < 4; p++)
        keep[p] = before[p].end / 2;
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, true, &bytes, &err));
    CHECK(bytes > 0);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, after, &err));
    int64_t left = 0;
    for (int p = 0; p < 4; p++) {
        CHECK(after[p].end == before[p].end && after[p].start <= keep[p]);
        left += after[p].end - after[p].start;
    }
    CHECK(read_all(r.log, 100) == left && left < 6000);
    CHECK(!k2_log_reader_new(r.log, TOPIC, from, &err) && err.code == K2_LIMIT);
    rig_close(&r);
}

/* What a reboot does: the mapped state is not trusted any more. */
static void reboot(struct rig *r) {
    char path[200];
    k2_log_free(r->log);
    snprintf(path, sizeof path, "%s/%s/control", r->url + strlen("embedded:"), TOPIC);
    CHECK(unlink(path) == 0);
    r->log = open_log(r);
}

TEST(log_gives_no_offset_twice_after_a_trim_and_a_reboot) {
    struct rig r;
    struct k2_err err = {0};
    rig_open(&r, false);
    put(&r, 1, 1); /* the only record its log partition ever sees */
    append(&r);
    struct k2_log_range once[4], before[4], after[4];
    CHECK_OK(k2_log_ranges(r.log, TOPIC, once, &err));
    int lonely = once[0].end ? 0 : once[1].end ? 1 : once[2].end ? 2 : 3;
    for (int n = 0, symbol = 2; n < 4000; symbol++) {
        char key[16];
        int len = snprintf(key, sizeof key, "SIMX.S%d", symbol);
        if ((int)k2_key_partition((struct k2_str){key, (size_t)len}, 4) == lonely)
            continue;
        for (int i = 0; i < 100; i++, n++)
            put(&r, symbol, i + 1);
        append(&r);
    }
    int64_t keep[4], bytes;
    CHECK_OK(k2_log_ranges(r.log, TOPIC, before, &err));
    for (int p = 0; p < 4; p++)
        keep[p] = before[p].end;
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, true, &bytes, &err));
    CHECK(bytes > 0);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, before, &err));
    CHECK(before[lonely].start == 1 && before[lonely].end == 1);
    reboot(&r);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, after, &err));
    for (int p = 0; p < 4; p++)
        CHECK(after[p].start == before[p].start && after[p].end == before[p].end);
    put(&r, 1, 2);
    append(&r);
    CHECK(r.batch->log_offset[0] == 1 && r.batch->log_partition[0] == lonely);
    rig_close(&r);
}

/* Opening a log, and reading its end, must not take longer the more lies before. */
TEST(log_reader_begins_in_the_segment_that_it_needs) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_log_range ranges[4], again[4];
    struct k2_record record;
    int64_t ends[4], none[4] = {0};
    int count;
    rig_open(&r, false);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 100; i++)
            put(&r, i % 17, round * 100 + i + 1);
        append(&r);
    }
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    for (int p = 0; p < 4; p++)
        ends[p] = ranges[p].end;
    int fd = open_file(&r, "00000000000000000000.seg"); /* whoever looks there sees the damage */
    CHECK(pwrite(fd, "X", 1, 0) == 1 && close(fd) == 0);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, again, &err));
    for (int p = 0; p < 4; p++)
        CHECK(again[p].start == ranges[p].start && again[p].end == ranges[p].end);
    struct k2_log_reader *reader = k2_log_reader_new(r.log, TOPIC, ends, &err);
    CHECK(reader);
    CHECK_OK(k2_log_read(reader, &record, 1, &count, &err));
    CHECK(count == 0);
    put(&r, 3, 10000);
    append(&r);
    CHECK_OK(k2_log_read(reader, &record, 1, &count, &err));
    CHECK(count == 1 && record.offset == ends[record.log_partition]);
    k2_log_reader_free(reader);
    reader = k2_log_reader_new(r.log, TOPIC, none, &err);
    CHECK(reader && !k2_log_read(reader, &record, 1, &count, &err) && err.code == K2_CORRUPT);
    k2_log_reader_free(reader);
    rig_close(&r);
}

/* Who makes a segment may die before it says where each log partition stands. */
TEST(log_segment_that_was_just_made_opens_like_all_others) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_log_range ranges[4];
    struct stat st;
    char path[256], made[300];
    int64_t keep[4], bytes;
    rig_open(&r, false);
    put(&r, 1, 1);
    append(&r);
    int lonely = r.batch->log_partition[0], other = 2;
    last_segment(&r, path);
    CHECK(stat(path, &st) == 0);
    snprintf(made, sizeof made, "%.*s%020lld.seg", (int)strlen(path) - 24, path,
             (long long)st.st_size);
    int fd = open(made, O_WRONLY | O_CREAT, 0644);
    CHECK(fd >= 0 && close(fd) == 0);
    k2_log_free(r.log);
    r.log = open_log(&r);
    for (; other < 100; other++) {
        put(&r, other, 1);
        append(&r);
        if (r.batch->log_partition[0] != lonely)
            break;
    }
    CHECK(stat(made, &st) == 0 && st.st_size > 0);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    for (int p = 0; p < 4; p++)
        keep[p] = ranges[p].end;
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, true, &bytes, &err));
    CHECK(bytes > 0);
    reboot(&r);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    CHECK(ranges[lonely].end == keep[lonely]);
    rig_close(&r);
}

TEST(log_goes_on_where_it_is_told_to) {
    for (int is_memory = 0; is_memory < 2; is_memory++) {
        struct rig r;
        struct k2_err err = {0};
        struct k2_log_range ranges[4];
        rig_open(&r, is_memory);
        put(&r, 1, 1);
        append(&r);
        int p = r.batch->log_partition[0];
        CHECK_OK(k2_log_advance(r.log, TOPIC, p, 50, &err));
        CHECK_OK(k2_log_advance(r.log, TOPIC, p, 20, &err)); /* never back */
        if (!is_memory)
            reboot(&r);
        CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
        CHECK(ranges[p].start == 0 && ranges[p].end == 50);
        put(&r, 1, 2);
        append(&r);
        CHECK(r.batch->log_offset[0] == 50);
        int64_t from[4] = {0};
        struct k2_log_reader *reader = k2_log_reader_new(r.log, TOPIC, from, &err);
        struct k2_record records[8];
        int count;
        CHECK_OK(k2_log_read(reader, records, 8, &count, &err));
        CHECK(count == 2 && records[0].offset == 0 && records[1].offset == 50);
        k2_log_reader_free(reader);
        rig_close(&r);
    }
}

TEST(log_retention_goes_by_bytes_and_by_time) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_clock_fake clock;
    struct k2_log_range ranges[4];
    int64_t keep[4] = {0}, bytes, size;
    rig_open(&r, false);
    k2_log_free(r.log);
    k2_clock_fake_init(&clock, 1700000000000000000);
    struct k2_log_opts opts = {.url = r.url,
                               .partitions = 4,
                               .segment_bytes = 1 << 16,
                               .retention_bytes = 4 << 16,
                               .retention_ms = 60000,
                               .clock = &clock.clock,
                               .registry = r.registry};
    r.log = k2_log_open(&opts, &err);
    int rounds = 0;
    for (bool ok = true; ok; rounds++) { /* until the limit refuses, with everything unread */
        for (int i = 0; i < 100; i++)
            put(&r, i % 17, rounds * 100 + i + 1);
        ok = k2_log_append(r.log, TOPIC, r.batch, &err);
        k2_batch_clear(r.batch);
        CHECK(ok || (err.code == K2_LIMIT && strstr(err.msg, "log.retention.bytes")));
        CHECK(rounds < 1000);
    }
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, false, &bytes, &err));
    CHECK(bytes == 0); /* unread records stay */
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    int64_t begin[4];
    for (int p = 0; p < 4; p++) {
        begin[p] = ranges[p].start;
        keep[p] = ranges[p].end;
    }
    struct k2_log_reader *done = k2_log_reader_new(r.log, TOPIC, keep, &err);
    struct k2_log_reader *lagging = k2_log_reader_new(r.log, TOPIC, begin, &err);
    CHECK(done && lagging);
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, false, &bytes, &err));
    CHECK_OK(k2_log_bytes(r.log, TOPIC, &size, &err));
    CHECK(bytes > 0 && size > 1 << 16 && size <= opts.retention_bytes);
    struct k2_record record;
    int count;
    CHECK_OK(k2_log_read(done, &record, 1, &count, &err));
    CHECK(count == 0); /* what is gone it had not wanted */
    CHECK(!k2_log_read(lagging, &record, 1, &count, &err) && err.code == K2_LIMIT);
    k2_log_reader_free(done);
    k2_log_reader_free(lagging);
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, false, &bytes, &err));
    CHECK(bytes == 0);
    clock.ns += 61000000000;
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, false, &bytes, &err));
    CHECK_OK(k2_log_bytes(r.log, TOPIC, &size, &err));
    CHECK(bytes > 0 && size <= 1 << 16); /* the segment being written stays */
    rig_close(&r);
}

TEST(registry_gives_one_id_to_one_schema) {
    struct k2_err err = {0};
    struct k2_registry *r = k2_registry_open("memory:", &err);
    uint32_t a, b, c;
    struct k2_buf text = {0};
    CHECK_OK(k2_registry_register(r, "x-value", K2_STR("{\"a\":1}"), &a, &err));
    CHECK_OK(k2_registry_register(r, "y-value", K2_STR("{\"a\":1}"), &b, &err));
    CHECK_OK(k2_registry_register(r, "x-value", K2_STR("{\"a\":2}"), &c, &err));
    CHECK(a == b && a != c);
    CHECK_OK(k2_registry_get(r, c, &text, &err));
    CHECK(k2_str_is(k2_buf_view(&text), "{\"a\":2}"));
    CHECK(!k2_registry_get(r, 99, &text, &err) && err.code == K2_NOT_FOUND);
    k2_buf_done(&text);
    k2_registry_free(r);
}

/* Every process on a home gives the same schema the same id. */
TEST(registry_is_shared_by_all_that_open_it) {
    struct k2_err err = {0};
    struct k2_buf text = {0};
    char url[300];
    uint32_t a, b, again;
    snprintf(url, sizeof url, "embedded:%s", test_dir());
    struct k2_registry *one = k2_registry_open(url, &err), *other = k2_registry_open(url, &err);
    CHECK(one && other);
    CHECK_OK(k2_registry_register(one, "x-value", K2_STR("{\"a\":1}"), &a, &err));
    CHECK_OK(k2_registry_register(other, "x-value", K2_STR("{\"a\":2}"), &b, &err));
    CHECK_OK(k2_registry_register(one, "x-value", K2_STR("{\"a\":2}"), &again, &err));
    CHECK(a != b && again == b);
    CHECK_OK(k2_registry_register(other, "x-value", K2_STR("{\"a\":1}"), &again, &err));
    CHECK(again == a);
    CHECK_OK(k2_registry_get(other, a, &text, &err));
    CHECK(k2_str_is(k2_buf_view(&text), "{\"a\":1}"));
    k2_buf_done(&text);
    k2_registry_free(one);
    k2_registry_free(other);
}

static void put_file(const char *dir, const char *name, const char *text) {
    struct k2_err err = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_OK(k2_file_replace(path, k2_str_of(text), &err));
}

/* An id must not come to name another schema, so what cannot be read is never passed over. */
TEST(registry_damage_is_said_and_no_id_is_given_again) {
    static const char *const damaged[] = {
        "1 1 7d5a99f603f231d53a4f39d1521f98d2",              /* cut */
        "1 1 7d5a99f603f231d53a4f39d1521f98d2 x-value",      /* no end */
        "0 1 7d5a99f603f231d53a4f39d1521f98d2 x-value\n",    /* an id that none has */
        "4294967296 1 7d5a99f603f231d53a4f39d1521f98d2 x\n", /* or that has no place */
        "1 x 7d5a99f603f231d53a4f39d1521f98d2 x-value\n",
        "1 1 7d5a x-value\n",
        "\n",
    };
    struct k2_err err = {0};
    const char *dir = test_dir();
    char url[300];
    uint32_t a, b;
    struct k2_buf index = {0}, text = {0};
    snprintf(url, sizeof url, "embedded:%s", dir);
    struct k2_registry *r = k2_registry_open(url, &err);
    CHECK_OK(r && k2_registry_register(r, "x-value", K2_STR("{\"a\":1}"), &a, &err));
    snprintf(url, sizeof url, "%s/index", dir);
    CHECK_OK(k2_file_read(url, 4096, &index, &err));
    for (size_t i = 0; i < K2_COUNT(damaged); i++) {
        put_file(dir, "index", damaged[i]);
        CHECK(!k2_registry_register(r, "x-value", K2_STR("{\"b\":1}"), &b, &err));
        CHECK(err.code == K2_CORRUPT && strstr(err.msg, "/index"));
        CHECK(!k2_registry_get(r, a, &text, &err) && err.code == K2_CORRUPT);
    }
    put_file(dir, "index", "");
    CHECK_OK(k2_registry_register(r, "x-value", K2_STR("{\"b\":1}"), &b, &err));
    CHECK(b != a);
    put_file(dir, "index", k2_buf_cstr(&index));
    put_file(dir, "1.avsc", "{\"c\":1}");
    CHECK(!k2_registry_get(r, a, &text, &err) && err.code == K2_CORRUPT);
    CHECK(!k2_registry_register(r, "x-value", K2_STR("{\"a\":1}"), &b, &err));
    CHECK(err.code == K2_CORRUPT && strstr(err.msg, "1.avsc"));
    snprintf(url, sizeof url, "%s/1.avsc", dir);
    CHECK(unlink(url) == 0);
    CHECK_OK(k2_registry_register(r, "y-value", K2_STR("{\"a\":1}"), &b, &err));
    k2_buf_clear(&text);
    CHECK_OK(k2_registry_get(r, a, &text, &err));
    CHECK(a == b && k2_str_is(k2_buf_view(&text), "{\"a\":1}"));
    k2_buf_done(&index);
    k2_buf_done(&text);
    k2_registry_free(r);
}

TEST(lease_names_its_holder_and_dies_with_it) {
    struct k2_err err = {0};
    const char *dir = test_dir();
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool taken;
        struct k2_lease *lease = k2_lease_try(dir, "test", &taken, NULL, &err);
        (void)!write(ends[1], lease ? "y" : "n", 1);
        pause();
    }
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'y');
    bool taken;
    struct k2_buf holder = {0};
    CHECK(!k2_lease_try(dir, "me", &taken, &holder, &err) && !taken && err.code == K2_OK);
    CHECK(strstr(k2_buf_cstr(&holder), "test"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    struct k2_lease *lease = k2_lease_try(dir, "me", &taken, &holder, &err);
    CHECK(lease && taken);
    k2_lease_free(lease);
    k2_buf_done(&holder);
}
