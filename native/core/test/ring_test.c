/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/choose.h"
#include "mlbtest.h"

#define FLOWS 200000u

struct pool {
	uint32_t n;
	uint64_t key[64];
	uint32_t slot[64];
	float w[64];
};

static struct pool pool(uint32_t n)
{
	struct pool p = { .n = n };
	uint64_t x = 99;
	for (uint32_t i = 0; i < n; i++) {
		p.key[i] = mlb_splitmix64(&x);
		p.slot[i] = i;
		p.w[i] = (float)(1 + i % 3);
	}
	return p;
}

static struct mlb_ring *ring(const struct pool *p)
{
	struct mlb_ring *r = mlb_ring_new(p->n, p->key, p->slot, p->w, false);
	CHECK(r != NULL);
	return r;
}

static uint64_t flow(uint32_t i)
{
	uint64_t x = i;
	return mlb_splitmix64(&x);
}

TEST(order_of_input_does_not_matter)
{
	struct pool a = pool(20), b = a;
	uint32_t differ = 0;
	for (uint32_t i = 0; i < 20; i++) {
		b.key[i] = a.key[19 - i];
		b.slot[i] = a.slot[19 - i];
		b.w[i] = a.w[19 - i];
	}
	struct mlb_ring *ra = ring(&a), *rb = ring(&b);
	for (uint32_t i = 0; i < FLOWS; i++)
		differ += mlb_ring_lookup(ra, flow(i), NULL) != mlb_ring_lookup(rb, flow(i), NULL);
	CHECK_EQ(differ, 0);
	mlb_ring_unref(ra);
	mlb_ring_unref(rb);
}

TEST(shares_follow_weights)
{
	struct pool p = pool(12);
	struct mlb_ring *r = ring(&p);
	uint32_t count[12] = { 0 };
	double total = 0;
	for (uint32_t i = 0; i < 12; i++)
		total += (double)p.w[i];
	for (uint32_t i = 0; i < FLOWS; i++)
		count[mlb_ring_lookup(r, flow(i), NULL)]++;
	for (uint32_t i = 0; i < 12; i++) {
		double share = (double)p.w[i] / total;
		/* 4 sigma of the 32768 buckets */
		CHECK_NEAR((double)count[i] / FLOWS, share, 4 * sqrt(share / 32768) + 0.002);
	}
	mlb_ring_unref(r);
}

/* A server that leaves moves its own flows only; one that joins takes flows only to itself; so does a weight that rises. */
TEST(only_the_flows_concerned_move)
{
	struct pool all = pool(20), less = all, heavier = all;
	less.key[4] = all.key[19];
	less.slot[4] = all.slot[19];
	less.w[4] = all.w[19];
	less.n = 19;
	heavier.w[7] *= 2;
	struct mlb_ring *a = ring(&all), *b = ring(&less), *c = ring(&heavier);
	uint32_t moved = 0, stray = 0, stray_weight = 0, gained = 0;
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint32_t sa = mlb_ring_lookup(a, flow(i), NULL), sb = mlb_ring_lookup(b, flow(i), NULL),
			 sc = mlb_ring_lookup(c, flow(i), NULL);
		moved += sa != sb;
		stray += sa != sb && sa != 4;
		gained += sa != sc;
		stray_weight += sa != sc && sc != 7;
	}
	CHECK_EQ(stray, 0);
	CHECK_EQ(stray_weight, 0);
	CHECK(moved > 0 && gained > 0);
	mlb_ring_unref(a);
	mlb_ring_unref(b);
	mlb_ring_unref(c);
}

/* One server after the other joins: each takes about its share, from everybody, and nothing else moves, whatever the pool's size.
 */
TEST(a_pool_grows_server_by_server)
{
	struct pool p = pool(64);
	uint32_t stray = 0, poor = 0;
	for (p.n = 1; p.n < 64; p.n++) {
		struct pool more = p;
		more.n++;
		struct mlb_ring *a = ring(&p), *b = ring(&more);
		uint32_t moved = 0, n = FLOWS / 10;
		double total = 0;
		for (uint32_t i = 0; i < more.n; i++)
			total += (double)p.w[i];
		for (uint32_t i = 0; i < n; i++) {
			uint32_t s = mlb_ring_lookup(b, flow(i), NULL);
			bool moves = s != mlb_ring_lookup(a, flow(i), NULL);
			moved += moves;
			stray += moves && s != p.n;
		}
		double share = (double)p.w[p.n] / total;
		poor += fabs((double)moved / n - share) > 0.3 * share;
		mlb_ring_unref(a);
		mlb_ring_unref(b);
	}
	CHECK_EQ(stray, 0);
	CHECK_EQ(poor, 0);
}

