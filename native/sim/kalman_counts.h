/* SPDX-License-Identifier: Apache-2.0 */
/* The core's Kalman filter on a load balancer's counts as they are, without frames: for the policies that need nothing else,
 * which makes a run twice as fast. On frames, mlb_observe does the same. */
#ifndef MARLLB_SIM_KALMAN_COUNTS_H
#define MARLLB_SIM_KALMAN_COUNTS_H
#include "policy.h"

struct sim_kalman;

int sim_kalman_new(struct sim_kalman **, const struct sim_lb_info *);
void sim_kalman_free(struct sim_kalman *);
/* A tick: takes servers that joined in, and makes an update where a native step is over. */
void sim_kalman_tick(struct sim_kalman *, const struct sim_lb_view *);
void sim_kalman_join(struct sim_kalman *, const struct sim_lb_view *);
/* weight[n], the greatest 1. */
void sim_kalman_weights(const struct sim_kalman *, float *weight);
#endif
