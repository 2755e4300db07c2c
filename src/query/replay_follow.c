/* replay_follow.c -- what is committed after the snapshot that was replayed, one commit at a time.
 *
 * What is emitted does not depend on when it was looked: each commit is a snapshot of its own, and
 * its rows come in their order after all rows of the commits before it.
 */
#include "base/alloc.h"
#include "query/replay_impl.h"

/* How long to wait before looking again. */
#define LOOK_NS 100000000ll

/* The snapshots after the last one that was emitted, oldest first. They are those its children lead
 * to, which must all be there: a commit that cannot be seen any more has rows that would be missed.
 */
static bool list_commits(const struct k2_replay *r, int64_t *ids, int *ret_count,
                         struct k2_err *err) {
    const struct k2_metadata *metadata = r->tables[0];
    int count = 0;
    for (int64_t id = metadata->current_snapshot_id; id != r->snapshot_id; count++) {
        const struct k2_snapshot *s = id ? k2_metadata_snapshot(metadata, id) : NULL;
        if (!id)
            return k2_err_set(err, K2_CONFLICT,
                              "%.*s was rolled back: snapshot %lld, which was replayed, is none of "
                              "its past any more",
                              K2_FMT(metadata->identifier), (long long)r->snapshot_id);
        if (!s)
            return k2_err_set(err, K2_NOT_FOUND,
                              "%.*s has commits after snapshot %lld that have expired; replay it "
                              "anew",
                              K2_FMT(metadata->identifier), (long long)r->snapshot_id);
        K2_ASSERT(count < metadata->snapshot_count);
        ids[count] = id;
        id = s->parent_id;
    }
    for (int i = 0; i < count / 2; i++) {
        int64_t other = ids[i];
        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = other;
    }
    *ret_count = count;
    return true;
}

/* Appends bring rows. Compaction and deletes bring none; what an overwrite changed in rows that
 * were emitted already, a stream cannot say. */
static bool emit_commit(struct k2_replay *r, int64_t id, struct k2_err *err) {
    const struct k2_snapshot *s = k2_metadata_snapshot(r->tables[0], id);
    struct k2_str operation = k2_snapshot_summary(s, "operation");
    if (k2_str_is(operation, "append"))
        return k2_replay_snapshot(r, id, true, err);
    if (!k2_str_is(operation, "replace") && !k2_str_is(operation, "delete"))
        return k2_err_set(err, K2_CONFLICT,
                          "snapshot %lld of %.*s is an %.*s, which rewrites rows; replay it anew",
                          (long long)id, K2_FMT(r->tables[0]->identifier), K2_FMT(operation));
    r->snapshot_id = id;
    r->snapshot_ms = s->timestamp_ms;
    return true;
}

static bool emit_commits(struct k2_replay *r, struct k2_err *err) {
    const struct k2_metadata *metadata = r->tables[0];
    int64_t *ids = k2_new_array(int64_t, (size_t)K2_MAX(metadata->snapshot_count, 1));
    int count = 0;
    bool ok = list_commits(r, ids, &count, err);
    for (int i = 0; ok && i < count && !r->is_stopped && !k2_replay_is_asked_to_stop(r); i++)
        ok = emit_commit(r, ids[i], err);
    k2_free(ids);
    return ok;
}

bool k2_replay_follow(struct k2_replay *r, struct k2_err *err) {
    while (!r->is_stopped && !k2_replay_is_asked_to_stop(r)) {
        K2_TRY(k2_replay_pin(r, err));
        if (!r->tables[0] && r->snapshot_id)
            return k2_err_set(err, K2_NOT_FOUND, "%s was dropped while it was followed",
                              r->opts->schema->table_name);
        if (r->tables[0] && r->tables[0]->current_snapshot_id != r->snapshot_id) {
            K2_TRY(emit_commits(r, err));
        } else {
            K2_TRY(k2_replay_idle(r, err));
            r->clock->sleep_ns(r->clock, LOOK_NS);
        }
    }
    return true;
}
