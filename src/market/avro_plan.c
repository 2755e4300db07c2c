/* avro_plan.c -- compiles a writer's Avro schema (JSON) against a kind of record. */
#include "market/avro_plan.h"

#include "base/alloc.h"
#include "base/json.h"

enum { DEPTH_MAX = 16, PARTS_MAX = 512, NAMED_MAX = 64 };

struct compiler {
    struct k2_arena *arena;
    int depth;
    int named_count;
    struct {
        struct k2_str name;
        struct k2_avro_type *type;
    } named[NAMED_MAX];
    struct k2_err *err;
};

bool k2_avro_is_boolean(const struct k2_column *column) {
    return column->type == K2_ENUM && column->names[0][0] == 'f';
}

static struct k2_avro_type *compile(struct compiler *c, const struct k2_json *json);

static struct k2_avro_type *new_type(struct compiler *c, enum k2_avro_kind kind) {
    struct k2_avro_type *type = k2_arena_new(c->arena, struct k2_avro_type, 1);
    type->kind = kind;
    type->scale = -1;
    return type;
}

static struct k2_avro_type *bad(struct compiler *c, const char *what, struct k2_str name) {
    k2_err_set(c->err, K2_INVALID, "Avro schema: %s \"%.*s\"", what, K2_FMT(name));
    return NULL;
}

static struct k2_avro_type *compile_name(struct compiler *c, struct k2_str name) {
    static const struct {
        const char *name;
        enum k2_avro_kind kind;
    } primitives[] = {{"null", K2_AVRO_NULL},   {"boolean", K2_AVRO_BOOLEAN},
                      {"int", K2_AVRO_INT},     {"long", K2_AVRO_INT},
                      {"float", K2_AVRO_FLOAT}, {"double", K2_AVRO_DOUBLE},
                      {"bytes", K2_AVRO_BYTES}, {"string", K2_AVRO_BYTES}};
    for (size_t i = 0; i < K2_COUNT(primitives); i++)
        if (k2_str_is(name, primitives[i].name)) {
            struct k2_avro_type *type = new_type(c, primitives[i].kind);
            type->is_string = k2_str_is(name, "string");
            return type;
        }
    for (int i = 0; i < c->named_count; i++)
        if (k2_str_eq(name, c->named[i].name))
            return c->named[i].type;
    return bad(c, "unknown type", name);
}

static struct k2_avro_type *compile_parts(struct compiler *c, struct k2_avro_type *type,
                                          const struct k2_json *list, bool is_record) {
    size_t count = k2_json_count(list);
    if (count > PARTS_MAX)
        return bad(c, "too many fields in", k2_str_of("record"));
    type->count = (int)count;
    type->parts = k2_arena_new(c->arena, struct k2_avro_type *, count + 1);
    type->names = k2_arena_new(c->arena, struct k2_str, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct k2_json *part = k2_json_at(list, i);
        if (is_record)
            type->names[i] = k2_arena_str(c->arena, k2_json_str(k2_json_get(part, "name")));
        type->parts[i] = compile(c, is_record ? k2_json_get(part, "type") : part);
        if (!type->parts[i])
            return NULL;
    }
    return type;
}

static bool remember(struct compiler *c, const struct k2_json *json, struct k2_avro_type *type) {
    struct k2_str name = k2_json_str(k2_json_get(json, "name"));
    if (!name.len || c->named_count == NAMED_MAX)
        return bad(c, "missing or too many names of types near", name);
    c->named[c->named_count].name = k2_arena_str(c->arena, name);
    c->named[c->named_count++].type = type;
    return true;
}

static struct k2_avro_type *compile_named(struct compiler *c, const struct k2_json *json,
                                          struct k2_str kind) {
    if (k2_str_is(kind, "record")) {
        struct k2_avro_type *type = new_type(c, K2_AVRO_RECORD);
        /* Registered after its fields: a record that holds itself has no bound and is refused. */
        if (!compile_parts(c, type, k2_json_get(json, "fields"), true))
            return NULL;
        return remember(c, json, type) ? type : NULL;
    }
    if (k2_str_is(kind, "enum")) {
        struct k2_avro_type *type = new_type(c, K2_AVRO_ENUM);
        const struct k2_json *symbols = k2_json_get(json, "symbols");
        type->count = (int)K2_MIN(k2_json_count(symbols), (size_t)254);
        type->names = k2_arena_new(c->arena, struct k2_str, type->count + 1);
        for (int i = 0; i < type->count; i++)
            type->names[i] = k2_arena_str(c->arena, k2_json_str(k2_json_at(symbols, (size_t)i)));
        return remember(c, json, type) ? type : NULL;
    }
    struct k2_avro_type *type = new_type(c, K2_AVRO_FIXED);
    type->size = k2_json_int(k2_json_get(json, "size"), -1);
    if (type->size < 0 || type->size > 1 << 20)
        return bad(c, "bad size of fixed", k2_json_str(k2_json_get(json, "name")));
    return remember(c, json, type) ? type : NULL;
}

