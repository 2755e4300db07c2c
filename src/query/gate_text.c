/* gate_text.c -- the outer form of a statement: where it ends, and EXPLAIN before it. */
#include "query/gate_impl.h"

#include <strings.h>

struct lexer {
    const char *at, *end;
};

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool starts(const struct lexer *l, const char *text) {
    size_t len = strlen(text);
    return (size_t)(l->end - l->at) >= len && memcmp(l->at, text, len) == 0;
}

/* Comments nest, as in PostgreSQL. */
static void skip_block_comment(struct lexer *l) {
    int depth = 0;
    do {
        if (starts(l, "/*")) {
            depth++;
            l->at += 2;
        } else if (starts(l, "*/")) {
            depth--;
            l->at += 2;
        } else {
            l->at++;
        }
    } while (depth && l->at < l->end);
}

static bool skip_comment(struct lexer *l) {
    if (starts(l, "/*")) {
        skip_block_comment(l);
        return true;
    }
    if (!starts(l, "--"))
        return false;
    while (l->at < l->end && *l->at != '\n' && *l->at != '\r')
        l->at++;
    return true;
}

static void skip_blank(struct lexer *l) {
    while (l->at < l->end) {
        if (is_space(*l->at))
            l->at++;
        else if (!skip_comment(l))
            return;
    }
}

/* A quoted text; a doubled quote ends one and begins the next, which comes to the same. */
static void skip_quoted(struct lexer *l, bool has_backslash) {
    char quote = *l->at++;
    while (l->at < l->end && *l->at != quote)
        l->at += has_backslash && *l->at == '\\' && l->at + 1 < l->end ? 2 : 1;
    if (l->at < l->end)
        l->at++;
}

/* $tag$ ... $tag$; any other '$' is just a character. */
static void skip_dollar(struct lexer *l) {
    const char *tag = l->at++;
    if (l->at < l->end && *l->at >= '0' && *l->at <= '9')
        return;
    while (l->at < l->end && is_word(*l->at))
        l->at++;
    if (l->at == l->end || *l->at != '$')
        return;
    size_t len = (size_t)(++l->at - tag);
    const char *close = memmem(l->at, (size_t)(l->end - l->at), tag, len);
    l->at = close ? close + len : l->end;
}

static void skip_token(struct lexer *l) {
    char c = *l->at;
    if (c == '\'' || c == '"') {
        skip_quoted(l, false);
    } else if ((c == 'e' || c == 'E') && l->at + 1 < l->end && l->at[1] == '\'') {
        l->at++;
        skip_quoted(l, true);
    } else if (is_word(c)) {
        while (l->at < l->end && (is_word(*l->at) || *l->at == '$'))
            l->at++;
    } else if (c == '$') {
        skip_dollar(l);
    } else {
        l->at++;
    }
}

uint32_t k2_gate_guess(struct k2_str sql) {
    struct lexer l = {sql.ptr, sql.ptr + sql.len};
    uint32_t tables = 0;
    for (skip_blank(&l); l.at < l.end; skip_blank(&l)) {
        const char *token = l.at;
        skip_token(&l);
        int id = k2_sql_table_find(K2_STR(""), k2_str_make(token, (size_t)(l.at - token)));
        tables |= id >= 0 ? 1u << id : 0;
    }
    return tables;
}

static struct k2_str word_at(struct lexer *l) {
    skip_blank(l);
    struct k2_str word = {l->at, 0};
    while (l->at < l->end && is_word(*l->at))
        l->at++;
    word.len = (size_t)(l->at - word.ptr);
    return word;
}

static bool is_keyword(struct k2_str word, const char *keyword) {
    return word.len == strlen(keyword) && strncasecmp(word.ptr, keyword, word.len) == 0;
}

struct k2_str k2_gate_first_word(struct k2_str sql) {
    struct lexer l = {sql.ptr, sql.ptr + sql.len};
    return word_at(&l);
}

static void blank_out(struct k2_buf *body, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        if (body->ptr[i] != '\n')
            body->ptr[i] = ' ';
}

static void take_explain(struct k2_gated *gated) {
    struct k2_buf *body = &gated->body;
    struct lexer l = {body->ptr, body->ptr + body->len};
    if (!is_keyword(word_at(&l), "explain"))
        return;
    gated->is_explain = true;
    size_t end = (size_t)(l.at - body->ptr);
    if (is_keyword(word_at(&l), "analyze")) {
        gated->is_analyze = true;
        end = (size_t)(l.at - body->ptr);
    }
    blank_out(body, 0, end);
}

bool k2_gate_cut(struct k2_str sql, struct k2_gated *gated, struct k2_err *err) {
    if (sql.len > K2_SQL_MAX)
        return k2_err_set(err, K2_LIMIT, "the SQL has %zu bytes; K2 takes up to %d", sql.len,
                          K2_SQL_MAX);
    if (memchr(sql.ptr ? sql.ptr : "", 0, sql.len))
        return k2_err_set(err, K2_USAGE, "the SQL holds a NUL byte");
    if (!k2_str_is_utf8(sql))
        return k2_err_set(err, K2_USAGE, "the SQL is not UTF-8 text");
    struct lexer l = {sql.ptr, sql.ptr + sql.len};
    while (l.at < l.end && *l.at != ';')
        if (!skip_comment(&l))
            skip_token(&l);
    k2_buf_append(&gated->body, sql.ptr, (size_t)(l.at - sql.ptr));
    (void)k2_buf_cstr(&gated->body);
    take_explain(gated);
    struct lexer rest = {gated->body.ptr, gated->body.ptr + gated->body.len};
    skip_blank(&rest);
    if (rest.at == rest.end)
        return k2_err_set(err, K2_USAGE, "no SQL was given; try: SELECT * FROM trades LIMIT 10");
    return true;
}

/* ---- DuckDB's JSON ---- */

static bool is_number_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

/* Whole numbers of up to 18 digits fit; "true", "false", "null" and real numbers stay too. */
static bool is_tame(struct k2_str token) {
    if (k2_str_is(token, "true") || k2_str_is(token, "false") || k2_str_is(token, "null"))
        return true;
    bool is_whole = true;
    for (size_t i = 0; i < token.len; i++) {
        char c = token.ptr[i];
        if (c == '.' || c == 'e' || c == 'E')
            is_whole = false;
        else if (!((c >= '0' && c <= '9') || c == '-' || c == '+'))
            return false;
    }
    return !is_whole || token.len <= 18;
}

void k2_gate_tame_numbers(struct k2_buf *json) {
    struct k2_buf out = {0};
    for (size_t i = 0; i < json->len;) {
        size_t start = i;
        if (json->ptr[i] == '"') {
            for (i++; i < json->len && json->ptr[i] != '"'; i++)
                i += json->ptr[i] == '\\';
            i = K2_MIN(i + 1, json->len);
            k2_buf_append(&out, json->ptr + start, i - start);
        } else if (is_number_char(json->ptr[i])) {
            while (i < json->len && is_number_char(json->ptr[i]))
                i++;
            struct k2_str token = {json->ptr + start, i - start};
            k2_buf_str(&out, is_tame(token) ? token : K2_STR("null"));
        } else {
            k2_buf_byte(&out, (uint8_t)json->ptr[i++]);
        }
    }
    k2_buf_done(json);
    *json = out;
}
