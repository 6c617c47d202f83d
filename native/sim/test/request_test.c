/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of requests: served, failed, refused, never ended, and when load balancers see it. */
#include "scenario_run.h"

TEST(a_pool_that_stands_still_together_goes_on)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w,
	     FOUR(0.5, ",\"stalls\":{\"least_s\":0.4,\"most_s\":0.4,\"every_least_s\":3,\"every_most_s\":3,\"together\":true}"));
	CHECK(w.changes >= 2 * 4 * 5);
	for (uint32_t i = 0; i < 8; i++)
		CHECK_NEAR(w.change[i].at_s, i < 4 ? 3 : 3.4, 1e-9);
	struct sim_result r = run(&w, "SED");
	CHECK(r.p99_s > .3 && r.p50_s < .05);
	run(&w, "oracle");
	run(&w, "true+sed");
	drop(&sc, &w);
}

TEST(what_never_ends_counts_as_the_time_out)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w, FOUR(0.5, ",\"timeout_s\":7,\"slowdowns\":[{\"server\":0,\"at_s\":10,\"factor\":0}]"));
	struct sim_result r = run(&w, "uniform+alias");
	uint32_t measured = 0;
	for (uint32_t i = 0; i < w.flows; i++)
		measured += w.flow[i].at_s >= sc.warm_s;
	CHECK_EQ(r.flows, measured);
	CHECK_NEAR(r.p99_s, 7, 1e-6);
	CHECK(isnan(r.back_s));
	drop(&sc, &w);
}

TEST(faults_are_counted_and_their_cost_is_what_the_scenario_says)
{
	static const char *const kinds[] = { "error", "reset", "empty", "hang" };

	for (int k = 0; k < 4; k++) {
		struct sim_scenario sc;
		struct sim_world w;
		char text[512];
		snprintf(text, sizeof(text), FOUR(0.5, ",\"faults\":[{\"server\":2,\"kind\":\"%s\",\"at_s\":2,\"share\":0.5}]"),
			 kinds[k]);
		make(&sc, &w, text);
		struct sim_result even = run(&w, "uniform+alias"), oracle = run(&w, "oracle");
		uint64_t all = even.flows + (k == 3 ? 0 : even.failed);
		double share = (double)even.failed / (double)all; /* half of a quarter; less where the guard makes it pay back */
		CHECK(share < .135 && share > (k == 3 ? .115 : .08));
		CHECK(oracle.failed < even.failed); /* it gives that server half its share */
		sc.failure_s = 1;
		struct sim_result dear = run(&w, "uniform+alias");
		CHECK_EQ(dear.failed, even.failed);
		CHECK(k == 3 ? dear.mean_s == even.mean_s : dear.mean_s > even.mean_s + .07);
		drop(&sc, &w);
	}
}

/* A server that fails at once looks quick to a policy that counts ends; neither the observation nor the guard are taken in. */
TEST(a_failing_server_draws_its_share_at_most)
{
	struct sim_scenario sc;
	struct sim_world w;

	for (int k = 0; k < 2; k++) {
		make(&sc, &w,
		     k ? FOUR(0.7, ",\"faults\":[{\"server\":2,\"kind\":\"reset\",\"at_s\":4}]") :
			 FOUR(0.7, ",\"faults\":[{\"server\":2,\"kind\":\"error\",\"at_s\":4}]"));
		struct sim_result r = run(&w, "kalman+sed");
		double share = (double)r.failed / (double)(r.flows + r.failed);
		CHECK(share > .05 && share < .26);
		drop(&sc, &w);
	}
}

TEST(a_refusal_at_once_is_seen_at_once)
{
	static const char *const how[] = { "silent", "reset" };
	double q[2];

	for (int k = 0; k < 2; k++) {
		struct sim_scenario sc;
		struct sim_world w;
		char text[512];
		snprintf(text, sizeof(text),
			 FOUR(2, ",\"timeout_s\":5,\"server\":{\"slots\":2,\"backlog\":2,\"refusal\":\"%s\"}"), how[k]);
		make(&sc, &w, text);
		struct sim_result r = run(&w, "SED");
		CHECK(r.refused > r.flows / 4);
		q[k] = (double)r.refused / (double)r.flows;
		drop(&sc, &w);
	}
	CHECK_NEAR(q[0], q[1], .05); /* overload is overload */
}

TEST(requests_and_pauses_vary_about_their_means)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w,
	     FOUR(0.5,
		  ",\"sessions\":{\"requests\":8,\"requests_sigma\":1,\"think_s\":0.05,\"think_sigma\":1,\"load\":\"flows\"}"));
	struct sim_result r = run(&w, "SED");
	CHECK_NEAR((double)r.events / w.flows, 8, 1);
	drop(&sc, &w);
}

TEST(one_way_load_balancers_see_ends_late_and_nothing_else)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w, FOUR(0.5, ",\"one_way_ms\":{\"least\":100,\"most\":200}"));
	struct sim_result late = run(&w, "peak-ewma+sed");
	drop(&sc, &w);
	make(&sc, &w, FOUR(0.5, ""));
	struct sim_result seen = run(&w, "peak-ewma+sed");
	CHECK(late.flows == seen.flows && late.mean_s != seen.mean_s);
	drop(&sc, &w);
}

MLB_TEST_MAIN(CASE(a_pool_that_stands_still_together_goes_on), CASE(what_never_ends_counts_as_the_time_out),
	      CASE(faults_are_counted_and_their_cost_is_what_the_scenario_says), CASE(a_failing_server_draws_its_share_at_most),
	      CASE(a_refusal_at_once_is_seen_at_once), CASE(requests_and_pauses_vary_about_their_means),
	      CASE(one_way_load_balancers_see_ends_late_and_nothing_else))
