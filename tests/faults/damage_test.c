/* damage_test.c -- files that were damaged, lost or may not be written: what K2 says, and that
 * nothing else is lost. Each test mends what it broke and finds everything.
 */
#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "support/disk.h"
#include "support/home.h"

/* One file that is broken and mended. */
struct broken {
    char path[400], kept[420];
};

static char wanted[64], found[400];
static bool is_last_wanted;

static int look(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)ftw;
    bool is_better = !found[0] || (strcmp(path, found) > 0) == is_last_wanted;
    if (flag == FTW_F && fnmatch(wanted, path, 0) == 0 && is_better)
        snprintf(found, sizeof found, "%s", path);
    return 0;
}

/* The first or last file, by name, whose path fits. A copy is kept elsewhere. */
static struct broken pick(struct test_home *home, const char *pattern, bool is_last) {
    struct broken b;
    struct k2_err err = {0};
    struct k2_buf bytes = {0};
    snprintf(wanted, sizeof wanted, "%s", pattern);
    found[0] = 0;
    is_last_wanted = is_last;
    CHECK(nftw(home->dir, look, 16, FTW_PHYS) == 0 && found[0]);
    snprintf(b.path, sizeof b.path, "%s", found);
    snprintf(b.kept, sizeof b.kept, "%s.kept", test_dir());
    CHECK_OK(k2_file_read(b.path, 1 << 24, &bytes, &err));
    CHECK_OK(k2_file_replace(b.kept, k2_buf_view(&bytes), &err));
    k2_buf_done(&bytes);
    return b;
}

static void change_byte(const struct broken *b, size_t at) {
    struct k2_err err = {0};
    struct k2_buf bytes = {0};
    CHECK_OK(k2_file_read(b->path, 1 << 24, &bytes, &err));
    CHECK(at < bytes.len);
    bytes.ptr[at] = (char)(bytes.ptr[at] ^ 0x10);
    CHECK_OK(k2_file_replace(b->path, k2_buf_view(&bytes), &err));
    k2_buf_done(&bytes);
}

static void cut_in_half(const struct broken *b) {
    struct stat st;
    CHECK(stat(b->path, &st) == 0 && truncate(b->path, st.st_size / 2) == 0);
}

static void mend(const struct broken *b) {
    struct k2_err err = {0};
    struct k2_buf bytes = {0};
    CHECK_OK(k2_file_read(b->kept, 1 << 24, &bytes, &err));
    CHECK_OK(k2_file_replace(b->path, k2_buf_view(&bytes), &err));
    CHECK(unlink(b->kept) == 0);
    k2_buf_done(&bytes);
}

static void append_more(struct test_home *home, int batches) {
    struct k2_err err = {0};
    for (int i = 0; i < batches; i++) {
        home_fill(home, 60);
        HOME_OK(home, home_append(home, &err));
    }
}

/* A home with committed rows, closed. */
static struct test_home *filled(const char *label) {
    struct test_home *home = k2_new(struct test_home);
    struct k2_err err = {0};
    disk_boot(1);
    home_init(home, test_dir());
    snprintf(home->label, sizeof home->label, "%s", label);
    HOME_OK(home, home_open(home, &err));
    append_more(home, 3);
    HOME_OK(home, home_settle(home, &err));
    home_close(home);
    return home;
}

static void finish(struct test_home *home) {
    struct k2_err err = {0};
    HOME_OK(home, home_open(home, &err));
    if (home->book->batch_rows)
        HOME_OK(home, home_append(home, &err));
    append_more(home, 1);
    HOME_OK(home, home_settle(home, &err));
    home_check(home);
    home_done(home);
    k2_free(home);
    disk_boot(0);
}

