/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/flow.h"
#include "marllb/rng.h"
#include "mlbtest.h"

static struct mlb_flow_key key(uint32_t i)
{
	struct mlb_flow_key k = {
		.client = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10 } }, .vport = 80, .vip = 3, .proto = 6
	};
	k.client.b[13] = (uint8_t)(i >> 24);
	k.client.b[14] = (uint8_t)(i >> 16);
	k.client.b[15] = (uint8_t)(i >> 8);
	k.cport = (uint16_t)(1024 + (i & 255));
	return k;
}

static struct mlb_flow *add(struct mlb_flow_table *t, uint32_t i)
{
	struct mlb_flow_key k = key(i);
	struct mlb_flow *f = mlb_flow_insert(t, &k, mlb_flow_hash(t, &k));
	if (f)
		f->host = i;
	return f;
}

static struct mlb_flow *find(struct mlb_flow_table *t, uint32_t i)
{
	struct mlb_flow_key k = key(i);
	return mlb_flow_find(t, &k, mlb_flow_hash(t, &k));
}

TEST(a_million_flows_and_more_without_a_refusal)
{
	struct mlb_flow_table *t = mlb_flow_table_new(1000000, 1);
	uint32_t slots = mlb_flow_capacity(t), refused = 0, lost = 0, ghosts = 0, far = 0;
	CHECK(slots >= 1250000);
	for (uint32_t i = 0; i < slots / 10 * 8; i++)
		refused += add(t, i) == NULL;
	CHECK_EQ(refused, 0);
	CHECK_EQ(mlb_flow_count(t), slots / 10 * 8);
	for (uint32_t i = 0; i < slots / 10 * 8; i++) {
		struct mlb_flow *f = find(t, i);
		lost += !f || f->host != i;
		ghosts += find(t, 2000000 + i) != NULL;
	}
	/* Another thread sees all but those in a chain, and no others. */
	uint32_t unseen = 0, chained = 0;
	for (uint32_t i = 0; i < slots / 10 * 8; i++) {
		struct mlb_flow_key known = key(i), unknown = key(2000000 + i);
		unseen += !mlb_flow_peek(t, &known);
		ghosts += mlb_flow_peek(t, &unknown) != NULL;
	}
	for (uint32_t i = 0; i < t->buckets; i++)
		chained += t->bucket[i].in_chain;
	CHECK_EQ(unseen, chained);
	CHECK_EQ(ghosts, 0);
	for (uint32_t i = 0; i < t->buckets; i++)
		far += t->bucket[i].in_second + t->bucket[i].in_chain;
	CHECK_EQ(lost, 0);
	CHECK_EQ(ghosts, 0);
	CHECK(far < slots / 10 * 8 / 40); /* flows that cost a third line */
	for (uint32_t i = slots / 10 * 8; i < slots; i++)
		refused += add(t, i) == NULL; /* to the last entry */
	CHECK_EQ(refused, 0);
	CHECK(add(t, slots) == NULL);
	for (uint32_t i = 0; i < slots; i++) {
		struct mlb_flow *f = find(t, i);
		lost += !f || f->host != i;
	}
	CHECK_EQ(lost, 0);
	mlb_flow_table_free(t);
}

TEST(keys_are_compared_whole)
{
	struct mlb_flow_table *t = mlb_flow_table_new(100, 2);
	struct mlb_flow_key k = key(1), other;
	uint64_t h = mlb_flow_hash(t, &k);
	struct mlb_flow *f = mlb_flow_insert(t, &k, h);
	CHECK(mlb_flow_find(t, &k, h) == f);
	for (uint32_t i = 0; i < sizeof(k); i++) { /* the same hash, one byte different */
		other = k;
		((uint8_t *)&other)[i] ^= 1;
		CHECK(mlb_flow_find(t, &other, h) == NULL);
		CHECK(mlb_flow_hash(t, &other) != h);
	}
	CHECK_EQ(f->slot | f->tcp | f->flags, 0);
	CHECK_EQ(f->start_us | f->wait_us | f->host2, 0);
	mlb_flow_table_free(t);
}

