/* SPDX-License-Identifier: Apache-2.0 */
/* What stands under the default model, without its network: Kalman's weights, and a kappa of its own for each load balancer and
 * server by the observation's stratum. Level and spread are those that training starts from. For ablations. */
#include <errno.h>
#include <stdlib.h>
#include "observer.h"
#include "policies.h"

#define LEVEL .5
#define SPREAD 1.1

static void destroy(void *state)
{
	sim_observer_free(state);
	free(state);
}

static int create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	struct sim_observer *o = calloc(1, sizeof(*o));

	(void)self;
	(void)arg;
	(void)err;
	if (!o)
		return -ENOMEM;
	if (sim_observer_init(o, info->servers_max, SIM_OBSERVES_STRATUM)) {
		destroy(o);
		return -ENOMEM;
	}
	*state = o;
	return 0;
}

static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct sim_observer *o = state;

	d->failed = sim_observe(o, v, d->err);
	if (d->failed)
		return;
	double spread = SPREAD * (1 - 1. / v->info->lbs);
	for (uint32_t j = 0; j < v->n; j++) {
		d->weight[j] = (double)o->out.kalman[j];
		d->bias[j] = LEVEL + spread * ((double)o->out.stratum[j] - .5) - 1;
	}
	d->kappa = 1;
}

const struct sim_policy sim_policy_strata = {
	.name = "strata",
	.wants = SIM_WANTS_FRAME,
	.create = create,
	.destroy = destroy,
	.tick = tick,
	.join = tick,
	.kappa = 1,
};
