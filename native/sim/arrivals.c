/* SPDX-License-Identifier: Apache-2.0 */
/* Flows: when they arrive, at which load balancer, how large they are. */
#include "draw.h"
#include "world_parts.h"
#include <errno.h>
#include <stdlib.h>

double sim_draw_size(const struct sim_sizes *s, struct mlb_rng *r)
{
	switch (s->kind) {
	case SIM_SIZE_EXP: return s->mean_s * draw_e(r);
	case SIM_SIZE_BIMODAL: {
		double light = s->mean_s / (1 - s->heavy_share + s->heavy_ratio * s->heavy_share);
		if (mlb_rng_unit(r) < s->heavy_share)
			return s->heavy_ratio * light * exp(.5 * draw_normal(r) - .5 * .5 * .5);
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

static double step_rate(const struct sim_scenario *sc, double t)
{
	double factor = 1;

	for (uint32_t i = 0; i < sc->steps; i++) {
		const struct sim_step *s = &sc->step[i];
		double since = t - s->at_s;
		if (since >= 0 && (s->every_s > 0 ? fmod(since, s->every_s) : since) < s->for_s)
			factor *= s->factor;
	}
	return factor;
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
	mlb_rng_seed(&a->burst_rng, sim_mix(seed, STREAM_BURST));
	double drawn = mlb_rng_unit(&a->burst_rng);
	a->phase = isnan(sc->sine_phase) ? drawn : sc->sine_phase;
	a->high = true;
	a->burst_until = draw_e(&a->burst_rng);
	a->top = sc->rate * (1 + sc->sine_a) * (1 + sc->burst);
	for (uint32_t i = 0; i < sc->steps; i++)
		a->top *= fmax(sc->step[i].factor, 1);
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
		if (sc->steps)
			rate *= step_rate(sc, a->t);
		if (rate >= a->top || mlb_rng_unit(&a->rng) * a->top < rate)
			return a->t;
	}
}

/* Which of `count`, by shares that sum to about 1. */
static uint32_t by_share(const double *share, uint32_t count, double u)
{
	uint32_t i = 0;

	for (; i + 1 < count && u >= share[i]; i++)
		u -= share[i];
	return i;
}

static bool room(struct sim_world *w, size_t *cap)
{
	if (w->flows < *cap)
		return true;
	*cap += *cap / 2 + 64;
	struct sim_flow *more = realloc(w->flow, *cap * sizeof(*more));
	if (more)
		w->flow = more;
	return more != NULL;
}

int sim_flows_make(struct sim_world *w)
{
	const struct sim_scenario *sc = w->sc;
	struct arrivals a;
	struct mlb_rng sizes, flow;
	size_t cap = sc->traced ? sc->traced : (size_t)(sc->rate * sc->end_s * 1.1) + 64;
	double share[SIM_VIPS_MAX] = { 0 }, sum = 0;

	for (uint32_t v = 0; v < sc->vips; v++)
		share[v] = sum += sc->vip[v].share;
	arrivals_init(&a, sc, w->seed);
	mlb_rng_seed(&sizes, sim_mix(w->seed, STREAM_SIZE));
	mlb_rng_seed(&flow, sim_mix(w->seed, STREAM_FLOW));
	w->flow = malloc(cap * sizeof(*w->flow));
	if (!w->flow)
		return -ENOMEM;
	for (;;) {
		double t = sc->traced ? (w->flows < sc->traced ? sc->trace_s[w->flows] : -1) : arrivals_next(&a);
		if (t < 0)
			break;
		if (!room(w, &cap))
			return -ENOMEM;
		uint32_t vip = 0;
		if (sc->vips > 1)
			for (double u = mlb_rng_unit(&flow) * sum; vip + 1 < sc->vips && u >= share[vip];)
				vip++;
		/* Draws in this order, one statement each. */
		uint32_t lb = sc->lb_share[0] > 0 ? by_share(sc->lb_share, sc->lbs, mlb_rng_unit(&flow)) :
						    mlb_rng_below(&flow, sc->lbs);
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