/* All keys with one hash: buckets, then the chain; still nothing is lost. */
TEST(equal_hashes_chain)
{
	struct mlb_flow_table *t = mlb_flow_table_new(1000, 3);
	for (uint64_t h = 0; h < 2; h++) {
		uint64_t hash = h ? UINT64_C(0x8000000100000002) : 5;
		for (uint32_t i = 0; i < 300; i++) {
			struct mlb_flow_key k = key(i + 1000 * (uint32_t)h);
			struct mlb_flow *f = mlb_flow_insert(t, &k, hash);
			CHECK(f != NULL);
		}
		for (uint32_t i = 0; i < 300; i++) {
			struct mlb_flow_key k = key(i + 1000 * (uint32_t)h);
			CHECK(mlb_flow_find(t, &k, hash) != NULL);
		}
		struct mlb_flow_key none = key(999999);
		CHECK(mlb_flow_find(t, &none, hash) == NULL);
	}
	mlb_flow_table_free(t);
}

/* Random inserts, removals and lookups against a plain array, near full, so that second buckets and chains come and go. */
TEST(churn_equals_a_plain_array)
{
	enum { KEYS = 4000 };
	struct mlb_flow_table *t = mlb_flow_table_new(2000, 4);
	static struct mlb_flow *have[KEYS];
	struct mlb_rng r;
	uint32_t wrong = 0, n = 0, full = 0;
	mlb_rng_seed(&r, 6);
	memset(have, 0, sizeof(have));
	for (uint32_t step = 0; step < 2000000; step++) {
		uint32_t i = mlb_rng_below(&r, KEYS), fill = step / 100000 % 2;
		struct mlb_flow *f = find(t, i);
		wrong += f != have[i] || (f && f->host != i);
		if (f && mlb_rng_below(&r, fill ? 3 : 1) == 0) {
			mlb_flow_remove(t, f);
			have[i] = NULL;
			n--;
		} else if (!f) {
			have[i] = add(t, i);
			if (!have[i]) {
				full++;
				wrong += n != mlb_flow_capacity(t);
			} else {
				n++;
			}
		}
		wrong += mlb_flow_count(t) != n;
	}
	CHECK_EQ(wrong, 0);
	CHECK(full > 0);
	for (uint32_t i = 0; i < KEYS; i++)
		if (have[i])
			mlb_flow_remove(t, have[i]);
	for (uint32_t i = 0; i < t->buckets; i++)
		wrong += t->bucket[i].in_second || t->bucket[i].in_chain || mlb_flow_match(&t->bucket[i], 0) != 0x3ff;
	for (uint32_t i = 0; i < t->chains; i++)
		wrong += t->chain[i] != 0;
	CHECK_EQ(wrong, 0);
	CHECK_EQ(mlb_flow_count(t), 0);
	mlb_flow_table_free(t);
}

TEST(batches_equal_single_lookups)
{
	struct mlb_flow_table *t = mlb_flow_table_new(20000, 5);
	struct mlb_flow_key k[MLB_FLOW_BATCH];
	uint64_t hash[MLB_FLOW_BATCH];
	struct mlb_flow *out[MLB_FLOW_BATCH];
	struct mlb_rng r;
	uint32_t wrong = 0, hits = 0;
	mlb_rng_seed(&r, 8);
	for (uint32_t i = 0; i < 25000; i++)
		CHECK(add(t, i) != NULL);
	for (int round = 0; round < 2000; round++) {
		uint32_t n = mlb_rng_below(&r, MLB_FLOW_BATCH + 1);
		for (uint32_t i = 0; i < n; i++) {
			k[i] = key(mlb_rng_below(&r, 30000));
			hash[i] = mlb_flow_hash(t, &k[i]);
		}
		mlb_flow_find_batch(t, k, hash, n, out);
		for (uint32_t i = 0; i < n; i++) {
			wrong += out[i] != mlb_flow_find(t, &k[i], hash[i]);
			hits += out[i] != NULL;
		}
	}
	CHECK_EQ(wrong, 0);
	CHECK(hits > 100000);
	mlb_flow_table_free(t);
}

