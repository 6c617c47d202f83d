/* SPDX-License-Identifier: Apache-2.0 */
#include "kalman_counts.h"
#include <errno.h>
#include <marllb/kalman.h>
#include <math.h>
#include <stdlib.h>
#include "places.h"

/* The reference Kalman filter. A tick shorter than the native step is folded into the next, save the first of all, whose frame is
 * short by construction; a tick is taken as full from 99.9 % on, for rounding. */
struct sim_kalman {
	struct sim_places places;
	double at_s;
	bool stepped;
	struct mlb_kalman_pool pool;
	struct mlb_kalman_srv *srv, *before; /* before: room to move them */
	double *flow_s, *q, *d, *others;
	uint64_t *ended;
};

void sim_kalman_free(struct sim_kalman *k)
{
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

int sim_kalman_new(struct sim_kalman **out, const struct sim_lb_info *info)
{
	struct sim_kalman *k = calloc(1, sizeof(*k));
	uint32_t n = info->servers_max;

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
		sim_kalman_free(k);
		return -ENOMEM;
	}
	*out = k;
	return 0;
}

void sim_kalman_join(struct sim_kalman *k, const struct sim_lb_view *v)
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

void sim_kalman_tick(struct sim_kalman *k, const struct sim_lb_view *v)
{
	double dt = v->now_s - k->at_s;

	sim_kalman_join(k, v);
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
	mlb_kalman_step(k->srv, &k->pool, v->n, k->q, k->d, k->others, dt, 1. / v->info->lbs);
	k->at_s = v->now_s;
	k->stepped = true;
}

void sim_kalman_weights(const struct sim_kalman *k, float *weight)
{
	mlb_kalman_weights(k->srv, k->places.n, k->q);
	for (uint32_t j = 0; j < k->places.n; j++)
		weight[j] = (float)k->q[j];
}
