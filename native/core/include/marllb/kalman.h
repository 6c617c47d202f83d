/* SPDX-License-Identifier: Apache-2.0 */
/* Reference Kalman filter over log server speed, one state a server, one native step of 200 ms. Its constants are
 * those of docs/scenarios.md, Reference Kalman filter. Pure: state in, state out. */
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
	double sum_d, sum_q; /* completions and flow-seconds, decayed with 1 s */
};

/* A server that was there at the start: x = log_cfg, P = .3. */
void mlb_kalman_init(struct mlb_kalman_srv *, double weight_cfg);
/* A server that joins: x = log_cfg + mean over the n present ones of (x - log_cfg), P = .3. */
void mlb_kalman_join(struct mlb_kalman_srv *joined, double weight_cfg, const struct mlb_kalman_srv *present, uint32_t n);
/* One update. q[n]: integral of the own count over the step, flow-seconds; d[n]: completions (refusals counted when seen);
 * dt: seconds; kappa: flows. others[n]: the other load balancers' flows where the choice counts them too (gossip), as they stand
 * at the step; NULL where it does not. The reference knows own counts only; without the others' part the queue's evidence would
 * pull against a balance that is kept over all counts (family v1, counts every 20 ms, over the oracle: 1.14/1.20
 * without, 1.09/1.10 with). */
void mlb_kalman_step(struct mlb_kalman_srv *s, struct mlb_kalman_pool *pool, uint32_t n, const double *q, const double *d,
		     const double *others, double dt, double kappa);
/* weight[n] = exp(x - max x), > 0. */
void mlb_kalman_weights(const struct mlb_kalman_srv *s, uint32_t n, double *weight);

#ifdef __cplusplus
}
#endif
#endif
