/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/error.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int lb_rl_fail(char err[MLB_ERR_LEN], int rv, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err, MLB_ERR_LEN, fmt, args);
	va_end(args);
	return rv;
}

int lb_rl_rv(int r)
{
	switch (r) {
	case 0: return 0;
	case -EEXIST: return VNET_API_ERROR_VALUE_EXIST;
	case -EPERM: return VNET_API_ERROR_INSTANCE_IN_USE;
	case -ENOENT: return VNET_API_ERROR_NO_SUCH_ENTRY;
	case -ENOSPC:
	case -E2BIG: return VNET_API_ERROR_TABLE_TOO_BIG;
	case -ENOMEM: return VNET_API_ERROR_LIMIT_EXCEEDED;
	case -EAFNOSUPPORT: return VNET_API_ERROR_INVALID_ADDRESS_FAMILY;
	case -EINVAL: return VNET_API_ERROR_INVALID_VALUE;
	default: return VNET_API_ERROR_SYSCALL_ERROR_1; /* of the region's file */
	}
}
