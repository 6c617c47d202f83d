/* SPDX-License-Identifier: Apache-2.0 */
/* Summing the workers into one record a server. Cumulative figures only; only the reservoirs belong to one frame. */
#include "dp_frame.h"

#include <string.h>

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
	for (; dp->merge_vip <= MLB_MAX_VIPS; dp->merge_vip++, dp->merge_slot = 0) {
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

/* Integrals run on from the worker's last change to now. */
static void add_gauges(struct mlb_wslot *w, uint64_t now, struct mlb_server_rec *r, uint64_t *start_sum)
{
	struct mlb_wslot_gauges g;
	mlb_wslot_read(w, &g);
	uint64_t dt = now > g.last_us ? now - g.last_us : 0;
	r->flows += g.flows;
	r->half_open += g.half_open;
	r->waiting += g.waiting;
	r->flow_us += g.flow_us + g.flows * dt;
	r->wait_us += g.wait_us + g.waiting * dt;
	*start_sum += g.start_sum_us;
}

static void add_counts(const struct mlb_wslot *cw, struct mlb_server_rec *r)
{
	struct mlb_wslot *w = (struct mlb_wslot *)cw;
	r->new_flows += MLB_LD(w->new_flows);
	r->completions += MLB_LD(w->ended[MLB_END_COMPLETED]) + MLB_LD(w->ended[MLB_END_IDLE]);
	r->refusals += MLB_LD(w->ended[MLB_END_REFUSED]);
	r->resets += MLB_LD(w->ended[MLB_END_RESET]);
	r->aborts += MLB_LD(w->ended[MLB_END_ABORT]);
	r->unanswered += MLB_LD(w->ended[MLB_END_UNANSWERED]);
	r->answers += MLB_LD(w->answers);
	r->packets_in += MLB_LD(w->packets_in);
	r->packets_out += MLB_LD(w->packets_out);
	r->bytes_in += MLB_LD(w->bytes_in);
	r->bytes_out += MLB_LD(w->bytes_out);
	uint64_t last = MLB_LD(w->last_completion_us);
	r->last_completion_us = last > r->last_completion_us ? last : r->last_completion_us;
	for (uint32_t i = 0; i < MLB_HIST_BUCKETS; i++) {
		r->ttfb_hist[i] += MLB_LD(w->ttfb_hist[i]);
		r->duration_hist[i] += MLB_LD(w->duration_hist[i]);
	}
}

static void add_ejection(const struct dp_server *cs, struct mlb_server_rec *r)
{
	struct dp_eject *e = (struct dp_eject *)&cs->eject;
	uint32_t state = MLB_LD(e->state);
	uint32_t streak = MLB_LD(e->streak);
	if (state != DP_IN)
		r->flags |= MLB_SRV_EJECTED;
	if (state == DP_PROBING)
		r->flags |= MLB_SRV_PROBING;
	r->eject_streak = (uint16_t)(streak < UINT16_MAX ? streak : UINT16_MAX);
	r->ejections = MLB_LD(e->ejections);
	r->eject_until_us = state == DP_OUT ? MLB_LD(e->until_us) : 0;
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
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		add_gauges(mlb_wslot_at(v->w[i]->slots, slot), dp->now_us, r, &r->start_sum_us);
		add_counts(mlb_wslot_at(v->w[i]->slots, slot), r);
	}
	/* A worker's clock may be behind ours: what ran on too far is made good, never taken back. */
	r->flow_us = s->flow_us = r->flow_us > s->flow_us ? r->flow_us : s->flow_us;
	r->wait_us = s->wait_us = r->wait_us > s->wait_us ? r->wait_us : s->wait_us;
	add_ejection(s, r);
	r->duration = s->sum[0];
	r->ttfb = s->sum[1];
	r->connect = s->sum[2];
}
