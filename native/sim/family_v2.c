/* SPDX-License-Identifier: Apache-2.0 */
/* Family v2 as docs/scenarios.md words it: v1 widened by what operators have. The order of draws is free, their laws are not. */
#include "family.h"
#include "draw.h"
#include <errno.h>
#include <stdlib.h>

#define END_S 40.
#define WARM_S 6.
#define FLOWS_MAX 14000.
#define LBS_MOST 16u
#define HEAVY_MOST_S 5. /* mean of the heavy requests of a rare kind */

static bool chance(struct mlb_rng *r, double p)
{
	return mlb_rng_unit(r) < p;
}

static double server_capacity(const struct sim_scenario *sc, uint32_t first, uint32_t last)
{
	double sum = 0;

	for (uint32_t j = first; j <= last; j++)
		sum += sc->server[j].cores * sc->server[j].speed;
	return sum;
}

static void draw_servers(struct sim_scenario *sc, struct mlb_rng *r)
{
	static const double cores_of[5] = { 1, 2, 4, 8, 16 };
	double cores[3], speed[3];
	uint32_t kinds = 1 + mlb_rng_below(r, 3);
	bool speeds = chance(r, .5);

	for (uint32_t k = 0; k < kinds; k++) {
		cores[k] = cores_of[mlb_rng_below(r, 5)];
		speed[k] = speeds ? draw_u(r, .5, 1.5) : 1;
	}
	for (uint32_t j = 0; j < sc->n; j++) {
		uint32_t k = mlb_rng_below(r, kinds);
		sc->server[j].cores = cores[k];
		sc->server[j].speed = speed[k];
	}
}

/* The changes: each returns the share of the capacity that is there while it acts. */

static double noisy(struct sim_scenario *sc, struct mlb_rng *r)
{
	sc->noisy_phi = draw_u(r, .05, .30);
	sc->noisy_d_s = draw_u(r, 1.5, 7.5);
	return 1 - .6 * sc->noisy_phi;
}

static double hang(struct sim_scenario *sc, struct mlb_rng *r)
{
	sc->hang_server = mlb_rng_below(r, sc->n);
	sc->hang_from_s = draw_u(r, 8, 16);
	sc->hang_for_s = draw_u(r, 4, 10);
	return 1 - server_capacity(sc, sc->hang_server, sc->hang_server) / sim_scenario_capacity(sc, true);
}

static double join(struct sim_scenario *sc, struct mlb_rng *r)
{
	uint32_t late = 1 + mlb_rng_below(r, sc->n / 3);
	double at = draw_u(r, 9, 15);

	for (uint32_t j = sc->n - late; j < sc->n; j++)
		sc->server[j].join_s = at;
	return sim_scenario_capacity(sc, false) / sim_scenario_capacity(sc, true);
}

static double stalls(struct sim_scenario *sc, struct mlb_rng *r)
{
	struct sim_stalls *s = &sc->stalls;

	s->least_s = draw_lu(r, .03, .5);
	s->most_s = s->least_s * draw_u(r, 1, 3);
	s->every_least_s = draw_lu(r, 1, 6);
	s->every_most_s = s->every_least_s * draw_u(r, 1, 4);
	s->factor = chance(r, .6) ? 0 : draw_u(r, .2, .6);
	s->common = chance(r, .25);
	double in = s->least_s + s->most_s, out = s->every_least_s + s->every_most_s;
	return 1 - in / (in + out) * (1 - s->factor);
}

/* Several at once: an overloaded host, a slow disk array, a bad release on a part of the pool. */
static double slowdown(struct sim_scenario *sc, struct mlb_rng *r)
{
	struct sim_slowdown *s = &sc->slowdown[sc->slowdowns++];
	uint32_t count = 1 + mlb_rng_below(r, sc->n / 2);

	s->first = mlb_rng_below(r, sc->n - count + 1);
	s->last = s->first + count - 1;
	s->factor = draw_u(r, .1, .7);
	s->at_s = draw_u(r, 8, 16);
	s->for_s = draw_u(r, 5, 15);
	return 1 - (1 - s->factor) * server_capacity(sc, s->first, s->last) / sim_scenario_capacity(sc, true);
}

