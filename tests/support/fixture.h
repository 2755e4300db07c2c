/* fixture.h -- reads a file of tests/fixtures, wherever the test runs. */
#ifndef K2_TESTS_SUPPORT_FIXTURE_H
#define K2_TESTS_SUPPORT_FIXTURE_H

#include "base/file.h"
#include "support/test.h"

/* Appends tests/fixtures/<name> to out. source: __FILE__ of a test in src/. */
static inline void fixture_read(const char *source, const char *name, struct k2_buf *out) {
    struct k2_err err = {0};
    struct k2_buf path = {0};
    const char *end = source;
    for (const char *at = source; (at = strstr(at, "src/")); at += 4)
        end = at;
    k2_buf_printf(&path, "%.*stests/fixtures/%s", (int)(end - source), source, name);
    if (!k2_file_read(k2_buf_cstr(&path), 64 << 20, out, &err))
        fail_msg("%s", err.msg);
    k2_buf_done(&path);
}

#endif
