/* SPDX-License-Identifier: Apache-2.0 */
/* What was in force is in force before the first new flow: after a crash, after a takeover, and while failover is away. */
#include "dp_world.h"

/* The order of these tests: server 1 masked, server 2 at half, the rest open; mode p2c by an override. */
static void order(struct world *w, uint32_t n, uint64_t term)
{
	struct vector x;
	world_run(w, 100 * MS, true);
	vector_make(w, &x, n);
	x.v.term = term;
	x.v.mode = term ? MLB_MODE_P2C : MLB_MODE_KEEP;
	x.v.load_balancers = term ? 3 : 1;
	if (term) {
		x.e[0].factor = 0;
		x.e[0].weight = 0;
		x.e[1].factor = .5f;
		x.e[1].weight = .1f;
		x.e[2].weight = .9f - (float)(n - 3) / (float)n;
	}
	vector_send(w, &x);
	mlb_dp_poll(w->dp, ++w->now, 0);
	CHECK_EQ(world_effect(w).refused, 0);
}

/* As a host starts: VIPs and servers of its configuration, in another order than before. */
static void configure(struct mlb_dp *dp, uint32_t n)
{
	char err[256];
	uint32_t id = 0;
	struct mlb_vip_conf c = world_vip_conf(8);
	CHECK_EQ(mlb_dp_vip_add(dp, &c, &id, err), 0);
	for (uint32_t i = n; i >= 1; i--) {
		struct mlb_endpoint e = world_ep(i);
		CHECK_EQ(mlb_dp_server_add(dp, id, &e, 1, NULL, err), 0);
	}
}

static const struct mlb_table *table_of(struct mlb_dp *dp)
{
	return atomic_load(&atomic_load(&mlb_dp_worker(dp, 0)->vip[0])->table);
}

static struct mlb_dp_conf conf_of(const char *path, bool takeover)
{
	return (struct mlb_dp_conf){ .region = { .path = path,
						 .instance = "test",
						 .dataplane = "test",
						 .dp_epoch = 5678,
						 .frame_us = 100 * MS,
						 .lease_us = 1000 * MS,
						 .takeover = takeover } };
}

/* A data plane that dies: its region stays behind, and its lock goes. */
static void die(struct world *w)
{
	char saved[160];
	snprintf(saved, sizeof(saved), "%s.saved", w->path);
	CHECK_EQ(link(w->path, saved), 0);
	mlb_dp_free(w->dp);
	w->dp = NULL;
	CHECK_EQ(rename(saved, w->path), 0);
}

static void check_order(struct mlb_dp *dp)
{
	const struct mlb_table *t = table_of(dp); /* slot i holds server 4 - i */
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	CHECK_EQ(t->mode, MLB_MODE_P2C);
	CHECK_NEAR(t->weight[3], 0, 0);
	CHECK_NEAR(t->weight[2], .1, 1e-5);
	CHECK_NEAR(t->weight[1], .65, 1e-5);
	CHECK_NEAR(t->weight[0], .25, 1e-5);
	CHECK_NEAR(t->kappa, 1.0 / 3, 1e-6);
	for (uint64_t now = 100 * MS; now <= 300 * MS; now += MS)
		while (mlb_dp_poll(dp, now, 0) == 0)
			;
	CHECK_EQ(mlb_dp_frame(dp, 1, &h, r, 8), 4);
	CHECK_EQ(h.term, 7);
	CHECK_EQ(h.ladder, MLB_LADDER_MODEL);
	CHECK_NEAR(r[3].factor, 0, 0);
	CHECK_NEAR(r[2].factor, .5, 0);
}

TEST(after_a_crash_the_last_order_is_in_force_before_the_first_flow)
{
	struct world *w = world_new(1, 4, 8, true);
	struct mlb_dp *next = NULL;
	order(w, 4, 7);
	world_run(w, 100 * MS, true);
	die(w);
	struct mlb_dp_conf c = conf_of(w->path, false);
	CHECK_EQ(mlb_dp_new(&next, &c, 1, w->err), 0);
	CHECK_EQ(mlb_dp_inherited(next), 1);
	configure(next, 4);
	check_order(next);
	mlb_dp_free(next);
	world_free(w);
}

/* The agent's last vector came after the last frame: it lies in msg_in, by ids that only the frame can explain. */
TEST(a_vector_that_no_frame_has_seen_counts_too)
{
	struct world *w = world_new(1, 4, 8, true);
	struct mlb_dp *next = NULL;
	struct vector x;
	order(w, 4, 7);
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 4);
	x.v.term = 8;
	x.v.mode = MLB_MODE_ALIAS;
	x.e[3].factor = x.e[3].weight = 0;
	vector_send(w, &x);
	die(w);
	struct mlb_dp_conf c = conf_of(w->path, false);
	CHECK_EQ(mlb_dp_new(&next, &c, 1, w->err), 0);
	configure(next, 4);
	CHECK_EQ(table_of(next)->mode, MLB_MODE_ALIAS);
	CHECK_NEAR(table_of(next)->weight[0], 0, 0);
	CHECK_NEAR(table_of(next)->weight[3], 1.0 / 3, 1e-5);
	mlb_dp_free(next);
	world_free(w);
}

