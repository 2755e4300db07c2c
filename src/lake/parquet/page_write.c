/* page_write.c -- one page: levels, values, compression, checksum, header.
 *
 *   header (Thrift) | repetition levels | definition levels | values, compressed where that helps
 */
#include <zlib.h>

#include "base/alloc.h"

#include "lake/parquet/bitpack.h"
#include "lake/parquet/delta.h"
#include "lake/parquet/rle.h"
#include "lake/parquet/thrift_compact.h"
#include "lake/parquet/writer_impl.h"

enum {
    ZSTD_BODY_MIN = 64, /* smaller bodies are stored as they are */
    ZSTD_PAUSE = 7,     /* pages left alone after one that did not shrink */
};

bool k2_pq_emit(struct k2_parquet_writer *writer, struct k2_str bytes, struct k2_err *err) {
    K2_TRY(k2_sink_write(writer->sink, bytes.ptr, bytes.len, err));
    writer->position += (int64_t)bytes.len;
    return true;
}

static int index_width(uint32_t entries, bool is_aligned) {
    int width = k2_bit_width(entries ? entries - 1 : 0);
    return is_aligned ? (width + 7) & ~7 : width;
}

static void put_index(const struct k2_pq_source *s, const struct k2_pq_stretch *at,
                      struct k2_buf *out) {
    int width = index_width(s->dictionary->count, s->plan.is_aligned);
    uint8_t *to = (uint8_t *)k2_buf_reserve(out, 1 + k2_rle_bound(at->values, width));
    *to = (uint8_t)width;
    uint8_t *end = k2_rle_encode(s->index + at->value, at->values, width, to + 1);
    out->len += (size_t)(end - to);
}

static void put_deltas(const struct k2_pq_source *s, const struct k2_pq_stretch *at,
                       struct k2_buf *out) {
    uint8_t *to = (uint8_t *)k2_buf_reserve(out, k2_delta_bound(at->values));
    uint8_t *end =
        s->leaf.kind == K2_PQ_VALUES_I64
            ? k2_delta_encode_i64(s->leaf.i64 + at->value, at->values, s->plan.is_aligned, to)
            : k2_delta_encode_i32(s->leaf.i32 + at->value, at->values, s->plan.is_aligned, to);
    out->len += (size_t)(end - to);
}

/* Strings as what they add to the one before, which shows their bounds. */
static void put_strings(struct k2_parquet_writer *w, const struct k2_pq_text *text,
                        struct k2_buf *out, struct k2_pq_bounds *bounds) {
    uint32_t least, greatest;
    k2_pq_put_delta_strings(text, &w->lengths, out, w->cuts, &least, &greatest);
    if (text->count)
        *bounds = (struct k2_pq_bounds){.has = true,
                                        .least = k2_pq_text_at(text, least),
                                        .greatest = k2_pq_text_at(text, greatest)};
}

/* The values of a stretch, encoded as planned, appended to out; their bounds where that is at no
 * cost. */
static void put_values(struct k2_parquet_writer *w, const struct k2_pq_source *s,
                       const struct k2_pq_stretch *at, struct k2_buf *out,
                       struct k2_pq_bounds *bounds) {
    struct k2_pq_text part = {0};
    if (s->leaf.kind == K2_PQ_VALUES_TEXT)
        part = (struct k2_pq_text){s->leaf.text.bytes, s->leaf.text.ends + at->value, at->values};
    if (s->plan.encoding == K2_PQ_RLE_DICTIONARY)
        put_index(s, at, out);
    else if (s->plan.encoding == K2_PQ_DELTA)
        put_deltas(s, at, out);
    else if (s->plan.encoding == K2_PQ_DELTA_STRINGS)
        put_strings(w, &part, out, bounds);
    else if (s->leaf.kind == K2_PQ_VALUES_TEXT)
        k2_pq_put_plain(&part, out);
    else
        for (uint32_t i = at->value; i < at->value + at->values; i++)
            k2_pq_put_plain_str(s->leaf.dictionary->strings[s->leaf.index[i]], out);
}

static void put_levels(const uint8_t *levels, const struct k2_pq_stretch *at, int max,
                       struct k2_buf *out, int32_t *ret_bytes) {
    size_t start = out->len;
    int width = k2_bit_width((uint64_t)max);
    uint8_t *to = (uint8_t *)k2_buf_reserve(out, k2_rle_bound(at->levels, width));
    uint8_t *end = k2_rle_encode_levels(levels + at->level, at->levels, width, to);
    out->len += (size_t)(end - to);
    *ret_bytes = (int32_t)(out->len - start);
}

static bool check_page_size(const struct k2_parquet_writer *w, const struct k2_pq_source *s,
                            size_t bytes, struct k2_err *err) {
    if (bytes < INT32_MAX / 2)
        return true;
    return k2_err_set(err, K2_LIMIT, "%s: column %s makes a page of %zu bytes; at most 1 GiB fit",
                      w->schema->name, s->shape->path[0], bytes);
}

