/* avro_plan.h -- a writer's Avro schema as a list of steps. Private to market.
 *
 * Each step reads one field of the record: into a column, or over it. Types that are only skipped
 * keep their shape in a small tree.
 */
#ifndef K2_MARKET_AVRO_PLAN_H
#define K2_MARKET_AVRO_PLAN_H

#include "base/arena.h"
#include "market/avro.h"

enum k2_avro_kind {
    K2_AVRO_NULL,
    K2_AVRO_BOOLEAN,
    K2_AVRO_INT, /* int and long: the same bytes */
    K2_AVRO_FLOAT,
    K2_AVRO_DOUBLE,
    K2_AVRO_BYTES, /* bytes and string */
    K2_AVRO_FIXED,
    K2_AVRO_ENUM,
    K2_AVRO_ARRAY,
    K2_AVRO_MAP,
    K2_AVRO_UNION,
    K2_AVRO_RECORD,
};

struct k2_avro_type {
    enum k2_avro_kind kind;
    bool is_string;              /* of K2_AVRO_BYTES */
    bool is_millis;              /* logical type timestamp-millis */
    int scale;                   /* of a decimal; -1: not one */
    int64_t size;                /* K2_AVRO_FIXED */
    int count;                   /* branches, fields, enum symbols */
    struct k2_avro_type **parts; /* branches or fields; [0] the items of arrays and maps */
    struct k2_str *names;        /* field names or enum symbols */
};

/* How the usual form of a value is read without a look at the types. Every step can also be run
 * the long way, which judges what is not usual; the fast way only ever takes what is surely good.
 */
enum k2_avro_fast {
    K2_FAST_NONE,
    K2_FAST_SKIP_BYTES,
    K2_FAST_LONG,
    K2_FAST_INT32,
    K2_FAST_DECIMAL, /* bytes, scale 8 */
    K2_FAST_SYMBOL,
    K2_FAST_ENUM,
    K2_FAST_TEXT,
    K2_FAST_NO_ITEMS, /* an empty list or map */
    K2_FAST_NO_FLAGS,
};

struct k2_avro_step {
    const struct k2_avro_type *type; /* without its null branch */
    int16_t column;                  /* -1: skip */
    int16_t null_branch;             /* -1: no union */
    uint8_t *enum_map;               /* writer's symbol -> K2's, 255: unknown */
    uint8_t fast;                    /* enum k2_avro_fast; what follows is of fast steps alone */
    uint8_t null_byte;               /* what null is on the wire: 0 or 2 */
    bool may_be_null;                /* 8 bytes wide, and takes a null */
    bool has_valid;                  /* tells null from 0 */
};

struct k2_avro_plan {
    const struct k2_schema *schema;
    int step_count;
    struct k2_avro_step *steps;
    int missing_count;
    int16_t missing[K2_COLUMNS_MAX]; /* columns the writer does not know */
    struct k2_arena arena;
};

/* True for a column whose two names are false and true: Avro boolean. */
bool k2_avro_is_boolean(const struct k2_column *column);
/* A field of K2's own records: its column, and what the schema's table says of that, where the
 * compiler can see it. */
struct k2_avro_field {
    int8_t column;
    uint8_t type; /* enum k2_type */
    enum {
        K2_FIELD_PLAIN,
        K2_FIELD_BOOLEAN,
        K2_FIELD_OPTIONAL,     /* union with null */
        K2_FIELD_ZERO_IS_NULL, /* the same, and null is 0 here */
    } form;
};
/* The fields of a kind in wire order. */
const struct k2_avro_field *k2_avro_wire(enum k2_kind kind, int *ret_count);

#endif
