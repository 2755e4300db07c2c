/* avro_wire.c -- compiles an Avro schema into a flat tree and walks values by it. */
#include "lake/table/avro_wire.h"

#include "base/json.h"

/* ---- cursor ---- */
struct k2_wire k2_wire_of(struct k2_str bytes) {
    const char *at = bytes.ptr ? bytes.ptr : "";
    return (struct k2_wire){at, at + bytes.len, false};
}

static void spoil(struct k2_wire *wire) {
    wire->is_bad = true;
    wire->at = wire->end;
}

int64_t k2_wire_long(struct k2_wire *wire) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
        uint8_t byte = (uint8_t)*wire->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    spoil(wire);
    return 0;
}

void k2_wire_pass(struct k2_wire *wire, uint64_t bytes) {
    if (bytes > (uint64_t)(wire->end - wire->at))
        spoil(wire);
    else
        wire->at += bytes;
}

struct k2_str k2_wire_bytes(struct k2_wire *wire) {
    int64_t len = k2_wire_long(wire);
    const char *ptr = wire->at;
    if (len < 0)
        spoil(wire);
    else
        k2_wire_pass(wire, (uint64_t)len);
    return wire->is_bad ? (struct k2_str){0} : k2_str_make(ptr, (size_t)len);
}

bool k2_wire_boolean(struct k2_wire *wire) {
    if (wire->at == wire->end || (uint8_t)*wire->at > 1) {
        spoil(wire);
        return false;
    }
    return *wire->at++ == 1;
}

int64_t k2_wire_count(struct k2_wire *wire) {
    int64_t count = k2_wire_long(wire);
    if (count < 0) {
        k2_wire_long(wire); /* the block's bytes, for those who pass over it */
        count = count == INT64_MIN ? INT64_MAX : -count;
    }
    /* Every item that Iceberg has takes a byte at least. */
    if (count > wire->end - wire->at) {
        spoil(wire);
        return 0;
    }
    return count;
}

/* ---- compile ---- */
struct named {
    struct k2_str name;
    int node;
};

struct compiler {
    struct k2_wire_node *nodes;
    const struct k2_json **sources; /* the JSON each node is made from */
    int count, max;
    struct named *names;
    int name_count;
};

static const struct {
    const char *name;
    enum k2_wire_kind kind;
} kinds[] = {
    {"null", K2_WIRE_NULL},     {"boolean", K2_WIRE_BOOLEAN}, {"int", K2_WIRE_LONG},
    {"long", K2_WIRE_LONG},     {"float", K2_WIRE_FLOAT},     {"double", K2_WIRE_DOUBLE},
    {"bytes", K2_WIRE_BYTES},   {"string", K2_WIRE_BYTES},    {"fixed", K2_WIRE_FIXED},
    {"enum", K2_WIRE_ENUM},     {"array", K2_WIRE_ARRAY},     {"map", K2_WIRE_MAP},
    {"record", K2_WIRE_RECORD}, {"error", K2_WIRE_RECORD},
};

static bool find_kind(struct k2_str name, enum k2_wire_kind *ret_kind) {
    for (size_t i = 0; i < K2_COUNT(kinds); i++)
        if (k2_str_is(name, kinds[i].name)) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    return false;
}

static bool add_part(struct compiler *c, const struct k2_json *source, int32_t field_id) {
    if (c->count == c->max)
        return false;
    c->sources[c->count] = source;
    c->nodes[c->count++] = (struct k2_wire_node){.field_id = field_id};
    return true;
}

/* Until all types are known: a type that is only named here. */
enum { NAMED = K2_WIRE_RECORD + 1 };

/* The node takes the shape of the named type it stands for. */
static bool use_name(struct compiler *c, int index) {
    struct k2_wire_node *node = &c->nodes[index];
    const struct k2_json *source = c->sources[index];
    for (int depth = 0; depth < K2_WIRE_DEPTH_MAX && k2_json_is_object(source); depth++)
        source = k2_json_get(source, "type");
    struct k2_str name = k2_json_str(source);
    for (int i = 0; i < c->name_count; i++) {
        if (!k2_str_eq(c->names[i].name, name))
            continue;
        int32_t field_id = node->field_id;
        *node = c->nodes[c->names[i].node];
        node->field_id = field_id;
        return true;
    }
    return false;
}

