/* lease.c -- the pipeline lock: a kernel lock on a file that names its holder. */
#include "log/lease.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

struct k2_lease {
    struct k2_lock lock;
};

struct k2_lease *k2_lease_try(const char *folder, const char *who, bool *ret_taken,
                              struct k2_buf *holder, struct k2_err *err) {
    char text[128];
    struct k2_buf path = {0};
    struct k2_lock lock = {-1};
    *ret_taken = false;
    snprintf(text, sizeof text, "pid %d (k2 %s)\n", (int)getpid(), who);
    k2_buf_printf(&path, "%s/pipeline.lock", folder);
    bool ok = k2_dir_make(folder, err) &&
              k2_lock_try(k2_buf_cstr(&path), text, &lock, ret_taken, holder, err);
    k2_buf_done(&path);
    if (!ok || !*ret_taken)
        return NULL;
    struct k2_lease *lease = k2_new(struct k2_lease);
    lease->lock = lock;
    return lease;
}

void k2_lease_free(struct k2_lease *lease) {
    if (!lease)
        return;
    k2_lock_release(&lease->lock);
    k2_free(lease);
}
