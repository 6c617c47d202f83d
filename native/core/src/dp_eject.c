/* SPDX-License-Identifier: Apache-2.0 */
/* Local ejection, for what no loop can be quick enough for. A slot is
 *   IN -(a connect failed, the pool allows it)-> OUT -(its time is over)-> READY -(the next new flow)-> PROBING
 * and the probe's result brings it back to IN, or OUT again. The first two failures in a row hold the server back, for 10 ms and
 * for 20 ms: the next flows go elsewhere, and the one after tries it. A single refusal costs a server next to nothing, and one
 * that is gone has failed three times within three new flows, however few there are. The third failure ejects it: 1 s, twice as
 * long each time, up to 30 s. Results reach any worker; whoever wins the compare-and-swap of `state` does what belongs to the
 * step. A slot is one of `out` while it is not IN. */
#include "dp_eject.h"

#include <netinet/in.h>

#define FAILURES 3u
#define HOLD_US 10000u /* also: refusals that come closer together are one event, such as a restart, and count once */
#define LONGEST_US 30000000u
#define PROBE_US 5000000u /* a probe whose result never comes is given up, of UDP it has succeeded */

static bool move(struct dp_eject *e, enum dp_eject_state from, enum dp_eject_state to)
{
	uint32_t want = from;
	return atomic_compare_exchange_strong_explicit(&e->state, &want, to, memory_order_acq_rel, memory_order_relaxed);
}

static void workers_look(struct mlb_dp *dp)
{
	atomic_fetch_add_explicit(&dp->marks, 1, memory_order_release);
}

/* Counted before the state changes, so that two workers at once cannot take more than half. */
static bool take_place(struct dp_vip *v)
{
	uint32_t out = atomic_fetch_add_explicit(&v->out, 1, memory_order_acq_rel) + 1;
	if (2 * out <= MLB_LD(v->pool))
		return true;
	atomic_fetch_sub_explicit(&v->out, 1, memory_order_acq_rel);
	return false;
}

/* The server is out for `us` from now on, whatever it was before; IN only if the pool allows it. */
static void put_out(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s, uint32_t us, uint64_t now)
{
	struct dp_eject *e = &s->eject;
	uint32_t state = MLB_LD_ACQ(e->state), nobody = 0;

	if (state == DP_IN && !take_place(v))
		return;
	/* Before the state, or others could see OUT with the time of the last ejection. */
	MLB_ST(e->until_us, now + us);
	MLB_ST(e->backoff_us, us);
	if (state != DP_OUT && !move(e, (enum dp_eject_state)state, DP_OUT)) {
		if (state == DP_IN)
			atomic_fetch_sub_explicit(&v->out, 1, memory_order_acq_rel);
		return;
	}
	if (us >= DP_EJECT_US)
		atomic_fetch_add_explicit(&e->ejections, 1, memory_order_relaxed);
	else /* over before main looks: the workers know whom to try by themselves */
		atomic_compare_exchange_strong_explicit(&v->probe, &nobody, s->pub.slot + 1u, memory_order_acq_rel,
							memory_order_relaxed);
	workers_look(dp);
}

/* Returns the server to IN from any state. */
static void bring_in(struct mlb_dp *dp, struct dp_vip *v, struct dp_eject *e)
{
	uint32_t was = atomic_exchange_explicit(&e->state, DP_IN, memory_order_acq_rel);
	MLB_ST(e->streak, 0);
	MLB_ST(e->until_us, 0);
	MLB_ST(e->backoff_us, 0);
	if (was == DP_IN)
		return;
	atomic_fetch_sub_explicit(&v->out, 1, memory_order_acq_rel);
	workers_look(dp);
}

static void succeeded(struct mlb_dp *dp, struct dp_vip *v, struct mlb_worker *w, struct dp_server *s, uint64_t now)
{
	struct dp_eject *e = &s->eject;
	uint32_t state = MLB_LD_ACQ(e->state);
	struct mlb_wvip *wv = MLB_LD_ACQ(w->vip[v->id - 1]);

	if (wv)
		MLB_ST(mlb_wslot_at(wv->slots, s->pub.slot)->answered_us, now);
	if (state == DP_IN) {
		if (MLB_LD(e->streak))
			MLB_ST(e->streak, 0);
	} else if (state != DP_OUT || !dp_is_ejected(e)) {
		bring_in(dp, v, e);
	} /* else the connect began before the ejection: a server that takes some and drops the rest is no better for it */
}

