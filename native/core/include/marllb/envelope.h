/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope: from a policy's raw weights to what may be published. One pure function, run by the agent at publish and
 * by the simulator; docs/design.md, The envelope, defines the order of the steps. */
#ifndef MARLLB_ENVELOPE_H
#define MARLLB_ENVELOPE_H
#include "types.h"
#ifdef __cplusplus
extern "C" {
#endif

struct mlb_envelope_conf {
	float trust;       /* c: share stays within e^-c .. e^c of the static share; exact .1, hint 1.5, none 3 */
	float step_ratio;  /* most a share may change in 200 ms, 2; scaled to dt; 0 = no rate limit */
	float dt_s;        /* seconds since the previous composed vector */
	float ejected_cap; /* most that ejected servers may hold together, share 0..1, default .05 */
	bool exact;        /* an operator's order: the weights are taken as they are, 0 is none; no trust, no rate, no cap */
};

/* Arrays of n servers. raw: policy's weights, any scale. stat: configured weights > 0. factor: directive's, 0..1 (NULL = all 1).
 * prev: the shares that this function returned before the factors were applied, NULL at first; factors are not rate-limited.
 * ejected: nonzero where the data plane has put a server out (NULL = none). bare (NULL or n): shares before the factors, for
 * the next call's prev. share: the result, sums to 1. If every factor is 0, all are eligible (factors taken as 1). If no eligible
 * server has a weight, they share by their configured weights; only a policy that gives nobody a weight is refused as ALL_ZERO.
 * Returns MLB_REFUSE_NONE, or the reason (NOT_FINITE, NEGATIVE, ALL_ZERO, OUT_OF_RANGE, LENGTH), share then untouched. */
enum mlb_refuse mlb_envelope(const struct mlb_envelope_conf *, uint32_t n, const float *raw, const float *stat,
			     const float *factor, const float *prev, const uint8_t *ejected, float *bare, float *share);

/* The bias's part of the envelope: a score (load + kappa + bias) / w stays at most e^c times what it is without the bias, and at
 * least e^-c times the load's part and e^-2c times kappa's, at the loads of the moment; together with the clamp of the shares a
 * chosen server scores at most e^3c times the best, less where it is not idle. What is below one flow only rounds: load balancers
 * with few flows are told apart by it (mlb_obs_strata), and a tighter bound made them one again (32 of them: 3.4 times the
 * oracle, not 1.7). Clips bias[n] (flows) in place, what is not finite becomes 0. load[n]: flows (or waiting ones) as the VIP's
 * load counts; kappa <= 0 is taken as 1. */
void mlb_envelope_bias(float trust, uint32_t n, const float *load, float kappa, float *bias);

#ifdef __cplusplus
}
#endif
#endif
