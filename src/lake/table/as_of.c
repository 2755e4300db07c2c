/* as_of.c -- which moment a text names: a snapshot, a tag, a time, or when a record was committed.
 */
#include <inttypes.h>

#include "base/date.h"
#include "base/json.h"
#include "lake/table/table.h"

static bool is_digits(struct k2_str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

/* The snapshot a table itself knows under this id or tag; NULL: none. */
static const struct k2_snapshot *named_snapshot(const struct k2_metadata *metadata,
                                                struct k2_str text) {
    int64_t id;
    if (is_digits(text))
        return k2_str_to_i64(text, &id) ? k2_metadata_snapshot(metadata, id) : NULL;
    const struct k2_ref *ref = k2_metadata_find_ref(metadata, text);
    return ref ? k2_metadata_snapshot(metadata, ref->snapshot_id) : NULL;
}

/* ---- TOPIC/PARTITION@OFFSET ---- */

struct log_place {
    struct k2_str topic, partition;
    int64_t offset;
};

static bool parse_place(struct k2_str text, struct log_place *ret) {
    struct k2_str offset, rest = k2_str_split(text, '@', &offset);
    ret->topic = k2_str_split(rest, '/', &ret->partition);
    return offset.ptr && ret->partition.ptr && is_digits(ret->partition) && is_digits(offset) &&
           k2_str_to_i64(offset, &ret->offset);
}

/* The range a summary's {topic: {log partition: [from, to]}} has for a log partition. */
static bool find_range(const struct k2_snapshot *s, const char *key, const struct log_place *place,
                       int64_t *ret_from, int64_t *ret_to) {
    struct k2_str text = k2_snapshot_summary(s, key), name;
    struct k2_err ignored = {0}; /* a summary that does not parse moves nothing */
    if (!text.ptr)
        return false;
    K2_AUTO(k2_json_freep) struct k2_json *moved = k2_json_parse(text, &ignored);
    const struct k2_json *ranges, *range;
    void *topics = NULL;
    while (k2_json_is_object(moved) && k2_json_next(moved, &topics, &name, &ranges)) {
        void *partitions = NULL;
        if (!k2_str_eq(name, place->topic))
            continue;
        while (k2_json_is_object(ranges) && k2_json_next(ranges, &partitions, &name, &range))
            if (k2_str_eq(name, place->partition)) {
                *ret_from = k2_json_int(k2_json_at(range, 0), 0);
                *ret_to = k2_json_int(k2_json_at(range, 1), 0);
                return true;
            }
    }
    return false;
}

/* The commit that moved past the record, newest first: before an accepted loss the offsets are
 * those of another log. */
static const struct k2_snapshot *commit_of(const struct k2_metadata *m,
                                           const struct log_place *place, bool *ret_is_known) {
    int64_t from, to;
    *ret_is_known = false;
    for (int i = m->snapshot_count - 1; i >= 0; i--) {
        const struct k2_snapshot *s = &m->snapshots[i];
        if (find_range(s, "k2.moved", place, &from, &to)) {
            *ret_is_known = true;
            if (place->offset >= from && place->offset < to)
                return s;
        }
        if (find_range(s, "k2.accepted", place, &from, &to))
            break;
    }
    return NULL;
}

static bool find_place(const struct k2_metadata *const *tables, int count,
                       const struct log_place *place, const char *text, struct k2_as_of *ret,
                       struct k2_err *err) {
    bool is_any_known = false;
    for (int i = 0; i < count; i++) {
        bool is_known = false;
        const struct k2_snapshot *s =
            tables[i] && tables[i]->snapshot_count ? commit_of(tables[i], place, &is_known) : NULL;
        is_any_known |= is_known;
        if (!s)
            continue;
        *ret = (struct k2_as_of){{NULL, 0}, s->timestamp_ms, tables[i], s->snapshot_id};
        return true;
    }
    return k2_err_set(err, K2_NOT_FOUND,
                      is_any_known ? "--as-of %s: no commit that is kept took this offset (see k2 "
                                     "log lag and k2 table snapshots)"
                                   : "--as-of %s: none of the tables asked for reads this log "
                                     "partition",
                      text);
}

/* ---- all of them ---- */

bool k2_as_of_find(const struct k2_metadata *const *tables, int count, const char *text,
                   struct k2_as_of *ret_as_of, struct k2_err *err) {
    *ret_as_of = (struct k2_as_of){.ms = INT64_MAX};
    if (!text)
        return true;
    struct k2_str s = k2_str_of(text);
    struct log_place place;
    if (parse_place(s, &place))
        return find_place(tables, count, &place, text, ret_as_of, err);
    for (int i = 0; i < count; i++) {
        const struct k2_snapshot *named = tables[i] ? named_snapshot(tables[i], s) : NULL;
        if (!named)
            continue;
        *ret_as_of = (struct k2_as_of){.name = s, .ms = named->timestamp_ms};
        return true;
    }
    if (is_digits(s))
        return k2_err_set(err, K2_NOT_FOUND,
                          "--as-of %s: none of the tables asked for has this snapshot (see k2 "
                          "table snapshots)",
                          text);
    int64_t ns;
    if (!k2_iso_to_ns(s, &ns, err)) {
        err->code = K2_USAGE;
        return k2_err_wrap(err, "--as-of \"%s\" is no snapshot id, no tag and no log position",
                           text);
    }
    ret_as_of->ms = ns >= 0 ? ns / 1000000 : (ns - 999999) / 1000000;
    return true;
}

const struct k2_snapshot *k2_as_of_snapshot(const struct k2_metadata *metadata,
                                            const struct k2_as_of *as_of) {
    if (as_of->table == metadata)
        return k2_metadata_snapshot(metadata, as_of->snapshot_id);
    const struct k2_snapshot *s = as_of->name.ptr ? named_snapshot(metadata, as_of->name) : NULL;
    if (s)
        return s;
    if (as_of->ms == INT64_MAX)
        return k2_metadata_snapshot(metadata, metadata->current_snapshot_id);
    return k2_metadata_snapshot_at(metadata, as_of->ms);
}
