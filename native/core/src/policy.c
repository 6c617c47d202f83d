/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/policy.h"
#include <stddef.h>
#include <string.h>

const struct mlb_policy *mlb_policy_find(const char *name)
{
	for (const struct mlb_policy *const *p = mlb_policies; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	return NULL;
}
