/* SPDX-License-Identifier: Apache-2.0 */
/* What the workers call: that they are quiescent, and their refresh of the load that others hold. */
#include "dp_types.h"

/* Others' counts of one slot: two cache lines a worker, asked for before they are needed. */
static void refresh_slot(struct mlb_dp *dp, struct dp_vip *v, struct mlb_worker *w, struct mlb_wvip *wv, uint32_t slot,
			 uint64_t now)
{
	struct dp_server *s = &v->srv[slot];
	if (MLB_LD_ACQ(s->live) == DP_LIVE_NO)
		return;
	float load = MLB_LD(s->peer);
	float flows = MLB_LD(s->peer_flows), half = 0;
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		if (i == w->index)
			continue;
		struct mlb_wslot *o = mlb_wslot_at(v->w[i]->slots, slot);
		uint32_t f = MLB_LD(o->flows);
		flows += (float)f;
		load += (float)(MLB_LD(wv->load) == MLB_LOAD_WAITING ? MLB_LD(o->waiting) : f);
		half += (float)MLB_LD(o->half_young);
	}
	uint32_t state = MLB_LD_ACQ(s->eject.state);
	mlb_wvip_refresh(wv, slot, load, flows, half, state == DP_OUT || state == DP_PROBING, now);
}

static void prefetch_slot(const struct mlb_dp *dp, const struct dp_vip *v, uint32_t slot)
{
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		const char *p = (const char *)mlb_wslot_at(v->w[i]->slots, slot);
		__builtin_prefetch(p);
		__builtin_prefetch(p + MLB_CACHE_LINE);
	}
}

/* Slots that a refresh may walk in DP_REFRESH_US; of more it is made the less often, so that its share of a core stays what it
 * is. */
#define SLOTS_A_PERIOD 4096u

/* Returns the time until the next one. */
static uint64_t refresh(struct mlb_dp *dp, struct mlb_worker *w, uint64_t now)
{
	uint64_t slots = 0;
	uint32_t top = dp_top(dp);
	for (uint32_t id = 1; id <= top; id++) {
		struct mlb_wvip *wv = MLB_LD_ACQ(w->vip[id - 1]);
		struct dp_vip *v = wv ? dp_vip_of(dp, id) : NULL;
		if (!v)
			continue;
		uint32_t used = MLB_LD_ACQ(v->used);
		for (uint32_t i = 0; i < used; i++) {
			if (i + 4 < used)
				prefetch_slot(dp, v, i + 4);
			refresh_slot(dp, v, w, wv, i, now);
		}
		slots += used;
	}
	if (dp->nworkers == 1)
		return DP_REFRESH_ALONE_US;
	return slots <= SLOTS_A_PERIOD ? DP_REFRESH_US : DP_REFRESH_US * slots / SLOTS_A_PERIOD;
}

void mlb_dp_worker_loop(struct mlb_dp *dp, struct mlb_worker *w, uint64_t now_us)
{
	struct dp_worker *dw = (struct dp_worker *)w; /* its first member */
	dp_grace_quiescent(&dp->grace, w, now_us);
	uint32_t epoch = MLB_LD(w->frame_epoch);
	if (epoch != dw->epoch_seen) {
		dw->epoch_seen = epoch;
		w->frame_start_us = now_us;
	}
	uint64_t marks = MLB_LD_ACQ(dp->marks);
	if (marks == dw->marks_seen && now_us - w->refreshed_us < dw->refresh_us)
		return;
	dw->marks_seen = marks;
	w->refreshed_us = now_us;
	dw->refresh_us = refresh(dp, w, now_us);
}

void mlb_dp_worker_idle(struct mlb_worker *w, bool idle)
{
	atomic_exchange_explicit(&w->offline, idle, memory_order_acq_rel); /* see dp_grace_over */
}
