/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <pthread.h>

#include <marllb/endpoint.h>

#include "per_source.h"

static struct mlb_addr address(const char *text)
{
	struct mlb_addr a;

	CHECK_EQ(mlb_addr_parse(text, &a), 0);
	return a;
}

static struct mlb_addr v4(uint32_t n)
{
	return mlb_addr_of_v4(&n);
}

TEST(each_address_has_its_own_count)
{
	struct mlbd_per_source *p = mlbd_per_source_new(1);
	struct mlb_addr a = address("192.0.2.1"), b = address("192.0.2.2");

	for (int i = 0; i < 3; i++)
		CHECK_EQ(mlbd_per_source_enter(p, &a, 3), MLBD_COUNTED);
	CHECK_EQ(mlbd_per_source_enter(p, &a, 3), MLBD_OVER);
	CHECK_EQ(mlbd_per_source_enter(p, &b, 3), MLBD_COUNTED);
	mlbd_per_source_leave(p, &a);
	CHECK_EQ(mlbd_per_source_enter(p, &a, 3), MLBD_COUNTED);
	CHECK_EQ(mlbd_per_source_enter(p, &a, 2), MLBD_OVER); /* a lower limit holds for new ones */
	free(p);
}

TEST(an_ipv6_client_is_its_64)
{
	struct mlbd_per_source *p = mlbd_per_source_new(2);
	struct mlb_addr a = address("2001:db8:1:2::1"), b = address("2001:db8:1:2:ffff::9"), c = address("2001:db8:1:3::1");

	CHECK_EQ(mlbd_per_source_enter(p, &a, 1), MLBD_COUNTED);
	CHECK_EQ(mlbd_per_source_enter(p, &b, 1), MLBD_OVER);
	CHECK_EQ(mlbd_per_source_enter(p, &c, 1), MLBD_COUNTED);
	mlbd_per_source_leave(p, &b);
	CHECK_EQ(mlbd_per_source_enter(p, &a, 1), MLBD_COUNTED);
	free(p);
}

/* More addresses than there is room for: the memory stays, and nobody is turned away for it. */
TEST(a_flood_of_addresses_turns_nobody_away)
{
	enum { MANY = 4 * MLBD_SOURCE_BUCKETS * MLBD_SOURCE_WAYS };
	struct mlbd_per_source *p = mlbd_per_source_new(3);
	bool *counted = calloc(MANY, sizeof(*counted));
	uint32_t n = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		struct mlb_addr a = v4(i);
		enum mlbd_admission r = mlbd_per_source_enter(p, &a, 1);

		CHECK(r != MLBD_OVER);
		counted[i] = r == MLBD_COUNTED;
		n += counted[i];
	}
	CHECK(n > MLBD_SOURCE_BUCKETS * MLBD_SOURCE_WAYS * 9 / 10); /* the table is used up before it gives up */
	for (uint32_t i = 0; i < MANY; i++) {
		struct mlb_addr a = v4(i);

		if (counted[i])
			mlbd_per_source_leave(p, &a);
	}
	for (uint32_t i = 0; i < MLBD_SOURCE_BUCKETS; i++)
		for (uint32_t k = 0; k < MLBD_SOURCE_WAYS; k++)
			CHECK_EQ(p->entry[i][k] & 0xffffff, 0);
	free(counted);
	free(p);
}

enum { THREADS = 4, ROUNDS = 20000, ADDRESSES = 8 };
static struct mlbd_per_source *shared;
static _Atomic int inside[ADDRESSES], most_inside;

static void *come_and_go(void *arg)
{
	uint64_t rng = (uint64_t)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t n = (uint32_t)(rng = rng * 6364136223846793005u + 1442695040888963407u) >> 29 & (ADDRESSES - 1);
		struct mlb_addr a = v4(n);

		if (mlbd_per_source_enter(shared, &a, 2) != MLBD_COUNTED)
			continue;
		int now = atomic_fetch_add(&inside[n], 1) + 1, most = most_inside;

		while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
			;
		atomic_fetch_sub(&inside[n], 1);
		mlbd_per_source_leave(shared, &a);
	}
	return NULL;
}

TEST(several_threads_lose_no_count)
{
	pthread_t t[THREADS];
	struct mlb_addr a;

	shared = mlbd_per_source_new(4);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, come_and_go, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(most_inside <= THREADS);
	for (uint32_t n = 0; n < ADDRESSES; n++) {
		a = v4(n);
		CHECK_EQ(mlbd_per_source_enter(shared, &a, 1), MLBD_COUNTED); /* every place was given back */
	}
	free(shared);
}

MLB_TEST_MAIN(CASE(each_address_has_its_own_count), CASE(an_ipv6_client_is_its_64), CASE(a_flood_of_addresses_turns_nobody_away),
	      CASE(several_threads_lose_no_count))
