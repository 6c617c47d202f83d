/* SPDX-License-Identifier: Apache-2.0 */
/* Local ejection, for what no loop can be quick enough for. A slot is
 *   IN -(3 failed connects in a row, pool allows)-> OUT -(its time is over)-> READY -(the next new flow)-> PROBING
 * and a connect's result brings READY or PROBING back to IN, or OUT again for twice the time. Results reach any worker; whoever
 * wins the compare-and-swap of `state` does what belongs to the step. A slot is one of `out` while it is not IN. */
#include "dp_eject.h"

#define FAILURES 3u
#define FIRST_US 1000000u
#define LONGEST_US 30000000u
#define PROBE_US 5000000u /* a probe whose result never comes is given up */

static bool move(struct dp_eject *e, enum dp_eject_state from, enum dp_eject_state to)
{
	uint32_t want = from;
	return atomic_compare_exchange_strong_explicit(&e->state, &want, to, memory_order_acq_rel, memory_order_relaxed);
}

static void workers_look(struct mlb_dp *dp)
{
	atomic_fetch_add_explicit(&dp->marks, 1, memory_order_release);
}

static void put_out(struct mlb_dp *dp, struct dp_vip *v, struct dp_eject *e, uint64_t now)
{
	/* Counted first, so that two workers at once cannot take more than half. */
	uint32_t out = atomic_fetch_add_explicit(&v->out, 1, memory_order_acq_rel) + 1;
	if (2 * out > MLB_LD(v->pool)) {
		atomic_fetch_sub_explicit(&v->out, 1, memory_order_acq_rel);
		return;
	}
	/* Before the state, or main could see OUT with the time of the last ejection. */
	MLB_ST(e->until_us, now + FIRST_US);
	if (!move(e, DP_IN, DP_OUT)) {
		atomic_fetch_sub_explicit(&v->out, 1, memory_order_acq_rel);
		return;
	}
	MLB_ST(e->backoff_us, FIRST_US);
	atomic_fetch_add_explicit(&e->ejections, 1, memory_order_relaxed);
	workers_look(dp);
}

static void out_again(struct mlb_dp *dp, struct dp_eject *e, uint64_t now)
{
	uint32_t longer = 2 * MLB_LD(e->backoff_us);
	longer = longer < LONGEST_US ? longer : LONGEST_US;
	MLB_ST(e->until_us, now + longer);
	if (!move(e, DP_READY, DP_OUT) && !move(e, DP_PROBING, DP_OUT))
		return;
	MLB_ST(e->backoff_us, longer);
	atomic_fetch_add_explicit(&e->ejections, 1, memory_order_relaxed);
	workers_look(dp);
}

/* Returns the server to IN from any state. */
static void bring_in(struct mlb_dp *dp, struct dp_vip *v, struct dp_eject *e)
{
	uint32_t was = atomic_exchange_explicit(&e->state, DP_IN, memory_order_acq_rel);
	MLB_ST(e->streak, 0);
	MLB_ST(e->until_us, 0);
	if (was == DP_IN)
		return;
	atomic_fetch_sub_explicit(&v->out, 1, memory_order_acq_rel);
	workers_look(dp);
}

void mlb_dp_connect_result(struct mlb_dp *dp, uint32_t vip_id, uint32_t slot, bool ok, uint64_t now_us)
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (!v || !MLB_LD(v->ejects) || slot >= v->conf.capacity || MLB_LD(v->srv[slot].live) != DP_LIVE_OPEN)
		return;
	struct dp_eject *e = &v->srv[slot].eject;
	uint32_t state = MLB_LD_ACQ(e->state);
	if (state == DP_OUT)
		return; /* the connect began before the ejection: ignore its result */
	if (ok) {
		if (state != DP_IN)
			bring_in(dp, v, e);
		else if (MLB_LD(e->streak))
			MLB_ST(e->streak, 0);
		return;
	}
	uint32_t streak = atomic_fetch_add_explicit(&e->streak, 1, memory_order_relaxed) + 1;
	if (state != DP_IN)
		out_again(dp, e, now_us);
	else if (streak >= FAILURES)
		put_out(dp, v, e, now_us);
}

static inline uint32_t choose(const struct mlb_table *t, struct mlb_wvip *wv, struct mlb_worker *w, uint64_t flow_hash)
{
	if (__builtin_expect(MLB_LD_ACQ(wv->guards) != 0, 0))
		return mlb_guard_choose(t, wv, &w->rng, flow_hash);
	return mlb_choose_light(t, wv->q, &w->rng, flow_hash, MLB_LD(wv->light));
}

