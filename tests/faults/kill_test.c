/* kill_test.c -- SIGKILL at named steps and at any call, recovery included: every acknowledged row
 * once, without an operator.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/random.h"
#include "support/disk.h"
#include "support/home.h"

/* The process dies before the nth call of that kind on such a file. */
static const struct step {
    const char *name;
    unsigned calls;
    const char *pattern;
    int choices;  /* nth is below this */
    bool is_torn; /* half of the call before is done */
} steps[] = {
    {"append", DISK_WRITE, "*.seg", 3, false},
    {"half an append", DISK_WRITE, "*.seg", 1, true},
    {"cut off half an append", DISK_TRUNCATE, "*.seg", 1, false},
    {"append written, not yet durable", DISK_SYNC, "*.seg", 3, false},
    {"seal: the next segment", DISK_CREATE, "*.seg", 1, false},
    {"trim", DISK_UNLINK, "*.seg", 2, false},
    {"open the log", DISK_OPEN, "*/control", 1, false},
    {"find the end of the log", DISK_OPEN, "*.seg", 3, false},
    {"Parquet", DISK_WRITE, "*/data/*", 6, false},
    {"Parquet written", DISK_LINK, "*.parquet", 6, false},
    {"state written", DISK_LINK, "*/_k2/state/*", 1, false},
    {"before the state is read back", DISK_OPEN, "*/_k2/state/*", 1, false},
    {"manifest written", DISK_LINK, "*-m*.avro", 4, false},
    {"manifest list written", DISK_LINK, "*/snap-*.avro", 4, false},
    {"metadata written", DISK_LINK, "*.metadata.json", 4, false},
    {"before the swap", DISK_WRITE, "*/catalog.db-wal", 12, false},
    {"in the swap", DISK_SYNC, "*/catalog.db-wal", 4, false},
    {"after the swap", DISK_LINK | DISK_RENAME, "*/version-hint.text", 6, false},
    {"catalog moved into its file", DISK_WRITE, "*/catalog.db", 1, false},
    {"any call", DISK_ALL, NULL, 0, false},
    {"any call", DISK_ALL, NULL, 0, false},
};
enum { STEPS = sizeof steps / sizeof *steps, ROUNDS_A_HOME = 60, ROWS = 60 };

static bool work(struct test_home *home, struct k2_err *err) {
    home_resume(home);
    K2_TRY(home_open(home, err));
    for (int i = 0; i < 3; i++) {
        if (!home->book->batch_rows)
            home_fill(home, ROWS);
        K2_TRY(home_append(home, err));
        K2_TRY(i == 0 || home_settle(home, err));
    }
    K2_TRY(home_trim(home, err));
    home_close(home);
    return true;
}

static void arm(const struct step *step, long nth) {
    struct disk_rule rule = {
        .calls = step->calls, .pattern = step->pattern, .nth = nth, .act = DISK_KILL};
    if (step->is_torn) {
        rule.act = DISK_SHORT;
        disk_rule(rule);
        rule.nth = nth + 1;
        rule.act = DISK_KILL;
    }
    disk_rule(rule);
}

/* Runs work in a child; true when it was killed. NULL: it is not to be. */
static bool run_child(struct test_home *home, const struct step *step, long nth) {
    pid_t child = fork();
    if (child == 0) {
        struct k2_err err = {0};
        disk_watch(home->dir);
        if (step)
            arm(step, nth);
        if (!work(home, &err)) {
            fprintf(stderr, "%s: %s\n", home->label, err.msg);
            _exit(1);
        }
        home->book->calls = disk_calls();
        _exit(0);
    }
    int status = 0;
    HOME_CHECK(home, child > 0 && waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    HOME_CHECK(home, WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return false;
}

/* Kills until so many have died; hits counts the deaths at each step. */
static long kill_in_one_home(uint64_t seed, long wanted, long *hits) {
    struct test_home *home = k2_new(struct test_home);
    struct k2_random random;
    struct k2_err err = {0};
    char dir[160];
    long killed = 0;
    snprintf(dir, sizeof dir, "%s/home", test_dir());
    home_init(home, dir);
    home->segment_bytes = 1 << 14;
    k2_random_seed(&random, seed);
    snprintf(home->label, sizeof home->label, "seed %d, no kill", (int)seed);
    CHECK(!run_child(home, NULL, 0));
    for (int round = 0; round < ROUNDS_A_HOME && killed < wanted; round++) {
        size_t at = ((size_t)round + (size_t)seed * ROUNDS_A_HOME) % STEPS;
        long choices = steps[at].choices ? steps[at].choices : home->book->calls;
        long nth = (long)k2_random_below(&random, (uint64_t)choices);
        snprintf(home->label, sizeof home->label, "seed %d, round %d: %s, call %ld", (int)seed,
                 round, steps[at].name, nth);
        bool was_killed = run_child(home, &steps[at], nth);
        killed += was_killed;
        hits[at] += was_killed;
        if (round % 10 == 9)
            home_check_after_death(home);
    }
    home_check_after_death(home);
    home_done(home);
    k2_free(home);
    CHECK_OK(k2_path_remove(dir, &err));
    return killed;
}

TEST(kills_at_every_step) {
    const char *wish = getenv("K2_TEST_KILLS");
    long wanted = wish           ? strtol(wish, NULL, 10)
                  : TEST_IS_SLOW ? 20
                                 : 50,
         killed = 0, hits[STEPS] = {0};
    for (uint64_t seed = 0; killed < wanted; seed++)
        killed += kill_in_one_home(seed, wanted - killed, hits);
    print_message("%ld kills\n", killed);
    for (int i = 0; i < STEPS; i++)
        print_message("  %3ld %s\n", hits[i], steps[i].name);
    for (int i = 0; i < STEPS; i++)
        CHECK(hits[i] > 0 || wanted < 50);
}
