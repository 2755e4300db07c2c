/* demo_run.c -- the demo's hands: it runs this same program, and shows what was typed and said. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/demo.h"

enum { WORDS_MAX = 40, TALK_SECONDS = 20 };

/* ---- what is shown ---- */

void k2_demo_pause(struct k2_demo *demo) {
    struct k2_err ignored;
    if (!demo->is_talk || atomic_load(&k2_stop_asked))
        return;
    (void)!k2_out_flush(&ignored);
    bool can_press = isatty(STDIN_FILENO);
    if (can_press) {
        fputs("   [Enter]", stderr);
        char line[64];
        while (read(STDIN_FILENO, line, sizeof line) < 0 && errno == EINTR &&
               !atomic_load(&k2_stop_asked))
            ;
        fputs("\033[1A\033[K", stderr);
    }
    for (int i = 0; !can_press && i < TALK_SECONDS && !atomic_load(&k2_stop_asked); i++)
        poll(NULL, 0, 1000);
}

void k2_demo_heading(struct k2_demo *demo, int number, const char *title, const char *why) {
    k2_out_printf("\n%d. %s\n   %s\n\n", number, title, why);
    k2_demo_pause(demo);
}

void k2_demo_say(struct k2_demo *demo, const char *fmt, ...) {
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    k2_out_printf("   %s\n", text);
    k2_demo_pause(demo);
}

void k2_demo_show_command(const char *const *words) {
    k2_out_printf("   $ k2");
    for (int i = 0; words[i]; i++)
        k2_out_printf(strpbrk(words[i], " (*") ? " \"%s\"" : " %s", words[i]);
    k2_out_printf("\n");
}

void k2_demo_show_text(struct k2_str text, int lines_max) {
    for (int i = 0; text.ptr && text.len && i < lines_max; i++) {
        struct k2_str line = k2_str_split(text, '\n', &text);
        k2_out_printf("   %.*s\n", K2_FMT(line));
    }
    if (text.ptr && text.len)
        k2_out_printf("   ...\n");
}

/* ---- processes ---- */

/* The words of a command on the demo's home. */
static void fill_words(struct k2_demo *demo, const char *const *words, const char **argv) {
    const char *const before[] = {"k2", "--home", demo->home->dir, "-o", "commit.rows=60000"};
    int count = 0;
    for (size_t i = 0; i < K2_COUNT(before); i++)
        argv[count++] = before[i];
    for (int i = 0; words[i]; i++)
        argv[count++] = words[i];
    argv[count] = NULL;
}

/* Forks; the child says everything to out and takes nothing from the terminal. */
static pid_t spawn(struct k2_demo *demo, const char *const *words, int out) {
    const char *argv[WORDS_MAX];
    fill_words(demo, words, argv);
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool end_of(pid_t pid, const char *name, struct k2_str said, struct k2_err *err) {
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    if (ended < 0)
        return k2_err_sys(err, "wait for k2 %s", name);
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           k2_err_set(err, K2_BUG, "k2 %s failed: %.*s", name, K2_FMT(said));
}

bool k2_demo_run(struct k2_demo *demo, const char *const *words, struct k2_buf *text,
                 struct k2_err *err) {
    int ends[2];
    k2_buf_clear(text);
    if (atomic_load(&k2_stop_asked))
        return k2_err_set(err, K2_CANCELLED, "stopped");
    if (pipe2(ends, O_CLOEXEC))
        return k2_err_sys(err, "make a pipe");
    pid_t pid = spawn(demo, words, ends[1]);
    close(ends[1]);
    for (ssize_t got = 1; pid > 0 && got;) {
        char *at = k2_buf_reserve(text, 4096);
        got = read(ends[0], at, 4096);
        if (got > 0)
            text->len += (size_t)got;
        else if (got < 0 && errno != EINTR)
            break;
    }
    close(ends[0]);
    return pid < 0 ? k2_err_sys(err, "run k2 %s", words[0])
                   : end_of(pid, words[0], k2_buf_view(text), err);
}

bool k2_demo_start(struct k2_demo *demo, const char *const *words, pid_t *ret_pid,
                   struct k2_err *err) {
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    *ret_pid = out < 0 ? -1 : spawn(demo, words, out);
    if (out >= 0)
        close(out);
    return *ret_pid > 0 || k2_err_sys(err, "run k2 %s", words[0]);
}

bool k2_demo_wait(struct k2_demo *demo, pid_t pid, struct k2_err *err) {
    (void)demo;
    return end_of(pid, "in the background", K2_STR("see its home"), err);
}

bool k2_demo_step(struct k2_demo *demo, int lines_max, const char *const *words,
                  struct k2_err *err) {
    struct k2_buf text = {0};
    k2_demo_show_command(words);
    bool ok = k2_demo_run(demo, words, &text, err);
    if (ok) {
        k2_demo_show_text(k2_buf_view(&text), lines_max);
        k2_out_printf("\n");
        k2_demo_pause(demo);
    }
    k2_buf_done(&text);
    return ok;
}

bool k2_demo_number(struct k2_demo *demo, const char *sql, int64_t *ret, struct k2_err *err) {
    const char *words[] = {"query", sql, "--format", "csv", NULL};
    struct k2_buf text = {0};
    bool ok = k2_demo_run(demo, words, &text, err);
    struct k2_str rest = k2_buf_view(&text);
    k2_str_split(rest, '\n', &rest);
    if (ok && !k2_str_to_i64(k2_str_trim(k2_str_split(rest, '\n', &rest)), ret))
        ok = k2_err_set(err, K2_BUG, "\"%s\" did not answer a number: %s", sql, k2_buf_cstr(&text));
    k2_buf_done(&text);
    return ok;
}
