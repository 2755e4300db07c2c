/* config_value.c -- what a setting may be: parsing by type, secrets, and how both are shown. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/config_impl.h"
#include "base/file.h"

enum { SECRET_MAX = 65536 };

struct suffix {
    const char *text;
    int64_t factor;
};

static const struct suffix size_suffixes[] = {
    {"", 1},
    {"B", 1},
    {"k", 1ll << 10},
    {"K", 1ll << 10},
    {"KiB", 1ll << 10},
    {"M", 1ll << 20},
    {"MiB", 1ll << 20},
    {"G", 1ll << 30},
    {"GiB", 1ll << 30},
    {"T", 1ll << 40},
    {"TiB", 1ll << 40},
    {NULL, 0},
};
static const struct suffix ms_suffixes[] = {
    {"", 1},        {"ms", 1},      {"s", 1000},     {"m", 60000},
    {"min", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static bool parse_scaled(struct k2_str text, const struct suffix *suffixes, int64_t *ret) {
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    int64_t number;
    if (!k2_str_to_i64(k2_str_make(text.ptr, digits), &number))
        return false;
    struct k2_str rest = k2_str_trim(k2_str_make(text.ptr + digits, text.len - digits));
    for (; suffixes->text; suffixes++)
        if (k2_str_is(rest, suffixes->text))
            return !__builtin_mul_overflow(number, suffixes->factor, ret);
    return false;
}

static bool parse_real(struct k2_str text, double *ret) {
    char copy[64];
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    /* strtod alone would take leading spaces, hexadecimal, inf and nan. */
    if (strspn(copy, "+-.0123456789eE") != text.len)
        return false;
    char *end;
    double value = strtod(copy, &end);
    if (*end || !isfinite(value))
        return false;
    *ret = value;
    return true;
}

static bool parse_bool(struct k2_str text, int64_t *ret) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < K2_COUNT(words); i++)
        if (k2_str_is(text, words[i])) {
            *ret = i % 2;
            return true;
        }
    return false;
}

static bool is_choice(const struct k2_config_row *row, struct k2_str text) {
    struct k2_str rest = k2_str_of(row->choices);
    while (rest.ptr) {
        struct k2_str choice = k2_str_split(rest, '|', &rest);
        bool whole = row->type == K2_CONFIG_ENUM;
        if (text.len >= choice.len && (!whole || text.len == choice.len) &&
            memcmp(text.ptr, choice.ptr, choice.len) == 0)
            return true;
    }
    return false;
}

static bool is_listen(struct k2_str text) {
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    int64_t port;
    return colon > 1 && k2_str_to_i64(k2_str_make(text.ptr + colon, text.len - colon), &port) &&
           port >= 0 && port <= 65535;
}

static bool accepts(const struct k2_config_row *row, struct k2_str text,
                    struct k2_config_parsed *parsed) {
    switch (row->type) {
    case K2_CONFIG_STR: return (int64_t)text.len >= row->min && (int64_t)text.len <= row->max;
    case K2_CONFIG_I64:
        if (!k2_str_to_i64(text, &parsed->number))
            return false;
        break;
    case K2_CONFIG_SIZE:
        if (!parse_scaled(text, size_suffixes, &parsed->number))
            return false;
        break;
    case K2_CONFIG_MS:
        if (!parse_scaled(text, ms_suffixes, &parsed->number))
            return false;
        break;
    case K2_CONFIG_F64:
        return parse_real(text, &parsed->real) && parsed->real >= (double)row->min &&
               parsed->real <= (double)row->max;
    case K2_CONFIG_BOOL: return parse_bool(text, &parsed->number);
    case K2_CONFIG_ENUM: return is_choice(row, text);
    case K2_CONFIG_ADDRESS: return is_choice(row, text) || (text.len == 0 && !row->standard[0]);
    case K2_CONFIG_LISTEN: return is_listen(text);
    }
    return parsed->number >= row->min && parsed->number <= row->max;
}

static void print_size(struct k2_buf *buf, int64_t bytes) {
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; unit + 1 < K2_COUNT(units) && bytes >= 1024 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    k2_buf_printf(buf, "%lld%s", (long long)bytes, units[unit]);
}

