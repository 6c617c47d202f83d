/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that want to do harm, to see what the envelope leaves them: adversary:KIND.
 *   reverse  much for the servers whose weights are least, little for the greatest
 *   chase    at each tick, much for those whose jobs over capacity are above the pool's, little for the others
 *   flip     at each tick, much or little by coin, all load balancers by the same coins
 *   herd     much for one half of the pool, the halves changing every other tick */
#include "draw.h"
#include "policies.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUCH 20. /* log of the factor asked for; the envelope cuts it */

enum kind { REVERSE, CHASE, FLIP, HERD, KINDS };
static const char *const kind_names[KINDS] = { "reverse", "chase", "flip", "herd" };

struct adversary {
	enum kind kind;
	struct mlb_rng rng;
	uint32_t ticks;
};

static int create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	(void)self;
	struct adversary *a = calloc(1, sizeof(*a));

	(void)info;
	if (!a)
		return -ENOMEM;
	mlb_rng_seed(&a->rng, 4711);
	for (a->kind = 0; a->kind < KINDS && (!arg || strcmp(arg, kind_names[a->kind]) != 0); a->kind++)
		;
	if (a->kind == KINDS) {
		snprintf(err, 256, "policy adversary: expected adversary:reverse, chase, flip or herd");
		free(a);
		return -EINVAL;
	}
	*state = a;
	return 0;
}

static bool much(struct adversary *a, const struct sim_lb_view *v, uint32_t j, double weight, double jobs)
{
	switch (a->kind) {
	case REVERSE: return v->weight_cfg[j] < weight;
	case CHASE: return v->truth->jobs[j] > jobs * v->truth->capacity[j];
	case FLIP: return mlb_rng_unit(&a->rng) < .5;
	default: return (j & 1) == (a->ticks / 2 & 1);
	}
}

static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct adversary *a = state;
	double weight = 0, jobs = 0, capacity = 0;

	for (uint32_t j = 0; j < v->n; j++) {
		weight += v->weight_cfg[j] / v->n;
		jobs += v->truth->jobs[j];
		capacity += v->truth->capacity[j];
	}
	for (uint32_t j = 0; j < v->n; j++)
		d->weight[j] = v->weight_cfg[j] * exp(much(a, v, j, weight, jobs / capacity) ? MUCH : -MUCH);
	a->ticks++;
}

const struct sim_policy sim_policy_adversary = {
	.name = "adversary",
	.wants = SIM_WANTS_TRUTH,
	.create = create,
	.destroy = free,
	.tick = tick,
	.kappa = 1,
	.takes_arg = true,
};
