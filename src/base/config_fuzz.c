/* config_fuzz.c -- any bytes as k2.yaml: no crash, no leak, and an error always says why. */
#include <stdlib.h>

#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    K2_AUTO(k2_config_freep) struct k2_config *config = k2_config_new();
    struct k2_err err = {0};
    if (!k2_config_load_text(config, k2_str_make(data, size), "fuzz", &err) && err.len == 0)
        abort();
    struct k2_config_item item;
    for (size_t at = 0; k2_config_next(config, &at, &item);)
        if (!item.value || !item.origin)
            abort();
    return 0;
}