/* Worker: may this new flow go to a slot? An IN one takes it; a READY one takes exactly one flow, its probe. Otherwise the
 * worker's view is older than the ejection (or the probe): it marks the slot out until its refresh at its next loop. */
static bool admits(struct mlb_dp *dp, struct mlb_wvip *wv, struct dp_eject *e, uint32_t slot, uint64_t now_us)
{
	uint32_t state = MLB_LD_ACQ(e->state);
	bool probe = false;
	if (state == DP_IN)
		return true;
	if (state == DP_READY) {
		/* Before the state, or main could see PROBING with a time long past. */
		MLB_ST(e->until_us, now_us + PROBE_US);
		probe = move(e, DP_READY, DP_PROBING);
	}
	if (probe)
		workers_look(dp);
	wv->others[slot] += MLB_Q_OUT;
	wv->q[slot] += MLB_Q_OUT;
	return probe;
}

static struct mlb_wvip *wvip_of(struct mlb_worker *w, uint32_t vip_id)
{
	return vip_id - 1 < MLB_MAX_VIPS ? MLB_LD_ACQ(w->vip[vip_id - 1]) : NULL;
}

/* A server whose time is over gets the next new flow, whatever its weight: by weight alone one that the agent holds at its cap
 * for ejected servers might never be chosen while there are few flows. A weight of 0 is an order, and gets none. MLB_NONE: no
 * probe is due, or another worker took it. */
static uint32_t probe_due(struct mlb_dp *dp, struct dp_vip *v, struct mlb_wvip *wv, const struct mlb_table *t, uint64_t now_us)
{
	if (MLB_LD(v->probe) == 0)
		return MLB_NONE;
	uint32_t slot = atomic_exchange_explicit(&v->probe, 0, memory_order_acq_rel) - 1;
	if (slot >= t->nslots || !(t->weight[slot] > 0) || MLB_LD_ACQ(v->srv[slot].eject.state) != DP_READY)
		return MLB_NONE;
	return admits(dp, wv, &v->srv[slot].eject, slot, now_us) ? slot : MLB_NONE;
}

/* A choice that is not admitted is made again, up to 4 times; if all are out, the last choice stands. */
uint32_t mlb_dp_choose(struct mlb_dp *dp, struct mlb_worker *w, uint32_t vip_id, uint64_t flow_hash, uint64_t now_us)
{
	struct mlb_wvip *wv = wvip_of(w, vip_id);
	const struct mlb_table *t = wv ? MLB_LD_ACQ(wv->table) : NULL;
	if (!t)
		return MLB_NONE;
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (__builtin_expect(v && MLB_LD(v->out) != 0, 0)) {
		uint32_t probe = probe_due(dp, v, wv, t, now_us);
		if (probe != MLB_NONE)
			return probe;
	}
	uint32_t slot = choose(t, wv, w, flow_hash);
	for (int k = 0; k < 4 && v && slot != MLB_NONE && MLB_LD(v->out) != 0; k++) {
		if (admits(dp, wv, &v->srv[slot].eject, slot, now_us))
			break;
		slot = choose(t, wv, w, flow_hash);
	}
	return slot;
}

bool mlb_dp_admits(struct mlb_dp *dp, struct mlb_worker *w, uint32_t vip_id, uint32_t slot, uint64_t now_us)
{
	struct mlb_wvip *wv = wvip_of(w, vip_id);
	const struct mlb_table *t = wv ? MLB_LD_ACQ(wv->table) : NULL;
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (!t || !v || slot >= t->nslots || !(t->weight[slot] > 0) || wv->q[slot] >= MLB_Q_OUT)
		return false;
	return MLB_LD(v->out) == 0 || admits(dp, wv, &v->srv[slot].eject, slot, now_us);
}

void dp_eject_forget(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s)
{
	bring_in(dp, v, &s->eject);
}

static void poll_vip(struct mlb_dp *dp, struct dp_vip *v)
{
	DP_EACH_SERVER(v, s) {
		struct dp_eject *e = &s->eject;
		uint32_t state = MLB_LD_ACQ(e->state);
		bool over = (state == DP_OUT || state == DP_PROBING) && MLB_LD(e->until_us) <= dp->now_us;
		if (over && move(e, (enum dp_eject_state)state, DP_READY))
			workers_look(dp);
		/* The next one is told when this one's probe is on its way. */
		if ((over || state == DP_READY) && MLB_LD(v->probe) == 0)
			MLB_ST(v->probe, s->pub.slot + 1u);
	}
}

bool dp_eject_poll(struct mlb_dp *dp)
{
	bool out = false;
	DP_EACH_VIP(dp, v) {
		if (MLB_LD_ACQ(v->out) == 0)
			continue;
		poll_vip(dp, v);
		out = true;
	}
	return out;
}
