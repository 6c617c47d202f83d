/* SPDX-License-Identifier: Apache-2.0 */
/* Weight vectors through the region: applied, refused with the reason, last good kept; the lease and the static step. */
#include "dp_world.h"

static void check_weights(struct world *w, const float *want, uint32_t n)
{
	const struct mlb_table *t = world_table(w);
	for (uint32_t i = 0; i < n; i++)
		CHECK_NEAR(t->weight[i], want[i], 1e-6);
}

TEST(starts_with_static_weights)
{
	struct world *w = world_new(1, 4, 8, true);
	const float even[4] = { .25f, .25f, .25f, .25f };
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	check_weights(w, even, 4);
	world_run(w, 100 * MS, false);
	CHECK_EQ(world_frame(w, &h, r, 8), 4);
	CHECK_EQ(h.ladder, MLB_LADDER_STATIC_DP);
	CHECK_EQ(h.generation, 4);
	CHECK_NEAR(h.kappa, 1, 0);
	world_free(w);
}

TEST(vector_takes_effect_and_says_so)
{
	struct world *w = world_new(1, 4, 8, true);
	struct vector x;
	world_run(w, 100 * MS, false);
	vector_make(w, &x, 4);
	const float want[4] = { .4f, .3f, .2f, .1f };
	for (int i = 0; i < 4; i++) {
		x.e[i].weight = want[i];
		x.e[i].bias = (float)i;
	}
	x.v.kappa = .5f;
	x.v.load_balancers = 3;
	x.v.load_balancer = 2;
	x.v.mode = MLB_MODE_ALIAS;
	x.v.term = 9;
	x.v.frame_seq = 1;
	vector_send(w, &x);
	mlb_dp_poll(w->dp, w->now += 10, 0);
	check_weights(w, want, 4);
	CHECK_NEAR(world_table(w)->add[3], 3.5, 1e-6);
	CHECK_EQ(world_table(w)->mode, MLB_MODE_ALIAS);
	struct mlb_effect e = world_effect(w);
	CHECK_EQ(e.seq, 1);
	CHECK_EQ(e.frame_seq, 1);
	CHECK_EQ(e.applied, 1);
	CHECK_EQ(e.swap_ns, w->now * 1000);
	CHECK_EQ(e.all_ns, w->now * 1000); /* its worker is idle */
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	world_run(w, 100 * MS, false);
	CHECK_EQ(world_frame(w, &h, r, 8), 4);
	CHECK_EQ(h.applied_seq, 1);
	CHECK_EQ(h.term, 9);
	CHECK_EQ(h.load_balancers, 3);
	CHECK_EQ(h.load_balancer, 2);
	CHECK_EQ(h.ladder, MLB_LADDER_MODEL);
	CHECK_NEAR(r[0].weight, .4, 1e-6);
	CHECK_NEAR(r[2].bias, 2, 0);
	world_free(w);
}

/* Sends a vector of this term that says this mode; returns the mode that is in effect then. */
static uint32_t mode_after(struct world *w, uint64_t term, uint8_t says)
{
	struct vector x;
	vector_make(w, &x, 2);
	x.v.term = term;
	x.v.mode = says;
	vector_send(w, &x);
	mlb_dp_poll(w->dp, w->now += 10, 0);
	CHECK_EQ(world_effect(w).seq, x.v.seq);
	return world_table(w)->mode;
}

TEST(an_overrides_mode_ends_with_it)
{
	struct world *w = world_new(1, 2, 8, true);
	char err[256];
	world_run(w, 100 * MS, false);
	CHECK_EQ(mode_after(w, 1, MLB_MODE_KEEP), MLB_MODE_SED);
	CHECK_EQ(mode_after(w, 2, MLB_MODE_P2C), MLB_MODE_P2C);
	CHECK_EQ(mode_after(w, 0, MLB_MODE_KEEP), MLB_MODE_P2C); /* an agent that has not heard the order yet */
	CHECK_EQ(mode_after(w, 3, MLB_MODE_P2C), MLB_MODE_P2C);
	CHECK_EQ(mode_after(w, 3, MLB_MODE_KEEP), MLB_MODE_P2C); /* of the same order */
	CHECK_EQ(mode_after(w, 4, MLB_MODE_KEEP), MLB_MODE_SED);
	/* What the operator sets is what it comes back to. */
	CHECK_EQ(mlb_dp_set_mode(w->dp, w->vip, MLB_MODE_ALIAS, err), 0);
	CHECK_EQ(mode_after(w, 5, MLB_MODE_KEEP), MLB_MODE_ALIAS);
	CHECK_EQ(mode_after(w, 6, MLB_MODE_P2C), MLB_MODE_P2C);
	CHECK_EQ(mode_after(w, 7, MLB_MODE_KEEP), MLB_MODE_ALIAS);
	world_free(w);
}

