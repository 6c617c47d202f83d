/* SPDX-License-Identifier: Apache-2.0 */
/* What a scenario may say beyond arrivals and sizes, and the world that is made of it. */
#include <glob.h>
#include "family.h"
#include "scenario_run.h"
#include "world_parts.h"

static const struct {
	const char *text, *why;
} refused[] = {
	{ FOUR(0.5, ",\"absences\":[{\"server\":4,\"at_s\":1}]"), "server: 4 is out of range, expected 0 to 3" },
	{ FOUR(0.5, ",\"absences\":[{\"at_s\":1}]"), "absences: expected \"server\", or \"first\" and \"last\"" },
	{ FOUR(0.5, ",\"absences\":[{\"first\":2,\"last\":1,\"at_s\":1}]"), "first 2 is greater than last 1" },
	{ FOUR(0.5, ",\"absences\":[{\"server\":0,\"at_s\":1,\"for_s\":4},{\"server\":0,\"at_s\":3}]"),
	  "server 0: its absences overlap" },
	{ FOUR(0.5, ",\"absences\":[{\"first\":0,\"last\":3,\"at_s\":7,\"id\":\"new\"}]"),
	  "no server is left in the list at 7 s" },
	{ FOUR(0.5, ",\"absences\":[{\"server\":0,\"at_s\":1,\"for_s\":4,\"every_s\":4}]"), "for_s must be less than every_s" },
	{ FOUR(0.5, ",\"absences\":[{\"server\":0,\"at_s\":1,\"for_s\":4,\"cold_s\":4}]"), "cold_s and cold_factor go together" },
	{ FOUR(0.5, ",\"absences\":[{\"server\":0,\"at_s\":1,\"id\":\"other\"}]"), "id: expected one of same, new" },
	{ FOUR(0.5, ",\"absences\":{}"), "absences: expected an array of at most 32" },
	{ FOUR(0.5, ",\"faults\":[{\"kind\":\"slow\",\"at_s\":1}]"), "kind: expected one of error, reset, empty, hang" },
	{ FOUR(0.5, ",\"faults\":[{\"kind\":\"error\"}]"), "\"at_s\" is missing" },
	{ FOUR(0.5, ",\"faults\":[{\"kind\":\"error\",\"at_s\":1,\"share\":2}]"), "share: 2 is out of range" },
	{ FOUR(0.5, ",\"slowdowns\":[{\"server\":0,\"at_s\":1}]"), "\"factor\" is missing" },
	{ FOUR(0.5, ",\"stalls\":{\"least_s\":1,\"most_s\":2}"), "\"every_least_s\" is missing" },
	{ FOUR(0.5, ",\"stalls\":{\"least_s\":3,\"most_s\":2,\"every_least_s\":1,\"every_most_s\":1}"),
	  "least is greater than most" },
	{ FOUR(0.5, ",\"shares\":[1]"), "shares: expected an array of 2" },
	{ FOUR(0.5, ",\"shares\":[0.5,0.6]"), "shares: they sum to 1.1" },
	{ FOUR(0.5, ",\"told\":{\"number\":1}"), "number: expected true or false" },
	{ FOUR(0.5, ",\"told\":{\"weights\":\"noisy\"}"), "\"sigma\" is missing" },
	{ FOUR(0.5, ",\"told\":{\"load_balancer\":1}"), "unknown key \"load_balancer\"; nearest is \"load_balancers\"" },
	{ FOUR(0.5, ",\"one_way_ms\":{\"least\":3,\"most\":1}"), "least is greater than most" },
	{ FOUR(0.5, ",\"one_way_ms\":{\"least\":1,\"most\":3},\"sessions\":{\"requests\":2,\"think_s\":1}"),
	  "not together with sessions" },
	{ FOUR(0.5, ",\"strategies\":[\"SED\"]"), "strategies: expected an array of 2" },
	{ FOUR(0.5, ",\"strategies\":[\"SED\",3]"), "strategies: expected a strategy" },
	{ FOUR(0.5, ",\"arrivals\":{\"steps\":[{\"at_s\":1,\"factor\":-1}]}"), "factor: -1 is out of range" },
	{ FOUR(0.5, ",\"server\":{\"refusal\":\"loud\"}"), "refusal: expected one of silent, reset" },
	{ "{\"name\":\"x\",\"servers\":[{\"cores\":1,\"rtt_ms\":[1]}],\"load\":1,\"sizes\":{\"kind\":\"constant\",\"mean_ms\":1}"
	  "}",
	  "rtt_ms: expected 2 numbers, one for each load balancer, found 1" },
};