static void print_choices(struct k2_buf *buf, const char *head, const char *choices) {
    k2_buf_text(buf, head);
    struct k2_str rest = k2_str_of(choices);
    for (const char *sep = " "; rest.ptr; sep = ", ") {
        k2_buf_text(buf, sep);
        k2_buf_str(buf, k2_str_split(rest, '|', &rest));
    }
}

void k2_config_allowed(const struct k2_config_row *row, struct k2_buf *buf) {
    switch (row->type) {
    case K2_CONFIG_STR:
        k2_buf_printf(buf, "text, %lld to %lld bytes", (long long)row->min, (long long)row->max);
        break;
    case K2_CONFIG_SIZE:
        k2_buf_text(buf, "size such as 64k or 128MiB, ");
        print_size(buf, row->min);
        k2_buf_text(buf, " to ");
        print_size(buf, row->max);
        break;
    case K2_CONFIG_I64:
    case K2_CONFIG_MS:
    case K2_CONFIG_F64:
        k2_buf_text(buf, row->type == K2_CONFIG_I64   ? "whole number"
                         : row->type == K2_CONFIG_F64 ? "number"
                                                      : "duration such as 500ms, 2s or 1h");
        k2_buf_printf(buf, ", %lld to %lld", (long long)row->min, (long long)row->max);
        break;
    case K2_CONFIG_BOOL: k2_buf_text(buf, "true or false"); break;
    case K2_CONFIG_ENUM: print_choices(buf, "one of", row->choices); break;
    case K2_CONFIG_ADDRESS:
        print_choices(buf, "address that begins with one of", row->choices);
        break;
    case K2_CONFIG_LISTEN: k2_buf_text(buf, "host:port"); break;
    }
    if (row->unit && row->type != K2_CONFIG_SIZE)
        k2_buf_printf(buf, " %s", row->unit);
}

static bool is_clean(struct k2_str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    return text.len <= 4096 && k2_str_is_utf8(text);
}

bool k2_config_parse(const struct k2_config_row *row, struct k2_str text,
                     struct k2_config_parsed *ret, struct k2_err *err) {
    struct k2_config_parsed parsed = {0};
    if (!is_clean(text))
        return k2_err_set(err, K2_USAGE,
                          "must be at most 4096 bytes of UTF-8 without control characters");
    if (accepts(row, text, &parsed)) {
        *ret = parsed;
        return true;
    }
    struct k2_buf allowed = {0}, shown = {0};
    k2_config_allowed(row, &allowed);
    if (row->is_secret)
        k2_buf_text(&shown, "(secret)");
    else {
        struct k2_buf whole = {0};
        k2_buf_str(&whole, text);
        k2_config_redact(&shown, k2_buf_cstr(&whole));
        k2_buf_done(&whole);
    }
    k2_err_set(err, K2_USAGE, "\"%.*s\" is refused; allowed: %s", K2_MIN((int)shown.len, 100),
               k2_buf_cstr(&shown), k2_buf_cstr(&allowed));
    k2_buf_done(&allowed);
    k2_buf_done(&shown);
    return false;
}

static bool read_command(const char *key, const char *command, struct k2_buf *buf,
                         struct k2_err *err) {
    FILE *pipe = popen(command, "re");
    if (!pipe)
        return k2_err_sys(err, "%s: run its exec: command", key);
    size_t got, total = 0;
    do {
        got = fread(k2_buf_reserve(buf, 4096), 1, 4096, pipe);
        buf->len += got, total += got;
    } while (got && total <= SECRET_MAX);
    int status = pclose(pipe);
    if (total > SECRET_MAX)
        return k2_err_set(err, K2_LIMIT, "%s: its exec: command printed more than %d bytes", key,
                          (int)SECRET_MAX);
    if (status)
        return k2_err_set(err, K2_USAGE, "%s: its exec: command failed (status %d)", key, status);
    return true;
}

static bool read_secret(const char *key, const char *text, struct k2_buf *buf, struct k2_err *err) {
    if (strncmp(text, "env:", 4) == 0) {
        const char *value = getenv(text + 4);
        if (!value)
            return k2_err_set(err, K2_USAGE, "%s: environment variable %s is not set", key,
                              text + 4);
        k2_buf_text(buf, value);
        return true;
    }
    if (strncmp(text, "exec:", 5) == 0)
        return read_command(key, text + 5, buf, err);
    if (!k2_file_read(text + 5, SECRET_MAX, buf, err))
        return k2_err_wrap(err, "%s", key);
    return true;
}

