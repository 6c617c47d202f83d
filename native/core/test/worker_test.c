/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/rec_sum.h"
#include "marllb/worker.h"
#include "mlbtest.h"

static struct mlb_wslot *slots;
static float q[8], others[8];
static struct mlb_worker w;
static struct mlb_wvip v;

static void setup(uint8_t load)
{
	free(slots);
	slots = aligned_alloc(MLB_CACHE_LINE, 8 * sizeof(*slots));
	memset(slots, 0, 8 * sizeof(*slots));
	memset(q, 0, sizeof(q));
	memset(others, 0, sizeof(others));
	memset(&w, 0, sizeof(w));
	memset(&v, 0, sizeof(v));
	mlb_rng_seed(&w.rng, 1);
	v.slots = (struct mlb_wslots *)slots;
	v.q = q;
	v.others = others;
	v.capacity = 8;
	v.load = load;
}

/* One flow's life: gauges, integrals, samples, q. */
TEST(life_of_a_flow)
{
	struct mlb_wslot_gauges g = { 0 };
	setup(MLB_LOAD_FLOWS);
	mlb_ev_open(&v, 3, 1000);
	CHECK_NEAR(q[3], 1, 0);
	mlb_ev_connected(&w, &v, 3, 1000, 1200);
	mlb_ev_request(&v, 3, 1500);
	CHECK_NEAR(q[3], 1, 0);
	mlb_ev_answer(&w, &v, 3, 1500, 2500);
	mlb_ev_bytes(&v, 3, true, 2, 100);
	mlb_ev_bytes(&v, 3, false, 3, 4000);
	mlb_ev_open(&v, 3, 3000);
	CHECK(mlb_wslot_read(&slots[3], &g));
	CHECK_EQ(g.flows, 2);
	CHECK_EQ(g.start_sum_us, 4000);
	mlb_ev_close(&w, &v, 3, 1000, 5000, MLB_END_COMPLETED);
	mlb_ev_close(&w, &v, 3, 3000, 6000, MLB_END_RESET);
	CHECK(mlb_wslot_read(&slots[3], &g));
	CHECK_EQ(g.flows, 0);
	CHECK_EQ(g.waiting, 0);
	CHECK_EQ(g.start_sum_us, 0);
	CHECK_EQ(g.flow_us, 4000 + 3000);
	CHECK_EQ(g.wait_us, 1000);
	CHECK_EQ(g.last_us, 6000);
	CHECK_EQ(slots[3].ver % 2, 0);
	CHECK_EQ(slots[3].new_flows, 2);
	CHECK_EQ(slots[3].answers, 1);
	CHECK_EQ(slots[3].ended[MLB_END_COMPLETED], 1);
	CHECK_EQ(slots[3].ended[MLB_END_RESET], 1);
	CHECK_EQ(slots[3].last_completion_us, 5000);
	CHECK_EQ(slots[3].packets_in, 2);
	CHECK_EQ(slots[3].bytes_out, 4000);
	CHECK_EQ(slots[3].ttfb_hist[mlb_hist_bucket(1000)], 1);
	CHECK_EQ(slots[3].duration_hist[mlb_hist_bucket(4000)], 1);
	CHECK_EQ(slots[3].connect.buf[0].seen, 1);
	CHECK_NEAR(slots[3].connect.buf[0].v[0], 200, 0);
	CHECK_NEAR(slots[3].duration.buf[0].v[0], 4000, 0);
	CHECK_EQ(slots[3].duration.buf[0].seen, 1); /* a reset flow's duration is not the server's */
	CHECK_NEAR(q[3], 0, 0);
}

