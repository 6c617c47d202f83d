/* SPDX-License-Identifier: Apache-2.0 */
/* The region's name may be removed under a running data plane (logind at a user's logout, tmpfiles, rm), or its file truncated:
 * then no agent finds it, and orders have no effect. About once a second main looks, and makes it again. */
#include "dp_region.h"

#include "dp_fail.h"

#define LOOK_US 1000000u

static void renew(struct mlb_dp *dp)
{
	char err[256];
	struct mlb_region_conf c = dp->conf.region;
	c.workers = dp->nworkers;
	int rc = mlb_region_renew(&dp->region, &c, err);
	if (rc == 0) {
		dp->in_seq = dp->pool_seq = dp->peer_seq = 0; /* no worker looks at peer_seq now: live_off */
		dp->heartbeat = 0;
		dp->effect_dirty = true;
		dp->draft.lost = true;
		dp_notice(dp, "the region was removed or replaced: made again");
	} else if (rc == -EBUSY) {
		dp->succeeded = true;
		dp_notice(dp, "another data plane has the region's name now: this one's orders end here");
	} else if (rc != dp->region_rc) { /* said once, tried every second */
		dp_notice(dp, err);
	}
	dp->region_rc = rc;
}

void dp_region_poll(struct mlb_dp *dp)
{
	if (dp->succeeded || dp->region.unnamed)
		return;
	if (dp->region_epoch) { /* workers were told to keep off it */
		if (!dp_grace_over(&dp->grace, dp->region_epoch))
			return;
		renew(dp);
		dp->region_epoch = 0;
		MLB_ST_REL(dp->live_off, false);
		return;
	}
	if (dp->now_us < dp->next_look_us)
		return;
	dp->next_look_us = dp->now_us + LOOK_US;
	if (!mlb_region_replaced(&dp->region))
		return;
	MLB_ST_REL(dp->live_off, true);
	dp->region_epoch = dp_grace_next(&dp->grace);
}

void mlb_dp_succeeded(struct mlb_dp *dp)
{
	dp->succeeded = true;
}
