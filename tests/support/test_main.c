/* test_main.c -- runs every TEST of the program, or those whose name contains the first argument.
 */
#include "support/test.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

extern const struct k2_test __start_k2_tests[] __attribute__((weak));
extern const struct k2_test __stop_k2_tests[] __attribute__((weak));

enum { DIRS_MAX = 4096 };
static char dirs[DIRS_MAX][64];
static int dir_count;

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_dirs(void) {
    for (int i = 0; i < dir_count; i++)
        nftw(dirs[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void) {
    if (dir_count == DIRS_MAX)
        abort();
    if (dir_count == 0)
        atexit(remove_dirs);
    char *dir = dirs[dir_count++];
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dirs[0], "%s/k2-test-XXXXXX", base && strlen(base) < 40 ? base : "/tmp");
    if (!mkdtemp(dir))
        abort();
    return dir;
}

int main(int argc, char **argv) {
    size_t count = (size_t)(__stop_k2_tests - __start_k2_tests);
    struct CMUnitTest *tests = calloc(count + 1, sizeof *tests);
    size_t picked = 0;
    for (size_t i = 0; i < count; i++) {
        const struct k2_test *t = &__start_k2_tests[i];
        if (argc > 1 && !strstr(t->name, argv[1]))
            continue;
        tests[picked++] = (struct CMUnitTest){.name = t->name, .test_func = t->run};
    }
    int failed = _cmocka_run_group_tests(argv[0], tests, picked, NULL, NULL);
    free(tests);
    return failed ? 1 : 0;
}