static struct k2_avro_type *compile_object(struct compiler *c, const struct k2_json *json) {
    const struct k2_json *inner = k2_json_get(json, "type");
    struct k2_str kind = k2_json_str(inner);
    if (!kind.ptr)
        return compile(c, inner);
    struct k2_avro_type *type;
    if (k2_str_is(kind, "record") || k2_str_is(kind, "enum") || k2_str_is(kind, "fixed")) {
        type = compile_named(c, json, kind);
    } else if (k2_str_is(kind, "array") || k2_str_is(kind, "map")) {
        bool is_array = k2_str_is(kind, "array");
        type = new_type(c, is_array ? K2_AVRO_ARRAY : K2_AVRO_MAP);
        type->parts = k2_arena_new(c->arena, struct k2_avro_type *, 1);
        type->parts[0] = compile(c, k2_json_get(json, is_array ? "items" : "values"));
        if (!type->parts[0])
            return NULL;
    } else {
        type = compile_name(c, kind);
    }
    struct k2_str logical = k2_json_str(k2_json_get(json, "logicalType"));
    if (type && logical.ptr) {
        type->is_millis = k2_str_is(logical, "timestamp-millis");
        if (k2_str_is(logical, "decimal"))
            type->scale = (int)k2_json_int(k2_json_get(json, "scale"), 0);
    }
    return type;
}

static struct k2_avro_type *compile(struct compiler *c, const struct k2_json *json) {
    struct k2_avro_type *type = NULL;
    if (++c->depth > DEPTH_MAX)
        bad(c, "nested too deeply at", k2_json_str(json));
    else if (k2_json_is_array(json))
        type = compile_parts(c, new_type(c, K2_AVRO_UNION), json, false);
    else if (k2_json_is_object(json))
        type = compile_object(c, json);
    else
        type = compile_name(c, k2_json_str(json));
    c->depth--;
    return type;
}

/* Whether a writer's type can be read into a column. */
static bool fits(const struct k2_avro_type *type, const struct k2_column *column) {
    switch (column->type) {
    case K2_INT32:
    case K2_INT64:
    case K2_TIMESTAMP: return type->kind == K2_AVRO_INT;
    case K2_DECIMAL:
        return (type->kind == K2_AVRO_BYTES || type->kind == K2_AVRO_FIXED) && type->scale >= 0 &&
               type->scale <= 18;
    case K2_SYMBOL:
    case K2_STRING: return type->kind == K2_AVRO_BYTES && type->is_string;
    case K2_BINARY: return type->kind == K2_AVRO_BYTES;
    case K2_ENUM:
        return k2_avro_is_boolean(column)
                   ? type->kind == K2_AVRO_BOOLEAN
                   : type->kind == K2_AVRO_ENUM || (type->kind == K2_AVRO_BYTES && type->is_string);
    case K2_LIST:
    case K2_FLAGS:
    case K2_MAP:
        return type->kind == (column->type == K2_MAP ? K2_AVRO_MAP : K2_AVRO_ARRAY) &&
               type->parts[0]->kind == K2_AVRO_BYTES && type->parts[0]->is_string;
    }
    return false;
}

/* [null, T] and [T, null] are T that may be missing; any other union can only be skipped. */
static void strip_null(struct k2_avro_step *step) {
    const struct k2_avro_type *u = step->type;
    if (u->kind != K2_AVRO_UNION || u->count != 2)
        return;
    for (int i = 0; i < 2; i++)
        if (u->parts[i]->kind == K2_AVRO_NULL && u->parts[!i]->kind != K2_AVRO_NULL) {
            step->null_branch = (int16_t)i;
            step->type = u->parts[!i];
            return;
        }
}

static void map_enum(struct k2_arena *arena, struct k2_avro_step *step,
                     const struct k2_column *column) {
    step->enum_map = k2_arena_alloc(arena, (size_t)step->type->count + 1);
    for (int i = 0; i < step->type->count; i++)
        step->enum_map[i] = (uint8_t)k2_name_index(column->names, step->type->names[i]);
}