TEST(all_passed_only_when_every_worker_has)
{
	struct world *w = world_new(2, 2, 8, true);
	struct vector x;
	world_run(w, 100 * MS, false);
	mlb_dp_worker_loop(w->dp, mlb_dp_worker(w->dp, 0), w->now);
	mlb_dp_worker_loop(w->dp, mlb_dp_worker(w->dp, 1), w->now);
	vector_make(w, &x, 2);
	vector_send(w, &x);
	uint64_t swap = w->now += 10;
	mlb_dp_poll(w->dp, w->now, 0);
	CHECK_EQ(world_effect(w).seq, 1);
	CHECK_EQ(world_effect(w).all_ns, 0);
	mlb_dp_worker_loop(w->dp, mlb_dp_worker(w->dp, 0), w->now);
	mlb_dp_poll(w->dp, w->now += 10, 0);
	CHECK_EQ(world_effect(w).all_ns, 0);
	mlb_dp_worker_loop(w->dp, mlb_dp_worker(w->dp, 1), w->now + 3);
	mlb_dp_poll(w->dp, w->now += 10, 0);
	CHECK_EQ(world_effect(w).all_ns, (w->now - 7) * 1000); /* when it passed, not when main saw it */
	CHECK_EQ(world_effect(w).swap_ns, swap * 1000);
	world_free(w);
}

/* How a right vector of four servers is spoilt. */
static void spoil(struct vector *x, enum mlb_refuse why, int variant)
{
	switch (why) {
	case MLB_REFUSE_NOT_FINITE:
		*(variant == 0 ? &x->e[1].weight :
		  variant == 1 ? &x->e[1].factor :
		  variant == 2 ? &x->e[1].bias :
				 &x->v.kappa) = variant & 1 ? INFINITY : NAN;
		break;
	case MLB_REFUSE_NEGATIVE:
		*(variant == 0 ? &x->e[1].weight : variant == 1 ? &x->e[1].factor : &x->v.kappa) = -1e-6f;
		break;
	case MLB_REFUSE_ALL_ZERO:
		for (int i = 0; i < 4; i++)
			x->e[i].weight = 0;
		break;
	case MLB_REFUSE_OUT_OF_RANGE:
		if (variant == 0)
			x->e[0].weight = 1.5f;
		else if (variant == 1)
			x->e[0].factor = 1.5f;
		else if (variant == 2)
			x->v.ladder = 200;
		else
			x->v.state = 17;
		break;
	case MLB_REFUSE_LENGTH:
		if (variant == 0)
			x->v.count = 3;
		else if (variant == 1)
			x->v.count = 5;
		else if (variant == 2)
			x->v.first = UINT32_MAX;
		else
			x->v.count = 0;
		break;
	case MLB_REFUSE_EPOCH: *(variant == 0 ? &x->v.dp_epoch : &x->v.agent_epoch) += 1; break;
	case MLB_REFUSE_VIP: x->v.birth += variant ? 1u : (uint64_t)-1; break;
	case MLB_REFUSE_GENERATION: x->v.generation += variant ? 1u : (uint32_t)-1; break;
	case MLB_REFUSE_STALE:
		x->v.seq = 11; /* that of the vector in effect */
		break;
	case MLB_REFUSE_SERVER: x->e[3].server_id = variant == 0 ? 0 : variant == 1 ? 1 : 99; break;
	default: x->v.mode = 77;
	}
}

