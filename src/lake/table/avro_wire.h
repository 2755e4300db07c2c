/* avro_wire.h -- Avro values by field id: a writer's schema as a flat tree, and a checked cursor.
 *
 * Iceberg's readers find fields by "field-id", never by name or place. Nothing here trusts its
 * bytes: the first wrong one sets is_bad, after which every read gives nothing. Private to
 * lake/table.
 */
#ifndef K2_LAKE_TABLE_AVRO_WIRE_H
#define K2_LAKE_TABLE_AVRO_WIRE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* ---- a cursor over Avro binary ---- */
struct k2_wire {
    const char *at, *end;
    bool is_bad;
};
struct k2_wire k2_wire_of(struct k2_str bytes);
int64_t k2_wire_long(struct k2_wire *wire);
/* bytes and string; borrows. */
struct k2_str k2_wire_bytes(struct k2_wire *wire);
bool k2_wire_boolean(struct k2_wire *wire);
void k2_wire_pass(struct k2_wire *wire, uint64_t bytes);
/* Items of the next block of an array or map, 0 at its end. */
int64_t k2_wire_count(struct k2_wire *wire);

/* ---- a schema ---- */
enum k2_wire_kind {
    K2_WIRE_NULL,
    K2_WIRE_BOOLEAN,
    K2_WIRE_LONG, /* int and long: the same bytes */
    K2_WIRE_FLOAT,
    K2_WIRE_DOUBLE,
    K2_WIRE_BYTES, /* bytes and string */
    K2_WIRE_FIXED,
    K2_WIRE_ENUM,
    K2_WIRE_ARRAY,
    K2_WIRE_MAP,
    K2_WIRE_UNION,
    K2_WIRE_RECORD,
};

/* The parts of a node (fields, branches, the item) stand side by side from first on. */
struct k2_wire_node {
    enum k2_wire_kind kind;
    bool is_string, is_date;
    int32_t field_id; /* of the record field this is the type of; -1: none */
    int first, count;
    int64_t size; /* of a fixed; symbols of an enum */
};

enum { K2_WIRE_NODES_MAX = 4096, K2_WIRE_DEPTH_MAX = 64 };

struct k2_wire_schema {
    struct k2_wire_node *nodes; /* nodes[0] is the root; memory of the arena */
    int count;
};
/* CORRUPT when json is no Avro schema, LIMIT beyond 4096 types. */
bool k2_wire_compile(struct k2_str json, struct k2_arena *arena, struct k2_wire_schema *ret_schema,
                     struct k2_err *err) K2_MUST;
/* The node of the value that follows: for a union the branch it names. */
const struct k2_wire_node *k2_wire_value(const struct k2_wire_schema *schema,
                                         const struct k2_wire_node *node, struct k2_wire *wire);
/* Passes over one value. */
void k2_wire_skip(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                  struct k2_wire *wire);

/* Values that may be null; false for null (and when the bytes are bad or of another kind). */
bool k2_wire_get_long(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                      struct k2_wire *wire, int64_t *ret_value);
bool k2_wire_get_bytes(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                       struct k2_wire *wire, struct k2_str *ret_value);
bool k2_wire_get_boolean(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                         struct k2_wire *wire, bool *ret_value);

#endif
