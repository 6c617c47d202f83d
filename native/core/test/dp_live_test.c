/* SPDX-License-Identifier: Apache-2.0 */
/* The live counts, own and others', and how long main may sleep, with main or a worker publishing them. */
#include "dp_world.h"
#include "marllb/endpoint.h"

struct counts {
	struct mlb_live_hdr h;
	struct mlb_live e[8];
};

static struct counts live(struct world *w)
{
	struct counts c = { 0 };
	const struct mlb_region *r = &w->agent;
	mlb_msg_read(r->blk[MLB_BLK_LIVE].msg, r->blk[MLB_BLK_LIVE].base, r->blk[MLB_BLK_LIVE].buf_size, &c, sizeof(c), NULL, 8);
	return c;
}

/* Steps main alone until it wants to sleep. */
static uint64_t main_step(struct world *w, uint64_t us)
{
	uint64_t wait;
	w->now += us;
	while ((wait = mlb_dp_poll(w->dp, w->now, 0)) == 0)
		;
	return wait;
}

/* Who reads the live counts says how often. */
static void ask(struct world *w, uint32_t us)
{
	atomic_store(&w->agent.hdr->live_us, us);
}

TEST(nothing_is_published_while_nobody_reads)
{
	struct world *w = world_new(1, 3, 8, true);
	CHECK(main_step(w, 100 * MS) <= 10 * MS);
	CHECK_EQ(live(w).h.mono_ns, 0);
	ask(w, 5 * MS);
	main_step(w, 100 * MS);
	CHECK_EQ(live(w).h.entries, 3);
	CHECK(main_step(w, 5 * MS) <= 10 * MS);
	CHECK_EQ(live(w).h.mono_ns, w->now * 1000);
	world_free(w);
}

TEST(while_nothing_changes_it_looks_less_often)
{
	struct world *w = world_make(1, 3, 8, true, true);
	ask(w, 5 * MS);
	CHECK_EQ(mlb_dp_live(w->dp, w->now), w->now + 5 * MS);
	CHECK_EQ(mlb_dp_live(w->dp, w->now += 5 * MS), w->now + 20 * MS);
	mlb_ev_open(world_wvip(w, 0), 0, w->now);
	CHECK_EQ(mlb_dp_live(w->dp, w->now += 20 * MS), w->now + 5 * MS);
	world_free(w);
}

TEST(live_counts_say_where_and_whose)
{
	struct world *w = world_new(2, 3, 8, true);
	ask(w, 10 * MS);
	mlb_ev_open(world_wvip(w, 0), 2, w->now);
	mlb_ev_open(world_wvip(w, 1), 2, w->now);
	mlb_ev_request(world_wvip(w, 1), 2, w->now);
	main_step(w, 100 * MS);
	struct mlb_live l = live(w).e[2];
	struct mlb_endpoint ep = world_ep(3);
	CHECK_EQ(l.vip_id, w->vip);
	CHECK_EQ(l.server_id, 3);
	CHECK_EQ(l.slot, 2);
	CHECK(mlb_endpoint_eq(&l.ep, &ep));
	CHECK_EQ(l.flows, 2);
	CHECK_EQ(l.waiting, 1);
	world_free(w);
}

TEST(main_publishes_every_10_ms)
{
	struct world *w = world_new(1, 3, 8, true);
	ask(w, 10 * MS);
	CHECK(main_step(w, 100 * MS) <= 10 * MS);
	struct counts a = live(w);
	CHECK_EQ(a.h.entries, 3);
	CHECK_EQ(a.h.mono_ns, w->now * 1000);
	CHECK_EQ(mlb_dp_live(w->dp, w->now + 10 * MS), UINT64_MAX); /* nobody asked for it */
	main_step(w, 9 * MS);
	CHECK_EQ(live(w).h.mono_ns, a.h.mono_ns);
	main_step(w, 1 * MS);
	CHECK_EQ(live(w).h.mono_ns, w->now * 1000);
	world_free(w);
}

