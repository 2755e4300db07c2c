/* json.h -- cold JSON: a tree to read, appenders to write. Feed messages never come through here.
 *
 * Reading wraps jansson. Invariants: a tree is immutable; values borrow from it. Threads: a tree
 * may be read by any thread once parsed; free it once.
 */
#ifndef K2_BASE_JSON_H
#define K2_BASE_JSON_H

#include "base/err.h"
#include "base/str.h"

/* Any value of a tree. NULL stands for "not there" and is accepted by every reader below. */
struct k2_json;

/* Parses one JSON value. CORRUPT with line and column when it is none, LIMIT beyond 2048 levels.
 * Numbers outside int64 are refused, duplicate keys too. Free with k2_json_free. */
struct k2_json *k2_json_parse(struct k2_str text, struct k2_err *err) K2_MUST;
void k2_json_free(struct k2_json *root);
void k2_json_freep(struct k2_json **root);

/* What a value is; NULL is none of these. */
bool k2_json_is_object(const struct k2_json *value);
bool k2_json_is_array(const struct k2_json *value);
bool k2_json_is_string(const struct k2_json *value);
bool k2_json_is_int(const struct k2_json *value);
bool k2_json_is_null(const struct k2_json *value);
/* A member of an object, or NULL. */
const struct k2_json *k2_json_get(const struct k2_json *object, const char *key);
/* Items of an array; 0 for anything else. */
size_t k2_json_count(const struct k2_json *array);
const struct k2_json *k2_json_at(const struct k2_json *array, size_t index);
/* The text of a string (NULL pointer for anything else), and numbers and booleans with a default.
 */
struct k2_str k2_json_str(const struct k2_json *value);
int64_t k2_json_int(const struct k2_json *value, int64_t otherwise);
double k2_json_real(const struct k2_json *value, double otherwise);
bool k2_json_bool(const struct k2_json *value, bool otherwise);
/* Walks an object's members in the order they were written: start with a NULL iterator; false at
 * the end. */
bool k2_json_next(const struct k2_json *object, void **iterator, struct k2_str *ret_key,
                  const struct k2_json **ret_value);
/* Appends the value as compact JSON, members in their order. */
void k2_json_dump(const struct k2_json *value, struct k2_buf *out);

/* Appends text as a JSON string, quotes and escapes included. Bytes that are not UTF-8 become
 * U+FFFD. */
void k2_json_quote(struct k2_buf *out, struct k2_str text);
/* Appends "key": with a comma before it unless out ends in '{' or '['. */
void k2_json_key(struct k2_buf *out, const char *key);
void k2_json_key_int(struct k2_buf *out, const char *key, int64_t value);
void k2_json_key_str(struct k2_buf *out, const char *key, struct k2_str value);
void k2_json_key_bool(struct k2_buf *out, const char *key, bool value);

#endif
