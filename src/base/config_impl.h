/* config_impl.h -- the table of settings and the parts of config.c that have files of their own. */
#ifndef K2_BASE_CONFIG_IMPL_H
#define K2_BASE_CONFIG_IMPL_H

#include "base/config.h"

enum k2_config_type {
    K2_CONFIG_STR,     /* any text */
    K2_CONFIG_I64,     /* whole number between min and max */
    K2_CONFIG_F64,     /* number between min and max */
    K2_CONFIG_BOOL,    /* true, false, yes, no, on, off */
    K2_CONFIG_SIZE,    /* bytes: 128MiB, 64k */
    K2_CONFIG_MS,      /* milliseconds: 500ms, 2s, 1h; without unit ms */
    K2_CONFIG_ENUM,    /* one of choices */
    K2_CONFIG_ADDRESS, /* begins with one of choices */
    K2_CONFIG_LISTEN,  /* host:port, port 0 for any free one */
};

struct k2_config_row {
    const char *key; /* with <name> in it for a row that stands for many settings */
    enum k2_config_type type;
    const char *standard; /* the default, written as in k2.yaml */
    int64_t min, max;
    const char *unit;    /* of the bare number; NULL for none */
    const char *choices; /* for ENUM and ADDRESS, separated by '|' */
    bool is_secret;
    const char *doc;
};

extern const struct k2_config_row k2_config_rows[];
extern const size_t k2_config_row_count;

/* What a value means once it passed its row. */
struct k2_config_parsed {
    int64_t number; /* I64, SIZE, MS, BOOL */
    double real;    /* F64 */
};
/* False, and what is allowed in err (without key or origin), where the row does not take the text.
 */
bool k2_config_parse(const struct k2_config_row *row, struct k2_str text,
                     struct k2_config_parsed *ret, struct k2_err *err) K2_MUST;
/* Appends "whole number, 1 to 100, rows" or the like. */
void k2_config_allowed(const struct k2_config_row *row, struct k2_buf *buf);
/* Reads text as a secret: env:NAME, file:PATH, exec:COMMAND or itself. key is for messages. */
bool k2_config_resolve(const char *key, struct k2_str text, struct k2_buf *buf,
                       struct k2_err *err) K2_MUST;
/* Appends address with the secret that stands for its password resolved and percent-encoded. */
bool k2_config_resolve_address(const char *key, const char *address, struct k2_buf *buf,
                               struct k2_err *err) K2_MUST;
/* As k2_config_set, for a key and value at a line of a file (0: not from a file). Within one file a
 * key may stand only once. */
bool k2_config_assign(struct k2_config *config, struct k2_str key, struct k2_str value,
                      const char *origin, int line, struct k2_err *err) K2_MUST;
/* A file is done: what follows may set its keys again. */
void k2_config_end_file(struct k2_config *config);
/* Whether key is a setting or the first part of one. */
bool k2_config_knows(const struct k2_config *config, struct k2_str key);

#endif
