/* SPDX-License-Identifier: Apache-2.0 */
/* Local ejection, the load that workers see of each other, and load = waiting. */
#include <netinet/in.h>

#include "dp_world.h"

static void loop(struct world *w)
{
	for (uint32_t i = 0; i < w->workers; i++) {
		mlb_dp_worker_loop(w->dp, mlb_dp_worker(w->dp, i), w->now);
		mlb_dp_worker_idle(mlb_dp_worker(w->dp, i), true);
	}
}

static void result(struct world *w, uint32_t worker, uint32_t slot, enum mlb_connect how, uint64_t began)
{
	mlb_dp_connect_result(w->dp, mlb_dp_worker(w->dp, worker), w->vip, slot, how, began, w->now);
}

/* Refusals a while apart: those of one moment count once. */
static void fail(struct world *w, uint32_t slot, int times)
{
	for (int i = 0; i < times; i++) {
		w->now += 10 * MS;
		result(w, 0, slot, MLB_CONNECT_REFUSED, w->now);
	}
	loop(w);
}

/* How many of 200 flows that each end at once go to a slot. */
static int chosen(struct world *w, uint32_t slot)
{
	int n = 0;
	for (int i = 0; i < 200; i++)
		n += mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 0), w->vip, (uint64_t)i << 40, w->now) == slot;
	return n;
}

static struct mlb_server_rec record(struct world *w, uint32_t slot)
{
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[16];
	world_run(w, 100 * MS, false);
	loop(w);
	int n = world_frame(w, &h, r, 16);
	for (int i = 0; i < n; i++)
		if (r[i].slot == slot)
			return r[i];
	return (struct mlb_server_rec){ 0 };
}

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

/* What began before the ejection ends late, while the probe is on its way. */
TEST(only_the_probe_tells_of_an_ejected_server)
{
	struct world *w = world_new(1, 4, 8, false);
	loop(w);
	uint64_t before = w->now;
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	CHECK_EQ(chosen(w, 1), 1);
	result(w, 0, 1, MLB_CONNECT_UNANSWERED, before);
	loop(w);
	CHECK_EQ(record(w, 1).flags, MLB_SRV_MEMBER | MLB_SRV_EJECTED | MLB_SRV_PROBING);
	result(w, 0, 1, MLB_CONNECT_OK, w->now);
	loop(w);
	CHECK(chosen(w, 1) > 20);
	world_free(w);
}

/* A client whose connect failed there asks again: it is not sent back as the probe. */
TEST(the_probe_is_no_flow_that_tried_the_server)
{
	struct world *w = world_new(1, 4, 8, false);
	loop(w);
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	float *q = world_wvip(w, 0)->q, was = q[1];
	q[1] = MLB_Q_TRIED;
	CHECK_EQ(chosen(w, 1), 0);
	q[1] = was;
	CHECK_EQ(chosen(w, 1), 1); /* and nothing was lost of it */
	world_free(w);
}

TEST(one_probe_then_in_again)
{
	struct world *w = world_new(2, 4, 8, false);
	loop(w);
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	CHECK_EQ(chosen(w, 1), 1); /* the probe, and nobody else while it is on its way */
	loop(w);
	CHECK_EQ(chosen(w, 1), 0);
	CHECK_EQ(record(w, 1).flags, MLB_SRV_MEMBER | MLB_SRV_EJECTED | MLB_SRV_PROBING);
	result(w, 0, 1, MLB_CONNECT_OK, w->now);
	loop(w);
	CHECK(chosen(w, 1) > 20);
	CHECK_EQ(record(w, 1).flags, MLB_SRV_MEMBER);
	world_free(w);
}

/* With few flows SED would never come to a server of a small weight; one of weight 0 is not to be tried at all. */
TEST(the_next_flow_is_the_probe_whatever_the_weight)
{
	for (int zero = 0; zero < 2; zero++) {
		struct world *w = world_new(1, 4, 8, true);
		struct vector x;
		world_run(w, 100 * MS, true);
		vector_make(w, &x, 4);
		x.e[1].weight = zero ? 0 : 1e-6f;
		x.e[0].weight = .5f - x.e[1].weight;
		CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
		loop(w);
		fail(w, 1, 3);
		world_run(w, 1001 * MS, true);
		loop(w);
		uint32_t first = mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 0), w->vip, 0, w->now);
		CHECK_EQ(first == 1, !zero);
		CHECK_EQ(chosen(w, 1), 0);
		world_free(w);
	}
}

