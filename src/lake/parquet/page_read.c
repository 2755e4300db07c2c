/* page_read.c -- a column chunk page by page: headers, checksums, decompression, dictionaries. */
#include <stdio.h>
#include <zlib.h>

#include "base/alloc.h"
#include "lake/parquet/reader_impl.h"

bool k2_pq_corrupt(const struct k2_pq_stream *stream, const char *what, struct k2_err *err) {
    return k2_err_set(err, K2_CORRUPT, "%s: row group %d, column %s: %s", stream->file->path,
                      stream->row_group, stream->column->name, what);
}

bool k2_pq_refuse(const struct k2_pq_stream *stream, const char *what, const char *name,
                  struct k2_err *err) {
    return k2_err_set(err, K2_INVALID, "%s: row group %d, column %s: K2 does not read %s %s",
                      stream->file->path, stream->row_group, stream->column->name, what, name);
}

const char *k2_pq_encoding_name(int encoding) {
    static const char *const names[] = {"PLAIN",
                                        "1",
                                        "PLAIN_DICTIONARY",
                                        "RLE",
                                        "BIT_PACKED",
                                        "DELTA_BINARY_PACKED",
                                        "DELTA_LENGTH_BYTE_ARRAY",
                                        "DELTA_BYTE_ARRAY",
                                        "RLE_DICTIONARY",
                                        "BYTE_STREAM_SPLIT"};
    return encoding >= 0 && (size_t)encoding < K2_COUNT(names) ? names[encoding] : "of no name";
}

const char *k2_pq_codec_name(int codec) {
    static const char *const names[] = {"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO",
                                        "BROTLI",       "LZ4",    "ZSTD", "LZ4_RAW"};
    return codec >= 0 && (size_t)codec < K2_COUNT(names) ? names[codec] : "of no name";
}

/* ---- headers ---- */

