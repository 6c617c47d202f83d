/* SPDX-License-Identifier: Apache-2.0 */
/* The families of scenarios that docs/scenarios.md defines, drawn by seed and index. */
#ifndef MARLLB_SIM_FAMILY_H
#define MARLLB_SIM_FAMILY_H
#include "scenario.h"

struct sim_family {
	const char *name;
	double n_lo, n_hi; /* N = floor LU(lo, hi) */
	uint32_t m_lo, m_hi;
	/* Scenario `index` under `seed`. Negative errno. */
	int (*draw)(struct sim_scenario *, const struct sim_family *, uint64_t seed, uint64_t index);
};
extern const struct sim_family sim_family_v1, sim_family_v2;
/* NULL if there is none of this name. */
const struct sim_family *sim_family_find(const char *name);

/* What both families draw alike. */
struct mlb_rng;
void sim_family_weights(struct sim_scenario *, struct mlb_rng *);
void sim_family_sizes(struct sim_sizes *, struct mlb_rng *); /* the four kinds of v1; mean_s LU(20, 200) ms */
#endif
