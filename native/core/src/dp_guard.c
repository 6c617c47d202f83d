/* SPDX-License-Identifier: Apache-2.0 */
#include "dp_guard.h"

#define SLICE 256u /* VIPs and servers looked at in a poll, or one VIP where it alone has more */

/* Workers are told. A slot that is another's since the frame, or a VIP that wants no guard, has nobody guarded. */
static void tell(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_server_rec *rec, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (v->conf.no_guard || v->srv[rec[i].slot].pub.id != rec[i].id)
			v->guard[rec[i].slot].guarded = false;
	mlb_guard_tell(v->guard, rec, n, v->w, dp->nworkers);
	for (uint32_t i = 0; i < n; i++) {
		struct dp_server *s = &v->srv[rec[i].slot];
		bool guarded = v->guard[rec[i].slot].guarded;
		if (s->pub.id != rec[i].id)
			continue;
		s->guards += guarded && !s->guarded;
		s->guarded = guarded;
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

	for (uint32_t done = 0; done < SLICE && dp->guard_frame < out->frames;) {
		h = (const struct mlb_frame_hdr *)(out + 1) + dp->guard_frame++;
		struct dp_vip *v = dp_vip_of(dp, h->vip_id);
		if (!v || v->birth != h->birth)
			continue;
		uint64_t now = h->mono_ns / 1000, before = v->guard_us ? v->guard_us : now;
		v->guard_us = now;
		mlb_guard_step(v->guard, rec + h->first, h->count, now, now - before);
		tell(dp, v, rec + h->first, h->count);
		tell_light(dp, v, h, rec + h->first, now - before);
		done += h->count + 1;
	}
	return dp->guard_frame >= out->frames;
}
