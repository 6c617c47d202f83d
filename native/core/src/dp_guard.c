/* SPDX-License-Identifier: Apache-2.0 */
#include "dp_guard.h"

/* Main alone writes it, relaxed: a worker may act on it a flow late. */
static void tell_slot(const struct mlb_dp *dp, const struct dp_vip *v, uint32_t slot, float fair_share, float debt)
{
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		struct mlb_wslot *s = mlb_wslot_at(v->w[i]->slots, slot);
		if (fair_share > 0 &&
		    MLB_LD(s->fair_share) <= 0) { /* its beginning: the debt first, then the count that names it */
			MLB_ST(s->guard_debt, debt / (float)dp->nworkers);
			MLB_ST_REL(s->guard_times, MLB_LD(s->guard_times) + 1);
		}
		if (MLB_LD(s->fair_share) != fair_share)
			MLB_ST(s->fair_share, fair_share);
	}
}

/* The share that static weights and the directive's factors give: what a guarded server gets at most. */
static double pool_weight(const struct mlb_server_rec *rec, uint32_t n)
{
	double total = 0;
	for (uint32_t i = 0; i < n; i++)
		if (!(rec[i].flags & (MLB_SRV_DRAINING | MLB_SRV_LEAVING)))
			total += (double)rec[i].weight_static * (double)rec[i].factor;
	return total;
}

static void tell(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_server_rec *rec, uint32_t n)
{
	uint32_t list[MLB_GUARDS_MAX], guards = 0;
	double total = pool_weight(rec, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = rec[i].slot;
		struct dp_server *s = &v->srv[slot];
		bool guarded = !v->conf.no_guard && v->guard[slot].guarded && guards < MLB_GUARDS_MAX && total > 0;
		if (s->pub.id != rec[i].id) /* gone since the frame: the slot is another's */
			continue;
		s->guards += guarded && !s->guarded;
		s->guarded = guarded;
		if (guarded)
			list[guards++] = slot;
		float share = guarded ? (float)((double)rec[i].weight_static * (double)rec[i].factor / total) : 0;
		tell_slot(dp, v, slot, share, v->guard[slot].beyond + v->guard[slot].failed);
	}
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		for (uint32_t k = 0; k < guards; k++)
			MLB_ST(v->w[i]->guard[k], list[k]);
		if (MLB_LD(v->w[i]->guards) != guards)
			MLB_ST_REL(v->w[i]->guards, guards);
	}
}

/* How light the load is: what workers draw by weight. */
static void tell_light(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_frame_hdr *h, const struct mlb_server_rec *rec,
		       uint64_t dt_us)
{
	uint32_t n = 0;
	double own = 0, peers = 0;
	for (uint32_t i = 0; i < h->count; i++) {
		if (rec[i].flags & (MLB_SRV_DRAINING | MLB_SRV_LEAVING))
			continue;
		n++;
		own += h->load == MLB_LOAD_WAITING ? rec[i].waiting : rec[i].flows;
		peers += rec[i].peer > 0 ? (double)rec[i].peer : 0;
	}
	float light = mlb_light_step(&v->light, (double)dt_us * 1e-6, n, own, peers, h->load_balancers);
	for (uint32_t i = 0; i < dp->nworkers; i++)
		if (MLB_LD(v->w[i]->light) != light)
			MLB_ST(v->w[i]->light, light);
}

void dp_guard_begin(struct mlb_dp *dp)
{
	dp->guard_frame = 0;
}

bool dp_guard_poll(struct mlb_dp *dp)
{
	const struct mlb_out_hdr *out = (const struct mlb_out_hdr *)dp->out_buf;
	const struct mlb_frame_hdr *h = (const struct mlb_frame_hdr *)(out + 1);
	const struct mlb_server_rec *rec = (const struct mlb_server_rec *)(h + out->frames);

	while (dp->guard_frame < out->frames) {
		h = (const struct mlb_frame_hdr *)(out + 1) + dp->guard_frame++;
		struct dp_vip *v = dp_vip_of(dp, h->vip_id);
		if (!v || v->birth != h->birth)
			continue;
		uint64_t now = h->mono_ns / 1000, before = v->guard_us ? v->guard_us : now;
		v->guard_us = now;
		mlb_guard_step(v->guard, rec + h->first, h->count, now, now - before);
		tell(dp, v, rec + h->first, h->count);
		tell_light(dp, v, h, rec + h->first, now - before);
		break;
	}
	return dp->guard_frame >= out->frames;
}
