/* SPDX-License-Identifier: Apache-2.0 */
#include "dp_fail.h"

#include <stdarg.h>
#include <stdio.h>

#include "dp_types.h"

int dp_fail(char *err, int code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(err, 256, fmt, ap);
		va_end(ap);
	}
	return code;
}

void dp_notice(struct mlb_dp *dp, const char *text)
{
	if (dp->hooks.notice)
		dp->hooks.notice(dp->hooks.arg, text);
}
