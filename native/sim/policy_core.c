/* SPDX-License-Identifier: Apache-2.0 */
/* The core's heuristics as policies of the simulator: each is given of the observation what it says that it sees. */
#include "observer.h"
#include "places.h"
#include "policies.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define POLICIES_MAX 32

struct core_lb {
	const struct mlb_policy *p;
	bool sees; /* anything but configured weights */
	struct sim_observer obs;
	struct sim_places places;       /* of the last decision */
	float *memory, *spare, *weight; /* memory: by those places */
};

static void core_free(void *state)
{
	struct core_lb *l = state;

	sim_observer_free(&l->obs);
	sim_places_free(&l->places);
	free(l->memory);
	free(l->spare);
	free(l->weight);
	free(l);
}

static int core_new(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	struct core_lb *l = calloc(1, sizeof(*l));
	uint32_t n = info->servers_max;

	(void)arg;
	(void)err;
	if (!l)
		return -ENOMEM;
	l->p = self->core;
	l->memory = calloc((size_t)n * l->p->state + 1, sizeof(float));
	l->spare = calloc((size_t)n * l->p->state + 1, sizeof(float));
	l->weight = calloc(n, sizeof(float));
	bool ok = l->memory && l->spare && l->weight && sim_places_init(&l->places, n) == 0;
	l->sees = self->wants & SIM_WANTS_FRAME;
	if (l->sees)
		ok &= sim_observer_init(&l->obs, n, SIM_OBSERVES_LATENCY) == 0;
	if (!ok) {
		core_free(l);
		return -ENOMEM;
	}
	*state = l;
	return 0;
}

/* A policy with memory says nothing before its first native step and nothing new between two: who joined counts as the mean. */
static void stand(struct core_lb *l, const struct sim_lb_view *v, struct sim_decision *d)
{
	double sum = 0;
	uint32_t known = 0;

	sim_places_compare(&l->places, v);
	for (uint32_t k = 0; k < v->n; k++)
		if (l->places.from[k] != MLB_NONE) {
			sum += d->weight[k];
			known++;
		}
	for (uint32_t k = 0; k < v->n && known; k++)
		if (l->places.from[k] == MLB_NONE)
			d->weight[k] = sum / known;
}

static void core_decide(struct core_lb *l, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct mlb_policy_in in = {
		.n = v->n,
		.dt = l->obs.out.dt,
		.weight_static = v->weight_cfg,
		.kalman = l->obs.out.kalman,
		.latency = l->obs.out.latency,
	};
	struct mlb_policy_out out = { .weight = l->weight, .kappa = l->p->kappa };

	if (sim_places_compare(&l->places, v)) {
		sim_places_move(&l->places, v, l->memory, l->p->state * sizeof(float), l->spare);
		sim_places_note(&l->places, v);
	}
	l->p->step(&in, l->memory, &out);
	for (uint32_t j = 0; j < v->n; j++)
		d->weight[j] = l->weight[j];
	d->kappa = out.kappa > 0 ? (double)out.kappa : 1. / v->info->lbs;
}

static void core_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct core_lb *l = state;

	d->failed = l->sees ? sim_observe(&l->obs, v, d->err) : 0;
	if (d->failed)
		return;
	if (l->p->state && !l->obs.out.stepped)
		stand(l, v, d);
	else
		core_decide(l, v, d);
}

static struct sim_policy heuristics[POLICIES_MAX];

static void fill(void)
{
	for (size_t i = 0; mlb_policies[i] && i < POLICIES_MAX; i++)
		heuristics[i] = (struct sim_policy){
			.name = mlb_policies[i]->name,
			.core = mlb_policies[i],
			.wants = mlb_policies[i]->sees ? SIM_WANTS_FRAME : 0,
			.create = core_new,
			.destroy = core_free,
			.tick = core_tick,
			.join = core_tick,
			.kappa = (double)mlb_policies[i]->kappa,
		};
}

const struct sim_policy *sim_policy_core(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill);
	for (size_t i = 0; i < POLICIES_MAX && heuristics[i].name; i++)
		if (!strcmp(heuristics[i].name, name))
			return &heuristics[i];
	return NULL;
}
