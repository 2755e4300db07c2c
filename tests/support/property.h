/* property.h -- how often a property is tried, and with which randomness.
 *
 * K2_PROPERTY_ROUNDS says how many times (each test has a modest number of its own), and
 * K2_PROPERTY_SEED where the random choices begin. A failure names the seed and the round.
 */
#ifndef K2_TESTS_SUPPORT_PROPERTY_H
#define K2_TESTS_SUPPORT_PROPERTY_H

#include <stdlib.h>

#include "base/random.h"
#include "base/str.h"

static inline int64_t property_setting(const char *name, int64_t otherwise) {
    const char *text = getenv(name);
    int64_t value = otherwise;
    return text && k2_str_to_i64(k2_str_of(text), &value) && value > 0 ? value : otherwise;
}

static inline int64_t property_rounds(int64_t modest) {
    return property_setting("K2_PROPERTY_ROUNDS", modest);
}

static inline int64_t property_seed(void) {
    return property_setting("K2_PROPERTY_SEED", 1);
}

#endif
