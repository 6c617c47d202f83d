/* SPDX-License-Identifier: Apache-2.0 */
/* The heuristic policies: an observation in, weights out. One catalogue for `inference` and the simulator. A policy is one file,
 * src/policy_NAME.c, which defines mlb_policy_NAME ('-' of the name written '_' in both); the build puts it into the catalogue.
 */
#ifndef MARLLB_POLICY_H
#define MARLLB_POLICY_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* What a policy sees of one VIP at a native step; arrays of n, in the order of the frame's servers. */
struct mlb_policy_in {
	uint32_t n;
	double dt;                  /* s since the last native step; 0 where there was none */
	const float *weight_static; /* configured weights */
	const float *kalman;        /* reference Kalman filter's weights, mean 1 */
	/* s: mean time to first byte of the requests answered in the step, of the flows' duration where no first byte was ever
	 * seen; NaN: nothing ended */
	const float *latency;
};

/* kappa: flows; 0 = 1 / load balancers. On entry the policy's own. */
struct mlb_policy_out {
	float *weight; /* [n] > 0, any scale */
	float kappa;
};

struct mlb_policy {
	const char *name, *help; /* help: one line, for people who choose */
	float kappa;             /* 0 = 1 / load balancers */
	/* Floats of memory a server, all 0 at first; whoever calls keeps them by server. A policy with memory decides at native
	 * steps only. */
	uint32_t state;
	uint32_t sees; /* MLB_POLICY_*: what of the observation it reads */
	void (*step)(const struct mlb_policy_in *, float *state, struct mlb_policy_out *);
};
enum { MLB_POLICY_KALMAN = 1u << 0, MLB_POLICY_LATENCY = 1u << 1 };

/* The catalogue, in the order of names; ends with NULL. */
extern const struct mlb_policy *const mlb_policies[];
/* NULL if there is none. */
const struct mlb_policy *mlb_policy_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