struct walk {
	struct mlb_flow_table *t;
	uint32_t calls, removed;
	uint8_t seen[3000];
};

static void visit(void *arg, struct mlb_flow *f)
{
	struct walk *w = arg;
	w->calls++;
	w->seen[f->host]++;
	if (f->host % 3 == 0) {
		mlb_flow_remove(w->t, f);
		w->removed++;
	}
}

TEST(walks_see_each_flow_once)
{
	static struct walk w;
	uint32_t cursor = 0, rounds = 0;
	memset(&w, 0, sizeof(w));
	w.t = mlb_flow_table_new(3000, 6);
	for (uint32_t i = 0; i < 3000; i++)
		add(w.t, i);
	do {
		mlb_flow_walk(w.t, &cursor, 37, visit, &w);
		rounds++;
	} while (cursor);
	CHECK_EQ(w.calls, 3000);
	CHECK_EQ(w.removed, 1000);
	CHECK_EQ(rounds, (3000 + 36) / 37);
	CHECK_EQ(mlb_flow_count(w.t), 2000);
	for (uint32_t i = 0; i < 3000; i++)
		CHECK_EQ(w.seen[i], 1);
	do {
		mlb_flow_walk(w.t, &cursor, 1000000, visit, &w);
	} while (cursor);
	CHECK_EQ(w.calls, 5000);
	CHECK_EQ(w.removed, 1000);
	mlb_flow_table_free(w.t);
	w.t = mlb_flow_table_new(10, 6);
	mlb_flow_walk(w.t, &cursor, 100, visit, &w); /* empty */
	CHECK_EQ(cursor, 0);
	mlb_flow_table_free(w.t);
}

TEST(bad_capacities)
{
	CHECK(mlb_flow_table_new(0, 1) == NULL);
	CHECK(mlb_flow_table_new((1u << 30) + 1, 1) == NULL);
	struct mlb_flow_table *t = mlb_flow_table_new(1, 1);
	CHECK(add(t, 0) != NULL);
	CHECK(add(t, 1) != NULL); /* 1 / 0.8, rounded up */
	CHECK(add(t, 2) == NULL);
	mlb_flow_table_free(t);
	mlb_flow_table_free(NULL);
}

/* A host's memory: from its own, and back to it. */
struct own {
	void *base;
	size_t size;
	bool refuses;
};
static void *own_map(void *arg, size_t size)
{
	struct own *o = arg;
	if (o->refuses)
		return NULL;
	o->base = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
	memset(o->base, 0, size);
	o->size = size;
	return o->base;
}
static void own_unmap(void *arg, void *base, size_t size)
{
	struct own *o = arg;
	CHECK(base == o->base);
	CHECK_EQ(size, o->size);
	free(base);
	o->base = NULL;
}

TEST(a_table_lives_in_its_hosts_memory)
{
	struct own o = { 0 };
	struct mlb_flow_memory m = { own_map, own_unmap, &o };
	struct mlb_flow_table *t = mlb_flow_table_new_in(1000, 1, &m);
	struct mlb_flow_key k = { .cport = 1, .vip = 1 };
	struct mlb_flow *f = mlb_flow_insert(t, &k, mlb_flow_hash(t, &k));
	CHECK((char *)f >= (char *)o.base && (char *)(f + 1) <= (char *)o.base + o.size);
	CHECK(mlb_flow_find(t, &k, mlb_flow_hash(t, &k)) == f);
	mlb_flow_table_free(t);
	CHECK(o.base == NULL);
	o.refuses = true;
	CHECK(mlb_flow_table_new_in(1000, 1, &m) == NULL);
}

MLB_TEST_MAIN(CASE(a_table_lives_in_its_hosts_memory), CASE(a_million_flows_and_more_without_a_refusal),
	      CASE(keys_are_compared_whole), CASE(equal_hashes_chain), CASE(churn_equals_a_plain_array),
	      CASE(batches_equal_single_lookups), CASE(walks_see_each_flow_once), CASE(bad_capacities))
