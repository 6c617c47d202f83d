/* SPDX-License-Identifier: Apache-2.0 */
/* A server that left keeps its slot for its last flow, then for one more grace period; then the slot is empty, for the next. */
#include "dp_slots.h"

#include <string.h>

static bool has_flows(const struct mlb_dp *dp, const struct dp_vip *v, uint32_t slot)
{
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		struct mlb_wslot *w = mlb_wslot_at(v->w[i]->slots, slot);
		if (MLB_LD(w->flows) || MLB_LD(w->half_open) || MLB_LD(w->held))
			return true;
	}
	return false;
}

/* No worker reads or writes the slot now: the next server starts from zero. */
static void empty_slot(struct mlb_dp *dp, struct dp_vip *v, uint32_t slot)
{
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		struct mlb_wslot *w = mlb_wslot_at(v->w[i]->slots, slot);
		memset(w, 0, sizeof(*w));
	}
	struct dp_server *s = &v->srv[slot];
	MLB_ASSERT(s->pub.flags == MLB_SRV_LEAVING && MLB_LD(s->live) == DP_LIVE_NO);
	MLB_ASSERT(v->leaving > 0 && dp->servers > 0);
	MLB_ST(s->eject.ejections, 0);
	s->guarded = false;
	s->guards = 0;
	MLB_ST(s->peer, 0);
	MLB_ST(s->peer_flows, 0);
	s->pub.flags = 0;
	v->leaving--;
	dp->servers--;
}

/* Nobody chooses the server any more once its table's grace period is over. After the last flow another one follows: the worker
 * that ended it may still write the slot's counters and read its server, and a flow that turns from half-open to open is in
 * neither count for a moment. */
static bool may_be_emptied(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s)
{
	if (!(s->pub.flags & MLB_SRV_LEAVING) || s->gone_epoch == 0 || !dp_grace_over(&dp->grace, s->gone_epoch))
		return false;
	if (has_flows(dp, v, s->pub.slot)) {
		s->flows_gone = false;
		return false;
	}
	if (!s->flows_gone) {
		s->flows_gone = true;
		s->gone_epoch = dp_grace_next(&dp->grace);
	}
	return dp_grace_over(&dp->grace, s->gone_epoch) && !has_flows(dp, v, s->pub.slot);
}

void dp_slots_poll(struct mlb_dp *dp, struct dp_vip *v)
{
	if (v->leaving == 0)
		return;
	DP_EACH_SERVER(v, s) {
		if (!may_be_emptied(dp, v, s))
			continue;
		if (dp->hooks.server_gone)
			dp->hooks.server_gone(dp->hooks.arg, v->id, &s->pub);
		empty_slot(dp, v, s->pub.slot);
		if (dp->pool_again) {
			dp->pool_again = false;
			dp->pool_seq = 0; /* the list that found no room may find it now */
		}
	}
}