TEST(a_worker_publishes_and_main_sleeps_until_the_frame)
{
	struct world *w = world_make(2, 3, 8, true, true);
	struct mlb_worker *worker = mlb_dp_worker(w->dp, 1);
	ask(w, 10 * MS);
	CHECK_EQ(main_step(w, 10 * MS), 90 * MS);
	CHECK_EQ(live(w).h.entries, 0);
	CHECK_EQ(mlb_dp_live(w->dp, w->now), w->now + 10 * MS);
	CHECK_EQ(live(w).h.entries, 3);
	CHECK_EQ(live(w).e[1].flows, 0);
	mlb_ev_open(world_wvip(w, 1), 1, w->now);
	mlb_ev_connected(worker, world_wvip(w, 1), 1, w->now, w->now);
	CHECK_EQ(mlb_dp_live(w->dp, w->now + 9 * MS), w->now + 10 * MS);
	CHECK_EQ(live(w).e[1].flows, 0);
	CHECK_EQ(mlb_dp_live(w->dp, w->now + 12 * MS), w->now + 22 * MS);
	CHECK_EQ(live(w).e[1].server_id, 2);
	CHECK_EQ(live(w).e[1].flows, 1);
	world_free(w);
}

struct peers {
	struct mlb_peer_hdr h;
	struct mlb_peer e[5];
};

static void tell(struct world *w, const struct peers *m)
{
	struct mlb_region *r = &w->agent;
	mlb_region_write(r, MLB_BLK_PEER, m, sizeof(m->h) + m->h.entries * sizeof(m->e[0]));
}

TEST(peers_counts_weigh_on_choice)
{
	struct world *w = world_new(1, 2, 4, true);
	struct mlb_worker *worker = mlb_dp_worker(w->dp, 0);
	struct peers m = { .h = { .entries = 5, .valid_us = 100 * MS },
			   .e = { { .vip_id = w->vip, .server_id = 2, .slot = 1, .flows = 7, .waiting = 1 },
				  { .vip_id = w->vip, .server_id = 77, .slot = 0, .flows = 9 },
				  { .vip_id = w->vip, .server_id = 1, .slot = 1, .flows = 9 },
				  { .vip_id = w->vip, .server_id = 1, .slot = 4000000000u, .flows = 9 },
				  { .vip_id = 60, .server_id = 1, .slot = 0, .flows = 9 } } };
	ask(w, 5 * MS);
	world_run(w, 100 * MS, false);
	tell(w, &m);
	world_run(w, 20 * MS, false);
	mlb_dp_worker_loop(w->dp, worker, w->now);
	CHECK_NEAR(world_wvip(w, 0)->q[1], 7, 0);
	CHECK_NEAR(world_wvip(w, 0)->q[0], 0, 0);
	CHECK_EQ(mlb_dp_choose(w->dp, worker, w->vip, 0, w->now), 0);
	m.h.entries = 0;
	tell(w, &m);
	world_run(w, 20 * MS, false);
	mlb_dp_worker_loop(w->dp, worker, w->now);
	CHECK_NEAR(world_wvip(w, 0)->q[1], 0, 0);
	world_free(w);
}

TEST(peers_counts_end_with_their_writer)
{
	struct world *w = world_make(2, 2, 4, true, true);
	struct mlb_worker *worker = mlb_dp_worker(w->dp, 0);
	struct peers m = { .h = { .entries = 1, .valid_us = 60 * MS },
			   .e = { { .vip_id = w->vip, .server_id = 1, .slot = 0, .flows = 5 } } };
	ask(w, 5 * MS);
	mlb_dp_live(w->dp, w->now);
	tell(w, &m);
	mlb_dp_live(w->dp, w->now += 5 * MS);
	for (uint64_t end = w->now + 55 * MS; w->now < end; w->now += 5 * MS)
		mlb_dp_live(w->dp, w->now);
	mlb_dp_worker_loop(w->dp, worker, w->now);
	CHECK_NEAR(world_wvip(w, 0)->q[0], 5, 0);
	mlb_dp_live(w->dp, w->now += 20 * MS);
	mlb_dp_worker_loop(w->dp, worker, w->now);
	CHECK_NEAR(world_wvip(w, 0)->q[0], 0, 0);
	world_free(w);
}

/* An agent that was killed has not taken its wish back. */
TEST(nothing_is_published_for_a_reader_that_died)
{
	struct world *w = world_make(1, 2, 4, true, true);
	struct peers m = { .h = { .entries = 0, .valid_us = 60 * MS } };
	ask(w, 5 * MS);
	for (int i = 0; i < 300; i++) { /* 30 s of a reader that lives */
		if (i % 10 == 0)
			tell(w, &m);
		mlb_dp_live(w->dp, w->now += 100 * MS);
	}
	CHECK_EQ(atomic_load(&w->agent.hdr->live_us), 5 * MS);
	CHECK_EQ(live(w).h.mono_ns, w->now * 1000);
	uint64_t died = w->now;
	while (w->now < died + 11000 * MS)
		mlb_dp_live(w->dp, w->now += 100 * MS);
	CHECK_EQ(atomic_load(&w->agent.hdr->live_us), 0);
	CHECK(live(w).h.mono_ns < w->now * 1000);
	ask(w, 5 * MS); /* the next one */
	CHECK_EQ(mlb_dp_live(w->dp, w->now += 100 * MS), w->now + 20 * MS);
	CHECK_EQ(live(w).h.mono_ns, w->now * 1000);
	world_free(w);
}

