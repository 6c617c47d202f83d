/* SPDX-License-Identifier: Apache-2.0 */
#include "kalman_counts.h"
#include <errno.h>
#include <marllb/kalman.h>
#include <math.h>
#include <stdlib.h>

/* The reference Kalman filter. A tick shorter than the native step is folded into the next, save the first of all, whose frame is
 * short by construction; a tick is taken as full from 99.9 % on, for rounding. */
struct sim_kalman {
	uint32_t n;
	double at_s;
	bool stepped;
	struct mlb_kalman_pool pool;
	struct mlb_kalman_srv *srv;
	double *flow_s, *q, *d, *others;
	uint64_t *ended;
};

void sim_kalman_free(struct sim_kalman *k)
{
	if (!k)
		return;
	free(k->srv);
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
	k->flow_s = calloc(n, sizeof(double));
	k->q = calloc(n, sizeof(double));
	k->d = calloc(n, sizeof(double));
	k->others = calloc(n, sizeof(double));
	k->ended = calloc(n, sizeof(uint64_t));
	if (!k->srv || !k->flow_s || !k->q || !k->d || !k->others || !k->ended) {
		sim_kalman_free(k);
		return -ENOMEM;
	}
	*out = k;
	return 0;
}

void sim_kalman_join(struct sim_kalman *k, const struct sim_lb_view *v)
{
	uint32_t present = k->n;

	for (; k->n < v->n; k->n++) {
		if (present)
			mlb_kalman_join(&k->srv[k->n], v->weight_cfg[k->n], k->srv, present);
		else
			mlb_kalman_init(&k->srv[k->n], v->weight_cfg[k->n]);
		k->flow_s[k->n] = v->flow_s[k->n];
		k->ended[k->n] = v->ended[k->n];
	}
}

void sim_kalman_tick(struct sim_kalman *k, const struct sim_lb_view *v)
{
	double dt = v->now_s - k->at_s;

	if (k->n < v->n)
		sim_kalman_join(k, v);
	if (dt <= 0 || (k->stepped && dt < .999e-6 * MLB_KALMAN_STEP_US))
		return;
	for (uint32_t j = 0; j < k->n; j++) {
		k->q[j] = v->flow_s[j] - k->flow_s[j];
		k->d[j] = (double)(v->ended[j] - k->ended[j]);
		k->others[j] = v->peer ? fmax(v->peer[j], 0) : 0;
		k->q[j] = k->q[j] > 0 ? k->q[j] : 0; /* rounding of the integral */
		k->flow_s[j] = v->flow_s[j];
		k->ended[j] = v->ended[j];
	}
	mlb_kalman_step(k->srv, &k->pool, k->n, k->q, k->d, k->others, dt, 1. / v->info->lbs);
	k->at_s = v->now_s;
	k->stepped = true;
}

void sim_kalman_weights(const struct sim_kalman *k, float *weight)
{
	mlb_kalman_weights(k->srv, k->n, k->q);
	for (uint32_t j = 0; j < k->n; j++)
		weight[j] = (float)k->q[j];
}
