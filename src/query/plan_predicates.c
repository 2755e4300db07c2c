/* plan_predicates.c -- conditions in a WHERE that let files be left out, found in the parse tree.
 *
 * Only what is certain counts: top-level AND parts "column op constant" on the columns symbol,
 * exchange, timestamp and source_sequence, where the column surely is the table's own. Bounds are
 * taken a little wide. Such conditions are never true for NULL, so they hold through outer joins.
 */
#include "query/plan.h"

#include <strings.h>

#include "base/date.h"

struct finder {
    const struct k2_gate_ref *ref;
    const struct k2_schema *schema;
    enum k2_sql_pruning pruning;
    bool is_alone; /* the only table of its FROM: bare column names are its own */
    struct k2_arena *arena;
    struct k2_predicate *predicates;
    int count;
};

static struct k2_str text_of(const struct k2_json *node, const char *key) {
    struct k2_str text = k2_json_str(k2_json_get(node, key));
    return text.ptr ? text : K2_STR("");
}

static bool is_same(struct k2_str a, struct k2_str b) {
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static bool has(const struct k2_json *node, const char *key) {
    const struct k2_json *value = k2_json_get(node, key);
    return value && !k2_json_is_null(value);
}

/* The name columns of a table reference go by. */
static struct k2_str name_of(const struct k2_json *leaf) {
    struct k2_str alias = text_of(leaf, "alias");
    return alias.len ? alias : text_of(leaf, "table_name");
}

/* ---- is the table where conditions of the WHERE reach it? ---- */

enum { FROM_MAX = 64 };

/* A join from which rows of one side may be left out before it as well as after it. */
static bool may_filter(const struct k2_json *join, bool is_right) {
    struct k2_str type = text_of(join, "join_type"), ref = text_of(join, "ref_type");
    bool is_plain = k2_str_is(ref, "REGULAR") || k2_str_is(ref, "CROSS");
    if (k2_str_is(ref, "ASOF"))
        return !is_right && (k2_str_is(type, "INNER") || k2_str_is(type, "LEFT"));
    if (k2_str_is(type, "SEMI") || k2_str_is(type, "ANTI"))
        return is_plain && !is_right;
    return is_plain && (k2_str_is(type, "INNER") || k2_str_is(type, "LEFT") ||
                        k2_str_is(type, "RIGHT") || k2_str_is(type, "OUTER"));
}

/* Walks the joins of the FROM; the table must be reached through joins that may be filtered, and no
 * other member of the FROM may go by its name. */
static bool find_leaf(struct finder *f) {
    const struct k2_json *stack[FROM_MAX], *from = k2_json_get(f->ref->select, "from_table");
    bool is_open[FROM_MAX], is_found = false;
    int depth = 0;
    stack[depth] = from, is_open[depth++] = true;
    while (depth) {
        const struct k2_json *node = stack[--depth];
        bool open = is_open[depth];
        if (k2_str_is(text_of(node, "type"), "JOIN")) {
            if (depth + 2 > FROM_MAX)
                return false;
            stack[depth] = k2_json_get(node, "left");
            is_open[depth++] = open && may_filter(node, false);
            stack[depth] = k2_json_get(node, "right");
            is_open[depth++] = open && may_filter(node, true);
        } else if (node == f->ref->leaf) {
            is_found = open;
        } else if (is_same(name_of(node), name_of(f->ref->leaf))) {
            return false;
        }
    }
    f->is_alone = from == f->ref->leaf;
    return is_found;
}

static bool is_reachable(struct finder *f) {
    return f->ref->select && !has(f->ref->select, "sample") && !has(f->ref->leaf, "sample") &&
           !k2_json_count(k2_json_get(f->ref->leaf, "column_name_alias")) && find_leaf(f);
}

/* ---- columns and constants ---- */

/* The column of K2's schema that the expression is, or -1. */
static int column_of(const struct finder *f, const struct k2_json *node) {
    if (!k2_str_is(text_of(node, "class"), "COLUMN_REF"))
        return -1;
    const struct k2_json *names = k2_json_get(node, "column_names");
    size_t count = k2_json_count(names);
    struct k2_str name = k2_json_str(k2_json_at(names, count - 1));
    bool is_own = count == 1 ? f->is_alone
                             : count == 2 && is_same(k2_json_str(k2_json_at(names, 0)),
                                                     name_of(f->ref->leaf));
    if (!is_own || !name.ptr)
        return -1;
    bool is_key = is_same(name, K2_STR("symbol")) || is_same(name, K2_STR("exchange"));
    bool is_other = is_same(name, K2_STR("timestamp")) || is_same(name, K2_STR("source_sequence"));
    if (!is_key && !(is_other && f->pruning == K2_PRUNE_ALL))
        return -1;
    for (int i = 0; i < f->schema->column_count; i++)
        if (is_same(name, k2_str_of(f->schema->columns[i].name)))
            return i;
    return -1;
}

static const struct k2_json *constant_of(const struct k2_json *node, struct k2_str *ret_type) {
    const struct k2_json *value = k2_json_get(node, "value");
    if (!k2_str_is(text_of(node, "class"), "CONSTANT") ||
        k2_json_bool(k2_json_get(value, "is_null"), true))
        return NULL;
    *ret_type = text_of(k2_json_get(value, "type"), "id");
    return k2_json_get(value, "value");
}

static bool string_of(const struct k2_json *node, struct k2_str *ret_text) {
    struct k2_str type, text;
    const struct k2_json *value = constant_of(node, &type);
    if (!value || !k2_str_is(type, "VARCHAR"))
        return false;
    text = k2_json_str(value);
    *ret_text = text;
    return text.ptr != NULL;
}

static bool int_of(const struct k2_json *node, int64_t *ret_number) {
    struct k2_str type;
    const struct k2_json *value = constant_of(node, &type);
    if (!value || !k2_json_is_int(value) ||
        !(k2_str_is(type, "INTEGER") || k2_str_is(type, "BIGINT") || k2_str_is(type, "SMALLINT") ||
          k2_str_is(type, "TINYINT")))
        return false;
    *ret_number = k2_json_int(value, 0);
    return true;
}

/* 'text', 'text'::TIMESTAMPTZ, 'text'::TIMESTAMP (without a zone) or 'day'::DATE, in us. */
static bool time_of(const struct k2_json *node, int64_t *ret_us) {
    enum { DAY_LEN = 10, NO_ZONE_LEN = 26 };
    struct k2_str text, type = K2_STR("TIMESTAMP WITH TIME ZONE");
    if (k2_str_is(text_of(node, "class"), "CAST")) {
        type = text_of(k2_json_get(node, "cast_type"), "id");
        node = k2_json_get(node, "child");
    }
    int64_t ns;
    struct k2_err err;
    if (!string_of(node, &text) || !k2_iso_to_ns(text, &ns, &err))
        return false;
    bool is_day = text.len == DAY_LEN;
    bool has_zone =
        text.len > DAY_LEN + 1 && (memchr(text.ptr + DAY_LEN, 'Z', text.len - DAY_LEN) ||
                                   memchr(text.ptr + DAY_LEN, '+', text.len - DAY_LEN) ||
                                   memchr(text.ptr + DAY_LEN, '-', text.len - DAY_LEN));
    if (!(k2_str_is(type, "TIMESTAMP WITH TIME ZONE") || (k2_str_is(type, "DATE") && is_day) ||
          (k2_str_is(type, "TIMESTAMP") && !has_zone)))
        return false;
    *ret_us = ns / 1000;
    return true;
}

/* ---- conditions ---- */

static struct k2_predicate *add(struct finder *f, int column) {
    if (f->count == K2_PLAN_PREDICATES_MAX)
        return NULL;
    struct k2_predicate *p = &f->predicates[f->count++];
    *p = (struct k2_predicate){.column = column};
    return p;
}

static bool is_text(const struct finder *f, int column) {
    enum k2_type type = f->schema->columns[column].type;
    return type == K2_SYMBOL || type == K2_STRING;
}

static void add_strings(struct finder *f, int column, const struct k2_json *list, size_t first) {
    size_t count = k2_json_count(list) - first;
    struct k2_str *values = k2_arena_new(f->arena, struct k2_str, count);
    for (size_t i = 0; i < count; i++) {
        if (!string_of(k2_json_at(list, first + i), &values[i]))
            return;
        values[i] = k2_arena_str(f->arena, values[i]);
    }
    struct k2_predicate *p = count ? add(f, column) : NULL;
    if (p) {
        p->value_count = (int)count;
        p->values = values;
    }
}

static void add_range(struct finder *f, int column, const struct k2_json *low,
                      const struct k2_json *high) {
    bool is_time = f->schema->columns[column].type == K2_TIMESTAMP;
    if (!is_time && f->schema->columns[column].type != K2_INT64)
        return;
    int64_t from = 0, to = 0;
    bool has_low = low && (is_time ? time_of(low, &from) : int_of(low, &from));
    bool has_high = high && (is_time ? time_of(high, &to) : int_of(high, &to));
    struct k2_predicate *p = has_low || has_high ? add(f, column) : NULL;
    if (!p)
        return;
    p->has_low = has_low, p->has_high = has_high;
    p->low = from - is_time; /* a microsecond more: parts of one are rounded by DuckDB */
    p->high = to + is_time;
}

static void take_comparison(struct finder *f, const struct k2_json *node) {
    struct k2_str type = text_of(node, "type");
    const struct k2_json *left = k2_json_get(node, "left"), *right = k2_json_get(node, "right");
    bool is_less =
        k2_str_is(type, "COMPARE_LESSTHAN") || k2_str_is(type, "COMPARE_LESSTHANOREQUALTO");
    bool is_greater =
        k2_str_is(type, "COMPARE_GREATERTHAN") || k2_str_is(type, "COMPARE_GREATERTHANOREQUALTO");
    bool is_equal = k2_str_is(type, "COMPARE_EQUAL");
    int column = column_of(f, left);
    if (column < 0) {
        column = column_of(f, right);
        right = left;
        bool swap = is_less;
        is_less = is_greater, is_greater = swap;
    }
    if (column < 0)
        return;
    struct k2_str value;
    if (!is_text(f, column)) {
        if (is_less || is_greater || is_equal)
            add_range(f, column, is_less ? NULL : right, is_greater ? NULL : right);
    } else if (is_equal && string_of(right, &value)) {
        struct k2_predicate *p = add(f, column);
        struct k2_str *values = k2_arena_new(f->arena, struct k2_str, 1);
        *values = k2_arena_str(f->arena, value);
        if (p) {
            p->value_count = 1;
            p->values = values;
        }
    }
}

static void take_condition(struct finder *f, const struct k2_json *node) {
    struct k2_str class = text_of(node, "class"), type = text_of(node, "type");
    if (k2_str_is(class, "COMPARISON")) {
        take_comparison(f, node);
    } else if (k2_str_is(type, "COMPARE_IN")) {
        const struct k2_json *children = k2_json_get(node, "children");
        int column = column_of(f, k2_json_at(children, 0));
        if (column >= 0 && is_text(f, column))
            add_strings(f, column, children, 1);
    } else if (k2_str_is(class, "BETWEEN") && k2_str_is(type, "COMPARE_BETWEEN")) {
        int column = column_of(f, k2_json_get(node, "input"));
        if (column >= 0 && !is_text(f, column))
            add_range(f, column, k2_json_get(node, "lower"), k2_json_get(node, "upper"));
    }
}

/* The parts of an AND, and of ANDs in it. */
static void take_where(struct finder *f, const struct k2_json *where) {
    enum { PARTS_MAX = 128 };
    const struct k2_json *stack[PARTS_MAX];
    int depth = 0;
    stack[depth++] = where;
    while (depth) {
        const struct k2_json *node = stack[--depth];
        if (!k2_str_is(text_of(node, "type"), "CONJUNCTION_AND")) {
            take_condition(f, node);
            continue;
        }
        const struct k2_json *children = k2_json_get(node, "children");
        for (size_t i = k2_json_count(children); i-- > 0 && depth < PARTS_MAX;)
            stack[depth++] = k2_json_at(children, i);
    }
}

static int predicates_of(const struct k2_gate_ref *ref, enum k2_kind kind, struct k2_arena *arena,
                         struct k2_predicate *ret) {
    const struct k2_sql_table *table = k2_sql_table_of(ref->table);
    struct finder f = {.ref = ref,
                       .schema = k2_schema_of(kind),
                       .pruning = table->pruning,
                       .arena = arena,
                       .predicates = ret};
    if (table->kinds[0] == kind && table->pruning != K2_PRUNE_NONE && is_reachable(&f))
        take_where(&f, k2_json_get(ref->select, "where_clause"));
    return f.count;
}

static bool is_equal(const struct k2_predicate *a, const struct k2_predicate *b) {
    if (a->column != b->column || a->has_low != b->has_low || a->has_high != b->has_high ||
        (a->has_low && a->low != b->low) || (a->has_high && a->high != b->high) ||
        a->value_count != b->value_count)
        return false;
    for (int i = 0; i < a->value_count; i++)
        if (!k2_str_eq(a->values[i], b->values[i]))
            return false;
    return true;
}

static bool uses(const struct k2_gate_ref *ref, enum k2_kind kind) {
    const struct k2_sql_table *table = k2_sql_table_of(ref->table);
    for (int i = 0; i < table->kind_count; i++)
        if (table->kinds[i] == kind)
            return true;
    return false;
}

int k2_plan_predicates(const struct k2_gated *gated, enum k2_kind kind, struct k2_arena *arena,
                       struct k2_predicate ret_predicates[K2_PLAN_PREDICATES_MAX]) {
    struct k2_predicate again[K2_PLAN_PREDICATES_MAX];
    int count = -1;
    for (int i = 0; i < gated->ref_count; i++) {
        if (!uses(&gated->refs[i], kind))
            continue;
        struct k2_predicate *to = count < 0 ? ret_predicates : again;
        int found = predicates_of(&gated->refs[i], kind, arena, to);
        bool is_agreed = count < 0 || found == count;
        for (int j = 0; is_agreed && to == again && j < found; j++)
            is_agreed = is_equal(&again[j], &ret_predicates[j]);
        if (!is_agreed || !found)
            return 0;
        count = found;
    }
    return K2_MAX(count, 0);
}