/* A rolling restart of up to 12, one that restarts, or a part that is scaled away and comes back. */
static double absence(struct sim_scenario *sc, struct mlb_rng *r)
{
	struct sim_absence *a = &sc->absence[sc->absences++];
	double u = mlb_rng_unit(r), all = sim_scenario_capacity(sc, true), missing;

	a->new_id = chance(r, .5);
	a->cold_factor = 1;
	if (chance(r, .7)) {
		a->cold_factor = draw_u(r, .2, .6);
		a->cold_s = draw_u(r, 4, 15);
	}
	if (chance(r, .4))
		sc->slow_start_s = draw_u(r, 1, 5);
	a->at_s = draw_u(r, 8, 12);
	if (u < .4) {
		uint32_t count = 2 + mlb_rng_below(r, (sc->n < 12 ? sc->n : 12) - 1);
		a->first = mlb_rng_below(r, sc->n - count + 1);
		a->last = a->first + count - 1;
		a->stagger_s = draw_u(r, 1.5, 3);
		a->for_s = draw_u(r, .5, 2.5);
		/* So many of them are away or cold at a time. */
		double at_once = (a->for_s + a->cold_s * (1 - a->cold_factor)) / a->stagger_s;
		missing = server_capacity(sc, a->first, a->last) / count * fmin(at_once + 1, count);
	} else {
		uint32_t count = u < .7 ? 1 : 1 + mlb_rng_below(r, sc->n / 2);
		a->first = sc->n - count;
		a->last = sc->n - 1;
		a->for_s = draw_u(r, 3, 10);
		missing = server_capacity(sc, a->first, a->last);
	}
	return 1 - missing / all;
}

static double fault(struct sim_scenario *sc, struct mlb_rng *r)
{
	struct sim_fault *f = &sc->fault[sc->faults++];
	double u = mlb_rng_unit(r);

	f->kind = u < .4 ? SIM_FAULT_ERROR : u < .65 ? SIM_FAULT_RESET : u < .8 ? SIM_FAULT_EMPTY : SIM_FAULT_HANG;
	f->first = f->last = mlb_rng_below(r, sc->n);
	f->at_s = draw_u(r, 8, 14);
	f->for_s = draw_u(r, 6, 18);
	f->answer_s = draw_lu(r, .0005, .030);
	f->share = f->kind == SIM_FAULT_HANG ? draw_u(r, .02, .2) : chance(r, .6) ? 1 : draw_u(r, .05, .5);
	return 1 - f->share * server_capacity(sc, f->first, f->first) / sim_scenario_capacity(sc, true);
}

/* One change at most; what needs servers that a small pool lacks is none. */
static double draw_change(struct sim_scenario *sc, struct mlb_rng *r)
{
	static const struct {
		double share;
		uint32_t servers;
		double (*draw)(struct sim_scenario *, struct mlb_rng *);
	} law[] = { { .22, 1, noisy },    { .06, 6, hang },    { .05, 6, join }, { .08, 1, stalls },
		    { .10, 4, slowdown }, { .18, 4, absence }, { .13, 3, fault } };
	double u = mlb_rng_unit(r);

	for (size_t i = 0; i < sizeof(law) / sizeof(law[0]); i++) {
		if (u < law[i].share)
			return sc->n >= law[i].servers ? fmax(law[i].draw(sc, r), .3) : 1;
		u -= law[i].share;
	}
	return 1;
}

static void draw_sizes(struct sim_sizes *s, struct mlb_rng *r)
{
	double u = mlb_rng_unit(r);

	sim_family_sizes(s, r);
	s->mean_s = draw_lu(r, .005, .5);
	if (u < .1) { /* few that are very large */
		s->kind = SIM_SIZE_BIMODAL;
		s->heavy_share = draw_lu(r, .001, .03);
		s->heavy_ratio = draw_lu(r, 50, 500);
	} else if (u < .2) {
		s->kind = SIM_SIZE_PARETO;
		s->alpha = draw_u(r, 1.2, 1.5);
	}
}

/* Rare requests may not be larger than a run can show. */
static void bound_heavy(struct sim_sizes *s)
{
	if (s->kind != SIM_SIZE_BIMODAL || s->heavy_ratio <= 20)
		return;
	double light = s->mean_s / (1 + s->heavy_share * (s->heavy_ratio - 1));
	s->heavy_ratio = fmax(20, fmin(s->heavy_ratio, HEAVY_MOST_S / light));
}

/* Connections of several requests, at most 6 s long on average. */
static void draw_sessions(struct sim_scenario *sc, struct mlb_rng *r)
{
	double size = sc->vip[0].sizes.mean_s, requests = draw_lu(r, 2, 40);

	sc->think_s = draw_lu(r, .05, 1);
	sc->requests = (uint32_t)fmax(2, fmin(requests, 6 / (size + sc->think_s)));
	if (chance(r, .7)) {
		sc->requests_sigma = draw_u(r, .3, 1.2);
		sc->think_sigma = draw_u(r, .3, 1.2);
	}
	sc->load_waiting = chance(r, .4);
	sc->warm_s = WARM_S + sc->requests * (size + sc->think_s);
}

