/* replay_follow_test.c -- replays that go on with new commits, and those that keep to the rows' own
 * times. */
#include <stdlib.h>

#include "base/alloc.h"
#include "query/replay.h"
#include "support/replay_lake.h"
#include "support/test.h"

enum { SECOND = 1000000000 };

/* A clock whose sleeper commits what comes next, and stops the replay after the last commit. */
struct script {
    struct k2_clock clock;
    struct lake lake;
    int commits_left, stretch; /* rows of a commit */
    uint32_t next;             /* row of the lake that the next commit begins with */
    atomic_bool stop;
};

static int64_t script_now(struct k2_clock *clock) {
    return ((struct script *)clock)->lake.clock.ns;
}

/* The rows come last first, so that their order shows. */
static void commit_next(struct script *s, const char *exchange) {
    uint32_t rows[8];
    for (int i = 0; i < s->stretch; i++) {
        rows[i] = s->lake.rows->rows;
        rows_add(s->lake.rows, i % 2 ? "A" : "B", exchange,
                 LAKE_START_NS + (int64_t)(s->stretch - i) * SECOND, ++s->next);
    }
    lake_commit(&s->lake, rows, (uint32_t)s->stretch, NULL, NULL);
}

static void script_sleep(struct k2_clock *clock, int64_t ns) {
    struct script *s = (struct script *)clock;
    CHECK(ns > 0);
    if (s->commits_left-- == 0) {
        atomic_store(&s->stop, true);
        return;
    }
    commit_next(s, s->commits_left % 2 ? "X" : "Y");
    if (s->commits_left % 3 == 0)
        commit_next(s, "X"); /* two commits between two looks */
}

static void script_open(struct script *s, int commits) {
    *s = (struct script){.clock = {script_now, script_sleep}, .commits_left = commits};
    s->stretch = 4;
    lake_open(&s->lake, 256);
}

struct seen {
    int64_t rows, idles;
    uint32_t offsets[256];
};

static bool note(void *self, const struct k2_batch *b, const uint32_t *rows, uint32_t count,
                 struct k2_err *err) {
    struct seen *seen = self;
    (void)err;
    seen->idles += count == 0;
    for (uint32_t i = 0; i < count; i++)
        seen->offsets[seen->rows++] = (uint32_t)b->col[K2_TRADE_LOG_OFFSET].i64[rows[i]];
    return true;
}

static struct k2_replay_opts follow_opts(struct script *s) {
    return (struct k2_replay_opts){.lake = s->lake.lake,
                                   .schema = k2_schema_of(K2_TRADE),
                                   .reads_all = true,
                                   .follows = true,
                                   .clock = &s->clock,
                                   .stop = &s->stop};
}

/* Commits come one after the other, the rows of each in their order: last first. */
static void check_order(const struct seen *seen, int64_t first_commit) {
    for (int64_t i = 0; i < seen->rows; i++)
        CHECK(seen->offsets[i] == (first_commit + i / 4) * 4 + 3 - i % 4);
}

TEST(follow_emits_each_commit_once) {
    struct script s;
    struct k2_err err = {0};
    struct k2_replay_result result;
    struct seen seen = {0};
    script_open(&s, 12);
    commit_next(&s, "X");
    struct k2_replay_opts opts = follow_opts(&s);
    CHECK_OK(k2_replay_run(&opts, note, &seen, &result, &err));
    CHECK(result.rows == s.lake.rows->rows && seen.rows == result.rows && result.rows == 17 * 4);
    CHECK(result.snapshot_id == s.lake.snapshot_id && !result.is_stopped && result.is_complete);
    CHECK(seen.idles >= 12);
    check_order(&seen, 0);
    lake_close(&s.lake);
}

TEST(follow_begins_where_it_is_told) {
    struct script s;
    struct k2_err err = {0};
    struct k2_replay_result result;
    struct seen seen = {0};
    char as_of[24];
    script_open(&s, 0);
    for (int i = 0; i < 5; i++) {
        commit_next(&s, "X");
        if (i == 1)
            snprintf(as_of, sizeof as_of, "%lld", (long long)s.lake.snapshot_id);
    }
    struct k2_replay_opts opts = follow_opts(&s);
    opts.as_of = as_of;
    opts.has_from = true;
    opts.from_ns = LAKE_START_NS + 4ll * SECOND; /* the last row of each commit */
    CHECK_OK(k2_replay_run(&opts, note, &seen, &result, &err));
    CHECK(result.rows == 5 && result.snapshot_id == s.lake.snapshot_id);
    for (uint32_t i = 2; i < 5; i++)
        CHECK(seen.offsets[i] == i * 4);
    lake_close(&s.lake);
}

