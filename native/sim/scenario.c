/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"
#include <marllb/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void sim_scenario_init(struct sim_scenario *sc)
{
	*sc = (struct sim_scenario){
		.lbs = 2,
		.vips = 1,
		.end_s = 75,
		.warm_s = 15,
		.tick_s = .2,
		.rtt_s = .001,
		.slots = 32,
		.backlog = 128,
		.sine_phase = NAN,
		.hang_server = MLB_NONE,
		.hang_factor = .005,
		.requests = 1,
		.gossip_delay_s = .001,
	};
	sc->vip[0].share = 1;
	for (uint32_t v = 0; v < SIM_VIPS_MAX; v++)
		sc->vip[v].sizes.heavy_ratio = 20;
}

void sim_scenario_free(struct sim_scenario *sc)
{
	free(sc->server);
	free(sc->trace_s);
	free(sc->trace_size_s);
	free(sc->pair_rtt_s);
	free(sc->policy);
	memset(sc, 0, sizeof(*sc));
}

double sim_scenario_capacity(const struct sim_scenario *sc, bool all)
{
	double sum = 0;

	for (uint32_t j = 0; j < sc->n; j++)
		if (all || sc->server[j].join_s <= 0)
			sum += sc->server[j].cores * sc->server[j].speed;
	return sum;
}

double sim_scenario_mean_size(const struct sim_scenario *sc)
{
	double sum = 0;

	for (uint32_t v = 0; v < sc->vips; v++)
		sum += sc->vip[v].share * sc->vip[v].sizes.mean_s;
	return sum;
}

uint64_t sim_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a;
	uint64_t h = mlb_splitmix64(&x) ^ b;
	return mlb_splitmix64(&h);
}
