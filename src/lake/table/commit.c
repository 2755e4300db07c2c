/* commit.c -- lands changes of several tables under one swap (docs/rules.md: commit).
 *
 * queue -> load the bases in one catalog read -> check every move -> manifests (once) -> manifest
 * list and metadata file (per attempt) -> swap. A swap that was lost starts over from the load; one
 * whose outcome is unknown is looked up before anything is said. Files of an attempt are deleted
 * only where it is known not to have landed.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "lake/table/commit_impl.h"
#include "lake/table/position.h"

enum { CLOCK_BEHIND_MS = 60000, LOOKUPS = 4 };

enum outcome { LANDED, LOST, UNKNOWN };

/* ---- requirements ---- */
static bool is_as_expected(const struct k2_move *move, bool found,
                           const struct k2_position *stored) {
    if (move->is_first || !found)
        return move->is_first && !found;
    return strcmp(stored->log_id, move->from.log_id) == 0 && stored->next == move->from.next &&
           strcmp(stored->state, move->from.state) == 0 &&
           stored->state_offset == move->from.state_offset && stored->epoch <= move->to.epoch;
}

static bool check_move(const struct k2_pending *p, const struct k2_move *move, struct k2_err *err) {
    bool found;
    struct k2_position stored = {0};
    if (strcmp(move->from.log_id, move->to.log_id) == 0 && move->to.next < move->from.next)
        return k2_err_set(
            err, K2_INVALID,
            "table %s: log partition %d of topic %s would move back from %" PRId64 " to %" PRId64,
            p->table, move->log_partition, move->topic, move->from.next, move->to.next);
    K2_TRY(k2_position_find(p->current, move->topic, move->log_partition, &found, &stored, err));
    if (is_as_expected(move, found, &stored))
        return true;
    if (!found)
        return k2_err_set(err, K2_CONFLICT,
                          "table %s has no position for log partition %d of topic %s; this writer "
                          "expected offset %" PRId64 ": load positions again",
                          p->table, move->log_partition, move->topic, move->from.next);
    return k2_err_set(err, K2_CONFLICT,
                      "table %s: log partition %d of topic %s stands at offset %" PRId64
                      " (log %s, epoch %" PRId64 ", state '%s'), this writer expected %" PRId64
                      " (log %s, epoch %" PRId64 ", state '%s')%s: another writer has moved it; "
                      "load positions again",
                      p->table, move->log_partition, move->topic, stored.next, stored.log_id,
                      stored.epoch, stored.state, move->from.next, move->from.log_id,
                      move->to.epoch, move->from.state, move->is_first ? " as the first one" : "");
}

static bool check_base(const struct k2_pending *p, struct k2_err *err) {
    if (!p->current)
        return k2_err_set(err, K2_CONFLICT, "table %s was dropped", p->table);
    if (!k2_str_eq(p->current->table_uuid, p->change->base->table_uuid))
        return k2_err_set(err, K2_CONFLICT, "table %s was dropped and made again: load it again",
                          p->table);
    if (p->current->format_version != 2)
        return k2_err_set(err, K2_INVALID, "table %s has format version %d; K2 writes 2", p->table,
                          p->current->format_version);
    for (int i = 0; i < p->change->move_count; i++)
        K2_TRY(check_move(p, &p->change->moves[i], err));
    return true;
}

/* ---- an attempt ---- */
static void release_attempt(struct k2_pending *p) {
    k2_metadata_unref(p->current);
    k2_metadata_unref(p->next);
    k2_manifest_list_unref(p->list);
    p->current = NULL;
    p->next = NULL;
    p->list = NULL;
    p->tried_count = 0;
}

static bool load_bases(struct k2_commit *commit, struct k2_err *err) {
    const char *tables[K2_COMMIT_TABLES];
    const struct k2_metadata *loaded[K2_COMMIT_TABLES] = {0};
    for (int i = 0; i < commit->count; i++)
        tables[i] = commit->pending[i].table;
    K2_TRY(k2_lake_load(commit->lake, tables, commit->count, loaded, err));
    int64_t newest = 0;
    for (int i = 0; i < commit->count; i++) {
        commit->pending[i].current = loaded[i];
        if (loaded[i])
            newest = K2_MAX(newest, loaded[i]->last_updated_ms);
    }
    /* All tables of a commit get one time, so that "as of" finds all of it or nothing. */
    int64_t now = k2_now_ms(commit->lake->clock);
    commit->timestamp_ms = K2_MAX(now, newest + 1);
    commit->behind_ms = newest - now > CLOCK_BEHIND_MS ? newest - now : 0;
    for (int i = 0; i < commit->count; i++)
        K2_TRY(check_base(&commit->pending[i], err));
    return true;
}