/* How a flow that was closed or reset really ended, by who had spoken. */
TEST(an_end_without_an_answer_is_no_completion)
{
	static const struct {
		enum mlb_end how;
		bool client, server, client_first;
		enum mlb_end end;
	} t[] = { { MLB_END_COMPLETED, true, true, false, MLB_END_COMPLETED },
		  { MLB_END_COMPLETED, false, true, true, MLB_END_COMPLETED }, /* a banner was read */
		  { MLB_END_COMPLETED, true, false, false, MLB_END_EMPTY },    /* asked and turned away */
		  { MLB_END_COMPLETED, true, false, true, MLB_END_EMPTY },     /* asked, half-closed, turned away */
		  { MLB_END_COMPLETED, false, false, false, MLB_END_EMPTY },   /* accept and close */
		  { MLB_END_COMPLETED, false, false, true, MLB_END_ABORT },    /* a port scan: the client wanted nothing */
		  { MLB_END_RESET, true, false, false, MLB_END_RESET },
		  { MLB_END_RESET, true, true, false, MLB_END_CUT },
		  { MLB_END_ABORT, true, false, false, MLB_END_ABORT },
		  { MLB_END_IDLE, true, false, false, MLB_END_IDLE } };
	struct mlb_wvip *const one[] = { &v };

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		CHECK_EQ(mlb_end_of(t[i].how, t[i].client, t[i].server, t[i].client_first), t[i].end);
	setup(MLB_LOAD_FLOWS);
	for (uint32_t e = 0; e < MLB_END_COUNT; e++) {
		mlb_ev_open(&v, 2, 1000);
		mlb_ev_close(&w, &v, 2, 1000, 2000, (enum mlb_end)e);
	}
	struct mlb_server_rec r = { 0 };
	mlb_rec_sum(&r, one, 1, 2, 2000);
	CHECK_EQ(r.new_flows, MLB_END_COUNT);
	CHECK_EQ(r.flows, 0);
	CHECK_EQ(r.completions, 2); /* COMPLETED and IDLE */
	CHECK_EQ(r.resets, 2);      /* RESET and CUT */
	CHECK_EQ(r.late_resets, 1);
	CHECK_EQ(r.empty_ends, 1);
	CHECK_EQ(r.unmade, 1);
	CHECK_EQ(r.aborts, 1);
	CHECK_EQ(slots[2].duration.buf[0].seen, 1);
}

/* Two workers, each counting its own: the record has both, its integrals run on to the moment of the sum. */
TEST(workers_are_summed)
{
	struct mlb_wslot *first, *second;
	struct mlb_wvip a, b, *const both[] = { &a, &b };
	struct mlb_server_rec r = { .weight = 0.5f, .id = 9 };
	struct mlb_frame_hdr h = { .seq = 7 };

	setup(MLB_LOAD_FLOWS);
	first = slots;
	a = v;
	mlb_ev_open(&a, 1, 1000);
	mlb_ev_request(&a, 1, 2000);
	mlb_ev_no_server(&a);
	mlb_ev_miss(&a);
	mlb_ev_client(&a);
	mlb_ev_client(&a);
	mlb_ev_client_gone(&a);
	slots = NULL;
	setup(MLB_LOAD_FLOWS);
	second = slots;
	b = v;
	mlb_ev_open(&b, 1, 3000);
	mlb_ev_answer(&w, &b, 1, 0, 3000);
	mlb_ev_no_server(&b);
	mlb_ev_failed(&b);
	mlb_ev_client(&b);
	mlb_ev_accept_error(&b);
	mlb_ev_open(&b, 2, 1000);
	mlb_ev_close(&w, &b, 2, 1000, 3500, MLB_END_COMPLETED);
	mlb_ev_open(&b, 2, 1000);
	mlb_ev_close(&w, &b, 2, 1000, 3600, MLB_END_RESET);
	mlb_rec_sum(&r, both, 2, 1, 4000);
	mlb_frame_sum(&h, both, 2);
	CHECK_EQ(r.flows, 2);
	CHECK_EQ(r.flow_us, 3000 + 1000);
	CHECK_EQ(r.start_sum_us, 4000);
	CHECK_EQ(r.new_flows, 2);
	CHECK_EQ(r.answers, 1);
	CHECK_EQ(r.ttfb_sum_us, 3000); /* a's flow still waits: it is in wait_us, and in no answer's time */
	CHECK_EQ(r.ttfb_hist[mlb_hist_bucket(3000)], 1);
	CHECK(r.weight == 0.5f && r.id == 9); /* main's own are left alone */
	CHECK_EQ(h.no_server, 2);
	CHECK_EQ(h.misses, 1);
	CHECK_EQ(h.failed, 1);
	/* Counted by the VIP itself: they stay when the server's slot is cleared. */
	CHECK_EQ(h.answers, 1);
	CHECK_EQ(h.ttfb_sum_us, 3000);
	CHECK_EQ(h.duration_sum_us, 2500); /* of completed flows, as the histogram */
	CHECK_EQ(h.connections, 2);
	CHECK_EQ(h.accept_errors, 1);
	CHECK_EQ(h.seq, 7);
	free(first);
	slots = second;
}

