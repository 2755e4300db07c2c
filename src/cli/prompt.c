/* prompt.c -- the line editor is libedit's; what a statement is, and what completes, is ours. */
#include "cli/prompt.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/alloc.h"

enum { HISTORY_LINES = 2000, MATCHES_SHOWN = 60, LOOK_MS = 50 };

struct k2_prompt {
    EditLine *edit;
    History *history;
    HistEvent event;
    char *history_path;
    const char *const *words;
    bool is_continued;
};

static char *prompt_text(EditLine *edit) {
    static char first[] = "k2> ", next[] = "  > ";
    struct k2_prompt *p = NULL;
    el_get(edit, EL_CLIENTDATA, &p);
    return p->is_continued ? next : first;
}

/* ---- completion ---- */

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

/* The length all matches share beyond typed bytes. */
static size_t shared_length(const char *const *matches, int count, size_t typed) {
    size_t len = strlen(matches[0]);
    for (int i = 1; i < count; i++) {
        size_t same = typed;
        while (same < len && matches[i][same] == matches[0][same])
            same++;
        len = same;
    }
    return len;
}

static void show_matches(const char *const *matches, int count) {
    fputc('\n', stdout);
    for (int i = 0; i < count; i++)
        printf("%s%s", matches[i], i + 1 < count ? "  " : "\n");
    fflush(stdout);
}

static unsigned char complete(EditLine *edit, int key) {
    (void)key;
    struct k2_prompt *p = NULL;
    el_get(edit, EL_CLIENTDATA, &p);
    const LineInfo *line = el_line(edit);
    const char *start = line->cursor;
    while (start > line->buffer && is_word(start[-1]))
        start--;
    size_t typed = (size_t)(line->cursor - start);
    const char *matches[MATCHES_SHOWN];
    int count = 0;
    for (int i = 0; p->words[i] && count < MATCHES_SHOWN; i++)
        if (typed && strncasecmp(p->words[i], start, typed) == 0)
            matches[count++] = p->words[i];
    if (!count)
        return CC_REFRESH_BEEP;
    char rest[128];
    size_t shared = shared_length(matches, count, typed);
    snprintf(rest, sizeof rest, "%.*s%s", (int)(shared - typed), matches[0] + typed,
             count == 1 ? " " : "");
    if (!*rest) {
        show_matches(matches, count);
        return CC_REDISPLAY;
    }
    return el_insertstr(edit, rest) == 0 ? CC_REFRESH : CC_ERROR;
}

/* ---- input ---- */

/* One character. libedit's own reading goes on after a signal; Ctrl-C must end the line. */
static int read_character(EditLine *edit, wchar_t *ret) {
    mbstate_t state = {0};
    (void)edit;
    for (int tried = 0; tried < 8; tried++) {
        char byte;
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        while (poll(&input, 1, LOOK_MS) <= 0) /* a signal may come just before it */
            if (atomic_load(&k2_stop_asked))
                return -1;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got <= 0)
            return (int)got;
        size_t used = mbrtowc(ret, &byte, 1, &state);
        if (used <= 1)
            return 1;
        if (used == (size_t)-1)
            state = (mbstate_t){0}; /* no character begins so: it is passed over */
    }
    return -1;
}

/* ---- life ---- */

struct k2_prompt *k2_prompt_open(const char *history_path, const char *const *words,
                                 struct k2_err *err) {
    struct k2_prompt *p = k2_new(struct k2_prompt);
    setlocale(LC_CTYPE, ""); /* so that a name in UTF-8 is edited by its characters */
    p->words = words;
    p->history_path = k2_strdup(history_path);
    p->edit = el_init("k2", stdin, stdout, stderr);
    p->history = history_init();
    if (!p->edit || !p->history) {
        k2_prompt_close(p);
        k2_err_set(err, K2_IO, "the terminal cannot be edited on; give the SQL as an argument");
        return NULL;
    }
    history(p->history, &p->event, H_SETSIZE, HISTORY_LINES);
    history(p->history, &p->event, H_SETUNIQUE, 1);
    history(p->history, &p->event, H_LOAD, p->history_path);
    el_set(p->edit, EL_CLIENTDATA, p);
    el_set(p->edit, EL_PROMPT, prompt_text);
    el_set(p->edit, EL_GETCFN, read_character);
    el_set(p->edit, EL_EDITOR, "emacs");
    el_set(p->edit, EL_HIST, history, p->history);
    el_set(p->edit, EL_ADDFN, "k2-complete", "complete a table, column or keyword", complete);
    el_set(p->edit, EL_BIND, "^I", "k2-complete", NULL);
    el_set(p->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(p->edit, NULL); /* ~/.editrc */
    return p;
}

void k2_prompt_close(struct k2_prompt *p) {
    if (!p)
        return;
    if (p->history) {
        mode_t before = umask(077);
        /* A history that cannot be kept is no reason to fail. */
        (void)history(p->history, &p->event, H_SAVE, p->history_path);
        umask(before);
        history_end(p->history);
    }
    if (p->edit)
        el_end(p->edit);
    k2_free(p->history_path);
    k2_free(p);
}

static bool is_whole(struct k2_str text, struct k2_str line) {
    return line.len == 0 || text.ptr[0] == '.' || line.ptr[line.len - 1] == ';';
}

bool k2_prompt_next(struct k2_prompt *p, struct k2_buf *statement) {
    statement->len = 0;
    for (;;) {
        int count = 0;
        p->is_continued = statement->len > 0;
        errno = 0;
        /* libedit shows the prompt first: a Ctrl-D between the two would be the terminal's. */
        el_set(p->edit, EL_PREP_TERM, 1);
        const char *typed = el_gets(p->edit, &count);
        if (atomic_exchange(&k2_stop_asked, false)) {
            fputc('\n', stdout);
            el_reset(p->edit);
            statement->len = 0;
            continue;
        }
        if (!typed || count <= 0)
            return false;
        struct k2_str line = k2_str_trim(k2_str_make(typed, (size_t)count));
        if (!line.len && !statement->len)
            continue;
        k2_buf_str(statement, line);
        struct k2_str text = k2_buf_view(statement);
        if (is_whole(text, line)) {
            history(p->history, &p->event, H_ENTER, k2_buf_cstr(statement));
            return true;
        }
        k2_buf_byte(statement, ' ');
    }
}
