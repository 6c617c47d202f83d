/* SPDX-License-Identifier: Apache-2.0 */
/* The controller of KnapsackLB, after Gandhi, Narayana: "KnapsackLB: Enabling Performance-Aware Layer-4 Load Balancing", 2024
 * (arXiv:2404.17783): it learns for each server how its latency grows with its weight, and gives out the weights that make the
 * mean latency least. Here: latency by Little's law of the load balancer's own flows over a period (which a random split leaves
 * unbiased; the paper probes); the curve l(w) = c + b w^2 by least squares over the last 6 periods, old ones counting less, so
 * that the curve follows a server that changes; and instead of an integer program over a grid of weights its continuous solution:
 * sum w l(w) is least where c + 3 b w^2 is the same for all servers that get anything. A weight at most doubles or halves in a
 * period. PERIOD_S and KEEP were chosen on selection seeds of family v1. */
#include "places.h"
#include "policies.h"
#include <math.h>

#define PERIOD_S 2.
#define POINTS 6u
#define KEEP .8
#define LEAST_SHARE .1 /* of an equal share: what a server gets at least, so that it is heard of */

struct server {
	double w[POINTS], l[POINTS]; /* weight and latency of the last periods; l 0: nothing ended */
	double weight;               /* share in force, sums to 1; 0: new */
	double flow_s;
	uint64_t ended;
	bool known;
};

struct knapsack {
	struct sim_places places;
	struct server *s, *spare;
	double since_s;
	uint32_t at;
};

static void destroy(void *state)
{
	struct knapsack *k = state;

	sim_places_free(&k->places);
	free(k->s);
	free(k->spare);
	free(k);
}

static int create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	struct knapsack *k = calloc(1, sizeof(*k));

	(void)self;
	(void)arg;
	(void)err;
	if (!k)
		return -ENOMEM;
	k->s = calloc(info->servers_max, sizeof(*k->s));
	k->spare = calloc(info->servers_max, sizeof(*k->spare));
	if (sim_places_init(&k->places, info->servers_max) || !k->s || !k->spare) {
		destroy(k);
		return -ENOMEM;
	}
	*state = k;
	return 0;
}

/* A new server gets its configured share. */
static void renew_list(struct knapsack *k, const struct sim_lb_view *v)
{
	double cfg = 0, sum = 0;

	if (!sim_places_compare(&k->places, v))
		return;
	sim_places_move(&k->places, v, k->s, sizeof(*k->s), k->spare);
	sim_places_note(&k->places, v);
	for (uint32_t j = 0; j < v->n; j++)
		cfg += (double)v->weight_cfg[j];
	for (uint32_t j = 0; j < v->n; j++) {
		if (k->s[j].weight == 0)
			k->s[j].weight = (double)v->weight_cfg[j] / cfg;
		sum += k->s[j].weight;
	}
	for (uint32_t j = 0; j < v->n; j++)
		k->s[j].weight /= sum;
}

static void measure(struct knapsack *k, const struct sim_lb_view *v)
{
	for (uint32_t j = 0; j < v->n; j++) {
		struct server *s = &k->s[j];
		double d = (double)(v->ended[j] - s->ended);
		if (s->known) {
			s->w[k->at] = s->weight;
			s->l[k->at] = d > 0 ? fmax(v->flow_s[j] - s->flow_s, 1e-9) / d : 0;
		}
		s->flow_s = v->flow_s[j];
		s->ended = v->ended[j];
		s->known = true;
	}
	k->at = (k->at + 1) % POINTS;
}

/* l = c + b w^2 through the points. Where they tell no slope (the weight has hardly moved), half of the latency is taken as the
 * part that grows. mean: for a server of which nothing is known. */
static void fit(const struct knapsack *k, const struct server *s, double mean, double *c, double *b)
{
	double n = 0, x = 0, y = 0, xx = 0, xy = 0, age = 1;

	for (uint32_t i = 1; i <= POINTS; i++, age *= KEEP) {
		uint32_t p = (k->at + POINTS - i) % POINTS;
		if (s->l[p] <= 0)
			continue;
		double w2 = s->w[p] * s->w[p];
		n += age;
		x += age * w2;
		y += age * s->l[p];
		xx += age * w2 * w2;
		xy += age * w2 * s->l[p];
	}
	double l = n > 0 ? y / n : mean, w2 = n > 0 ? x / n : s->weight * s->weight;
	double var = n > 0 ? xx / n - w2 * w2 : 0, slope = var > 0 ? (xy / n - w2 * l) / var : 0;
	bool told = var > .01 * w2 * w2 && slope > 0;
	*b = told ? fmin(slope, .9 * l / w2) : .5 * l / w2;
	*c = l - *b * w2;
}

/* Shares where the marginal cost c + 3 b w^2 is the same. */
static void solve(uint32_t n, const double *c, const double *b, double *w)
{
	double lo = 0, hi = 0;

	for (uint32_t j = 0; j < n; j++)
		hi = fmax(hi, c[j] + 3 * b[j]);
	for (int it = 0; it < 100; it++) {
		double level = (lo + hi) / 2, sum = 0;
		for (uint32_t j = 0; j < n; j++)
			sum += w[j] = level > c[j] ? sqrt((level - c[j]) / (3 * b[j])) : 0;
		if (sum > 1)
			hi = level;
		else
			lo = level;
	}
}

static void control(struct knapsack *k, const struct sim_lb_view *v)
{
	double c[MLB_MAX_SERVERS_PER_VIP], b[MLB_MAX_SERVERS_PER_VIP], w[MLB_MAX_SERVERS_PER_VIP], mean = 0, sum = 0;
	uint32_t last = (k->at + POINTS - 1) % POINTS, heard = 0;

	for (uint32_t j = 0; j < v->n; j++) {
		mean += k->s[j].l[last];
		heard += k->s[j].l[last] > 0;
	}
	if (!heard)
		return;
	mean /= heard;
	for (uint32_t j = 0; j < v->n; j++)
		fit(k, &k->s[j], mean, &c[j], &b[j]);
	solve(v->n, c, b, w);
	for (uint32_t j = 0; j < v->n; j++) {
		double was = k->s[j].weight;
		w[j] = fmax(fmin(fmax(w[j], was / 2), was * 2), LEAST_SHARE / v->n);
		sum += w[j];
	}
	for (uint32_t j = 0; j < v->n; j++)
		k->s[j].weight = w[j] / sum;
}

static void tell(const struct knapsack *k, const struct sim_lb_view *v, struct sim_decision *d)
{
	for (uint32_t j = 0; j < v->n; j++)
		d->weight[j] = k->s[j].weight;
}

static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct knapsack *k = state;

	renew_list(k, v);
	if (v->now_s - k->since_s >= PERIOD_S - 1e-9 || v->now_s == 0) {
		measure(k, v);
		control(k, v);
		k->since_s = v->now_s;
	}
	tell(k, v, d);
}

static void join(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	renew_list(state, v);
	tell(state, v, d);
}

const struct sim_policy sim_policy_knapsack = {
	.name = "knapsack",
	.create = create,
	.destroy = destroy,
	.tick = tick,
	.join = join,
	.kappa = 1,
};