TEST(bad_vectors_are_refused_counted_and_change_nothing)
{
	static const struct {
		enum mlb_refuse why;
		int variants;
	} t[] = { { MLB_REFUSE_NOT_FINITE, 4 },   { MLB_REFUSE_NEGATIVE, 3 },   { MLB_REFUSE_ALL_ZERO, 1 },
		  { MLB_REFUSE_OUT_OF_RANGE, 4 }, { MLB_REFUSE_LENGTH, 4 },     { MLB_REFUSE_EPOCH, 2 },
		  { MLB_REFUSE_VIP, 2 },          { MLB_REFUSE_GENERATION, 2 }, { MLB_REFUSE_STALE, 1 },
		  { MLB_REFUSE_SERVER, 3 },       { MLB_REFUSE_MODE, 1 } };
	struct world *w = world_new(1, 4, 8, true);
	struct vector x;
	world_run(w, 100 * MS, false);
	const float good[4] = { .7f, .1f, .1f, .1f };
	w->seq = 10;
	vector_make(w, &x, 4);
	for (int i = 0; i < 4; i++)
		x.e[i].weight = good[i];
	vector_send(w, &x);
	mlb_dp_poll(w->dp, ++w->now, 0);
	uint64_t refused = 0;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (int k = 0; k < t[i].variants; k++) {
			vector_make(w, &x, 4);
			spoil(&x, t[i].why, k);
			vector_send(w, &x);
			mlb_dp_poll(w->dp, ++w->now, 0);
			CHECK_EQ(world_effect(w).last_refusal, t[i].why);
			CHECK_EQ(world_effect(w).refused, ++refused);
			CHECK_EQ(world_effect(w).applied, 1);
			check_weights(w, good, 4);
			mlb_dp_poll(w->dp, ++w->now, 0);
			CHECK_EQ(world_effect(w).refused, refused); /* once */
		}
		struct mlb_frame_hdr h;
		struct mlb_server_rec r[8];
		world_run(w, 200 * MS, true);
		world_frame(w, &h, r, 8);
		CHECK_EQ(h.refused[t[i].why], t[i].variants);
	}
	vector_make(w, &x, 4);
	vector_send(w, &x);
	mlb_dp_poll(w->dp, ++w->now, 0);
	CHECK_EQ(world_effect(w).applied, 2);
	world_free(w);
}

/* Ids of servers that have left may be named, but not so often that looking for them keeps main from everything else. */
TEST(a_vector_that_goes_on_and_on_is_refused)
{
	static struct {
		struct mlb_in_hdr h;
		struct mlb_in_vip v;
		struct mlb_in_entry e[MLB_MAX_SERVERS_PER_VIP + 1];
	} y;
	struct world *w = world_new(1, 5, 8, true);
	struct vector x;
	struct mlb_endpoint gone = world_ep(5);
	CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &gone, w->err), 0);
	world_run(w, 200 * MS, true);
	for (uint32_t n = MLB_MAX_SERVERS_PER_VIP; n <= MLB_MAX_SERVERS_PER_VIP + 1; n++) {
		vector_make(w, &x, 4);
		y.h = x.h;
		y.v = x.v;
		memcpy(y.e, x.e, 4 * sizeof(x.e[0]));
		for (uint32_t i = 4; i < n; i++)
			y.e[i] = (struct mlb_in_entry){ .server_id = 5 };
		y.h.entries = y.v.count = n;
		CHECK_EQ(mlb_region_write(&w->agent, MLB_BLK_IN, &y, sizeof(y.h) + sizeof(y.v) + n * sizeof(y.e[0])), 0);
		mlb_dp_poll(w->dp, ++w->now, 0);
		CHECK_EQ(world_effect(w).applied, 1);
	}
	CHECK_EQ(world_effect(w).last_refusal, MLB_REFUSE_LENGTH);
	world_free(w);
}

TEST(other_vips_vectors_in_a_message_count_once)
{
	struct world *w = world_new(1, 4, 8, true);
	struct vector x;
	world_run(w, 100 * MS, false);
	vector_make(w, &x, 4);
	x.e[0].weight = NAN;
	for (int i = 0; i < 5; i++) {
		vector_send(w, &x);
		mlb_dp_poll(w->dp, ++w->now, 0);
	}
	CHECK_EQ(world_effect(w).refused, 1);
	world_free(w);
}

TEST(messages_that_contradict_themselves)
{
	struct world *w = world_new(1, 4, 8, true);
	struct vector x;
	world_run(w, 100 * MS, false);
	vector_make(w, &x, 4);
	x.h.vips = MLB_DEFAULT_MAX_VIPS + 1;
	vector_send(w, &x);
	mlb_dp_poll(w->dp, ++w->now, 0);
	x.h.vips = 1;
	x.h.entries = 4096; /* more than are there */
	mlb_msg_write(w->agent.blk[MLB_BLK_IN].msg, w->agent.blk[MLB_BLK_IN].base, w->agent.blk[MLB_BLK_IN].buf_size, &x, 200);
	mlb_dp_poll(w->dp, ++w->now, 0);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	world_run(w, 100 * MS, false);
	world_frame(w, &h, r, 8);
	CHECK_EQ(h.refused[MLB_REFUSE_VIP], 2);
	CHECK_EQ(h.applied_seq, 0);
	world_free(w);
}

