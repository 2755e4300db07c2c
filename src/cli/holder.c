/* holder.c -- taking the pipeline's lock, and what its holder does besides. */
#include "cli/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/file.h"

enum { REQUEST_MAX = 64, ANSWER_MAX = 1024, BACKLOG = 16, POLL_MS = 100 };
#define CHORE_EVERY_NS 5000000000ll

/* ---- the socket ---- */

/* A home's path may be longer than a socket's may: it is named through its open folder. */
static void socket_address(int folder_fd, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/pipeline.sock",
             folder_fd);
}

static bool open_socket(struct k2_holder *h, struct k2_err *err) {
    struct sockaddr_un address;
    const char *folder = k2_home_path(h->home, "run");
    h->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (h->folder_fd < 0)
        return k2_err_sys(err, "open %s", folder);
    socket_address(h->folder_fd, &address);
    unlink(address.sun_path); /* of a holder that died: the lock is ours */
    h->socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (h->socket_fd < 0 || bind(h->socket_fd, (struct sockaddr *)&address, sizeof address) ||
        listen(h->socket_fd, BACKLOG))
        return k2_err_sys(err, "listen on %s/pipeline.sock", folder);
    return true;
}

static void close_socket(struct k2_holder *h) {
    struct sockaddr_un address;
    if (h->socket_fd >= 0) {
        socket_address(h->folder_fd, &address);
        unlink(address.sun_path);
        close(h->socket_fd);
    }
    if (h->folder_fd >= 0)
        close(h->folder_fd);
    h->socket_fd = h->folder_fd = -1;
}

/* Reads up to the end of a line; false when the other side is gone or silent for a second. */
static bool read_line(int fd, char *line, size_t size, int wait_ms, const atomic_bool *stop) {
    size_t len = 0;
    for (int waited = 0; len + 1 < size && waited < wait_ms;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, POLL_MS) <= 0) {
            waited += POLL_MS;
            if (stop && atomic_load(stop))
                return false;
            continue;
        }
        ssize_t got = recv(fd, line + len, size - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        line[len] = 0;
        char *end = strchr(line, '\n');
        if (end) {
            *end = 0;
            return true;
        }
    }
    return false;
}

