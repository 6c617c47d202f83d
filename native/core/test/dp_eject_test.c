/* SPDX-License-Identifier: Apache-2.0 */
/* Local ejection, the load that workers see of each other, and load = waiting. */
#include "eject_world.h"

TEST(three_failures_in_a_row_eject_a_server)
{
	struct world *w = world_new(1, 4, 8, false);
	loop(w);
	fail(w, 1, 2);
	result(w, 0, 1, MLB_CONNECT_OK, w->now);
	fail(w, 1, 2);
	CHECK_EQ(record(w, 1).flags, MLB_SRV_MEMBER); /* held back at most */
	CHECK_EQ(record(w, 1).ejections, 0);
	result(w, 0, 1, MLB_CONNECT_OK, w->now);
	uint64_t from = w->now;
	fail(w, 1, 3);
	CHECK_EQ(chosen(w, 1), 0);
	struct mlb_server_rec r = record(w, 1);
	CHECK_EQ(r.flags, MLB_SRV_MEMBER | MLB_SRV_EJECTED);
	CHECK_EQ(r.eject_streak, 3);
	CHECK_EQ(r.ejections, 1);
	CHECK_EQ(r.eject_until_us, from + 30 * MS + 1000 * MS);
	world_free(w);
}

/* Not even main's look is needed: the worker gives the server to the first flow after 10 ms, and after 20 more. */
TEST(a_failure_holds_a_server_back_and_the_next_flow_tries_it)
{
	struct world *w = world_new(2, 4, 8, false);
	loop(w);
	fail(w, 1, 1);
	CHECK_EQ(chosen(w, 1), 0);
	w->now += 9 * MS;
	CHECK_EQ(chosen(w, 1), 0);
	w->now += 1 * MS;
	CHECK_EQ(mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 1), w->vip, 0, w->now), 1);
	CHECK_EQ(chosen(w, 1), 0); /* one tries it, no more */
	result(w, 1, 1, MLB_CONNECT_REFUSED, w->now);
	w->now += 19 * MS;
	loop(w);
	CHECK_EQ(chosen(w, 1), 0);
	w->now += 1 * MS;
	CHECK_EQ(chosen(w, 1), 1);
	result(w, 0, 1, MLB_CONNECT_OK, w->now); /* it was a restart */
	loop(w);
	CHECK(chosen(w, 1) > 20);
	CHECK_EQ(record(w, 1).ejections, 0);
	world_free(w);
}

/* A restart that takes a millisecond refuses hundreds at once. */
TEST(failures_of_one_moment_count_once)
{
	struct world *w = world_new(2, 4, 8, false);
	loop(w);
	for (int i = 0; i < 100; i++)
		result(w, (uint32_t)i % 2, 1, MLB_CONNECT_REFUSED, w->now);
	loop(w);
	CHECK_EQ(chosen(w, 1), 0);
	struct mlb_server_rec r = record(w, 1);
	CHECK_EQ(r.eject_streak, 1);
	CHECK_EQ(r.flags, MLB_SRV_MEMBER);
	world_free(w);
}

/* The connects that are under way when the first one times out are evidence as they time out, each in its turn. */
TEST(pending_connects_of_a_silent_server_eject_it_while_nobody_new_goes_there)
{
	struct world *w = world_new(1, 4, 8, false);
	loop(w);
	uint64_t began = w->now;
	w->now += 200 * MS;
	for (int i = 0; i < 3; i++) {
		result(w, 0, 1, MLB_CONNECT_UNANSWERED, began);
		loop(w);
		CHECK_EQ(chosen(w, 1), 0);
		CHECK_EQ(record(w, 1).ejections, i == 2); /* takes 100 ms */
		began += 100 * MS;
	}
	world_free(w);
}

/* They end in one moment where they began in one: VPP ages its half-open flows in passes. */
TEST(connects_that_time_out_together_count_each)
{
	struct world *w = world_new(1, 4, 8, false);
	loop(w);
	uint64_t began = w->now;
	w->now += 3000 * MS;
	for (int i = 0; i < 5; i++)
		result(w, 0, 1, MLB_CONNECT_UNANSWERED, began);
	loop(w);
	CHECK_EQ(record(w, 1).ejections, 1);
	CHECK_EQ(chosen(w, 1), 0);
	world_free(w);
}