TEST(load_may_be_waiting)
{
	setup(MLB_LOAD_WAITING);
	mlb_ev_open(&v, 0, 10);
	CHECK_NEAR(q[0], 0, 0);
	mlb_ev_request(&v, 0, 20);
	CHECK_NEAR(q[0], 1, 0);
	mlb_ev_unwait(&v, 0, 30);
	CHECK_NEAR(q[0], 0, 0);
	CHECK_EQ(slots[0].answers, 0);
	CHECK_EQ(slots[0].wait_us, 10);
}

/* A flood of SYNs moves choice by 8 or a quarter of the flows at most, and for one second. */
TEST(half_opens_weigh_little_and_not_for_long)
{
	const uint64_t t0 = 10000000;
	setup(MLB_LOAD_FLOWS);
	for (int i = 0; i < 5; i++)
		mlb_ev_half_open(&v, 1, t0);
	CHECK_NEAR(q[1], 5, 0);
	for (int i = 0; i < 1000; i++)
		mlb_ev_half_open(&v, 1, t0 + 500000);
	CHECK_NEAR(q[1], 8, 0);
	for (int i = 0; i < 100; i++)
		mlb_ev_open(&v, 1, t0 + 500000);
	CHECK_NEAR(q[1], 125, 0);
	mlb_ev_half_established(&v, 1, t0, t0 + 600000);
	CHECK_EQ(slots[1].half_young, 1004);
	CHECK_EQ(slots[1].half_open, 1004);
	mlb_wvip_refresh(&v, 1, 0, 0, 0, false, t0 + 1200000); /* the first five are more than a second old */
	CHECK_EQ(slots[1].half_young, 1000);
	mlb_ev_half_close(&v, 1, t0, t0 + 1200000, MLB_END_REFUSED); /* an old one ends: no longer counted, so not taken back */
	CHECK_EQ(slots[1].half_young, 1000);
	CHECK_EQ(slots[1].half_open, 1003);
	CHECK_EQ(slots[1].ended[MLB_END_REFUSED], 1);
	mlb_wvip_refresh(&v, 1, 0, 0, 0, false, t0 + 1600000);
	CHECK_EQ(slots[1].half_young, 0);
	CHECK_NEAR(q[1], 100, 0);
	CHECK_EQ(slots[1].half_open, 1003);
}

/* The cap is one for the whole data plane, not one a worker. */
TEST(others_half_opens_share_the_cap)
{
	setup(MLB_LOAD_FLOWS);
	mlb_wvip_refresh(&v, 2, 40, 40, 6, false, 1000);
	CHECK_NEAR(q[2], 46, 0);
	for (int i = 0; i < 10; i++)
		mlb_ev_half_open(&v, 2, 1000);
	CHECK_NEAR(q[2], 50, 0); /* a quarter of 40 */
	mlb_wvip_refresh(&v, 2, 40, 40, 600, false, 1000);
	CHECK_NEAR(q[2], 50, 0);
}

TEST(ejected_slots_stay_out_whatever_happens)
{
	setup(MLB_LOAD_FLOWS);
	mlb_ev_open(&v, 4, 1);
	mlb_wvip_refresh(&v, 4, 2, 2, 0, true, 2);
	CHECK(q[4] >= MLB_Q_OUT);
	mlb_ev_close(&w, &v, 4, 1, 3, MLB_END_ABORT);
	CHECK(q[4] >= MLB_Q_OUT);
	mlb_wvip_refresh(&v, 4, 2, 2, 0, false, 4);
	CHECK_NEAR(q[4], 2, 0);
}

/* Slots lie side by side: were their distance a multiple of 4 KB, all servers would fight for the same cache set. */
TEST(slots_spread_over_cache_sets)
{
	CHECK_EQ(sizeof(struct mlb_wslot) / MLB_CACHE_LINE % 2, 1);
	CHECK_EQ(offsetof(struct mlb_wslot, packets_in), MLB_CACHE_LINE);
}

MLB_TEST_MAIN(CASE(life_of_a_flow), CASE(an_end_without_an_answer_is_no_completion), CASE(workers_are_summed),
	      CASE(load_may_be_waiting), CASE(half_opens_weigh_little_and_not_for_long), CASE(others_half_opens_share_the_cap),
	      CASE(ejected_slots_stay_out_whatever_happens), CASE(slots_spread_over_cache_sets))
