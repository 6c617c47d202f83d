/* SPDX-License-Identifier: Apache-2.0 */
/* What is hostile is refused: forged, repeated, of an old life, garbled, absurd, too many. */
#include "counts_bed.h"
#include "marllb/rng.h"

static struct node *a, *b;

static void begin(void)
{
	a = node_new("a", 100);
	b = node_new("b", 200);
	node_has(a, 2, 1);
	node_has(b, 2, 9);
	for (int i = 0; i < 3; i++)
		meet(a, b);
	CHECK_EQ(node_at(a, 1, 1), 9);
}

static void end(void)
{
	node_free(a);
	node_free(b);
}

static uint64_t refused(enum mlb_counts_verdict v)
{
	return mlb_counts_totals_of(a->c)->verdict[v];
}

TEST(a_mac_without_the_key_is_refused)
{
	begin();
	struct node forger = { .c = bed_counts("b", 300, "fedcba9876543210") };
	node_has(&forger, 2, 5000);
	node_say(&forger);
	CHECK_EQ(node_hear(a, &forger, 0), MLB_COUNTS_MAC);
	CHECK_EQ(refused(MLB_COUNTS_MAC), 1);
	CHECK_EQ(node_at(a, 1, 1), 9);
	mlb_counts_free(forger.c);
	end();
}

