/* SPDX-License-Identifier: Apache-2.0 */
/* What speaks of a server's capacity, and what does not. */
#include "observe_bed.h"

/* Sessions on a VIP that counts flows: connections hardly end, and their ends say nothing; requests tell which server is slow. */
TEST(many_requests_a_connection_are_judged_by_their_waits)
{
	struct bed b;
	begin(&b, 2, NULL);
	look(&b, 1);
	for (int t = 1; t <= 20; t++) {
		for (uint32_t i = 0; i < 2; i++) {
			work(&b, i, .2, 30, 1);
			b.r[i].waiting = 4;
			b.r[i].wait_us += 800000;
			b.r[i].answers += i ? 4 : 16;
			b.r[i].ttfb_hist[mlb_hist_bucket(i ? 200000 : 50000)] += i ? 4 : 16;
		}
		look(&b, 1 + .2 * t);
	}
	CHECK_EQ(state(&b)->by_waits, 1);
	CHECK(b.kalman[0] > 1.2 && b.kalman[1] < .8);
	CHECK(get(&b, 1, "duration_5s") > 0);
	CHECK(get_pool(&b, "requests") > 2 && get_pool(&b, "by_waits") == 1);
	CHECK_NEAR(get_pool(&b, "idle"), 26. / 30, .01);
}

/* A round trip of each end was on the wire: two servers alike, one of them 60 ms away, are the same to the filter. */
TEST(time_on_the_wire_is_no_load)
{
	struct bed b;
	begin(&b, 2, NULL);
	look(&b, 1);
	for (int t = 1; t <= 100; t++) {
		work(&b, 0, .2, 4, 20);
		work(&b, 1, .2, 4, 8); /* of its flows 2.4 are on the wire */
		b.r[0].connect.samples = b.r[1].connect.samples = 8;
		b.r[0].connect.min = 10;
		b.r[1].connect.min = 60000;
		look(&b, 1 + .2 * t);
	}
	CHECK_NEAR(b.kalman[0] / b.kalman[1], 1, .2);
}

/* A server that answers an error in a millisecond ends flows quicker than any other; the guard tells which ends were too quick,
 * one frame late. */
TEST(quick_ends_are_no_completions)
{
	struct bed b;
	begin(&b, 2, NULL);
	look(&b, 1);
	for (int t = 1; t <= 50; t++) {
		work(&b, 0, .2, 2, 8);
		uint64_t before = b.r[1].completions;
		work(&b, 1, .2, 1, 200);
		b.r[1].quick_ends = before;
		look(&b, 1 + .2 * t);
	}
	CHECK(b.kalman[1] < b.kalman[0]);
	CHECK(get(&b, 1, "quick") > .5 && get(&b, 0, "quick") == 0);
}

/* A server that comes back under another id, at its old address, is what it was. */
TEST(memory_goes_by_address)
{
	struct bed b;
	begin(&b, 3, NULL);
	for (uint32_t i = 0; i < 3; i++) {
		b.r[i].addr.b[15] = (uint8_t)(i + 1);
		b.r[i].port = 80;
	}
	look(&b, 1);
	for (int t = 1; t <= 100; t++) {
		for (uint32_t i = 0; i < 3; i++)
			work(&b, i, .2, 4, i == 2 ? 4 : 16);
		look(&b, 1 + .2 * t);
	}
	float slow = b.kalman[2] / b.kalman[0];
	CHECK(slow < .6f);
	b.h.count = 2;
	look(&b, 21.2);
	b.h.count = 3;
	b.r[2] = (struct mlb_server_rec){
		.id = 9, .flags = MLB_SRV_MEMBER, .addr = b.r[2].addr, .port = 80, .weight_static = 1, .joined_us = 24000000
	};
	look(&b, 24);
	CHECK_NEAR(b.kalman[2] / b.kalman[0], slow, .1);
	CHECK(state(&b)->srv[2].kalman.p > .05);
	b.h.count = 2;
	look(&b, 24.2);
	b.h.count = 3;
	b.r[2].id = 10;
	b.r[2].port = 81; /* another server */
	look(&b, 24.4);
	CHECK(b.kalman[2] / b.kalman[0] > .8);
}

TEST(waiting_counts_answers)
{
	struct bed b;
	begin(&b, 2, NULL);
	b.h.load = MLB_LOAD_WAITING;
	look(&b, 1);
	for (int t = 1; t <= 10; t++) {
		for (uint32_t i = 0; i < 2; i++) {
			b.r[i].flows = 500; /* mostly idle connections */
			b.r[i].flow_us += 100000000;
			b.r[i].waiting = 4;
			b.r[i].wait_us += 800000;
			b.r[i].answers += i ? 4 : 16;
			b.r[i].ttfb_hist[mlb_hist_bucket(i ? 200000 : 50000)] += i ? 4 : 16;
		}
		look(&b, 1 + .2 * t);
	}
	CHECK(b.kalman[0] > 1.2 && b.kalman[1] < .8);
	CHECK(get(&b, 1, "duration_5s") > 0);
	CHECK_NEAR(get_pool(&b, "load"), .8 * log(4.05), 1e-4);
	CHECK_NEAR(get(&b, 0, "silence"), 0, 0);
}

TEST(refusals_are_no_completions)
{
	struct bed b;
	begin(&b, 2, NULL);
	look(&b, 1);
	for (int t = 1; t <= 10; t++) {
		work(&b, 0, .2, 3, 10);
		work(&b, 1, .2, 3, 10);
		b.r[1].refusals += 50;
		look(&b, 1 + .2 * t);
	}
	CHECK_NEAR(b.kalman[0], b.kalman[1], 1e-6);
	CHECK(get(&b, 1, "errors") == 4 && get(&b, 0, "errors") == 0 && get(&b, 1, "failures") == 0);
	CHECK(b.out.out_of_range > 0 && b.out.out_of_range < .1);
}

MLB_TEST_MAIN(CASE(many_requests_a_connection_are_judged_by_their_waits), CASE(time_on_the_wire_is_no_load),
	      CASE(quick_ends_are_no_completions), CASE(memory_goes_by_address), CASE(waiting_counts_answers),
	      CASE(refusals_are_no_completions))

/* Sizes of which 1 in 100 is 100 times the others: what stands in the load for many steps says little of a server. */
TEST(rare_very_long_flows_make_counts_weigh_less)
{
	double moved[2];
	for (int rare = 0; rare < 2; rare++) {
		struct bed b;
		begin(&b, 2, NULL);
		look(&b, 1);
		for (int t = 1; t <= 50; t++) {
			for (uint32_t i = 0; i < 2; i++) {
				work(&b, i, .2, 6, t > 25 && i ? 4 : 8);
				b.r[i].duration_hist[mlb_hist_bucket(100000)] += 8;
				b.r[i].duration_hist[mlb_hist_bucket(10000000)] += rare && t % 12 == 0;
			}
			look(&b, 1 + .2 * t);
		}
		moved[rare] = log((double)(b.kalman[0] / b.kalman[1]));
	}
	CHECK(moved[0] > .2 && moved[1] > 0);
	CHECK(moved[1] < .25 * moved[0]);
}
