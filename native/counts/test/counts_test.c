/* SPDX-License-Identifier: Apache-2.0 */
/* Counts between load balancers that mean well: who has what where, loss, expiry, split lists, restarts, delay. */
#include "counts_bed.h"

TEST(two_hear_each_other_after_two_periods)
{
	struct node *a = node_new("a", 100), *b = node_new("b", 200);
	node_has(a, 3, 4);
	node_has(b, 3, 9);
	CHECK_EQ(node_at(a, 1, 1), -1);
	meet(a, b); /* each learns the other's challenge */
	meet(a, b);
	meet(a, b);
	CHECK_EQ(node_at(a, 1, 1), 9);
	CHECK_EQ(node_at(b, 1, 3), 4);
	CHECK_EQ(a->peer[0].waiting, 4);
	CHECK_STR(node_peer(a, 0).instance, "b");
	CHECK(node_peer(a, 0).alive);
	CHECK_EQ(node_peer(a, 0).servers, 3);
	CHECK_EQ(node_peer(a, 0).shared, 3);
	node_free(a);
	node_free(b);
}

TEST(servers_are_known_by_address_over_vips_and_ids)
{
	struct node *a = node_new("a", 100), *b = node_new("b", 200);
	struct mlb_live of_a[] = { bed_live(1, 1, 1, 3), bed_live(2, 2, 1, 5), bed_live(2, 3, 2, 7) };
	struct mlb_live of_b[] = { bed_live(9, 40, 2, 100), bed_live(9, 41, 1, 10), bed_live(9, 42, 3, 1000) };
	struct mlb_live udp = bed_live(8, 43, 1, 7777); /* another service on the same port */
	udp.ep.proto = IPPROTO_UDP;
	struct mlb_live all_b[] = { of_b[0], of_b[1], of_b[2], udp };
	mlb_counts_own(a->c, of_a, 3);
	mlb_counts_own(b->c, all_b, 4);
	for (int i = 0; i < 3; i++)
		meet(a, b);
	CHECK_EQ(node_at(a, 1, 1), 15); /* b's 10 and those of its own other VIP */
	CHECK_EQ(node_at(a, 2, 2), 13);
	CHECK_EQ(node_at(a, 2, 3), 100);
	CHECK_EQ(node_at(b, 9, 40), 7);
	CHECK_EQ(node_at(b, 9, 41), 8);
	CHECK_EQ(node_at(b, 9, 42), 0);
	CHECK_EQ(node_at(b, 8, 43), 0);
	CHECK_EQ(node_peer(a, 0).shared, 2);
	node_free(a);
	node_free(b);
}

TEST(silence_ends_what_was_said)
{
	struct node *a = node_new("a", 100), *b = node_new("b", 200);
	node_has(a, 1, 1);
	node_has(b, 1, 9);
	for (int i = 0; i < 3; i++)
		meet(a, b);
	bed_now += 4 * PERIOD;
	CHECK_EQ(node_at(a, 1, 1), 9);
	bed_now += PERIOD;
	CHECK_EQ(node_at(a, 1, 1), -1);
	CHECK(!node_peer(a, 0).alive);
	meet(a, b); /* its epoch is known and proven: the first datagram counts again */
	CHECK_EQ(node_at(a, 1, 1), 9);
	node_free(a);
	node_free(b);
}

TEST(many_servers_are_split_and_a_lost_part_costs_its_own_only)
{
	struct node *a = node_new("a", 100), *b = node_new("b", 200);
	node_has(a, 1000, 1);
	node_has(b, 1000, 9);
	for (int i = 0; i < 3; i++)
		meet(a, b);
	CHECK(b->parts >= 8);
	CHECK(b->out[0].len <= MLB_COUNTS_DATAGRAM);
	for (uint32_t id = 1; id <= 1000; id += 111)
		CHECK_EQ(node_at(a, 1, id), 9);
	node_has(b, 1000, 20);
	node_say(b);
	for (uint32_t i = 1; i < b->parts; i++) /* all but the first part */
		CHECK_EQ(node_hear(a, b, i), MLB_COUNTS_HEARD);
	CHECK_EQ(node_at(a, 1, 1), 9);
	CHECK_EQ(node_at(a, 1, 1000), 20);
	CHECK_EQ(node_peer(a, 0).lost, 1);
	CHECK_EQ(node_peer(a, 0).servers, 1000);
	node_free(a);
	node_free(b);
}

TEST(the_longest_list_fits)
{
	static struct mlb_live l[MLB_MAX_SERVERS];
	struct node *a = node_new("a", 100);
	for (uint32_t i = 0; i < MLB_MAX_SERVERS; i++) {
		l[i] = bed_live(1, i + 1, i, 10000000);
		l[i].waiting = 10000000;
		l[i].ep.addr.b[0] = 0x20; /* IPv6 */
	}
	mlb_counts_own(a->c, l, MLB_MAX_SERVERS);
	node_say(a);
	uint32_t entries = 0;
	struct mlb_hmac key;
	struct wire_message m;
	mlb_hmac_key(&key, KEY, strlen(KEY));
	for (uint32_t i = 0; i < a->parts; i++) {
		CHECK_EQ(wire_read(&m, a->out[i].bytes, a->out[i].len, &key, 1), MLB_COUNTS_HEARD);
		CHECK_EQ(m.head.part, i);
		CHECK_EQ(m.head.parts, a->parts);
		entries += m.entries;
	}
	CHECK_EQ(entries, MLB_MAX_SERVERS);
	node_free(a);
}

