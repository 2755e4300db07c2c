/* catalog_impl.h -- what a catalog backend gives. The front (catalog.c) has split and checked names
 * and put swaps in name order before a backend sees them.
 */
#ifndef K2_LAKE_CATALOG_CATALOG_IMPL_H
#define K2_LAKE_CATALOG_CATALOG_IMPL_H

#include "lake/catalog/catalog.h"

enum { K2_CATALOG_NAME_MAX = 255, K2_CATALOG_LOCATION_MAX = 1000, K2_CATALOG_SWAPS_MAX = 64 };

/* "a.b.trades": namespace "a.b", name "trades". */
struct k2_table_name {
    struct k2_str space, name;
};

struct k2_named_swap {
    struct k2_table_name table;
    const char *from, *to;
};

struct k2_catalog_ops {
    const char *name;
    bool (*load)(struct k2_catalog *catalog, const struct k2_table_name *names,
                 struct k2_pointer *pointers, int count, struct k2_err *err);
    bool (*swap)(struct k2_catalog *catalog, const struct k2_named_swap *swaps, int count,
                 bool *ret_landed, struct k2_err *err);
    bool (*drop)(struct k2_catalog *catalog, struct k2_table_name name, bool *ret_found,
                 struct k2_err *err);
    bool (*list)(struct k2_catalog *catalog, k2_table_fn *each, void *self, struct k2_err *err);
    bool (*queue)(struct k2_catalog *catalog, struct k2_err *err);
    void (*leave)(struct k2_catalog *catalog);
    void (*free)(struct k2_catalog *catalog);
};

/* First member of every backend. */
struct k2_catalog {
    const struct k2_catalog_ops *ops;
};

/* path: the absolute path of the database file. */
struct k2_catalog *k2_catalog_open_sqlite(const char *path, const char *catalog_name,
                                          struct k2_err *err) K2_MUST;

#endif