static bool add_parts(struct compiler *c, struct k2_wire_node *node, const struct k2_json *parts,
                      bool are_fields) {
    node->first = c->count;
    node->count = (int)K2_MIN(k2_json_count(parts), (size_t)K2_WIRE_NODES_MAX);
    for (int i = 0; i < node->count; i++) {
        const struct k2_json *part = k2_json_at(parts, (size_t)i);
        int64_t id = are_fields ? k2_json_int(k2_json_get(part, "field-id"), -1) : -1;
        const struct k2_json *source = are_fields ? k2_json_get(part, "type") : part;
        if (!add_part(c, source, id >= 0 && id <= INT32_MAX ? (int32_t)id : -1))
            return false;
    }
    return true;
}

static bool fill_complex(struct compiler *c, struct k2_wire_node *node,
                         const struct k2_json *source) {
    switch (node->kind) {
    case K2_WIRE_RECORD: return add_parts(c, node, k2_json_get(source, "fields"), true);
    case K2_WIRE_ARRAY:
    case K2_WIRE_MAP:
        node->first = c->count;
        node->count = 1;
        return add_part(c, k2_json_get(source, node->kind == K2_WIRE_MAP ? "values" : "items"), -1);
    case K2_WIRE_FIXED:
        node->size = k2_json_int(k2_json_get(source, "size"), -1);
        return node->size >= 0;
    case K2_WIRE_ENUM: node->size = (int64_t)k2_json_count(k2_json_get(source, "symbols")); break;
    default: break;
    }
    return true;
}

static bool fill(struct compiler *c, int index) {
    struct k2_wire_node *node = &c->nodes[index];
    const struct k2_json *source = c->sources[index];
    if (k2_json_is_array(source)) {
        node->kind = K2_WIRE_UNION;
        return add_parts(c, node, source, false);
    }
    /* {"type": {"type": ...}} nests as often as a writer likes. */
    struct k2_str logical = {0};
    for (int depth = 0; depth < K2_WIRE_DEPTH_MAX && k2_json_is_object(source); depth++) {
        const struct k2_json *type = k2_json_get(source, "type");
        if (!logical.ptr)
            logical = k2_json_str(k2_json_get(source, "logicalType"));
        if (k2_json_is_string(type))
            break;
        source = type;
    }
    struct k2_str text =
        k2_json_str(k2_json_is_object(source) ? k2_json_get(source, "type") : source);
    if (!text.ptr)
        return false;
    if (!find_kind(text, &node->kind)) {
        node->kind = (enum k2_wire_kind)NAMED;
        return true;
    }
    node->is_string = k2_str_is(text, "string");
    node->is_date = k2_str_is(logical, "date");
    struct k2_str name = k2_json_str(k2_json_get(source, "name"));
    if (name.ptr && k2_json_is_object(source))
        c->names[c->name_count++] = (struct named){name, index};
    return fill_complex(c, node, source);
}

/* Every type stands for a JSON value of its own, and before each but the first is one of these. */
static int types_at_most(struct k2_str json) {
    size_t count = 1;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        count += (c == ',') + (c == ':') + (c == '[') + (c == '{');
    }
    return (int)K2_MIN(count, (size_t)K2_WIRE_NODES_MAX);
}

bool k2_wire_compile(struct k2_str json, struct k2_arena *arena, struct k2_wire_schema *ret_schema,
                     struct k2_err *err) {
    K2_AUTO(k2_json_freep) struct k2_json *root = k2_json_parse(json, err);
    if (!root)
        return k2_err_wrap(err, "Avro schema");
    struct k2_arena scratch = {0};
    struct compiler c = {.max = types_at_most(json)};
    c.nodes = k2_arena_new(&scratch, struct k2_wire_node, c.max);
    c.sources = k2_arena_new(&scratch, const struct k2_json *, c.max);
    c.names = k2_arena_new(&scratch, struct named, c.max);
    bool ok = add_part(&c, root, -1);
    for (int i = 0; ok && i < c.count; i++)
        ok = fill(&c, i);
    for (int i = 0; ok && i < c.count; i++)
        ok = (int)c.nodes[i].kind != NAMED || use_name(&c, i);
    if (ok) {
        ret_schema->count = c.count;
        ret_schema->nodes = k2_arena_new(arena, struct k2_wire_node, c.count);
        memcpy(ret_schema->nodes, c.nodes, sizeof *c.nodes * (size_t)c.count);
    } else if (c.count == K2_WIRE_NODES_MAX) {
        k2_err_set(err, K2_LIMIT, "Avro schema of more than %d types", K2_WIRE_NODES_MAX);
    } else {
        k2_err_set(err, K2_CORRUPT, "not an Avro schema: a type is missing or unknown");
    }
    k2_arena_done(&scratch);
    return ok;
}