static void draw_rtt(struct sim_scenario *sc, struct mlb_rng *r)
{
	double u = mlb_rng_unit(r), far = draw_lu(r, .003, .06);

	sc->rtt_s = draw_lu(r, .0003, .009);
	if (u < .12) {
		sc->rtt_spread_lo_s = .0002;
		sc->rtt_spread_hi_s = .08;
	} else if (u < .18) {
		sc->rtt_spread_lo_s = .0002;
		sc->rtt_spread_hi_s = .02;
		sc->rtt_of_pair = true;
	} else if (u < .30) { /* a zone further away */
		for (uint32_t j = 0; j < sc->n; j++)
			if (chance(r, 1. / 3))
				sc->server[j].rtt_s = sc->rtt_s + far;
	}
}

static void draw_told(struct sim_scenario *sc, struct mlb_rng *r)
{
	double u = mlb_rng_unit(r), sum = 0;

	if (u < .08)
		sc->told_lbs = 1;
	sc->number_not_told = u < .15;
	if (!chance(r, .15))
		return;
	for (uint32_t i = 0; i < sc->lbs; i++)
		sum += sc->lb_share[i] = exp(1.2 * draw_normal(r));
	for (uint32_t i = 0; i < sc->lbs; i++)
		sc->lb_share[i] /= sum;
}

/* Returns what the rate is divided by so that the load is the one of the highest step. */
static double draw_arrivals(struct sim_scenario *sc, struct mlb_rng *r)
{
	if (chance(r, .25)) {
		sc->sine_a = draw_u(r, .1, .3);
		sc->sine_period_s = draw_u(r, 8, 38);
		sc->sine_phase = mlb_rng_unit(r);
	}
	if (chance(r, .20))
		sc->burst = draw_u(r, .2, .6);
	if (!chance(r, .12))
		return 1;
	struct sim_step *s = &sc->step[sc->steps++];
	s->factor = draw_u(r, 1.3, 2.5);
	s->at_s = draw_u(r, 8, 16);
	s->for_s = draw_u(r, 4, 12);
	return s->factor;
}

static int draw_v2(struct sim_scenario *sc, const struct sim_family *f, uint64_t seed, uint64_t index)
{
	struct mlb_rng r;

	mlb_rng_seed(&r, sim_mix(seed ^ 0x7632, index));
	sim_scenario_init(sc);
	sc->end_s = END_S;
	sc->warm_s = WARM_S;
	sc->n = (uint32_t)draw_lu(&r, f->n_lo, f->n_hi);
	sc->lbs = chance(&r, .8) || f->m_hi >= LBS_MOST ? f->m_lo + mlb_rng_below(&r, f->m_hi - f->m_lo + 1) :
							  (uint32_t)draw_lu(&r, f->m_hi + 1, LBS_MOST + 1);
	sc->server = calloc(sc->n, sizeof(*sc->server));
	if (!sc->server)
		return -ENOMEM;
	draw_servers(sc, &r);
	sim_family_weights(sc, &r);
	double available = draw_change(sc, &r), all = sim_scenario_capacity(sc, true);
	double load = chance(&r, .75) ? draw_u(&r, .60, .95) : draw_u(&r, .25, .60);

	draw_sizes(&sc->vip[0].sizes, &r);
	double top = draw_arrivals(sc, &r), least = load * all * END_S / FLOWS_MAX;
	if (sc->vip[0].sizes.mean_s < least)
		sc->vip[0].sizes.mean_s = least;
	bound_heavy(&sc->vip[0].sizes);
	if (chance(&r, .22) && sc->vip[0].sizes.mean_s < 1)
		draw_sessions(sc, &r);
	sc->rate = load * available * all / top / sc->vip[0].sizes.mean_s / sc->requests;
	draw_rtt(sc, &r);
	draw_told(sc, &r);
	sc->refuses_at_once = chance(&r, .5);
	if (chance(&r, .06) && sc->requests == 1) {
		sc->one_way_lo_s = 0;
		sc->one_way_hi_s = draw_lu(&r, .01, 1);
	}
	sc->fcfs = chance(&r, .05);
	sc->failure_s = 10 * sc->vip[0].sizes.mean_s;
	return 0;
}

const struct sim_family sim_family_v2 = { "v2", 2, 65, 1, 6, draw_v2 };
