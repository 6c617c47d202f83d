/* SPDX-License-Identifier: Apache-2.0 */
/* A load balancer's side: its counts, its ticks, the table its choices read. */
#include "run.h"
#include <marllb/envelope.h>
#include <stdio.h>
#include <string.h>

static bool arrays_new(struct sim_run *r, struct sim_lane *l)
{
	uint32_t n = r->slots;

	l->q = aligned_alloc(64, r->padded * sizeof(float));
	l->count = calloc(n, sizeof(*l->count));
	l->weight = calloc(n, sizeof(double));
	l->bias = calloc(n, sizeof(double));
	l->bare = calloc(n, sizeof(float));
	l->known = calloc(n, sizeof(bool));
	l->busy_mark = calloc(n, sizeof(double));
	l->published = calloc(n, sizeof(uint32_t));
	l->delivered = calloc(n, sizeof(uint32_t));
	l->peer = calloc(n, sizeof(float));
	if (!l->q || !l->count || !l->weight || !l->bias || !l->bare || !l->known || !l->busy_mark || !l->published ||
	    !l->delivered || !l->peer)
		return false;
	memset(l->q, 0, r->padded * sizeof(float));
	for (uint32_t s = 0; s < n; s++)
		l->weight[s] = r->w->weight[sim_server_of(r, s)];
	return true;
}

int sim_lane_init(struct sim_run *r, struct sim_lane *l, uint32_t index)
{
	const struct sim_scenario *sc = r->sc;
	uint32_t lb = index % sc->lbs;
	int err;

	l->st = r->other && r->other[lb].policy ? &r->other[lb] : r->st;
	l->info = (struct sim_lb_info){ .lb = lb,
					.lbs = sc->told_lbs ? sc->told_lbs : sc->lbs,
					.servers_max = r->slots,
					.tick_s = sc->tick_s,
					.seed = sim_mix(r->w->seed, 1000 + index),
					.gossip = r->gossip_s > 0 };
	mlb_rng_seed(&l->rng, sim_mix(r->w->seed, 2000 + index));
	if (!arrays_new(r, l))
		return -ENOMEM;
	bool guarded = r->w->faults > 0 && l->st->chooser == SIM_CHOOSE_CORE;
	if (guarded || l->st->policy->wants & SIM_WANTS_FRAME) {
		err = sim_worker_new(&l->worker, r->slots, r->padded, sc->load_waiting ? MLB_LOAD_WAITING : MLB_LOAD_FLOWS,
				     sim_mix(r->w->seed, 4000 + index));
		err = err || !guarded ? err : sim_guard_new(r, l);
		if (err)
			return err;
	}
	l->kappa = l->st->policy->kappa > 0 ? l->st->policy->kappa : 1. / l->info.lbs;
	err = l->st->policy->create(&l->policy, l->st->policy, &l->info, l->st->arg[0] ? l->st->arg : NULL, r->err);
	if (err)
		l->policy = NULL;
	return err;
}

void sim_lane_free(struct sim_lane *l)
{
	if (l->policy)
		l->st->policy->destroy(l->policy);
	mlb_table_free(l->table);
	if (l->ring)
		mlb_ring_unref(l->ring);
	free(l->q);
	free(l->count);
	free(l->weight);
	free(l->bias);
	free(l->bare);
	free(l->known);
	free(l->busy_mark);
	free(l->published);
	free(l->delivered);
	free(l->peer);
	free(l->guard);
	sim_worker_free(l->worker);
}

/* Without those that take no new flow. */
static int renew_ring(struct sim_run *r, struct sim_lane *l)
{
	uint64_t key[MLB_MAX_SERVERS_PER_VIP];
	uint32_t slot[MLB_MAX_SERVERS_PER_VIP], n = 0;
	float weight[MLB_MAX_SERVERS_PER_VIP];
	bool any = false;

	for (uint32_t k = 0; k < r->members; k++)
		any |= r->scratch.factor[k] > 0;
	for (uint32_t k = 0; k < r->members; k++) {
		if (any && r->scratch.factor[k] <= 0)
			continue;
		key[n] = sim_mix(77, sim_server_of(r, r->member[k]));
		slot[n] = r->member[k];
		weight[n++] = r->scratch.cfg[k];
	}
	if (l->ring)
		mlb_ring_unref(l->ring);
	l->ring = mlb_ring_new(n, key, slot, weight, false);
	return l->ring ? 0 : -ENOMEM;
}

