/* SPDX-License-Identifier: Apache-2.0 */
/* The probe of an ejected server: who makes it, when, and what its result does. */
#include <netinet/in.h>

#include "eject_world.h"

/* Of four servers, number 1 was ejected, and its time is over: the next flow is its probe. */
static struct world *world_of_ready(uint32_t workers)
{
	struct world *w = world_new(workers, 4, 8, false);
	loop(w);
	fail(w, 1, 3);
	world_run(w, 1001 * MS, false);
	loop(w);
	return w;
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
	struct world *w = world_of_ready(1);
	float *q = world_wvip(w, 0)->q, was = q[1];
	q[1] = MLB_Q_TRIED;
	CHECK_EQ(chosen(w, 1), 0);
	q[1] = was;
	CHECK_EQ(chosen(w, 1), 1); /* and nothing was lost of it */
	world_free(w);
}

TEST(one_probe_then_in_again)
{
	struct world *w = world_of_ready(2);
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
	struct world *w = world_of_ready(1);
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

MLB_TEST_MAIN(CASE(only_the_probe_tells_of_an_ejected_server), CASE(the_probe_is_no_flow_that_tried_the_server),
	      CASE(one_probe_then_in_again), CASE(the_next_flow_is_the_probe_whatever_the_weight),
	      CASE(probes_of_several_servers_follow_each_other), CASE(affinity_takes_part_in_the_probe),
	      CASE(two_workers_share_one_probe), CASE(failed_probes_double_the_time_up_to_30_s), CASE(lost_probe_is_given_up),
	      CASE(a_probe_that_was_not_made_is_the_next_flow), CASE(in_a_udp_vip_a_probe_without_a_refusal_succeeds),
	      CASE(of_many_servers_that_were_out_each_has_one_probe))
