/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy sees: plain arrays for heuristics; for models the frame of a data plane with one worker, counted by the core's
 * events and summed by the core. */
#include "run.h"
#include <errno.h>
#include <marllb/rec_sum.h>
#include <stdlib.h>
#include <string.h>

int sim_scratch_init(struct sim_run *r)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t n = r->slots;
	bool ok = true;

#define ARRAY(f) ok &= (s->f = calloc(n, sizeof(*s->f))) != NULL
	ARRAY(flow_s);
	ARRAY(capacity);
	ARRAY(cores);
	ARRAY(busy);
	ARRAY(weight);
	ARRAY(bias);
	ARRAY(cfg);
	ARRAY(factor);
	ARRAY(share);
	ARRAY(raw);
	ARRAY(prev);
	ARRAY(bare);
	ARRAY(by_slot);
	ARRAY(bias_by_slot);
	ARRAY(peer);
	ARRAY(flows);
	ARRAY(jobs);
	ARRAY(others);
	ARRAY(ended);
	ARRAY(rec);
#undef ARRAY
	return ok ? 0 : -ENOMEM;
}

void sim_scratch_free(struct sim_scratch *s)
{
	free(s->flow_s);
	free(s->capacity);
	free(s->cores);
	free(s->busy);
	free(s->weight);
	free(s->bias);
	free(s->cfg);
	free(s->factor);
	free(s->share);
	free(s->raw);
	free(s->prev);
	free(s->bare);
	free(s->by_slot);
	free(s->bias_by_slot);
	free(s->peer);
	free(s->flows);
	free(s->jobs);
	free(s->others);
	free(s->ended);
	free(s->rec);
}

/* Frames carry a clock that is not 0 at the start: 0 means "never" in them. */
uint64_t sim_clock_us(double s)
{
	return UINT64_C(1000000000) + (s > 0 ? (uint64_t)(s * 1e6 + .5) : 0);
}

