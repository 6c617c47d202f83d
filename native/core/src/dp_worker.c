/* SPDX-License-Identifier: Apache-2.0 */
/* What the workers call: marking that they passed, and their refresh of the load that others hold. */
#include "dp_priv.h"

/* Others' counts of one slot: two cache lines a worker, asked for before they are needed. */
static void refresh_slot(struct mlb_dp *dp, struct dp_vip *v, struct mlb_worker *w, struct mlb_wvip *wv, uint32_t slot,
			 uint64_t now)
{
	struct dp_server *s = &v->srv[slot];
	if (atomic_load_explicit(&s->live, memory_order_acquire) == DP_LIVE_NO)
		return;
	float load = atomic_load_explicit(&s->peer, memory_order_relaxed);
	float flows = atomic_load_explicit(&s->peer_flows, memory_order_relaxed), half = 0;
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		if (i == w->index)
			continue;
		struct mlb_wslot *o = mlb_wslot_at(v->w[i]->slots, slot);
		uint32_t f = MLB_LD(o->flows);
		flows += (float)f;
		load += (float)(wv->load == MLB_LOAD_WAITING ? MLB_LD(o->waiting) : f);
		half += (float)MLB_LD(o->half_young);
	}
	uint32_t state = atomic_load_explicit(&s->eject.state, memory_order_acquire);
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

static void refresh(struct mlb_dp *dp, struct mlb_worker *w, uint64_t now)
{
	for (uint32_t id = 1; id <= MLB_MAX_VIPS; id++) {
		struct mlb_wvip *wv = atomic_load_explicit(&w->vip[id - 1], memory_order_acquire);
		struct dp_vip *v = wv ? dp_vip_of(dp, id) : NULL;
		if (!v)
			continue;
		uint32_t used = atomic_load_explicit(&v->used, memory_order_acquire);
		for (uint32_t i = 0; i < used; i++) {
			if (i + 4 < used)
				prefetch_slot(dp, v, i + 4);
			refresh_slot(dp, v, w, wv, i, now);
		}
	}
}

void mlb_dp_worker_loop(struct mlb_dp *dp, struct mlb_worker *w, uint64_t now_us)
{
	struct dp_worker *dw = (struct dp_worker *)w; /* its first member */
	/* A worker that was never idle, or forgot to say that it woke, is awake now; see dp_all_passed. */
	if (__builtin_expect(MLB_LD(w->idle) != 0, 0))
		atomic_exchange_explicit(&w->idle, 0, memory_order_acq_rel);
	uint64_t tag = atomic_load_explicit(&dp->tag, memory_order_acquire);
	if (MLB_LD(w->passed) != tag)
		atomic_store_explicit(&w->passed, tag, memory_order_release);
	uint32_t epoch = MLB_LD(w->frame_epoch);
	if (epoch != dw->epoch_seen) {
		dw->epoch_seen = epoch;
		w->frame_start_us = now_us;
	}
	uint64_t marks = atomic_load_explicit(&dp->marks, memory_order_acquire);
	uint64_t period = dp->nworkers > 1 ? DP_REFRESH_US : DP_REFRESH_ALONE_US;
	if (marks == dw->marks_seen && now_us - w->refreshed_us < period)
		return;
	dw->marks_seen = marks;
	w->refreshed_us = now_us;
	refresh(dp, w, now_us);
}

void mlb_dp_worker_idle(struct mlb_worker *w, bool idle)
{
	atomic_exchange_explicit(&w->idle, idle, memory_order_acq_rel); /* see dp_all_passed */
}
