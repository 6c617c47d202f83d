/* SPDX-License-Identifier: Apache-2.0 */
/* What a vector orders beside weights: that newcomers wait, that flows are closed. */
#include "dp_world.h"
#include "marllb/worker_events.h"

static void check_weights(struct world *w, const float *want, uint32_t n)
{
	const struct mlb_table *t = world_table(w);
	for (uint32_t i = 0; i < n; i++)
		CHECK_NEAR(t->weight[i], want[i], 1e-6);
}

TEST(a_newcomer_waits_for_the_vector_that_names_it_or_for_the_end_of_the_lease)
{
	for (int agent = 0; agent < 2; agent++) {
		for (int exact = 0; exact < 2; exact++) {
			struct world *w = world_new(1, 2, 8, true);
			struct mlb_endpoint fresh = world_ep(77);
			struct vector x;
			world_run(w, 100 * MS, true);
			vector_make(w, &x, 2);
			x.v.newcomers_wait = 1;
			x.v.exact = (uint8_t)exact;
			x.v.term = 7;
			vector_send(w, &x);
			world_run(w, 100 * MS, true);
			CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &fresh, 1, NULL, w->err), 0);
			const float waits[3] = { .5f, .5f, 0 }, even[3] = { 1 / 3.f, 1 / 3.f, 1 / 3.f };
			check_weights(w, waits, 3);
			world_run(w, 5000 * MS, true); /* of an agent that lives, for as long as it takes */
			check_weights(w, waits, 3);
			if (agent) {
				vector_make(w, &x, 3);
				x.v.newcomers_wait = 1;
				x.v.term = 8;
				vector_send(w, &x);
				world_run(w, 100 * MS, true);
			} else {
				world_run(w, 1200 * MS, false);
			}
			check_weights(w, even, 3);
			world_free(w);
		}
	}
}

TEST(newcomers_take_flows_at_once_where_none_waits_or_nobody_else_is_there)
{
	struct world *w = world_new(1, 2, 8, true);
	struct mlb_endpoint ep[2] = { world_ep(77), world_ep(78) };
	const float weight[2] = { 1, 1 };
	struct vector x;
	world_run(w, 100 * MS, true);
	vector_make(w, &x, 2);
	vector_send(w, &x);
	world_run(w, 100 * MS, true);
	const float even[3] = { 1 / 3.f, 1 / 3.f, 1 / 3.f };
	CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &ep[0], 1, NULL, w->err), 0);
	check_weights(w, even, 3);
	vector_make(w, &x, 3);
	x.v.newcomers_wait = 1;
	vector_send(w, &x);
	world_run(w, 100 * MS, true);
	/* all others leave: who is new is better than nobody */
	ep[0] = world_ep(79);
	CHECK_EQ(mlb_dp_server_set(w->dp, w->vip, ep, weight, 2, w->err), 0);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	world_run(w, 200 * MS, true);
	int n = world_frame(w, &h, r, 8);
	float sum = 0;
	for (int i = 0; i < n; i++)
		sum += r[i].weight;
	CHECK_NEAR(sum, 1, 1e-5);
	world_free(w);
}

struct closed {
	uint32_t id[8], n;
	int rc;
};

static int on_close(void *arg, uint32_t vip_id, const struct mlb_server *s)
{
	struct closed *c = arg;
	CHECK_EQ(vip_id, 1);
	if (c->n < 8)
		c->id[c->n++] = s->id;
	return c->rc;
}

TEST(flows_are_closed_once_each_time_that_it_is_ordered_also_those_of_a_server_that_left)
{
	struct world *w = world_new(1, 3, 8, true);
	struct closed c = { .n = 0 };
	struct vector x;
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	world_run(w, 200 * MS, true);
	world_frame(w, &h, r, 8);
	CHECK_EQ(h.can_close, 0);
	mlb_dp_set_hooks(w->dp, &(struct mlb_dp_hooks){ .arg = &c, .server_close = on_close });
	world_run(w, 200 * MS, true);
	world_frame(w, &h, r, 8);
	CHECK_EQ(h.can_close, 1);
	vector_make(w, &x, 3);
	x.e[1].flags = MLB_IN_CLOSE;
	for (int i = 0; i < 5; i++) {
		c.rc = i < 2 ? -ENOMEM : 0; /* a host that cannot is asked again with the next vector */
		x.v.seq = ++w->seq;
		vector_send(w, &x);
		world_run(w, 20 * MS, true);
	}
	CHECK_EQ(c.n, 3);
	CHECK_EQ(c.id[2], 2);
	c.n = 1;
	x.e[1].flags = 0;
	x.v.seq = ++w->seq;
	vector_send(w, &x);
	world_run(w, 20 * MS, true);
	x.e[1].flags = MLB_IN_CLOSE;
	x.v.seq = ++w->seq;
	vector_send(w, &x);
	world_run(w, 20 * MS, true);
	CHECK_EQ(c.n, 2);
	/* its slot waits for a flow of it */
	mlb_ev_open(mlb_dp_worker(w->dp, 0) ? world_wvip(w, 0) : NULL, 0, w->now);
	struct mlb_endpoint first = world_ep(1);
	CHECK_EQ(mlb_dp_server_del(w->dp, w->vip, &first, w->err), 0);
	world_run(w, 200 * MS, true);
	vector_make(w, &x, 3);
	x.e[0].flags = MLB_IN_CLOSE;
	x.e[0].weight = 0;
	x.e[1].weight = x.e[2].weight = .5f;
	vector_send(w, &x);
	world_run(w, 20 * MS, true);
	CHECK_EQ(c.n, 3);
	CHECK_EQ(c.id[2], 1);
	/* a flag that nobody knows is refused with the vector */
	x.e[1].flags = 2;
	x.v.seq = ++w->seq;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_OUT_OF_RANGE);
	world_free(w);
}

MLB_TEST_MAIN(CASE(a_newcomer_waits_for_the_vector_that_names_it_or_for_the_end_of_the_lease),
	      CASE(newcomers_take_flows_at_once_where_none_waits_or_nobody_else_is_there),
	      CASE(flows_are_closed_once_each_time_that_it_is_ordered_also_those_of_a_server_that_left))