/* Before anything was ever committed there is nothing to emit, and no reason to fail. */
TEST(follow_waits_for_the_first_commit) {
    struct script s;
    struct k2_err err = {0};
    struct k2_replay_result result;
    struct seen seen = {0};
    script_open(&s, 1);
    struct k2_replay_opts opts = follow_opts(&s);
    CHECK_OK(k2_replay_run(&opts, note, &seen, &result, &err));
    CHECK(result.rows == 8 && !result.is_stopped);
    check_order(&seen, 0);
    lake_close(&s.lake);
}

static void commit_as(struct script *s, const char *operation) {
    struct k2_err err = {0};
    const struct k2_metadata *base = lake_table(&s->lake, K2_TRADE);
    struct k2_change change = {.base = base, .operation = operation};
    CHECK_OK(k2_lake_commit(s->lake.lake, &change, 1, &err));
    s->lake.snapshot_id = change.result->current_snapshot_id;
    k2_metadata_unref(change.result);
    k2_metadata_unref(base);
    s->lake.clock.ns += SECOND;
}

TEST(follow_passes_over_compaction_and_refuses_rewritten_rows) {
    struct script s;
    struct k2_err err = {0};
    struct k2_replay_result result;
    struct seen seen = {0};
    char as_of[24];
    script_open(&s, 0);
    commit_next(&s, "X");
    snprintf(as_of, sizeof as_of, "%lld", (long long)s.lake.snapshot_id);
    commit_as(&s, "replace");
    commit_next(&s, "Y");
    struct k2_replay_opts opts = follow_opts(&s);
    opts.as_of = as_of;
    CHECK_OK(k2_replay_run(&opts, note, &seen, &result, &err));
    CHECK(result.rows == 8 && result.snapshot_id == s.lake.snapshot_id);
    check_order(&seen, 0);
    commit_as(&s, "overwrite");
    atomic_store(&s.stop, false);
    seen = (struct seen){0};
    CHECK(!k2_replay_run(&opts, note, &seen, &result, &err));
    CHECK(err.code == K2_CONFLICT && strstr(err.msg, "overwrite"));
    lake_close(&s.lake);
}

/* ---- speed ---- */

/* A clock that moves on a little whenever it is looked at. */
struct ticking {
    struct k2_clock clock;
    int64_t now, step;
};

static int64_t tick(struct k2_clock *clock) {
    struct ticking *t = (struct ticking *)clock;
    return t->now += t->step;
}

struct paced {
    struct ticking clock;
    double speed;
    int64_t start, rows, late; /* late: rows that came a step or more after their time */
};

static bool check_pace(void *self, const struct k2_batch *b, const uint32_t *rows, uint32_t count,
                       struct k2_err *err) {
    struct paced *p = self;
    (void)err;
    for (uint32_t i = 0; i < count; i++, p->rows++) {
        double passed = (double)(p->clock.now - p->start) * p->speed;
        double due = (double)(rows_ns(b, rows[i]) - LAKE_START_NS);
        CHECK(due <= passed);
        p->late += due < passed - (double)p->clock.step * p->speed;
    }
    return true;
}

TEST(speed_keeps_to_the_times_of_the_rows) {
    static const double speeds[] = {0.25, 1, 1000};
    struct lake lake;
    lake_open(&lake, 600);
    for (int i = 0; i < 600; i++)
        rows_add(lake.rows, "A", "X", LAKE_START_NS + (int64_t)(i / 3 * 3) * SECOND / 7, i + 1);
    lake_commit_all(&lake, 3, LAKE_IN_ORDER);
    for (size_t i = 0; i < K2_COUNT(speeds); i++) {
        struct k2_err err = {0};
        struct k2_replay_result result;
        struct paced p = {.clock = {.clock = {tick, NULL}}, .speed = speeds[i]};
        p.clock.step = (int64_t)(SECOND / 50 / speeds[i]);
        p.start = p.clock.step;
        struct k2_replay_opts opts = {.lake = lake.lake,
                                      .schema = k2_schema_of(K2_TRADE),
                                      .speed = speeds[i],
                                      .clock = &p.clock.clock};
        CHECK_OK(k2_replay_run(&opts, check_pace, &p, &result, &err));
        CHECK(result.rows == 600 && p.rows == 600 && p.late == 0);
    }
    lake_close(&lake);
}