TEST(lease_runs_out_to_static_with_the_masks_kept)
{
	struct world *w = world_new(1, 3, 8, true);
	struct vector x;
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 3);
	x.e[0] = (struct mlb_in_entry){ 1, .9f, 1, 2, 0, 0 };
	x.e[1] = (struct mlb_in_entry){ 2, .1f, .5f, 0, 0, 0 };
	x.e[2] = (struct mlb_in_entry){ 3, 0, 0, 0, 0, 0 };
	x.v.mode = MLB_MODE_P2C;
	vector_send(w, &x);
	world_run(w, 2000 * MS, true);
	const float sent[3] = { .9f, .1f, 0 }, fallback[3] = { 2 / 3.f, 1 / 3.f, 0 };
	check_weights(w, sent, 3);
	world_run(w, 990 * MS, false);
	check_weights(w, sent, 3);
	world_run(w, 120 * MS, false);
	check_weights(w, fallback, 3);
	world_frame(w, &h, r, 8);
	CHECK_EQ(h.ladder, MLB_LADDER_STATIC_DP);
	CHECK_EQ(h.mode, MLB_MODE_P2C);
	CHECK_NEAR(world_table(w)->add[0], 1, 1e-6); /* default kappa, no bias */
	/* climbs by itself with the next vector */
	x.v.seq = ++w->seq;
	vector_send(w, &x);
	world_run(w, 100 * MS, true);
	check_weights(w, sent, 3);
	world_free(w);
}

TEST(an_operators_weights_outlive_the_lease)
{
	struct world *w = world_new(1, 3, 8, true);
	struct vector x;
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	const float ordered[3] = { .75f, 0, .25f }, policy[3] = { .5f, .25f, .25f };
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 3);
	x.v.exact = 1;
	x.v.term = 7;
	for (int i = 0; i < 3; i++)
		x.e[i].weight = ordered[i];
	vector_send(w, &x);
	world_run(w, 5000 * MS, false);
	check_weights(w, ordered, 3);
	world_frame(w, &h, r, 8);
	CHECK_EQ(h.term, 7);
	/* what is no order any more has a lease again */
	x.v.exact = 0;
	x.v.seq = ++w->seq;
	for (int i = 0; i < 3; i++)
		x.e[i].weight = policy[i];
	vector_send(w, &x);
	world_run(w, 100 * MS, true);
	check_weights(w, policy, 3);
	world_run(w, 1200 * MS, false);
	world_frame(w, &h, r, 8);
	CHECK_EQ(h.ladder, MLB_LADDER_STATIC_DP);
	world_free(w);
}

TEST(all_masked_means_all_eligible)
{
	struct world *w = world_new(1, 3, 8, true);
	struct vector x;
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 3);
	for (int i = 0; i < 3; i++)
		x.e[i].factor = 0; /* the agent's envelope has made the weights those of all */
	vector_send(w, &x);
	world_run(w, 1300 * MS, false);
	const float even[3] = { 1 / 3.f, 1 / 3.f, 1 / 3.f };
	check_weights(w, even, 3);
	CHECK_EQ(world_table(w)->eligible, 3);
	world_free(w);
}

TEST(next_agent_goes_on_above_the_last)
{
	struct world *w = world_new(1, 2, 8, true);
	struct vector x;
	world_run(w, 100 * MS, true);
	w->seq = 1000;
	vector_make(w, &x, 2);
	vector_send(w, &x);
	world_run(w, 2 * MS, true);
	mlb_region_close(&w->agent, false);
	CHECK_EQ(mlb_region_attach(&w->agent, w->path, w->err), 0);
	w->agent_epoch = atomic_load(&w->agent.hdr->agent_epoch);
	CHECK_EQ(w->agent_epoch, 2);
	w->seq = 0;
	vector_make(w, &x, 2);
	x.e[0].weight = .8f;
	x.e[1].weight = .2f;
	vector_send(w, &x);
	world_run(w, 2 * MS, true);
	CHECK_EQ(world_effect(w).applied, 2);
	CHECK_NEAR(world_table(w)->weight[0], .8, 1e-6);
	world_free(w);
}

MLB_TEST_MAIN(CASE(starts_with_static_weights), CASE(vector_takes_effect_and_says_so), CASE(an_overrides_mode_ends_with_it),
	      CASE(all_passed_only_when_every_worker_has), CASE(bad_vectors_are_refused_counted_and_change_nothing),
	      CASE(a_vector_that_goes_on_and_on_is_refused), CASE(other_vips_vectors_in_a_message_count_once),
	      CASE(messages_that_contradict_themselves), CASE(lease_runs_out_to_static_with_the_masks_kept),
	      CASE(an_operators_weights_outlive_the_lease), CASE(all_masked_means_all_eligible),
	      CASE(next_agent_goes_on_above_the_last))