static void put_properties(struct k2_commit *commit, const struct k2_pending *p,
                           struct k2_property *set) {
    int count = 0;
    for (int i = 0; i < p->change->set_count; i++)
        set[count++] = p->change->set[i];
    struct k2_buf text = {0};
    for (int i = 0; i < p->change->move_count; i++) {
        const struct k2_move *move = &p->change->moves[i];
        text.len = 0;
        k2_position_key(move->topic, move->log_partition, &text);
        set[count].key = k2_arena_str(&commit->arena, k2_buf_view(&text));
        text.len = 0;
        k2_position_text(&move->to, &text);
        set[count++].value = k2_arena_str(&commit->arena, k2_buf_view(&text));
    }
    k2_buf_done(&text);
}

static bool write_version(struct k2_commit *commit, struct k2_pending *p, struct k2_err *err) {
    int set_count = p->change->set_count + p->change->move_count;
    struct k2_property *set = k2_arena_new(&commit->arena, struct k2_property, set_count);
    put_properties(commit, p, set);
    char uuid[37];
    k2_lake_uuid(commit->lake, uuid);
    p->location = k2_metadata_next_location(p->current, uuid, &commit->arena);
    struct k2_version_opts opts = {.location = p->location,
                                   .snapshot = &p->snapshot,
                                   .timestamp_ms = commit->timestamp_ms,
                                   .set = set,
                                   .set_count = set_count,
                                   .previous_versions = commit->lake->previous_versions};
    p->next = k2_metadata_version(p->current, &opts);
    struct k2_buf text = {0};
    k2_metadata_write(p->next, NULL, &text);
    p->tried[p->tried_count++] = k2_str_of(p->location);
    bool ok = k2_lake_put(commit->lake, k2_str_of(p->location), k2_buf_view(&text), err);
    k2_buf_done(&text);
    return ok;
}

static bool write_files(struct k2_commit *commit, struct k2_err *err) {
    for (int i = 0; i < commit->count; i++) {
        struct k2_pending *p = &commit->pending[i];
        if (!k2_commit_manifests(commit, p, err) || !k2_commit_list(commit, p, err) ||
            !write_version(commit, p, err))
            return k2_err_wrap(err, "commit to table %s", p->table);
    }
    return true;
}

/* ---- outcomes ---- */
static bool has_landed(const struct k2_pending *p, const struct k2_metadata *now) {
    if (k2_str_is(now->metadata_location, p->location) || k2_metadata_snapshot(now, p->snapshot_id))
        return true;
    const struct k2_metadata_impl *m = k2_metadata_impl_of(now);
    for (int i = 0; i < m->previous_count; i++)
        if (k2_str_is(m->previous[i].metadata_file, p->location))
            return true;
    return false;
}

/* Looks whether an attempt landed whose swap gave an error. */
static enum outcome look_up(struct k2_commit *commit) {
    struct k2_clock *clock = commit->lake->clock;
    for (int i = 0; i < LOOKUPS; i++) {
        struct k2_err ignored = {0};
        const struct k2_metadata *now = NULL;
        const char *tables[] = {commit->pending[0].table};
        if (k2_lake_load(commit->lake, tables, 1, &now, &ignored)) {
            bool landed = now && has_landed(&commit->pending[0], now);
            k2_metadata_unref(now);
            return landed ? LANDED : LOST;
        }
        clock->sleep_ns(clock, 250000000ll << i);
    }
    return UNKNOWN;
}

/* After an error nothing of the commit is deleted any more (docs/rules.md: commit). */
static bool swap(struct k2_commit *commit, enum outcome *ret_outcome, struct k2_err *err) {
    struct k2_swap swaps[K2_COMMIT_TABLES];
    for (int i = 0; i < commit->count; i++)
        swaps[i] = (struct k2_swap){commit->pending[i].table,
                                    commit->pending[i].current->metadata_location.ptr,
                                    commit->pending[i].location};
    bool landed = false;
    if (k2_catalog_swap(commit->lake->catalog, swaps, commit->count, &landed, err)) {
        *ret_outcome = landed ? LANDED : LOST;
        return true;
    }
    commit->is_doubtful = true;
    *ret_outcome = look_up(commit);
    if (*ret_outcome == LANDED)
        return true;
    if (*ret_outcome == UNKNOWN) {
        err->retriable = false;
        err->code = K2_UNAVAILABLE;
        return k2_err_wrap(err, "the outcome of a commit is unknown: the catalog cannot be read; "
                                "load the tables again before writing on");
    }
    return err->retriable; /* busy: try again; anything else goes to the caller */
}

