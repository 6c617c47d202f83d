/* SPDX-License-Identifier: Apache-2.0 */
/* From a scenario and a seed to what happens in it: arrivals, sizes, RTTs, splits, disturbances. Nothing here depends on a
 * policy; each concern draws from a generator of its own, so that changing one leaves the others' draws alone. */
#include "draw.h"
#include "scenario.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_ARRIVAL = 1, STREAM_SIZE, STREAM_FLOW, STREAM_CHANGE, STREAM_RTT };

double sim_draw_size(const struct sim_sizes *s, struct mlb_rng *r)
{
	switch (s->kind) {
	case SIM_SIZE_EXP: return s->mean_s * draw_e(r);
	case SIM_SIZE_BIMODAL: {
		double light = s->mean_s / (1 - s->heavy_share + 20 * s->heavy_share);
		if (mlb_rng_unit(r) < s->heavy_share)
			return 20 * light * exp(.5 * draw_normal(r) - .5 * .5 * .5);
		return light * draw_e(r);
	}
	case SIM_SIZE_PARETO: {
		/* On [1, H]: mean = a / (a - 1) * (1 - H^(1-a)) / (1 - H^-a), a != 1. */
		double h = 1000, a = s->alpha, ha = pow(h, -a);
		double mean = a / (a - 1) * (1 - pow(h, 1 - a)) / (1 - ha);
		return s->mean_s / mean * pow(1 - mlb_rng_unit(r) * (1 - ha), -1 / a);
	}
	case SIM_SIZE_LOGNORMAL: return s->mean_s * exp(s->sigma * draw_normal(r) - .5 * s->sigma * s->sigma);
	default: return s->mean_s;
	}
}

/* A Wikipedia-like day: low at night, steep morning, flat afternoon, evening top; two harmonics, scaled to [low, 1]. */
static double daily_rate(double low, double part)
{
	double h = 2 * M_PI * part;
	double v = -.80 * cos(h - .55) - .28 * cos(2 * h + .35); /* within -.96 .. .92 */
	double u = (v + .96) / 1.88;

	return low + (1 - low) * (u < 0 ? 0 : u > 1 ? 1 : u);
}

/* Thinning: candidates at the greatest rate, kept by the ratio; the burst phases are drawn on the way. */
struct arrivals {
	const struct sim_scenario *sc;
	struct mlb_rng rng, burst_rng;
	double phase, burst_until, top, t;
	bool high;
};

static void arrivals_init(struct arrivals *a, const struct sim_scenario *sc, uint64_t seed)
{
	a->sc = sc;
	mlb_rng_seed(&a->rng, sim_mix(seed, STREAM_ARRIVAL));
	mlb_rng_seed(&a->burst_rng, sim_mix(seed, STREAM_ARRIVAL + 100));
	double drawn = mlb_rng_unit(&a->burst_rng);
	a->phase = isnan(sc->sine_phase) ? drawn : sc->sine_phase;
	a->high = true;
	a->burst_until = draw_e(&a->burst_rng);
	a->top = sc->rate * (1 + sc->sine_a) * (1 + sc->burst);
	a->t = 0;
}

static double arrivals_next(struct arrivals *a)
{
	const struct sim_scenario *sc = a->sc;

	for (;;) {
		a->t += draw_e(&a->rng) / a->top;
		if (a->t >= sc->end_s)
			return -1;
		double rate = sc->rate;
		if (sc->sine_a > 0)
			rate *= 1 + sc->sine_a * sin(2 * M_PI * (a->t / sc->sine_period_s + a->phase));
		if (sc->burst > 0) {
			while (a->t >= a->burst_until) {
				a->high = !a->high;
				a->burst_until += draw_e(&a->burst_rng) * (a->high ? 1 : 5);
			}
			rate *= a->high ? 1 + sc->burst : 1 - .2 * sc->burst;
		}
		if (sc->daily > 0)
			rate *= daily_rate(sc->daily, a->t / sc->end_s);
		if (rate >= a->top || mlb_rng_unit(&a->rng) * a->top < rate)
			return a->t;
	}
}

