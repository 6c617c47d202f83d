/* SPDX-License-Identifier: Apache-2.0 */
/* A load balancer's observation (mlb_observe), frame after frame, for the policies that see one. */
#ifndef MARLLB_SIM_OBSERVER_H
#define MARLLB_SIM_OBSERVER_H
#include <marllb/observe.h>
#include "policy.h"

struct sim_observer {
	struct mlb_obs_state *state[2];
	uint32_t cur; /* which state is the last frame's */
	bool seen;    /* a frame */
	struct mlb_obs_out out;
};

enum { SIM_OBSERVES_LATENCY = 1, SIM_OBSERVES_STRATUM = 2 };

/* extra: SIM_OBSERVES_*, which of `out` is filled besides features and Kalman's weights. After -ENOMEM it is to be freed, too. */
int sim_observer_init(struct sim_observer *, uint32_t servers_max, int extra);
void sim_observer_free(struct sim_observer *);
/* Takes the view's frame in. */
int sim_observe(struct sim_observer *, const struct sim_lb_view *, char err[256]);
#endif
