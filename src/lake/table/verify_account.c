/* verify_account.c -- every offset a commit moved past became a row, a dead letter, a counted
 * duplicate or acknowledgement, or holds no record (docs/rules.md: verify).
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "lake/table/verify_impl.h"

static bool number_of(const struct k2_snapshot *s, const char *key, int64_t *ret) {
    struct k2_str text = k2_snapshot_summary(s, key);
    *ret = 0;
    return text.ptr && k2_str_to_i64(text, ret);
}

/* The sum over a summary's {topic: {log partition: [from, to]}}. */
static int64_t moved_by(struct k2_str text) {
    struct k2_err ignored = {0}; /* a summary that cannot be parsed was reported with its chain */
    K2_AUTO(k2_json_freep) struct k2_json *moved = k2_json_parse(text, &ignored);
    void *topics = NULL;
    struct k2_str name;
    const struct k2_json *ranges, *range;
    int64_t sum = 0;
    while (k2_json_is_object(moved) && k2_json_next(moved, &topics, &name, &ranges)) {
        void *partitions = NULL;
        while (k2_json_is_object(ranges) && k2_json_next(ranges, &partitions, &name, &range))
            sum += k2_json_int(k2_json_at(range, 1), 0) - k2_json_int(k2_json_at(range, 0), 0);
    }
    return sum;
}

static void check_commit(struct k2_verify *v, const struct k2_snapshot *s) {
    struct k2_account *sum = &v->account, a = {0};
    struct k2_str moved = k2_snapshot_summary(s, "k2.moved");
    int64_t added;
    bool has_added = number_of(s, "added-records", &added);
    sum->is_whole &= k2_snapshot_summary(s, "k2.writer").ptr || !has_added || !added;
    if (!moved.ptr)
        return;
    bool has_counts = number_of(s, "k2.rows", &a.rows);
    has_counts &= number_of(s, "k2.duplicates", &a.duplicates);
    has_counts &= number_of(s, "k2.rejected", &a.rejected);
    has_counts &= number_of(s, "k2.skipped", &a.skipped);
    has_counts &= number_of(s, "k2.acknowledged", &a.acknowledged);
    if (!has_counts) {
        k2_verify_broken(v, "snapshot %" PRId64 " moves positions without its counts",
                         s->snapshot_id);
        sum->is_whole = false;
        return;
    }
    a.moved = moved_by(moved);
    if (a.rows != added)
        k2_verify_broken(v, "snapshot %" PRId64 " adds %" PRId64 " rows, k2.rows is %" PRId64,
                         s->snapshot_id, added, a.rows);
    /* The rows of the ledger's own commits are what was rejected. */
    bool is_ledger = v->schema->kind == K2_DEAD_LETTER;
    int64_t named =
        (is_ledger ? 0 : a.rows) + a.rejected + a.duplicates + a.skipped + a.acknowledged;
    if (named != a.moved)
        k2_verify_broken(v,
                         "snapshot %" PRId64 " moves past %" PRId64 " offsets and accounts for "
                         "%" PRId64 ": %" PRId64 " rows, %" PRId64 " dead letters, %" PRId64
                         " duplicates, %" PRId64 " without a record, %" PRId64 " acknowledgements",
                         s->snapshot_id, a.moved, named, is_ledger ? 0 : a.rows, a.rejected,
                         a.duplicates, a.skipped, a.acknowledged);
    sum->moved += a.moved;
    sum->duplicates += a.duplicates;
    sum->skipped += a.skipped;
    sum->acknowledged += a.acknowledged;
}

void k2_verify_commits(struct k2_verify *v) {
    const struct k2_metadata *m = v->metadata;
    v->account = (struct k2_account){.is_whole = m->snapshot_count &&
                                                 m->snapshots[0].parent_id == 0 && v->schema};
    for (int i = 0; v->schema && i < m->snapshot_count; i++)
        check_commit(v, &m->snapshots[i]);
}

/* ---- against the rows ---- */

struct topic_names {
    struct k2_arena arena;
    struct k2_str *all;
    int count, cap;
};

static bool add_topic(void *self, struct k2_str topic, int log_partition,
                      const struct k2_position *position) {
    struct topic_names *names = self;
    (void)log_partition, (void)position;
    if (names->count && k2_str_eq(names->all[names->count - 1], topic))
        return true;
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 16;
        names->all = k2_realloc(names->all, sizeof *names->all * (size_t)names->cap);
    }
    names->all[names->count++] = k2_arena_str(&names->arena, topic);
    return true;
}

static bool has_topic(const struct topic_names *names, struct k2_str topic) {
    for (int i = 0; i < names->count; i++)
        if (k2_str_eq(names->all[i], topic))
            return true;
    return false;
}

/* Positions seen of the logs whose topics the table stands in. */
static bool count_seen(struct k2_verify *v, int64_t *ret_count, struct k2_err *err) {
    static const struct k2_str prefix = K2_STR("k2.log.");
    struct topic_names names = {0};
    bool ok = k2_position_each(v->metadata, add_topic, &names, err);
    *ret_count = 0;
    for (int i = 0; ok && i < v->metadata->property_count; i++) {
        const struct k2_property *property = &v->metadata->properties[i];
        if (k2_str_starts(property->key, prefix.ptr) && has_topic(&names, property->value))
            *ret_count += k2_seen_count(v->seen, k2_str_make(property->key.ptr + prefix.len,
                                                             property->key.len - prefix.len));
    }
    k2_free(names.all);
    k2_arena_done(&names.arena);
    return ok;
}

void k2_verify_account(struct k2_verify *v) {
    const struct k2_account *a = &v->account;
    struct k2_err err = {0};
    int64_t seen;
    if (!a->is_whole || !a->moved || !count_seen(v, &seen, &err))
        return;
    int64_t wanted = a->moved - a->duplicates - a->skipped - a->acknowledged;
    if (seen != wanted)
        k2_verify_broken(v,
                         "its commits moved past %" PRId64 " offsets, of which %" PRId64
                         " should be rows or dead letters, but %" PRId64 " are: %" PRId64 " %s",
                         a->moved, wanted, seen, seen < wanted ? wanted - seen : seen - wanted,
                         seen < wanted ? "are lost" : "are too many");
}
