/* SPDX-License-Identifier: Apache-2.0 */
/* Reference Kalman filter over log server speed, one state a server, one native step of 200 ms. Its constants are those of
 * docs/scenarios.md, Reference Kalman filter. Pure: state in, state out. */
#ifndef MARLLB_KALMAN_H
#define MARLLB_KALMAN_H
#include "types.h"
#ifdef __cplusplus
extern "C" {
#endif

#define MLB_KALMAN_STEP_US 200000u

struct mlb_kalman_srv {
	double x;       /* log weight, up to the pool's common constant */
	double p;       /* variance */
	double log_cfg; /* log configured weight */
};
struct mlb_kalman_pool {
	double sum_d, sum_q; /* completions and flow-seconds at work, decayed with 1 s */
};

/* What was seen of one server in a step. */
struct mlb_kalman_seen {
	double q; /* flow-seconds at work: waiting time where that is seen, time on the wire taken out */
	double d; /* completions that speak of capacity: no failure, no end that is too quick to be work */
	/* The mean load that the choice balanced, in its own units: own flows (those on the wire too) and, where the choice
	 * counts them, the other load balancers' as they stand at the step. Without the others' part the queue's evidence would
	 * pull against a balance that is kept over all counts (family v1, counts every 20 ms, over the oracle: 1.14/1.20 without,
	 * 1.09/1.10 with). */
	double load;
};

/* A server that was there at the start: x = log_cfg, P = .3. */
void mlb_kalman_init(struct mlb_kalman_srv *, double weight_cfg);
/* A server that joins: x = log_cfg + mean over the n present ones of (x - log_cfg), P = .3. */
void mlb_kalman_join(struct mlb_kalman_srv *joined, double weight_cfg, const struct mlb_kalman_srv *present, uint32_t n);
/* One update. noise: how many times noisier counts are than those of common sizes, 1; dt: seconds; kappa: flows. */
void mlb_kalman_step(struct mlb_kalman_srv *s, struct mlb_kalman_pool *pool, uint32_t n, const struct mlb_kalman_seen *seen,
		     double noise, double dt, double kappa);
/* weight[n] = exp(x - max x), > 0. */
void mlb_kalman_weights(const struct mlb_kalman_srv *s, uint32_t n, double *weight);

#ifdef __cplusplus
}
#endif
#endif
