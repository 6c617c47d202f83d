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
	x.e[1].flags = 4;
	x.v.seq = ++w->seq;
	CHECK_EQ(mlb_dp_apply(w->dp, &x.v, x.e), MLB_REFUSE_OUT_OF_RANGE);
	world_free(w);
}

static void send(struct world *w, struct vector *x)
{
	x->v.seq = ++w->seq;
	vector_send(w, x);
	world_run(w, 20 * MS, true);
}

/* How many of 200 last resorts are a slot's. */
static int resorts(struct world *w, uint32_t slot)
{
	int n = 0;
	for (int i = 0; i < 200; i++)
		n += mlb_dp_last_resort(w->dp, mlb_dp_worker(w->dp, 0), w->vip) == slot;
	return n;
}

TEST(what_is_masked_by_no_order_is_a_last_resort)
{
	struct world *w = world_new(1, 4, 8, true);
	struct mlb_endpoint second = world_ep(2);
	struct vector x;
	world_run(w, 200 * MS, true);
	CHECK_EQ(resorts(w, MLB_NONE), 200);
	vector_make(w, &x, 4);
	x.v.term = 1;
	for (int i = 0; i < 3; i++)
		x.e[i].factor = x.e[i].weight = 0;
	x.e[3].weight = 1;
	x.e[0].flags = x.e[1].flags = MLB_IN_LAST_RESORT; /* the third is masked by an order */
	x.e[3].flags = MLB_IN_LAST_RESORT;                /* and says nothing of one that is not masked */
	send(w, &x);
	CHECK(resorts(w, 0) > 50 && resorts(w, 1) > 50);
	CHECK_EQ(resorts(w, 2) + resorts(w, 3), 0);
	for (int i = 0; i < 50; i++)
		CHECK_EQ(mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 0), w->vip, (uint64_t)i << 40, w->now), 3);
	/* not one that was tried */
	world_wvip(w, 0)->q[0] += MLB_Q_TRIED;
	CHECK_EQ(resorts(w, 1), 200);
	world_wvip(w, 0)->q[0] = 0;
	/* a failure there ejects nobody, for half of the pool is all that may be out */
	for (int i = 0; i < 5; i++) {
		w->now += 10 * MS;
		mlb_dp_connect_result(w->dp, mlb_dp_worker(w->dp, 0), w->vip, 0, MLB_CONNECT_REFUSED, w->now, w->now);
		mlb_dp_connect_result(w->dp, mlb_dp_worker(w->dp, 0), w->vip, 1, MLB_CONNECT_UNANSWERED, w->now, w->now);
	}
	CHECK(resorts(w, 0) > 50 && resorts(w, 1) > 50);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[8];
	world_run(w, 200 * MS, true);
	CHECK_EQ(world_frame(w, &h, r, 8), 4);
	CHECK_EQ(r[0].flags, MLB_SRV_MEMBER);
	CHECK_EQ(r[1].flags, MLB_SRV_MEMBER);
	/* an agent without a directive loosens no mask, and takes no order back: all stays as it is */
	x.v.term = 0;
	x.e[0].flags = x.e[1].flags = 0;
	send(w, &x);
	CHECK(resorts(w, 0) > 50 && resorts(w, 1) > 50);
	/* drained at the data plane itself, and by a vector */
	CHECK_EQ(mlb_dp_server_drain(w->dp, w->vip, &second, true, w->err), 0);
	CHECK_EQ(resorts(w, 0), 200);
	world_run(w, 200 * MS, true); /* a frame of the new generation */
	vector_make(w, &x, 4);
	x.v.term = 2;
	for (int i = 0; i < 3; i++)
		x.e[i].factor = x.e[i].weight = 0;
	x.e[3].weight = 1;
	send(w, &x);
	CHECK_EQ(resorts(w, MLB_NONE), 200);
	world_free(w);
}

MLB_TEST_MAIN(CASE(a_newcomer_waits_for_the_vector_that_names_it_or_for_the_end_of_the_lease),
	      CASE(newcomers_take_flows_at_once_where_none_waits_or_nobody_else_is_there),
	      CASE(flows_are_closed_once_each_time_that_it_is_ordered_also_those_of_a_server_that_left),
	      CASE(what_is_masked_by_no_order_is_a_last_resort))
