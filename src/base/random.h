/* random.h -- randomness is handed in: xoshiro256**, seeded by a number or by the kernel. */
#ifndef K2_BASE_RANDOM_H
#define K2_BASE_RANDOM_H

#include <stdint.h>

/* Threads: one state, one thread. The stream is the same on every machine for one seed. */
struct k2_random {
    uint64_t state[4];
};

/* The same seed gives the same stream for ever: simulations and generated data rest on it. */
void k2_random_seed(struct k2_random *random, uint64_t seed);
/* Seeded by getrandom(2). */
void k2_random_seed_os(struct k2_random *random);
uint64_t k2_random_u64(struct k2_random *random);
/* Even in [0, bound), bound > 0. */
uint64_t k2_random_below(struct k2_random *random, uint64_t bound);
/* In [0, 1), 53 bits. */
double k2_random_unit(struct k2_random *random);
/* Version 4 UUID as 36 characters, NUL-terminated. */
void k2_random_uuid(struct k2_random *random, char ret_uuid[37]);

#endif
