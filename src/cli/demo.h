/* demo.h -- running k2 from k2, as a user would type it, for the demo. Private to cli. Threads: the
 * main thread.
 */
#ifndef K2_CLI_DEMO_H
#define K2_CLI_DEMO_H

#include <sys/types.h>

#include "cli/cli.h"

struct k2_demo {
    struct k2_home *home;
    const char *truth; /* the file of what was planted */
    bool is_talk;      /* waits after each thing shown */
    int disagreements;
};

/* A number, a title, and why the reader should care. */
void k2_demo_heading(struct k2_demo *demo, int number, const char *title, const char *why);
/* A sentence between two commands. */
void k2_demo_say(struct k2_demo *demo, const char *fmt, ...) K2_PRINTF(2, 3);
/* In a talk: until Enter is pressed, or some seconds where nobody can press it. */
void k2_demo_pause(struct k2_demo *demo);

/* Runs k2 with words on the demo's home to its end; what it says, on both streams, goes to text.
 * BUG when it fails. */
bool k2_demo_run(struct k2_demo *demo, const char *const *words, struct k2_buf *text,
                 struct k2_err *err) K2_MUST;
/* Shows a command, runs it, and shows the first lines of what it said. */
bool k2_demo_step(struct k2_demo *demo, int lines_max, const char *const *words,
                  struct k2_err *err) K2_MUST;
void k2_demo_show_command(const char *const *words);
void k2_demo_show_text(struct k2_str text, int lines_max);
/* The one number a query answers. */
bool k2_demo_number(struct k2_demo *demo, const char *sql, int64_t *ret,
                    struct k2_err *err) K2_MUST;
/* Starts k2 with words and does not wait; it says nothing. */
bool k2_demo_start(struct k2_demo *demo, const char *const *words, pid_t *ret_pid,
                   struct k2_err *err) K2_MUST;
/* Waits for what was started; BUG when it failed. */
bool k2_demo_wait(struct k2_demo *demo, pid_t pid, struct k2_err *err) K2_MUST;

/* demo_monitor.c: rate, errors, duration, and an alert that turns true and back. */
bool k2_demo_monitor(struct k2_demo *demo, struct k2_err *err) K2_MUST;

#endif
