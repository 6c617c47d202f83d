/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"
#include "mlbtest.h"
#include "scenario_json.h"
#include <math.h>
#include <stdio.h>

/* Nobody is left out: equal servers at light load, and one that was slow for a while (docs/loop.md). */
TEST(nobody_is_left_out)
{
	static const struct {
		const char *file, *strategy;
		double jain, back_s;
	} want[] = { { "light", "static+sed", .95, NAN },
		     { "light", "kalman+sed", .95, NAN },
		     { "light", "kalman+sed@light=off", NAN, NAN },
		     { "once-slow", "kalman+sed", NAN, 12 } };

	char err[256];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct sim_scenario sc;
		struct sim_world w;
		char path[256];
		uint32_t seeds;
		snprintf(path, sizeof(path), SIM_DIR "/scenarios/light/%s.json", want[i].file);
		CHECK_EQ(sim_scenario_read(&sc, &seeds, path, err), 0);
		CHECK_EQ(sim_world_make(&w, &sc, 7), 0);
		struct sim_strategy st;
		struct sim_result r;
		CHECK_EQ(sim_strategy_parse(&st, want[i].strategy, err), 0);
		CHECK_EQ(sim_run(&w, &st, &r, err), 0);
		CHECK(isnan(want[i].jain) || r.flows_jain >= want[i].jain);
		CHECK(isnan(want[i].back_s) ? isnan(r.back_s) : r.back_s <= want[i].back_s);
		sim_world_free(&w);
		sim_scenario_free(&sc);
	}
}

MLB_TEST_MAIN(CASE(nobody_is_left_out))
