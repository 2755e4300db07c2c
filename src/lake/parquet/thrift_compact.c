/* thrift_compact.c -- Thrift's compact protocol: writing into a buffer, reading by checked cursor.
 */
#include "lake/parquet/thrift_compact.h"

void k2_thrift_open(struct k2_thrift_out *thrift, struct k2_buf *out) {
    *thrift = (struct k2_thrift_out){.out = out};
}

void k2_thrift_begin(struct k2_thrift_out *thrift) {
    K2_ASSERT(thrift->depth + 1 < K2_THRIFT_DEPTH_MAX);
    thrift->last[++thrift->depth] = 0;
}

void k2_thrift_end(struct k2_thrift_out *thrift) {
    k2_buf_byte(thrift->out, K2_THRIFT_STOP);
    thrift->depth--;
}

/* Ids close to the one before share the byte of the type. */
static void field(struct k2_thrift_out *thrift, int id, int type) {
    int step = id - thrift->last[thrift->depth];
    thrift->last[thrift->depth] = id;
    if (step > 0 && step < 16) {
        k2_buf_byte(thrift->out, (uint8_t)(step << 4 | type));
        return;
    }
    k2_buf_byte(thrift->out, (uint8_t)type);
    k2_buf_zigzag(thrift->out, id);
}

void k2_thrift_struct(struct k2_thrift_out *thrift, int id) {
    field(thrift, id, K2_THRIFT_STRUCT);
    k2_thrift_begin(thrift);
}

void k2_thrift_empty_struct(struct k2_thrift_out *thrift, int id) {
    k2_thrift_struct(thrift, id);
    k2_thrift_end(thrift);
}

void k2_thrift_i16(struct k2_thrift_out *thrift, int id, int value) {
    field(thrift, id, K2_THRIFT_I16);
    k2_buf_zigzag(thrift->out, value);
}

void k2_thrift_i32(struct k2_thrift_out *thrift, int id, int32_t value) {
    field(thrift, id, K2_THRIFT_I32);
    k2_buf_zigzag(thrift->out, value);
}

void k2_thrift_i64(struct k2_thrift_out *thrift, int id, int64_t value) {
    field(thrift, id, K2_THRIFT_I64);
    k2_buf_zigzag(thrift->out, value);
}

void k2_thrift_bool(struct k2_thrift_out *thrift, int id, bool value) {
    field(thrift, id, value ? K2_THRIFT_TRUE : K2_THRIFT_FALSE);
}

void k2_thrift_item_str(struct k2_thrift_out *thrift, struct k2_str value) {
    k2_buf_varint(thrift->out, value.len);
    k2_buf_str(thrift->out, value);
}

void k2_thrift_str(struct k2_thrift_out *thrift, int id, struct k2_str value) {
    field(thrift, id, K2_THRIFT_BINARY);
    k2_thrift_item_str(thrift, value);
}

void k2_thrift_list(struct k2_thrift_out *thrift, int id, enum k2_thrift_type type, size_t count) {
    field(thrift, id, K2_THRIFT_LIST);
    if (count < 15) {
        k2_buf_byte(thrift->out, (uint8_t)(count << 4 | type));
        return;
    }
    k2_buf_byte(thrift->out, (uint8_t)(0xf0 | type));
    k2_buf_varint(thrift->out, count);
}

void k2_thrift_fail(struct k2_thrift_in *in) {
    in->failed = true;
    in->at = in->end;
}

static uint8_t get_byte(struct k2_thrift_in *in) {
    if (in->at >= in->end) {
        k2_thrift_fail(in);
        return 0;
    }
    return *in->at++;
}

static uint64_t get_varint(struct k2_thrift_in *in) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = get_byte(in);
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    k2_thrift_fail(in);
    return 0;
}

