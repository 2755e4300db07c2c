/* sim_test.c -- a whole K2 on one thread, in a world that follows from a seed: its clock, its disk
 * and its random numbers. Appends, commits, trims, a second writer, failing calls, deaths and power
 * cuts come in any order; at the end every acknowledged row is there once.
 *
 * K2_TEST_SEEDS=n runs n seeds instead of 200 (20 with a sanitizer); K2_TEST_SEED=n runs that one
 * and says what happens.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/random.h"
#include "support/disk.h"
#include "support/home.h"
#include "support/world.h"

enum { ACTS = 45, DAY_S = 86400, SEEDS = TEST_IS_SLOW ? 20 : 200 };

struct sim {
    struct test_home home;
    struct k2_random random;
    struct k2_lake *rival_lake;
    struct k2_pipeline *rival;
    uint64_t seed, trace; /* trace: a hash of everything that happened */
    int boot;
    int64_t position; /* the tables' as last seen */
    long hits;        /* of faults, when the home was opened */
    bool is_open, had_rival, is_telling;
};

static uint64_t below(struct sim *s, uint64_t n) {
    return k2_random_below(&s->random, n);
}

static void tell(struct sim *s, const char *what, int64_t a, const char *more) {
    for (const char *p = what; *p; p++)
        s->trace = (s->trace ^ (unsigned char)*p) * 0x100000001b3u;
    s->trace = (s->trace ^ (uint64_t)a) * 0x100000001b3u;
    s->trace = (s->trace ^ (uint64_t)disk_calls()) * 0x100000001b3u;
    if (s->is_telling)
        print_message("%6ld %s %" PRId64 " %s\n", disk_calls(), what, a, more);
}

/* ---- open and close ---- */

static void close_rival(struct sim *s) {
    home_close_rival(s->rival_lake, s->rival);
    s->rival_lake = NULL;
    s->rival = NULL;
}

static void close_all(struct sim *s) {
    close_rival(s);
    home_close(&s->home);
    s->is_open = false;
}

static bool has_met_fault(const struct sim *s) {
    return disk_hits() > s->hits;
}

/* An error is right only where a fault was met, and must not be of K2's own making; or where one
 * writer has trimmed what the other had not read. */
static void judge(struct sim *s, const char *what, const struct k2_err *err) {
    tell(s, what, err->code, err->msg);
    bool is_overtaken = s->had_rival && err->code == K2_LIMIT && strstr(err->msg, "trimmed");
    if ((!has_met_fault(s) && !is_overtaken) || err->code == K2_BUG || err->code == K2_OK)
        fail_msg("%s: %s: code %d: %s", s->home.label, what, err->code, err->msg);
}

/* As whoever runs K2 would: the fault is mended, the program started again. */
static void reopen(struct sim *s) {
    struct k2_err err = {0};
    close_all(s);
    disk_no_rules();
    s->hits = disk_hits();
    HOME_OK(&s->home, home_open(&s->home, &err));
    s->is_open = true;
    s->had_rival = false;
    int64_t position = home_position(&s->home);
    tell(s, "open", position, "");
    if (position < s->position)
        fail_msg("%s: positions went back from %" PRId64 " to %" PRId64, s->home.label, s->position,
                 position);
    s->position = position;
}

/* Sets the stage: a new disk, or the old one after a power cut. */
static void boot(struct sim *s) {
    disk_watch(s->home.dir);
    disk_record();
    disk_boot(++s->boot);
    s->hits = 0;
}

/* ---- acts ---- */

static void act_append(struct sim *s) {
    struct k2_err err = {0};
    if (!s->home.book->batch_rows)
        home_fill(&s->home, 1 + (int)below(s, 60));
    if (home_append(&s->home, &err))
        return tell(s, "append", s->home.book->next[0], "");
    judge(s, "append", &err);
    if (below(s, 2))
        reopen(s);
}