static int renew_table(struct sim_run *r, struct sim_lane *l)
{
	struct mlb_table *t;
	struct sim_scratch *s = &r->scratch;
	bool any_bias = false;
	double kappa = l->st->kappa_per_lb ? 1. / l->info.lbs : isnan(l->st->kappa) ? l->kappa : l->st->kappa;
	uint32_t n = r->member[r->members - 1] + 1;

	memset(s->by_slot, 0, n * sizeof(float));
	memset(s->bias_by_slot, 0, n * sizeof(float));
	memset(l->known, 0, r->slots * sizeof(bool));
	for (uint32_t k = 0; k < r->members; k++) {
		uint32_t slot = r->member[k];
		s->by_slot[slot] = s->share[k];
		s->bias_by_slot[slot] = (float)l->bias[slot];
		any_bias |= l->bias[slot] != 0;
		l->known[slot] = true;
	}
	int err = mlb_table_new(&t, n, s->by_slot, any_bias ? s->bias_by_slot : NULL, (float)kappa, l->st->mode, 1, l->ring,
				l->ring);
	if (err) {
		snprintf(r->err, 256, "policy %s: weights, bias or kappa that no table takes at %.3f s", l->st->policy->name,
			 r->now);
		return err;
	}
	mlb_table_free(l->table);
	l->table = t;
	return 0;
}

/* Shares by weights and factors alone, without an envelope; all are eligible where every factor is 0. */
static int bare_shares(struct sim_run *r, struct sim_lane *l)
{
	struct sim_scratch *s = &r->scratch;
	double top = 0;
	bool any = false;

	for (uint32_t k = 0; k < r->members; k++) {
		double w = l->weight[r->member[k]], bias = l->bias[r->member[k]];
		if (!(w > 0) || isinf(w) || !isfinite(bias)) {
			snprintf(r->err, 256, "policy %s: weight %g, bias %g for server %u at %.3f s", l->st->policy->name, w,
				 bias, r->member[k], r->now);
			return -EINVAL;
		}
		top = w > top ? w : top;
		any |= s->factor[k] > 0;
	}
	for (uint32_t k = 0; k < r->members; k++) {
		s->raw[k] = (float)(l->weight[r->member[k]] / top);
		s->share[k] = any ? s->raw[k] * s->factor[k] : s->raw[k];
	}
	return 0;
}

/* What the envelope remembers, by place; a server that it does not know starts from its configured share. */
static void remembered(struct sim_run *r, struct sim_lane *l)
{
	struct sim_scratch *s = &r->scratch;
	double cfg = 0, bare = 0;

	for (uint32_t k = 0; k < r->members; k++)
		if (l->known[r->member[k]]) {
			cfg += s->cfg[k];
			bare += l->bare[r->member[k]];
		}
	for (uint32_t k = 0; k < r->members; k++)
		s->prev[k] = l->known[r->member[k]] || cfg <= 0 ? l->bare[r->member[k]] : (float)(s->cfg[k] / cfg * bare);
}

/* From a decision to the shares the table gets, through the envelope where the strategy asks for it. */
static int compose(struct sim_run *r, struct sim_lane *l, double dt_s)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t n = r->members;
	int err = bare_shares(r, l);

	if (err || isnan(l->st->trust))
		return err;
	struct mlb_envelope_conf conf = {
		.trust = (float)l->st->trust, .step_ratio = 2, .dt_s = (float)dt_s, .ejected_cap = .05f
	};
	remembered(r, l);
	enum mlb_refuse why =
		mlb_envelope(&conf, n, s->raw, s->cfg, s->factor, l->has_bare ? s->prev : NULL, NULL, s->bare, s->share);
	if (why != MLB_REFUSE_NONE) {
		snprintf(r->err, 256, "policy %s: the envelope refuses its weights at %.3f s: %s", l->st->policy->name, r->now,
			 mlb_refuse_name(why));
		return -EINVAL;
	}
	for (uint32_t k = 0; k < n; k++) {
		uint32_t slot = r->member[k];
		float load = l->q[slot], bias = (float)l->bias[slot];
		mlb_envelope_bias(conf.trust, 1, &load, (float)l->kappa, &bias);
		l->bias[slot] = bias;
		l->bare[slot] = s->bare[k];
	}
	l->has_bare = true;
	return 0;
}

