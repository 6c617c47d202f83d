/* SPDX-License-Identifier: Apache-2.0 */
/* The policies that need no model. */
#include "policy_table.h"
#include <errno.h>
#include <math.h>
#include <marllb/kalman.h>
#include <stdlib.h>
#include <string.h>

static int no_state(void **state, const struct sim_lb_info *info, const char *arg, char err[256])
{
	(void)info;
	(void)arg;
	(void)err;
	*state = NULL;
	return 0;
}

static void no_free(void *state)
{
	(void)state;
}

static void uniform_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	(void)state;
	for (uint32_t j = 0; j < v->n; j++)
		d->weight[j] = 1;
}

const struct sim_policy sim_policy_uniform = {
	.name = "uniform",
	.create = no_state,
	.destroy = no_free,
	.tick = uniform_tick,
	.join = uniform_tick,
	.kappa_one = true,
};

static void static_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	(void)state;
	for (uint32_t j = 0; j < v->n; j++)
		d->weight[j] = v->weight_cfg[j];
}

const struct sim_policy sim_policy_static = {
	.name = "static",
	.create = no_state,
	.destroy = no_free,
	.tick = static_tick,
	.join = NULL,
	.kappa_one = true,
};

/* The true capacity of the moment of the tick. */
static void true_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	(void)state;
	for (uint32_t j = 0; j < v->n; j++)
		d->weight[j] = v->truth->capacity[j];
}

const struct sim_policy sim_policy_true = {
	.name = "true",
	.wants = SIM_WANTS_TRUTH,
	.create = no_state,
	.destroy = no_free,
	.tick = true_tick,
	.kappa_one = true,
};

/* Active WCMP, as the paper has it (after Spotlight, Aghdai et al. 2018): servers are polled each tick for the share of their
 * cores in use; the weight is what they have left of their configured weight, averaged over 1 s, never under 5 %. */
struct avail {
	uint32_t known;
	double left[MLB_MAX_SERVERS_PER_VIP];
};

static int avail_create(void **state, const struct sim_lb_info *info, const char *arg, char err[256])
{
	(void)info;
	(void)arg;
	(void)err;
	*state = calloc(1, sizeof(struct avail));
	return *state ? 0 : -ENOMEM;
}

static void avail_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct avail *a = state;
	double keep = exp(-v->dt_s);

	for (uint32_t j = 0; j < v->n; j++) {
		double left = fmax(1 - v->truth->busy[j], .05);
		if (j >= a->known)
			a->left[j] = 1;
		a->left[j] = keep * a->left[j] + (1 - keep) * left;
		d->weight[j] = v->weight_cfg[j] * a->left[j];
	}
	a->known = v->n;
}

const struct sim_policy sim_policy_avail = {
	.name = "avail",
	.wants = SIM_WANTS_TRUTH,
	.create = avail_create,
	.destroy = free,
	.tick = avail_tick,
	.kappa_one = true,
};

/* The reference Kalman filter. A tick shorter than the native step is folded into the next, save the first of all, whose frame is
 * short by construction; a tick is taken as full from 99.9 % on, for rounding. */
struct kalman {
	uint32_t n;
	double at_s;
	double kappa;
	bool stepped;
	struct mlb_kalman_pool pool;
	struct mlb_kalman_srv *srv;
	double *flow_s, *q, *d, *others;
	uint64_t *ended;
};

static void kalman_free(void *state)
{
	struct kalman *k = state;

	free(k->srv);
	free(k->flow_s);
	free(k->q);
	free(k->d);
	free(k->others);
	free(k->ended);
	free(k);
}

static int kalman_create(void **state, const struct sim_lb_info *info, const char *arg, char err[256])
{
	struct kalman *k = calloc(1, sizeof(*k));
	uint32_t n = info->servers_max;

	(void)arg;
	(void)err;
	if (!k)
		return -ENOMEM;
	k->kappa = 1. / info->lbs;
	k->srv = calloc(n, sizeof(*k->srv));
	k->flow_s = calloc(n, sizeof(double));
	k->q = calloc(n, sizeof(double));
	k->d = calloc(n, sizeof(double));
	k->others = calloc(n, sizeof(double));
	k->ended = calloc(n, sizeof(uint64_t));
	if (!k->srv || !k->flow_s || !k->q || !k->d || !k->others || !k->ended) {
		kalman_free(k);
		return -ENOMEM;
	}
	*state = k;
	return 0;
}

static void kalman_write(struct kalman *k, struct sim_decision *d)
{
	mlb_kalman_weights(k->srv, k->n, d->weight);
	d->kappa = k->kappa;
}

static void kalman_join(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct kalman *k = state;
	uint32_t present = k->n;

	for (; k->n < v->n; k->n++) {
		if (present)
			mlb_kalman_join(&k->srv[k->n], v->weight_cfg[k->n], k->srv, present);
		else
			mlb_kalman_init(&k->srv[k->n], v->weight_cfg[k->n]);
		k->flow_s[k->n] = v->flow_s[k->n];
		k->ended[k->n] = v->ended[k->n];
	}
	kalman_write(k, d);
}

static void kalman_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct kalman *k = state;
	double dt = v->now_s - k->at_s;

	if (k->n < v->n)
		kalman_join(state, v, d);
	if (dt <= 0 || (k->stepped && dt < .999e-6 * MLB_KALMAN_STEP_US)) {
		kalman_write(k, d);
		return;
	}
	for (uint32_t j = 0; j < k->n; j++) {
		k->q[j] = v->flow_s[j] - k->flow_s[j];
		k->d[j] = (double)(v->ended[j] - k->ended[j]);
		k->others[j] = v->peer ? fmax(v->peer[j], 0) : 0;
		k->q[j] = k->q[j] > 0 ? k->q[j] : 0; /* rounding of the integral */
		k->flow_s[j] = v->flow_s[j];
		k->ended[j] = v->ended[j];
	}
	mlb_kalman_step_shared(k->srv, &k->pool, k->n, k->q, k->d, k->others, dt, 1. / v->info->lbs);
	k->at_s = v->now_s;
	k->stepped = true;
	kalman_write(k, d);
}

const struct sim_policy sim_policy_kalman = {
	.name = "kalman",
	.create = kalman_create,
	.destroy = kalman_free,
	.tick = kalman_tick,
	.join = kalman_join,
};