/* The call failed, with that code, and says which file and what to do. */
static void check_said(const struct test_home *home, bool ok, const struct k2_err *err,
                       enum k2_code code, const char *file, const char *remedy) {
    const char *name = strrchr(file, '/');
    if (ok || err->code != code || !strstr(err->msg, name ? name + 1 : file) ||
        !strstr(err->msg, remedy))
        fail_msg("%s: code %d: %s", home->label, err->code, ok ? "it went well" : err->msg);
}

/* ---- the log ---- */

TEST(damage_in_a_segment_is_found_and_nothing_thrown_away) {
    struct test_home *home = filled("a byte in the first segment");
    struct broken b = pick(home, "*.simx/*.seg", false);
    struct k2_err err = {0};
    change_byte(&b, 300);
    disk_boot(2); /* so that the end of the log is looked for in the segments */
    check_said(home, home_open(home, &err), &err, K2_CORRUPT, ".simx", "restore");
    mend(&b);
    finish(home);
}

TEST(damage_under_a_reader_stops_it) {
    struct test_home *home = k2_new(struct test_home);
    struct k2_err err = {0};
    home_init(home, test_dir());
    snprintf(home->label, sizeof home->label, "a byte in a segment that is read");
    HOME_OK(home, home_open_log(home, &err));
    append_more(home, 3);
    home_close(home);
    struct broken b = pick(home, "*.simx/*.seg", false);
    change_byte(&b, 300);
    HOME_OK(home, home_open(home, &err));
    check_said(home, home_settle(home, &err), &err, K2_CORRUPT, ".simx", "");
    home_close(home);
    mend(&b);
    finish(home);
}

TEST(damage_a_missing_segment_is_said) {
    struct test_home *home = filled("the first segment but one is gone");
    struct broken last = pick(home, "*.simx/*.seg", true), b = pick(home, "*.simx/*.seg", false);
    struct k2_err err = {0};
    CHECK(strcmp(b.path, last.path) != 0 && unlink(last.kept) == 0);
    CHECK(truncate(b.path, 0) == 0);
    disk_boot(2);
    check_said(home, home_open(home, &err), &err, K2_CORRUPT, ".simx", "restore");
    mend(&b);
    finish(home);
}

TEST(damage_at_the_log_end_that_tables_have_read_stops_the_topic) {
    struct test_home *home = filled("the last segment is cut");
    struct broken b = pick(home, "*.simx/*.seg", true);
    struct k2_err err = {0};
    cut_in_half(&b);
    disk_boot(2); /* it is the same as half an append: what was acknowledged only the tables know */
    HOME_OK(home, home_open(home, &err));
    check_said(home, home_settle(home, &err), &err, K2_CONFLICT, "market.equities.trades.simx",
               "k2 log accept");
    home_close(home);
    mend(&b);
    disk_boot(3);
    finish(home);
}

/* ---- the tables ---- */

TEST(damage_to_a_data_file_is_said_and_the_rest_goes_on) {
    struct test_home *home = filled("half a Parquet file");
    struct broken b = pick(home, "*/trades/data/*.parquet", false);
    struct k2_err err = {0};
    cut_in_half(&b);
    HOME_OK(home, home_open(home, &err));
    append_more(home, 2);
    HOME_OK(home, home_settle(home, &err)); /* commits do not need it */
    check_said(home, home_read(home, &err), &err, K2_CORRUPT, b.path, "");
    CHECK(home_verify(home) > 0);
    home_close(home);
    mend(&b);
    finish(home);
}

TEST(damage_to_the_state_object_is_mended_from_the_tables) {
    struct test_home *home = filled("half a state object");
    struct broken b = pick(home, "*/_k2/state/*", false);
    cut_in_half(&b);
    finish(home);
    CHECK(unlink(b.kept) == 0);
}