/* One lost packet of thousands: others were answered meanwhile. */
TEST(an_unanswered_connect_counts_only_where_none_was_answered_since)
{
	struct world *w = world_new(2, 4, 8, false);
	loop(w);
	uint64_t began = w->now;
	w->now += 100 * MS;
	result(w, 1, 1, MLB_CONNECT_OK, w->now - MS);
	w->now += 100 * MS;
	result(w, 0, 1, MLB_CONNECT_UNANSWERED, began);
	loop(w);
	CHECK(chosen(w, 1) > 20);
	CHECK_EQ(record(w, 1).eject_streak, 0);
	result(w, 0, 1, MLB_CONNECT_REFUSED, began); /* this one the server said itself */
	loop(w);
	CHECK_EQ(chosen(w, 1), 0);
	world_free(w);
}

TEST(at_most_half_of_the_pool)
{
	struct world *w = world_new(1, 5, 8, false);
	loop(w);
	for (uint32_t s = 0; s < 5; s++)
		fail(w, s, 5);
	int out = 0;
	for (uint32_t s = 0; s < 5; s++)
		out += chosen(w, s) == 0;
	CHECK_EQ(out, 2);
	world_free(w);
}

TEST(a_single_server_is_never_put_out_nor_where_it_is_off)
{
	struct world *w = world_new(1, 1, 8, false);
	loop(w);
	fail(w, 0, 10);
	CHECK_EQ(chosen(w, 0), 200);
	world_free(w);
}

/* A slot that was out is as good as any under its next server. */
TEST(ejection_does_not_outlive_the_server)
{
	struct world *w = world_new(1, 4, 4, false);
	struct mlb_endpoint e = world_ep(2), f = world_ep(9);
	loop(w);
	fail(w, 1, 3);
	CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &e, w->err), 0);
	loop(w);
	world_run(w, 2 * MS, false);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &f, 1, NULL, w->err), 0);
	loop(w);
	CHECK(chosen(w, 1) > 20);
	CHECK_EQ(record(w, 1).ejections, 0);
	fail(w, 0, 3);
	fail(w, 2, 3);
	CHECK_EQ(chosen(w, 0) + chosen(w, 2), 0); /* the half is free again */
	world_free(w);
}

TEST(workers_hear_of_each_others_flows_within_a_millisecond)
{
	struct world *w = world_new(3, 2, 4, false);
	loop(w);
	for (int i = 0; i < 5; i++)
		mlb_ev_open(world_wvip(w, 0), 0, w->now);
	mlb_ev_open(world_wvip(w, 1), 0, w->now);
	w->now += MS;
	loop(w);
	for (uint32_t k = 0; k < 3; k++)
		CHECK_NEAR(world_wvip(w, k)->q[0], 6, 0);
	CHECK_EQ(chosen(w, 0), 0);
	world_free(w);
}

TEST(load_waiting_counts_flows_that_wait)
{
	struct world *w = world_new(1, 1, 4, false);
	struct mlb_vip_conf c = world_vip_conf(4);
	struct mlb_worker *a = mlb_dp_worker(w->dp, 0);
	struct mlb_endpoint e = world_ep(1);
	snprintf(c.name, sizeof(c.name), "long");
	c.load = MLB_LOAD_WAITING;
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &w->vip, w->err), 0);
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &e, 1, NULL, w->err), 0);
	loop(w);
	struct mlb_wvip *v = world_wvip(w, 0);
	mlb_ev_open(v, 0, w->now);
	mlb_ev_open(v, 0, w->now);
	CHECK_NEAR(v->q[0], 0, 0);
	mlb_ev_request(v, 0, w->now);
	CHECK_NEAR(v->q[0], 1, 0);
	mlb_ev_answer(a, v, 0, w->now, w->now + 10);
	CHECK_NEAR(v->q[0], 0, 0);
	world_free(w);
}

MLB_TEST_MAIN(CASE(three_failures_in_a_row_eject_a_server), CASE(a_failure_holds_a_server_back_and_the_next_flow_tries_it),
	      CASE(failures_of_one_moment_count_once),
	      CASE(pending_connects_of_a_silent_server_eject_it_while_nobody_new_goes_there),
	      CASE(connects_that_time_out_together_count_each),
	      CASE(an_unanswered_connect_counts_only_where_none_was_answered_since), CASE(at_most_half_of_the_pool),
	      CASE(a_single_server_is_never_put_out_nor_where_it_is_off), CASE(ejection_does_not_outlive_the_server),
	      CASE(workers_hear_of_each_others_flows_within_a_millisecond), CASE(load_waiting_counts_flows_that_wait))
