/* SPDX-License-Identifier: Apache-2.0 */
/* The ladder's last step: the agent's heartbeat stood still for the lease, so weights are static until it sends a vector again.
 */
#include "dp_priv.h"

void dp_agent_seen(struct mlb_dp *dp)
{
	dp->agent_alive = true;
	dp->beat_us = dp->now_us;
}

/* UINT64_MAX: nothing to wait for. */
uint64_t dp_lease_left_us(const struct mlb_dp *dp)
{
	uint64_t over = dp->beat_us + dp->conf.region.lease_us + 1;
	return !dp->region.hdr || !dp->agent_alive ? UINT64_MAX : over > dp->now_us ? over - dp->now_us : 0;
}

void dp_lease_poll(struct mlb_dp *dp)
{
	uint64_t beat = atomic_load_explicit(&dp->region.hdr->agent_heartbeat, memory_order_acquire);
	if (beat != dp->beat) {
		dp->beat = beat;
		dp_agent_seen(dp);
		return;
	}
	if (!dp->agent_alive || dp->now_us - dp->beat_us <= dp->conf.region.lease_us)
		return;
	dp->agent_alive = false;
	for (uint32_t id = 1; id <= MLB_MAX_VIPS; id++) {
		struct dp_vip *v = dp_vip_of(dp, id);
		if (!v || v->ladder == MLB_LADDER_STATIC_DP)
			continue;
		dp_use_static(v);
		if (dp_table_swap(dp, v) != 0)
			dp->agent_alive = true; /* no memory: once more at the next poll */
	}
}