static void done(struct sim *s, const char *what, bool ok, const struct k2_err *err) {
    if (ok)
        return tell(s, what, s->position, "");
    judge(s, what, err);
    if (err->retriable && below(s, 2))
        disk_no_rules(); /* and goes on with what is open */
    else
        reopen(s);
}

static void act_step(struct sim *s) {
    struct k2_err err = {0};
    int64_t moved = 1;
    bool ok = true;
    for (uint64_t i = 1 + below(s, 4); ok && i; i--)
        ok = k2_pipeline_step(s->home.pipeline, &moved, &err);
    done(s, "step", ok, &err);
}

/* Another writer may have moved the table: the next step begins where it stands. */
static void act_flush(struct sim *s) {
    struct k2_err err = {0};
    bool ok = k2_pipeline_flush(s->home.pipeline, &err);
    done(s, "flush", ok || (err.code == K2_CONFLICT && s->rival), &err);
}

static void act_rival(struct sim *s) {
    struct k2_err err = {0};
    int64_t moved;
    bool ok = s->had_rival = true;
    if (!s->rival)
        ok = home_open_rival(&s->home, &s->rival_lake, &s->rival, &err);
    else if (below(s, 3))
        ok = k2_pipeline_step(s->rival, &moved, &err);
    else
        ok = k2_pipeline_flush(s->rival, &err) || err.code == K2_CONFLICT;
    if (ok)
        return tell(s, "rival", 0, "");
    judge(s, "rival", &err);
    reopen(s);
}

static void act_trim(struct sim *s) {
    struct k2_err err = {0};
    done(s, "trim", home_trim(&s->home, &err), &err);
}

/* Mostly a little, now and then a day, and now and then back. */
static void act_clock(struct sim *s) {
    uint64_t what = below(s, 10);
    int64_t ms = what == 0   ? DAY_S * 1000ll
                 : what == 1 ? -(int64_t)below(s, 7200000)
                             : (int64_t)below(s, 3000);
    s->home.clock.ns += ms * 1000000;
    tell(s, "clock", ms, "");
}

static void act_fault(struct sim *s) {
    static const struct disk_rule kinds[] = {
        {.calls = DISK_ALL, .error = EIO},
        {.calls = DISK_CHANGES, .error = EIO, .and_after = true},
        {.calls = DISK_GROWS, .error = ENOSPC, .and_after = true},
        {.calls = DISK_WRITE | DISK_READ, .act = DISK_SHORT},
        {.calls = DISK_WRITE, .act = DISK_SHORT, .error = ENOSPC, .and_after = true},
        {.calls = DISK_SYNC, .error = EIO},
    };
    struct disk_rule rule = kinds[below(s, K2_COUNT(kinds))];
    rule.nth = (long)below(s, 120);
    disk_no_rules();
    disk_rule(rule);
    tell(s, "fault", rule.nth, "");
}

/* No call gets through any more, and nothing is told to anyone: as near to SIGKILL as one process
 * comes to. What it was doing stops at any call. */
static void act_die(struct sim *s) {
    struct k2_err ignored;
    disk_no_rules();
    disk_rule((struct disk_rule){
        .calls = DISK_CHANGES, .nth = (long)below(s, 80), .error = EIO, .and_after = true});
    for (int i = 0; i < 4 && !has_met_fault(s); i++) {
        if (!s->home.book->batch_rows)
            home_fill(&s->home, 20);
        bool ok = home_append(&s->home, &ignored) && home_settle(&s->home, &ignored);
        tell(s, "die", ok, "");
    }
    disk_no_rules();
    disk_rule((struct disk_rule){.calls = DISK_CHANGES, .error = EIO, .and_after = true});
    close_all(s);
    reopen(s);
}

