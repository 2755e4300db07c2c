/* decimal.h -- exact decimals: int64_t scaled by 10^8, decimal(18, 8), |v| < 10^10. Never a double.
 */
#ifndef K2_MARKET_DECIMAL_H
#define K2_MARKET_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define K2_DECIMAL_ONE 100000000ll
#define K2_DECIMAL_MAX 999999999999999999ll

enum k2_decimal_result { K2_DECIMAL_OK, K2_DECIMAL_SYNTAX, K2_DECIMAL_RANGE };

/* [-+]digits[.digits][e[+-]digits]; no spaces. Digits beyond the eighth place must be 0 (RANGE
 * otherwise, as beyond 18 digits): a number is taken exactly or not at all. */
enum k2_decimal_result k2_decimal_parse(struct k2_str text, int64_t *ret_value);
/* Shortest exact text ("36.667", "0.6525", "100"), at most 24 bytes with NUL; returns its length.
 */
int k2_decimal_format(int64_t value, char ret_text[24]);
/* All eight places ("36.66700000"), as SQL shows decimal(18, 8). */
int k2_decimal_format_full(int64_t value, char ret_text[24]);

#endif
