/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of one run. */
#ifndef MARLLB_SIM_RESULT_H
#define MARLLB_SIM_RESULT_H
#include <stdint.h>

struct sim_result {
	uint64_t flows;   /* requests whose time is measured */
	uint64_t events;  /* flows simulated, those outside the measured time included */
	uint64_t refused; /* of the measured ones */
	uint64_t failed;  /* in the measured time: errors, resets, empty answers, none at all; see sim_scenario.failure_s */
	double mean_s, p99_s, p50_s, p90_s;
	double cvar95_s;   /* mean of the slowest 5 % */
	double mean_log_s; /* mean of the log of completion times in seconds */
	double jain;       /* of mean jobs in 1 s / capacity, averaged over the measured seconds */
	double jobs;       /* mean number in the pool while measured */
	double flows_jain; /* of the flows that each server got while measured / its configured weight; NaN: none measured */
	/* From the end of the first slowdown to the end of the first second in which its first server gets half of its share by
	 * weight again, or to the run's end; NaN without a slowdown and with one that lasts as long as the run. */
	double back_s;
};
#endif