static void act_power_cut(struct sim *s) {
    struct k2_err err = {0};
    char remains[200];
    snprintf(remains, sizeof remains, "%s.remains", s->home.dir);
    tell(s, "power cut", 0, "");
    disk_cut(remains, k2_random_u64(&s->random));
    disk_no_rules();
    disk_rule((struct disk_rule){.calls = DISK_CHANGES, .error = EIO, .and_after = true});
    close_all(s);
    disk_end();
    CHECK_OK(k2_path_remove(s->home.dir, &err));
    CHECK(rename(remains, s->home.dir) == 0);
    boot(s);
    reopen(s);
}

static void settle_and_check(struct sim *s) {
    struct k2_err err = {0};
    close_rival(s);
    reopen(s);
    if (s->home.book->batch_rows)
        HOME_OK(&s->home, home_append(&s->home, &err));
    HOME_OK(&s->home, home_settle(&s->home, &err));
    home_check(&s->home);
    tell(s, "check", home_position(&s->home), "");
}

static void act_settle(struct sim *s) {
    if (below(s, 3) == 0)
        settle_and_check(s);
    else
        act_step(s);
}

static const struct {
    void (*act)(struct sim *s);
    int weight;
} acts[] = {{act_append, 30}, {act_step, 20}, {act_flush, 8},  {act_rival, 10}, {act_trim, 5},
            {act_clock, 8},   {act_fault, 6}, {act_settle, 4}, {act_die, 3},    {act_power_cut, 3}};

static void act_any(struct sim *s) {
    int total = 0;
    for (size_t i = 0; i < K2_COUNT(acts); i++)
        total += acts[i].weight;
    int pick = (int)below(s, (uint64_t)total);
    size_t at = 0;
    for (; pick >= acts[at].weight; at++)
        pick -= acts[at].weight;
    acts[at].act(s);
}

/* ---- seeds ---- */

static uint64_t run_seed(uint64_t seed, bool is_telling) {
    struct sim *s = k2_new(struct sim);
    struct k2_err err = {0};
    static const char *folder;
    char dir[160];
    if (!folder)
        folder = test_dir();
    snprintf(dir, sizeof dir, "%s/home", folder);
    CHECK_OK(k2_dir_make(dir, &err));
    s->seed = seed;
    s->is_telling = is_telling;
    k2_random_seed(&s->random, seed);
    home_init(&s->home, dir);
    snprintf(s->home.label, sizeof s->home.label, "seed %" PRIu64 " (K2_TEST_SEED=%" PRIu64 ")",
             seed, seed);
    world_begin(seed, &s->home.clock);
    s->home.clock.ns += 10 * DAY_S * 1000000000ll; /* room to go back and not before the trades */
    s->home.partitions = 1 + (int)below(s, 4);
    s->home.segment_bytes = 1ll << (10 + below(s, 5));
    s->home.commit_rows = 10 + (int64_t)below(s, 300);
    boot(s);
    reopen(s);
    for (int i = 0; i < ACTS; i++)
        act_any(s);
    settle_and_check(s);
    uint64_t trace = s->trace;
    close_all(s);
    disk_end();
    disk_boot(0);
    world_end();
    home_done(&s->home);
    k2_free(s);
    CHECK_OK(k2_path_remove(dir, &err));
    return trace;
}

TEST(sim_of_many_seeds) {
    const char *one = getenv("K2_TEST_SEED"), *many = getenv("K2_TEST_SEEDS");
    uint64_t count = many ? strtoull(many, NULL, 10) : SEEDS;
    if (one) {
        run_seed(strtoull(one, NULL, 10), true);
        return;
    }
    for (uint64_t seed = 1; seed <= count; seed++)
        run_seed(seed, false);
    print_message("%" PRIu64 " seeds\n", count);
}

TEST(sim_replays_a_seed_exactly) {
    for (uint64_t seed = 1; seed <= (TEST_IS_SLOW ? 2 : 8); seed++)
        if (run_seed(seed, false) != run_seed(seed, false))
            fail_msg("seed %" PRIu64 " does not go the same way twice", seed);
}
