/* SPDX-License-Identifier: Apache-2.0 */
/* From a scenario and a seed to what happens in it: arrivals, sizes, RTTs, splits, disturbances. Nothing here depends on a
 * policy. */
#include "world_parts.h"
#include "draw.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_rtts(struct sim_world *w)
{
	const struct sim_scenario *sc = w->sc;
	struct mlb_rng r;

	w->rtt_s = malloc((size_t)sc->n * sc->lbs * sizeof(*w->rtt_s));
	if (!w->rtt_s)
		return -ENOMEM;
	mlb_rng_seed(&r, sim_mix(w->seed, STREAM_RTT));
	for (uint32_t j = 0; j < sc->n; j++) {
		const struct sim_server_conf *s = &sc->server[j];
		double all = 0;
		for (uint32_t i = 0; i < sc->lbs; i++) {
			double pair = sc->pair_rtt_s ? sc->pair_rtt_s[(size_t)j * sc->lbs + i] : 0;
			if (i == 0 || sc->rtt_of_pair)
				all = s->rtt_s > 0            ? s->rtt_s :
				      sc->rtt_spread_hi_s > 0 ? draw_lu(&r, sc->rtt_spread_lo_s, sc->rtt_spread_hi_s) :
								sc->rtt_s;
			w->rtt_s[(size_t)i * sc->n + j] = pair > 0 ? pair : all;
		}
	}
	return 0;
}

static int make_weights(struct sim_world *w)
{
	const struct sim_scenario *sc = w->sc;
	struct mlb_rng r;

	w->weight = malloc(sc->n * sizeof(*w->weight));
	if (!w->weight)
		return -ENOMEM;
	mlb_rng_seed(&r, sim_mix(w->seed, STREAM_TOLD));
	for (uint32_t j = 0; j < sc->n; j++) {
		double own = sc->server[j].weight;
		switch (sc->told_weights) {
		case SIM_TOLD_EQUAL: w->weight[j] = 1; break;
		case SIM_TOLD_REVERSED: w->weight[j] = sc->server[sc->n - 1 - j].weight; break;
		case SIM_TOLD_NOISY: w->weight[j] = own * exp(sc->told_sigma * draw_normal(&r)); break;
		default: w->weight[j] = own;
		}
	}
	return 0;
}

static void make_faults(struct sim_world *w)
{
	struct mlb_rng r;

	mlb_rng_seed(&r, sim_mix(w->seed, STREAM_FAULT));
	for (uint32_t i = 0; i < w->sc->faults; i++) {
		struct sim_fault *f = &w->fault[w->faults++];
		*f = w->sc->fault[i];
		if (f->first == MLB_NONE)
			f->first = f->last = mlb_rng_below(&r, w->sc->n);
	}
}

int sim_world_make(struct sim_world *w, const struct sim_scenario *sc, uint64_t seed)
{
	char why[256]; /* who reads a scenario or draws one has checked its turns */
	int err;

	memset(w, 0, sizeof(*w));
	w->sc = sc;
	w->seed = seed;
	double patience = 60 * sim_scenario_mean_size(sc);
	w->timeout_s = sc->timeout_s > 0 ? sc->timeout_s : patience > 5 ? patience : 5;
	make_faults(w);
	err = make_rtts(w);
	err = err ? err : make_weights(w);
	err = err ? err : sim_turns_make(w, why);
	err = err ? err : sim_flows_make(w);
	err = err ? err : sim_changes_make(w);
	if (err)
		sim_world_free(w);
	return err;
}

void sim_world_free(struct sim_world *w)
{
	free(w->flow);
	free(w->change);
	free(w->turn);
	free(w->server_of);
	free(w->weight);
	free(w->rtt_s);
	memset(w, 0, sizeof(*w));
}
