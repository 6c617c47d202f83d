/* SPDX-License-Identifier: Apache-2.0 */
/* A load balancer's side: its counts, its ticks, the table its choices read. */
#include "run.h"
#include <marllb/envelope.h>
#include <stdio.h>
#include <string.h>

int sim_lane_init(struct sim_run *r, struct sim_lane *l, uint32_t index)
{
	const struct sim_scenario *sc = r->sc;
	uint32_t n = sc->n;
	int err;

	l->info = (struct sim_lb_info){ .lb = index % sc->lbs,
					.lbs = sc->lbs,
					.servers_max = n,
					.tick_s = sc->tick_s,
					.seed = sim_mix(r->w->seed, 1000 + index),
					.gossip = r->gossip_s > 0 };
	mlb_rng_seed(&l->rng, sim_mix(r->w->seed, 2000 + index));
	l->q = aligned_alloc(64, r->padded * sizeof(float));
	l->count = calloc(n, sizeof(*l->count));
	l->weight = calloc(n, sizeof(double));
	l->bias = calloc(n, sizeof(double));
	l->bare = calloc(n, sizeof(float));
	l->busy_mark = calloc(n, sizeof(double));
	l->published = calloc(n, sizeof(uint32_t));
	l->delivered = calloc(n, sizeof(uint32_t));
	l->peer = calloc(n, sizeof(float));
	if (!l->q || !l->count || !l->weight || !l->bias || !l->bare || !l->busy_mark || !l->published || !l->delivered ||
	    !l->peer)
		return -ENOMEM;
	memset(l->q, 0, r->padded * sizeof(float));
	if (r->st->policy->wants & SIM_WANTS_FRAME) {
		err = sim_worker_new(&l->worker, n, r->padded, sc->load_waiting ? MLB_LOAD_WAITING : MLB_LOAD_FLOWS,
				     sim_mix(r->w->seed, 4000 + index));
		if (err)
			return err;
	}
	for (uint32_t j = 0; j < n; j++)
		l->weight[j] = sc->server[j].weight;
	l->kappa = r->st->policy->kappa > 0 ? r->st->policy->kappa : 1. / sc->lbs;
	err = r->st->policy->create(&l->policy, r->st->policy, &l->info, r->st->arg[0] ? r->st->arg : NULL, r->err);
	if (err)
		l->policy = NULL;
	return err;
}

void sim_lane_free(struct sim_run *r, struct sim_lane *l)
{
	if (l->policy)
		r->st->policy->destroy(l->policy);
	mlb_table_free(l->table);
	if (l->ring)
		mlb_ring_unref(l->ring);
	free(l->q);
	free(l->count);
	free(l->weight);
	free(l->bias);
	free(l->bare);
	free(l->busy_mark);
	free(l->published);
	free(l->delivered);
	free(l->peer);
	sim_worker_free(l->worker);
}

static int renew_ring(struct sim_run *r, struct sim_lane *l)
{
	uint64_t key[MLB_MAX_SERVERS_PER_VIP];
	uint32_t slot[MLB_MAX_SERVERS_PER_VIP];

	for (uint32_t j = 0; j < r->present; j++) {
		key[j] = sim_mix(77, j);
		slot[j] = j;
	}
	if (l->ring)
		mlb_ring_unref(l->ring);
	l->ring = mlb_ring_new(r->present, key, slot, r->scratch.cfg, false);
	return l->ring ? 0 : -ENOMEM;
}

static int renew_table(struct sim_run *r, struct sim_lane *l)
{
	struct mlb_table *t;
	struct sim_scratch *s = &r->scratch;
	bool any_bias = false;
	double kappa = r->st->kappa_per_lb ? 1. / r->sc->lbs : isnan(r->st->kappa) ? l->kappa : r->st->kappa;

	for (uint32_t j = 0; j < r->present; j++) {
		s->fbias[j] = (float)l->bias[j];
		any_bias |= l->bias[j] != 0;
	}
	int err = mlb_table_new(&t, r->present, s->share, any_bias ? s->fbias : NULL, (float)kappa, r->st->mode, 1, l->ring,
				l->ring);
	if (err) {
		snprintf(r->err, 256, "policy %s: weights, bias or kappa that no table takes at %.3f s", r->st->policy->name,
			 r->now);
		return err;
	}
	mlb_table_free(l->table);
	l->table = t;
	l->n = r->present;
	return 0;
}