static int64_t get_zigzag(struct k2_thrift_in *in) {
    uint64_t value = get_varint(in);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

int k2_thrift_next(struct k2_thrift_in *in, int *id) {
    uint8_t head = get_byte(in);
    int type = head & 15;
    if (head == K2_THRIFT_STOP || in->failed)
        return K2_THRIFT_STOP;
    if (type == K2_THRIFT_STOP || type > K2_THRIFT_STRUCT) {
        k2_thrift_fail(in);
        return K2_THRIFT_STOP;
    }
    int64_t next = head >> 4 ? *id + (head >> 4) : get_zigzag(in);
    if (next < INT16_MIN || next > INT16_MAX)
        k2_thrift_fail(in);
    *id = (int)next;
    return in->failed ? K2_THRIFT_STOP : type;
}

static void jump(struct k2_thrift_in *in, uint64_t bytes) {
    if (bytes > (uint64_t)(in->end - in->at))
        k2_thrift_fail(in);
    else
        in->at += bytes;
}

/* What is still to be jumped over, from the outside in. */
struct level {
    bool is_struct;
    int types[2]; /* of elements, or of keys and values in turn */
    uint64_t left;
};

static struct level list_level(struct k2_thrift_in *in) {
    uint8_t head = get_byte(in);
    uint64_t count = head >> 4;
    if (count == 15)
        count = get_varint(in);
    return (struct level){false, {head & 15, head & 15}, count};
}

static struct level map_level(struct k2_thrift_in *in) {
    uint64_t count = get_varint(in);
    uint8_t types = count ? get_byte(in) : 0;
    if (count > (uint64_t)(in->end - in->at))
        k2_thrift_fail(in);
    return (struct level){false, {types >> 4, types & 15}, in->failed ? 0 : count * 2};
}

/* Jumps over a value that holds no other; false for those that do. */
static bool skip_plain(struct k2_thrift_in *in, int type, bool is_item) {
    switch (type) {
    case K2_THRIFT_TRUE:
    case K2_THRIFT_FALSE: jump(in, is_item); return true;
    case K2_THRIFT_BYTE: jump(in, 1); return true;
    case K2_THRIFT_I16:
    case K2_THRIFT_I32:
    case K2_THRIFT_I64: get_varint(in); return true;
    case K2_THRIFT_DOUBLE: jump(in, 8); return true;
    case K2_THRIFT_BINARY: jump(in, get_varint(in)); return true;
    default: return false;
    }
}

void k2_thrift_skip(struct k2_thrift_in *in, int type) {
    enum { DEPTH_MAX = 32 };
    struct level stack[DEPTH_MAX];
    int depth = 0;
    stack[0] = (struct level){false, {type, type}, 1};
    while (!in->failed) {
        struct level *top = &stack[depth];
        int next = K2_THRIFT_STOP, id = 0;
        bool is_item = !top->is_struct && depth > 0;
        if (top->is_struct)
            next = k2_thrift_next(in, &id);
        else if (top->left) {
            next = top->types[top->left-- & 1];
            if (next == K2_THRIFT_STOP)
                k2_thrift_fail(in);
        }
        if (next == K2_THRIFT_STOP) {
            if (depth-- == 0)
                return;
            continue;
        }
        if (skip_plain(in, next, is_item))
            continue;
        if (next > K2_THRIFT_STRUCT || depth + 1 == DEPTH_MAX) {
            k2_thrift_fail(in);
            return;
        }
        stack[++depth] = next == K2_THRIFT_STRUCT ? (struct level){.is_struct = true}
                         : next == K2_THRIFT_MAP  ? map_level(in)
                                                  : list_level(in);
    }
}

static int64_t get_number(struct k2_thrift_in *in, int type, int want, int64_t max) {
    int64_t value = get_zigzag(in);
    if (type != want || value > max || value < -max - 1)
        k2_thrift_fail(in);
    return in->failed ? 0 : value;
}

int k2_thrift_get_i16(struct k2_thrift_in *in, int type) {
    return (int)get_number(in, type, K2_THRIFT_I16, INT16_MAX);
}

int32_t k2_thrift_get_i32(struct k2_thrift_in *in, int type) {
    return (int32_t)get_number(in, type, K2_THRIFT_I32, INT32_MAX);
}

int64_t k2_thrift_get_i64(struct k2_thrift_in *in, int type) {
    return get_number(in, type, K2_THRIFT_I64, INT64_MAX);
}

bool k2_thrift_get_bool(struct k2_thrift_in *in, int type) {
    if (type != K2_THRIFT_TRUE && type != K2_THRIFT_FALSE)
        k2_thrift_fail(in);
    return type == K2_THRIFT_TRUE;
}

struct k2_str k2_thrift_get_str(struct k2_thrift_in *in, int type) {
    if (type != K2_THRIFT_BINARY)
        k2_thrift_fail(in);
    uint64_t len = get_varint(in);
    const uint8_t *start = in->at;
    jump(in, len);
    return in->failed ? (struct k2_str){"", 0} : k2_str_make(start, (size_t)len);
}

size_t k2_thrift_get_list(struct k2_thrift_in *in, int type, int item) {
    if (type != K2_THRIFT_LIST)
        k2_thrift_fail(in);
    struct level list = list_level(in);
    int is = list.types[0] == K2_THRIFT_FALSE ? K2_THRIFT_TRUE : list.types[0];
    if (list.left > (uint64_t)(in->end - in->at) || (list.left && is != item))
        k2_thrift_fail(in);
    return in->failed ? 0 : (size_t)list.left;
}

bool k2_thrift_item_bool(struct k2_thrift_in *in) {
    uint8_t byte = get_byte(in);
    if (byte > K2_THRIFT_FALSE) /* some write 0 for false */
        k2_thrift_fail(in);
    return byte == K2_THRIFT_TRUE;
}

bool k2_thrift_get_struct(struct k2_thrift_in *in, int type) {
    if (type != K2_THRIFT_STRUCT)
        k2_thrift_fail(in);
    return !in->failed;
}
