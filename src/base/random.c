/* random.c -- xoshiro256** (Blackman and Vigna, public domain algorithm), seeded by splitmix64. */
#include "base/random.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/macros.h"

static uint64_t splitmix(uint64_t *x) {
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void k2_random_seed(struct k2_random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix(&seed);
}

void k2_random_seed_os(struct k2_random *random) {
    uint64_t seed;
    ssize_t got = getrandom(&seed, sizeof seed, 0);
    K2_ASSERT(got == sizeof seed);
    k2_random_seed(random, seed);
}

double k2_random_unit(struct k2_random *random) {
    return (double)(k2_random_u64(random) >> 11) * 0x1p-53;
}

void k2_random_uuid(struct k2_random *random, char ret_uuid[37]) {
    uint64_t a = k2_random_u64(random), b = k2_random_u64(random);
    a = (a & ~0xf000ull) | 0x4000ull;
    b = (b & ~(3ull << 62)) | 2ull << 62;
    snprintf(ret_uuid, 37, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xffff), (unsigned)(b >> 48),
             (unsigned long long)(b & 0xffffffffffffull));
}
