/* SPDX-License-Identifier: Apache-2.0 */
/* The Kalman filter as it was before the observation was corrected: it reads flows and their ends only, takes time on the wire
 * for load, and is pulled towards the balance of the queues however empty they are. Kept for comparison, and to tell this
 * simulator from another: the calibration of docs/scenarios.md is of it. */
#include "places.h"
#include "policies.h"
#include <errno.h>
#include <marllb/kalman.h>
#include <math.h>
#include <stdlib.h>

#define PROCESS .0028 /* variance gained a native step */
#define EVENT .474    /* half an event, keeps the log of zero finite */
#define PULL .29      /* weight of the queue's own evidence */
#define NOISE 3.56    /* observation variance of one event */
#define NOISE_FLOOR .05
#define JUMP_Z2 4. /* beyond this the server has changed, not the noise */
#define JUMP_GAIN .005
#define CLIP_SIGMA 19.6
#define REVERT .00029 /* towards the configured weight, a native step */
#define RANGE 3.56    /* of log weight around the configured one */
#define DECAY_S 1.
#define STEP_S (MLB_KALMAN_STEP_US * 1e-6)

static double clamp(double v, double lo, double hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

static double log_load(const double *q, const double *others, uint32_t i, double dt, double kappa)
{
	return log(q[i] / dt + (others ? others[i] : 0) + kappa);
}

static void filter_step(struct mlb_kalman_srv *s, struct mlb_kalman_pool *pool, uint32_t n, const double *q, const double *d,
			const double *others, double dt, double kappa)
{
	/* Steps longer than the native one gain as much variance and pull as the steps they stand for; a shorter one, which
	 * only a first frame is, counts as one. */
	double steps = dt > STEP_S ? dt / STEP_S : 1;
	double keep = exp(-dt / DECAY_S), mean_l = 0, mean_x = 0;

	if (n == 0 || !(dt > 0))
		return;
	pool->sum_d *= keep;
	pool->sum_q *= keep;
	for (uint32_t i = 0; i < n; i++) {
		pool->sum_d += d[i];
		pool->sum_q += q[i];
		mean_l += log_load(q, others, i, dt, kappa);
		mean_x += s[i].x;
	}
	mean_l /= n;
	mean_x /= n;

	double rate = (pool->sum_d + .001) / (pool->sum_q + 1e-6);
	for (uint32_t i = 0; i < n; i++) {
		struct mlb_kalman_srv *k = &s[i];
		double e = q[i] * rate, l = log_load(q, others, i, dt, kappa);
		double v = -log((e + EVENT) / (d[i] + EVENT)) + PULL * ((l - mean_l) - (k->x - mean_x));
		double r = NOISE / (e + NOISE_FLOOR);

		k->p += PROCESS * steps;
		double z2 = v * v / (k->p + r);
		if (z2 > JUMP_Z2)
			k->p += JUMP_GAIN * (z2 - JUMP_Z2) * r / (1 + r);
		double lim = CLIP_SIGMA * sqrt(k->p + r), g = k->p / (k->p + r);
		k->x += g * clamp(v, -lim, lim);
		k->p *= 1 - g;
		k->x += clamp(REVERT * steps, 0, 1) * (k->log_cfg - k->x);
		k->x = clamp(k->x, k->log_cfg - RANGE, k->log_cfg + RANGE);
	}
}

/* A tick shorter than the native step is folded into the next, save the first of all, whose frame is short
 * by construction; a tick is taken as full from 99.9 % on, for rounding. */
struct v1_lb {
	struct sim_places places;
	double at_s;
	bool stepped;
	struct mlb_kalman_pool pool;
	struct mlb_kalman_srv *srv, *before; /* before: room to move them */
	double *flow_s, *q, *d, *others;
	uint64_t *ended;
};

static void v1_free(void *state)
{
	struct v1_lb *k = state;

	if (!k)
		return;
	sim_places_free(&k->places);
	free(k->srv);
	free(k->before);
	free(k->flow_s);
	free(k->q);
	free(k->d);
	free(k->others);
	free(k->ended);
	free(k);
}

static int v1_new(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	struct v1_lb *k = calloc(1, sizeof(*k));
	uint32_t n = info->servers_max;

	(void)self;
	(void)arg;
	(void)err;
	if (!k)
		return -ENOMEM;
	k->srv = calloc(n, sizeof(*k->srv));
	k->before = calloc(n, sizeof(*k->before));
	k->flow_s = calloc(n, sizeof(double));
	k->q = calloc(n, sizeof(double));
	k->d = calloc(n, sizeof(double));
	k->others = calloc(n, sizeof(double));
	k->ended = calloc(n, sizeof(uint64_t));
	if (sim_places_init(&k->places, n) || !k->srv || !k->before || !k->flow_s || !k->q || !k->d || !k->others || !k->ended) {
		v1_free(k);
		return -ENOMEM;
	}
	*state = k;
	return 0;
}

static void take_in(struct v1_lb *k, const struct sim_lb_view *v)
{
	uint32_t known = 0;

	if (!sim_places_compare(&k->places, v))
		return;
	sim_places_move(&k->places, v, k->srv, sizeof(*k->srv), k->before);
	sim_places_move(&k->places, v, k->flow_s, sizeof(*k->flow_s), k->q);
	sim_places_move(&k->places, v, k->ended, sizeof(*k->ended), k->d);
	for (uint32_t j = 0; j < v->n; j++)
		if (k->places.from[j] != MLB_NONE)
			k->before[known++] = k->srv[j];
	for (uint32_t j = 0; j < v->n; j++) {
		if (k->places.from[j] != MLB_NONE)
			continue;
		if (known)
			mlb_kalman_join(&k->srv[j], v->weight_cfg[j], k->before, known);
		else
			mlb_kalman_init(&k->srv[j], v->weight_cfg[j]);
		k->flow_s[j] = v->flow_s[j];
		k->ended[j] = v->ended[j];
	}
	sim_places_note(&k->places, v);
}

static void step(struct v1_lb *k, const struct sim_lb_view *v)
{
	double dt = v->now_s - k->at_s;

	take_in(k, v);
	if (dt <= 0 || (k->stepped && dt < .999e-6 * MLB_KALMAN_STEP_US))
		return;
	for (uint32_t j = 0; j < v->n; j++) {
		k->q[j] = v->flow_s[j] - k->flow_s[j];
		k->d[j] = (double)(v->ended[j] - k->ended[j]);
		k->others[j] = v->peer ? fmax(v->peer[j], 0) : 0;
		k->q[j] = k->q[j] > 0 ? k->q[j] : 0; /* rounding of the integral */
		k->flow_s[j] = v->flow_s[j];
		k->ended[j] = v->ended[j];
	}
	filter_step(k->srv, &k->pool, v->n, k->q, k->d, k->others, dt, 1. / v->info->lbs);
	k->at_s = v->now_s;
	k->stepped = true;
}

static void decide(const struct v1_lb *k, const struct sim_lb_view *v, struct sim_decision *d)
{
	mlb_kalman_weights(k->srv, k->places.n, d->weight);
	d->kappa = 1. / v->info->lbs;
}

static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	step(state, v);
	decide(state, v, d);
}

static void join(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	take_in(state, v);
	decide(state, v, d);
}

const struct sim_policy sim_policy_kalman_v1 = {
	.name = "kalman-v1",
	.create = v1_new,
	.destroy = v1_free,
	.tick = tick,
	.join = join,
};
