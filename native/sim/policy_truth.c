/* SPDX-License-Identifier: Apache-2.0 */
/* What no data plane can see: policies that are told the servers' true state. */
#include "policies.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int no_state(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	(void)self;
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
	.kappa = 1,
};

/* Active WCMP, as the paper has it (after Spotlight, Aghdai et al. 2018): servers are polled each tick for the share of their
 * cores in use; the weight is what they have left of their configured weight, averaged over 1 s, never under 5 %. */
struct avail {
	double left[MLB_MAX_SERVERS_PER_VIP]; /* by slot; 0: not known */
};

static int avail_create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg,
			char err[256])
{
	(void)self;
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
		double left = fmax(1 - v->truth->busy[j], .05), *mine = &a->left[v->slot[j]];
		if (*mine == 0)
			*mine = 1;
		*mine = keep * *mine + (1 - keep) * left;
		d->weight[j] = v->weight_cfg[j] * *mine;
	}
}

const struct sim_policy sim_policy_avail = {
	.name = "avail",
	.wants = SIM_WANTS_TRUTH,
	.create = avail_create,
	.destroy = free,
	.tick = avail_tick,
	.kappa = 1,
};
