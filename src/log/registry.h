/* registry.h -- schema ids: an id names one Avro schema for ever.
 *
 * The embedded backend is a folder shared by every process on the home: an id is fsynced under the
 * folder's lock before it is given out (docs/rules.md: schema). Threads: any.
 */
#ifndef K2_LOG_REGISTRY_H
#define K2_LOG_REGISTRY_H

#include "base/err.h"
#include "base/str.h"

struct k2_registry;
/* "embedded:/abs/folder" or "memory:". */
struct k2_registry *k2_registry_open(const char *url, struct k2_err *err) K2_MUST;
void k2_registry_free(struct k2_registry *registry);
/* The id of schema (JSON) under subject, registering it when it is new. Equal text, equal id.
 * CORRUPT when the index is damaged. */
bool k2_registry_register(struct k2_registry *registry, const char *subject, struct k2_str schema,
                          uint32_t *ret_id, struct k2_err *err) K2_MUST;
/* Appends the schema of an id. NOT_FOUND: the registry answered and does not know it. CORRUPT when
 * what it holds is not what was registered. */
bool k2_registry_get(struct k2_registry *registry, uint32_t id, struct k2_buf *ret_schema,
                     struct k2_err *err) K2_MUST;
typedef bool k2_subject_fn(void *self, const char *subject, int version, uint32_t id);
bool k2_registry_list(struct k2_registry *registry, k2_subject_fn *each, void *self,
                      struct k2_err *err) K2_MUST;

#endif