TEST(a_takeover_hands_over_what_no_frame_says_yet)
{
	struct world *w = world_new(1, 4, 8, true);
	struct mlb_dp *next = NULL;
	struct mlb_endpoint third = world_ep(3);
	uint8_t state[4096];
	order(w, 4, 7);
	CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &third, true, w->err), 0);
	int64_t len = mlb_dp_export(w->dp, state, sizeof(state));
	CHECK(len > 0 && len == mlb_dp_export(w->dp, NULL, 0));
	CHECK_EQ(mlb_dp_export(w->dp, state, (uint64_t)len - 1), -EMSGSIZE);
	struct mlb_dp_conf c = conf_of(w->path, true);
	CHECK_EQ(mlb_dp_new(&next, &c, 1, w->err), 0);
	CHECK_EQ(mlb_dp_inherit(next, state, (uint64_t)len, w->err), 0);
	configure(next, 4);
	CHECK_EQ(mlb_dp_inherit(next, state, (uint64_t)len, w->err), -EBUSY);
	CHECK_EQ(mlb_dp_server_at(next, 1, 1)->flags, MLB_SRV_MEMBER | MLB_SRV_DRAINING);
	CHECK_NEAR(table_of(next)->weight[1], 0, 0);
	CHECK_NEAR(table_of(next)->weight[3], 0, 0);
	CHECK(table_of(next)->weight[0] > 0);
	mlb_dp_free(next);
	world_free(w);
}

TEST(bytes_that_make_no_sense_are_refused)
{
	struct world *w = world_new(1, 4, 8, false);
	struct mlb_dp *next = NULL;
	struct mlb_dp_conf c = { .no_region = true, .region = { .frame_us = 100 * MS } };
	uint8_t state[4096], bad[4096];
	struct mlb_rng rng;
	uint32_t refused = 0;
	int64_t len = mlb_dp_export(w->dp, state, sizeof(state));
	mlb_rng_seed(&rng, 1);
	CHECK_EQ(mlb_dp_new(&next, &c, 1, w->err), 0);
	for (int64_t cut = 0; cut < len; cut++)
		CHECK_EQ(mlb_dp_inherit(next, state, (uint64_t)cut, w->err), -EPROTO);
	for (uint32_t i = 0; i < 2000; i++) {
		memcpy(bad, state, (size_t)len);
		for (uint32_t k = 0; k < 3; k++)
			bad[mlb_rng_below(&rng, (uint32_t)len)] = (uint8_t)mlb_rng_next(&rng);
		refused += mlb_dp_inherit(next, bad, (uint64_t)len, w->err) != 0;
	}
	CHECK(refused > 1000);
	configure(next, 4);
	CHECK(table_of(next)->eligible > 0);
	mlb_dp_free(next);
	world_free(w);
}

/* term 0: composed without a directive. What the last directive masked stays masked; the next directive decides anew. */
TEST(a_vector_without_a_directive_loosens_no_mask)
{
	struct world *w = world_new(1, 4, 8, true);
	order(w, 4, 7);
	order(w, 4, 0);
	const struct mlb_table *t = world_table(w);
	CHECK_NEAR(t->weight[0], 0, 0);
	CHECK_NEAR(t->weight[1], .5 / 2.5, 1e-5);
	CHECK_NEAR(t->weight[2], 1 / 2.5, 1e-5);
	CHECK_NEAR(t->kappa, 1.0 / 3, 1e-6);
	CHECK_EQ(t->mode, MLB_MODE_P2C);
	struct vector x;
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 4);
	x.v.term = 8;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_NONE);
	CHECK_NEAR(world_table(w)->weight[0], .25, 1e-5);
	CHECK_EQ(world_table(w)->mode, MLB_MODE_SED);
	world_free(w);
}

/* What a VIP had before a restart ends with it, and with a directive: a server that is added later starts as any other. */
TEST(what_was_before_ends_with_the_vip_and_with_a_directive)
{
	struct world *w = world_new(1, 4, 8, true);
	struct mlb_dp *next = NULL;
	order(w, 4, 7);
	world_run(w, 100 * MS, true);
	die(w);
	struct mlb_dp_conf c = conf_of(w->path, false);
	CHECK_EQ(mlb_dp_new(&next, &c, 1, w->err), 0);
	configure(next, 4);
	struct mlb_endpoint first = world_ep(1);
	CHECK_EQ(mlb_dp_server_del(next, 1, &first, w->err), 0);
	mlb_dp_poll(next, 100 * MS, 0);
	CHECK_EQ(mlb_dp_server_add(next, 1, &first, 1, NULL, w->err), 0);
	CHECK(table_of(next)->weight[3] > 0); /* removed and added: a new server */
	CHECK_EQ(mlb_dp_vip_del(next, 1, w->err), 0);
	mlb_dp_poll(next, 101 * MS, 0);
	mlb_dp_poll(next, 102 * MS, 0);
	configure(next, 4);
	CHECK_EQ(table_of(next)->mode, MLB_MODE_SED);
	CHECK_NEAR(table_of(next)->weight[3], .25, 1e-6);
	mlb_dp_free(next);
	world_free(w);
}

MLB_TEST_MAIN(CASE(after_a_crash_the_last_order_is_in_force_before_the_first_flow),
	      CASE(a_vector_that_no_frame_has_seen_counts_too), CASE(a_takeover_hands_over_what_no_frame_says_yet),
	      CASE(bytes_that_make_no_sense_are_refused), CASE(a_vector_without_a_directive_loosens_no_mask),
	      CASE(what_was_before_ends_with_the_vip_and_with_a_directive))
