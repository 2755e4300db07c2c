/* file_test.c -- whole files, folders, and the lock between processes. */
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "support/test.h"

static const char *path_in(const char *dir, const char *name) {
    static char paths[8][256];
    static int at;
    char *path = paths[at++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

TEST(file_replace_and_read) {
    const char *path = path_in(test_dir(), "f");
    struct k2_err err = {0};
    struct k2_buf buf = {0};
    CHECK_OK(k2_file_replace(path, K2_STR("one"), &err));
    CHECK_OK(k2_file_replace(path, K2_STR("second"), &err));
    CHECK_OK(k2_file_read(path, 100, &buf, &err));
    CHECK(k2_str_is(k2_buf_view(&buf), "second"));
    CHECK(!k2_file_read(path, 5, &buf, &err) && err.code == K2_LIMIT);
    k2_buf_done(&buf);
}

TEST(file_replace_leaves_no_temporary_file_behind) {
    const char *dir = test_dir();
    struct k2_err err = {0};
    CHECK_OK(k2_dir_make(path_in(dir, "taken"), &err));
    CHECK(!k2_file_replace(path_in(dir, "taken"), K2_STR("x"), &err)); /* a folder is in the way */
    CHECK(!k2_file_replace(path_in(dir, "none/f"), K2_STR("x"), &err));
    assert_int_equal(err.code, K2_NOT_FOUND);
    CHECK(rmdir(path_in(dir, "taken")) == 0);
    CHECK(rmdir(dir) == 0); /* only an empty folder goes */
    CHECK(mkdir(dir, 0700) == 0);
}

TEST(file_read_errors) {
    const char *dir = test_dir();
    struct k2_err err = {0};
    struct k2_buf buf = {0};
    CHECK(!k2_file_read(path_in(dir, "none"), 100, &buf, &err) && err.code == K2_NOT_FOUND);
    CHECK(strstr(err.msg, "/none"));
    CHECK(!k2_file_read(dir, 100, &buf, &err) && err.code == K2_INVALID);
    k2_buf_done(&buf);
}

TEST(dir_make_temp_makes_a_new_one_each_time) {
    const char *dir = test_dir();
    struct k2_err err = {0};
    struct stat st;
    char *one = k2_dir_make_temp(dir, "name", &err), *two = k2_dir_make_temp(dir, "name", &err);
    CHECK(one && two && strcmp(one, two) != 0);
    CHECK(strncmp(one, path_in(dir, "name-"), strlen(dir) + 6) == 0);
    CHECK(stat(one, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
    CHECK(!k2_dir_make_temp(path_in(dir, "none"), "name", &err) && err.code == K2_NOT_FOUND);
    CHECK(strstr(err.msg, "/none"));
    char *anywhere = k2_dir_make_temp(NULL, "k2-test", &err);
    CHECK(anywhere && rmdir(anywhere) == 0);
    k2_free(anywhere);
    k2_free(two);
    k2_free(one);
}

static void check_real(const char *path, const char *expected) {
    char *real = k2_path_real(path);
    assert_string_equal(real, expected);
    k2_free(real);
}

TEST(path_real_is_one_spelling) {
    struct k2_err err = {0};
    char *dir = k2_path_real(test_dir()), cwd[1024];
    CHECK_OK(k2_dir_make(path_in(dir, "a/b"), &err));
    CHECK(symlink(path_in(dir, "a"), path_in(dir, "link")) == 0);
    const char *there = path_in(dir, "a/b");
    check_real(there, there);
    check_real(path_in(dir, "a//b/"), there);
    check_real(path_in(dir, "a/./b/../b"), there);
    check_real(path_in(dir, "link/b"), there);
    check_real(path_in(dir, "link/b/new"), path_in(dir, "a/b/new"));
    check_real(path_in(dir, "link/new/../newer/./x/"), path_in(dir, "a/newer/x"));
    check_real("/", "/");
    check_real("/..", "/");
    check_real("/no-such-thing/../nor-this", "/nor-this");
    CHECK(getcwd(cwd, sizeof cwd));
    check_real("no-such-thing", path_in(cwd, "no-such-thing"));
    k2_free(dir);
}

TEST(file_read_at_wants_all_of_it) {
    const char *path = path_in(test_dir(), "f");
    struct k2_err err = {0};
    CHECK_OK(k2_file_replace(path, K2_STR("0123456789"), &err));
    int fd = open(path, O_RDONLY);
    char bytes[4];
    CHECK_OK(k2_fd_read_at(fd, bytes, 4, 3, &err));
    assert_memory_equal(bytes, "3456", 4);
    CHECK(!k2_fd_read_at(fd, bytes, 4, 8, &err) && err.code == K2_CORRUPT);
    close(fd);
}

TEST(dir_make_and_remove) {
    const char *dir = test_dir();
    struct k2_err err = {0};
    const char *deep = path_in(dir, "a/b/c");
    CHECK_OK(k2_dir_make(deep, &err));
    CHECK_OK(k2_dir_make(deep, &err));
    CHECK(k2_path_exists(deep));
    CHECK_OK(k2_file_replace(path_in(dir, "a/file"), K2_STR("x"), &err));
    CHECK(!k2_dir_make(path_in(dir, "a/file"), &err));
    CHECK(!k2_dir_make(path_in(dir, "a/file/x"), &err));
    CHECK(!k2_dir_make("", &err));
    CHECK_OK(k2_path_remove(path_in(dir, "a"), &err));
    CHECK(!k2_path_exists(path_in(dir, "a")));
    CHECK_OK(k2_path_remove(path_in(dir, "a"), &err));
}

/* In a child: 0 when the lock was to be had, 1 when another holds it. */
static int try_in_child(const char *path) {
    pid_t child = fork();
    if (child == 0) {
        struct k2_lock lock;
        struct k2_buf holder = {0};
        bool taken = false;
        bool ok = k2_lock_try(path, "child", &lock, &taken, &holder, NULL);
        bool named = taken || k2_str_is(k2_buf_view(&holder), "pid 1 parent");
        k2_buf_done(&holder);
        _exit(!ok || !named ? 2 : !taken);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(lock_between_processes) {
    const char *path = path_in(test_dir(), "lock");
    struct k2_err err = {0};
    struct k2_lock lock;
    bool taken = false;
    CHECK_OK(k2_lock_try(path, "pid 1 parent\n", &lock, &taken, NULL, &err));
    CHECK(taken);
    assert_int_equal(try_in_child(path), 1);
    struct k2_lock second; /* within one process too */
    CHECK_OK(k2_lock_try(path, "again", &second, &taken, NULL, &err));
    CHECK(!taken);
    k2_lock_release(&second);
    k2_lock_release(&lock);
    assert_int_equal(try_in_child(path), 0); /* and its death frees it */
    CHECK_OK(k2_lock_try(path, "pid 1 parent", &lock, &taken, NULL, &err));
    CHECK(taken);
    k2_lock_release(&lock);
    k2_lock_release(&lock);
}