/* What the fast way knows of a step that fits its column. */
static void choose_fast(struct k2_avro_step *step, const struct k2_column *c) {
    const struct k2_avro_type *type = step->type;
    bool takes_null = !c->is_required || c->avro_rule != K2_AVRO_GIVEN;
    if (step->null_branch >= 0 && (!takes_null || k2_type_width(c->type) != 8))
        return;
    step->may_be_null = step->null_branch >= 0;
    step->null_byte = step->null_branch == 1 ? 2 : 0;
    step->has_valid = !c->is_required;
    switch (c->type) {
    case K2_INT32: step->fast = K2_FAST_INT32; break;
    case K2_TIMESTAMP: step->fast = type->is_millis ? K2_FAST_NONE : K2_FAST_LONG; break;
    case K2_INT64: step->fast = K2_FAST_LONG; break;
    case K2_DECIMAL:
        if (type->kind == K2_AVRO_BYTES && type->scale == 8)
            step->fast = K2_FAST_DECIMAL;
        break;
    case K2_SYMBOL: step->fast = K2_FAST_SYMBOL; break;
    case K2_ENUM: step->fast = type->kind == K2_AVRO_ENUM ? K2_FAST_ENUM : K2_FAST_NONE; break;
    case K2_STRING: step->fast = K2_FAST_TEXT; break;
    case K2_BINARY: break;
    case K2_LIST:
    case K2_MAP: step->fast = K2_FAST_NO_ITEMS; break;
    case K2_FLAGS: step->fast = K2_FAST_NO_FLAGS; break;
    }
}

static bool make_steps(struct k2_avro_plan *plan, const struct k2_avro_type *record,
                       struct k2_err *err) {
    uint32_t seen = 0;
    plan->step_count = record->count;
    plan->steps = k2_arena_new(&plan->arena, struct k2_avro_step, record->count + 1);
    for (int i = 0; i < record->count; i++) {
        struct k2_avro_step *step = &plan->steps[i];
        *step = (struct k2_avro_step){.type = record->parts[i], .column = -1, .null_branch = -1};
        int column = k2_schema_column(plan->schema, record->names[i]);
        if (column < 0 || !plan->schema->columns[column].avro || seen >> column & 1) {
            if (step->type->kind == K2_AVRO_BYTES)
                step->fast = K2_FAST_SKIP_BYTES;
            continue;
        }
        const struct k2_column *c = &plan->schema->columns[column];
        strip_null(step);
        if (!fits(step->type, c))
            return k2_err_set(err, K2_INVALID, "Avro schema: field %s has a type that cannot be %s",
                              c->name, plan->schema->name);
        step->column = (int16_t)column;
        seen |= 1u << column;
        if (step->type->kind == K2_AVRO_ENUM)
            map_enum(&plan->arena, step, c);
        choose_fast(step, c);
    }
    for (int i = 0; i < plan->schema->column_count; i++) {
        const struct k2_column *c = &plan->schema->columns[i];
        if (!c->avro || seen >> i & 1)
            continue;
        if (c->is_required && c->avro_rule == K2_AVRO_GIVEN)
            return k2_err_set(err, K2_INVALID, "Avro schema: field %s is missing", c->name);
        plan->missing[plan->missing_count++] = (int16_t)i;
    }
    return true;
}

struct k2_avro_plan *k2_avro_plan_new(const struct k2_schema *schema, struct k2_str json,
                                      struct k2_err *err) {
    K2_AUTO(k2_json_freep) struct k2_json *root = k2_json_parse(json, err);
    if (!root) {
        k2_err_wrap(err, "Avro schema");
        err->code = K2_INVALID;
        return NULL;
    }
    struct k2_avro_plan *plan = k2_new(struct k2_avro_plan);
    plan->schema = schema;
    struct compiler c = {.arena = &plan->arena, .err = err};
    struct k2_avro_type *record = compile(&c, root);
    if (record && record->kind != K2_AVRO_RECORD)
        record = bad(&c, "not a record for", k2_str_of(schema->name));
    if (!record || !make_steps(plan, record, err)) {
        k2_avro_plan_free(plan);
        return NULL;
    }
    return plan;
}

void k2_avro_plan_free(struct k2_avro_plan *plan) {
    if (!plan)
        return;
    k2_arena_done(&plan->arena);
    k2_free(plan);
}
