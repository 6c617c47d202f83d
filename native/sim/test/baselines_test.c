/* SPDX-License-Identifier: Apache-2.0 */
/* The strategies of the literature: each learns what it is there to learn. */
#include "engine.h"
#include "mlbtest.h"
#include "scenario_json.h"

static char err[256];

/* Means over 3 seeds, s: six small and two large servers that nobody was told of. */
static double mean_of(const char *strategy)
{
	static const char text[] =
		"{\"name\":\"x\",\"duration_s\":60,\"warmup_s\":25,\"servers\":[{\"count\":6,\"cores\":1,\"weight\":1},"
		"{\"count\":2,\"cores\":8,\"weight\":1}],\"load\":0.6,\"sizes\":{\"kind\":\"exponential\",\"mean_ms\":40}}";
	struct sim_strategy st;
	double sum = 0;

	CHECK_EQ(sim_strategy_parse(&st, strategy, err), 0);
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sim_scenario sc;
		struct sim_world w;
		struct sim_result r = { 0 };
		uint32_t seeds;
		CHECK_EQ(sim_scenario_parse(&sc, &seeds, text, strlen(text), "", err), 0);
		CHECK_EQ(sim_world_make(&w, &sc, seed), 0);
		CHECK_EQ(sim_run(&w, &st, &r, err), 0);
		sum += r.mean_s / 3;
		sim_world_free(&w);
		sim_scenario_free(&sc);
	}
	return sum;
}

TEST(hlb_learns_the_speeds)
{
	CHECK(mean_of("hlb+sed") < .75 * mean_of("LSQ"));
}

TEST(knapsack_learns_shares_for_a_random_split)
{
	CHECK(mean_of("knapsack+alias") < .5 * mean_of("uniform+alias"));
}

TEST(strata_do_no_harm_to_kalman)
{
	CHECK(mean_of("strata+sed") < 1.03 * mean_of("kalman+sed"));
}

TEST(prequal_finds_the_large_servers)
{
	CHECK(mean_of("Prequal") < .75 * mean_of("uniform+p2c"));
}

MLB_TEST_MAIN(CASE(hlb_learns_the_speeds), CASE(knapsack_learns_shares_for_a_random_split), CASE(strata_do_no_harm_to_kalman),
	      CASE(prequal_finds_the_large_servers))