TEST(refusals_say_where_and_why)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct sim_scenario sc;
		int e = parse(&sc, refused[i].text);
		if (e == 0)
			sim_scenario_free(&sc);
		if (e >= 0 || !strstr(err, refused[i].why))
			printf("# case %zu: got \"%s\"\n", i, err);
		CHECK(e < 0 && strstr(err, refused[i].why) && strncmp(err, "line ", 5) == 0);
	}
}

TEST(who_comes_back_under_a_new_id_has_a_new_slot_and_a_slow_start)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w,
	     FOUR(0.5, ",\"slow_start_s\":2,\"absences\":[{\"server\":1,\"at_s\":4,\"for_s\":2,\"every_s\":8,\"id\":\"new\"}]"));
	CHECK_EQ(w.slots, 6); /* away at 4 and at 12 */
	CHECK_EQ(w.server_of[4], 1);
	CHECK_EQ(w.server_of[5], 1);
	CHECK_EQ(w.turns, 2 * 11);
	CHECK_NEAR(w.turn[0].at_s, 4, 0);
	CHECK(w.turn[0].slot == 1 && !w.turn[0].listed);
	CHECK(w.turn[1].slot == 4 && w.turn[1].listed);
	CHECK_NEAR(w.turn[1].at_s, 6, 0);
	CHECK_NEAR(w.turn[1].factor, .1, 1e-6);
	CHECK_NEAR(w.turn[10].factor, 1, 0);
	CHECK_NEAR(w.turn[10].at_s, 7.8, 1e-9);
	drop(&sc, &w);
	make(&sc, &w, FOUR(0.5, ",\"absences\":[{\"server\":1,\"at_s\":4,\"for_s\":2}]"));
	CHECK_EQ(w.slots, 4);
	CHECK_EQ(w.turns, 2);
	CHECK(w.turn[0].listed && w.turn[0].factor == 0 && w.turn[1].factor == 1);
	drop(&sc, &w);
}

TEST(factors_of_several_causes_multiply)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w,
	     FOUR(0.5, ",\"slowdowns\":[{\"first\":0,\"last\":1,\"at_s\":4,\"for_s\":8,\"factor\":0.5,\"stagger_s\":1},"
		       "{\"server\":0,\"at_s\":6,\"for_s\":2,\"factor\":0.5}]"));
	static const struct sim_change want[] = { { 4, .5, 0 }, { 5, .5, 1 }, { 6, .25, 0 },
						  { 8, .5, 0 }, { 12, 1, 0 }, { 13, 1, 1 } };
	CHECK_EQ(w.changes, 6);
	for (uint32_t i = 0; i < 6 && i < w.changes; i++) {
		CHECK_NEAR(w.change[i].at_s, want[i].at_s, 1e-12);
		CHECK_NEAR(w.change[i].factor, want[i].factor, 1e-12);
		CHECK_EQ(w.change[i].server, want[i].server);
	}
	drop(&sc, &w);
}

TEST(shares_rtts_and_what_is_told_reach_the_world)
{
	struct sim_scenario sc;
	struct sim_world w;
	uint32_t of[2] = { 0 };

	make(&sc, &w,
	     FOUR(0.5, ",\"shares\":[0.8,0.2],\"rtt_ms\":{\"least\":1,\"most\":9,\"each\":\"pair\"},\"told\":{\"weights\":"
		       "\"equal\"}"));
	for (uint32_t i = 0; i < w.flows; i++)
		of[w.flow[i].lane]++;
	CHECK_NEAR((double)of[0] / w.flows, .8, .02);
	CHECK(w.rtt_s[0] != w.rtt_s[4] && w.rtt_s[0] >= .001 && w.rtt_s[4] <= .009);
	CHECK_NEAR(w.weight[3], 1, 0);
	drop(&sc, &w);
	make(&sc, &w,
	     "{\"name\":\"x\",\"servers\":[{\"cores\":1,\"rtt_ms\":[2,5]},{\"cores\":3}],\"load\":0.5,\"rtt_ms\":7,"
	     "\"told\":{\"weights\":\"reversed\"},\"sizes\":{\"kind\":\"constant\",\"mean_ms\":1}}");
	CHECK_NEAR(w.rtt_s[0], .002, 1e-12); /* load balancer 0 to server 0 */
	CHECK_NEAR(w.rtt_s[1], .007, 1e-12);
	CHECK_NEAR(w.rtt_s[2], .005, 1e-12);
	CHECK_NEAR(w.weight[0], 3, 0);
	drop(&sc, &w);
}