static int make_flows(struct sim_world *w, uint64_t seed)
{
	const struct sim_scenario *sc = w->sc;
	struct arrivals a;
	struct mlb_rng sizes, flow;
	size_t cap = sc->traced ? sc->traced : (size_t)(sc->rate * sc->end_s * 1.1) + 64;
	double share[SIM_VIPS_MAX] = { 0 }, sum = 0;

	for (uint32_t v = 0; v < sc->vips; v++)
		share[v] = sum += sc->vip[v].share;
	arrivals_init(&a, sc, seed);
	mlb_rng_seed(&sizes, sim_mix(seed, STREAM_SIZE));
	mlb_rng_seed(&flow, sim_mix(seed, STREAM_FLOW));
	w->flow = malloc(cap * sizeof(*w->flow));
	if (!w->flow)
		return -ENOMEM;
	for (;;) {
		double t = sc->traced ? (w->flows < sc->traced ? sc->trace_s[w->flows] : -1) : arrivals_next(&a);
		if (t < 0)
			break;
		if (w->flows == cap) {
			cap += cap / 2;
			struct sim_flow *more = realloc(w->flow, cap * sizeof(*more));
			if (!more)
				return -ENOMEM;
			w->flow = more;
		}
		uint32_t vip = 0;
		if (sc->vips > 1)
			for (double u = mlb_rng_unit(&flow) * sum; vip + 1 < sc->vips && u >= share[vip];)
				vip++;
		/* Draws in this order, one statement each. */
		uint32_t lb = mlb_rng_below(&flow, sc->lbs);
		double rtt = draw_u(&flow, .7, 1.3),
		       size = sc->traced ? sc->trace_size_s[w->flows] : sim_draw_size(&sc->vip[vip].sizes, &sizes);
		w->flow[w->flows] = (struct sim_flow){ .at_s = t,
						       .size_s = (float)size,
						       .rtt_factor = (float)rtt,
						       .hash = (uint32_t)mlb_rng_next(&flow),
						       .lane = (uint16_t)(vip * sc->lbs + lb) };
		w->flows++;
	}
	return 0;
}

static int change_add(struct sim_world *w, size_t *cap, double at, uint32_t server, double factor)
{
	if (w->changes == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		struct sim_change *more = realloc(w->change, *cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		w->change = more;
	}
	w->change[w->changes++] = (struct sim_change){ at, factor, server };
	return 0;
}

static int by_time(const void *a, const void *b)
{
	double x = ((const struct sim_change *)a)->at_s, y = ((const struct sim_change *)b)->at_s;
	return x < y ? -1 : x > y;
}

static int make_changes(struct sim_world *w, uint64_t seed)
{
	const struct sim_scenario *sc = w->sc;
	struct mlb_rng r;
	size_t cap = 0;
	int err = 0;

	mlb_rng_seed(&r, sim_mix(seed, STREAM_CHANGE));
	if (sc->noisy_phi > 0) {
		double d = sc->noisy_d_s, normal = d * (1 / sc->noisy_phi - 1);
		for (uint32_t j = 0; j < sc->n && !err; j++) {
			double t = normal * draw_e(&r);
			while (t < sc->end_s && !err) {
				err = change_add(w, &cap, t, j, draw_u(&r, .3, .5));
				t += d * (.25 + .75 * draw_e(&r));
				if (!err)
					err = change_add(w, &cap, t, j, 1);
				t += normal * (.02 + draw_e(&r));
			}
		}
	}
	if (sc->hang_for_s > 0 && !err) {
		uint32_t j = sc->hang_server < sc->n ? sc->hang_server : mlb_rng_below(&r, sc->n);
		err = change_add(w, &cap, sc->hang_from_s, j, sc->hang_factor);
		if (!err)
			err = change_add(w, &cap, sc->hang_from_s + sc->hang_for_s, j, 1);
	}
	if (w->changes)
		qsort(w->change, w->changes, sizeof(*w->change), by_time);
	return err;
}

int sim_world_make(struct sim_world *w, const struct sim_scenario *sc, uint64_t seed)
{
	struct mlb_rng r;
	int err;

	memset(w, 0, sizeof(*w));
	w->sc = sc;
	w->seed = seed;
	double patience = 60 * sim_scenario_mean_size(sc);
	w->timeout_s = sc->timeout_s > 0 ? sc->timeout_s : patience > 5 ? patience : 5;
	w->rtt_s = malloc(sc->n * sizeof(*w->rtt_s));
	if (!w->rtt_s)
		return -ENOMEM;
	mlb_rng_seed(&r, sim_mix(seed, STREAM_RTT));
	for (uint32_t j = 0; j < sc->n; j++) {
		const struct sim_server_conf *s = &sc->server[j];
		w->rtt_s[j] = s->rtt_s > 0            ? s->rtt_s :
			      sc->rtt_spread_hi_s > 0 ? draw_lu(&r, sc->rtt_spread_lo_s, sc->rtt_spread_hi_s) :
							sc->rtt_s;
	}
	err = make_flows(w, seed);
	if (!err)
		err = make_changes(w, seed);
	if (err)
		sim_world_free(w);
	return err;
}

void sim_world_free(struct sim_world *w)
{
	free(w->flow);
	free(w->change);
	free(w->rtt_s);
	memset(w, 0, sizeof(*w));
}