/* Two whose time is over at once have a flow each. */
TEST(probes_of_several_servers_follow_each_other)
{
	struct world *w = world_new(1, 4, 8, false);
	loop(w);
	fail(w, 1, 3);
	fail(w, 2, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	uint32_t a = mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 0), w->vip, 0, w->now);
	world_run(w, 2 * MS, false);
	loop(w);
	uint32_t b = mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 0), w->vip, 1, w->now);
	CHECK((a == 1 && b == 2) || (a == 2 && b == 1));
	world_free(w);
}

/* A flow with an affinity asks about its server by itself: it is held to the same single probe. */
TEST(affinity_takes_part_in_the_probe)
{
	struct world *w = world_new(2, 4, 8, false);
	loop(w);
	struct mlb_worker *a = mlb_dp_worker(w->dp, 0), *b = mlb_dp_worker(w->dp, 1);
	CHECK(mlb_dp_admits(w->dp, a, w->vip, 1, w->now));
	CHECK(!mlb_dp_admits(w->dp, a, w->vip, 7, w->now)); /* no server there */
	fail(w, 1, 3);
	CHECK(!mlb_dp_admits(w->dp, a, w->vip, 1, w->now));
	CHECK(mlb_dp_admits(w->dp, a, w->vip, 0, w->now));
	world_run(w, 1001 * MS, false);
	loop(w);
	CHECK(mlb_dp_admits(w->dp, a, w->vip, 1, w->now)); /* the probe */
	CHECK(!mlb_dp_admits(w->dp, a, w->vip, 1, w->now));
	CHECK(!mlb_dp_admits(w->dp, b, w->vip, 1, w->now)); /* its view is older */
	CHECK_EQ(chosen(w, 1), 0);
	result(w, 0, 1, MLB_CONNECT_OK, w->now);
	loop(w);
	CHECK(mlb_dp_admits(w->dp, b, w->vip, 1, w->now));
	world_free(w);
}

TEST(two_workers_share_one_probe)
{
	struct world *w = world_new(2, 4, 8, false);
	int probes = 0;
	loop(w);
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	for (int i = 0; i < 200; i++)
		for (uint32_t k = 0; k < 2; k++)
			probes += mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, k), w->vip, 0, w->now) == 1;
	CHECK_EQ(probes, 1);
	world_free(w);
}

TEST(failed_probes_double_the_time_up_to_30_s)
{
	struct world *w = world_new(1, 4, 8, false);
	static const uint64_t want_s[] = { 1, 2, 4, 8, 16, 30, 30 };
	loop(w);
	fail(w, 2, 3);
	for (size_t i = 0; i < sizeof(want_s) / sizeof(want_s[0]); i++) {
		world_run(w, want_s[i] * 1000 * MS - 2 * MS, false);
		loop(w);
		CHECK_EQ(chosen(w, 2), 0);
		world_run(w, 3 * MS, false);
		loop(w);
		CHECK_EQ(chosen(w, 2), 1);
		fail(w, 2, 1);
	}
	world_free(w);
}

TEST(lost_probe_is_given_up)
{
	struct world *w = world_new(1, 4, 8, false);
	loop(w);
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	CHECK_EQ(chosen(w, 1), 1);
	world_run(w, 5001 * MS, false);
	loop(w);
	CHECK_EQ(chosen(w, 1), 1);
	world_free(w);
}

