/* registry_fuzz.c -- any bytes as the files of a schema registry: an id never names two schemas.
 *
 * Input: bytes of the index (u16), the index, the rest is the schema of id 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "log/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *root;

static void remove_root(void) {
    struct k2_err ignored;
    (void)!k2_path_remove(root, &ignored);
    k2_free(root);
}

static void open_once(void) {
    struct k2_err err = {0};
    if (root)
        return;
    root = k2_dir_make_temp(NULL, "k2-fuzz", &err);
    K2_ASSERT(root);
    atexit(remove_root);
}

static void put_file(const char *name, const void *bytes, size_t len) {
    struct k2_err err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    K2_ASSERT(k2_file_replace(path, k2_str_make(bytes, len), &err));
}

/* The id is not 0, names schema and nothing else, and is given again when asked again. */
static uint32_t check_register(struct k2_registry *r, struct k2_str schema) {
    struct k2_err err = {0};
    struct k2_buf got = {0};
    uint32_t id = 0, again = 0;
    if (!k2_registry_register(r, "t-value", schema, &id, &err)) {
        K2_ASSERT(err.code == K2_CORRUPT || err.code == K2_LIMIT);
        return 0;
    }
    K2_ASSERT(id && k2_registry_register(r, "t-value", schema, &again, &err) && again == id);
    if (k2_registry_get(r, id, &got, &err))
        K2_ASSERT(k2_str_eq(k2_buf_view(&got), schema));
    else
        K2_ASSERT(err.code == K2_CORRUPT || err.code == K2_NOT_FOUND);
    k2_buf_done(&got);
    return id;
}

static bool count_subject(void *self, const char *subject, int version, uint32_t id) {
    *(uint64_t *)self += strlen(subject) + (uint64_t)version + id;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct k2_err err = {0};
    struct k2_buf one = {0}, later = {0};
    char url[96];
    uint64_t sum = 0;
    if (size < 2)
        return 0;
    open_once();
    size_t len = K2_MIN((size_t)data[0] | (size_t)data[1] << 8, size - 2);
    K2_ASSERT(k2_path_remove(root, &err) && k2_dir_make(root, &err));
    put_file("index", data + 2, len);
    put_file("1.avsc", data + 2 + len, size - 2 - len);
    snprintf(url, sizeof url, "embedded:%s", root);
    struct k2_registry *r = k2_registry_open(url, &err);
    K2_ASSERT(r);
    bool has_one = k2_registry_get(r, 1, &one, &err);
    uint32_t a = check_register(r, K2_STR("\"string\"")), b = check_register(r, K2_STR("\"long\""));
    K2_ASSERT(!a || a != b);
    (void)!k2_registry_list(r, count_subject, &sum, &err);
    if (has_one) /* what was handed out once stays what it is */
        K2_ASSERT(k2_registry_get(r, 1, &later, &err) &&
                  k2_str_eq(k2_buf_view(&one), k2_buf_view(&later)));
    k2_registry_free(r);
    k2_buf_done(&one);
    k2_buf_done(&later);
    return 0;
}
