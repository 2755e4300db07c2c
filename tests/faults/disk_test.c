/* disk_test.c -- the layer itself: what it counts, fails and forgets. */
#include "support/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "support/test.h"

struct place {
    char root[128], file[160], other[160], cut[160];
};

static struct place place_make(void) {
    struct place p;
    const char *dir = test_dir();
    snprintf(p.root, sizeof p.root, "%s/disk", dir);
    snprintf(p.file, sizeof p.file, "%s/file", p.root);
    snprintf(p.other, sizeof p.other, "%s/other", p.root);
    snprintf(p.cut, sizeof p.cut, "%s/cut", dir);
    CHECK(mkdir(p.root, 0755) == 0);
    return p;
}

/* What the surviving copy holds at name; removes the copy. */
static bool survives(const struct place *p, const char *name, uint64_t seed, struct k2_buf *out) {
    struct k2_err err = {0};
    char path[256];
    disk_cut(p->cut, seed);
    snprintf(path, sizeof path, "%s/%s", p->cut, name);
    k2_buf_clear(out);
    bool is_there = k2_path_exists(path);
    if (is_there)
        CHECK_OK(k2_file_read(path, 1 << 20, out, &err));
    CHECK_OK(k2_path_remove(p->cut, &err));
    return is_there;
}

TEST(disk_fails_the_call_that_is_due) {
    struct place p = place_make();
    struct k2_err err = {0};
    disk_watch(p.root);
    disk_rule((struct disk_rule){.calls = DISK_WRITE, .nth = 1, .error = ENOSPC});
    CHECK_OK(k2_file_replace(p.file, K2_STR("one"), &err));
    CHECK(!k2_file_replace(p.file, K2_STR("two"), &err) && err.code == K2_LIMIT);
    CHECK(strstr(err.msg, p.file));
    CHECK_OK(k2_file_replace(p.file, K2_STR("three"), &err));
    CHECK(disk_hits() == 1 && disk_calls() > 6);
    disk_no_rules();
    disk_rule((struct disk_rule){.calls = DISK_WRITE, .act = DISK_SHORT});
    CHECK_OK(k2_file_replace(p.file, K2_STR("halves"), &err));
    CHECK(disk_hits() == 2);
    disk_no_rules();
    disk_rule((struct disk_rule){
        .calls = DISK_WRITE, .act = DISK_SHORT, .and_after = true, .error = EIO});
    CHECK(!k2_file_replace(p.file, K2_STR("halves"), &err) && err.code == K2_IO);
    disk_rule((struct disk_rule){.calls = DISK_SYNC, .pattern = "*/none", .error = EIO});
    disk_end();
    struct k2_buf text = {0};
    CHECK_OK(k2_file_read(p.file, 100, &text, &err));
    CHECK(k2_str_is(k2_buf_view(&text), "halves"));
    k2_buf_done(&text);
}

TEST(disk_kills_and_stops_at_a_named_call) {
    struct place p = place_make();
    for (int act = DISK_KILL; act <= DISK_STOP; act++) {
        pid_t child = fork();
        if (child == 0) {
            struct k2_err err = {0};
            disk_watch(p.root);
            disk_rule((struct disk_rule){
                .calls = DISK_RENAME, .pattern = "*/fi?e", .act = (enum disk_act)act});
            _exit(k2_file_replace(p.other, K2_STR("a"), &err) &&
                          k2_file_replace(p.file, K2_STR("b"), &err)
                      ? 0
                      : 1);
        }
        int status;
        CHECK(waitpid(child, &status, WUNTRACED) == child);
        CHECK(k2_path_exists(p.other) && !k2_path_exists(p.file));
        if (act == DISK_KILL) {
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            continue;
        }
        CHECK(WIFSTOPPED(status));
        CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0 && k2_path_exists(p.file));
    }
}

TEST(disk_forgets_what_was_not_synced) {
    struct place p = place_make();
    struct k2_buf text = {0};
    struct k2_err err = {0};
    int lost = 0, kept = 0, torn = 0, absent = 0;
    disk_watch(p.root);
    disk_record();
    CHECK_OK(k2_file_replace(p.file, K2_STR("durable"), &err));
    for (uint64_t seed = 0; seed < 64; seed++)
        CHECK(survives(&p, "file", seed, &text) && k2_str_is(k2_buf_view(&text), "durable"));
    int fd = open(p.file, O_WRONLY | O_APPEND);
    CHECK(fd >= 0 && write(fd, " and more", 9) == 9);
    for (uint64_t seed = 0; seed < 64; seed++) {
        CHECK(survives(&p, "file", seed, &text));
        lost += k2_str_is(k2_buf_view(&text), "durable");
        kept += k2_str_is(k2_buf_view(&text), "durable and more");
        torn += text.len > 7 && !k2_str_is(k2_buf_view(&text), "durable and more");
        CHECK(text.len >= 7 && memcmp(text.ptr, "durable", 7) == 0);
    }
    CHECK(lost && kept && torn);
    CHECK(fdatasync(fd) == 0 && close(fd) == 0);
    for (uint64_t seed = 0; seed < 64; seed++)
        CHECK(survives(&p, "file", seed, &text) &&
              k2_str_is(k2_buf_view(&text), "durable and more"));
    CHECK(unlink(p.file) == 0);
    for (uint64_t seed = 0; seed < 64; seed++)
        absent += !survives(&p, "file", seed, &text);
    CHECK(absent > 0 && absent < 64);
    CHECK_OK(k2_dir_sync_parent(p.file, &err));
    for (uint64_t seed = 0; seed < 64; seed++)
        CHECK(!survives(&p, "file", seed, &text));
    disk_end();
    k2_buf_done(&text);
}

TEST(disk_sees_the_calls_of_sqlite) {
    struct place p = place_make();
    sqlite3 *db;
    disk_watch(p.root);
    disk_rule((struct disk_rule){.calls = DISK_SYNC, .nth = 2, .and_after = true, .error = EIO});
    CHECK(sqlite3_open(p.file, &db) == SQLITE_OK);
    int code = sqlite3_exec(db, "CREATE TABLE a(b); INSERT INTO a VALUES(1)", NULL, NULL, NULL);
    CHECK(code == SQLITE_IOERR && disk_hits() > 0);
    sqlite3_close(db);
    disk_end();
}

TEST(disk_says_another_boot) {
    struct k2_buf text = {0};
    struct k2_err err = {0};
    disk_boot(7);
    CHECK_OK(k2_file_read("/proc/sys/kernel/random/boot_id", 100, &text, &err));
    CHECK(k2_str_starts(k2_buf_view(&text), "00000007-"));
    disk_boot(0);
    k2_buf_done(&text);
}
