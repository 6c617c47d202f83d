/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_FAIRNESS_H
#define MARLLB_FAIRNESS_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
/* Jain's index (sum x)^2 / (n sum x^2): 1 when all are equal, 1 / n when one has everything; 1 for n == 0 or all zero. Jain,
 * Chiu, Hawe: "A quantitative measure of fairness and discrimination", DEC-TR-301, 1984. */
double mlb_jain(const double *x, uint32_t n);
#ifdef __cplusplus
}
#endif
#endif
