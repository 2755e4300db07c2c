/* config.c -- the values of all settings, where each came from, and the rules between them. */
#include "base/config.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/config_impl.h"

enum { NAMED_MAX = 65536, KEY_MAX = 512 };

struct value {
    char *text;   /* NULL: at its default */
    char *origin; /* "k2.yaml:3", "environment", "-o" */
    int line;     /* of the file that is being read; 0 otherwise */
    struct k2_config_parsed parsed;
};

struct named {
    const struct k2_config_row *row;
    char *key;    /* as it was first written */
    char *folded; /* the name in lower case, '.' and '-' as '_' */
    struct value value;
};

struct k2_config {
    struct value *values; /* one per row */
    struct named *named;
    size_t named_count, named_cap;
    struct k2_buf shown; /* what the last item of k2_config_next points to */
};

struct k2_config *k2_config_new(void) {
    struct k2_config *config = k2_new(struct k2_config);
    config->values = k2_new_array(struct value, k2_config_row_count);
    for (size_t i = 0; i < k2_config_row_count; i++) {
        const struct k2_config_row *row = &k2_config_rows[i];
        struct k2_err err;
        bool named = strchr(row->key, '<') != NULL;
        K2_ASSERT(named ||
                  k2_config_parse(row, k2_str_of(row->standard), &config->values[i].parsed, &err));
    }
    return config;
}

static void clear_value(struct value *value) {
    if (value->text)
        explicit_bzero(value->text, strlen(value->text));
    k2_free(value->text);
    k2_free(value->origin);
}

void k2_config_free(struct k2_config *config) {
    if (!config)
        return;
    for (size_t i = 0; i < k2_config_row_count; i++)
        clear_value(&config->values[i]);
    for (size_t i = 0; i < config->named_count; i++) {
        clear_value(&config->named[i].value);
        k2_free(config->named[i].key);
        k2_free(config->named[i].folded);
    }
    k2_free(config->values);
    k2_free(config->named);
    k2_buf_done(&config->shown);
    k2_free(config);
}

void k2_config_freep(struct k2_config **config) {
    k2_config_free(*config);
}

static char fold(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c == '.' || c == '-' ? '_' : c;
}

/* Whether key fits the row, and then what stands for <name>. */
static bool match_row(const struct k2_config_row *row, struct k2_str key, struct k2_str *ret_name) {
    const char *open = strchr(row->key, '<');
    *ret_name = (struct k2_str){NULL, 0};
    if (!open)
        return k2_str_is(key, row->key);
    size_t head = (size_t)(open - row->key);
    const char *tail = strchr(open, '>') + 1;
    size_t tail_len = strlen(tail);
    if (key.len <= head + tail_len || memcmp(key.ptr, row->key, head) != 0 ||
        memcmp(key.ptr + key.len - tail_len, tail, tail_len) != 0)
        return false;
    *ret_name = k2_str_make(key.ptr + head, key.len - head - tail_len);
    return true;
}

static const struct k2_config_row *find_row(struct k2_str key, struct k2_str *ret_name) {
    for (size_t i = 0; i < k2_config_row_count; i++)
        if (match_row(&k2_config_rows[i], key, ret_name))
            return &k2_config_rows[i];
    return NULL;
}

static char *fold_name(struct k2_str name) {
    char *folded = k2_alloc(name.len + 1);
    for (size_t i = 0; i < name.len; i++)
        folded[i] = fold(name.ptr[i]);
    folded[name.len] = 0;
    return folded;
}

static struct named *find_named(const struct k2_config *config, const struct k2_config_row *row,
                                struct k2_str name) {
    for (size_t i = 0; i < config->named_count; i++) {
        struct named *named = &config->named[i];
        if (named->row != row || strlen(named->folded) != name.len)
            continue;
        size_t same = 0;
        while (same < name.len && named->folded[same] == fold(name.ptr[same]))
            same++;
        if (same == name.len)
            return named;
    }
    return NULL;
}

