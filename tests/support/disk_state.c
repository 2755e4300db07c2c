/* disk_state.c -- which contents and names fsync has covered, and what a power cut leaves of all.
 *
 * A node is a file or folder, however many names it has. A file remembers its bytes as of its last
 * fsync, a folder its names; what is on the disk now is read there when it is wanted.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "support/disk_impl.h"

enum { PATH_BYTES = 4400, BLOCK = 512 };

struct bytes {
    char *ptr;
    size_t len;
};

struct name {
    char *text;
    struct node *node;
};

struct names {
    struct name *all;
    size_t count;
};

struct node {
    ino_t ino; /* 0: it has no name any more */
    bool is_folder;
    struct bytes covered, last; /* last: what it held when its last name went */
    struct names covered_names;
    char *path; /* one of its names now, while a cut is made */
};

struct disk_state {
    char root[PATH_BYTES];
    struct node **nodes;
    size_t count, cap;
};

static void *must(void *memory) {
    if (!memory)
        abort();
    return memory;
}

/* ---- bytes and names as they are now ---- */

static struct bytes read_fd(int fd) {
    struct bytes out = {0};
    size_t cap = 0;
    for (long got = 1; got > 0; out.len += got > 0 ? (size_t)got : 0) {
        if (cap - out.len < 4096)
            out.ptr = must(realloc(out.ptr, cap = cap * 2 + 16384));
        got = disk_raw_read(fd, out.ptr + out.len, cap - out.len);
    }
    return out;
}

static struct bytes read_path(const char *path) {
    int fd = disk_raw_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return (struct bytes){0};
    struct bytes out = read_fd(fd);
    disk_raw_close(fd);
    return out;
}

static void names_done(struct names *names) {
    for (size_t i = 0; i < names->count; i++)
        free(names->all[i].text);
    free(names->all);
    *names = (struct names){0};
}

static void names_add(struct names *names, const char *text, struct node *node) {
    if (names->count % 64 == 0)
        names->all = must(realloc(names->all, (names->count + 64) * sizeof *names->all));
    names->all[names->count++] = (struct name){must(strdup(text)), node};
}

static struct node *names_find(const struct names *names, const char *text) {
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->all[i].text, text) == 0)
            return names->all[i].node;
    return NULL;
}

/* ---- nodes ---- */

static struct node *find(struct disk_state *state, ino_t ino) {
    for (size_t i = state->count; i-- > 0;)
        if (state->nodes[i]->ino == ino)
            return state->nodes[i];
    return NULL;
}

/* A node for what has just been made; a number that was in use before is in use anew. */
static struct node *add(struct disk_state *state, const struct stat *st) {
    struct node *old = find(state, st->st_ino), *node = must(calloc(1, sizeof *node));
    if (old)
        old->ino = 0;
    node->ino = st->st_ino;
    node->is_folder = S_ISDIR(st->st_mode);
    if (state->count == state->cap) {
        state->cap = state->cap * 2 + 64;
        state->nodes = must(realloc(state->nodes, state->cap * sizeof *state->nodes));
    }
    return state->nodes[state->count++] = node;
}

/* Files can be made past the layer (by the C library itself): they are met here first. */
static struct node *find_or_add(struct disk_state *state, const struct stat *st) {
    struct node *node = find(state, st->st_ino);
    return node ? node : add(state, st);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* In the order of names, so that a seed means the same on every run. */
static struct names list(struct disk_state *state, const char *folder) {
    struct names out = {0};
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        names_add(&out, entry->d_name, find_or_add(state, &st));
    }
    if (dir)
        closedir(dir);
    if (out.count)
        qsort(out.all, out.count, sizeof *out.all, compare_names);
    return out;
}

static void cover_all(struct disk_state *state, const char *path) {
    struct stat st;
    if (stat(path, &st) != 0)
        return;
    struct node *node = find_or_add(state, &st);
    if (!node->is_folder) {
        free(node->covered.ptr);
        node->covered = read_path(path);
        return;
    }
    node->covered_names = list(state, path);
    for (size_t i = 0; i < node->covered_names.count; i++) {
        char below[PATH_BYTES];
        snprintf(below, sizeof below, "%.3000s/%.1000s", path, node->covered_names.all[i].text);
        cover_all(state, below);
    }
}

struct disk_state *disk_state_new(const char *root) {
    struct disk_state *state = must(calloc(1, sizeof *state));
    snprintf(state->root, sizeof state->root, "%s", root);
    cover_all(state, root);
    return state;
}

void disk_state_free(struct disk_state *state) {
    for (size_t i = 0; state && i < state->count; i++) {
        struct node *node = state->nodes[i];
        free(node->covered.ptr);
        free(node->last.ptr);
        free(node->path);
        names_done(&node->covered_names);
        free(node);
    }
    if (state)
        free(state->nodes);
    free(state);
}

/* ---- what happens to them ---- */

void disk_state_made_fd(struct disk_state *state, int fd) {
    struct stat st;
    if (fstat(fd, &st) == 0)
        add(state, &st);
}

void disk_state_made_path(struct disk_state *state, const char *path) {
    struct stat st;
    if (lstat(path, &st) == 0)
        add(state, &st);
}

void disk_state_synced(struct disk_state *state, int fd) {
    struct stat st;
    char self[40], path[PATH_BYTES];
    if (fstat(fd, &st) != 0)
        return;
    struct node *node = find_or_add(state, &st);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (!node->is_folder) {
        free(node->covered.ptr);
        node->covered = read_path(self);
        return;
    }
    ssize_t len = readlink(self, path, sizeof path - 1);
    path[len > 0 ? len : 0] = 0;
    names_done(&node->covered_names);
    node->covered_names = list(state, path);
}

