/* strings.h -- runs of strings as Parquet's three byte-array encodings write them.
 *
 * A k2_pq_text is many strings in one piece of memory, each right behind the one before: string i
 * is [ends[i - 1], ends[i]). Threads: no state beyond the scratch that is handed in.
 */
#ifndef K2_LAKE_PARQUET_STRINGS_H
#define K2_LAKE_PARQUET_STRINGS_H

#include "base/str.h"

struct k2_pq_text {
    const char *bytes;    /* followed by K2_PQ_SLACK readable bytes */
    const uint32_t *ends; /* ends[-1] is where the first string begins */
    uint32_t count;
};
static inline struct k2_str k2_pq_text_at(const struct k2_pq_text *text, uint32_t i) {
    uint32_t start = text->ends[(ptrdiff_t)i - 1];
    return (struct k2_str){text->bytes + start, text->ends[i] - start};
}

/* Length of what a and b begin with alike. */
size_t k2_pq_shared_prefix(struct k2_str a, struct k2_str b);

/* The least and the greatest of a text that is not empty, by index. */
void k2_pq_text_bounds(const struct k2_pq_text *text, uint32_t *ret_least, uint32_t *ret_greatest);

/* Append the text in an encoding to out. scratch is room for the lengths. */
void k2_pq_put_plain(const struct k2_pq_text *text, struct k2_buf *out);
void k2_pq_put_delta_strings(const struct k2_pq_text *text, struct k2_buf *scratch,
                             struct k2_buf *out);
/* One string of PLAIN. */
void k2_pq_put_plain_str(struct k2_str s, struct k2_buf *out);

/* Where decoded strings go: appended to bytes, their ends (within bytes) to ends. */
struct k2_pq_text_out {
    struct k2_buf *bytes;
    uint32_t *ends; /* room for all that are asked for */
    uint64_t bytes_max;
};
/* Decode exactly count strings of [at, end), which K2_PQ_SLACK readable bytes follow. False: the
 * bytes are no such sequence, or the strings are longer than bytes_max together. */
bool k2_pq_get_plain(const uint8_t *at, const uint8_t *end, size_t count,
                     struct k2_pq_text_out *out);
bool k2_pq_get_delta_length(const uint8_t *at, const uint8_t *end, size_t count,
                            struct k2_buf *scratch, struct k2_pq_text_out *out);
bool k2_pq_get_delta_strings(const uint8_t *at, const uint8_t *end, size_t count,
                             struct k2_buf *scratch, struct k2_pq_text_out *out);

/* Makes room for size bytes (and slack) in a scratch buffer, contents lost. */
void *k2_pq_scratch(struct k2_buf *buf, size_t size);

#endif