static void read_v1(struct k2_thrift_in *in, int type, struct k2_pq_header *p) {
    int id = 0;
    if (!k2_thrift_get_struct(in, type))
        return;
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&p->inner_fields, id))
        switch (id) {
        case 1: p->values = k2_thrift_get_i32(in, type); break;
        case 2: p->encoding = k2_thrift_get_i32(in, type); break;
        case 3: p->def_encoding = k2_thrift_get_i32(in, type); break;
        case 4: p->rep_encoding = k2_thrift_get_i32(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_v2(struct k2_thrift_in *in, int type, struct k2_pq_header *p) {
    int id = 0;
    if (!k2_thrift_get_struct(in, type))
        return;
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&p->inner_fields, id))
        switch (id) {
        case 1: p->values = k2_thrift_get_i32(in, type); break;
        case 2: p->nulls = k2_thrift_get_i32(in, type); break;
        case 3: p->rows = k2_thrift_get_i32(in, type); break;
        case 4: p->encoding = k2_thrift_get_i32(in, type); break;
        case 5: p->def_bytes = k2_thrift_get_i32(in, type); break;
        case 6: p->rep_bytes = k2_thrift_get_i32(in, type); break;
        case 7: p->is_compressed = k2_thrift_get_bool(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

static void read_dictionary_header(struct k2_thrift_in *in, int type, struct k2_pq_header *p) {
    int id = 0;
    if (!k2_thrift_get_struct(in, type))
        return;
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&p->inner_fields, id))
        switch (id) {
        case 1: p->values = k2_thrift_get_i32(in, type); break;
        case 2: p->encoding = k2_thrift_get_i32(in, type); break;
        default: k2_thrift_skip(in, type);
        }
}

/* Whether the header has what the format demands, and of the kinds of pages only its own. */
static bool has_fields(const struct k2_pq_header *p) {
    int kind = p->type == K2_PQ_PAGE_V1           ? 5
               : p->type == K2_PQ_PAGE_DICTIONARY ? 7
               : p->type == K2_PQ_PAGE_V2         ? 8
                                                  : 0;
    uint32_t need = k2_thrift_ids(1, 3) | (kind ? 1u << kind : 0);
    uint32_t inner = kind == 5   ? k2_thrift_ids(1, 4)
                     : kind == 7 ? k2_thrift_ids(1, 2)
                     : kind == 8 ? k2_thrift_ids(1, 6)
                                 : 0;
    uint32_t odd = kind ? (1 | k2_thrift_ids(5, 8)) & ~(1u << kind) : 1;
    return (p->fields & need) == need && !(p->fields & odd) && (p->inner_fields & inner) == inner &&
           !(p->inner_fields & 1);
}

bool k2_pq_header_read(struct k2_thrift_in *in, struct k2_pq_header *ret) {
    enum { PLAIN_MAX = 1 << 30 };
    int id = 0, type;
    struct k2_pq_header *p = ret;
    *p = (struct k2_pq_header){.type = -1,
                               .crc = -1,
                               .def_encoding = K2_PQ_RLE,
                               .rep_encoding = K2_PQ_RLE,
                               .is_compressed = true};
    for (; (type = k2_thrift_next(in, &id)) != K2_THRIFT_STOP; k2_thrift_note(&p->fields, id))
        switch (id) {
        case 1: p->type = k2_thrift_get_i32(in, type); break;
        case 2: p->plain_bytes = k2_thrift_get_i32(in, type); break;
        case 3: p->bytes = k2_thrift_get_i32(in, type); break;
        case 4: p->crc = (int64_t)(uint32_t)k2_thrift_get_i32(in, type); break;
        case 5: read_v1(in, type, p); break;
        case 7: read_dictionary_header(in, type, p); break;
        case 8: read_v2(in, type, p); break;
        default: k2_thrift_skip(in, type);
        }
    if (in->failed || !has_fields(p) || p->bytes < 0 || p->bytes > in->end - in->at ||
        p->plain_bytes < 0 || p->plain_bytes > PLAIN_MAX || p->values < 0 ||
        p->values > K2_PQ_CHUNK_LEVELS_MAX || p->nulls < 0 || p->nulls > p->values || p->rows < 0 ||
        p->rows > p->values)
        return false;
    return p->def_bytes >= 0 && p->rep_bytes >= 0 && p->def_bytes <= p->bytes &&
           p->rep_bytes <= p->bytes - p->def_bytes && p->def_bytes + p->rep_bytes <= p->plain_bytes;
}

/* ---- bodies ---- */

/* zstd makes at most this much of a byte: 128 KiB of a block of 4 bytes. A page that claims more is
 * not believed before there is room made for it. */
enum { ZSTD_RATIO_MAX = 1 << 15 };

/* The bytes of a page behind the first skip ones, decompressed, with slack behind them. */
static bool open_body(struct k2_pq_stream *s, const struct k2_pq_header *p, const uint8_t *body,
                      size_t skip, struct k2_str *ret, struct k2_err *err) {
    size_t plain = (size_t)p->plain_bytes - skip, packed = (size_t)p->bytes - skip;
    if (s->chunk->codec != K2_PQ_ZSTD || !p->is_compressed || plain == 0) {
        if (plain && packed != plain)
            return k2_pq_corrupt(s, "the sizes of a page do not fit each other", err);
        *ret = k2_str_make(body + skip, plain);
        return true;
    }
    if (plain / ZSTD_RATIO_MAX > packed)
        return k2_pq_corrupt(s, "a page claims to be larger than it can be", err);
    if (!s->file->zstd)
        s->file->zstd = ZSTD_createDCtx();
    K2_ASSERT(s->file->zstd);
    char *out = k2_pq_scratch(&s->page, plain + K2_PQ_SLACK);
    size_t got = ZSTD_decompressDCtx(s->file->zstd, out, plain, body + skip, packed);
    if (ZSTD_isError(got) || got != plain)
        return k2_pq_corrupt(s, "a page cannot be decompressed", err);
    memset(out + plain, 0, K2_PQ_SLACK);
    *ret = k2_str_make(out, plain);
    return true;
}

static int bits_of(int max) {
    return max > 1 ? 2 : 1;
}

/* Levels of version 1 stand in the body, each kind behind its length of 4 bytes. */
static bool open_levels_v1(const struct k2_pq_stream *s, int max, struct k2_str *body,
                           struct k2_rle_in *ret, struct k2_err *err) {
    uint32_t bytes;
    if (max == 0)
        return true;
    if (body->len < 4)
        return k2_pq_corrupt(s, "a page is too short for its levels", err);
    memcpy(&bytes, body->ptr, 4);
    if (bytes > body->len - 4)
        return k2_pq_corrupt(s, "a page is too short for its levels", err);
    const uint8_t *at = (const uint8_t *)body->ptr + 4;
    k2_rle_open(ret, at, at + bytes, bits_of(max));
    *body = k2_str_make(at + bytes, body->len - 4 - bytes);
    return true;
}

static bool open_levels(struct k2_pq_stream *s, const struct k2_pq_header *p, const uint8_t *bytes,
                        struct k2_str *ret_body, struct k2_err *err) {
    if (p->type == K2_PQ_PAGE_V2) {
        const uint8_t *def = bytes + p->rep_bytes;
        k2_rle_open(&s->rep, bytes, def, 1);
        k2_rle_open(&s->def, def, def + p->def_bytes, bits_of(s->stored->max_def));
        return open_body(s, p, bytes, (size_t)(p->rep_bytes + p->def_bytes), ret_body, err);
    }
    if ((s->stored->max_rep && p->rep_encoding != K2_PQ_RLE) ||
        (s->stored->max_def && p->def_encoding != K2_PQ_RLE))
        return k2_pq_refuse(s, "levels in the encoding", "BIT_PACKED", err);
    K2_TRY(open_body(s, p, bytes, 0, ret_body, err));
    return open_levels_v1(s, s->stored->max_rep, ret_body, &s->rep, err) &&
           open_levels_v1(s, s->stored->max_def, ret_body, &s->def, err);
}

/* Makes the values of a page ready to be taken. */
static bool open_values(struct k2_pq_stream *s, int encoding, struct k2_str body,
                        struct k2_err *err) {
    const uint8_t *at = (const uint8_t *)body.ptr, *end = at + body.len;
    bool is_number = k2_pq_is_number(s->shape), ok;
    s->encoding = encoding == K2_PQ_PLAIN_DICTIONARY ? K2_PQ_RLE_DICTIONARY : encoding;
    switch (s->encoding) {
    case K2_PQ_RLE_DICTIONARY:
        if (!s->has_dictionary)
            return k2_pq_corrupt(s, "a page points into a dictionary that is not there", err);
        ok = at == end || *at <= 32;
        if (at < end) /* a page of nulls has not even a width */
            k2_rle_open(&s->index, at + 1, end, *at);
        else
            k2_rle_open(&s->index, end, end, 0);
        break;
    case K2_PQ_DELTA:
        if (!is_number)
            return k2_pq_refuse(s, "strings in the encoding", k2_pq_encoding_name(encoding), err);
        s->delta.left = 0;
        ok = at == end || k2_delta_open(&s->delta, &at, end, s->shape->physical == K2_PQ_INT64);
        break;
    case K2_PQ_PLAIN: ok = k2_pq_text_open(&s->text, K2_PQ_PLAIN, at, end); break;
    case K2_PQ_DELTA_LENGTH:
    case K2_PQ_DELTA_STRINGS:
        if (is_number)
            return k2_pq_refuse(s, "numbers in the encoding", k2_pq_encoding_name(encoding), err);
        s->text.prefix.left = s->text.suffix.left = 0;
        ok = at == end || k2_pq_text_open(&s->text, (enum k2_pq_encoding)encoding, at, end);
        break;
    default: return k2_pq_refuse(s, "the encoding", k2_pq_encoding_name(encoding), err);
    }
    return ok || k2_pq_corrupt(s, "the values of a page cannot be decoded", err);
}

/* ---- dictionaries ---- */

/* Entries of an enum as its values, of flags as masks: 32 names at most. */
static bool map_names(struct k2_pq_stream *s, struct k2_err *err) {
    uint32_t *numbers = k2_pq_scratch(&s->numbers, (size_t)s->entries * sizeof *numbers);
    for (uint32_t i = 0; i < s->entries; i++) {
        int name = k2_name_index(s->column->names, k2_pq_entry(s, i));
        if (name < 0)
            return k2_pq_corrupt(s, "a value is none of those its column may have", err);
        numbers[i] = s->column->type == K2_FLAGS ? 1u << name : (uint32_t)name;
    }
    return true;
}

static bool take_dictionary(struct k2_pq_stream *s, const struct k2_pq_header *p,
                            struct k2_str body, struct k2_err *err) {
    size_t count = (size_t)p->values, width = s->shape->physical == K2_PQ_INT64 ? 8 : 4;
    if (s->has_dictionary || s->levels_begun)
        return k2_pq_corrupt(s, "a dictionary stands where none may be", err);
    if (p->encoding != K2_PQ_PLAIN && p->encoding != K2_PQ_PLAIN_DICTIONARY)
        return k2_pq_refuse(s, "a dictionary in the encoding", k2_pq_encoding_name(p->encoding),
                            err);
    if (count > body.len / 4)
        return k2_pq_corrupt(s, "a dictionary is shorter than it says", err);
    s->has_dictionary = true;
    s->entries = (uint32_t)count;
    s->codes_of = NULL;
    s->round++;
    if (k2_pq_is_number(s->shape)) {
        if (count > body.len / width)
            return k2_pq_corrupt(s, "a dictionary is shorter than it says", err);
        memcpy(k2_pq_scratch(&s->numbers, count * width), body.ptr, count * width);
        return true;
    }
    const uint8_t *at = (const uint8_t *)body.ptr;
    struct k2_span *spans = k2_pq_scratch(&s->strings, count * sizeof *spans);
    k2_buf_clear(&s->dictionary_text);
    if (!k2_pq_text_open(&s->text, K2_PQ_PLAIN, at, at + body.len) ||
        !k2_pq_text_take(&s->text, count, UINT32_MAX, &s->dictionary_text, spans))
        return k2_pq_corrupt(s, "a dictionary cannot be decoded", err);
    memset(k2_pq_scratch(&s->placed, count * sizeof(struct k2_pq_placed)), 0,
           count * sizeof(struct k2_pq_placed));
    return !s->column->names || map_names(s, err);
}

/* ---- from page to page ---- */

static bool is_crc_right(const struct k2_pq_header *p, const uint8_t *body) {
#ifdef K2_FUZZING
    return p->bytes >= 0 && body; /* a fuzzer cannot make checksums fit */
#endif
    return p->crc < 0 || (int64_t)crc32_z(0, body, (size_t)p->bytes) == p->crc;
}

static bool begin_page(struct k2_pq_stream *s, const struct k2_pq_header *p, const uint8_t *bytes,
                       struct k2_err *err) {
    struct k2_str body;
    if (p->type == K2_PQ_PAGE_DICTIONARY) {
        K2_TRY(open_body(s, p, bytes, 0, &body, err));
        return take_dictionary(s, p, body, err);
    }
    if (p->type != K2_PQ_PAGE_V1 && p->type != K2_PQ_PAGE_V2)
        return true; /* an index page, say: to be passed over */
    if (p->values > s->chunk->values - s->levels_begun)
        return k2_pq_corrupt(s, "has more values than the footer says", err);
    if (s->shape->part == K2_PQ_FLAT && p->type == K2_PQ_PAGE_V2 && p->rows != p->values)
        return k2_pq_corrupt(s, "a page has not as many rows as values", err);
    s->levels_begun += p->values;
    s->levels_left = (uint32_t)p->values;
    return open_levels(s, p, bytes, &body, err) && open_values(s, p->encoding, body, err);
}

bool k2_pq_stream_page(struct k2_pq_stream *stream, bool *ret_is_there, struct k2_err *err) {
    struct k2_pq_stream *s = stream;
    while (s->levels_left == 0) {
        struct k2_pq_header p;
        struct k2_thrift_in in = {s->at, s->end, false};
        bool may_end = s->levels_begun == s->chunk->values || !s->is_whole;
        if (s->at == s->end && !may_end)
            return k2_pq_corrupt(s, "has fewer values than the footer says", err);
        if (s->at == s->end) {
            *ret_is_there = false;
            return true;
        }
        if (!k2_pq_header_read(&in, &p))
            return k2_pq_corrupt(s, "a page header makes no sense", err);
        if (!is_crc_right(&p, in.at))
            return k2_pq_corrupt(s, "the checksum of a page does not match", err);
        struct k2_pq_begun begun = {s->at, in.at, in.at + p.bytes, p};
        s->at = begun.end;
        if (p.type == K2_PQ_PAGE_DICTIONARY)
            s->dictionary = begun;
        else
            s->data = begun;
        K2_TRY(begin_page(s, &p, in.at, err));
    }
    *ret_is_there = true;
    return true;
}

/* ---- a chunk from its start, or from a page on ---- */

struct k2_pq_stream *k2_pq_stream_new(struct k2_parquet_file *file) {
    struct k2_pq_stream *stream = k2_new(struct k2_pq_stream);
    stream->file = file;
    return stream;
}

void k2_pq_stream_free(struct k2_pq_stream *stream) {
    if (!stream)
        return;
    struct k2_buf *bufs[] = {&stream->raw,     &stream->page,    &stream->text.last,
                             &stream->numbers, &stream->strings, &stream->dictionary_text,
                             &stream->codes,   &stream->placed};
    for (size_t i = 0; i < K2_COUNT(bufs); i++)
        k2_buf_done(bufs[i]);
    if (stream->block)
        k2_buf_done(&stream->block->text);
    k2_free(stream->block);
    k2_free(stream);
}

static bool fetch(struct k2_pq_stream *s, int64_t offset, int64_t bytes, struct k2_err *err) {
    return bytes == 0 ||
           k2_store_get_range(s->file->store, s->file->path, offset, bytes, &s->raw, err);
}

/* Which bytes of a chunk hold rows [first, first + count), by its offset index: from *ret_start to
 * *ret_end, where row *ret_row is the first. False: there is no index that could be used. */
static bool find_pages(struct k2_pq_stream *s, uint32_t first, uint32_t count, int64_t *ret_start,
                       int64_t *ret_end, int64_t *ret_row) {
    const struct k2_pq_place *place = &s->chunk->offset_index;
    struct k2_err ignored;
    int id = 0, type;
    k2_buf_clear(&s->page);
    if (place->bytes <= 0 || place->offset < 4 || place->bytes > s->file->size - place->offset ||
        !k2_store_get_range(s->file->store, s->file->path, place->offset, place->bytes, &s->page,
                            &ignored))
        return false;
    const uint8_t *bytes = (const uint8_t *)s->page.ptr;
    struct k2_thrift_in in = {bytes, bytes + s->page.len, false};
    if ((type = k2_thrift_next(&in, &id)) != K2_THRIFT_LIST || id != 1)
        return false;
    *ret_start = *ret_end = -1;
    for (size_t left = k2_thrift_get_list(&in, type, K2_THRIFT_STRUCT); left && !in.failed;
         left--) {
        int64_t page[4] = {0, -1, -1, -1};
        for (id = 0; (type = k2_thrift_next(&in, &id)) != K2_THRIFT_STOP && !in.failed;)
            if (id >= 1 && id <= 3)
                page[id] = id == 2 ? k2_thrift_get_i32(&in, type) : k2_thrift_get_i64(&in, type);
            else
                k2_thrift_skip(&in, type);
        if (page[3] <= first) {
            *ret_start = page[1];
            *ret_row = page[3];
        }
        if (page[3] >= (int64_t)first + count && *ret_end < 0)
            *ret_end = page[1];
    }
    int64_t end = s->chunk->data + s->chunk->bytes;
    if (s->chunk->dictionary >= 0 && s->chunk->dictionary < s->chunk->data)
        end -= s->chunk->data - s->chunk->dictionary;
    if (*ret_end < 0)
        *ret_end = end;
    return !in.failed && *ret_start >= s->chunk->data && *ret_start < *ret_end && *ret_end <= end &&
           *ret_row >= 0;
}

bool k2_pq_stream_start(struct k2_pq_stream *stream, int row_group, int leaf, uint32_t first,
                        uint32_t count, struct k2_err *err) {
    struct k2_pq_stream *s = stream;
    const struct k2_pq_row_group *group = &s->file->groups[row_group];
    s->shape = &s->file->shapes[leaf];
    s->stored = &s->file->stored[leaf];
    s->chunk = &group->chunks[s->stored->index];
    s->column = &s->file->schema->columns[s->shape->column];
    s->row_group = row_group;
    s->levels_begun = 0;
    s->levels_left = s->entries = 0;
    s->rows_to_pass = first;
    s->has_dictionary = false;
    s->round++;
    if (s->chunk->codec != K2_PQ_ZSTD && s->chunk->codec != K2_PQ_UNCOMPRESSED)
        return k2_pq_refuse(s, "the codec", k2_pq_codec_name(s->chunk->codec), err);
    bool has_dictionary = s->chunk->dictionary >= 0 && s->chunk->dictionary < s->chunk->data;
    int64_t start = has_dictionary ? s->chunk->dictionary : s->chunk->data, from, to, row = 0;
    s->raw_at = start;
    s->is_whole = first == 0 && count >= group->rows;
    if (!s->is_whole && !find_pages(s, first, count, &from, &to, &row))
        s->is_whole = true;
    k2_buf_clear(&s->raw);
    if (s->is_whole) {
        K2_TRY(fetch(s, start, s->chunk->bytes, err));
    } else {
        if (has_dictionary)
            K2_TRY(fetch(s, start, s->chunk->data - start, err));
        K2_TRY(fetch(s, from, to - from, err));
        s->rows_to_pass = first - (uint32_t)row;
    }
    memset(k2_buf_reserve(&s->raw, K2_PQ_SLACK), 0, K2_PQ_SLACK);
    s->at = (const uint8_t *)s->raw.ptr;
    s->end = s->at + s->raw.len;
    if (s->block)
        s->block->at = s->block->count = 0;
    return true;
}
