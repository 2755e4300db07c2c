/* test_main.c -- runs every TEST of the program, or those whose name contains the first argument.
 */
#include "support/test.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"

extern const struct k2_test __start_k2_tests[] __attribute__((weak));
extern const struct k2_test __stop_k2_tests[] __attribute__((weak));

enum { DIRS_MAX = 4096 };
static char *dirs[DIRS_MAX];
static int dir_count;

static void remove_dirs(void) {
    for (int i = 0; i < dir_count; i++) {
        (void)!k2_path_remove(dirs[i], NULL);
        k2_free(dirs[i]);
    }
}

const char *test_dir(void) {
    if (dir_count == DIRS_MAX)
        abort();
    if (dir_count == 0)
        atexit(remove_dirs);
    char *dir = k2_dir_make_temp(k2_dir_temp(), "k2-test", NULL);
    if (!dir)
        abort();
    return dirs[dir_count++] = dir;
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
