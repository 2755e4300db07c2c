/* verify_test.c -- a sound table passes; each planted fault is found and named. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/date.h"
#include "lake/table/data_file.h"
#include "lake/table/table_impl.h"
#include "support/test.h"

#define TRADES "market_data.trades"
enum { ROWS = 20 };

struct rig {
    struct k2_clock_fake clock;
    struct k2_lake *lake;
    const struct k2_metadata *m;
    struct k2_intern strings;
    struct k2_random random;
    struct k2_buf last_path; /* of the newest data file */
    struct k2_buf findings;
    struct k2_verify_result result;
};

static void rig_open(struct rig *rig) {
    struct k2_err err = {0};
    char url[160];
    memset(rig, 0, sizeof *rig);
    snprintf(url, sizeof url, "sqlite:%s/catalog.db", test_dir());
    k2_clock_fake_init(&rig->clock, k2_now_ns(k2_clock_real()));
    k2_random_seed(&rig->random, 1);
    struct k2_lake_opts opts = {.warehouse = "memory:", .catalog = url, .clock = &rig->clock.clock};
    rig->lake = k2_lake_open(&opts, &err);
    CHECK_OK(rig->lake != NULL);
    CHECK_OK(k2_lake_create(rig->lake, k2_schema_of(K2_TRADE), NULL, &rig->m, &err));
}

static void rig_close(struct rig *rig) {
    k2_metadata_unref(rig->m);
    k2_lake_free(rig->lake);
    k2_intern_done(&rig->strings);
    k2_buf_done(&rig->last_path);
    k2_buf_done(&rig->findings);
}

static void fill(struct rig *rig, struct k2_batch *b, int64_t first_offset) {
    uint32_t asx = k2_intern_add(&rig->strings, K2_STR("ASX"));
    uint32_t log = k2_intern_add(&rig->strings, K2_STR("580c0c3a")); /* of log "l" */
    k2_batch_zero(b, 0, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        b->col[K2_TRADE_SYMBOL].u32[i] = b->col[K2_TRADE_EXCHANGE].u32[i] =
            b->col[K2_TRADE_CURRENCY].u32[i] = asx;
        b->col[K2_TRADE_ID].span[i] = k2_batch_put(b, K2_STR("id"));
        b->col[K2_TRADE_TIMESTAMP].i64[i] = 16139 * K2_DAY_US + i;
        b->col[K2_TRADE_LOG_ID].u32[i] = log;
        b->col[K2_TRADE_LOG_OFFSET].i64[i] = first_offset + i;
    }
    b->rows = ROWS;
}

static void write_file(struct rig *rig, int64_t first_offset, struct k2_data_file *file,
                       struct k2_file_stats *stats, struct k2_arena *arena) {
    struct k2_err err = {0};
    struct k2_data_writer writer = {
        .lake = rig->lake, .random = &rig->random, .opts = k2_parquet_defaults()};
    struct k2_batch *b = k2_batch_new(k2_schema_of(K2_TRADE), ROWS, &rig->strings);
    fill(rig, b, first_offset);
    CHECK_OK(k2_data_file_write(&writer, rig->m, b, NULL, ROWS, arena, file, stats, &err));
    rig->last_path.len = 0;
    CHECK_OK(k2_store_path(k2_lake_store(rig->lake), file->path, &rig->last_path, &err));
    k2_buf_cstr(&rig->last_path); /* ends with a NUL */
    k2_data_writer_done(&writer);
    k2_batch_free(b);
}

