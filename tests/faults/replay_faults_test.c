/* replay_faults_test.c -- every file call of a replay fails once: it ends with an error, or with
 * all rows; never with fewer.
 */
#include <errno.h>
#include <stdlib.h>

#include "query/replay.h"
#include "support/disk.h"
#include "support/replay_lake.h"
#include "support/test.h"

enum { ROWS = 400 };

static struct k2_replay_opts opts_of(struct k2_lake *lake, int64_t memory) {
    return (struct k2_replay_opts){
        .lake = lake, .schema = k2_schema_of(K2_TRADE), .memory = memory};
}

/* A replay by someone who has not looked at the tables yet. */
static bool replay(struct lake *lake, int64_t memory, struct k2_replay_result *result,
                   struct k2_err *err) {
    struct k2_lake *again = lake_again(lake, err);
    if (!again)
        return false;
    struct k2_replay_opts opts = opts_of(again, memory);
    bool ok = k2_replay_run(&opts, NULL, NULL, result, err);
    k2_lake_free(again);
    return ok;
}

static void check_call(struct lake *lake, int64_t memory, struct disk_rule rule,
                       const struct k2_replay_result *whole, bool *ret_was_hit) {
    struct k2_replay_result result = {0};
    struct k2_err err = {0};
    disk_watch(lake->warehouse + strlen("file:"));
    disk_rule(rule);
    bool ok = replay(lake, memory, &result, &err);
    *ret_was_hit = disk_hits() > 0;
    disk_end();
    if (ok && (result.rows != whole->rows || result.digest.low != whole->digest.low ||
               result.digest.high != whole->digest.high || !result.is_complete))
        fail_msg("call %ld: %lld rows", rule.nth, (long long)result.rows);
    if (!ok && (!*ret_was_hit || rule.act == DISK_SHORT || err.code != K2_IO))
        fail_msg("call %ld: code %d: %s", rule.nth, err.code, err.msg);
}

TEST(a_replay_with_a_failing_call_is_whole_or_an_error) {
    static const struct disk_rule rules[] = {
        {.calls = DISK_OPEN | DISK_READ, .act = DISK_FAIL, .error = EIO},
        {.calls = DISK_OPEN | DISK_READ, .act = DISK_FAIL, .error = EIO, .and_after = true},
        {.calls = DISK_READ, .act = DISK_SHORT}};
    /* With little memory files are read in slices, many times: there not every call fails. */
    static const struct {
        int64_t memory;
        long stride;
    } runs[] = {{0, 1}, {1 << 10, 13}};
    struct lake lake;
    struct k2_err err = {0};
    struct k2_replay_result whole = {0};
    const long slower = TEST_IS_SLOW ? 7 : 1;
    char warehouse[200];
    snprintf(warehouse, sizeof warehouse, "file:%s/warehouse", test_dir());
    lake_open_at(&lake, ROWS, warehouse);
    for (int i = 0; i < ROWS; i++)
        rows_add(lake.rows, i % 3 ? "A" : "B", i % 2 ? "X" : "Y",
                 LAKE_START_NS + (int64_t)i * 400000000000, i + 1);
    lake_commit_all(&lake, 3, LAKE_DEALT_OUT);
    CHECK_OK(replay(&lake, 0, &whole, &err));
    CHECK(whole.rows == ROWS);
    for (size_t m = 0; m < K2_COUNT(runs); m++)
        for (size_t r = 0; r < K2_COUNT(rules); r++) {
            struct disk_rule rule = rules[r];
            bool was_hit = true;
            for (; was_hit; rule.nth += runs[m].stride * slower)
                check_call(&lake, runs[m].memory, rule, &whole, &was_hit);
            CHECK(rule.nth > 10);
        }
    lake_close(&lake);
}
