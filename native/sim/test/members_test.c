/* SPDX-License-Identifier: Apache-2.0 */
/* Strategies while the list of servers changes, servers fail, and load balancers differ. */
#include "scenario_run.h"

TEST(load_balancers_may_run_strategies_of_their_own)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w, FOUR(0.8, ",\"strategies\":[\"uniform+hash\",\"uniform+hash\"]"));
	struct sim_result a = run(&w, "SED"), b = run(&w, "kalman+sed");
	CHECK(a.mean_s == b.mean_s); /* none of them runs what is measured */
	drop(&sc, &w);
	make(&sc, &w, FOUR(0.8, ",\"strategies\":[null,\"uniform+hash\"]"));
	struct sim_result half = run(&w, "SED");
	CHECK(half.mean_s < a.mean_s);
	drop(&sc, &w);
	make(&sc, &w, FOUR(0.8, ",\"strategies\":[null,\"kalman+sad\"]"));
	struct sim_strategy st;
	CHECK_EQ(sim_strategy_parse(&st, "SED", err), 0);
	CHECK(sim_run(&w, &st, &a, err) < 0 && strstr(err, "mode \"sad\""));
	drop(&sc, &w);
}

/* Every strategy copes with servers that leave, come and come back, in every mode and through the envelope. */
TEST(the_list_may_change_under_every_strategy)
{
	static const char *const strategies[] = { "oracle",         "Prequal",    "static+hash",           "uniform+p2c",
						  "static+alias",   "kalman+sed", "kalman+sed@trust=hint", "peak-ewma+sed",
						  "avail+alias",    "true+sed",   "kalman+sed@gossip=20",  "hlb+sed",
						  "knapsack+alias", "strata+sed" };
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w,
	     FOUR(0.4, ",\"slow_start_s\":1,\"absences\":[{\"first\":0,\"last\":1,\"at_s\":3,\"for_s\":3,\"stagger_s\":1,\"every_"
		       "s\":7,"
		       "\"id\":\"new\",\"cold_s\":2,\"cold_factor\":0.5},{\"server\":2,\"at_s\":5,\"for_s\":4}]"));
	for (size_t i = 0; i < sizeof(strategies) / sizeof(strategies[0]); i++) {
		struct sim_result r = run(&w, strategies[i]);
		CHECK(r.flows > 2000 && r.refused * 20 < r.flows);
	}
	drop(&sc, &w);
}

TEST(what_is_masked_takes_no_new_flow)
{
	struct sim_scenario sc;
	struct sim_world w;

	/* The two that are masked are those that fail: nothing does. */
	make(&sc, &w,
	     FOUR(0.3, ",\"absences\":[{\"server\":0,\"at_s\":0,\"id\":\"new\"},{\"server\":1,\"at_s\":0}],"
		       "\"faults\":[{\"first\":0,\"last\":1,\"kind\":\"error\",\"at_s\":2}]"));
	static const char *const strategies[] = {
		"oracle", "Prequal", "static+hash", "uniform+p2c", "static+alias", "kalman+sed"
	};
	for (size_t i = 0; i < sizeof(strategies) / sizeof(strategies[0]); i++)
		CHECK_EQ(run(&w, strategies[i]).failed, 0);
	drop(&sc, &w);
}

TEST(prequal_turns_away_from_a_server_that_fails_fast)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w, FOUR(0.7, ",\"faults\":[{\"server\":2,\"kind\":\"error\",\"at_s\":2}]"));
	struct sim_result r = run(&w, "Prequal"), even = run(&w, "uniform+alias");
	CHECK(r.failed * 3 < even.failed);
	drop(&sc, &w);
}

/* Fresh counts help, late ones less, lost ones less still. */
TEST(shared_counts_may_be_late_and_lost)
{
	struct sim_scenario sc;
	struct sim_world w;

	make(&sc, &w, FOUR(0.9, ",\"load_balancers\":8"));
	double none = run(&w, "SED").mean_s, fresh = run(&w, "SED@gossip=2:0.1").mean_s,
	       lost = run(&w, "SED@gossip=2:0.1:0.5").mean_s;
	CHECK(fresh < lost && lost < none);
	drop(&sc, &w);
	struct sim_strategy st;
	CHECK(sim_strategy_parse(&st, "SED@gossip=2:1:2", err) < 0 && strstr(err, "gossip=MS[:DELAY_MS[:LOST]]"));
	CHECK(sim_strategy_parse(&st, "SED@gossip=", err) < 0);
}

MLB_TEST_MAIN(CASE(load_balancers_may_run_strategies_of_their_own), CASE(the_list_may_change_under_every_strategy),
	      CASE(what_is_masked_takes_no_new_flow), CASE(prequal_turns_away_from_a_server_that_fails_fast),
	      CASE(shared_counts_may_be_late_and_lost))

static uint64_t epoch[3]; /* by load balancer */

static int sees_create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char e[256])
{
	(void)self;
	(void)arg;
	(void)e;
	*state = &epoch[info->lb];
	return 0;
}

static void sees_destroy(void *state)
{
	(void)state;
}

static void sees_tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	(void)d;
	*(uint64_t *)state = v->hdr->dp_epoch;
}

/* As data planes have: who is not told its number draws its strata by the epoch, and must not draw those of all others. */
TEST(load_balancers_have_epochs_of_their_own)
{
	static const struct sim_policy sees = {
		.name = "sees", .wants = SIM_WANTS_FRAME, .create = sees_create, .destroy = sees_destroy, .tick = sees_tick
	};
	struct sim_scenario sc;
	struct sim_world w;
	struct sim_strategy st;
	struct sim_result r;

	make(&sc, &w, FOUR(0.5, ",\"load_balancers\":3,\"told\":{\"number\":false}"));
	CHECK_EQ(sim_strategy_parse(&st, "kalman+sed", err), 0);
	st.policy = &sees;
	CHECK_EQ(sim_run(&w, &st, &r, err), 0);
	CHECK(epoch[0] && epoch[1] && epoch[2]);
	CHECK(epoch[0] != epoch[1] && epoch[1] != epoch[2] && epoch[0] != epoch[2]);
	struct sim_result kalman = run(&w, "kalman+sed"), strata = run(&w, "strata+sed");
	CHECK(strata.mean_s < 1.05 * kalman.mean_s);
	drop(&sc, &w);
}