/* Commits ROWS rows from offset on; the log moves to next. extra_rows: a lie in the manifest. */
static void append(struct rig *rig, int64_t offset, int64_t from, int64_t next,
                   int64_t extra_rows) {
    struct k2_err err = {0};
    struct k2_data_file file;
    struct k2_file_stats stats = {0};
    struct k2_arena arena = {0};
    write_file(rig, offset, &file, &stats, &arena);
    file.record_count += extra_rows;
    struct k2_move move = {.topic = "topic",
                           .is_first = from == 0,
                           .from = {.log_id = "l", .next = from},
                           .to = {.log_id = "l", .next = next}};
    struct k2_property set = {K2_STR("k2.log.580c0c3a"), K2_STR("topic")};
    char skipped[24];
    snprintf(skipped, sizeof skipped, "%lld", (long long)(next - from - ROWS));
    struct k2_property summary[] = {
        {K2_STR("k2.rows"), K2_STR("20")},        {K2_STR("k2.duplicates"), K2_STR("0")},
        {K2_STR("k2.rejected"), K2_STR("0")},     {K2_STR("k2.skipped"), k2_str_of(skipped)},
        {K2_STR("k2.acknowledged"), K2_STR("0")}, {K2_STR("k2.writer"), K2_STR("test")}};
    struct k2_change change = {.base = rig->m,
                               .operation = "append",
                               .add_count = 1,
                               .add = &file,
                               .move_count = 1,
                               .moves = &move,
                               .set_count = 1,
                               .set = &set,
                               .summary_count = K2_COUNT(summary),
                               .summary = summary};
    CHECK_OK(k2_lake_commit(rig->lake, &change, 1, &err));
    k2_metadata_unref(rig->m);
    rig->m = change.result;
    k2_file_stats_done(&stats);
    k2_arena_done(&arena);
}

static void add_finding(void *self, bool is_note, const char *table, const char *text) {
    CHECK(strcmp(table, TRADES) == 0);
    k2_buf_printf(self, "%s: %s\n", is_note ? "note" : "broken", text);
}

/* Verifies m; what it says is in findings. */
static void verify(struct rig *rig, const struct k2_metadata *m) {
    struct k2_err err = {0};
    rig->findings.len = 0;
    rig->result = (struct k2_verify_result){0};
    struct k2_verify_opts opts = {.report = add_finding, .self = &rig->findings};
    CHECK_OK(k2_lake_verify(rig->lake, &m, 1, &opts, &rig->result, &err));
    k2_buf_cstr(&rig->findings);
}

static bool says(const struct rig *rig, const char *text) {
    if (strstr(rig->findings.ptr, text))
        return true;
    print_message("'%s' is not in:\n%s", text, rig->findings.ptr);
    return false;
}

TEST(verify_sound_table) {
    struct rig rig;
    rig_open(&rig);
    verify(&rig, rig.m);
    CHECK(rig.result.broken == 0 && rig.result.snapshots == 0);
    append(&rig, 0, 0, 20, 0);
    append(&rig, 20, 20, 45, 0);
    append(&rig, 45, 45, 65, 0);
    verify(&rig, rig.m);
    assert_string_equal(rig.findings.ptr, "");
    CHECK(rig.result.broken == 0 && rig.result.notes == 0 && rig.result.tables == 1);
    CHECK(rig.result.snapshots == 3 && rig.result.manifests == 3 && rig.result.files == 3);
    CHECK(rig.result.rows == 3 * ROWS);
    rig_close(&rig);
}

TEST(verify_finds_rows_twice_and_beyond) {
    struct rig rig;
    rig_open(&rig);
    append(&rig, 0, 0, 20, 0);
    append(&rig, 10, 20, 25, 0); /* 10..19 again, 25..29 not claimed */
    verify(&rig, rig.m);
    CHECK(rig.result.broken == 15);
    CHECK(says(&rig, "offset 10 is there twice") && says(&rig, "offset 25 lies beyond"));
    rig_close(&rig);
}

TEST(verify_finds_wrong_counts) {
    struct rig rig;
    rig_open(&rig);
    append(&rig, 0, 0, 20, 1);
    verify(&rig, rig.m);
    CHECK(says(&rig, "holds 20 rows, its manifest says 21"));
    CHECK(says(&rig, "20 values in 21 rows"));
    rig_close(&rig);
}

TEST(verify_finds_missing_and_changed_files) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig);
    append(&rig, 0, 0, 20, 0);
    struct k2_store *store = k2_lake_store(rig.lake);
    struct k2_buf bytes = {0};
    CHECK_OK(k2_store_get(store, rig.last_path.ptr, &bytes, &err));
    CHECK_OK(k2_store_delete(store, rig.last_path.ptr, &err));
    verify(&rig, rig.m);
    CHECK(rig.result.broken == 1 && says(&rig, "data file is not there"));
    CHECK_OK(
        k2_store_put(store, rig.last_path.ptr, k2_str_make(bytes.ptr, bytes.len - 1), false, &err));
    verify(&rig, rig.m);
    CHECK(rig.result.broken == 1 && says(&rig, "are expected"));
    bytes.ptr[60] ^= 0x10; /* in the first page */
    CHECK_OK(k2_store_put(store, rig.last_path.ptr, k2_buf_view(&bytes), false, &err));
    verify(&rig, rig.m);
    CHECK(rig.result.broken > 0);
    k2_buf_done(&bytes);
    rig_close(&rig);
}

