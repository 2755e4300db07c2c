/* replay_to.c -- bytes to a pipe or a connection, with an eye on who reads them. */
#include "cli/replay_to.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

enum { LOOK_MS = 100 };
#define PATIENCE_NS 5000000000ll
#define LAST_NS     1000000000ll /* for the rows at hand, once stop was set */

static bool is_stopped(const struct k2_outlet *o) {
    return o->stop && atomic_load_explicit(o->stop, memory_order_relaxed);
}

/* ---- connecting ---- */

/* "tcp://HOST:PORT", HOST in brackets where it is an IPv6 address. */
static bool split_url(const char *url, char host[256], char port[8], struct k2_err *err) {
    struct k2_str rest = k2_str_of(url), scheme = K2_STR("tcp://");
    size_t colon = rest.len;
    while (colon > 0 && rest.ptr[colon - 1] != ':')
        colon--;
    if (k2_str_starts(rest, "tcp://") && colon > scheme.len + 1) {
        struct k2_str name = k2_str_make(rest.ptr + scheme.len, colon - 1 - scheme.len);
        struct k2_str digits = k2_str_make(rest.ptr + colon, rest.len - colon);
        int64_t number = 0;
        if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
            name = k2_str_make(name.ptr + 1, name.len - 2);
        if (name.len < 256 && k2_str_to_i64(digits, &number) && number > 0 && number < 65536) {
            snprintf(host, 256, "%.*s", K2_FMT(name));
            snprintf(port, 8, "%d", (int)number);
            return true;
        }
    }
    if (k2_str_starts(rest, "kafka://"))
        return k2_err_set(err, K2_USAGE, "--to %s: this build of K2 sends to tcp://HOST:PORT only",
                          url);
    return k2_err_set(err, K2_USAGE, "--to %s: neither a time nor tcp://HOST:PORT", url);
}

/* Waits until fd can be written to. False: not before until_ns, or stopped. */
static bool wait_writable(const struct k2_outlet *o, int fd, int64_t until_ns) {
    while (!is_stopped(o) && k2_monotonic_ns() < until_ns) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, LOOK_MS) > 0)
            return true;
    }
    return false;
}

/* A connected socket, or -1 with errno. */
static int connect_to(const struct k2_outlet *o, const struct addrinfo *address, int64_t until_ns) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int problem = 0;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        socklen_t len = sizeof problem;
        problem = errno;
        if (problem == EINPROGRESS)
            problem = wait_writable(o, fd, until_ns)
                          ? getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &len) ? errno : problem
                          : ETIMEDOUT;
    }
    if (!problem)
        return fd;
    close(fd);
    errno = problem;
    return -1;
}

static bool open_tcp(struct k2_outlet *o, struct k2_err *err) {
    char host[256], port[8];
    K2_TRY(split_url(o->url, host, port, err));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int code = getaddrinfo(host, port, &hints, &found);
    if (code)
        return k2_err_set(err, K2_UNAVAILABLE, "--to %s: %s", o->url, gai_strerror(code));
    int64_t until_ns = k2_monotonic_ns() + PATIENCE_NS;
    errno = 0;
    for (struct addrinfo *a = found; a && o->fd < 0; a = a->ai_next)
        o->fd = connect_to(o, a, until_ns);
    int problem = errno;
    freeaddrinfo(found);
    return o->fd >= 0 || k2_err_set(err, K2_UNAVAILABLE, "--to %s: %s", o->url, strerror(problem));
}

/* A write to a pipe that is full would wait for the reader and not for a signal. Standard output is
 * shared with others, who may count on it to wait, so it is asked before each piece instead; where
 * there is room, there is room for this much. */
static size_t piece_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? SIZE_MAX : PIPE_BUF;
}

bool k2_outlet_open(struct k2_outlet *o, const char *url, const atomic_bool *stop,
                    struct k2_err *err) {
    *o = (struct k2_outlet){.fd = url ? -1 : STDOUT_FILENO, .url = url, .stop = stop};
    o->piece = url ? SIZE_MAX : piece_of(o->fd);
    return !url || open_tcp(o, err);
}

/* ---- writing ---- */

static bool leave(struct k2_outlet *o, int problem, struct k2_err *err) {
    errno = problem;
    if (o->url)
        return k2_err_set(err, K2_UNAVAILABLE, "--to %s: the reader left: %s", o->url,
                          strerror(problem));
    if (problem != EPIPE)
        return k2_err_sys(err, "write standard output");
    o->is_left = true;
    return k2_err_set(err, K2_CANCELLED, "the reader of standard output left");
}

/* Whether there is room, waiting for it a little. */
static bool has_room(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, LOOK_MS) > 0;
}

bool k2_outlet_write(void *outlet, const void *bytes, size_t len, struct k2_err *err) {
    struct k2_outlet *o = outlet;
    const char *at = bytes, *end = at + len;
    int64_t until_ns = INT64_MAX;
    while (at < end) {
        ssize_t written = 0;
        if (has_room(o->fd))
            written = write(o->fd, at, K2_MIN((size_t)(end - at), o->piece));
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return leave(o, errno, err);
        if (written > 0) {
            at += written;
            continue;
        }
        if (is_stopped(o) && until_ns == INT64_MAX)
            until_ns = k2_monotonic_ns() + LAST_NS;
        if (k2_monotonic_ns() > until_ns)
            return k2_err_set(err, K2_CANCELLED, "stopped while the reader did not read");
    }
    return true;
}

bool k2_outlet_check(struct k2_outlet *o, struct k2_err *err) {
    struct pollfd p = {.fd = o->fd};
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLHUP | POLLNVAL))
        return leave(o, o->url ? ECONNRESET : EPIPE, err);
    return true;
}

void k2_outlet_close(struct k2_outlet *o) {
    if (!o->url || o->fd < 0)
        return;
    /* Closing at once, with bytes from the reader not taken, would throw away what is under way. */
    char ignored[256];
    int64_t until_ns = k2_monotonic_ns() + PATIENCE_NS;
    shutdown(o->fd, SHUT_WR);
    for (ssize_t got = 1; got != 0 && !is_stopped(o) && k2_monotonic_ns() < until_ns;) {
        struct pollfd p = {.fd = o->fd, .events = POLLIN};
        (void)poll(&p, 1, LOOK_MS);
        got = recv(o->fd, ignored, sizeof ignored, MSG_DONTWAIT);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            break;
    }
    close(o->fd);
    o->fd = -1;
}
