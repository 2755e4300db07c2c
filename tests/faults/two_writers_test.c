/* two_writers_test.c -- two pipelines forced onto the same log partitions with equal epochs, one
 * stopped in the middle of a commit and continued when the other has gone on: nothing is lost,
 * nothing is there twice (docs/rules.md: commit).
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "support/disk.h"
#include "support/home.h"

enum { ROWS = 200 };

enum then {
    THE_OTHER_GOES_ON, /* nothing holds it back */
    THE_OTHER_WAITS,   /* in the queue of committers, until the stopped one goes on */
    THE_QUEUE_IS_GONE, /* somebody has removed the lock file: only the swap keeps them apart */
};

/* Where the first writer stops. */
static const struct stop {
    const char *name;
    unsigned calls;
    const char *pattern;
    enum then then;
} stops[] = {
    {"with its data written", DISK_LINK, "*.parquet", THE_OTHER_GOES_ON},
    {"before its state is written", DISK_CREATE, "*/_k2/state*", THE_OTHER_GOES_ON},
    {"with a manifest", DISK_LINK, "*-m*.avro", THE_OTHER_WAITS},
    {"with a manifest", DISK_LINK, "*-m*.avro", THE_QUEUE_IS_GONE},
    {"with a manifest list", DISK_LINK, "*/snap-*.avro", THE_QUEUE_IS_GONE},
    {"with its metadata", DISK_LINK, "*.metadata.json", THE_QUEUE_IS_GONE},
    {"in the swap", DISK_WRITE, "*/catalog.db-wal", THE_OTHER_WAITS},
    {"after the swap", DISK_LINK | DISK_RENAME, "*/version-hint.text", THE_QUEUE_IS_GONE},
};

static bool take_epoch(void *self, struct k2_str topic, int log_partition,
                       const struct k2_position *position) {
    (void)topic, (void)log_partition;
    *(int64_t *)self = K2_MAX(*(int64_t *)self, position->epoch);
    return true;
}

static int64_t highest_epoch(struct test_home *home) {
    const char *table = "market_data.trades";
    const struct k2_metadata *metadata = NULL;
    struct k2_err err = {0};
    int64_t epoch = 0;
    HOME_OK(home, k2_lake_load(home->lake, &table, 1, &metadata, &err));
    HOME_OK(home, k2_position_each(metadata, take_epoch, &epoch, &err));
    k2_metadata_unref(metadata);
    return epoch;
}

static void append(struct test_home *home) {
    struct k2_err err = {0};
    for (int i = 0; i < 2; i++) {
        home_fill(home, ROWS / 2);
        HOME_OK(home, home_append(home, &err));
    }
}

struct writer {
    const char *name;
    pid_t child;
    int go; /* a byte lets it go on from where it has opened */
};

static bool write_on(struct test_home *home, const struct stop *stop, int ready, int go,
                     struct k2_err *err) {
    char byte;
    home->book->opens = 1; /* other settings than those of the state that is there */
    K2_TRY(home_open(home, err));
    if (write(ready, "", 1) != 1 || read(go, &byte, 1) != 1)
        return k2_err_set(err, K2_BUG, "nobody is there any more");
    if (stop) {
        disk_watch(home->dir);
        disk_rule(
            (struct disk_rule){.calls = stop->calls, .pattern = stop->pattern, .act = DISK_STOP});
    } else {
        append(home);
    }
    return home_settle(home, err);
}

/* Opens the home in a child, which does not outlive a test that fails. With stop it stops in its
 * commit, without it appends more and commits all there is. */
static void start(struct test_home *home, struct writer *writer, const struct stop *stop) {
    int ready[2], go[2];
    char byte;
    CHECK(pipe2(ready, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
    writer->child = fork();
    if (writer->child == 0) {
        struct k2_err err = {0};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(go[1]);
        bool ok = write_on(home, stop, ready[1], go[0], &err);
        if (!ok)
            fprintf(stderr, "%s: the %s one: %s\n", home->label, writer->name, err.msg);
        _exit(ok ? 0 : 1);
    }
    close(ready[1]);
    close(go[0]);
    writer->go = go[1];
    HOME_CHECK(home, writer->child > 0 && read(ready[0], &byte, 1) == 1);
    close(ready[0]);
}

static void let_go(struct test_home *home, struct writer *writer) {
    HOME_CHECK(home, write(writer->go, "", 1) == 1);
    close(writer->go);
}

static void wait_for(struct test_home *home, const struct writer *writer) {
    int status;
    HOME_CHECK(home, waitpid(writer->child, &status, 0) == writer->child);
    HOME_CHECK(home, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Both have opened where the tables stand now: their epochs are equal. */
static void run_both(struct test_home *home, const struct stop *stop) {
    struct writer first = {.name = "stopped"}, second = {.name = "other"};
    char lock[200];
    int status;
    snprintf(lock, sizeof lock, "%s/catalog.db.lock", home->dir);
    start(home, &first, stop);
    if (stop->then == THE_QUEUE_IS_GONE)
        HOME_CHECK(home, unlink(lock) == 0);
    start(home, &second, NULL);
    let_go(home, &first);
    HOME_CHECK(home, waitpid(first.child, &status, WUNTRACED) == first.child);
    HOME_CHECK(home, WIFSTOPPED(status));
    let_go(home, &second);
    if (stop->then == THE_OTHER_WAITS)
        usleep(50000); /* so that it comes to wait; if it has not, the rest holds all the same */
    else
        wait_for(home, &second);
    HOME_CHECK(home, kill(first.child, SIGCONT) == 0);
    wait_for(home, &first);
    if (stop->then == THE_OTHER_WAITS)
        wait_for(home, &second);
}

TEST(two_writers_of_one_log_partition) {
    for (size_t i = 0; i < K2_COUNT(stops); i++) {
        struct test_home *home = k2_new(struct test_home);
        struct k2_err err = {0};
        home_init(home, test_dir());
        snprintf(home->label, sizeof home->label, "stopped %s", stops[i].name);
        HOME_OK(home, home_open(home, &err));
        append(home);
        HOME_OK(home, home_settle(home, &err));
        int64_t epoch = highest_epoch(home);
        append(home);
        home_close(home);
        run_both(home, &stops[i]);
        HOME_OK(home, home_open(home, &err));
        HOME_CHECK(home, highest_epoch(home) >= epoch + 1);
        append(home);
        HOME_OK(home, home_settle(home, &err));
        home_check(home);
        home_done(home);
        k2_free(home);
    }
}
