/* loop.c -- every kind of fault at every call of a subject. */
#include "faults/loop.h"

#include <errno.h>
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

/* Returns false when the run met no fault. */
static bool run_once(const struct fault_subject *subject, const struct kind *kind, long nth) {
    char label[128], dir[160];
    struct k2_err err = {0}, ignored = {0};
    struct disk_rule rule = kind->rule;
    snprintf(label, sizeof label, "%s: %s at call %ld", subject->name, kind->name, nth);
    snprintf(dir, sizeof dir, "%s/disk", test_dir());
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
    subject->check(self);
    subject->end(self);
    CHECK(k2_path_remove(dir, &ignored));
    return was_hit;
}

void fault_loops(const struct fault_subject *subject) {
    const char *wish = getenv("K2_TEST_FAULTS");
    long stride = wish && strcmp(wish, "all") == 0 ? 1 : subject->stride > 1 ? subject->stride : 1;
    long total = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        long runs = 0;
        /* Each kind begins at another call, so that a stride does not always pass over the same. */
        for (long nth = (long)k % stride; run_once(subject, &kinds[k], nth); nth += stride)
            runs++;
        total += runs;
    }
    print_message("%s: %ld faults\n", subject->name, total);
}
