/* avro_container.c -- writes and reads Avro object container files, codecs null and deflate. */
#include "lake/table/avro_container.h"

#include <zlib.h>

#include "base/alloc.h"
#include "lake/table/avro_wire.h"

enum { BLOCK_BYTES = 256 << 10 };

static const char magic[4] = {'O', 'b', 'j', 1};

/* ---- write ---- */
static void put_text(struct k2_buf *out, struct k2_str text) {
    k2_buf_zigzag(out, (int64_t)text.len);
    k2_buf_str(out, text);
}

void k2_container_begin(struct k2_container_writer *writer, struct k2_str schema,
                        const struct k2_container_meta *meta, int meta_count, bool is_deflated,
                        const uint8_t sync[16]) {
    *writer = (struct k2_container_writer){.is_deflated = is_deflated};
    memcpy(writer->sync, sync, 16);
    k2_buf_append(&writer->out, magic, sizeof magic);
    k2_buf_zigzag(&writer->out, meta_count + 2);
    for (int i = 0; i < meta_count; i++) {
        put_text(&writer->out, meta[i].key);
        put_text(&writer->out, meta[i].value);
    }
    put_text(&writer->out, K2_STR("avro.codec"));
    put_text(&writer->out, is_deflated ? K2_STR("deflate") : K2_STR("null"));
    put_text(&writer->out, K2_STR("avro.schema"));
    put_text(&writer->out, schema);
    k2_buf_zigzag(&writer->out, 0);
    k2_buf_append(&writer->out, sync, 16);
}

/* Raw deflate, without zlib's header, as Avro wants it. */
static void deflate_to(struct k2_str bytes, struct k2_buf *out) {
    z_stream stream = {0};
    int code = deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    K2_ASSERT(code == Z_OK);
    size_t bound = deflateBound(&stream, bytes.len);
    stream.next_in = (Bytef *)bytes.ptr;
    stream.avail_in = (uInt)bytes.len;
    stream.next_out = (Bytef *)k2_buf_reserve(out, bound);
    stream.avail_out = (uInt)bound;
    code = deflate(&stream, Z_FINISH);
    K2_ASSERT(code == Z_STREAM_END);
    out->len += stream.total_out;
    deflateEnd(&stream);
}

static void flush_block(struct k2_container_writer *writer) {
    if (!writer->block_records)
        return;
    struct k2_buf packed = {0};
    struct k2_str bytes = k2_buf_view(&writer->block);
    if (writer->is_deflated) {
        deflate_to(bytes, &packed);
        bytes = k2_buf_view(&packed);
    }
    k2_buf_zigzag(&writer->out, writer->block_records);
    put_text(&writer->out, bytes);
    k2_buf_append(&writer->out, writer->sync, 16);
    k2_buf_done(&packed);
    k2_buf_clear(&writer->block);
    writer->block_records = 0;
}

void k2_container_record(struct k2_container_writer *writer) {
    writer->block_records++;
    if (writer->block.len >= BLOCK_BYTES)
        flush_block(writer);
}

void k2_container_end(struct k2_container_writer *writer) {
    flush_block(writer);
}

void k2_container_writer_done(struct k2_container_writer *writer) {
    k2_buf_done(&writer->out);
    k2_buf_done(&writer->block);
}

/* ---- read ---- */
static bool read_meta(struct k2_wire *wire, struct k2_container *c, struct k2_err *err) {
    for (;;) {
        int64_t count = k2_wire_count(wire);
        if (count == 0 || wire->is_bad)
            break;
        for (int64_t i = 0; i < count && !wire->is_bad; i++) {
            if (c->meta_count == K2_CONTAINER_META_MAX)
                return k2_err_set(err, K2_LIMIT, "Avro file with more than %d metadata entries",
                                  K2_CONTAINER_META_MAX);
            struct k2_container_meta *meta = &c->meta[c->meta_count++];
            meta->key = k2_wire_bytes(wire);
            meta->value = k2_wire_bytes(wire);
        }
    }
    return !wire->is_bad || k2_err_set(err, K2_CORRUPT, "Avro file with a broken header");
}

