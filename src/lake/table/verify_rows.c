/* verify_rows.c -- every row of a main table, and every dead letter, has a log position of its own,
 * below the table's (docs/rules.md: time travel and readers).
 *
 * Offsets are dense, so they are kept as bits: a map from (log id, log partition, offset / 65536)
 * to 8 KiB of them, a bit over one per row.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "lake/table/verify_impl.h"

enum { CHUNK_BITS = 16, REPORTS_MAX = 20, GROUP_ROWS_MAX = 16 << 20 };

struct chunk {
    uint32_t log; /* code of the log id in strings */
    int32_t log_partition;
    int64_t number; /* offset >> CHUNK_BITS */
    uint64_t *bits;
};

/* How many positions of a log were seen. */
struct tally {
    uint32_t log;
    int64_t count;
};

struct k2_seen {
    struct k2_intern strings;
    struct chunk *chunks; /* open addressing; bits NULL: free */
    size_t chunk_count, chunk_cap;
    struct tally *tallies;
    int tally_count, tally_cap;
};

/* Where the table stands in one log partition. */
struct claim {
    uint32_t log;
    int32_t log_partition;
    bool is_known;
    int64_t next;
};

struct k2_verify_rows {
    struct k2_verify *v;
    struct k2_seen *seen;
    struct claim *claims;
    int claim_count, claim_cap;
    int log_id, log_partition, log_offset; /* columns */
    int64_t reports;
};

struct k2_seen *k2_seen_new(void) {
    return k2_new(struct k2_seen);
}

void k2_seen_free(struct k2_seen *seen) {
    for (size_t i = 0; i < seen->chunk_cap; i++)
        k2_free(seen->chunks[i].bits);
    k2_free(seen->chunks);
    k2_free(seen->tallies);
    k2_intern_done(&seen->strings);
    k2_free(seen);
}

static struct tally *tally_of(struct k2_seen *seen, uint32_t log) {
    for (int i = 0; i < seen->tally_count; i++)
        if (seen->tallies[i].log == log)
            return &seen->tallies[i];
    if (seen->tally_count == seen->tally_cap) {
        seen->tally_cap = seen->tally_cap ? seen->tally_cap * 2 : 32;
        seen->tallies = k2_realloc(seen->tallies, sizeof *seen->tallies * (size_t)seen->tally_cap);
    }
    seen->tallies[seen->tally_count] = (struct tally){log, 0};
    return &seen->tallies[seen->tally_count++];
}

int64_t k2_seen_count(struct k2_seen *seen, struct k2_str log_id) {
    return tally_of(seen, k2_intern_add(&seen->strings, log_id))->count;
}

struct k2_verify_rows *k2_verify_rows_new(struct k2_verify *v) {
    const struct k2_schema *schema = v->schema;
    /* The gap ledgers may have several rows of one record. */
    if (schema->kind == K2_GAP || schema->kind == K2_GAP_EVENT)
        return NULL;
    struct k2_verify_rows *r = k2_new(struct k2_verify_rows);
    r->v = v;
    r->seen = v->seen;
    r->log_id = k2_schema_column(schema, K2_STR("log_id"));
    r->log_partition = k2_schema_column(schema, K2_STR("log_partition"));
    r->log_offset = k2_schema_column(schema, K2_STR("log_offset"));
    return r;
}

void k2_verify_rows_free(struct k2_verify_rows *r) {
    if (!r)
        return;
    if (r->reports > REPORTS_MAX)
        k2_verify_note(r->v, "%" PRId64 " rows have a wrong log position in all", r->reports);
    k2_free(r->claims);
    k2_free(r);
}

static size_t slot_of(const struct k2_seen *seen, uint32_t log, int32_t log_partition,
                      int64_t number) {
    uint64_t hash = (uint64_t)number * 0x9e3779b97f4a7c15u ^ (uint64_t)log << 32 ^
                    (uint64_t)(uint32_t)log_partition * 0xc2b2ae3d27d4eb4fu;
    size_t slot = (hash ^ hash >> 29) & (seen->chunk_cap - 1);
    while (seen->chunks[slot].bits &&
           (seen->chunks[slot].log != log || seen->chunks[slot].log_partition != log_partition ||
            seen->chunks[slot].number != number))
        slot = (slot + 1) & (seen->chunk_cap - 1);
    return slot;
}

static void grow(struct k2_seen *seen) {
    struct chunk *old = seen->chunks;
    size_t old_cap = seen->chunk_cap;
    seen->chunk_cap = old_cap ? old_cap * 2 : 256;
    seen->chunks = k2_new_array(struct chunk, seen->chunk_cap);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].bits)
            seen->chunks[slot_of(seen, old[i].log, old[i].log_partition, old[i].number)] = old[i];
    k2_free(old);
}