static bool is_reference(struct k2_str text) {
    return k2_str_starts(text, "env:") || k2_str_starts(text, "file:") ||
           k2_str_starts(text, "exec:");
}

bool k2_config_resolve(const char *key, struct k2_str text, struct k2_buf *buf,
                       struct k2_err *err) {
    if (!is_reference(text)) {
        k2_buf_str(buf, text);
        return true;
    }
    struct k2_buf copy = {0};
    k2_buf_str(&copy, text);
    size_t start = buf->len;
    bool ok = read_secret(key, k2_buf_cstr(&copy), buf, err);
    k2_buf_done(&copy);
    /* Files and commands end their line; the secret does not. */
    while (ok && buf->len > start &&
           (buf->ptr[buf->len - 1] == '\n' || buf->ptr[buf->len - 1] == '\r'))
        buf->len--;
    if (ok && buf->len == start)
        return k2_err_set(err, K2_USAGE, "%s: the secret it refers to is empty", key);
    return ok;
}

/* Where the password of scheme://user:password@host stands; an empty one with ptr NULL for none. A
 * reference may hold '/' and '@', so it runs to the last '@'; a literal ends at the first '/'. */
static struct k2_str find_password(const char *address) {
    const struct k2_str none = {NULL, 0};
    const char *at = strstr(address, "://");
    if (!at)
        return none;
    at += 3;
    size_t user = strcspn(at, ":@/?#");
    if (at[user] != ':')
        return none;
    const char *password = at + user + 1;
    bool reference = is_reference(k2_str_of(password));
    size_t span = reference ? strlen(password) : strcspn(password, "/?#");
    for (; span > 0; span--)
        if (password[span - 1] == '@')
            return (struct k2_str){password, span - 1};
    return none;
}

static void percent_encode(struct k2_buf *buf, struct k2_str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            k2_buf_byte(buf, c);
        else
            k2_buf_printf(buf, "%%%02X", c);
    }
}

bool k2_config_resolve_address(const char *key, const char *address, struct k2_buf *buf,
                               struct k2_err *err) {
    struct k2_str password = find_password(address);
    if (!password.ptr || !is_reference(password)) {
        k2_buf_text(buf, address);
        return true;
    }
    struct k2_buf secret = {0};
    bool ok = k2_config_resolve(key, password, &secret, err);
    if (ok) {
        k2_buf_append(buf, address, (size_t)(password.ptr - address));
        percent_encode(buf, k2_buf_view(&secret));
        k2_buf_text(buf, password.ptr + password.len);
    }
    if (secret.ptr)
        explicit_bzero(secret.ptr, secret.cap);
    k2_buf_done(&secret);
    return ok;
}

/* Rather too much than too little: everything between the first ':' of the address and its last '@'
 * goes, because a password that was not percent-encoded may hold any character. */
static const char *redact_user(struct k2_buf *buf, const char *url) {
    const char *at = strstr(url, "://");
    const char *last = strrchr(url, '@');
    if (!at || !last || last < at + 3)
        return url;
    const char *colon = strchr(at + 3, ':');
    if (!colon || colon > last)
        return url;
    k2_buf_append(buf, url, (size_t)(colon + 1 - url));
    k2_buf_text(buf, "***");
    return last;
}

void k2_config_redact(struct k2_buf *buf, const char *url) {
    static const char *const names[] = {"password", "passwd", "secret", "token"};
    const char *rest = redact_user(buf, url);
    while (*rest) {
        size_t param = strcspn(rest, "?&");
        param += rest[param] != 0;
        k2_buf_append(buf, rest, param);
        rest += param;
        size_t name = strcspn(rest, "=&"), whole = strcspn(rest, "&");
        bool hide = false;
        for (size_t i = 0; i < K2_COUNT(names) && !hide; i++)
            hide = memmem(rest, name, names[i], strlen(names[i])) != NULL;
        if (param && hide && rest[name] == '=') {
            k2_buf_append(buf, rest, name + 1);
            k2_buf_text(buf, "***");
            rest += whole;
        }
    }
}
