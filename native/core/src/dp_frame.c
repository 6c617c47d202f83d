/* SPDX-License-Identifier: Apache-2.0 */
/* Summing the workers into one record a server. Cumulative figures only; only the reservoirs belong to one frame. */
#include "dp_frame.h"

#include <string.h>

#include "marllb/rec_sum.h"

#define SLICE_LEAST \
	16u /* slots merged a poll at least; more where the region is fuller, so that a frame takes at most 32 polls */

static void merge_slot(struct mlb_dp *dp, struct dp_vip *v, uint32_t slot)
{
	const struct mlb_reservoir *r[3][dp->nworkers];
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		const struct mlb_wslot *w = mlb_wslot_at(v->w[i]->slots, slot);
		r[0][i] = &w->duration;
		r[1][i] = &w->ttfb;
		r[2][i] = &w->connect;
	}
	for (int k = 0; k < 3; k++)
		mlb_res_merge(r[k], dp->nworkers, dp->epoch - 1, (double)dp->merge_frame_us, &v->srv[slot].decay[k],
			      &v->srv[slot].sum[k]);
}

bool dp_merge_slice(struct mlb_dp *dp)
{
	uint32_t left = dp->servers / 32 > SLICE_LEAST ? dp->servers / 32 : SLICE_LEAST;
	uint32_t top = dp_top(dp);
	for (; dp->merge_vip <= top; dp->merge_vip++, dp->merge_slot = 0) {
		struct dp_vip *v = dp_vip_of(dp, dp->merge_vip);
		uint32_t used = v ? dp_used(v) : 0;
		for (; dp->merge_slot < used; dp->merge_slot++) {
			if (!v->srv[dp->merge_slot].pub.flags)
				continue;
			if (left-- == 0)
				return false;
			merge_slot(dp, v, dp->merge_slot);
		}
	}
	return true;
}

static void add_ejection(const struct dp_server *cs, struct mlb_server_rec *r)
{
	struct dp_eject *e = (struct dp_eject *)&cs->eject;
	uint32_t state = MLB_LD(e->state);
	uint32_t streak = MLB_LD(e->streak);
	bool ejected = dp_is_ejected(e);
	if (ejected)
		r->flags |= MLB_SRV_EJECTED;
	if (ejected && state == DP_PROBING)
		r->flags |= MLB_SRV_PROBING;
	r->eject_streak = (uint16_t)(streak < UINT16_MAX ? streak : UINT16_MAX);
	r->ejections = MLB_LD(e->ejections);
	r->eject_until_us = ejected && state == DP_OUT ? MLB_LD(e->until_us) : 0;
}

void dp_sum_server(struct mlb_dp *dp, struct dp_vip *v, uint32_t slot, struct mlb_server_rec *r)
{
	struct dp_server *s = &v->srv[slot];
	memset(r, 0, sizeof(*r));
	r->id = s->pub.id;
	r->slot = (uint16_t)slot;
	r->flags = (uint16_t)s->pub.flags;
	r->addr = s->pub.ep.addr;
	r->port = s->pub.ep.port;
	r->weight_static = s->pub.weight_static;
	r->weight = slot < v->table->nslots ? v->table->weight[slot] : 0;
	r->factor = s->factor;
	r->bias = s->bias;
	r->peer = MLB_LD(s->peer);
	r->joined_us = s->joined_us;
	mlb_rec_sum(r, v->w, dp->nworkers, slot, dp->now_us);
	/* A worker's clock may be behind ours: what ran on too far is made good, never taken back. */
	r->flow_us = s->flow_us = r->flow_us > s->flow_us ? r->flow_us : s->flow_us;
	r->wait_us = s->wait_us = r->wait_us > s->wait_us ? r->wait_us : s->wait_us;
	add_ejection(s, r);
	r->flags |= s->guarded ? MLB_SRV_GUARDED : 0;
	r->guards = s->guards;
	if (v->guard[slot].id == s->pub.id) { /* as of the frame before */
		r->quick_answers = v->guard[slot].quick[0];
		r->quick_ends = v->guard[slot].quick[1];
	}
	r->duration = s->sum[0];
	r->ttfb = s->sum[1];
	r->connect = s->sum[2];
}
