/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <string.h>

#include "udp_table.h"

static struct mlbd_udp_key key(uint32_t client, uint16_t port)
{
	struct mlbd_udp_key k;

	memset(&k, 0, sizeof(k));
	memcpy(k.client.b + 12, &client, 4);
	k.client_port = port;
	k.vip = 1;
	return k;
}

TEST(a_flow_is_found_by_all_of_its_key)
{
	struct mlbd_udp_table t;
	struct mlbd_udp_key k = key(7, 53), other;

	CHECK(mlbd_udp_table_init(&t, 1) == 0);
	struct mlbd_udp_flow *f = mlbd_udp_table_add(&t, &k);

	CHECK(f && f->fd == -1 && mlbd_udp_table_find(&t, &k) == f);
	other = k;
	other.client_port++;
	CHECK(!mlbd_udp_table_find(&t, &other));
	other = k;
	other.vip = 2;
	CHECK(!mlbd_udp_table_find(&t, &other));
	other = k;
	other.local.b[15] = 1;
	CHECK(!mlbd_udp_table_find(&t, &other));
	mlbd_udp_table_free(&t);
}

/* Many flows: the buckets grow, all are found, and all are gone after they were deleted. */
TEST(ten_thousand_flows)
{
	struct mlbd_udp_table t;

	CHECK(mlbd_udp_table_init(&t, 2) == 0);
	for (uint32_t i = 0; i < 10000; i++) {
		struct mlbd_udp_key k = key(i / 100, (uint16_t)(i % 100 + 1));

		CHECK(mlbd_udp_table_add(&t, &k));
	}
	CHECK(t.count == 10000 && t.buckets >= 10000);
	for (uint32_t i = 0; i < 10000; i++) {
		struct mlbd_udp_key k = key(i / 100, (uint16_t)(i % 100 + 1));
		struct mlbd_udp_flow *f = mlbd_udp_table_find(&t, &k);

		CHECK(f);
		if (f)
			mlbd_udp_table_del(&t, f);
		CHECK(!mlbd_udp_table_find(&t, &k));
	}
	CHECK(t.count == 0 && !mlbd_udp_table_oldest(&t));
	mlbd_udp_table_free(&t);
}

/* The memory of a deleted flow is used again only after the batch of events that may name it. */
TEST(the_dead_rest_until_they_are_reaped)
{
	struct mlbd_udp_table t;
	struct mlbd_udp_key a = key(1, 1), b = key(2, 2), c = key(3, 3);

	CHECK(mlbd_udp_table_init(&t, 3) == 0);
	struct mlbd_udp_flow *f = mlbd_udp_table_add(&t, &a);

	mlbd_udp_table_del(&t, f);
	CHECK(mlbd_udp_table_add(&t, &b) != f);
	mlbd_udp_table_reap(&t);
	CHECK(mlbd_udp_table_add(&t, &c) == f);
	mlbd_udp_table_free(&t);
}

TEST(the_oldest_is_the_one_that_was_silent_longest)
{
	struct mlbd_udp_table t;
	struct mlbd_udp_flow *f[3];

	CHECK(mlbd_udp_table_init(&t, 4) == 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct mlbd_udp_key k = key(i, 9);

		f[i] = mlbd_udp_table_add(&t, &k);
		f[i]->last_us = 10 + i;
	}
	CHECK(mlbd_udp_table_oldest(&t) == f[0] && mlbd_udp_table_oldest_unanswered(&t, NULL) == f[0]);
	f[0]->last_us = 20;
	f[0]->answers = 1;
	mlbd_udp_table_touch(&t, f[0]);
	CHECK(mlbd_udp_table_oldest(&t) == f[1]);
	f[1]->last_us = f[2]->last_us = 30;
	mlbd_udp_table_touch(&t, f[1]);
	mlbd_udp_table_touch(&t, f[2]);
	CHECK(mlbd_udp_table_oldest(&t) == f[0]);                  /* answered, and silent longest */
	CHECK(mlbd_udp_table_oldest_unanswered(&t, NULL) == f[1]); /* the first to go where room is short */
	CHECK(mlbd_udp_table_oldest_unanswered(&t, f[1]) == f[2]); /* never the one that looks for room */
	mlbd_udp_table_del(&t, f[2]);
	CHECK(!mlbd_udp_table_oldest_unanswered(&t, f[1]));
	mlbd_udp_table_free(&t);
}

static void take_out(void *table, struct mlbd_udp_flow *f)
{
	if (f->key.client_port % 2)
		mlbd_udp_table_del(table, f);
}

TEST(a_walk_may_delete_what_it_sees)
{
	struct mlbd_udp_table t;

	CHECK(mlbd_udp_table_init(&t, 5) == 0);
	for (uint16_t i = 1; i <= 100; i++) {
		struct mlbd_udp_key k = key(1, i);

		mlbd_udp_table_add(&t, &k);
	}
	mlbd_udp_table_each(&t, take_out, &t);
	CHECK(t.count == 50);
	mlbd_udp_table_free(&t);
}

MLB_TEST_MAIN(CASE(a_flow_is_found_by_all_of_its_key), CASE(ten_thousand_flows), CASE(the_dead_rest_until_they_are_reaped),
	      CASE(the_oldest_is_the_one_that_was_silent_longest), CASE(a_walk_may_delete_what_it_sees))