/* The policy's word on the servers in the list, by place in it. */
static int ask(struct sim_run *r, struct sim_lane *l, double dt_s, bool turned)
{
	const struct sim_policy *p = l->st->policy;
	struct sim_scratch *s = &r->scratch;
	struct sim_lb_view view;
	struct sim_truth truth;
	struct sim_decision d = { .weight = s->weight, .bias = s->bias, .kappa = l->kappa, .err = r->err };

	sim_view_fill(r, l, &view, &truth);
	view.dt_s = dt_s;
	for (uint32_t k = 0; k < r->members; k++) {
		d.weight[k] = l->weight[r->member[k]];
		d.bias[k] = l->bias[r->member[k]];
	}
	(turned ? p->join : p->tick)(l->policy, &view, &d);
	if (d.failed)
		return d.failed;
	for (uint32_t k = 0; k < r->members; k++) {
		l->weight[r->member[k]] = d.weight[k];
		l->bias[r->member[k]] = d.bias[k];
	}
	l->kappa = d.kappa;
	return 0;
}

static int decide(struct sim_run *r, struct sim_lane *l, bool turned)
{
	double dt = r->now - l->last_tick_s;
	int err = turned && !l->st->policy->join ? 0 : ask(r, l, dt, turned);

	if (!err && l->st->mode == MLB_MODE_HASH && (turned || !l->ring))
		err = renew_ring(r, l);
	err = err ? err : compose(r, l, turned ? 0 : dt);
	return err ? err : renew_table(r, l);
}

static void look_how_light(struct sim_run *r, struct sim_lane *l)
{
	double own = 0, peers = 0;

	for (uint32_t k = 0; k < r->members; k++) {
		uint32_t j = r->member[k];
		own += r->sc->load_waiting ? l->count[j].waiting : l->count[j].flows;
		peers += l->info.gossip ? (double)l->peer[j] : 0;
	}
	if (!l->st->light_off)
		l->light = mlb_light_step(&l->lightness, r->now - l->last_tick_s, r->members, own, peers, l->info.lbs);
}

int sim_lane_tick(struct sim_run *r, struct sim_lane *l)
{
	int err = decide(r, l, false);

	look_how_light(r, l);
	if (l->guard)
		sim_guard_look(r, l);
	l->last_tick_s = r->now;
	for (uint32_t k = 0; k < r->members; k++)
		l->busy_mark[r->member[k]] = r->server[sim_server_of(r, r->member[k])].busy_s;
	return err;
}

int sim_lane_turn(struct sim_run *r, struct sim_lane *l)
{
	for (uint32_t k = 0; k < r->members; k++)
		if (!l->known[r->member[k]])
			l->busy_mark[r->member[k]] = r->server[sim_server_of(r, r->member[k])].busy_s;
	return decide(r, l, true);
}

void sim_lane_publish(struct sim_run *r, struct sim_lane *l)
{
	for (uint32_t s = 0; s < r->slots; s++)
		l->published[s] = r->sc->load_waiting ? l->count[s].waiting : l->count[s].flows;
}

/* What `l` published reaches the other load balancers of its VIP. */
void sim_lane_deliver(struct sim_run *r, struct sim_lane *l)
{
	uint32_t first = (uint32_t)(l - r->lane) / r->sc->lbs * r->sc->lbs;

	for (uint32_t s = 0; s < r->slots; s++) {
		float diff = (float)l->published[s] - (float)l->delivered[s];
		l->delivered[s] = l->published[s];
		if (diff == 0)
			continue;
		for (uint32_t k = first; k < first + r->sc->lbs; k++) {
			struct sim_lane *o = &r->lane[k];
			if (o == l)
				continue;
			o->q[s] += diff;
			o->peer[s] += diff;
		}
	}
}