/* A connect that went unanswered says nothing where another was answered since it began: a packet was lost. */
static bool answered_since(const struct mlb_dp *dp, const struct dp_vip *v, uint32_t slot, uint64_t began)
{
	for (uint32_t i = 0; i < dp->nworkers; i++)
		if (MLB_LD(mlb_wslot_at(v->w[i]->slots, slot)->answered_us) > began)
			return true;
	return false;
}

/* Connects that go unanswered count each, even if they end in one moment: each was silence for a whole time-out. */
static void failed(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s, bool refused, uint64_t began, uint64_t now)
{
	struct dp_eject *e = &s->eject;
	uint64_t last = MLB_LD(e->failed_us);
	uint32_t state = MLB_LD_ACQ(e->state), streak = MLB_LD(e->streak);

	if (refused && streak && now < last + HOLD_US)
		return;
	/* Of an ejected server only the probe's result counts: what began before it was put out is no news. */
	if (state != DP_IN && dp_is_ejected(e) && (state == DP_OUT || began < last))
		return;
	if (!atomic_compare_exchange_strong_explicit(&e->failed_us, &last, now, memory_order_acq_rel, memory_order_relaxed) &&
	    refused)
		return; /* another worker's refusal of this moment counts */
	streak = atomic_fetch_add_explicit(&e->streak, 1, memory_order_relaxed) + 1;
	uint32_t us = state == DP_IN ? 0 : 2 * MLB_LD(e->backoff_us);
	if (streak < FAILURES)
		us = us ? us : HOLD_US;
	else if (us < DP_EJECT_US)
		us = DP_EJECT_US;
	put_out(dp, v, s, us < LONGEST_US ? us : LONGEST_US, now);
}

/* The probe was not made: the next flow is it. Where the flow was not the probe nothing changes. */
static void unmade(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s, uint64_t began)
{
	struct dp_eject *e = &s->eject;
	uint32_t nobody = 0;
	if (MLB_LD_ACQ(e->state) != DP_PROBING || MLB_LD(e->until_us) != began + PROBE_US || !move(e, DP_PROBING, DP_READY))
		return;
	atomic_compare_exchange_strong_explicit(&v->probe, &nobody, s->pub.slot + 1u, memory_order_acq_rel, memory_order_relaxed);
	workers_look(dp);
}

void mlb_dp_connect_result(struct mlb_dp *dp, struct mlb_worker *w, uint32_t vip_id, uint32_t slot, enum mlb_connect how,
			   uint64_t began_us, uint64_t now_us)
{
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	if (!v || !MLB_LD(v->ejects) || slot >= v->conf.capacity || MLB_LD(v->srv[slot].live) != DP_LIVE_OPEN)
		return;
	if (how == MLB_CONNECT_UNMADE)
		unmade(dp, v, &v->srv[slot], began_us);
	else if (how == MLB_CONNECT_OK)
		succeeded(dp, v, w, &v->srv[slot], now_us);
	else if (MLB_LD(v->srv[slot].last_resort))
		return; /* it is masked: put out as well it would only take the place of one that is not */
	else if (how == MLB_CONNECT_REFUSED || !answered_since(dp, v, slot, began_us))
		failed(dp, v, &v->srv[slot], how == MLB_CONNECT_REFUSED, began_us, now_us);
}

static inline uint32_t choose(const struct mlb_table *t, struct mlb_wvip *wv, struct mlb_worker *w, uint64_t flow_hash)
{
	if (__builtin_expect(MLB_LD_ACQ(wv->guards) != 0, 0))
		return mlb_guard_choose(t, wv, &w->rng, flow_hash);
	return mlb_choose_light(t, wv->q, &w->rng, flow_hash, MLB_LD(wv->light));
}

/* Worker: may this new flow go to a slot? An IN one takes it; a READY one, or an OUT one whose time is over, takes exactly one
 * flow, its probe. Otherwise the worker's view is older than the ejection (or the probe): it marks the slot out until its refresh
 * at its next loop. */
