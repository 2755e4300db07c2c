/* pipeline_faults_test.c -- a whole run, from appends to commits, with one call or all failing. */
#include <stdlib.h>

#include "base/alloc.h"
#include "faults/loop.h"
#include "support/disk.h"
#include "support/home.h"

static void *begin(const char *dir, const char *label) {
    struct test_home *home = k2_new(struct test_home);
    home_init(home, dir);
    snprintf(home->label, sizeof home->label, "%s", label);
    disk_boot(1);
    return home;
}

static void end(void *self) {
    disk_boot(0);
    home_done(self);
    k2_free(self);
}

static bool open_again(struct test_home *home, struct k2_err *err) {
    home_close(home);
    return home_open(home, err);
}

static bool work(struct test_home *home, struct k2_err *err) {
    K2_TRY(home_open(home, err));
    for (int i = 0; i < 4; i++) {
        K2_TRY(i != 2 || open_again(home, err));
        if (!home->book->batch_rows)
            home_fill(home, 75);
        K2_TRY(home_append(home, err));
        K2_TRY(i % 2 == 0 || (home_settle(home, err) && home_trim(home, err)));
    }
    return true;
}

static bool run(void *self, struct k2_err *err) {
    bool ok = work(self, err);
    home_close(self);
    return ok;
}

/* What was acknowledged is there; what was not is appended again, and more after it. */
static void check(void *self, bool is_rebooted) {
    struct test_home *home = self;
    struct k2_err err = {0};
    if (is_rebooted)
        disk_boot(2);
    HOME_OK(home, home_open(home, &err));
    HOME_OK(home, home_settle(home, &err));
    home_check(home);
    if (!home->book->batch_rows)
        home_fill(home, 75);
    HOME_OK(home, home_append(home, &err));
    HOME_OK(home, home_settle(home, &err));
    home_check(home);
    home_close(home);
}

static const struct fault_subject a_pipeline_run = {
    .name = "pipeline", .begin = begin, .run = run, .check = check, .end = end, .stride = 31};

TEST(faults_in_a_pipeline_run) {
    fault_loops(&a_pipeline_run);
}

TEST(power_cuts_in_a_pipeline_run) {
    power_cuts(&a_pipeline_run);
}