static void answer(struct k2_holder *h, int fd) {
    char request[REQUEST_MAX], text[ANSWER_MAX];
    struct k2_err err = {0};
    if (!read_line(fd, request, sizeof request, 1000, &h->stop))
        return;
    if (strcmp(request, "commit") != 0)
        snprintf(text, sizeof text, "unknown request\n");
    else if (k2_pipeline_drain(h->pipeline, &h->stop, &err))
        snprintf(text, sizeof text, "ok\n");
    else
        snprintf(text, sizeof text, "%s\n", err.msg);
    /* An asker that went away needs no answer. */
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* ---- the thread ---- */

static bool measure_lag(void *self, const char *topic, int log_partition, int64_t committed,
                        int64_t end) {
    struct k2_holder *h = self;
    char number[12];
    snprintf(number, sizeof number, "%d", log_partition);
    k2_series_set(k2_metrics_series(h->metrics, K2_METRIC_LOG_LAG_MESSAGES, topic, number, "k2"),
                  (double)(end - committed));
    k2_series_set(k2_metrics_series(h->metrics, K2_METRIC_LOG_OFFSET, topic, number, "k2"),
                  (double)committed);
    return true;
}

static void do_chores(struct k2_holder *h) {
    struct k2_err err = {0};
    const struct k2_config *c = h->home->config;
    int64_t bytes = 0;
    bool has_retention =
        k2_config_i64(c, "log.retention.bytes") || k2_config_i64(c, "log.retention.ms");
    if (has_retention && !k2_pipeline_trim(h->home->lake, h->home->log, NULL, false, &bytes, &err))
        k2_warn("log.trim", "error=%s", K2_Q(err.msg));
    if (bytes)
        k2_info("log.trim", "bytes=%lld", (long long)bytes);
    struct k2_buf text = {0};
    if (!k2_pipeline_lag(h->home->lake, h->home->log, NULL, measure_lag, h, &err))
        k2_warn("log.lag", "error=%s", K2_Q(err.msg));
    k2_metrics_text(h->metrics, &text);
    if (!k2_file_replace(h->metrics_path, k2_buf_view(&text), &err))
        k2_warn("metrics", "error=%s", K2_Q(err.msg));
    k2_buf_done(&text);
}

static void *keep_house(void *self) {
    struct k2_holder *h = self;
    while (!atomic_load(&h->stop)) {
        struct pollfd ready = {.fd = h->socket_fd, .events = POLLIN};
        if (poll(&ready, 1, POLL_MS) > 0) {
            int fd = accept4(h->socket_fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0) {
                answer(h, fd);
                close(fd);
            }
        }
        if (k2_monotonic_ns() >= h->next_chore_ns) {
            do_chores(h);
            h->next_chore_ns = k2_monotonic_ns() + CHORE_EVERY_NS;
        }
    }
    return NULL;
}

/* ---- the lock ---- */

static bool start(struct k2_holder *h, const struct k2_holder_opts *opts, struct k2_err *err) {
    struct k2_pipeline_opts pipeline;
    char writer[128];
    snprintf(writer, sizeof writer, "pid %d %s", (int)getpid(), opts->name);
    k2_home_pipeline_opts(h->home, writer, &pipeline);
    pipeline.topics = opts->topics;
    pipeline.accept = opts->accept;
    h->metrics_path = k2_strdup(k2_home_path(h->home, "run/metrics.prom"));
    h->metrics = k2_metrics_new("k2", "home", opts->name);
    pipeline.metrics = h->metrics;
    h->pipeline = k2_pipeline_open(&pipeline, err);
    if (!h->pipeline || !open_socket(h, err))
        return false;
    k2_pipeline_start(h->pipeline);
    h->next_chore_ns = k2_monotonic_ns() + CHORE_EVERY_NS;
    int code = pthread_create(&h->thread, NULL, keep_house, h);
    h->has_thread = code == 0;
    errno = code;
    return h->has_thread || k2_err_sys(err, "start the housekeeping thread");
}

bool k2_holder_try(struct k2_holder *holder, struct k2_home *home,
                   const struct k2_holder_opts *opts, bool is_first, struct k2_err *err) {
    bool is_taken;
    struct k2_buf other = {0};
    *holder =
        (struct k2_holder){.home = home, .name = opts->name, .socket_fd = -1, .folder_fd = -1};
    holder->lease = k2_lease_try(k2_home_path(home, "run"), opts->name, &is_taken, &other, err);
    bool ok = holder->lease || (!is_taken && err->code == K2_OK);
    if (ok && !is_taken && is_first)
        k2_say("the pipeline of this home is run by %s; this command waits for it",
               other.len ? k2_buf_cstr(&other) : "another process");
    k2_buf_done(&other);
    return ok && (!holder->lease || start(holder, opts, err));
}

bool k2_holder_wait(struct k2_holder *holder, struct k2_home *home,
                    const struct k2_holder_opts *opts, struct k2_err *err) {
    for (bool is_first = true; !atomic_load(&k2_stop_asked); is_first = false) {
        K2_TRY(k2_holder_try(holder, home, opts, is_first, err));
        if (holder->pipeline)
            return true;
        k2_clock_real()->sleep_ns(k2_clock_real(), 50000000);
    }
    return k2_err_set(err, K2_CANCELLED, "stopped while waiting for the pipeline");
}

void k2_holder_close(struct k2_holder *holder) {
    atomic_store(&holder->stop, true);
    if (holder->has_thread) {
        pthread_join(holder->thread, NULL);
        do_chores(holder);
    }
    holder->has_thread = false;
    if (holder->home)
        close_socket(holder);
    k2_pipeline_free(holder->pipeline);
    k2_metrics_free(holder->metrics);
    k2_free(holder->metrics_path);
    k2_lease_free(holder->lease);
    holder->pipeline = NULL;
    holder->metrics = NULL;
    holder->metrics_path = NULL;
    holder->lease = NULL;
}

/* ---- the other side ---- */

bool k2_holder_ask_commit(struct k2_home *home, struct k2_err *err) {
    enum { WAIT_MS = 3600 * 1000 };
    struct sockaddr_un address;
    char text[ANSWER_MAX];
    int folder = open(k2_home_path(home, "run"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socket_address(folder, &address);
    bool is_heard = folder >= 0 && fd >= 0 &&
                    connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                    send(fd, "commit\n", 7, MSG_NOSIGNAL) == 7 &&
                    read_line(fd, text, sizeof text, WAIT_MS, &k2_stop_asked);
    if (fd >= 0)
        close(fd);
    if (folder >= 0)
        close(folder);
    if (!is_heard)
        return k2_err_set(err, K2_UNAVAILABLE, "nobody answers at %s/run/pipeline.sock", home->dir);
    return strcmp(text, "ok") == 0 || k2_err_set(err, K2_IO, "%s", text);
}
