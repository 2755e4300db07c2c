/* positions_test.c -- where a commit stands: positions, its state object, what it says of itself,
 * and what of the log is still needed.
 */
#include "base/file.h"
#include "support/pipeline_rig.h"

static const struct k2_metadata *load(struct rig *r, const char *table) {
    const struct k2_metadata *metadata = NULL;
    struct k2_err err = {0};
    CHECK_OK(k2_lake_load(r->lake, &table, 1, &metadata, &err));
    return metadata;
}

/* Where trades stand in the log partition of a symbol. */
static struct k2_position position_of(struct rig *r, const char *key) {
    const struct k2_metadata *metadata = load(r, "market_data.trades");
    struct k2_position position;
    struct k2_err err = {0};
    bool found;
    int p = (int)k2_key_partition(k2_str_of(key), 4);
    CHECK_OK(k2_position_find(metadata, TOPIC, p, &found, &position, &err));
    CHECK(found);
    k2_metadata_unref(metadata);
    return position;
}

static void put_one(struct rig *r, const char *symbol, int64_t n) {
    put(r, symbol, n, 1000);
    append(r);
    settle(r);
}

/* ---- what a commit says ---- */

static bool summary_is(const struct k2_snapshot *s, const char *key, const char *value) {
    return k2_str_is(k2_snapshot_summary(s, key), value);
}

TEST(positions_move_in_one_commit_that_says_what_it_did) {
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    put_many(&r, 1, 10); /* of all log partitions */
    put(&r, "AAA", 10, 1000);
    put(&r, "AAA", 11, -1);
    append(&r);
    settle(&r);
    put(&r, "BBB", 3, 2000);
    append(&r);
    settle(&r);
    settle(&r); /* nothing moved */
    const struct k2_metadata *m = load(&r, "market_data.trades");
    CHECK(m->snapshot_count == 2); /* the second without a row */
    const struct k2_snapshot *s = &m->snapshots[0];
    CHECK(summary_is(s, "k2.rows", "70") && summary_is(s, "k2.duplicates", "1"));
    CHECK(summary_is(s, "k2.rejected", "1") && summary_is(s, "k2.late", "0"));
    CHECK(summary_is(s, "k2.skipped", "0") && summary_is(s, "k2.writer", "test"));
    CHECK(k2_snapshot_summary(s, "k2.write-ms").ptr && summary_is(s, "k2.take-ms", "0"));
    CHECK(k2_snapshot_summary(s, "k2.moved").ptr);
    CHECK(summary_is(&m->snapshots[1], "k2.rows", "0"));
    CHECK(summary_is(&m->snapshots[1], "k2.rejected", "1"));
    /* The letter is in the commit of its record: both tables have its time. */
    const struct k2_metadata *dead = load(&r, "ops.dead_letters");
    CHECK(dead->snapshot_count == 2);
    for (int i = 0; i < 2; i++)
        CHECK(dead->snapshots[i].timestamp_ms == m->snapshots[i].timestamp_ms);
    k2_metadata_unref(dead);
    k2_metadata_unref(m);
    rig_close(&r);
}

static bool see_log_id(void *self, const struct k2_batch *rows) {
    for (uint32_t i = 0; i < rows->rows; i++)
        CHECK(k2_str_is(k2_batch_text(rows, K2_TRADE_LOG_ID, i), self));
    return true;
}

TEST(positions_name_the_log_by_half_a_hash) {
    struct rig r;
    struct k2_topic_info info;
    struct k2_err err = {0};
    char id[9], property[32];
    rig_open(&r);
    open_pipeline(&r);
    put_one(&r, "AAA", 1);
    CHECK_OK(k2_log_topic(r.log, TOPIC, false, &info, &err));
    uint64_t hash = k2_hash64(info.log_id, strlen(info.log_id));
    snprintf(id, sizeof id, "%08llx", (unsigned long long)(hash & 0xffffffff));
    read_rows(&r, "market_data.trades", K2_TRADE, see_log_id, id);
    snprintf(property, sizeof property, "k2.log.%s", id);
    const struct k2_metadata *m = load(&r, "market_data.trades");
    CHECK(k2_str_is(k2_metadata_property(m, property), TOPIC));
    struct k2_position position = position_of(&r, "SIMX.AAA");
    assert_string_equal(position.log_id, info.log_id);
    k2_metadata_unref(m);
    rig_close(&r);
}

/* Rows of more days than a commit may have files: it ends early. */
TEST(positions_move_early_where_files_would_be_too_many) {
    enum { DAYS = 150, FILES_MAX = 64 };
    struct rig r;
    rig_open(&r);
    open_pipeline(&r);
    for (int n = 1; n <= DAYS; n++) {
        put(&r, "AAA", n, 1000);
        r.batch->col[K2_TRADE_TIMESTAMP].i64[n - 1] -= n * 86400000000ll;
    }
    append(&r);
    settle(&r);
    const struct k2_metadata *m = load(&r, "market_data.trades");
    CHECK(m->snapshot_count == (DAYS + FILES_MAX - 1) / FILES_MAX);
    for (int i = 0; i < m->snapshot_count; i++) {
        int64_t files;
        CHECK(k2_str_to_i64(k2_snapshot_summary(&m->snapshots[i], "added-data-files"), &files));
        CHECK(files <= FILES_MAX);
    }
    CHECK(sums_of(&r, K2_TRADE).rows == DAYS);
    k2_metadata_unref(m);
    rig_close(&r);
}

/* ---- the state object ---- */

