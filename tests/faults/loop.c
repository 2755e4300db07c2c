/* loop.c -- every kind of fault, and a power cut, at every call of a subject. */
#include "faults/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "support/disk.h"
#include "support/test.h"

static const struct kind {
    const char *name;
    struct disk_rule rule;
} kinds[] = {
    {"EIO once", {.calls = DISK_ALL, .error = EIO}},
    {"EIO from then on", {.calls = DISK_CHANGES, .error = EIO, .and_after = true}},
    {"ENOSPC once", {.calls = DISK_GROWS, .error = ENOSPC}},
    {"ENOSPC from then on", {.calls = DISK_GROWS, .error = ENOSPC, .and_after = true}},
    {"one short call", {.calls = DISK_WRITE | DISK_READ, .act = DISK_SHORT}},
    {"a short write, then ENOSPC",
     {.calls = DISK_WRITE, .act = DISK_SHORT, .error = ENOSPC, .and_after = true}},
    {"fsync fails", {.calls = DISK_SYNC, .error = EIO}},
};

/* Codes that say the outer world failed; any other means a fault was taken for something else.
 * SQLite itself takes a read that fails for a damaged file. */
static bool is_clean(const struct k2_err *err, const char *dir) {
    bool is_outer = err->code == K2_IO || err->code == K2_LIMIT || err->code == K2_UNAVAILABLE;
    bool is_sqlite = err->code == K2_CORRUPT && strstr(err->msg, "catalog.db");
    return (is_outer || is_sqlite) && strstr(err->msg, dir);
}

/* One for all runs of the program, which are very many. */
static const char *folder(void) {
    static const char *made;
    if (!made)
        made = test_dir();
    return made;
}

/* Returns false when the run met no fault. */
static bool run_once(const struct fault_subject *subject, const struct kind *kind, long nth) {
    char label[128], dir[160];
    struct k2_err err = {0}, ignored = {0};
    struct disk_rule rule = kind->rule;
    snprintf(label, sizeof label, "%s: %s at call %ld", subject->name, kind->name, nth);
    snprintf(dir, sizeof dir, "%s/disk", folder());
    void *self = subject->begin(dir, label);
    rule.nth = nth;
    disk_watch(dir);
    disk_rule(rule);
    bool ok = subject->run(self, &err);
    bool was_hit = disk_hits() > 0;
    disk_end();
    if (!ok && !was_hit)
        fail_msg("%s: fails without a fault: %s", label, err.msg);
    if (!ok && !is_clean(&err, dir))
        fail_msg("%s: code %d: %s", label, err.code, err.msg);
    subject->check(self, false);
    subject->end(self);
    CHECK(k2_path_remove(dir, &ignored));
    return was_hit;
}

static long stride_of(const struct fault_subject *subject) {
    const char *wish = getenv("K2_TEST_FAULTS");
    if (wish && strcmp(wish, "all") == 0)
        return 1;
    return (subject->stride < 1 ? 1 : subject->stride) * (TEST_IS_SLOW ? 8 : 1);
}

void fault_loops(const struct fault_subject *subject) {
    long total = 0, stride = stride_of(subject);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        /* Each kind begins at another call, so that a stride does not always pass over the same. */
        for (long nth = (long)k % stride; run_once(subject, &kinds[k], nth); nth += stride)
            total++;
    }
    print_message("%s: %ld faults\n", subject->name, total);
}

struct power {
    char remains[200];
    uint64_t seed;
};

static void cut_power(void *self) {
    struct power *power = self;
    disk_cut(power->remains, power->seed);
}

/* The call at which the power goes fails, and so does all after it: what is acknowledged then is
 * what was before. Returns false when the run has fewer calls. */
static bool cut_once(const struct fault_subject *subject, long nth, uint64_t seed) {
    char label[128], dir[160];
    struct k2_err err = {0}, ignored = {0};
    struct power power = {.seed = seed};
    snprintf(label, sizeof label, "%s: power cut at call %ld, seed %llu", subject->name, nth,
             (unsigned long long)seed);
    snprintf(dir, sizeof dir, "%s/disk", folder());
    snprintf(power.remains, sizeof power.remains, "%s.remains", dir);
    CHECK_OK(k2_dir_make(dir, &err));
    void *self = subject->begin(dir, label);
    disk_watch(dir);
    disk_record();
    disk_rule((struct disk_rule){.calls = DISK_CHANGES,
                                 .nth = nth,
                                 .act = DISK_TELL,
                                 .error = EIO,
                                 .tell = cut_power,
                                 .self = &power});
    disk_rule(
        (struct disk_rule){.calls = DISK_CHANGES, .nth = nth + 1, .and_after = true, .error = EIO});
    bool ok = subject->run(self, &err), was_hit = disk_hits() > 0;
    disk_end();
    if (!ok && !was_hit)
        fail_msg("%s: fails without a cut: %s", label, err.msg);
    if (was_hit) {
        CHECK_OK(k2_path_remove(dir, &err));
        CHECK(rename(power.remains, dir) == 0);
        subject->check(self, true);
    }
    subject->end(self);
    CHECK(k2_path_remove(dir, &ignored));
    return was_hit;
}

void power_cuts(const struct fault_subject *subject) {
    enum { REMAINS = 4 };
    long total = 0, stride = stride_of(subject);
    bool has_more = true;
    for (long nth = 0; has_more; nth += stride)
        for (uint64_t seed = 1; has_more && seed <= REMAINS; seed++, total += has_more)
            has_more = cut_once(subject, nth, (uint64_t)nth * REMAINS + seed);
    print_message("%s: %ld power cuts\n", subject->name, total);
}
