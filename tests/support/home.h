/* home.h -- a whole K2 in a folder, fed with numbered trades whose fate is known.
 *
 * Trades of a few symbols are numbered densely, but some numbers are never sent (gaps, and a few of
 * those are filled later) and some are sent with a price that is no price (dead letters). What was
 * acknowledged must be in the tables exactly once, whatever happened; what was tried must be there
 * at most once.
 */
#ifndef K2_TESTS_SUPPORT_HOME_H
#define K2_TESTS_SUPPORT_HOME_H

#include "base/clock.h"
#include "pipeline/pipeline.h"
#include "support/test.h"

enum { HOME_SYMBOLS = 5, HOME_NUMBERS = 4096, HOME_BATCH = 1024 };

/* What was sent and what became of it. It lies in memory that forked children share, so that it
 * outlives a process that is killed. */
struct test_book {
    int64_t next[HOME_SYMBOLS];
    int batch_rows;
    struct {
        int symbol, number;
    } in_batch[HOME_BATCH];
    uint8_t fate[HOME_SYMBOLS][HOME_NUMBERS]; /* enum in home.c */
    long opens, calls;                        /* of the home; of files, as a test counts them */
};

struct test_home {
    char dir[160];
    char label[128]; /* said when a check fails: which fault, which seed */
    int partitions;
    int64_t segment_bytes, commit_rows;
    uint64_t seed; /* of file names; 0: from the kernel */
    struct k2_clock_fake clock;
    struct k2_registry *registry;
    struct k2_log *log;
    struct k2_lake *lake;
    struct k2_pipeline *pipeline;
    struct k2_intern strings;
    struct k2_batch *batch;
    struct test_book *book;
};

/* A home to be opened in dir; nothing is done there yet. */
void home_init(struct test_home *home, const char *dir);
void home_done(struct test_home *home);
/* Opens registry, log, lake and pipeline, or none of them. */
bool home_open(struct test_home *home, struct k2_err *err) K2_MUST;
/* Opens registry and log, for those that only append. */
bool home_open_log(struct test_home *home, struct k2_err *err) K2_MUST;
void home_close(struct test_home *home);
/* A lake and a pipeline of their own on the same home, as another process would open them, and
 * their end. */
bool home_open_rival(struct test_home *home, struct k2_lake **ret_lake,
                     struct k2_pipeline **ret_pipeline, struct k2_err *err) K2_MUST;
void home_close_rival(struct k2_lake *lake, struct k2_pipeline *pipeline);

/* Puts rows more trades into the batch. */
void home_fill(struct test_home *home, int rows);
/* Makes the batch again from the book: what a process that died had not been told is durable. */
void home_resume(struct test_home *home);
/* Appends the batch and forgets it; after an error it stays, to be appended again. */
bool home_append(struct test_home *home, struct k2_err *err) K2_MUST;
/* Works until there is nothing left to do, and commits. */
bool home_settle(struct test_home *home, struct k2_err *err) K2_MUST;
/* Trims the log as far as tables and state allow. */
bool home_trim(struct test_home *home, struct k2_err *err) K2_MUST;

/* Fails the test unless the tables hold every acknowledged trade once, nothing twice, each gap and
 * dead letter once, and keep every rule verify knows. Open and settled. */
void home_check(struct test_home *home);
/* After the process that worked on it died: goes on where the book says it was, then as home_check.
 * Closed before and after. */
void home_check_after_death(struct test_home *home);
/* Reads all rows of all tables. */
bool home_read(struct test_home *home, struct k2_err *err) K2_MUST;
/* How many rules verify finds broken, over all tables. */
int64_t home_verify(struct test_home *home);
/* The sum of all positions of the main table: it never falls. */
int64_t home_position(struct test_home *home);

/* As CHECK_OK, naming the home's label. */
#define HOME_OK(home, call)                                                                        \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s: %s", (home)->label, #call, err.msg);                                 \
    } while (0)
#define HOME_CHECK(home, cond)                                                                     \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail_msg("%s: CHECK(%s)", (home)->label, #cond);                                       \
    } while (0)

#endif
