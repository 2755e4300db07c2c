/* catalog.c -- the front of every catalog: names, order of swaps, dispatch to the backend. */
#include <stdlib.h>

#include "lake/catalog/catalog_impl.h"

struct k2_catalog *k2_catalog_open(const char *url, const char *catalog_name, struct k2_err *err) {
    if (!*catalog_name || strlen(catalog_name) > K2_CATALOG_NAME_MAX) {
        k2_err_set(err, K2_INVALID, "a catalog's name has 1 to %d bytes", K2_CATALOG_NAME_MAX);
        return NULL;
    }
    if (k2_str_starts(k2_str_of(url), "sqlite:/"))
        return k2_catalog_open_sqlite(url + strlen("sqlite:"), catalog_name, err);
    k2_err_set(err, K2_INVALID, "no such kind of catalog: %s (use sqlite:/absolute/path)", url);
    return NULL;
}

void k2_catalog_free(struct k2_catalog *catalog) {
    if (catalog)
        catalog->ops->free(catalog);
}

static bool split_name(const char *table, struct k2_table_name *ret_name, struct k2_err *err) {
    const char *dot = strrchr(table, '.');
    if (!dot || dot == table || !dot[1] || dot - table > K2_CATALOG_NAME_MAX ||
        strlen(dot + 1) > K2_CATALOG_NAME_MAX)
        return k2_err_set(
            err, K2_INVALID,
            "not a table's name: '%.300s' (use namespace.table, each at most %d bytes)", table,
            K2_CATALOG_NAME_MAX);
    ret_name->space = k2_str_make(table, (size_t)(dot - table));
    ret_name->name = k2_str_of(dot + 1);
    return true;
}

static bool check_count(int count, struct k2_err *err) {
    if (count >= 0 && count <= K2_CATALOG_SWAPS_MAX)
        return true;
    return k2_err_set(err, K2_LIMIT, "%d tables in one catalog call; at most %d", count,
                      K2_CATALOG_SWAPS_MAX);
}

bool k2_catalog_load(struct k2_catalog *catalog, struct k2_pointer *pointers, int count,
                     struct k2_err *err) {
    struct k2_table_name names[K2_CATALOG_SWAPS_MAX];
    K2_TRY(check_count(count, err));
    for (int i = 0; i < count; i++) {
        K2_TRY(split_name(pointers[i].table, &names[i], err));
        k2_buf_clear(&pointers[i].location);
    }
    return catalog->ops->load(catalog, names, pointers, count, err);
}

static int by_name(const void *a, const void *b) {
    const struct k2_table_name *x = &((const struct k2_named_swap *)a)->table;
    const struct k2_table_name *y = &((const struct k2_named_swap *)b)->table;
    int order = k2_str_cmp(x->space, y->space);
    return order ? order : k2_str_cmp(x->name, y->name);
}

bool k2_catalog_swap(struct k2_catalog *catalog, const struct k2_swap *swaps, int count,
                     bool *ret_landed, struct k2_err *err) {
    struct k2_named_swap named[K2_CATALOG_SWAPS_MAX];
    K2_TRY(check_count(count, err));
    for (int i = 0; i < count; i++) {
        K2_TRY(split_name(swaps[i].table, &named[i].table, err));
        named[i].from = swaps[i].from;
        named[i].to = swaps[i].to;
        if (!*swaps[i].to || strlen(swaps[i].to) > K2_CATALOG_LOCATION_MAX)
            return k2_err_set(
                err, K2_INVALID,
                "%s: a metadata location has 1 to %d bytes; this one has %zu: put the "
                "warehouse at a shorter path",
                swaps[i].table, K2_CATALOG_LOCATION_MAX, strlen(swaps[i].to));
    }
    qsort(named, (size_t)count, sizeof *named, by_name);
    for (int i = 1; i < count; i++)
        if (by_name(&named[i - 1], &named[i]) == 0)
            return k2_err_set(err, K2_INVALID, "table %.*s is named twice in one swap",
                              K2_FMT(named[i].table.name));
    return catalog->ops->swap(catalog, named, count, ret_landed, err);
}

bool k2_catalog_drop(struct k2_catalog *catalog, const char *table, struct k2_err *err) {
    struct k2_table_name name;
    bool found;
    K2_TRY(split_name(table, &name, err));
    K2_TRY(catalog->ops->drop(catalog, name, &found, err));
    return found || k2_err_set(err, K2_NOT_FOUND, "no such table: %s", table);
}

bool k2_catalog_list(struct k2_catalog *catalog, k2_table_fn *each, void *self,
                     struct k2_err *err) {
    return catalog->ops->list(catalog, each, self, err);
}

bool k2_catalog_queue(struct k2_catalog *catalog, struct k2_err *err) {
    return catalog->ops->queue(catalog, err);
}

void k2_catalog_leave(struct k2_catalog *catalog) {
    catalog->ops->leave(catalog);
}
