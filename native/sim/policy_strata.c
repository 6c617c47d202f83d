/* SPDX-License-Identifier: Apache-2.0 */
/* What stands under the default model, without its network: Kalman's weights, and a kappa of its own for each load balancer and
 * server by the observation's stratum. Level and spread are those that training starts from. For ablations. */
#include <errno.h>
#include <marllb/observe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "policies.h"

#define LEVEL .5
#define SPREAD 1.1

struct strata {
	struct mlb_obs_state *obs[2];
	struct mlb_obs_out out;
	uint32_t cur;
	bool seen;
};

static void destroy(void *state)
{
	struct strata *s = state;

	free(s->obs[0]);
	free(s->obs[1]);
	free(s->out.server);
	free(s->out.pool);
	free(s->out.kalman);
	free(s->out.stratum);
	free(s);
}

static int create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	struct strata *s = calloc(1, sizeof(*s));
	uint32_t n = info->servers_max;

	(void)self;
	(void)arg;
	(void)err;
	if (!s)
		return -ENOMEM;
	s->obs[0] = calloc(1, MLB_OBS_STATE_SIZE(n));
	s->obs[1] = calloc(1, MLB_OBS_STATE_SIZE(n));
	s->out.server = calloc(n, MLB_OBS_SERVER_FEATURES * sizeof(float));
	s->out.pool = calloc(MLB_OBS_POOL_FEATURES, sizeof(float));
	s->out.kalman = calloc(n, sizeof(float));
	s->out.stratum = calloc(n, sizeof(float));
	if (!s->obs[0] || !s->obs[1] || !s->out.server || !s->out.pool || !s->out.kalman || !s->out.stratum) {
		destroy(s);
		return -ENOMEM;
	}
	*state = s;
	return 0;
}

static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct strata *s = state;
	int rc = mlb_observe(v->hdr, v->rec, s->seen ? s->obs[s->cur] : NULL, s->obs[!s->cur], &s->out);

	if (rc) {
		snprintf(d->err, 256, "observation: %s", strerror(-rc));
		d->failed = rc;
		return;
	}
	s->cur = !s->cur;
	s->seen = true;
	double spread = SPREAD * (1 - 1. / v->info->lbs);
	for (uint32_t j = 0; j < v->n; j++) {
		d->weight[j] = (double)s->out.kalman[j];
		d->bias[j] = LEVEL + spread * ((double)s->out.stratum[j] - .5) - 1;
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