/* ---- values ---- */
const struct k2_wire_node *k2_wire_value(const struct k2_wire_schema *schema,
                                         const struct k2_wire_node *node, struct k2_wire *wire) {
    static const struct k2_wire_node nothing = {.kind = K2_WIRE_NULL};
    for (int depth = 0; node->kind == K2_WIRE_UNION; depth++) {
        int64_t branch = k2_wire_long(wire);
        if (branch < 0 || branch >= node->count || depth == K2_WIRE_DEPTH_MAX) {
            spoil(wire);
            return &nothing;
        }
        node = &schema->nodes[node->first + (int)branch];
    }
    return node;
}

struct frame {
    const struct k2_wire_node *node;
    int64_t left; /* parts of a record, items of a block */
};

static void skip_simple(const struct k2_wire_node *node, struct k2_wire *wire) {
    switch (node->kind) {
    case K2_WIRE_BOOLEAN: k2_wire_boolean(wire); break;
    case K2_WIRE_LONG:
    case K2_WIRE_ENUM: k2_wire_long(wire); break;
    case K2_WIRE_FLOAT: k2_wire_pass(wire, 4); break;
    case K2_WIRE_DOUBLE: k2_wire_pass(wire, 8); break;
    case K2_WIRE_BYTES: k2_wire_bytes(wire); break;
    case K2_WIRE_FIXED: k2_wire_pass(wire, (uint64_t)node->size); break;
    default: break;
    }
}

/* The next part of the frame on top, or NULL when it has none left. */
static const struct k2_wire_node *next_part(const struct k2_wire_schema *schema,
                                            struct frame *frame, struct k2_wire *wire) {
    const struct k2_wire_node *node = frame->node;
    if (node->kind == K2_WIRE_RECORD)
        return frame->left ? &schema->nodes[node->first + node->count - frame->left--] : NULL;
    if (frame->left == 0)
        frame->left = k2_wire_count(wire);
    if (frame->left == 0)
        return NULL;
    frame->left--;
    if (node->kind == K2_WIRE_MAP)
        k2_wire_bytes(wire);
    return &schema->nodes[node->first];
}

void k2_wire_skip(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                  struct k2_wire *wire) {
    struct frame stack[K2_WIRE_DEPTH_MAX];
    int depth = 0;
    while (!wire->is_bad) {
        node = k2_wire_value(schema, node, wire);
        bool is_nested = node->kind == K2_WIRE_RECORD || node->kind == K2_WIRE_ARRAY ||
                         node->kind == K2_WIRE_MAP;
        if (is_nested && depth == K2_WIRE_DEPTH_MAX)
            spoil(wire);
        else if (is_nested)
            stack[depth++] = (struct frame){node, node->kind == K2_WIRE_RECORD ? node->count : 0};
        else
            skip_simple(node, wire);
        node = NULL;
        while (depth && !wire->is_bad && !(node = next_part(schema, &stack[depth - 1], wire)))
            depth--;
        if (!node)
            return;
    }
}

bool k2_wire_get_long(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                      struct k2_wire *wire, int64_t *ret_value) {
    node = k2_wire_value(schema, node, wire);
    if (node->kind == K2_WIRE_NULL)
        return false;
    if (node->kind != K2_WIRE_LONG)
        spoil(wire);
    int64_t value = k2_wire_long(wire);
    if (!wire->is_bad)
        *ret_value = value;
    return !wire->is_bad;
}

bool k2_wire_get_bytes(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                       struct k2_wire *wire, struct k2_str *ret_value) {
    node = k2_wire_value(schema, node, wire);
    if (node->kind == K2_WIRE_NULL)
        return false;
    if (node->kind != K2_WIRE_BYTES)
        spoil(wire);
    struct k2_str value = k2_wire_bytes(wire);
    if (!wire->is_bad)
        *ret_value = value;
    return !wire->is_bad;
}

bool k2_wire_get_boolean(const struct k2_wire_schema *schema, const struct k2_wire_node *node,
                         struct k2_wire *wire, bool *ret_value) {
    node = k2_wire_value(schema, node, wire);
    if (node->kind == K2_WIRE_NULL)
        return false;
    if (node->kind != K2_WIRE_BOOLEAN)
        spoil(wire);
    bool value = k2_wire_boolean(wire);
    if (!wire->is_bad)
        *ret_value = value;
    return !wire->is_bad;
}