TEST(a_step_multiplies_the_rate_while_it_lasts)
{
	struct sim_scenario sc;
	struct sim_world w;
	uint32_t in = 0, out = 0;

	make(&sc, &w, FOUR(0.3, ",\"arrivals\":{\"steps\":[{\"at_s\":5,\"for_s\":2,\"every_s\":10,\"factor\":3}]}"));
	for (uint32_t i = 0; i < w.flows; i++) {
		double t = fmod(w.flow[i].at_s, 10);
		*(t >= 5 && t < 7 ? &in : &out) += 1;
	}
	CHECK_NEAR(in / 4. / (out / 16.), 3, .25);
	drop(&sc, &w);
}

TEST(the_files_of_scenarios_v2_are_readable)
{
	glob_t g;
	uint32_t seeds;

	CHECK_EQ(glob(SIM_DIR "/scenarios/v2/*.json", 0, NULL, &g), 0);
	CHECK(g.gl_pathc >= 86);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct sim_scenario sc;
		const char *slash = strrchr(g.gl_pathv[i], '/') + 1;
		int e = sim_scenario_read(&sc, &seeds, g.gl_pathv[i], err);
		if (e)
			printf("# %s\n", err);
		CHECK_EQ(e, 0);
		if (e)
			continue;
		CHECK_EQ(strncmp(sc.name, slash, strlen(sc.name)), 0);
		CHECK_EQ(strcmp(slash + strlen(sc.name), ".json"), 0);
		sim_scenario_free(&sc);
	}
	globfree(&g);
}

/* Family v2 draws only what a file could say, and its parts occur as often as its law says. */
TEST(family_v2_follows_its_law)
{
	enum { N = 4000 };
	uint32_t sessions = 0, absences = 0, faults = 0, steps = 0, one_way = 0, many = 0, moved = 0;

	for (uint32_t i = 0; i < N; i++) {
		struct sim_scenario sc;
		struct sim_world w = { .sc = &sc };
		CHECK_EQ(sim_family_v2.draw(&sc, &sim_family_v2, 5, i), 0);
		int e = sim_turns_make(&w, err);
		if (e)
			printf("# scenario %u: %s\n", i, err);
		CHECK_EQ(e, 0);
		CHECK(sc.rate > 0 && sc.rate * sc.requests * sc.end_s <= 14000 * 1.001);
		CHECK(sc.warm_s < sc.end_s / 2);
		sessions += sc.requests > 1;
		absences += sc.absences;
		faults += sc.faults;
		steps += sc.steps;
		one_way += sc.one_way_hi_s > 0;
		many += sc.lbs > 6;
		moved += w.slots > sc.n;
		sim_world_free(&w);
		sim_scenario_free(&sc);
	}
	CHECK_NEAR(sessions / (double)N, .22, .04);
	CHECK_NEAR(absences / (double)N, .18 * .82, .04); /* a fifth of the pools is too small */
	CHECK_NEAR(faults / (double)N, .13 * .9, .03);
	CHECK_NEAR(steps / (double)N, .12, .02);
	CHECK_NEAR(one_way / (double)N, .06 * .78, .02);
	CHECK_NEAR(many / (double)N, .2, .03);
	CHECK(moved > N / 20);
}

MLB_TEST_MAIN(CASE(refusals_say_where_and_why), CASE(who_comes_back_under_a_new_id_has_a_new_slot_and_a_slow_start),
	      CASE(factors_of_several_causes_multiply), CASE(shares_rtts_and_what_is_told_reach_the_world),
	      CASE(a_step_multiplies_the_rate_while_it_lasts), CASE(the_files_of_scenarios_v2_are_readable),
	      CASE(family_v2_follows_its_law))