TEST(peers_counts_that_contradict_themselves_change_nothing)
{
	struct world *w = world_new(1, 1, 4, true);
	struct mlb_worker *worker = mlb_dp_worker(w->dp, 0);
	struct peers m = { .h = { .entries = 1, .valid_us = 0 },
			   .e = { { .vip_id = w->vip, .server_id = 1, .flows = UINT32_MAX } } };
	ask(w, 1 * MS);
	world_run(w, 100 * MS, false);
	tell(w, &m);
	for (int i = 0; i < 4 && world_wvip(w, 0)->q[0] == 0; i++) { /* it holds for a millisecond only */
		world_run(w, 1 * MS, false);
		mlb_dp_worker_loop(w->dp, worker, w->now);
	}
	CHECK_NEAR(world_wvip(w, 0)->q[0], 1e7, 0);
	m.h = (struct mlb_peer_hdr){ .entries = MLB_DEFAULT_MAX_SERVERS + 1, .valid_us = 100 * MS };
	mlb_region_write(&w->agent, MLB_BLK_PEER, &m, sizeof(m));
	world_run(w, 8 * MS, false);
	mlb_dp_worker_loop(w->dp, worker, w->now);
	CHECK_NEAR(world_wvip(w, 0)->q[0], 0, 0);
	m.h.entries = 4;
	mlb_region_write(&w->agent, MLB_BLK_PEER, &m, sizeof(m.h) + sizeof(m.e[0]));
	world_run(w, 8 * MS, false);
	mlb_dp_worker_loop(w->dp, worker, w->now);
	CHECK_NEAR(world_wvip(w, 0)->q[0], 0, 0);
	world_free(w);
}

TEST(main_wakes_for_the_end_of_the_lease)
{
	struct world *w = world_make(1, 2, 8, true, true);
	struct vector x;
	main_step(w, 100 * MS); /* the first frame: a vector answers one */
	vector_make(w, &x, 2);
	vector_send(w, &x);
	main_step(w, 10 * MS);
	CHECK_EQ(world_effect(w).seq, x.v.seq);
	uint64_t end = w->now + 1000 * MS; /* the lease */
	for (uint64_t wait = 0; w->now + wait <= end;)
		wait = main_step(w, wait);
	CHECK(w->now + 100 * MS > end);
	uint64_t wait = main_step(w, 0);
	CHECK(w->now + wait <= end + 1);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[2];
	for (int i = 0; i < 2; i++)
		main_step(w, main_step(w, 0)); /* the moment itself, and the frame that tells */
	CHECK_EQ(world_frame(w, &h, r, 2), 2);
	CHECK_EQ(h.ladder, MLB_LADDER_STATIC_DP);
	world_free(w);
}

TEST(main_looks_every_10_ms_while_a_server_is_out)
{
	struct world *w = world_make(1, 4, 8, true, true);
	CHECK_EQ(main_step(w, 10 * MS), 90 * MS);
	mlb_dp_connect_result(w->dp, mlb_dp_worker(w->dp, 0), w->vip, 0, MLB_CONNECT_REFUSED, w->now, w->now);
	CHECK_EQ(main_step(w, 1 * MS), 10 * MS);
	world_free(w);
}

MLB_TEST_MAIN(CASE(nothing_is_published_while_nobody_reads), CASE(while_nothing_changes_it_looks_less_often),
	      CASE(live_counts_say_where_and_whose), CASE(main_publishes_every_10_ms),
	      CASE(a_worker_publishes_and_main_sleeps_until_the_frame), CASE(peers_counts_weigh_on_choice),
	      CASE(peers_counts_end_with_their_writer), CASE(nothing_is_published_for_a_reader_that_died),
	      CASE(peers_counts_that_contradict_themselves_change_nothing), CASE(main_wakes_for_the_end_of_the_lease),
	      CASE(main_looks_every_10_ms_while_a_server_is_out))
