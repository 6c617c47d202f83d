/* SPDX-License-Identifier: Apache-2.0 */
/* Mode hash: who takes new flows there is decided by masks and drains as in every mode; how many, by static weights alone. */
#include "dp_world.h"
#include "marllb/choose.h"

#define FLOWS 2000u

/* New flows, or packets of unknown flows, by slot. */
static void spread(const struct mlb_ring *ring, uint32_t *count, uint32_t slots)
{
	memset(count, 0, slots * sizeof(*count));
	for (uint64_t i = 0; i < FLOWS; i++) {
		uint32_t s = mlb_ring_lookup(ring, i * UINT64_C(0x9e3779b97f4a7c15), NULL);
		CHECK(s < slots);
		count[s]++;
	}
}

/* A vector that gives slot 0 the factor and slot i > 0 a share that only the other modes heed. */
static void order(struct world *w, float factor)
{
	struct vector x;
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 4);
	x.e[0].factor = factor;
	x.e[0].weight = factor * .1f;
	x.e[1].weight = .9f - x.e[0].weight;
	x.e[2].weight = x.e[3].weight = .05f;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
}

TEST(a_masked_server_takes_no_new_flow_in_mode_hash)
{
	struct world *w = world_new(1, 4, 8, true);
	uint32_t before[4], n[4];
	CHECK_EQ(mlb_dp_set_mode(w->dp, w->vip, MLB_MODE_HASH, w->err), 0);
	order(w, 1);
	spread(world_table(w)->ring, before, 4);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_NEAR(before[i], FLOWS / 4, FLOWS / 10); /* by static weights, whatever the shares */
	order(w, 0);
	spread(world_table(w)->ring, n, 4);
	CHECK_EQ(n[0], 0);
	spread(world_table(w)->miss_ring, n, 4);
	CHECK_EQ(n[0], before[0]); /* packets of its old flows still find it */
	order(w, .01f);
	spread(world_table(w)->ring, n, 4);
	CHECK_EQ(n[0], before[0]); /* a factor between 0 and 1 does not act here */
	world_free(w);
}

TEST(the_lookup_table_is_built_again_only_for_other_servers)
{
	struct world *w = world_new(1, 4, 8, true);
	CHECK(world_table(w)->ring == NULL); /* nobody looks new flows up by hash */
	CHECK_EQ(mlb_dp_set_mode(w->dp, w->vip, MLB_MODE_HASH, w->err), 0);
	order(w, .5f);
	const struct mlb_ring *ring = world_table(w)->ring, *miss = world_table(w)->miss_ring;
	CHECK(ring == miss); /* all members are open: one table serves both */
	order(w, 1);
	CHECK(world_table(w)->ring == ring);
	order(w, 0);
	CHECK(world_table(w)->ring != ring);
	CHECK(world_table(w)->miss_ring == miss);
	ring = world_table(w)->ring;
	order(w, 0);
	CHECK(world_table(w)->ring == ring);
	world_free(w);
}

/* The masks stand on the ladder's last step, and a pool that is masked or drained whole is open whole. */
TEST(masks_in_mode_hash_without_the_agent_and_without_servers)
{
	struct world *w = world_new(1, 4, 8, true);
	uint32_t n[4];
	CHECK_EQ(mlb_dp_set_mode(w->dp, w->vip, MLB_MODE_HASH, w->err), 0);
	order(w, 0);
	world_run(w, 1200 * MS, false);
	spread(world_table(w)->ring, n, 4);
	CHECK_EQ(n[0], 0);
	for (uint32_t i = 2; i <= 4; i++) {
		struct mlb_endpoint e = world_ep(i);
		CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &e, true, w->err), 0);
	}
	spread(world_table(w)->ring, n, 4);
	CHECK_EQ(n[0], FLOWS); /* masked, but the only one that does not drain */
	struct mlb_endpoint first = world_ep(1);
	CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &first, true, w->err), 0);
	spread(world_table(w)->ring, n, 4);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(n[i] > 0);
	world_free(w);
}

/* All flows were pinned on one server, and the data plane's own list drains it: a masked one does not take its place. */
TEST(a_drain_of_the_only_pinned_server_leaves_masks_in_force)
{
	struct world *w = world_new(1, 3, 8, true);
	struct vector x;
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 3);
	x.e[0].weight = 1;
	x.e[1].weight = x.e[2].weight = 0;
	x.e[1].factor = 0;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
	struct mlb_endpoint first = world_ep(1);
	CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &first, true, w->err), 0);
	const struct mlb_table *t = world_table(w);
	CHECK(t->weight[0] == 0 && t->weight[1] == 0 && t->weight[2] == 1);
	world_free(w);
}

