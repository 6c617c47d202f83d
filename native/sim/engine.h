/* SPDX-License-Identifier: Apache-2.0 */
/* One run: a world, a strategy, a result. Re-entrant; a run owns all of its memory. */
#ifndef MARLLB_SIM_ENGINE_H
#define MARLLB_SIM_ENGINE_H
#include "scenario.h"
#include "strategy.h"

struct sim_result {
	uint64_t flows;   /* requests measured */
	uint64_t events;  /* flows simulated, those outside the measured time included */
	uint64_t refused; /* of the measured ones */
	double mean_s, p99_s, p50_s, p90_s;
	double cvar95_s;   /* mean of the slowest 5 % */
	double mean_log_s; /* mean of the log of completion times in seconds */
	double jain;       /* of mean jobs in 1 s / capacity, averaged over the measured seconds */
	double jobs;       /* mean number in the pool while measured */
};

/* 0 or negative errno with a sentence in err. */
int sim_run(const struct sim_world *, const struct sim_strategy *, struct sim_result *, char err[256]);
#endif