void disk_state_leaving(struct disk_state *state, const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink > 1)
        return;
    struct node *node = find_or_add(state, &st);
    free(node->last.ptr);
    node->last = read_path(path);
    node->ino = 0;
}

/* ---- the cut ---- */

struct cut {
    struct disk_state *state;
    struct k2_random random;
};

static bool coin(struct cut *cut) {
    return k2_random_below(&cut->random, 2) == 0;
}

/* Blocks of what was written since the fsync reach the disk each for itself; the size lies
 * anywhere between; what was never written reads as zero. */
static struct bytes tear_blocks(struct cut *cut, const struct bytes *covered,
                                const struct bytes *now) {
    size_t low = covered->len < now->len ? covered->len : now->len;
    size_t high = covered->len < now->len ? now->len : covered->len;
    struct bytes out = {must(calloc(high + 1, 1)), high};
    if (coin(cut))
        out.len = low + (size_t)k2_random_below(&cut->random, high - low + 1);
    for (size_t at = 0; at < out.len; at += BLOCK) {
        const struct bytes *from = coin(cut) ? covered : now;
        size_t end = at + BLOCK < out.len ? at + BLOCK : out.len;
        if (from->len > at)
            memcpy(out.ptr + at, from->ptr + at, (end < from->len ? end : from->len) - at);
    }
    return out;
}

/* The new bytes up to some byte, the covered ones beyond it. */
static struct bytes tear_at(struct cut *cut, const struct bytes *covered, const struct bytes *now) {
    size_t high = covered->len < now->len ? now->len : covered->len;
    size_t at = (size_t)k2_random_below(&cut->random, now->len + 1);
    struct bytes out = {must(calloc(high + 1, 1)), at > covered->len ? at : covered->len};
    if (covered->len)
        memcpy(out.ptr, covered->ptr, covered->len);
    if (at)
        memcpy(out.ptr, now->ptr, at);
    return out;
}

static void write_path(const char *path, const struct bytes *bytes) {
    int fd = disk_raw_open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || disk_raw_write(fd, bytes->ptr, bytes->len) != (long)bytes->len)
        abort();
    disk_raw_close(fd);
}

static void emit_file(struct cut *cut, const struct node *node, const char *to) {
    struct bytes now = node->path ? read_path(node->path) : node->last, torn = {0};
    const struct bytes *covered = &node->covered, *out = covered;
    bool is_same =
        now.len == covered->len && (!now.len || memcmp(now.ptr, covered->ptr, now.len) == 0);
    uint64_t way = is_same ? 0 : k2_random_below(&cut->random, 4);
    if (way >= 2) {
        torn = way == 2 ? tear_blocks(cut, covered, &now) : tear_at(cut, covered, &now);
        out = &torn;
    } else if (way == 1) {
        out = &now;
    }
    write_path(to, out);
    free(torn.ptr);
    if (node->path)
        free(now.ptr);
}

static void emit(struct cut *cut, const struct node *node, const char *to);

/* A name that fsync of the folder covers as it is now stays; any other is as before or as now. */
static void emit_folder(struct cut *cut, const struct node *node, const char *to) {
    struct names now = {0}, both = {0};
    if (disk_raw_mkdir(to) != 0)
        abort();
    if (node->path)
        now = list(cut->state, node->path);
    for (size_t i = 0; i < node->covered_names.count; i++)
        names_add(&both, node->covered_names.all[i].text, node->covered_names.all[i].node);
    for (size_t i = 0; i < now.count; i++)
        if (!names_find(&both, now.all[i].text))
            names_add(&both, now.all[i].text, NULL);
    for (size_t i = 0; i < both.count; i++) {
        char below[PATH_BYTES];
        struct node *was = both.all[i].node, *is = names_find(&now, both.all[i].text);
        struct node *picked = was == is || coin(cut) ? was : is;
        snprintf(below, sizeof below, "%.3000s/%.1000s", to, both.all[i].text);
        if (picked)
            emit(cut, picked, below);
    }
    names_done(&now);
    names_done(&both);
}

static void emit(struct cut *cut, const struct node *node, const char *to) {
    if (node->is_folder)
        emit_folder(cut, node, to);
    else
        emit_file(cut, node, to);
}

/* Notes for every node a name that it has now. */
static void note_paths(struct disk_state *state, const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0)
        return;
    struct node *node = find_or_add(state, &st);
    free(node->path);
    node->path = must(strdup(path));
    struct names names = {0};
    if (node->is_folder)
        names = list(state, path);
    for (size_t i = 0; i < names.count; i++) {
        char below[PATH_BYTES];
        snprintf(below, sizeof below, "%.3000s/%.1000s", path, names.all[i].text);
        note_paths(state, below);
    }
    names_done(&names);
}

void disk_state_cut(struct disk_state *state, const char *folder, uint64_t seed) {
    struct cut cut = {.state = state};
    struct stat st;
    k2_random_seed(&cut.random, seed);
    note_paths(state, state->root);
    if (stat(state->root, &st) == 0)
        emit(&cut, find_or_add(state, &st), folder);
    for (size_t i = 0; i < state->count; i++) {
        free(state->nodes[i]->path);
        state->nodes[i]->path = NULL;
    }
}