/* What cannot be deleted is left for gc. */
static void delete_file(struct k2_commit *commit, struct k2_str uri) {
    struct k2_err ignored = {0};
    struct k2_buf path = {0};
    if (k2_store_path(commit->lake->store, uri, &path, &ignored) &&
        !k2_store_delete(commit->lake->store, k2_buf_cstr(&path), &ignored))
        ignored.code = K2_OK;
    k2_buf_done(&path);
}

static void publish(struct k2_commit *commit) {
    const char *tables[K2_COMMIT_TABLES];
    for (int i = 0; i < commit->count; i++) {
        struct k2_pending *p = &commit->pending[i];
        tables[i] = p->table;
        k2_lake_keep(commit->lake, p->next);
        k2_lake_keep_list(commit->lake, p->snapshot.manifest_list, p->list);
        p->change->result = k2_metadata_ref(p->next);
    }
    k2_lake_hint(commit->lake, tables, commit->count);
}

/* One attempt. *ret_landed false with true: the swap was lost, try again. */
static bool attempt(struct k2_commit *commit, bool *ret_landed, struct k2_err *err) {
    enum outcome outcome = LOST;
    bool ok = load_bases(commit, err) && write_files(commit, err) && swap(commit, &outcome, err);
    *ret_landed = ok && outcome == LANDED;
    if (*ret_landed)
        publish(commit);
    for (int i = 0; i < commit->count; i++) {
        struct k2_pending *p = &commit->pending[i];
        for (int f = 0; !*ret_landed && !commit->is_doubtful && f < p->tried_count; f++)
            delete_file(commit, p->tried[f]);
        release_attempt(p);
    }
    return ok;
}

static bool try_often(struct k2_commit *commit, struct k2_err *err) {
    struct k2_clock *clock = commit->lake->clock;
    struct k2_err failure = {0};
    for (commit->attempt = 1; commit->attempt <= K2_COMMIT_ATTEMPTS; commit->attempt++) {
        failure = (struct k2_err){0};
        bool landed;
        if (!attempt(commit, &landed, &failure)) {
            *err = failure;
            return false;
        }
        if (landed)
            return true;
        clock->sleep_ns(clock, K2_MIN(10000000ll << commit->attempt, 1000000000ll));
    }
    k2_err_set(err, K2_UNAVAILABLE, "commit to table %s: gave up after %d attempts: %s",
               commit->pending[0].table, K2_COMMIT_ATTEMPTS,
               failure.code ? failure.msg : "others moved the table each time");
    err->retriable = true;
    return false;
}

static bool run(struct k2_commit *commit, struct k2_err *err) {
    if (try_often(commit, err))
        return true;
    for (int i = 0; !commit->is_doubtful && i < commit->count; i++)
        for (int f = 0; f < commit->pending[i].added_count; f++)
            delete_file(commit, commit->pending[i].added[f].path);
    return false;
}

static bool prepare(struct k2_commit *commit, struct k2_change *changes, struct k2_err *err) {
    commit->pending = k2_arena_new(&commit->arena, struct k2_pending, commit->count);
    for (int i = 0; i < commit->count; i++) {
        struct k2_pending *p = &commit->pending[i];
        p->change = &changes[i];
        p->table = k2_arena_str(&commit->arena, changes[i].base->identifier).ptr;
        p->snapshot_id = k2_lake_new_id(commit->lake);
        k2_lake_uuid(commit->lake, p->uuid);
        for (int j = 0; j < i; j++)
            if (strcmp(commit->pending[j].table, p->table) == 0)
                return k2_err_set(err, K2_INVALID, "table %s is changed twice in one commit",
                                  p->table);
    }
    return true;
}

bool k2_lake_commit(struct k2_lake *lake, struct k2_change *changes, int count,
                    struct k2_err *err) {
    if (count == 0)
        return true;
    if (count > K2_COMMIT_TABLES)
        return k2_err_set(err, K2_LIMIT, "%d tables in one commit; at most %d", count,
                          K2_COMMIT_TABLES);
    struct k2_commit commit = {.lake = lake, .count = count};
    bool ok = prepare(&commit, changes, err) && k2_catalog_queue(lake->catalog, err);
    if (ok) {
        ok = run(&commit, err);
        k2_catalog_leave(lake->catalog);
    }
    k2_arena_done(&commit.arena);
    return ok;
}
