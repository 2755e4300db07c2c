/* strings.h -- runs of strings as Parquet's three byte-array encodings write them.
 *
 * A k2_pq_text is many strings in one piece of memory, each right behind the one before: string i
 * is [ends[i - 1], ends[i]). Threads: no state beyond the scratch that is handed in.
 */
#ifndef K2_LAKE_PARQUET_STRINGS_H
#define K2_LAKE_PARQUET_STRINGS_H

#include "lake/parquet/delta.h"
#include "lake/parquet/format.h"
#include "market/batch.h"

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

/* Append the text in an encoding to out. scratch is room for the lengths. Who looks at neighbours
 * anyway tells the least and the greatest too, 0 for an empty text. cuts: where in out the second
 * lengths and the bytes themselves begin. */
void k2_pq_put_plain(const struct k2_pq_text *text, struct k2_buf *out);
void k2_pq_put_delta_strings(const struct k2_pq_text *text, struct k2_buf *scratch,
                             struct k2_buf *out, size_t cuts[2], uint32_t *ret_least,
                             uint32_t *ret_greatest);
/* One string of PLAIN. */
void k2_pq_put_plain_str(struct k2_str s, struct k2_buf *out);

/* Where a reader of a page of strings stands. [at, end) is followed by K2_PQ_SLACK readable bytes.
 */
struct k2_pq_text_in {
    enum k2_pq_encoding encoding; /* PLAIN, DELTA_LENGTH or DELTA_STRINGS */
    const uint8_t *at, *end;
    struct k2_delta_in prefix, suffix; /* lengths, of the two latter */
    struct k2_buf last; /* the string before, of DELTA_STRINGS; kept from page to page */
};
/* Begins to read. last keeps its memory. False: the bytes are no such sequence. */
bool k2_pq_text_open(struct k2_pq_text_in *in, enum k2_pq_encoding encoding, const uint8_t *at,
                     const uint8_t *end);
/* Appends the bytes of the next count strings to out, and where they lie in it to spans. False:
 * the page does not hold them, or out would grow beyond bytes_max (below 4 GiB). */
bool k2_pq_text_take(struct k2_pq_text_in *in, size_t count, size_t bytes_max, struct k2_buf *out,
                     struct k2_span *spans);

/* Makes room for size bytes (and slack) in a scratch buffer, contents lost. */
void *k2_pq_scratch(struct k2_buf *buf, size_t size);

#endif
