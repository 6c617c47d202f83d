/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the main side. */
#ifndef MARLLB_DP_FAIL_H
#define MARLLB_DP_FAIL_H
#include "marllb/types.h"

/* One sentence into err (256 bytes, may be NULL) and the code back. */
int dp_fail(char *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#endif
