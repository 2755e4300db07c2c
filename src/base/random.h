/* random.h -- randomness is handed in: xoshiro256**, seeded by a number or by the kernel. */
#ifndef K2_BASE_RANDOM_H
#define K2_BASE_RANDOM_H

#include <stdint.h>

#include "base/macros.h"

/* Threads: one state, one thread. The stream is the same on every machine for one seed. */
struct k2_random {
    uint64_t state[4];
};

/* The same seed gives the same stream for ever: simulations and generated data rest on it. */
void k2_random_seed(struct k2_random *random, uint64_t seed);
/* Seeded by getrandom(2). */
void k2_random_seed_os(struct k2_random *random);
static inline uint64_t k2_random_u64(struct k2_random *random) {
    uint64_t *s = random->state;
    uint64_t product = s[1] * 5, t = s[1] << 17;
    uint64_t result = (product << 7 | product >> 57) * 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}
/* Even in [0, bound), bound > 0. */
static inline uint64_t k2_random_below(struct k2_random *random, uint64_t bound) {
    K2_DCHECK(bound > 0);
    unsigned __int128 wide = (unsigned __int128)k2_random_u64(random) * bound;
    if (K2_UNLIKELY((uint64_t)wide < bound)) {
        uint64_t floor = -bound % bound;
        while ((uint64_t)wide < floor)
            wide = (unsigned __int128)k2_random_u64(random) * bound;
    }
    return (uint64_t)(wide >> 64);
}
/* In [0, 1), 53 bits. */
double k2_random_unit(struct k2_random *random);
/* Version 4 UUID as 36 characters, NUL-terminated. */
void k2_random_uuid(struct k2_random *random, char ret_uuid[37]);

#endif