/* The server was full, this machine had no port, or the client left before an answer. */
TEST(a_probe_that_was_not_made_is_the_next_flow)
{
	struct world *w = world_new(2, 4, 8, false);
	loop(w);
	uint64_t before = w->now;
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(chosen(w, 1), 1);
		result(w, 0, 1, MLB_CONNECT_UNMADE, before); /* not the probe's */
		loop(w);
		CHECK_EQ(chosen(w, 1), 0);
		result(w, 0, 1, MLB_CONNECT_UNMADE, w->now);
		w->now += MS;
		loop(w);
	}
	CHECK_EQ(chosen(w, 1), 1);
	result(w, 0, 1, MLB_CONNECT_OK, w->now);
	loop(w);
	CHECK(chosen(w, 1) > 20);
	world_free(w);
}

/* Syslog never answers: a probe that was not refused is good. */
TEST(in_a_udp_vip_a_probe_without_a_refusal_succeeds)
{
	struct world *w = world_new(1, 1, 4, false);
	struct mlb_vip_conf c = world_vip_conf(4);
	snprintf(c.name, sizeof(c.name), "logs");
	c.ep.proto = IPPROTO_UDP;
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &w->vip, w->err), 0);
	for (uint32_t i = 1; i <= 3; i++) {
		struct mlb_endpoint e = world_ep(i);
		CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &e, 1, NULL, w->err), 0);
	}
	loop(w);
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	CHECK_EQ(chosen(w, 1), 1);
	world_run(w, 4900 * MS, false);
	loop(w);
	CHECK_EQ(chosen(w, 1), 0);
	world_run(w, 200 * MS, false);
	loop(w);
	CHECK(chosen(w, 1) > 20);
	world_free(w);
}

/* There is one mark for whom the next flow is to try, whatever the number of servers whose time is over. */
TEST(of_many_servers_that_were_out_each_has_one_probe)
{
	struct world *w = world_new(2, 16, 16, false);
	int had[16] = { 0 }, turn = 0;
	loop(w);
	for (int k = 0; k < 3; k++) {
		w->now += 10 * MS;
		for (uint32_t s = 0; s < 8; s++)
			result(w, s % 2, s, MLB_CONNECT_REFUSED, w->now);
	}
	world_run(w, 1001 * MS, false);
	loop(w);
	for (int i = 0; i < 8 + 4; i++) {
		for (int flows = 0; flows < 3; flows++) { /* one is the probe, the others go elsewhere */
			uint32_t s = mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, (uint32_t)turn++ % 2), w->vip, 0, w->now);
			had[s]++;
			if (s < 8 && i < 4) /* the first four are not made */
				result(w, 0, s, MLB_CONNECT_UNMADE, w->now);
		}
		world_run(w, MS, false);
		loop(w);
	}
	int probes = 0;
	for (int s = 0; s < 8; s++) {
		CHECK(had[s] >= 1);
		probes += had[s];
	}
	CHECK(probes >= 8 + 4 && probes <= 8 + 12);
	loop(w);
	for (uint32_t s = 0; s < 8; s++)
		CHECK_EQ(chosen(w, s), 0);
	for (uint32_t s = 0; s < 8; s++)
		result(w, 0, s, MLB_CONNECT_OK, w->now);
	loop(w);
	for (uint32_t s = 0; s < 8; s++)
		CHECK(chosen(w, s) > 4);
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
	      CASE(an_unanswered_connect_counts_only_where_none_was_answered_since),
	      CASE(only_the_probe_tells_of_an_ejected_server), CASE(the_probe_is_no_flow_that_tried_the_server),
	      CASE(one_probe_then_in_again), CASE(the_next_flow_is_the_probe_whatever_the_weight),
	      CASE(probes_of_several_servers_follow_each_other), CASE(affinity_takes_part_in_the_probe),
	      CASE(two_workers_share_one_probe), CASE(failed_probes_double_the_time_up_to_30_s), CASE(lost_probe_is_given_up),
	      CASE(a_probe_that_was_not_made_is_the_next_flow), CASE(in_a_udp_vip_a_probe_without_a_refusal_succeeds),
	      CASE(of_many_servers_that_were_out_each_has_one_probe), CASE(at_most_half_of_the_pool),
	      CASE(a_single_server_is_never_put_out_nor_where_it_is_off), CASE(ejection_does_not_outlive_the_server),
	      CASE(workers_hear_of_each_others_flows_within_a_millisecond), CASE(load_waiting_counts_flows_that_wait))
