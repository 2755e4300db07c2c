/* config_yaml.c -- k2.yaml by libyaml's events: nested maps become dotted keys, all else is
 * refused. */
#include <stdio.h>
#include <yaml.h>

#include "base/config_impl.h"
#include "base/file.h"

enum { FILE_MAX = 1 << 20, DEPTH_MAX = 8, SETTINGS_MAX = 4096, PATH_MAX_BYTES = 512 };

struct reader {
    struct k2_config *config;
    const char *name;
    yaml_parser_t yaml;
    char path[PATH_MAX_BYTES];  /* the dotted key so far */
    size_t lens[DEPTH_MAX + 1]; /* length of path at each open map */
    int depth;
    int settings;
    bool has_key; /* path holds a key whose value comes next */
};

static bool refuse(const struct reader *r, const yaml_event_t *event, const char *what,
                   struct k2_err *err) {
    return k2_err_set(err, K2_USAGE, "%s:%zu: %s", r->name, event->start_mark.line + 1, what);
}

static bool take_key(struct reader *r, const yaml_event_t *event, struct k2_str key,
                     struct k2_err *err) {
    size_t len = r->lens[r->depth];
    size_t dot = len > 0;
    if (key.len == 0 || len + dot + key.len >= sizeof r->path || memchr(key.ptr, 0, key.len))
        return refuse(r, event, "a key must have 1 to 500 characters", err);
    if (dot)
        r->path[len] = '.';
    memcpy(r->path + len + dot, key.ptr, key.len);
    r->path[len + dot + key.len] = 0;
    r->has_key = true;
    return true;
}

static bool is_null(const yaml_event_t *event) {
    static const char *const words[] = {"", "~", "null"};
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    for (size_t i = 0; plain && i < K2_COUNT(words); i++)
        if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static bool take_value(struct reader *r, const yaml_event_t *event, struct k2_str value,
                       struct k2_err *err) {
    r->has_key = false;
    char origin[1024];
    int line = (int)event->start_mark.line + 1;
    snprintf(origin, sizeof origin, "%.900s:%d", r->name, line);
    struct k2_str key = k2_str_of(r->path);
    /* "s3:" with everything below it commented out sets nothing, as a reader would expect. */
    if (is_null(event) && k2_config_knows(r->config, key))
        return true;
    if (++r->settings > SETTINGS_MAX)
        return refuse(r, event, "more than 4096 settings", err);
    return k2_config_assign(r->config, key, value, origin, line, err);
}

static bool on_scalar(struct reader *r, const yaml_event_t *event, struct k2_err *err) {
    if (r->depth == 0)
        return is_null(event) || refuse(r, event, "settings are written as \"key: value\"", err);
    if (event->data.scalar.anchor)
        return refuse(r, event, "anchors (&name) are not taken", err);
    if (event->data.scalar.tag)
        return refuse(r, event, "tags (!name) are not taken", err);
    struct k2_str text = k2_str_make(event->data.scalar.value, event->data.scalar.length);
    return r->has_key ? take_value(r, event, text, err) : take_key(r, event, text, err);
}

static bool on_map(struct reader *r, const yaml_event_t *event, struct k2_err *err) {
    if (event->data.mapping_start.anchor)
        return refuse(r, event, "anchors (&name) are not taken", err);
    if (event->data.mapping_start.tag)
        return refuse(r, event, "tags (!name) are not taken", err);
    if (r->depth > 0 && !r->has_key)
        return refuse(r, event, "a key must be a word, not a map", err);
    if (r->depth == DEPTH_MAX)
        return refuse(r, event, "maps are nested more than 8 deep", err);
    r->lens[++r->depth] = strlen(r->path);
    r->has_key = false;
    return true;
}

static bool on_event(struct reader *r, const yaml_event_t *event, struct k2_err *err) {
    switch (event->type) {
    case YAML_SCALAR_EVENT: return on_scalar(r, event, err);
    case YAML_MAPPING_START_EVENT: return on_map(r, event, err);
    case YAML_MAPPING_END_EVENT:
        r->path[r->lens[r->depth--]] = 0;
        r->has_key = false;
        return true;
    case YAML_SEQUENCE_START_EVENT:
        return refuse(r, event, "lists are not taken; settings are single values", err);
    case YAML_ALIAS_EVENT: return refuse(r, event, "aliases (*name) are not taken", err);
    default: return true;
    }
}

static bool read_events(struct reader *r, struct k2_err *err) {
    int documents = 0;
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->yaml, &event)) {
            const char *problem = r->yaml.problem ? r->yaml.problem : "not YAML";
            return k2_err_set(err, K2_USAGE, "%s:%zu: %s", r->name, r->yaml.problem_mark.line + 1,
                              problem);
        }
        more = event.type != YAML_STREAM_END_EVENT;
        bool ok = on_event(r, &event, err);
        if (ok && event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            ok = refuse(r, &event, "a second document (---) is not taken", err);
        yaml_event_delete(&event);
        K2_TRY(ok);
    }
    return true;
}

bool k2_config_load_text(struct k2_config *config, struct k2_str text, const char *name,
                         struct k2_err *err) {
    if (text.len > FILE_MAX)
        return k2_err_set(err, K2_USAGE, "%s: longer than 1 MiB", name);
    struct reader r = {.config = config, .name = name};
    K2_ASSERT(yaml_parser_initialize(&r.yaml));
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    bool ok = read_events(&r, err);
    yaml_parser_delete(&r.yaml);
    k2_config_end_file(config);
    return ok;
}

bool k2_config_load_file(struct k2_config *config, const char *path, struct k2_err *err) {
    struct k2_buf text = {0};
    bool ok = k2_file_read(path, FILE_MAX, &text, err) &&
              k2_config_load_text(config, k2_buf_view(&text), path, err);
    if (text.ptr)
        explicit_bzero(text.ptr, text.cap);
    k2_buf_done(&text);
    return ok;
}
