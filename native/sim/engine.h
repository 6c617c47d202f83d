/* SPDX-License-Identifier: Apache-2.0 */
/* One run: a world, a strategy, a result. Re-entrant; a run owns all of its memory. */
#ifndef MARLLB_SIM_ENGINE_H
#define MARLLB_SIM_ENGINE_H
#include "result.h"
#include "scenario.h"
#include "strategy.h"

/* 0 or negative errno with a sentence in err. */
int sim_run(const struct sim_world *, const struct sim_strategy *, struct sim_result *, char err[256]);

/* What a load balancer has counted so far: what a data plane's frames say of a VIP, summed over its servers. */
struct sim_seen {
	double now_s, flow_s; /* flows in progress over time */
	uint64_t new_flows, ended;
};
struct sim_watch {
	/* Once a second from the warm-up's end on, of each load balancer of each VIP. */
	void (*second)(void *arg, uint32_t lane, const struct sim_seen *);
	void *arg;
};
/* The same, and somebody looks on; NULL: nobody. */
int sim_run_watched(const struct sim_world *, const struct sim_strategy *, const struct sim_watch *, struct sim_result *,
		    char err[256]);
#endif
