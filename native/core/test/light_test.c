/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/light.h"
#include <stdlib.h>
#include "marllb/fairness.h"
#include "mlbtest.h"

TEST(light_is_told_by_flows_a_server)
{
	struct mlb_light m = { 0 };
	float light = 0;
	CHECK_NEAR(mlb_light_step(&m, 0, 4, 1, 0, 1), 0, 0);
	for (int t = 0; t < 200; t++)
		light = mlb_light_step(&m, .2, 4, .2, 0, 1);
	CHECK_NEAR(light, 1, 0);
	for (int t = 0; t < 200; t++)
		light = mlb_light_step(&m, .2, 4, 1.8, 0, 1);
	CHECK_NEAR(light, .5, .01);
	for (int t = 0; t < 200; t++)
		light = mlb_light_step(&m, .2, 4, 4, 0, 1);
	CHECK_NEAR(light, 0, 0);
	/* .8 of own flows are many where twelve load balancers hold as many, and few where they are known to hold none */
	for (int t = 0; t < 200; t++)
		light = mlb_light_step(&m, .2, 4, .8, 0, 12);
	CHECK_NEAR(light, 0, 0);
	for (int t = 0; t < 200; t++)
		light = mlb_light_step(&m, .2, 4, .8, .1, 12);
	CHECK_NEAR(light, 1, 0);
}

/* Four equal servers of which the policy holds one for a thousandth better: it had all flows. */
TEST(equal_servers_get_equal_flows_where_nothing_queues)
{
	const float w[4] = { .2502f, .25f, .2499f, .2499f };
	float q[8] = { 0 };
	double count[4] = { 0 };
	struct mlb_table *t = NULL;
	struct mlb_rng r;
	mlb_rng_seed(&r, 9);
	CHECK_EQ(mlb_table_new(&t, 4, w, NULL, 1, MLB_MODE_SED, 1, NULL, NULL), 0);
	for (int i = 0; i < 2000; i++)
		count[mlb_choose_light(t, q, &r, 0, 0)]++;
	CHECK_NEAR(count[0], 2000, 0);
	count[0] = 0;
	for (int i = 0; i < 2000; i++)
		count[mlb_choose_light(t, q, &r, 0, 1)]++;
	CHECK(mlb_jain(count, 4) > .99);
	mlb_table_free(t);
}

/* A server that is busy, ejected or without weight is left to the score. */
TEST(only_idle_servers_are_drawn)
{
	const float w[4] = { 1, 1, 1, 0 };
	float q[8] = { 1, MLB_Q_OUT, 0, 0 };
	struct mlb_table *t = NULL;
	struct mlb_rng r;
	mlb_rng_seed(&r, 9);
	CHECK_EQ(mlb_table_new(&t, 4, w, NULL, 1, MLB_MODE_SED, 1, NULL, NULL), 0);
	for (int i = 0; i < 500; i++)
		CHECK_EQ(mlb_choose_light(t, q, &r, 0, 1), 2);
	mlb_table_free(t);
}

MLB_TEST_MAIN(CASE(light_is_told_by_flows_a_server), CASE(equal_servers_get_equal_flows_where_nothing_queues),
	      CASE(only_idle_servers_are_drawn))
