/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/error.h>
#include <lb_rl/lookup.h>

lbrl_vip_t *lbrl_vip_by_name(const char *name)
{
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lbrl_main.vip[id].used == LBRL_VIP_ACTIVE && !strcmp(lbrl_main.vip[id].name, name))
			return &lbrl_main.vip[id];
	return 0;
}

lbrl_vip_t *lbrl_vip_or_only(const char *name, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *only = 0;

	if (name && name[0]) {
		only = lbrl_vip_by_name(name);
		if (!only)
			lbrl_fail(err, 0, "no VIP of name %s; `lb rl show config` lists them", name);
		return only;
	}
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lbrl_main.vip[id].used == LBRL_VIP_ACTIVE) {
			if (only) {
				lbrl_fail(err, 0, "several VIPs: say which with `vip NAME`");
				return 0;
			}
			only = &lbrl_main.vip[id];
		}
	if (!only)
		lbrl_fail(err, 0, "no VIP yet: `lb rl set-vip` first");
	return only;
}

bool lbrl_vip_any(void)
{
	bool any = false;

	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		any |= lbrl_main.vip[id].used == LBRL_VIP_ACTIVE;
	return any;
}
