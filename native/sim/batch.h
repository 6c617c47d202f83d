/* SPDX-License-Identifier: Apache-2.0 */
/* Many scenarios under several strategies, over threads; the results do not depend on how many. */
#ifndef MARLLB_SIM_BATCH_H
#define MARLLB_SIM_BATCH_H
#include "engine.h"

struct sim_batch {
	/* Makes scenario i and the seed of its world. Called from several threads. */
	int (*scenario)(void *arg, uint32_t i, struct sim_scenario *, uint64_t *world_seed, char err[256]);
	void *arg;
	/* Who looks on at the runs of scenario i; NULL: nobody. Called from several threads. */
	struct sim_watch (*watch)(void *arg, uint32_t i);
	uint32_t scenarios, strategies, threads;
	const struct sim_strategy *strategy;
	struct sim_result *result; /* [scenarios * strategies], scenario-major; the caller's */
	double busy_s;             /* out: CPU time spent, all threads */
};
int sim_batch_run(struct sim_batch *, char err[256]);

/* Ratio of geometric means with its 95 % interval, from paired log-ratios. */
struct sim_ratio {
	double value, low, high, half;
};
struct sim_ratio sim_ratio_of(const double *a, const double *b, uint32_t n, uint32_t stride_a, uint32_t stride_b);
#endif
