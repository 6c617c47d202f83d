/* SPDX-License-Identifier: Apache-2.0 */
/* Family v1 as docs/scenarios.md words it; the order of draws is free, their laws are not. */
#include "family.h"
#include "draw.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define END_S 28.
#define FLOWS_MAX 14000.

static void draw_servers(struct sim_scenario *sc, struct mlb_rng *r)
{
	static const double cores_of[4] = { 1, 2, 4, 8 };
	double cores[3], speed[3];
	uint32_t kinds = 1 + mlb_rng_below(r, 3);
	bool speeds = mlb_rng_unit(r) < .5;

	for (uint32_t k = 0; k < kinds; k++) {
		cores[k] = cores_of[mlb_rng_below(r, 4)];
		speed[k] = speeds ? draw_u(r, .5, 1.5) : 1;
	}
	for (uint32_t j = 0; j < sc->n; j++) {
		uint32_t k = mlb_rng_below(r, kinds);
		sc->server[j].cores = cores[k];
		sc->server[j].speed = speed[k];
	}
}

void sim_family_weights(struct sim_scenario *sc, struct mlb_rng *r)
{
	double u = mlb_rng_unit(r);

	for (uint32_t j = 0; j < sc->n; j++) {
		const struct sim_server_conf *o = &sc->server[u < .85 ? j : sc->n - 1 - j];
		double c = o->cores * o->speed;
		sc->server[j].weight = u < .40 ? c : u < .70 ? 1 : u < .85 ? c * exp(.6 * draw_normal(r)) : c;
	}
}

void sim_family_sizes(struct sim_sizes *s, struct mlb_rng *r)
{
	double u = mlb_rng_unit(r);

	if (u < .40) {
		s->kind = SIM_SIZE_EXP;
	} else if (u < .65) {
		s->kind = SIM_SIZE_BIMODAL;
		s->heavy_share = draw_u(r, .2, .7);
	} else if (u < .85) {
		s->kind = SIM_SIZE_PARETO;
		s->alpha = draw_u(r, 1.5, 2.5);
	} else {
		s->kind = SIM_SIZE_LOGNORMAL;
		s->sigma = draw_u(r, .5, 1.5);
	}
	s->mean_s = draw_lu(r, .020, .200);
}

/* Returns the factor on the sum of capacities that is available on average. */
static double draw_changes(struct sim_scenario *sc, struct mlb_rng *r)
{
	double u = mlb_rng_unit(r);

	if (u < .45) {
		sc->noisy_phi = draw_u(r, .05, .30);
		sc->noisy_d_s = draw_u(r, 1.5, 7.5);
		return 1 - .6 * sc->noisy_phi;
	}
	if (sc->n < 6)
		return 1;
	if (u < .55) {
		sc->hang_server = mlb_rng_below(r, sc->n);
		sc->hang_from_s = draw_u(r, 8, 14);
		sc->hang_for_s = draw_u(r, 4, 10);
		return (sc->n - 1.) / sc->n;
	}
	if (u < .65) {
		uint32_t late = 1 + mlb_rng_below(r, sc->n / 4);
		double at = draw_u(r, 9, 13);
		for (uint32_t j = sc->n - late; j < sc->n; j++)
			sc->server[j].join_s = at;
	}
	return 1;
}

static int draw_v1(struct sim_scenario *sc, const struct sim_family *f, uint64_t seed, uint64_t index)
{
	struct mlb_rng r;

	mlb_rng_seed(&r, sim_mix(seed, index));
	sim_scenario_init(sc);
	sc->end_s = END_S;
	sc->warm_s = 4;
	sc->n = (uint32_t)draw_lu(&r, f->n_lo, f->n_hi);
	sc->lbs = f->m_lo + mlb_rng_below(&r, f->m_hi - f->m_lo + 1);
	sc->server = calloc(sc->n, sizeof(*sc->server));
	if (!sc->server)
		return -ENOMEM;
	draw_servers(sc, &r);
	sim_family_weights(sc, &r);
	double available = draw_changes(sc, &r);

	double load = draw_u(&r, .60, .95);
	sim_family_sizes(&sc->vip[0].sizes, &r);
	double least = load * sim_scenario_capacity(sc, true) * END_S / FLOWS_MAX;
	if (sc->vip[0].sizes.mean_s < least)
		sc->vip[0].sizes.mean_s = least;
	sc->rate = load * available * sim_scenario_capacity(sc, false) / sc->vip[0].sizes.mean_s;

	if (mlb_rng_unit(&r) < .25) {
		sc->sine_a = draw_u(&r, .1, .3);
		sc->sine_period_s = draw_u(&r, 8, 38);
		sc->sine_phase = mlb_rng_unit(&r);
	}
	if (mlb_rng_unit(&r) < .20)
		sc->burst = draw_u(&r, .2, .6);
	sc->rtt_s = draw_lu(&r, .0003, .009);
	return 0;
}

const struct sim_family sim_family_v1 = { "v1", 2, 65, 1, 6, draw_v1 };

const struct sim_family *sim_family_find(const char *name)
{
	static const struct sim_family *const families[] = { &sim_family_v1, &sim_family_v2 };

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (!strcmp(families[i]->name, name))
			return families[i];
	return NULL;
}