/* From a decision to the shares the table gets, through the envelope where the strategy asks for it. */
static int compose(struct sim_run *r, struct sim_lane *l, double dt_s)
{
	struct sim_scratch *s = &r->scratch;
	uint32_t n = r->present;
	double top = 0;

	for (uint32_t j = 0; j < n; j++) {
		if (!(l->weight[j] > 0) || isinf(l->weight[j]) || !isfinite(l->bias[j])) {
			snprintf(r->err, 256, "policy %s: weight %g, bias %g for server %u at %.3f s", r->st->policy->name,
				 l->weight[j], l->bias[j], j, r->now);
			return -EINVAL;
		}
		top = l->weight[j] > top ? l->weight[j] : top;
	}
	for (uint32_t j = 0; j < n; j++)
		s->share[j] = (float)(l->weight[j] / top);
	if (isnan(r->st->trust))
		return 0;

	struct mlb_envelope_conf conf = {
		.trust = (float)r->st->trust, .step_ratio = 2, .dt_s = (float)dt_s, .ejected_cap = .05f
	};
	memcpy(s->raw, s->share, n * sizeof(float));
	/* A server that joined starts from its configured share. */
	if (l->has_bare && l->n < n) {
		double cfg = 0, bare = 0;
		for (uint32_t j = 0; j < l->n; j++) {
			cfg += s->cfg[j];
			bare += l->bare[j];
		}
		for (uint32_t j = l->n; j < n; j++)
			l->bare[j] = (float)(s->cfg[j] / cfg * bare);
	}
	enum mlb_refuse why = mlb_envelope(&conf, n, s->raw, s->cfg, NULL, l->has_bare ? l->bare : NULL, NULL, s->bare, s->share);
	if (why != MLB_REFUSE_NONE) {
		snprintf(r->err, 256, "policy %s: the envelope refuses its weights at %.3f s: %s", r->st->policy->name, r->now,
			 mlb_refuse_name(why));
		return -EINVAL;
	}
	for (uint32_t j = 0; j < n; j++) {
		float load = l->q[j], bias = (float)l->bias[j];
		mlb_envelope_bias(conf.trust, 1, &load, (float)l->kappa, &bias);
		l->bias[j] = bias;
	}
	memcpy(l->bare, s->bare, n * sizeof(float));
	l->has_bare = true;
	return 0;
}

static int decide(struct sim_run *r, struct sim_lane *l, bool joined)
{
	const struct sim_policy *p = r->st->policy;
	struct sim_lb_view view;
	struct sim_truth truth;
	struct sim_decision d = { .weight = l->weight, .bias = l->bias, .kappa = l->kappa, .err = r->err };
	double dt = r->now - l->last_tick_s;
	int err;

	if (!joined || p->join) {
		sim_view_fill(r, l, &view, &truth);
		view.dt_s = dt;
		(joined ? p->join : p->tick)(l->policy, &view, &d);
		if (d.failed)
			return d.failed;
		l->kappa = d.kappa;
	}
	if (r->st->mode == MLB_MODE_HASH && l->n != r->present) {
		err = renew_ring(r, l);
		if (err)
			return err;
	}
	err = compose(r, l, joined ? 0 : dt);
	return err ? err : renew_table(r, l);
}

int sim_lane_tick(struct sim_run *r, struct sim_lane *l)
{
	int err = decide(r, l, false);

	l->last_tick_s = r->now;
	for (uint32_t j = 0; j < r->present; j++)
		l->busy_mark[j] = r->server[j].busy_s;
	return err;
}

int sim_lane_join(struct sim_run *r, struct sim_lane *l)
{
	for (uint32_t j = l->n; j < r->present; j++)
		l->busy_mark[j] = r->server[j].busy_s;
	return decide(r, l, true);
}

void sim_lane_publish(struct sim_run *r, struct sim_lane *l)
{
	for (uint32_t j = 0; j < r->present; j++)
		l->published[j] = r->sc->load_waiting ? l->count[j].waiting : l->count[j].flows;
}

/* What `l` published reaches the other load balancers of its VIP. */
void sim_lane_deliver(struct sim_run *r, struct sim_lane *l)
{
	uint32_t first = (uint32_t)(l - r->lane) / r->sc->lbs * r->sc->lbs;

	for (uint32_t j = 0; j < r->present; j++) {
		float diff = (float)l->published[j] - (float)l->delivered[j];
		l->delivered[j] = l->published[j];
		if (diff == 0)
			continue;
		for (uint32_t k = first; k < first + r->sc->lbs; k++) {
			struct sim_lane *o = &r->lane[k];
			if (o == l)
				continue;
			o->q[j] += diff;
			o->peer[j] += diff;
		}
	}
}
