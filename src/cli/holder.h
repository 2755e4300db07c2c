/* holder.h -- the process that runs the pipeline of a home: its lock, its housekeeping, its socket.
 *
 * While a process holds the pipeline, a thread of its own answers run/pipeline.sock, lets the log
 * drop what retention has no place for, and writes run/metrics.prom. A request is one line, its
 * answer is one line: "commit" answers "ok" once everything that was durable in the log is in the
 * tables. Threads: the main thread calls; the housekeeping thread is the holder's own.
 */
#ifndef K2_CLI_HOLDER_H
#define K2_CLI_HOLDER_H

#include <pthread.h>

#include "base/metrics.h"
#include "cli/cli.h"
#include "log/lease.h"

struct k2_holder {
    struct k2_home *home;
    const char *name; /* of the command */
    struct k2_lease *lease;
    struct k2_pipeline *pipeline; /* NULL while another process holds the lock */
    struct k2_metrics *metrics;
    pthread_t thread;
    bool has_thread;
    atomic_bool stop;
    int socket_fd, folder_fd;
    char *metrics_path;
    int64_t next_chore_ns;
};
/* What to hold the pipeline for; NULL members: every topic, nothing accepted. */
struct k2_holder_opts {
    const char *name, *topics, *accept;
};
/* Takes the lock and starts the pipeline if nobody has it (holder->pipeline says whether). Says who
 * has it when is_first. Call k2_holder_close whatever came of it. */
bool k2_holder_try(struct k2_holder *holder, struct k2_home *home,
                   const struct k2_holder_opts *opts, bool is_first, struct k2_err *err) K2_MUST;
/* As k2_holder_try, waiting until the lock is free; CANCELLED when asked to stop meanwhile. */
bool k2_holder_wait(struct k2_holder *holder, struct k2_home *home,
                    const struct k2_holder_opts *opts, struct k2_err *err) K2_MUST;
/* Ends pipeline and thread, gives the lock back. What is not committed stays in the log. */
void k2_holder_close(struct k2_holder *holder);

/* Asks the process that holds the pipeline of home to commit, and waits for its answer.
 * UNAVAILABLE when nobody answers there; another error is the holder's own. */
bool k2_holder_ask_commit(struct k2_home *home, struct k2_err *err) K2_MUST;

#endif
