/* config.h -- settings: one table of rows gives parsing, checks, origins, help and documentation.
 *
 * Sources are applied by the caller in the order of their weight: defaults are there from the
 * start, then k2.yaml, then K2_* environment variables, then -o key=value; what comes later wins.
 * Rows with <name> in their key stand for many settings (venue.<name>.numbering); in such names
 * upper and lower case and the characters '.', '-' and '_' are the same. Invariants: a value in the
 * table has passed its row's checks; secrets are shown as "(secret)" and passwords inside addresses
 * as "***" by everything here except k2_config_secret. Errors: USAGE, naming the setting, where it
 * was set and what is allowed; NOT_FOUND for a missing file. Threads: filled by one thread;
 * afterwards any number may read.
 */
#ifndef K2_BASE_CONFIG_H
#define K2_BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct k2_config;

/* All settings at their defaults. Free with k2_config_free. Never NULL. */
struct k2_config *k2_config_new(void);
/* Wipes and frees; NULL is fine. */
void k2_config_free(struct k2_config *config);
void k2_config_freep(struct k2_config **config);

/* Reads k2.yaml: nested maps flatten with dots, values are scalars. At most 1 MiB, 8 levels and
 * 4096 settings; duplicates, lists, anchors and tags are refused. Errors carry path:line. */
bool k2_config_load_file(struct k2_config *config, const char *path, struct k2_err *err) K2_MUST;
/* As k2_config_load_file, of text already in memory; name stands for the path in messages. */
bool k2_config_load_text(struct k2_config *config, struct k2_str text, const char *name,
                         struct k2_err *err) K2_MUST;
/* Takes K2_COMMIT_ROWS=... for commit.rows and so on from "NAME=value" strings ending in NULL (as
 * environ). An unknown K2_ variable is refused, save K2_HOME and those of the test suite. */
bool k2_config_load_env(struct k2_config *config, char *const *environ_list,
                        struct k2_err *err) K2_MUST;
/* Sets one key; origin ("-o") is kept for messages and for k2 config. */
bool k2_config_set(struct k2_config *config, const char *key, const char *value, const char *origin,
                   struct k2_err *err) K2_MUST;
/* The rules between settings. Call it once all sources are in. */
bool k2_config_check(const struct k2_config *config, struct k2_err *err) K2_MUST;

/* The value of a setting. The row must exist and have the type, else the program aborts: keys are
 * written in code. Strings are owned by config and stay until the key is set again. str is for
 * strings, addresses and choices; i64 for numbers, sizes (bytes) and durations (ms). A secret row,
 * or an address with a password, is as it was written: use k2_config_secret to connect. */
const char *k2_config_str(const struct k2_config *config, const char *key);
int64_t k2_config_i64(const struct k2_config *config, const char *key);
bool k2_config_bool(const struct k2_config *config, const char *key);
double k2_config_f64(const struct k2_config *config, const char *key);
/* The value of a row with <name>, its key written with %s: ("venue.%s.numbering", "binance"). NULL
 * where nobody set it: the default is then the reader's, as the row's doc says. */
const char *k2_config_named(const struct k2_config *config, const char *key, const char *name);
/* Whether some source set the key, if only to its default. */
bool k2_config_is_set(const struct k2_config *config, const char *key);

/* Appends the true value of a secret or of an address: env:NAME, file:PATH and exec:COMMAND are
 * read now, and one that stands where an address has its password is replaced, percent-encoded. Not
 * for logs or messages; the caller wipes buf (explicit_bzero) when done. At most 64 KiB. */
bool k2_config_secret(const struct k2_config *config, const char *key, struct k2_buf *buf,
                      struct k2_err *err) K2_MUST;
/* Appends url with passwords replaced by ***, for messages about any address. */
void k2_config_redact(struct k2_buf *buf, const char *url);

/* One effective setting, as k2 config shows it; the strings are valid until the next call. */
struct k2_config_item {
    const char *key, *value, *origin, *doc;
};
/* Steps through all settings, *at from 0; false at the end. */
bool k2_config_next(struct k2_config *config, size_t *at, struct k2_config_item *ret_item);
/* One setting by key; false with the nearest name where there is none. */
bool k2_config_find(struct k2_config *config, const char *key, struct k2_config_item *ret_item,
                    struct k2_err *err) K2_MUST;

/* Appends the reference of all settings as Markdown, and a k2.yaml with every setting commented
 * out. */
void k2_config_doc(struct k2_buf *buf);
void k2_config_example(struct k2_buf *buf);

#endif
