/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the scenarios' language share: a scenario's text to its world, and a run of it. */
#ifndef MARLLB_SIM_TEST_SCENARIO_RUN_H
#define MARLLB_SIM_TEST_SCENARIO_RUN_H
#include "engine.h"
#include "mlbtest.h"
#include "scenario_json.h"

static char err[256];

static inline int parse(struct sim_scenario *sc, const char *text)
{
	uint32_t seeds;

	err[0] = 0;
	return sim_scenario_parse(sc, &seeds, text, strlen(text), "", err);
}

/* Four servers of 2 cores, 10 ms requests, 20 s. */
#define FOUR(load, extra) \
	"{\"name\":\"x\",\"duration_s\":20,\"warmup_s\":2,\n\"servers\":[{\"count\":4,\"cores\":2}],\"load\":" #load ",\n" \
	"\"sizes\":{\"kind\":\"exponential\",\"mean_ms\":10}" extra "}"

static inline void make(struct sim_scenario *sc, struct sim_world *w, const char *text)
{
	int e = parse(sc, text);

	if (e)
		printf("# %s\n", err);
	CHECK_EQ(e, 0);
	CHECK_EQ(sim_world_make(w, sc, 1), 0);
}

static inline void drop(struct sim_scenario *sc, struct sim_world *w)
{
	sim_world_free(w);
	sim_scenario_free(sc);
}

static inline struct sim_result run(const struct sim_world *w, const char *strategy)
{
	struct sim_strategy st;
	struct sim_result r = { 0 };

	CHECK_EQ(sim_strategy_parse(&st, strategy, err), 0);
	int e = sim_run(w, &st, &r, err);
	if (e)
		printf("# %s: %s\n", strategy, err);
	CHECK_EQ(e, 0);
	return r;
}
#endif