int sim_worker_new(struct sim_worker **out, uint32_t servers, uint32_t padded, uint8_t load, uint64_t seed)
{
	struct sim_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->vip.slots = mlb_wslots_new(servers);
	w->vip.q = calloc(padded, sizeof(float));
	w->vip.others = calloc(padded, sizeof(float));
	w->decay = calloc(servers, sizeof(*w->decay));
	w->vip.capacity = servers;
	w->vip.load = load;
	mlb_rng_seed(&w->worker.rng, seed);
	if (!w->vip.slots || !w->vip.q || !w->vip.others || !w->decay) {
		sim_worker_free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

void sim_worker_free(struct sim_worker *w)
{
	if (!w)
		return;
	mlb_wslots_free(w->vip.slots);
	free(w->vip.q);
	free(w->vip.others);
	free(w->decay);
	free(w);
}

/* Of the reservoirs only that of connect times is merged: mlb_observe reads no other. */
static void fill_rec(struct sim_run *r, struct sim_lane *l, uint32_t k, uint64_t now_us, struct mlb_server_rec *out)
{
	uint32_t slot = r->member[k], j = sim_server_of(r, slot);
	struct sim_worker *w = l->worker;
	struct mlb_wvip *vip = &w->vip;

	*out = (struct mlb_server_rec){
		.id = slot + 1,
		.slot = (uint16_t)slot,
		.flags = MLB_SRV_MEMBER,
		.addr = { { [10] = 0xff, 0xff, 10, 0, (uint8_t)(j >> 8), (uint8_t)j } },
		.port = 80,
		.weight_static = r->scratch.cfg[k],
		.weight = l->table && l->known[slot] ? l->table->weight[slot] : 0,
		.factor = r->factor[slot],
		.bias = (float)l->bias[slot],
		.peer = l->info.gossip ? l->peer[slot] : 0,
		.joined_us = sim_clock_us(r->joined_s[slot]),
		.quick_answers = l->guard ? l->guard[slot].quick[0] : 0, /* as of the frame before */
		.quick_ends = l->guard ? l->guard[slot].quick[1] : 0,
	};
	mlb_rec_sum(out, &vip, 1, slot, now_us);
	mlb_rec_sum_connect(out, &vip, 1, slot, w->worker.frame_epoch - 1, (double)(now_us - w->worker.frame_start_us),
			    &w->decay[slot]);
}

static void fill_frame(struct sim_run *r, struct sim_lane *l)
{
	struct mlb_frame_hdr *h = &r->scratch.hdr;
	struct mlb_wvip *vip = &l->worker->vip;
	uint64_t now_us = sim_clock_us(r->now);

	*h = (struct mlb_frame_hdr){
		.schema = MLB_FRAME_SCHEMA,
		.record_size = sizeof(struct mlb_server_rec),
		.dp_epoch = sim_mix(r->w->seed, 5000 + l->info.lb), /* one without a number draws its strata by it */
		.birth = 1,
		.seq = ++l->frame_seq,
		.mono_ns = now_us * 1000,
		.real_ns = now_us * 1000,
		.vip_id = 1 + (uint32_t)(l - r->lane) / r->sc->lbs,
		.generation = r->generation,
		.count = r->members,
		.name = "sim",
		.mode = (uint8_t)l->st->mode,
		.load = vip->load,
		.one_way = r->sc->one_way_hi_s > 0,
		.kappa = l->table ? l->table->kappa : (float)l->kappa,
		.load_balancers = l->info.lbs,
		.load_balancer = r->sc->number_not_told ? 0 : l->info.lb + 1,
	};
	mlb_frame_sum(h, &vip, 1);
	l->worker->worker.frame_epoch++; /* closes the reservoirs' buffers */
	for (uint32_t k = 0; k < r->members; k++)
		fill_rec(r, l, k, now_us, &r->scratch.rec[k]);
	l->worker->worker.frame_start_us = now_us;
}

static void fill_truth(struct sim_run *r, struct sim_lane *l, struct sim_lb_view *v, struct sim_truth *t)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t first = (uint32_t)(l - r->lane) / r->sc->lbs * r->sc->lbs;
	double dt = r->now - l->last_tick_s;

	for (uint32_t k = 0; k < r->members; k++) {
		uint32_t slot = r->member[k], j = sim_server_of(r, slot);
		struct sim_server *srv = &r->server[j];
		sim_server_advance(srv, r->now);
		s->capacity[k] = sim_useful_capacity(r, j);
		s->cores[k] = srv->cores;
		s->jobs[k] = sim_server_jobs(srv);
		s->busy[k] = dt > 0 ? (srv->busy_s - l->busy_mark[slot]) / (dt * srv->cores) : 0;
		s->others[k] = 0;
		for (uint32_t i = first; i < first + r->sc->lbs; i++)
			s->others[k] += &r->lane[i] == l ? 0 : r->lane[i].count[slot].flows;
	}
	*t = (struct sim_truth){ s->capacity, s->cores, s->jobs, s->others, s->busy };
	v->truth = t;
}

void sim_view_fill(struct sim_run *r, struct sim_lane *l, struct sim_lb_view *v, struct sim_truth *t)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t wants = l->st->policy->wants;

	memset(v, 0, sizeof(*v));
	for (uint32_t k = 0; k < r->members; k++) {
		const struct sim_count *c = &l->count[r->member[k]];
		s->flows[k] = c->flows;
		s->flow_s[k] = r->sc->load_waiting ? c->load_i + c->waiting * r->now : c->flow_i + c->flows * r->now;
		s->ended[k] = (r->sc->load_waiting ? c->answers : c->done) + c->timed_out;
		s->peer[k] = l->peer[r->member[k]];
	}
	v->info = &l->info;
	v->now_s = r->now;
	v->n = r->members;
	v->slot = r->member;
	v->weight_cfg = s->cfg;
	v->flows = s->flows;
	v->peer = l->info.gossip ? s->peer : NULL;
	v->flow_s = s->flow_s;
	v->ended = s->ended;
	if (wants & SIM_WANTS_TRUTH)
		fill_truth(r, l, v, t);
	if (l->worker)
		fill_frame(r, l);
	if (wants & SIM_WANTS_FRAME) {
		v->hdr = &s->hdr;
		v->rec = s->rec;
	}
}
