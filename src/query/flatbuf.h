/* flatbuf.h -- just enough of a FlatBuffers builder for Arrow's messages.
 *
 * A buffer grows from its end to its front, as the format wants: what is referred to is written
 * before what refers to it. A reference is the distance of a thing's start from the buffer's end.
 */
#ifndef K2_QUERY_FLATBUF_H
#define K2_QUERY_FLATBUF_H

#include "base/str.h"

enum { K2_FLAT_SLOTS = 8 };

struct k2_flat {
    uint8_t *bytes; /* the last used of cap bytes are written */
    size_t cap, used;
    size_t table_start, slots[K2_FLAT_SLOTS];
};

void k2_flat_done(struct k2_flat *flat);
/* Empties the buffer, memory stays. */
void k2_flat_clear(struct k2_flat *flat);

/* A string, and a vector of references; each returns where it lies. */
uint32_t k2_flat_string(struct k2_flat *flat, struct k2_str text);
/* refs are what earlier calls returned. */
uint32_t k2_flat_refs(struct k2_flat *flat, const uint32_t *refs, size_t count);
/* A vector of structs of two int64 each. */
uint32_t k2_flat_pairs(struct k2_flat *flat, const int64_t (*pairs)[2], size_t count);

/* One table at a time: begin, its fields by slot, end. */
void k2_flat_begin(struct k2_flat *flat);
void k2_flat_int(struct k2_flat *flat, int slot, int64_t value, int bytes);
void k2_flat_ref(struct k2_flat *flat, int slot, uint32_t ref);
uint32_t k2_flat_end(struct k2_flat *flat);

/* Completes the message with root; its length is a multiple of 8. Valid until the next call. */
struct k2_str k2_flat_finish(struct k2_flat *flat, uint32_t root);

#endif
