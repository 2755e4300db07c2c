/* heap_test.c -- no memory left, at one allocation after another. K2's own end the program with a
 * message (base/alloc.h); SQLite's come back as errors. What was acknowledged is there either way.
 */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "support/heap.h"
#include "support/home.h"

enum { RUNS = TEST_IS_SLOW ? 10 : 40 };

/* SQLite's allocations, counted apart. */
static sqlite3_mem_methods plain;
static long sqlite_calls, sqlite_fails_at;

static void *sqlite_malloc(int size) {
    return sqlite_calls++ == sqlite_fails_at ? NULL : plain.xMalloc(size);
}

static void *sqlite_realloc(void *memory, int size) {
    return sqlite_calls++ == sqlite_fails_at ? NULL : plain.xRealloc(memory, size);
}

static void arm_sqlite(long nth) {
    sqlite_calls = 0;
    sqlite_fails_at = nth;
    CHECK(sqlite3_shutdown() == SQLITE_OK);
    CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) == SQLITE_OK);
    sqlite3_mem_methods counted = plain;
    counted.xMalloc = sqlite_malloc;
    counted.xRealloc = sqlite_realloc;
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &counted) == SQLITE_OK);
}

static const struct heap {
    const char *name;
    void (*arm)(long nth);
    long *calls; /* NULL: heap_calls */
    bool aborts;
} heaps[] = {{"K2's heap", heap_fail, NULL, true},
             {"SQLite's heap", arm_sqlite, &sqlite_calls, false}};

static bool work(struct test_home *home, struct k2_err *err) {
    home_resume(home);
    K2_TRY(home_open(home, err));
    for (int i = 0; i < 3; i++) {
        if (!home->book->batch_rows)
            home_fill(home, 60);
        K2_TRY(home_append(home, err));
        K2_TRY(i == 0 || home_settle(home, err));
    }
    home_close(home);
    return true;
}

/* What the child said when it ended. */
static void read_last_words(const char *path, char *text, size_t size) {
    struct k2_buf bytes = {0};
    struct k2_err err = {0};
    CHECK_OK(k2_file_read(path, 1 << 20, &bytes, &err));
    snprintf(text, size, "%s", k2_buf_cstr(&bytes));
    k2_buf_done(&bytes);
}

/* True when the child ended early, as it should where nth is reached. */
static bool run_child(struct test_home *home, const struct heap *heap, long nth) {
    char words[200], said[600];
    snprintf(words, sizeof words, "%s.words", home->dir);
    pid_t child = fork();
    if (child == 0) {
        struct k2_err err = {0};
        int fd = open(words, O_CREAT | O_TRUNC | O_WRONLY, 0644);
        dup2(fd, 2);
        heap->arm(nth);
        bool ok = work(home, &err);
        home->book->calls = heap->calls ? *heap->calls : heap_calls();
        heap_fail(-1);
        if (!ok)
            fprintf(stderr, "%s\n", err.msg);
        _exit(ok ? 0 : err.code == K2_BUG ? 2 : 1);
    }
    int status = 0;
    HOME_CHECK(home, child > 0 && waitpid(child, &status, 0) == child);
    read_last_words(words, said, sizeof said);
    bool has_aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (WIFEXITED(status) && WEXITSTATUS(status) < 2)
        return WEXITSTATUS(status) == 1;
    if (!heap->aborts || !has_aborted || !strstr(said, "out of memory asking for"))
        fail_msg("%s: status %x: %s", home->label, (unsigned)status, said);
    return true;
}

static void fail_over(const struct heap *heap) {
    struct test_home *home = k2_new(struct test_home);
    char dir[160];
    long ended = 0;
    const char *wish = getenv("K2_TEST_FAULTS");
    long runs = wish && strcmp(wish, "all") == 0 ? RUNS * 5 : RUNS;
    snprintf(dir, sizeof dir, "%s/home", test_dir());
    home_init(home, dir);
    snprintf(home->label, sizeof home->label, "%s", heap->name);
    HOME_CHECK(home, !run_child(home, heap, -1));
    long total = home->book->calls;
    CHECK(total > runs);
    for (long i = 0; i < runs; i++) {
        long nth = total * i / runs + i % 7;
        snprintf(home->label, sizeof home->label, "%s: allocation %ld", heap->name, nth);
        ended += run_child(home, heap, nth);
        if (i % 20 == 19)
            home_check_after_death(home);
    }
    home_check_after_death(home);
    CHECK(ended > 0);
    print_message("%s: %ld of %ld runs ended early\n", heap->name, ended, runs);
    home_done(home);
    k2_free(home);
}

TEST(no_memory_left_loses_nothing) {
    for (size_t i = 0; i < K2_COUNT(heaps); i++)
        fail_over(&heaps[i]);
}