/* True when the position was seen before. */
static bool mark(struct k2_seen *seen, uint32_t log, int32_t log_partition, int64_t offset) {
    if (seen->chunk_count * 2 >= seen->chunk_cap)
        grow(seen);
    struct chunk *chunk = &seen->chunks[slot_of(seen, log, log_partition, offset >> CHUNK_BITS)];
    if (!chunk->bits) {
        *chunk = (struct chunk){log, log_partition, offset >> CHUNK_BITS, NULL};
        chunk->bits = k2_new_array(uint64_t, (1 << CHUNK_BITS) / 64);
        seen->chunk_count++;
    }
    uint32_t bit = (uint32_t)offset & ((1 << CHUNK_BITS) - 1);
    bool was_set = chunk->bits[bit / 64] >> (bit % 64) & 1;
    chunk->bits[bit / 64] |= 1ull << (bit % 64);
    tally_of(seen, log)->count += !was_set;
    return was_set;
}

/* The table's position by the property k2.log.<log id> and its topic. */
static const struct claim *claim_of(struct k2_verify_rows *r, uint32_t log, int32_t log_partition) {
    for (int i = 0; i < r->claim_count; i++)
        if (r->claims[i].log == log && r->claims[i].log_partition == log_partition)
            return &r->claims[i];
    if (r->claim_count == r->claim_cap) {
        r->claim_cap = r->claim_cap ? r->claim_cap * 2 : 32;
        r->claims = k2_realloc(r->claims, sizeof *r->claims * (size_t)r->claim_cap);
    }
    struct claim *claim = &r->claims[r->claim_count++];
    *claim = (struct claim){log, log_partition, false, 0};
    struct k2_buf key = {0};
    struct k2_err ignored = {0};
    struct k2_position position;
    k2_buf_printf(&key, "k2.log.%.*s", K2_FMT(k2_intern_str(&r->seen->strings, log)));
    struct k2_str topic = k2_metadata_property(r->v->metadata, k2_buf_cstr(&key));
    if (topic.ptr &&
        k2_position_find(r->v->metadata, topic.ptr, log_partition, &claim->is_known, &position,
                         &ignored) &&
        claim->is_known) {
        /* Rows of a log the topic has left have nothing to lie below. */
        char hex[9];
        snprintf(hex, sizeof hex, "%08x",
                 (unsigned)k2_hash64(position.log_id, strlen(position.log_id)));
        claim->is_known = k2_str_is(k2_intern_str(&r->seen->strings, log), hex);
        claim->next = position.next;
    }
    k2_buf_done(&key);
    return claim;
}

static void check_rows(struct k2_verify_rows *r, const struct k2_batch *batch, struct k2_str path) {
    const struct claim *claim = NULL;
    for (uint32_t i = 0; i < batch->rows; i++) {
        uint32_t log = batch->col[r->log_id].u32[i];
        int32_t log_partition = batch->col[r->log_partition].i32[i];
        int64_t offset = batch->col[r->log_offset].i64[i];
        if (!claim || claim->log != log || claim->log_partition != log_partition)
            claim = claim_of(r, log, log_partition);
        bool is_beyond = claim->is_known && offset >= claim->next;
        bool is_twice = offset >= 0 && mark(r->seen, log, log_partition, offset);
        if (offset >= 0 && !is_beyond && !is_twice)
            continue;
        if (++r->reports <= REPORTS_MAX)
            k2_verify_broken(
                r->v, "%.*s: the row of log %.*s, log partition %d, offset %" PRId64 " %s",
                K2_FMT(path), K2_FMT(k2_intern_str(&r->seen->strings, log)), log_partition, offset,
                is_twice    ? "is there twice"
                : is_beyond ? "lies beyond the table's position"
                            : "has no valid position");
    }
}

bool k2_verify_rows_read(struct k2_verify_rows *r, struct k2_parquet_file *file, struct k2_str path,
                         struct k2_err *err) {
    uint32_t columns = 1u << r->log_id | 1u << r->log_partition | 1u << r->log_offset;
    bool ok = true;
    for (int g = 0; ok && g < k2_parquet_row_groups(file); g++) {
        int64_t rows = k2_parquet_row_group_rows(file, g);
        if (rows < 0 || rows > GROUP_ROWS_MAX)
            return k2_err_set(err, K2_LIMIT, "row group %d has %" PRId64 " rows", g, rows);
        struct k2_batch *batch = k2_batch_new(r->v->schema, (uint32_t)rows + 1, &r->seen->strings);
        ok = k2_parquet_read(file, g, columns, batch, err);
        if (ok)
            check_rows(r, batch, path);
        k2_batch_free(batch);
    }
    return ok;
}
