/* err.c -- error values: formatting, wrapping, and the table of codes. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    int exit_code;
} codes[] = {
#define K2_ERR_ROW(name, text, exit_code) [K2_##name] = {text, exit_code},
    K2_ERR_CODES(K2_ERR_ROW)
#undef K2_ERR_ROW
};

static void set_len(struct k2_err *err) {
    err->len = (uint16_t)strnlen(err->msg, sizeof err->msg - 1);
}

bool k2_err_set(struct k2_err *err, enum k2_code code, const char *fmt, ...) {
    if (!err)
        return false;
    err->code = code;
    err->retriable = code == K2_UNAVAILABLE;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    set_len(err);
    return false;
}

bool k2_err_sys(struct k2_err *err, const char *fmt, ...) {
    int saved = errno;
    if (!err)
        return false;
    bool full = saved == ENOSPC || saved == EDQUOT || saved == EFBIG;
    err->code = full ? K2_LIMIT : saved == ENOENT ? K2_NOT_FOUND : K2_IO;
    err->retriable = full || saved == EINTR || saved == EAGAIN;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", strerror(saved));
    set_len(err);
    errno = saved;
    return false;
}

bool k2_err_wrap(struct k2_err *err, const char *fmt, ...) {
    if (!err)
        return false;
    char head[sizeof err->msg];
    va_list args;
    va_start(args, fmt);
    vsnprintf(head, sizeof head, fmt, args);
    va_end(args);
    char tail[sizeof err->msg];
    memcpy(tail, err->msg, sizeof tail);
    tail[sizeof tail - 1] = 0;
    size_t head_len = strnlen(head, sizeof head - 3);
    memcpy(err->msg, head, head_len);
    memcpy(err->msg + head_len, ": ", 2);
    size_t room = sizeof err->msg - head_len - 3;
    size_t tail_len = strnlen(tail, room);
    memcpy(err->msg + head_len + 2, tail, tail_len);
    err->msg[head_len + 2 + tail_len] = 0;
    set_len(err);
    return false;
}

int k2_err_exit_code(enum k2_code code) {
    return codes[code].exit_code;
}

const char *k2_err_text(enum k2_code code) {
    return codes[code].text;
}

_Noreturn void k2_assert_failed(const char *cond, const char *file, int line) {
    fprintf(stderr, "k2: internal error: %s:%d: %s does not hold\n", file, line, cond);
    abort();
}
