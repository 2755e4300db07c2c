/* test.h -- how K2's unit tests are written: TEST(name) { ... CHECK(...) ... } over cmocka.
 *
 * A test registers itself by standing in its own linker section, so a new test is one function and
 * no list. CHECK fails the test and names the place. SKIP(reason) marks a test that cannot run
 * here.
 */
#ifndef K2_TESTS_SUPPORT_TEST_H
#define K2_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Whether this program is built with a sanitizer, and so runs several times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TEST_IS_SLOW = 1 };
#else
enum { TEST_IS_SLOW = 0 };
#endif

struct k2_test {
    const char *name;
    void (*run)(void **state);
};

#define TEST(id)                                                                                   \
    static void id(void **k2_state);                                                               \
    static const struct k2_test k2_test_##id                                                       \
        __attribute__((used, section("k2_tests"), aligned(8))) = {#id, id};                        \
    static void id(__attribute__((unused)) void **k2_state)

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail_msg("CHECK(%s)", #cond);                                                          \
    } while (0)

/* Fails and prints the error that a call returned in err. */
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s", #call, err.msg);                                                    \
    } while (0)

#define SKIP(reason)                                                                               \
    do {                                                                                           \
        print_message("skipped: %s\n", reason);                                                    \
        skip();                                                                                    \
    } while (0)

/* A new empty folder under TMPDIR, or /tmp; removed when the program exits. */
const char *test_dir(void);

#endif
