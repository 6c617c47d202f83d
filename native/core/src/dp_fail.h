/* SPDX-License-Identifier: Apache-2.0 */
/* What the main side says: errors to the caller, notices to the log. */
#ifndef MARLLB_DP_FAIL_H
#define MARLLB_DP_FAIL_H
#include "marllb/types.h"

struct mlb_dp;

/* One sentence into err (256 bytes, may be NULL) and the code back. */
int dp_fail(char *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* One sentence to the host, which may not care. */
void dp_notice(struct mlb_dp *, const char *text);
#endif
