/* clock.c -- the real clock and the fake one. */
#include "base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t real_now(struct k2_clock *clock) {
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static void real_sleep(struct k2_clock *clock, int64_t ns) {
    (void)clock;
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

struct k2_clock *k2_clock_real(void) {
    static struct k2_clock real = {real_now, real_sleep};
    return &real;
}

static int64_t fake_now(struct k2_clock *clock) {
    return ((struct k2_clock_fake *)clock)->ns;
}

static void fake_sleep(struct k2_clock *clock, int64_t ns) {
    ((struct k2_clock_fake *)clock)->ns += ns;
}

void k2_clock_fake_init(struct k2_clock_fake *fake, int64_t ns) {
    *fake = (struct k2_clock_fake){{fake_now, fake_sleep}, ns};
}

int64_t k2_monotonic_ns(void) {
    return read_clock(CLOCK_MONOTONIC);
}

int64_t k2_cpu_ns(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