TEST(out_slots_are_walked_past)
{
	struct pool p = pool(10);
	struct mlb_ring *r = ring(&p);
	float q[10] = { 0 };
	uint32_t count[10] = { 0 }, moved = 0;
	q[2] = MLB_Q_OUT;
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint32_t plain = mlb_ring_lookup(r, flow(i), NULL), s = mlb_ring_lookup(r, flow(i), q);
		moved += plain != 2 && plain != s;
		count[s]++;
	}
	CHECK_EQ(moved, 0);
	CHECK_EQ(count[2], 0);
	for (uint32_t i = 0; i < 10; i++)
		CHECK(i == 2 || count[i] > 0);
	for (int i = 0; i < 9; i++)
		q[i] = MLB_Q_OUT;
	for (uint32_t i = 0; i < 100; i++)
		CHECK_EQ(mlb_ring_lookup(r, flow(i), q), 9);
	q[9] = MLB_Q_OUT;
	CHECK_EQ(mlb_ring_lookup(r, flow(1), q), MLB_NONE);
	/* mlb_choose ignores the marks then */
	struct mlb_table *t = NULL;
	struct mlb_rng rng = { { 1, 2 } };
	CHECK_EQ(mlb_table_new(&t, 10, p.w, NULL, 1, MLB_MODE_HASH, 1, r, r), 0);
	mlb_ring_unref(r); /* the table holds its own references */
	CHECK_EQ(mlb_choose(t, q, &rng, flow(1)), mlb_ring_lookup(t->ring, flow(1), NULL));
	mlb_table_free(t);
}

TEST(one_server_and_bad_input)
{
	struct pool p = pool(2);
	p.n = 1;
	struct mlb_ring *r = ring(&p);
	for (uint32_t i = 0; i < 100; i++)
		CHECK_EQ(mlb_ring_lookup(r, flow(i), NULL), 0);
	mlb_ring_unref(r);
	CHECK(mlb_ring_new(0, p.key, p.slot, p.w, false) == NULL);
	p.w[0] = 0;
	CHECK(mlb_ring_new(1, p.key, p.slot, p.w, false) == NULL);
	p.w[0] = NAN;
	CHECK(mlb_ring_new(1, p.key, p.slot, p.w, false) == NULL);
	p.w[0] = 1e30f; /* any scale of weights will do */
	p.w[1] = 1e30f;
	p.n = 2;
	r = ring(&p);
	uint32_t first = 0;
	for (uint32_t i = 0; i < FLOWS; i++)
		first += mlb_ring_lookup(r, flow(i), NULL) == 0;
	CHECK_NEAR((double)first / FLOWS, 0.5, 0.03);
	mlb_ring_unref(r);
}

TEST(an_exact_ring_has_each_servers_part_of_the_buckets)
{
	struct pool p = pool(4);
	static const float w[4] = { 1e-6f, 1, 99, 3 };
	uint32_t n[4] = { 0 };
	memcpy(p.w, w, sizeof(w));
	struct mlb_ring *r = mlb_ring_new(p.n, p.key, p.slot, p.w, true);
	for (uint64_t b = 0; b < 32768; b++)
		n[mlb_ring_lookup(r, b << 49, NULL)]++; /* every bucket once */
	for (uint32_t i = 0; i < 4; i++)
		CHECK_NEAR(n[i], (double)w[i] / 103.000001 * 32768, 1);
	mlb_ring_unref(r);
}

MLB_TEST_MAIN(CASE(an_exact_ring_has_each_servers_part_of_the_buckets), CASE(order_of_input_does_not_matter),
	      CASE(shares_follow_weights), CASE(only_the_flows_concerned_move), CASE(a_pool_grows_server_by_server),
	      CASE(out_slots_are_walked_past), CASE(one_server_and_bad_input))