TEST(positions_keep_their_state_until_another_is_due) {
    enum { COMMITS = 64, RECORDS = 50000 };
    struct rig r;
    rig_open(&r);
    r.opts.commit_rows = 100000;
    open_pipeline(&r);
    put_one(&r, "AAA", 1);
    struct k2_position first = position_of(&r, "SIMX.AAA"), last = first;
    CHECK(first.state[0] && first.state_offset == first.next && first.epoch == 1);
    int64_t n = 1;
    for (int i = 1; i <= COMMITS; i++) {
        put(&r, "AAA", ++n, 1000);
        append(&r);
        settle(&r);
        last = position_of(&r, "SIMX.AAA");
        CHECK(strcmp(last.state, first.state) == 0 && last.state_offset == 1 && last.next == n);
    }
    put_one(&r, "AAA", ++n); /* after so many commits */
    last = position_of(&r, "SIMX.AAA");
    CHECK(strcmp(last.state, first.state) != 0 && last.state_offset == n);
    first = last;
    for (int i = 0; i < RECORDS; i++) {
        put(&r, "AAA", ++n, 1000);
        if (r.batch->rows == 4000)
            append(&r);
    }
    append(&r);
    settle(&r); /* after so many records */
    last = position_of(&r, "SIMX.AAA");
    CHECK(strcmp(last.state, first.state) != 0 && last.state_offset == n && last.next == n);
    first = last;
    r.opts.gap_page = 5;
    open_pipeline(&r);
    put_one(&r, "AAA", ++n); /* other settings */
    last = position_of(&r, "SIMX.AAA");
    CHECK(strcmp(last.state, first.state) != 0 && last.state_offset == n && last.epoch == 2);
    rig_close(&r);
}

/* What the state still has to be brought up to date with stays in the log, although it is
 * committed. */
TEST(positions_hold_the_log_where_their_state_stands) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_log_range ranges[4];
    int64_t bytes;
    rig_open(&r);
    open_pipeline(&r);
    put_many(&r, 1, 100);
    settle(&r);
    struct k2_position before = position_of(&r, "SIMX.AAA");
    put_many(&r, 101, 3000); /* many segments, too few records for another state object */
    settle(&r);
    struct k2_position after = position_of(&r, "SIMX.AAA");
    CHECK(strcmp(after.state, before.state) == 0 && after.next > before.next + 2000);
    int p = (int)k2_key_partition(K2_STR("SIMX.AAA"), 4);
    CHECK_OK(k2_pipeline_trim(r.lake, r.log, TOPIC, true, &bytes, &err));
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    CHECK(ranges[p].start <= after.state_offset);
    r.opts.gap_page = 5; /* a state object that stands at the position */
    open_pipeline(&r);
    put_many(&r, 3101, 1);
    settle(&r);
    CHECK_OK(k2_pipeline_trim(r.lake, r.log, TOPIC, true, &bytes, &err));
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    CHECK(bytes > 0 && ranges[p].start > after.state_offset);
    rig_close(&r);
}

/* ---- where a table begins ---- */

TEST(positions_begin_at_the_start_of_the_log) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_log_range ranges[4];
    int64_t bytes, keep[4], left = 0;
    rig_open(&r);
    put_many(&r, 1, 2000);
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    for (int p = 0; p < 4; p++)
        keep[p] = ranges[p].end;
    CHECK_OK(k2_log_trim(r.log, TOPIC, keep, true, &bytes, &err));
    CHECK_OK(k2_log_ranges(r.log, TOPIC, ranges, &err));
    for (int p = 0; p < 4; p++)
        left += ranges[p].end - ranges[p].start;
    CHECK(bytes > 0 && left > 0);
    open_pipeline(&r);
    settle(&r);
    CHECK(sums_of(&r, K2_TRADE).rows == left && sums_of(&r, K2_GAP).rows == 0);
    CHECK(position_of(&r, "SIMX.AAA").epoch == 1);
    rig_close(&r);
}

/* ---- what cannot be judged now ---- */

/* A registry that cannot be asked makes records wait; none is set aside. */
TEST(positions_wait_for_a_registry_that_cannot_be_asked) {
    struct rig r;
    struct k2_err err = {0};
    struct k2_buf index = {0};
    char url[160], path[160];
    int64_t moved;
    rig_open(&r);
    const char *dir = test_dir();
    snprintf(url, sizeof url, "embedded:%s", dir);
    snprintf(path, sizeof path, "%s/index", dir);
    k2_log_free(r.log);
    k2_registry_free(r.registry);
    r.opts.registry = r.registry = k2_registry_open(url, &err);
    CHECK(r.registry);
    open_log(&r, "memory:");
    put(&r, "AAA", 1, 1000);
    append(&r);
    CHECK_OK(k2_file_read(path, 4096, &index, &err));
    CHECK_OK(k2_file_replace(path, K2_STR("damaged"), &err));
    k2_registry_free(r.registry); /* what it has read it need not ask for */
    r.opts.registry = r.registry = k2_registry_open(url, &err);
    open_pipeline(&r);
    CHECK(!k2_pipeline_step(r.pipeline, &moved, &err) && err.code == K2_CORRUPT);
    CHECK_OK(k2_file_replace(path, k2_buf_view(&index), &err));
    settle(&r);
    CHECK(sums_of(&r, K2_TRADE).rows == 1 && sums_of(&r, K2_DEAD_LETTER).rows == 0);
    k2_buf_done(&index);
    rig_close(&r);
}
