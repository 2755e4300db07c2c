/* thrift_compact.h -- the Thrift compact protocol, as Parquet's footer, indexes and page headers
 * use it.
 *
 * Writing appends to a buffer. Reading is by cursor over bytes that nobody vouched for: a mistake
 * in them sets failed and moves the cursor to the end, so loops over fields and lists end by
 * themselves and the caller looks at failed once. Threads: values, no shared state.
 */
#ifndef K2_LAKE_PARQUET_THRIFT_COMPACT_H
#define K2_LAKE_PARQUET_THRIFT_COMPACT_H

#include "base/str.h"

enum k2_thrift_type {
    K2_THRIFT_STOP = 0,
    K2_THRIFT_TRUE = 1,
    K2_THRIFT_FALSE = 2,
    K2_THRIFT_BYTE = 3,
    K2_THRIFT_I16 = 4,
    K2_THRIFT_I32 = 5,
    K2_THRIFT_I64 = 6,
    K2_THRIFT_DOUBLE = 7,
    K2_THRIFT_BINARY = 8,
    K2_THRIFT_LIST = 9,
    K2_THRIFT_SET = 10,
    K2_THRIFT_MAP = 11,
    K2_THRIFT_STRUCT = 12,
};

enum { K2_THRIFT_DEPTH_MAX = 12 };
struct k2_thrift_out {
    struct k2_buf *out;
    int depth;
    int last[K2_THRIFT_DEPTH_MAX]; /* last field id at each depth */
};

/* Begins the outermost struct at the end of out. */
void k2_thrift_open(struct k2_thrift_out *thrift, struct k2_buf *out);
/* A struct that is an element of a list: no field header. */
void k2_thrift_begin(struct k2_thrift_out *thrift);
/* Ends the innermost struct (the outermost too). */
void k2_thrift_end(struct k2_thrift_out *thrift);
/* A field that is a struct; k2_thrift_end closes it. */
void k2_thrift_struct(struct k2_thrift_out *thrift, int id);
/* A field with nothing in it but its presence. */
void k2_thrift_empty_struct(struct k2_thrift_out *thrift, int id);
/* Fields of the plain kinds. */
void k2_thrift_i16(struct k2_thrift_out *thrift, int id, int value);
void k2_thrift_i32(struct k2_thrift_out *thrift, int id, int32_t value);
void k2_thrift_i64(struct k2_thrift_out *thrift, int id, int64_t value);
void k2_thrift_bool(struct k2_thrift_out *thrift, int id, bool value);
void k2_thrift_str(struct k2_thrift_out *thrift, int id, struct k2_str value);
/* The header of a list field; the caller appends count elements. */
void k2_thrift_list(struct k2_thrift_out *thrift, int id, enum k2_thrift_type type, size_t count);
/* One element of a list of strings. */
void k2_thrift_item_str(struct k2_thrift_out *thrift, struct k2_str value);

struct k2_thrift_in {
    const uint8_t *at, *end;
    bool failed;
};

/* The type of the next field of the innermost struct, its id in *id (which the caller sets to 0
 * before the first); STOP at its end. */
int k2_thrift_next(struct k2_thrift_in *in, int *id);
/* Jumps over a value of a type. */
void k2_thrift_skip(struct k2_thrift_in *in, int type);
/* Fields of the plain kinds; a field of another type, be it only wider, is a mistake: readers made
 * from the format's definition would not see it. */
int k2_thrift_get_i16(struct k2_thrift_in *in, int type);
int32_t k2_thrift_get_i32(struct k2_thrift_in *in, int type);
int64_t k2_thrift_get_i64(struct k2_thrift_in *in, int type);
/* A boolean field (its value is its type). */
bool k2_thrift_get_bool(struct k2_thrift_in *in, int type);
/* The bytes of a string field, borrowed from the input. */
struct k2_str k2_thrift_get_str(struct k2_thrift_in *in, int type);
/* The header of a list field: its length, never more than the bytes left. Its elements must be of
 * type item (TRUE: booleans). */
size_t k2_thrift_get_list(struct k2_thrift_in *in, int type, int item);
/* A boolean that is an element of a list. */
bool k2_thrift_item_bool(struct k2_thrift_in *in);
/* A field that is a struct; false, and marked as wrong, when it is not. */
bool k2_thrift_get_struct(struct k2_thrift_in *in, int type);

/* Notes that a struct has a field: bit id of *seen. Bit 0 stands for ids that came twice and such
 * that have no bit. */
static inline void k2_thrift_note(uint32_t *seen, int id) {
    bool is_odd = id < 1 || id > 31 || *seen >> id & 1;
    *seen |= is_odd ? 1 : 1u << id;
}
/* The bits of ids first to last. */
static inline uint32_t k2_thrift_ids(int first, int last) {
    return (2u << last) - (1u << first);
}
/* Marks the input as wrong. */
void k2_thrift_fail(struct k2_thrift_in *in);

#endif
