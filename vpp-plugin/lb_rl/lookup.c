/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/error.h>
#include <lb_rl/lookup.h>

lb_rl_vip_t *lb_rl_vip_by_name(const char *name)
{
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lb_rl_main.vip[id].used == LB_RL_VIP_ACTIVE && !strcmp(lb_rl_main.vip[id].name, name))
			return &lb_rl_main.vip[id];
	return 0;
}

lb_rl_vip_t *lb_rl_vip_or_only(const char *name, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *only = 0;

	if (name && name[0]) {
		only = lb_rl_vip_by_name(name);
		if (!only)
			lb_rl_fail(err, 0, "no VIP of name %s; `lb rl show config` lists them", name);
		return only;
	}
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lb_rl_main.vip[id].used == LB_RL_VIP_ACTIVE) {
			if (only) {
				lb_rl_fail(err, 0, "several VIPs: say which with `vip NAME`");
				return 0;
			}
			only = &lb_rl_main.vip[id];
		}
	if (!only)
		lb_rl_fail(err, 0, "no VIP yet: `lb rl set-vip` first");
	return only;
}

bool lb_rl_vip_any(void)
{
	bool any = false;

	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		any |= lb_rl_main.vip[id].used == LB_RL_VIP_ACTIVE;
	return any;
}
