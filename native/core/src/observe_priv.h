/* SPDX-License-Identifier: Apache-2.0 */
/* Between observe.c (frames to figures and state) and observe_features.c (figures to features). */
#ifndef MARLLB_OBSERVE_PRIV_H
#define MARLLB_OBSERVE_PRIV_H
#include "marllb/observe_types.h"

/* Decayed figures of a server: completions, flow-seconds and new flows, log durations (count, sum), failures; time constant in
 * seconds behind the name. */
enum { OBS_D1, OBS_Q1, OBS_D5, OBS_Q5, OBS_A1, OBS_LN1, OBS_LS1, OBS_LN5, OBS_LS5, OBS_F1 };
/* Of the pool, all over 5 s: new flows, seconds, log durations (count, sum, sum of squares). */
enum { OBS_PA, OBS_PT, OBS_PLN, OBS_PLS, OBS_PLSS };

/* What happened to one server during the step. */
struct obs_step {
	double q;      /* flow-seconds */
	double d;      /* flows ended by the server, or never answered */
	double failed; /* refusals, resets, connects without an answer */
	double opened; /* new flows */
	double flows;  /* in progress now */
	double peer;   /* other load balancers' load, as last told; 0 = nobody tells */
	double age;    /* sum of the ages of those, seconds; negative = not known */
	double silent; /* seconds since the last completion, at most 10; negative = not known */
	double kappa;  /* what the choice adds to this server's load: kappa and its bias, flows */
	double rtt;    /* seconds, 0 = not known */
	double since;  /* native steps since it joined */
	bool counts;   /* takes part in the pool's means: neither draining nor leaving */
};

struct obs_pool_step {
	double dt;     /* seconds */
	double kappa;  /* flows */
	double opened; /* new flows of the pool in the step */
	uint32_t load_balancers;
	uint32_t present;
};

void obs_features(const struct mlb_obs_state *, const struct obs_step *, const struct obs_pool_step *, struct mlb_obs_out *);
#endif