bool k2_container_open(struct k2_str bytes, struct k2_container *ret_container,
                       struct k2_err *err) {
    struct k2_container *c = ret_container;
    c->meta_count = 0;
    if (bytes.len < sizeof magic || memcmp(bytes.ptr, magic, sizeof magic) != 0)
        return k2_err_set(err, K2_CORRUPT, "not an Avro file: it does not begin with Obj 1");
    struct k2_wire wire = k2_wire_of(k2_str_make(bytes.ptr + 4, bytes.len - 4));
    K2_TRY(read_meta(&wire, c, err));
    if (wire.end - wire.at < 16)
        return k2_err_set(err, K2_CORRUPT, "Avro file ends in its header");
    memcpy(c->sync, wire.at, 16);
    wire.at += 16;
    c->left = k2_str_make(wire.at, (size_t)(wire.end - wire.at));
    struct k2_str codec = k2_container_find(c, "avro.codec");
    c->is_deflated = k2_str_is(codec, "deflate");
    if (codec.ptr && !c->is_deflated && !k2_str_is(codec, "null"))
        return k2_err_set(err, K2_INVALID,
                          "Avro codec %.*s is not supported (write the file with deflate or null)",
                          (int)K2_MIN(codec.len, (size_t)40), codec.ptr);
    if (!k2_container_find(c, "avro.schema").ptr)
        return k2_err_set(err, K2_CORRUPT, "Avro file without a schema");
    return true;
}

struct k2_str k2_container_find(const struct k2_container *container, const char *key) {
    for (int i = 0; i < container->meta_count; i++)
        if (k2_str_is(container->meta[i].key, key))
            return container->meta[i].value;
    return (struct k2_str){0};
}

static bool inflate_to(struct k2_str bytes, struct k2_arena *arena, struct k2_str *ret_bytes,
                       struct k2_err *err) {
    struct k2_buf out = {0};
    z_stream stream = {0};
    int code = inflateInit2(&stream, -15);
    K2_ASSERT(code == Z_OK);
    stream.next_in = (Bytef *)bytes.ptr;
    stream.avail_in = (uInt)bytes.len;
    do {
        size_t room = K2_MAX(bytes.len * 4, (size_t)65536);
        stream.next_out = (Bytef *)k2_buf_reserve(&out, room);
        stream.avail_out = (uInt)room;
        code = inflate(&stream, Z_NO_FLUSH);
        out.len += room - stream.avail_out;
    } while (code == Z_OK && stream.avail_out == 0 && out.len <= K2_CONTAINER_BLOCK_MAX);
    inflateEnd(&stream);
    bool is_whole = code == Z_STREAM_END && out.len <= K2_CONTAINER_BLOCK_MAX;
    if (is_whole)
        *ret_bytes = k2_arena_str(arena, k2_buf_view(&out));
    k2_buf_done(&out);
    return is_whole || k2_err_set(err, K2_CORRUPT, "Avro block does not inflate");
}

bool k2_container_next(struct k2_container *container, struct k2_arena *arena, int64_t *ret_count,
                       struct k2_str *ret_records, struct k2_err *err) {
    *ret_count = 0;
    struct k2_wire wire = k2_wire_of(container->left);
    while (wire.at < wire.end) {
        int64_t count = k2_wire_long(&wire);
        struct k2_str block = k2_wire_bytes(&wire);
        if (wire.is_bad || count < 0 || wire.end - wire.at < 16 ||
            memcmp(wire.at, container->sync, 16) != 0)
            return k2_err_set(err, K2_CORRUPT, "Avro file with a broken block");
        wire.at += 16;
        container->left = k2_str_make(wire.at, (size_t)(wire.end - wire.at));
        if (count == 0)
            continue;
        if (container->is_deflated)
            K2_TRY(inflate_to(block, arena, &block, err));
        else
            block = k2_arena_str(arena, block);
        /* A record that takes no byte is not among those Iceberg has. */
        if ((uint64_t)count > block.len)
            return k2_err_set(err, K2_CORRUPT, "Avro block claims %lld records in %zu bytes",
                              (long long)count, block.len);
        *ret_count = count;
        *ret_records = block;
        return true;
    }
    return true;
}
