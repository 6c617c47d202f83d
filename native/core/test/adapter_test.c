/* SPDX-License-Identifier: Apache-2.0 */
/* An outside load balancer behind the core: weights go out by the hook, counts come in by mlb_ev_import, and the frame cannot
 * tell the difference. The outside one here deals its flows by its shares, as its kind does, and counts them since its start. */
#include "dp_world.h"
#include "marllb/worker_import.h"

#define SERVERS 4

struct outside {
	float share[SERVERS];
	uint32_t told;
	/* Its own counters, since its start. */
	uint32_t flows[SERVERS];
	uint64_t total[SERVERS], done[SERVERS], refused[SERVERS];
};

struct adapter {
	struct world *w;
	struct outside out;
	uint64_t total[SERVERS], done[SERVERS], refused[SERVERS]; /* as of the last import */
};

static void weights(void *arg, uint32_t vip_id, const float *share, uint32_t n)
{
	struct adapter *a = arg;
	CHECK_EQ(vip_id, 1);
	a->out.told++;
	for (uint32_t i = 0; i < n && i < SERVERS; i++)
		a->out.share[i] = share[i];
}

static void adapter_init(struct adapter *a, uint32_t servers)
{
	*a = (struct adapter){ .w = world_new(1, 0, 8, false) };
	struct mlb_dp_hooks hooks = { .arg = a, .weights = weights };
	mlb_dp_set_hooks(a->w->dp, &hooks);
	for (uint32_t i = 1; i <= servers; i++) {
		struct mlb_endpoint e = world_ep(i);
		CHECK_EQ(mlb_dp_server_add(a->w->dp, a->w->vip, &e, (float)i, NULL, a->w->err), 0);
	}
	world_run(a->w, 100 * MS, false);
}

/* The outside load balancer gets n flows, and all but those that it keeps end. */
static void outside_serves(struct outside *o, uint32_t n, uint32_t keep)
{
	for (uint32_t i = 0; i < SERVERS; i++) {
		uint32_t got = (uint32_t)((float)n * o->share[i] + .5f), stay = got < keep ? got : keep;
		o->total[i] += got;
		o->done[i] += o->flows[i] + got - stay;
		o->flows[i] = stay;
	}
}

static int import(struct adapter *a, uint32_t i)
{
	struct mlb_counts c = { .flows = a->out.flows[i], .new_flows = a->out.total[i] - a->total[i] };
	c.ended[MLB_END_COMPLETED] = a->out.done[i] - a->done[i];
	c.ended[MLB_END_REFUSED] = a->out.refused[i] - a->refused[i];
	a->total[i] = a->out.total[i];
	a->done[i] = a->out.done[i];
	a->refused[i] = a->out.refused[i];
	return mlb_ev_import(world_wvip(a->w, 0), i, &c, a->w->now);
}

TEST(shares_go_out_at_each_change)
{
	struct adapter a;
	adapter_init(&a, 4);
	for (uint32_t i = 0; i < SERVERS; i++)
		CHECK_NEAR(a.out.share[i], (float)(i + 1) / 10, 1e-6);
	uint32_t told = a.out.told;
	world_run(a.w, 100 * MS, false);
	CHECK_EQ(a.out.told, told);

	struct vector x;
	vector_make(a.w, &x, 4);
	x.e[0] = (struct mlb_in_entry){ .server_id = 1, .factor = 0 };
	x.e[1].weight = .5f;
	CHECK_EQ(mlb_dp_apply(a.w->dp, &x.v, x.e), MLB_REFUSE_NONE);
	CHECK(a.out.told > told);
	CHECK_NEAR(a.out.share[0], 0, 1e-6);
	CHECK_NEAR(a.out.share[1], .5, 1e-6);
	CHECK_NEAR(a.out.share[2], .25, 1e-6);

	struct mlb_endpoint e = world_ep(2);
	CHECK_EQ(mlb_dp_server_drain(a.w->dp, a.w->vip, &e, true, a.w->err), 0);
	CHECK_NEAR(a.out.share[1], 0, 1e-6);
	CHECK_NEAR(a.out.share[3], .5, 1e-6);
	world_free(a.w);
}

TEST(counts_come_in_and_the_frame_holds_them)
{
	struct adapter a;
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[SERVERS];
	adapter_init(&a, 4);
	uint64_t begin = a.w->now;
	for (int round = 0; round < 10; round++) {
		outside_serves(&a.out, 100, 5);
		for (uint32_t i = 0; i < SERVERS; i++)
			CHECK_EQ(import(&a, i), 0);
		world_run(a.w, 100 * MS, false);
	}
	CHECK_EQ(world_frame(a.w, &h, r, SERVERS), 4);
	for (uint32_t i = 0; i < SERVERS; i++) {
		CHECK_EQ(r[i].new_flows, a.out.total[i]);
		CHECK_EQ(r[i].completions, a.out.done[i]);
		CHECK_EQ(r[i].flows, 5);
		/* Five flows all the time. */
		CHECK_NEAR((double)r[i].flow_us, 5.0 * (double)(a.w->now - begin), 5.0 * 100 * MS + 1);
		/* Their starts: between the first and the last import. */
		CHECK(r[i].start_sum_us >= 5 * begin && r[i].start_sum_us <= 5 * a.w->now);
	}
	/* The choice sees them too, should anybody ask. */
	CHECK_NEAR(world_wvip(a.w, 0)->q[3], 5, 1e-6);
	world_free(a.w);
}

TEST(counts_that_contradict_each_other_are_refused_whole)
{
	struct adapter a;
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[SERVERS];
	adapter_init(&a, 4);
	struct mlb_wvip *v = world_wvip(a.w, 0);
	struct mlb_counts good = { .flows = 3, .waiting = 1, .new_flows = 4, .answers = 2 };
	good.ended[MLB_END_COMPLETED] = 1;
	CHECK_EQ(mlb_ev_import(v, 0, &good, a.w->now), 0);
	struct mlb_counts more = { .flows = 4 }, gone = { .flows = 2 }, waits = { .flows = 3, .waiting = 4 };
	CHECK_EQ(mlb_ev_import(v, 0, &more, a.w->now), -EINVAL);
	CHECK_EQ(mlb_ev_import(v, 0, &gone, a.w->now), -EINVAL);
	CHECK_EQ(mlb_ev_import(v, 0, &waits, a.w->now), -EINVAL);
	/* A refused connect was never open. */
	struct mlb_counts refused = { .flows = 3 };
	refused.ended[MLB_END_REFUSED] = 7;
	CHECK_EQ(mlb_ev_import(v, 0, &refused, a.w->now), 0);
	world_run(a.w, 200 * MS, false);
	CHECK_EQ(world_frame(a.w, &h, r, SERVERS), 4);
	CHECK_EQ(r[0].flows, 3);
	CHECK_EQ(r[0].new_flows, 4);
	CHECK_EQ(r[0].refusals, 7);
	CHECK_EQ(r[0].answers, 2);
	world_free(a.w);
}

MLB_TEST_MAIN(CASE(shares_go_out_at_each_change), CASE(counts_come_in_and_the_frame_holds_them),
	      CASE(counts_that_contradict_each_other_are_refused_whole))
