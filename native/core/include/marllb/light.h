/* SPDX-License-Identifier: Apache-2.0 */
/* Choice at light load. Where queues are empty the score (load + kappa + bias) / weight has nothing to weigh: the server with the
 * least kappa over weight wins each time, be it by a thousandth, and equal servers stand idle beside it. Then a new flow goes to
 * a server drawn by weight, as long as that server is idle; else by score as ever. How light the load is, is told by the flows in
 * progress a server, those of the other load balancers estimated. */
#ifndef MARLLB_LIGHT_H
#define MARLLB_LIGHT_H
#include "choose.h"

struct mlb_light {
	double flow_s, seconds; /* flows in progress over time, all load balancers'; decayed with 5 s; zeroed at first */
};

/* A look, dt seconds after the one before: n servers hold `own` flows of this load balancer's (as the VIP's load counts) and
 * `peers` of the others', where they are told; where they are not (0), the others are taken to hold as many each. Returns the
 * share of new flows to draw, 0..1. */
float mlb_light_step(struct mlb_light *, double dt, uint32_t n, double own, double peers, uint32_t load_balancers);

/* As mlb_choose; `light`: as mlb_light_step returned it. */
static inline uint32_t mlb_choose_light(const struct mlb_table *t, const float *q, struct mlb_rng *r, uint64_t flow_hash,
					float light)
{
	if (__builtin_expect(light > 0, 0) && t->mode == MLB_MODE_SED && t->eligible && (float)mlb_rng_unit(r) < light) {
		uint32_t s = mlb_alias_draw(t, r);
		if (q[s] < .5f)
			return s;
	}
	return mlb_choose(t, q, r, flow_hash);
}
#endif
