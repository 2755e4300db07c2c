/* diag.c -- diagnostics: a line is built on the stack, folded if it was just written, and written
 * once. */
#include "base/diag.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/date.h"
#include "base/hash.h"

enum { TEXT_MAX = 1500, LINE_MAX_BYTES = 4096, FOLDS = 16 };
#define FOLD_NS 5000000000ll

/* A line that was written within the last 5 s, and how often it came again since. */
struct fold {
    uint64_t hash;
    int64_t written_ns;
    uint64_t repeated;
    enum k2_diag_level level;
    char event[64];
    char text[TEXT_MAX];
};

static struct {
    pthread_mutex_t mutex; /* guards every field below, and that lines do not mix on out */
    enum k2_diag_format format;
    FILE *out;
    struct k2_clock *clock;
    struct fold folds[FOLDS];
} diag = {.mutex = PTHREAD_MUTEX_INITIALIZER};

atomic_int k2_diag_threshold = K2_DIAG_INFO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"logfmt", "json"};

void k2_diag_init(enum k2_diag_level level, enum k2_diag_format format, FILE *out) {
    pthread_mutex_lock(&diag.mutex);
    diag.format = format;
    diag.out = out;
    memset(diag.folds, 0, sizeof diag.folds);
    pthread_mutex_unlock(&diag.mutex);
    atomic_store(&k2_diag_threshold, (int)level);
}

void k2_diag_set_clock(struct k2_clock *clock) {
    pthread_mutex_lock(&diag.mutex);
    diag.clock = clock;
    pthread_mutex_unlock(&diag.mutex);
}

bool k2_diag_level_of(const char *text, enum k2_diag_level *ret) {
    for (size_t i = 0; i < K2_COUNT(level_names); i++)
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum k2_diag_level)i;
            return true;
        }
    return false;
}

bool k2_diag_format_of(const char *text, enum k2_diag_format *ret) {
    for (size_t i = 0; i < K2_COUNT(format_names); i++)
        if (strcmp(text, format_names[i]) == 0) {
            *ret = (enum k2_diag_format)i;
            return true;
        }
    return false;
}

/* A line under construction; what does not fit is cut. */
struct line {
    size_t len;
    char bytes[LINE_MAX_BYTES];
};

static void put(struct line *line, const char *bytes, size_t len) {
    size_t room = sizeof line->bytes - 1 - line->len; /* one kept for the newline */
    len = K2_MIN(len, room);
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text) {
    put(line, text, strlen(text));
}

static void put_json_byte(struct line *line, unsigned char c) {
    char escaped[8];
    if (c == '"' || c == '\\')
        put(line, (char[]){'\\', (char)c}, 2);
    else if (c < 0x20 || c == 0x7f)
        put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
    else
        put(line, (const char *)&c, 1);
}

/* The value of a pair: quoted text is unescaped first, numbers stay numbers. */
static void put_json_value(struct line *line, struct k2_str value) {
    bool quoted = value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
    int64_t number;
    if (!quoted && value.len < 16 && k2_str_to_i64(value, &number)) {
        char digits[24]; /* printed anew: JSON takes no leading zeros */
        put(line, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)number));
        return;
    }
    if (quoted)
        value = k2_str_make(value.ptr + 1, value.len - 2);
    put_text(line, "\"");
    bool utf8 = k2_str_is_utf8(value);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bool escape = quoted && c == '\\' && i + 1 < value.len;
        if (escape && value.ptr[i + 1] == 'n') {
            put_text(line, "\\n");
            i++;
        } else if (escape) {
            put_json_byte(line, (unsigned char)value.ptr[++i]);
        } else {
            put_json_byte(line, !utf8 && c >= 0x80 ? '?' : c);
        }
    }
    put_text(line, "\"");
}

static size_t token_len(struct k2_str s) {
    bool in_quotes = false;
    size_t i = 0;
    for (; i < s.len && (in_quotes || s.ptr[i] != ' '); i++) {
        if (s.ptr[i] == '"')
            in_quotes = !in_quotes;
        else if (s.ptr[i] == '\\' && i + 1 < s.len)
            i++;
    }
    return i;
}

static void put_json_pairs(struct line *line, const char *text) {
    struct k2_str rest = k2_str_of(text);
    while ((rest = k2_str_trim(rest)).len) {
        size_t len = token_len(rest);
        struct k2_str value, key = k2_str_split(k2_str_make(rest.ptr, len), '=', &value);
        rest = k2_str_make(rest.ptr + len, rest.len - len);
        if (line->len > sizeof line->bytes - 64 - 6 * (len + 16))
            return; /* a whole pair or none, so that the line stays JSON */
        put_text(line, ",");
        put_json_value(line, value.ptr ? k2_str_make(key.ptr, key.len) : K2_STR("text"));
        put_text(line, ":");
        put_json_value(line, value.ptr ? value : key);
    }
}