/* The metadata of rig with a piece of its text replaced. */
static struct k2_metadata *altered(struct rig *rig, const char *from, const char *to) {
    struct k2_err err = {0};
    struct k2_buf text = {0}, changed = {0};
    k2_metadata_write(rig->m, NULL, &text);
    const char *at = strstr(k2_buf_cstr(&text), from);
    if (!at)
        fail_msg("%s is not in %s", from, text.ptr);
    k2_buf_append(&changed, text.ptr, (size_t)(at - text.ptr));
    k2_buf_text(&changed, to);
    k2_buf_text(&changed, at + strlen(from));
    struct k2_metadata *m =
        k2_metadata_parse(k2_buf_view(&changed), TRADES, rig->m->metadata_location.ptr, &err);
    if (!m)
        fail_msg("%s", err.msg);
    k2_buf_done(&text);
    k2_buf_done(&changed);
    return m;
}

static void expect(struct rig *rig, const char *from, const char *to, const char *finding) {
    struct k2_metadata *m = altered(rig, from, to);
    verify(rig, m);
    CHECK(rig->result.broken > 0 && says(rig, finding));
    k2_metadata_unref(m);
}

TEST(verify_finds_broken_metadata) {
    struct rig rig;
    rig_open(&rig);
    append(&rig, 0, 0, 20, 0);
    append(&rig, 20, 20, 40, 0);
    append(&rig, 40, 40, 60, 0);
    expect(&rig, "[20,40]", "[22,40]", "offsets are missing");
    expect(&rig, "[20,40]", "[19,40]", "offsets are there twice");
    expect(&rig, "[20,40]", "[40,20]", "is no range");
    expect(&rig, "\"k2.duplicates\":\"0\"", "\"k2.duplicates\":\"1\"",
           "moves past 20 offsets and accounts for 21");
    expect(&rig, "\"k2.rows\":\"20\"", "\"k2.rows\":\"19\"", "adds 20 rows, k2.rows is 19");
    expect(&rig, "\"k2.skipped\"", "\"k9.skipped\"", "without its counts");
    expect(&rig, "\\\"next\\\":60", "\\\"next\\\":61",
           "the last snapshot that moved it ended at 60");
    expect(&rig, "\"last-sequence-number\":3", "\"last-sequence-number\":2", "above the table's 2");
    expect(&rig, "\"last-column-id\":2", "\"last-column-id\":1", "above last-column-id");
    expect(&rig, "\"last-partition-id\":1001", "\"last-partition-id\":1000",
           "above last-partition-id");
    expect(&rig, "\"total-records\":\"40\"", "\"total-records\":\"41\"", "total-records is 41");
    expect(&rig, "\"k2.columns\"", "\"k9.columns\"", "k2.columns");
    expect(&rig, "\"sequence-number\":3", "\"sequence-number\":2", "the same sequence number");
    expect(&rig, "snap-", "snup-", "snup-");
    rig_close(&rig);
}

TEST(verify_notes_orphans) {
    struct rig rig;
    struct k2_err err = {0};
    rig_open(&rig);
    append(&rig, 0, 0, 20, 0);
    CHECK_OK(k2_store_put(k2_lake_store(rig.lake), "market_data/trades/data/left.parquet",
                          K2_STR("xyz"), true, &err));
    verify(&rig, rig.m);
    CHECK(rig.result.notes == 0); /* it may belong to a commit in the making */
    rig.clock.ns += 25 * 3600 * 1000000000ll;
    verify(&rig, rig.m);
    CHECK(rig.result.broken == 0 && rig.result.notes == 1);
    CHECK(says(&rig, "note: orphan: market_data/trades/data/left.parquet (3 bytes)"));
    rig_close(&rig);
}
