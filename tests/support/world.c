/* world.c -- clock and randomness from a seed: C library functions of the program's own, which the
 * linker takes first.
 */
#include "support/world.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"

static struct k2_clock_fake *world;
static struct k2_random chance;

void world_begin(uint64_t seed, struct k2_clock_fake *clock) {
    world = clock;
    k2_random_seed(&chance, seed);
}

void world_end(void) {
    world = NULL;
}

int clock_gettime(clockid_t id, struct timespec *time) {
    if (!world)
        return (int)syscall(SYS_clock_gettime, id, time);
    *time = (struct timespec){world->ns / 1000000000, world->ns % 1000000000};
    return 0;
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *time, struct timespec *left) {
    if (!world)
        return syscall(SYS_clock_nanosleep, id, flags, time, left) == 0 ? 0 : errno;
    world->ns += time->tv_sec * 1000000000ll + time->tv_nsec;
    return 0;
}

ssize_t getrandom(void *bytes, size_t len, unsigned flags) {
    if (!world)
        return syscall(SYS_getrandom, bytes, len, flags);
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = k2_random_u64(&chance);
        memcpy((char *)bytes + at, &word, len - at < 8 ? len - at : 8);
    }
    return (ssize_t)len;
}