static void write_line(struct line *line) {
    line->bytes[line->len++] = '\n';
    FILE *out = diag.out ? diag.out : stderr;
    int fd = fileno(out);
    if (fd < 0) { /* a stream in memory */
        fwrite(line->bytes, 1, line->len, out);
        fflush(out);
        return;
    }
    fflush(out);
    /* One call, so that lines of several processes on one terminal do not mix either. There is no
     * one to tell when it fails. */
    while (write(fd, line->bytes, line->len) < 0 && errno == EINTR)
        ;
}

static void emit(int64_t now_ns, enum k2_diag_level level, const char *event, const char *text,
                 uint64_t repeated) {
    char time[40], count[32] = "";
    k2_us_to_iso(now_ns / 1000, time);
    struct line line;
    line.len = 0;
    bool json = diag.format == K2_DIAG_JSON;
    put_text(&line, json ? "{\"time\":\"" : "time=");
    put_text(&line, time);
    put_text(&line, json ? "\",\"level\":\"" : " level=");
    put_text(&line, level_names[level]);
    put_text(&line, json ? "\",\"event\":\"" : " event=");
    put_text(&line, event);
    if (json) {
        put_text(&line, "\"");
        put_json_pairs(&line, text);
    } else {
        put_text(&line, text);
    }
    if (repeated)
        snprintf(count, sizeof count, json ? ",\"repeated\":%llu" : " repeated=%llu",
                 (unsigned long long)repeated);
    put_text(&line, count);
    if (json)
        put_text(&line, "}");
    write_line(&line);
}

static void release(struct fold *fold, int64_t now_ns) {
    if (fold->repeated)
        emit(now_ns, fold->level, fold->event, fold->text, fold->repeated);
    fold->repeated = 0;
    fold->hash = 0;
}

/* The fold that holds this line, after letting go of those that are over. NULL: not seen lately. */
static struct fold *find_fold(uint64_t hash, int64_t now_ns) {
    struct fold *found = NULL;
    for (int i = 0; i < FOLDS; i++) {
        struct fold *fold = &diag.folds[i];
        int64_t age = now_ns - fold->written_ns;
        if (fold->hash && (age < 0 || age >= FOLD_NS)) /* below 0: the clock was set back */
            release(fold, now_ns);
        if (fold->hash == hash)
            found = fold;
    }
    return found;
}

static void remember(uint64_t hash, int64_t now_ns, enum k2_diag_level level, const char *event,
                     const char *text) {
    struct fold *oldest = &diag.folds[0];
    for (int i = 1; i < FOLDS; i++)
        if (!diag.folds[i].hash || (oldest->hash && diag.folds[i].written_ns < oldest->written_ns))
            oldest = &diag.folds[i];
    release(oldest, now_ns);
    oldest->hash = hash;
    oldest->written_ns = now_ns;
    oldest->level = level;
    snprintf(oldest->event, sizeof oldest->event, "%s", event);
    memcpy(oldest->text, text, strlen(text) + 1);
}

/* Keeps one line one line, whatever an argument held. */
static void clean(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

void k2_diag_write(enum k2_diag_level level, const char *event, const char *fmt, ...) {
    int saved = errno;
    char text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    clean(text);
    if (strcmp(text, " ") == 0)
        text[0] = 0;
    uint64_t hash = k2_hash64(event, strlen(event)) * 31 + k2_hash64(text, strlen(text));
    hash = (hash ^ (uint64_t)level) | 1; /* 0 marks a free fold */
    pthread_mutex_lock(&diag.mutex);
    int64_t now_ns = k2_now_ns(diag.clock ? diag.clock : k2_clock_real());
    struct fold *fold = find_fold(hash, now_ns);
    if (fold) {
        fold->repeated++;
    } else {
        remember(hash, now_ns, level, event, text);
        emit(now_ns, level, event, text, 0);
    }
    pthread_mutex_unlock(&diag.mutex);
    errno = saved;
}

void k2_diag_flush(void) {
    pthread_mutex_lock(&diag.mutex);
    int64_t now_ns = k2_now_ns(diag.clock ? diag.clock : k2_clock_real());
    for (int i = 0; i < FOLDS; i++)
        release(&diag.folds[i], now_ns);
    pthread_mutex_unlock(&diag.mutex);
}

struct k2_diag_text k2_diag_quote(struct k2_str text) {
    struct k2_diag_text quoted;
    size_t n = 0;
    quoted.text[n++] = '"';
    for (size_t i = 0; i < text.len && n < sizeof quoted.text - 4; i++) {
        char c = text.ptr[i];
        if (c == '"' || c == '\\' || c == '\n')
            quoted.text[n++] = '\\';
        quoted.text[n++] = c == '\n' ? 'n' : (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;
    }
    quoted.text[n++] = '"';
    quoted.text[n] = 0;
    return quoted;
}