static bool admits(struct mlb_dp *dp, struct mlb_wvip *wv, struct dp_eject *e, uint32_t slot, uint64_t now_us)
{
	uint32_t state = MLB_LD_ACQ(e->state);
	bool probe = false;
	if (state == DP_IN)
		return true;
	if (state == DP_OUT && MLB_LD(e->until_us) <= now_us && move(e, DP_OUT, DP_READY))
		state = DP_READY;
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
 * for ejected servers might never be chosen while there are few flows. A weight of 0 is an order, and gets none; nor does a
 * server get a flow that tried it before. MLB_NONE: no probe is due, or another worker took it. */
static uint32_t probe_due(struct mlb_dp *dp, struct dp_vip *v, struct mlb_wvip *wv, const struct mlb_table *t, uint64_t now_us)
{
	uint32_t mark = MLB_LD(v->probe), slot = mark - 1;
	if (mark == 0 || slot >= t->nslots || !(t->weight[slot] > 0) || wv->q[slot] >= MLB_Q_TRIED)
		return MLB_NONE;
	struct dp_eject *e = &v->srv[slot].eject;
	uint32_t state = MLB_LD_ACQ(e->state);
	if (state == DP_OUT && MLB_LD(e->until_us) > now_us)
		return MLB_NONE;
	if (!atomic_compare_exchange_strong_explicit(&v->probe, &mark, 0, memory_order_acq_rel, memory_order_relaxed))
		return MLB_NONE;
	return state != DP_IN && admits(dp, wv, e, slot, now_us) ? slot : MLB_NONE;
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

/* Each of those that may be chosen with the same probability (reservoir sampling, Vitter 1985, of one). */
uint32_t mlb_dp_last_resort(struct mlb_dp *dp, struct mlb_worker *w, uint32_t vip_id)
{
	struct mlb_wvip *wv = wvip_of(w, vip_id);
	struct dp_vip *v = dp_vip_of(dp, vip_id);
	uint32_t slot = MLB_NONE, seen = 0;
	if (!wv || !v)
		return MLB_NONE;
	for (uint32_t i = 0, n = MLB_LD_ACQ(v->used); i < n; i++) {
		const struct dp_server *s = &v->srv[i];
		if (MLB_LD_ACQ(s->live) != DP_LIVE_OPEN || !MLB_LD(s->last_resort) || wv->q[i] >= MLB_Q_TRIED)
			continue;
		seen++;
		if (mlb_rng_next(&w->rng) % seen == 0)
			slot = i;
	}
	return slot;
}

void dp_eject_forget(struct mlb_dp *dp, struct dp_vip *v, struct dp_server *s)
{
	bring_in(dp, v, &s->eject);
}

/* Whom the next new flow is to try: nobody, or one whose time is not over after all. */
static bool probe_is_free(const struct mlb_dp *dp, struct dp_vip *v, const struct mlb_table *t)
{
	uint32_t mark = MLB_LD(v->probe);
	if (mark == 0)
		return true;
	struct dp_eject *e = &v->srv[mark - 1].eject;
	uint32_t state = MLB_LD_ACQ(e->state);
	return state == DP_IN || state == DP_PROBING || (state == DP_OUT && MLB_LD(e->until_us) > dp->now_us) ||
	       mark > t->nslots || !(t->weight[mark - 1] > 0);
}

static void poll_vip(struct mlb_dp *dp, struct dp_vip *v)
{
	DP_EACH_SERVER(v, s) {
		struct dp_eject *e = &s->eject;
		uint32_t state = MLB_LD_ACQ(e->state);
		bool over = (state == DP_OUT || state == DP_PROBING) && MLB_LD(e->until_us) <= dp->now_us;
		if (over && state == DP_PROBING && v->conf.ep.proto == IPPROTO_UDP) {
			bring_in(dp, v, e);
			continue;
		}
		if (over && move(e, (enum dp_eject_state)state, DP_READY))
			workers_look(dp);
		/* The next one is told when this one's probe is on its way. */
		if ((over || state == DP_READY) && probe_is_free(dp, v, v->table))
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