static struct named *add_named(struct k2_config *config, const struct k2_config_row *row,
                               struct k2_str key, struct k2_str name) {
    if (config->named_count == config->named_cap) {
        config->named_cap = config->named_cap ? config->named_cap * 2 : 16;
        config->named = k2_realloc(config->named, config->named_cap * sizeof *config->named);
    }
    struct named *named = &config->named[config->named_count++];
    *named = (struct named){.row = row, .folded = fold_name(name)};
    named->key = memcpy(k2_calloc(key.len + 1, 1), key.ptr, key.len);
    return named;
}

static struct k2_str nearest_key(struct k2_str key) {
    const char *best = k2_config_rows[0].key;
    int best_distance = 1000;
    for (size_t i = 0; i < k2_config_row_count; i++) {
        int distance = k2_str_distance(key, k2_str_of(k2_config_rows[i].key));
        if (distance < best_distance) {
            best = k2_config_rows[i].key;
            best_distance = distance;
        }
    }
    return k2_str_of(best);
}

static bool unknown_key(struct k2_str key, const char *origin, struct k2_err *err) {
    struct k2_str near = nearest_key(key);
    return k2_err_set(err, K2_USAGE, "%s: unknown setting \"%.*s\"; did you mean %.*s?", origin,
                      (int)K2_MIN(key.len, 100u), key.ptr, K2_FMT(near));
}

bool k2_config_knows(const struct k2_config *config, struct k2_str key) {
    (void)config;
    struct k2_str name;
    if (find_row(key, &name))
        return true;
    for (size_t i = 0; i < k2_config_row_count; i++) {
        const char *row = k2_config_rows[i].key;
        if (strlen(row) > key.len && row[key.len] == '.' && memcmp(row, key.ptr, key.len) == 0)
            return true;
    }
    return false;
}