TEST(a_list_that_changes_leaves_nothing_behind)
{
	struct node *a = node_new("a", 100), *b = node_new("b", 200);
	node_has(a, 300, 1);
	node_has(b, 300, 9);
	for (int i = 0; i < 3; i++)
		meet(a, b);
	struct mlb_live two[] = { bed_live(1, 1, 300, 5), bed_live(1, 2, 299, 6) };
	mlb_counts_own(b->c, two, 2);
	meet(a, b);
	CHECK_EQ(node_at(a, 1, 300), 5);
	CHECK_EQ(node_at(a, 1, 299), 6);
	CHECK_EQ(node_at(a, 1, 1), 0);
	struct mlb_live own[] = { bed_live(3, 7, 299, 1) }; /* and this side's list */
	mlb_counts_own(a->c, own, 1);
	CHECK_EQ(node_at(a, 3, 7), 6);
	CHECK_EQ(node_sum(a), 1);
	node_free(a);
	node_free(b);
}

TEST(a_restart_is_heard_again)
{
	struct node *a = node_new("a", 100), *b = node_new("b", 200);
	node_has(a, 1, 1);
	node_has(b, 1, 9);
	for (int i = 0; i < 3; i++)
		meet(a, b);
	struct node *again = node_new("b", 300), *set_back = node_new("b", 50);
	node_has(again, 1, 2);
	for (int i = 0; i < 8; i++)
		meet(a, again);
	CHECK_EQ(node_at(a, 1, 1), 2);
	CHECK_EQ(node_at(again, 1, 1), 1);
	/* Its wall clock was set back before it started: for two challenges nobody can tell that from a replay. */
	node_has(set_back, 1, 5);
	meet(a, set_back);
	CHECK_EQ(node_at(a, 1, 1), 2);
	bed_now += 17 * 1000 * MS;
	for (int i = 0; i < 4; i++)
		meet(a, set_back);
	CHECK_EQ(node_at(a, 1, 1), 5);
	node_free(a);
	node_free(b);
	node_free(again);
	node_free(set_back);
}

TEST(loss_and_delay_are_measured)
{
	struct node *a = node_new("a", 100), *b = node_new("b", 200);
	struct mlb_endpoint from = { .port = 1 };
	node_has(a, 1, 1);
	node_has(b, 1, 1);
	for (int i = 0; i < 3; i++)
		meet(a, b);
	uint64_t lost = node_peer(a, 0).lost;
	for (int i = 0; i < 200; i++) { /* each way takes 3 ms; every tenth of b's is lost */
		node_say(a);
		struct mlb_counts_datagram d = a->out[0];
		bed_now += 3 * MS;
		mlb_counts_hear(b->c, d.bytes, d.len, &from, bed_now);
		bed_now += 4 * MS;
		node_say(b);
		d = b->out[0];
		bed_now += 3 * MS;
		if (i % 10)
			mlb_counts_hear(a->c, d.bytes, d.len, &from, bed_now);
		bed_now += 10 * MS;
	}
	CHECK_EQ(node_peer(a, 0).lost - lost, 20);
	CHECK_NEAR(node_peer(a, 0).delay_us, 3000, 30);
	CHECK_NEAR(node_peer(a, 0).jitter_us, 0, 30);
	node_free(a);
	node_free(b);
}

TEST(more_peers_than_one_datagram_answers)
{
	enum { N = 40 };
	struct node *n[N];
	char name[32];
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "lb-%d", i);
		n[i] = node_new(name, 100 + (uint64_t)i);
		node_has(n[i], 2, 1);
	}
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < N; i++)
			node_say(n[i]);
		for (int i = 0; i < N; i++)
			for (int k = 0; k < N; k++)
				for (uint32_t p = 0; k != i && p < n[k]->parts; p++)
					node_hear(n[i], n[k], p);
		bed_now += PERIOD;
	}
	for (int i = 0; i < N; i++)
		CHECK_EQ(node_at(n[i], 1, 2), N - 1);
	for (int i = 0; i < N; i++)
		node_free(n[i]);
}

MLB_TEST_MAIN(CASE(two_hear_each_other_after_two_periods), CASE(servers_are_known_by_address_over_vips_and_ids),
	      CASE(silence_ends_what_was_said), CASE(many_servers_are_split_and_a_lost_part_costs_its_own_only),
	      CASE(the_longest_list_fits), CASE(a_list_that_changes_leaves_nothing_behind), CASE(a_restart_is_heard_again),
	      CASE(loss_and_delay_are_measured), CASE(more_peers_than_one_datagram_answers))
