/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in lines of configuration: decimal digits, with a fraction where it makes sense. No sign, exponent or hexadecimal form:
 * what is mistyped must not become another number. */
#ifndef MLBD_NUMBER_H
#define MLBD_NUMBER_H
#include <stdint.h>

#define MLBD_NUMBER_LEN 48

/* Reads the digits at the beginning, with ".digits" behind them if there are any. What follows them; NULL: there are none. */
const char *mlbd_decimal(const char *text, double *value);
/* A whole number and nothing else, at most UINT64_MAX. 0 or -EINVAL. */
int mlbd_whole(const char *text, uint64_t *value);
/* The number as mlbd_decimal reads it back to the same float. Returns text. */
char *mlbd_number_text(float value, char text[MLBD_NUMBER_LEN]);
#endif
