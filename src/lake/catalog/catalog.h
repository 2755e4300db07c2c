/* catalog.h -- which metadata file each table stands at, moved by compare-and-swap.
 *
 * The SQLite backend keeps Iceberg's SQL catalog layout, version V1 (iceberg_tables,
 * iceberg_namespace_properties), so PyIceberg, Java and others open the same file. Invariants: a
 * swap of several tables lands whole or not at all; names are moved in name order. Threads: any, at
 * once (each call takes the catalog's own lock). Processes: any number.
 */
#ifndef K2_LAKE_CATALOG_CATALOG_H
#define K2_LAKE_CATALOG_CATALOG_H

#include "base/err.h"
#include "base/str.h"

struct k2_catalog;

/* "sqlite:/abs/path/catalog.db" (made when absent). catalog_name is the filter other clients use.
 */
struct k2_catalog *k2_catalog_open(const char *url, const char *catalog_name,
                                   struct k2_err *err) K2_MUST;
void k2_catalog_free(struct k2_catalog *catalog);

/* A table is "namespace.table". */
struct k2_pointer {
    const char *table;
    struct k2_buf location; /* metadata file; empty: no such table */
};
/* Fills every pointer's location in one read, so that all belong together. */
bool k2_catalog_load(struct k2_catalog *catalog, struct k2_pointer *pointers, int count,
                     struct k2_err *err) K2_MUST;

struct k2_swap {
    const char *table;
    const char *from; /* NULL: the table must not exist yet */
    const char *to;
};
/* All or none. *ret_landed false: at least one from was no longer true, nothing was changed. An
 * error means the outcome is unknown: load again and look. */
bool k2_catalog_swap(struct k2_catalog *catalog, const struct k2_swap *swaps, int count,
                     bool *ret_landed, struct k2_err *err) K2_MUST;
bool k2_catalog_drop(struct k2_catalog *catalog, const char *table, struct k2_err *err) K2_MUST;
/* Calls each for every table, in name order. */
typedef bool k2_table_fn(void *self, const char *table, const char *location);
bool k2_catalog_list(struct k2_catalog *catalog, k2_table_fn *each, void *self,
                     struct k2_err *err) K2_MUST;
/* Committers queue here before they read their base (a lock file beside SQLite); the swap stays the
 * truth. */
bool k2_catalog_queue(struct k2_catalog *catalog, struct k2_err *err) K2_MUST;
void k2_catalog_leave(struct k2_catalog *catalog);

#endif
