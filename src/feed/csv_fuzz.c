/* csv_fuzz.c -- libFuzzer: any bytes as a file of any layout. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "feed/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take_batch(void *self, const char *topic, struct k2_batch *batch, struct k2_err *err) {
    (void)self, (void)topic, (void)batch, (void)err;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    int fd = memfd_create("csv", 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool is_written = write(fd, data + 1, size - 1) == (ssize_t)size - 1;
    struct k2_csv_opts opts = {.layout = k2_csv_layouts[data[0] % 7],
                               .symbol = "AAA",
                               .exchange = "X",
                               .zone = "UTC",
                               .sequence_start = 1,
                               .clock = k2_clock_real()};
    struct k2_feed_out out = {.batch = take_batch};
    struct k2_csv_result result;
    struct k2_err err = {0};
    if (is_written)
        (void)!k2_csv_read(path, &opts, &out, &result, &err);
    close(fd);
    return 0;
}