bool k2_pq_write_dictionary(struct k2_parquet_writer *writer, const struct k2_pq_source *source,
                            struct k2_pq_chunk *chunk, struct k2_err *err) {
    struct k2_parquet_writer *w = writer;
    const struct k2_pq_dictionary *dictionary = source->dictionary;
    k2_buf_clear(&w->body);
    k2_buf_clear(&w->stored);
    k2_buf_clear(&w->header);
    w->cuts[0] = w->cuts[1] = 0;
    if (source->leaf.kind == K2_PQ_VALUES_I64)
        k2_buf_append(&w->body, dictionary->numbers, (size_t)dictionary->count * 8);
    for (uint32_t i = 0; i < dictionary->count && source->leaf.kind != K2_PQ_VALUES_I64; i++)
        if (source->leaf.kind == K2_PQ_VALUES_I32)
            k2_buf_u32(&w->body, (uint32_t)dictionary->numbers[i]);
        else
            k2_pq_put_plain_str(dictionary->strings[i], &w->body);
    K2_TRY(check_page_size(w, source, w->body.len, err));
    if (source->plan.is_zstd)
        K2_TRY(k2_pq_compress(w, K2_PQ_SEARCH_SHORT, &w->stored, err));
    struct k2_str stored = k2_buf_view(source->plan.is_zstd ? &w->stored : &w->body);
    struct k2_thrift_out t;
    k2_thrift_open(&t, &w->header);
    k2_thrift_i32(&t, 1, K2_PQ_PAGE_DICTIONARY);
    k2_thrift_i32(&t, 2, (int32_t)w->body.len);
    k2_thrift_i32(&t, 3, (int32_t)stored.len);
    k2_thrift_i32(&t, 4, (int32_t)crc32_z(0, (const Bytef *)stored.ptr, stored.len));
    k2_thrift_struct(&t, 7);
    k2_thrift_i32(&t, 1, (int32_t)dictionary->count);
    k2_thrift_i32(&t, 2, K2_PQ_PLAIN);
    k2_thrift_end(&t);
    k2_thrift_end(&t);
    chunk->dictionary_offset = w->position;
    chunk->plain_bytes += (int64_t)(w->header.len + w->body.len);
    K2_TRY(k2_pq_emit(w, k2_buf_view(&w->header), err));
    return k2_pq_emit(w, stored, err);
}

static struct k2_pq_page *add_page(struct k2_parquet_writer *w) {
    if (w->page_count == w->page_cap) {
        w->page_cap = w->page_cap ? w->page_cap * 2 : 16;
        w->pages = k2_realloc(w->pages, (size_t)w->page_cap * sizeof *w->pages);
    }
    return &w->pages[w->page_count++];
}

/* Appends the body to the stored bytes, compressed if that makes it smaller. */
static bool store_body(struct k2_parquet_writer *w, struct k2_pq_leaf_state *state,
                       const struct k2_pq_plan *plan, bool *ret_is_zstd, struct k2_err *err) {
    *ret_is_zstd = false;
    if (plan->is_zstd && w->body.len >= ZSTD_BODY_MIN && state->zstd_pause == 0) {
        size_t levels = w->stored.len;
        K2_TRY(k2_pq_compress(w, plan->search, &w->stored, err));
        size_t bytes = w->stored.len - levels;
        if (bytes > w->body.len - w->body.len / 32)
            state->zstd_pause = ZSTD_PAUSE;
        if (bytes < w->body.len) {
            *ret_is_zstd = true;
            return true;
        }
        w->stored.len = levels;
    } else if (state->zstd_pause)
        state->zstd_pause--;
    k2_buf_str(&w->stored, k2_buf_view(&w->body));
    return true;
}

bool k2_pq_write_page(struct k2_parquet_writer *writer, struct k2_pq_leaf_state *state,
                      const struct k2_pq_source *source, const struct k2_pq_stretch *stretch,
                      struct k2_pq_chunk *chunk, struct k2_err *err) {
    struct k2_parquet_writer *w = writer;
    const struct k2_pq_shape *shape = source->shape;
    int32_t rep_bytes = 0, def_bytes = 0;
    k2_buf_clear(&w->body);
    k2_buf_clear(&w->stored);
    k2_buf_clear(&w->header);
    w->cuts[0] = w->cuts[1] = 0;
    if (shape->max_rep)
        put_levels(source->leaf.rep, stretch, shape->max_rep, &w->stored, &rep_bytes);
    if (shape->max_def)
        put_levels(source->leaf.def, stretch, shape->max_def, &w->stored, &def_bytes);
    struct k2_pq_bounds bounds = {0};
    put_values(w, source, stretch, &w->body,
               &bounds); /* of no values too: a delta header is expected */
    size_t plain = w->stored.len + w->body.len;
    K2_TRY(check_page_size(w, source, plain, err));
    bool is_zstd;
    K2_TRY(store_body(w, state, &source->plan, &is_zstd, err));
    struct k2_pq_page *page = add_page(w);
    *page = (struct k2_pq_page){.offset = w->position,
                                .nulls = stretch->levels - stretch->values,
                                .values = stretch->values,
                                .bounds = bounds};
    struct k2_thrift_out t;
    k2_thrift_open(&t, &w->header);
    k2_thrift_i32(&t, 1, K2_PQ_PAGE_V2);
    k2_thrift_i32(&t, 2, (int32_t)plain);
    k2_thrift_i32(&t, 3, (int32_t)w->stored.len);
    k2_thrift_i32(&t, 4, (int32_t)crc32_z(0, (const Bytef *)w->stored.ptr, w->stored.len));
    k2_thrift_struct(&t, 8);
    k2_thrift_i32(&t, 1, (int32_t)stretch->levels);
    k2_thrift_i32(&t, 2, (int32_t)page->nulls);
    k2_thrift_i32(&t, 3, (int32_t)stretch->rows);
    k2_thrift_i32(&t, 4, (int32_t)source->plan.encoding);
    k2_thrift_i32(&t, 5, def_bytes);
    k2_thrift_i32(&t, 6, rep_bytes);
    k2_thrift_bool(&t, 7, is_zstd);
    k2_thrift_end(&t);
    k2_thrift_end(&t);
    chunk->plain_bytes += (int64_t)(w->header.len + plain);
    K2_TRY(k2_pq_emit(w, k2_buf_view(&w->header), err));
    K2_TRY(k2_pq_emit(w, k2_buf_view(&w->stored), err));
    page->bytes = (int32_t)(w->position - page->offset);
    return true;
}