TEST(damage_to_metadata_is_said) {
    static const char *const ways[] = {"missing", "not JSON", "cut"};
    for (size_t i = 0; i < K2_COUNT(ways); i++) {
        struct test_home *home = filled(ways[i]);
        struct broken b = pick(home, "*/trades/metadata/*.metadata.json", true);
        struct k2_err err = {0};
        if (i == 0)
            CHECK(unlink(b.path) == 0);
        else if (i == 1)
            CHECK_OK(k2_file_replace(b.path, K2_STR("what is this?"), &err));
        else
            cut_in_half(&b);
        check_said(home, home_open(home, &err), &err, i ? K2_CORRUPT : K2_NOT_FOUND, b.path,
                   "restore");
        mend(&b);
        finish(home);
    }
}

TEST(damage_a_catalog_that_is_gone_is_never_begun_anew) {
    struct test_home *home = filled("no catalog");
    struct k2_err err = {0};
    char catalog[200], kept[220];
    snprintf(catalog, sizeof catalog, "%s/catalog.db", home->dir);
    snprintf(kept, sizeof kept, "%s.kept", catalog);
    CHECK(rename(catalog, kept) == 0);
    check_said(home, home_open(home, &err), &err, K2_INVALID, "version-hint.text", "restore");
    CHECK(rename(kept, catalog) == 0);
    finish(home);
}

TEST(damage_to_the_catalog_is_said) {
    struct test_home *home = filled("no database");
    struct broken b = pick(home, "*/catalog.db", false);
    struct k2_err err = {0};
    struct k2_buf noise = {0};
    for (int i = 0; i < 1000; i++)
        k2_buf_text(&noise, "noise ");
    CHECK_OK(k2_file_replace(b.path, k2_buf_view(&noise), &err));
    k2_buf_done(&noise);
    check_said(home, home_open(home, &err), &err, K2_CORRUPT, b.path, "");
    mend(&b);
    finish(home);
}

/* ---- the disk ---- */

TEST(damage_a_full_disk_is_said_and_passes) {
    struct test_home *home = filled("a full disk");
    struct k2_err err = {0};
    HOME_OK(home, home_open(home, &err));
    home_fill(home, 60);
    disk_watch(home->dir);
    disk_rule((struct disk_rule){
        .calls = DISK_WRITE, .act = DISK_SHORT, .and_after = true, .error = ENOSPC});
    for (int i = 0; i < 3; i++) {
        check_said(home, home_append(home, &err), &err, K2_LIMIT, "No space left on device", "");
        CHECK(err.retriable);
    }
    disk_end();
    HOME_OK(home, home_append(home, &err)); /* without opening anything again */
    disk_watch(home->dir);
    disk_rule((struct disk_rule){.calls = DISK_GROWS, .and_after = true, .error = ENOSPC});
    check_said(home, home_settle(home, &err), &err, K2_LIMIT, "No space left on device", "");
    disk_end();
    HOME_OK(home, home_settle(home, &err));
    home_close(home);
    finish(home);
}

TEST(damage_a_read_only_disk_is_said) {
    struct test_home *home = filled("a read-only disk");
    struct k2_err err = {0};
    disk_watch(home->dir);
    disk_rule((struct disk_rule){.calls = DISK_CHANGES, .and_after = true, .error = EROFS});
    bool ok = home_open(home, &err);
    home_fill(home, 60);
    ok = ok && home_append(home, &err);
    disk_end();
    check_said(home, ok, &err, K2_IO, home->dir, "Read-only file system");
    home_close(home);
    finish(home);
}

TEST(damage_none_by_a_clock_that_jumps_back) {
    struct test_home *home = filled("a clock that jumps");
    struct k2_err err = {0};
    static const int64_t jumps_s[] = {30 * 86400, -86400, -20 * 86400, -60, 86400};
    HOME_OK(home, home_open(home, &err));
    for (size_t i = 0; i < K2_COUNT(jumps_s); i++) {
        home->clock.ns += jumps_s[i] * 1000000000;
        append_more(home, 1);
        HOME_OK(home, home_settle(home, &err));
        HOME_OK(home, home_trim(home, &err));
        home_check(home);
    }
    home_close(home);
    finish(home);
}