/* An operator's order is a share of the new flows in every mode; a policy's vector afterwards is again what the mode makes of it.
 */
TEST(pinned_shares_are_drawn_in_every_mode)
{
	static const float pin[4] = { .7f, .2f, .1f, 0 };
	for (int mode = MLB_MODE_HASH; mode <= MLB_MODE_P2C; mode++) {
		struct world *w = world_new(1, 4, 8, true);
		struct vector x;
		uint32_t n[4] = { 0 };
		CHECK_EQ(mlb_dp_set_mode(w->dp, w->vip, (enum mlb_mode)mode, w->err), 0);
		world_run(w, 100 * MS, true);
		vector_make(w, &x, 4);
		for (uint32_t i = 0; i < 4; i++)
			x.e[i].weight = pin[i];
		x.v.exact = 1;
		CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
		const struct mlb_table *t = world_table(w);
		CHECK_EQ(t->mode, mode == MLB_MODE_HASH ? MLB_MODE_HASH : MLB_MODE_ALIAS);
		struct mlb_rng rng = { { 1, 2 } };
		float q[8] = { 0 }; /* nobody has flows: SED would take the heaviest each time */
		uint64_t hash = 7;
		for (uint32_t i = 0; i < 100000; i++)
			n[mlb_choose(t, q, &rng, mlb_splitmix64(&hash))]++;
		for (uint32_t i = 0; i < 4; i++)
			CHECK_NEAR(n[i], pin[i] * 100000, 3.5 * sqrt(pin[i] * 100000));
		const struct mlb_ring *ring = t->ring;
		x.v.seq = ++w->seq;
		CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
		CHECK(world_table(w)->ring == ring); /* the same order builds nothing anew */
		x.v.exact = 0;
		x.v.seq = ++w->seq;
		CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
		CHECK_EQ(world_table(w)->mode, mode);
		world_free(w);
	}
}

TEST(pinned_shares_stay_pinned_over_a_takeover)
{
	struct world *w = world_new(1, 2, 4, true);
	struct vector x;
	static uint64_t state[4096];
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 2);
	x.v.exact = 1;
	x.v.term = 3;
	x.e[0].weight = .9f;
	x.e[1].weight = .1f;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
	int64_t size = mlb_dp_export(w->dp, state, sizeof(state));
	CHECK(size > 0);
	struct mlb_dp_conf c = { .region = { .dp_epoch = 99, .frame_us = 100 * MS, .lease_us = 1000 * MS },
				 .no_region = true,
				 .seed = 2 };
	struct mlb_dp *next;
	uint32_t vip, id;
	CHECK_EQ(mlb_dp_new(&next, &c, 1, w->err), 0);
	CHECK_EQ(mlb_dp_inherit(next, state, (uint64_t)size, w->err), 0);
	struct mlb_vip_conf vc = world_vip_conf(4);
	CHECK_EQ(mlb_dp_vip_add(next, &vc, &vip, w->err), 0);
	for (uint32_t i = 1; i <= 2; i++) {
		struct mlb_endpoint e = world_ep(i);
		CHECK_EQ(mlb_dp_server_add(next, vip, &e, 1, &id, w->err), 0);
	}
	mlb_dp_poll(next, w->now, 0);
	const struct mlb_table *t = atomic_load(&((struct mlb_wvip *)atomic_load(&mlb_dp_worker(next, 0)->vip[vip - 1]))->table);
	CHECK_EQ(t->mode, MLB_MODE_ALIAS);
	CHECK_NEAR(t->weight[0], .9, 1e-5);
	mlb_dp_free(next);
	world_free(w);
}

MLB_TEST_MAIN(CASE(pinned_shares_are_drawn_in_every_mode), CASE(pinned_shares_stay_pinned_over_a_takeover),
	      CASE(a_drain_of_the_only_pinned_server_leaves_masks_in_force), CASE(a_masked_server_takes_no_new_flow_in_mode_hash),
	      CASE(the_lookup_table_is_built_again_only_for_other_servers),
	      CASE(masks_in_mode_hash_without_the_agent_and_without_servers))
