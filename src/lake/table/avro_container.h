/* avro_container.h -- Avro object container files: what manifests and manifest lists are kept in.
 *
 *   "Obj" 1 | metadata: map<bytes> | sync (16)                                       header
 *   count: long | size: long | size bytes, deflated or plain | sync (16)             block,
 * repeated
 *
 * Threads: values, no shared state. Private to lake/table.
 */
#ifndef K2_LAKE_TABLE_AVRO_CONTAINER_H
#define K2_LAKE_TABLE_AVRO_CONTAINER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct k2_container_meta {
    struct k2_str key, value;
};

/* ---- write ---- */
/* Append records to block and call k2_container_record after each; out holds the file at the end.
 */
struct k2_container_writer {
    struct k2_buf out, block;
    int64_t block_records;
    bool is_deflated;
    uint8_t sync[16];
};
/* schema is the Avro schema as JSON. sync marks the blocks: 16 random bytes. */
void k2_container_begin(struct k2_container_writer *writer, struct k2_str schema,
                        const struct k2_container_meta *meta, int meta_count, bool is_deflated,
                        const uint8_t sync[16]);
void k2_container_record(struct k2_container_writer *writer);
void k2_container_end(struct k2_container_writer *writer);
void k2_container_writer_done(struct k2_container_writer *writer);

/* ---- read ---- */
enum { K2_CONTAINER_META_MAX = 64 };
/* No block unfolds to more than this. */
#define K2_CONTAINER_BLOCK_MAX (64u << 20)

struct k2_container {
    struct k2_str left; /* bytes not yet read */
    struct k2_container_meta meta[K2_CONTAINER_META_MAX];
    int meta_count;
    bool is_deflated;
    uint8_t sync[16];
};
/* Reads the header; what it fills borrows bytes. CORRUPT says what is wrong. */
bool k2_container_open(struct k2_str bytes, struct k2_container *ret_container,
                       struct k2_err *err) K2_MUST;
/* NULL pointer when there is no such key. */
struct k2_str k2_container_find(const struct k2_container *container, const char *key);
/* The next block's records, in memory of arena; *ret_count 0 at the end of the file. */
bool k2_container_next(struct k2_container *container, struct k2_arena *arena, int64_t *ret_count,
                       struct k2_str *ret_records, struct k2_err *err) K2_MUST;

#endif