TEST(no_bit_may_be_changed)
{
	begin();
	node_say(b);
	struct mlb_counts_datagram d = b->out[0];
	struct mlb_endpoint from = { .port = 1 };
	for (uint32_t bit = 0; bit < d.len * 8; bit++) {
		d.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(mlb_counts_hear(a->c, d.bytes, d.len, &from, bed_now) != MLB_COUNTS_HEARD);
		d.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (uint32_t len = 0; len < d.len; len++)
		CHECK(mlb_counts_hear(a->c, d.bytes, len, &from, bed_now) != MLB_COUNTS_HEARD);
	CHECK_EQ(mlb_counts_hear(a->c, d.bytes, d.len, &from, bed_now), MLB_COUNTS_HEARD);
	end();
}

TEST(a_datagram_counts_once)
{
	begin();
	node_say(b);
	struct node *old = calloc(1, sizeof(*old));
	old->out[0] = b->out[0];
	CHECK_EQ(node_hear(a, b, 0), MLB_COUNTS_HEARD);
	CHECK_EQ(node_hear(a, b, 0), MLB_COUNTS_REPEATED);
	node_has(b, 2, 3);
	node_say(b);
	CHECK_EQ(node_hear(a, b, 0), MLB_COUNTS_HEARD);
	CHECK_EQ(node_hear(a, old, 0), MLB_COUNTS_REPEATED); /* overtaken */
	CHECK_EQ(node_at(a, 1, 1), 3);
	CHECK_EQ(node_peer(a, 0).repeated, 2);
	/* Not when its sender is silent either. */
	bed_now += 10 * PERIOD;
	CHECK_EQ(node_hear(a, old, 0), MLB_COUNTS_REPEATED);
	CHECK_EQ(node_at(a, 1, 1), -1);
	free(old);
	end();
}

TEST(an_earlier_life_is_not_believed)
{
	begin();
	struct node *again = node_new("b", 300);
	node_has(again, 2, 4);
	node_say(b); /* recorded by somebody */
	for (int i = 0; i < 8; i++)
		meet(a, again);
	CHECK_EQ(node_at(a, 1, 1), 4);
	CHECK_EQ(node_hear(a, b, 0), MLB_COUNTS_OLD);
	CHECK_EQ(node_at(a, 1, 1), 4);
	bed_now += 10 * PERIOD; /* the new life ends, too */
	CHECK_EQ(node_hear(a, b, 0), MLB_COUNTS_OLD);
	bed_now += 1000 * PERIOD; /* two challenges pass */
	node_say(a);
	bed_now += 1000 * PERIOD;
	node_say(a);
	CHECK_EQ(node_hear(a, b, 0), MLB_COUNTS_UNPROVEN);
	CHECK_EQ(node_at(a, 1, 1), -1);
	node_free(again);
	end();
}

TEST(what_was_recorded_before_our_life_is_not_believed)
{
	begin();
	struct node *reborn = node_new("a", 101);
	node_has(reborn, 2, 1);
	node_say(b);
	node_say(reborn);
	CHECK_EQ(node_hear(reborn, b, 0), MLB_COUNTS_UNPROVEN);
	CHECK_EQ(node_hear(reborn, b, 0), MLB_COUNTS_UNPROVEN);
	CHECK_EQ(node_at(reborn, 1, 1), -1);
	node_free(reborn);
	end();
}

TEST(own_datagrams_and_a_name_that_is_there_twice)
{
	begin();
	node_say(a);
	CHECK_EQ(node_hear(a, a, 0), MLB_COUNTS_OWN);
	struct node *twin = node_new("a", 500);
	node_say(twin);
	CHECK_EQ(node_hear(a, twin, 0), MLB_COUNTS_NAME);
	node_free(twin);
	end();
}

/* A message of somebody who has the key. */
static enum mlb_counts_verdict say_raw(const struct wire_head *h, const struct wire_entry *e, uint32_t n)
{
	uint8_t buf[MLB_COUNTS_DATAGRAM];
	struct wire_writer w;
	struct mlb_hmac key;
	struct mlb_endpoint from = { .port = 1 };
	mlb_hmac_key(&key, KEY, strlen(KEY));
	wire_begin(&w, buf, h, NULL, 0);
	for (uint32_t i = 0; i < n; i++)
		wire_add(&w, &e[i]);
	uint32_t len = wire_seal(&w, 1, &key);
	return mlb_counts_hear(a->c, buf, len, &from, bed_now);
}

TEST(absurd_counts_names_and_periods_are_refused)
{
	begin();
	struct wire_head h = { .from = "c", .epoch = 1, .seq = 1, .period_us = PERIOD };
	struct mlb_live l = bed_live(1, 1, 1, 1);
	CHECK_EQ(say_raw(&h, NULL, 0), MLB_COUNTS_UNPROVEN);
	h.period_us = 0;
	CHECK_EQ(say_raw(&h, NULL, 0), MLB_COUNTS_ABSURD);
	h.period_us = 2000000;
	CHECK_EQ(say_raw(&h, NULL, 0), MLB_COUNTS_ABSURD);
	h.period_us = PERIOD;
	memcpy(h.from, "a\nb", 4);
	CHECK_EQ(say_raw(&h, NULL, 0), MLB_COUNTS_MALFORMED);
	h.from[0] = 0;
	CHECK_EQ(say_raw(&h, NULL, 0), MLB_COUNTS_MALFORMED);
	/* A writer of ours clips: the bytes of a count beyond what can be are made by hand. */
	uint8_t buf[MLB_COUNTS_DATAGRAM], mac[MLB_SHA256_LEN];
	struct wire_writer w;
	struct wire_entry e = { .ep = l.ep, .flows = 10000000 };
	struct mlb_hmac key;
	struct mlb_endpoint from = { .port = 1 };
	mlb_hmac_key(&key, KEY, strlen(KEY));
	memcpy(h.from, "c", 2);
	wire_begin(&w, buf, &h, NULL, 0);
	CHECK(wire_add(&w, &e));
	uint32_t len = wire_seal(&w, 1, &key) - WIRE_MAC_LEN;
	buf[len - 2] = 0x7f; /* the last byte of flows, waiting being one byte */
	mlb_hmac_sum(&key, buf, len, mac);
	memcpy(buf + len, mac, WIRE_MAC_LEN);
	CHECK_EQ(mlb_counts_hear(a->c, buf, len + WIRE_MAC_LEN, &from, bed_now), MLB_COUNTS_ABSURD);
	end();
}

TEST(garbage_under_a_good_mac_is_refused)
{
	begin();
	struct mlb_rng r;
	struct mlb_hmac key;
	uint8_t buf[MLB_COUNTS_DATAGRAM], mac[MLB_SHA256_LEN];
	struct mlb_endpoint from = { .port = 1 };
	mlb_rng_seed(&r, 11);
	mlb_hmac_key(&key, KEY, strlen(KEY));
	node_say(b);
	for (int i = 0; i < 20000; i++) {
		uint32_t len = b->out[0].len - WIRE_MAC_LEN;
		memcpy(buf, b->out[0].bytes, len);
		for (uint32_t k = 0; k < 1 + mlb_rng_below(&r, 4); k++)
			buf[4 + mlb_rng_below(&r, len - 4)] = (uint8_t)mlb_rng_next(&r);
		len -= mlb_rng_below(&r, 4) == 0 ? mlb_rng_below(&r, 30) : 0;
		mlb_hmac_sum(&key, buf, len, mac);
		memcpy(buf + len, mac, WIRE_MAC_LEN);
		mlb_counts_hear(a->c, buf, len + WIRE_MAC_LEN, &from, bed_now);
		CHECK(node_sum(a) <= 2);
	}
	CHECK(refused(MLB_COUNTS_MALFORMED) > 1000);
	end();
}

TEST(senders_beyond_the_table_are_refused_and_old_ones_give_way)
{
	begin();
	struct wire_head h = { .epoch = 1, .seq = 1, .period_us = PERIOD };
	uint32_t full = 0;
	for (int i = 0; i < 100; i++) {
		snprintf(h.from, sizeof(h.from), "n%d", i);
		full += say_raw(&h, NULL, 0) == MLB_COUNTS_FULL;
	}
	CHECK_EQ(full, 100 - (MLB_COUNTS_PEERS - 1));
	CHECK_EQ(node_at(a, 1, 1), 9); /* who is known stays */
	bed_now += 61 * 1000 * MS;
	CHECK_EQ(say_raw(&h, NULL, 0), MLB_COUNTS_UNPROVEN);
	end();
}

TEST(two_keys_while_one_is_replaced)
{
	begin();
	struct mlb_counts_conf conf = { .instance = "a",
					.epoch = 101,
					.period_us = PERIOD,
					.keys = 2,
					.key = { { "a new key of 16+ bytes", 22 }, { KEY, strlen(KEY) } } };
	struct node *both = calloc(1, sizeof(*both));
	char err[256];
	CHECK_EQ(mlb_counts_new(&both->c, &conf, err), 0);
	node_say(b);
	CHECK_EQ(node_hear(both, b, 0), MLB_COUNTS_UNPROVEN); /* its MAC is good */
	node_say(both);
	CHECK_EQ(node_hear(b, both, 0), MLB_COUNTS_MAC); /* b does not have the new one yet */
	conf.key[0].len = 15;
	CHECK_EQ(mlb_counts_new(&both->c, &conf, err), -22);
	CHECK(strstr(err, "at least 16 bytes"));
	node_free(both);
	end();
}

MLB_TEST_MAIN(CASE(a_mac_without_the_key_is_refused), CASE(no_bit_may_be_changed), CASE(a_datagram_counts_once),
	      CASE(an_earlier_life_is_not_believed), CASE(what_was_recorded_before_our_life_is_not_believed),
	      CASE(own_datagrams_and_a_name_that_is_there_twice), CASE(absurd_counts_names_and_periods_are_refused),
	      CASE(garbage_under_a_good_mac_is_refused), CASE(senders_beyond_the_table_are_refused_and_old_ones_give_way),
	      CASE(two_keys_while_one_is_replaced))