static bool is_valid_name(struct k2_str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = fold(name.ptr[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return name.len <= 249; /* the longest topic name that Kafka takes */
}

bool k2_config_assign(struct k2_config *config, struct k2_str key, struct k2_str text,
                      const char *origin, int line, struct k2_err *err) {
    struct k2_str name;
    const struct k2_config_row *row = key.len <= KEY_MAX ? find_row(key, &name) : NULL;
    if (!row)
        return unknown_key(key, origin, err);
    if (name.ptr && !is_valid_name(name))
        return k2_err_set(err, K2_USAGE,
                          "%s: a name in \"%.*s\" may hold letters, digits, '.', "
                          "'-' and '_'",
                          origin, (int)K2_MIN(key.len, 100u), key.ptr);
    struct value *value = &config->values[row - k2_config_rows];
    if (name.ptr) {
        struct named *named = find_named(config, row, name);
        if (!named && config->named_count == NAMED_MAX)
            return k2_err_set(err, K2_LIMIT, "%s: more than %d named settings", origin, NAMED_MAX);
        value = named ? &named->value : NULL;
    }
    if (value && line && value->line)
        return k2_err_set(err, K2_USAGE, "%s: %.*s is set a second time (first on line %d)", origin,
                          K2_FMT(key), value->line);
    struct k2_config_parsed parsed;
    if (!k2_config_parse(row, text, &parsed, err))
        return k2_err_wrap(err, "%s: %.*s", origin, K2_FMT(key));
    if (!value)
        value = &add_named(config, row, key, name)->value;
    clear_value(value);
    *value = (struct value){.origin = k2_strdup(origin), .line = line, .parsed = parsed};
    value->text = memcpy(k2_calloc(text.len + 1, 1), text.ptr ? text.ptr : "", text.len);
    return true;
}

bool k2_config_set(struct k2_config *config, const char *key, const char *value, const char *origin,
                   struct k2_err *err) {
    return k2_config_assign(config, k2_str_of(key), k2_str_of(value), origin, 0, err);
}

void k2_config_end_file(struct k2_config *config) {
    for (size_t i = 0; i < k2_config_row_count; i++)
        config->values[i].line = 0;
    for (size_t i = 0; i < config->named_count; i++)
        config->named[i].value.line = 0;
}

/* K2_COMMIT_AGE_MS for commit.age_ms; <name> stays as it is. */
static void env_name(const char *key, char *ret, size_t size) {
    size_t n = (size_t)snprintf(ret, size, "K2_");
    for (; *key && n + 1 < size; key++)
        ret[n++] = *key >= 'a' && *key <= 'z' ? (char)(*key - 32) : *key == '.' ? '_' : *key;
    ret[n] = 0;
}

/* The key that a variable sets, written into ret; false and the nearest variable where none. */
static bool key_of_env(struct k2_str variable, char ret[KEY_MAX], char near[KEY_MAX]) {
    int best = 1000;
    for (size_t i = 0; i < k2_config_row_count; i++) {
        const char *key = k2_config_rows[i].key;
        char env[KEY_MAX];
        env_name(key, env, sizeof env);
        char *open = strchr(env, '<');
        if (!open && k2_str_is(variable, env)) {
            snprintf(ret, KEY_MAX, "%s", key);
            return true;
        }
        if (open) {
            const char *tail = strchr(env, '>') + 1;
            size_t head = (size_t)(open - env), tail_len = strlen(tail);
            if (variable.len > head + tail_len && memcmp(variable.ptr, env, head) == 0 &&
                k2_str_ends(variable, tail)) {
                snprintf(ret, KEY_MAX, "%.*s%.*s%s", (int)head - 3, key,
                         (int)K2_MIN(variable.len - head - tail_len, 250u), variable.ptr + head,
                         strchr(key, '>') + 1);
                return true;
            }
        }
        int distance = k2_str_distance(variable, k2_str_of(env));
        if (distance < best) {
            best = distance;
            snprintf(near, KEY_MAX, "%s", env);
        }
    }
    return false;
}

/* Variables that are no settings: the home is needed before any setting is read, and the test suite
 * names the program under test to its own children by one. */
static bool is_other_variable(struct k2_str name) {
    return k2_str_is(name, "K2_HOME") || k2_str_is(name, "K2_BIN") ||
           k2_str_starts(name, "K2_TEST_");
}

bool k2_config_load_env(struct k2_config *config, char *const *environ_list, struct k2_err *err) {
    for (; *environ_list; environ_list++) {
        struct k2_str value;
        struct k2_str name = k2_str_split(k2_str_of(*environ_list), '=', &value);
        if (!k2_str_starts(name, "K2_") || !value.ptr || is_other_variable(name))
            continue;
        char key[KEY_MAX], near[KEY_MAX] = "";
        if (!key_of_env(name, key, near))
            return k2_err_set(err, K2_USAGE, "environment: unknown variable %.*s; did you mean %s?",
                              (int)K2_MIN(name.len, 100u), name.ptr, near);
        char origin[KEY_MAX];
        snprintf(origin, sizeof origin, "environment %.*s", (int)K2_MIN(name.len, 300u), name.ptr);
        K2_TRY(k2_config_assign(config, k2_str_of(key), value, origin, 0, err));
    }
    return true;
}

static const struct k2_config_row *must_find(const char *key) {
    struct k2_str name;
    const struct k2_config_row *row = find_row(k2_str_of(key), &name);
    K2_ASSERT(row && !name.ptr);
    return row;
}

static const struct value *value_of(const struct k2_config *config,
                                    const struct k2_config_row *row) {
    return &config->values[row - k2_config_rows];
}

const char *k2_config_str(const struct k2_config *config, const char *key) {
    const struct k2_config_row *row = must_find(key);
    K2_ASSERT(row->type == K2_CONFIG_STR || row->type == K2_CONFIG_ENUM ||
              row->type == K2_CONFIG_ADDRESS || row->type == K2_CONFIG_LISTEN);
    const struct value *value = value_of(config, row);
    return value->text ? value->text : row->standard;
}

int64_t k2_config_i64(const struct k2_config *config, const char *key) {
    const struct k2_config_row *row = must_find(key);
    K2_ASSERT(row->type == K2_CONFIG_I64 || row->type == K2_CONFIG_SIZE ||
              row->type == K2_CONFIG_MS);
    return value_of(config, row)->parsed.number;
}

bool k2_config_bool(const struct k2_config *config, const char *key) {
    const struct k2_config_row *row = must_find(key);
    K2_ASSERT(row->type == K2_CONFIG_BOOL);
    return value_of(config, row)->parsed.number != 0;
}

double k2_config_f64(const struct k2_config *config, const char *key) {
    const struct k2_config_row *row = must_find(key);
    K2_ASSERT(row->type == K2_CONFIG_F64);
    return value_of(config, row)->parsed.real;
}

const char *k2_config_named(const struct k2_config *config, const char *key, const char *name) {
    const char *hole = strstr(key, "%s");
    K2_ASSERT(hole);
    char pattern[KEY_MAX];
    snprintf(pattern, sizeof pattern, "%.*s<name>%s", (int)(hole - key), key, hole + 2);
    const struct k2_config_row *row = NULL;
    for (size_t i = 0; i < k2_config_row_count; i++)
        if (strcmp(k2_config_rows[i].key, pattern) == 0)
            row = &k2_config_rows[i];
    K2_ASSERT(row);
    const struct named *named = find_named(config, row, k2_str_of(name));
    return named ? named->value.text : NULL;
}

bool k2_config_is_set(const struct k2_config *config, const char *key) {
    return value_of(config, must_find(key))->text != NULL;
}

bool k2_config_secret(const struct k2_config *config, const char *key, struct k2_buf *buf,
                      struct k2_err *err) {
    const struct k2_config_row *row = must_find(key);
    K2_ASSERT(row->is_secret || row->type == K2_CONFIG_ADDRESS);
    const char *text = k2_config_str(config, key);
    if (row->is_secret)
        return k2_config_resolve(key, k2_str_of(text), buf, err);
    return k2_config_resolve_address(key, text, buf, err);
}

static void fill_item(struct k2_config *config, const struct k2_config_row *row, const char *key,
                      const struct value *value, struct k2_config_item *item) {
    const char *text = value->text ? value->text : row->standard;
    struct k2_buf *shown = &config->shown;
    k2_buf_clear(shown);
    if (row->is_secret)
        k2_buf_text(shown, text[0] ? "(secret)" : "");
    else if (row->type == K2_CONFIG_ADDRESS)
        k2_config_redact(shown, text);
    else
        k2_buf_text(shown, text);
    const char *origin = value->origin ? value->origin : "default";
    *item = (struct k2_config_item){key, k2_buf_cstr(shown), origin, row->doc};
}

bool k2_config_next(struct k2_config *config, size_t *at, struct k2_config_item *ret_item) {
    for (; *at < k2_config_row_count; (*at)++) {
        const struct k2_config_row *row = &k2_config_rows[*at];
        if (strchr(row->key, '<'))
            continue;
        fill_item(config, row, row->key, &config->values[(*at)++], ret_item);
        return true;
    }
    size_t index = *at - k2_config_row_count;
    if (index >= config->named_count)
        return false;
    const struct named *named = &config->named[index];
    fill_item(config, named->row, named->key, &named->value, ret_item);
    (*at)++;
    return true;
}

bool k2_config_find(struct k2_config *config, const char *key, struct k2_config_item *ret_item,
                    struct k2_err *err) {
    struct k2_str name;
    const struct k2_config_row *row = find_row(k2_str_of(key), &name);
    if (!row || (name.ptr && !is_valid_name(name)))
        return unknown_key(k2_str_of(key), "config", err);
    static const struct value unset;
    const struct value *value = value_of(config, row);
    if (name.ptr) {
        const struct named *named = find_named(config, row, name);
        value = named ? &named->value : &unset;
    }
    fill_item(config, row, key, value, ret_item);
    return true;
}
