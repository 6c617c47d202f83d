/* SPDX-License-Identifier: Apache-2.0 */
/* The heuristic policies, on observations of frames made by hand. */
#include "observe_bed.h"
#include "marllb/policy.h"

static struct {
	struct bed b;
	float latency[MAXN], memory[MAXN], fixed[MAXN], weight[MAXN], kappa;
} t;

static void begin_policy(uint32_t n, const float *weight)
{
	memset(&t, 0, sizeof(t));
	begin(&t.b, n, weight);
	for (uint32_t i = 0; i < n; i++)
		t.fixed[i] = t.b.r[i].weight_static;
	t.b.out.latency = t.latency;
	CHECK_EQ(look(&t.b, 0), 0);
}

/* The next native step, and what the policy makes of it. */
static void decide(const char *name, double at_s)
{
	const struct mlb_policy *p = mlb_policy_find(name);
	struct mlb_policy_in in = { .n = t.b.h.count, .weight_static = t.fixed, .kalman = t.b.kalman, .latency = t.latency };
	struct mlb_policy_out out = { .weight = t.weight, .kappa = p->kappa };
	CHECK_EQ(look(&t.b, at_s), 0);
	CHECK_EQ(t.b.out.stepped, 1);
	in.dt = t.b.out.dt;
	p->step(&in, t.memory, &out);
	t.kappa = out.kappa;
}

static void answers(uint32_t server, double s, uint32_t count)
{
	t.b.r[server].ttfb_hist[mlb_hist_bucket((uint64_t)(s * 1e6))] += count;
}

TEST(the_catalogue_lists_each_policy_once)
{
	const char *before = "";
	uint32_t n = 0;
	for (const struct mlb_policy *const *p = mlb_policies; *p; p++, n++) {
		CHECK(strcmp(before, (*p)->name) < 0);
		CHECK(mlb_policy_find((*p)->name) == *p);
		CHECK((*p)->help[0] && (*p)->kappa >= 0);
		before = (*p)->name;
	}
	CHECK(n >= 4);
	CHECK(mlb_policy_find("none") == NULL);
}

TEST(uniform_static_and_kalman)
{
	begin_policy(2, (float[]){ 1, 3 });
	decide("uniform", .2);
	CHECK(t.weight[0] == 1 && t.weight[1] == 1 && t.kappa == 1);
	decide("static", .4);
	CHECK(t.weight[0] == 1 && t.weight[1] == 3 && t.kappa == 1);
	decide("kalman", .6);
	CHECK(t.weight[0] == t.b.kalman[0] && t.weight[1] == t.b.kalman[1] && t.kappa == 0);
}

TEST(peak_ewma_weighs_by_latency)
{
	begin_policy(3, NULL);
	answers(0, .010, 5);
	answers(1, .040, 5);
	decide("peak-ewma", .2);
	CHECK_NEAR(t.weight[0] / t.weight[1], 4, 1e-3);
	CHECK_NEAR(1 / t.weight[2], (1 / t.weight[0] + 1 / t.weight[1]) / 2, 1e-6); /* never heard of: the mean */
	CHECK_EQ(t.kappa, 1);
}

TEST(peak_ewma_rises_at_once_and_decays_with_ten_seconds)
{
	begin_policy(2, NULL);
	answers(0, .010, 5);
	answers(1, .010, 5);
	decide("peak-ewma", .2);
	double calm = 1 / t.weight[0];
	answers(0, .640, 1);
	decide("peak-ewma", .4);
	double peak = 1 / t.weight[0];
	CHECK(peak > 40 * calm);
	CHECK_NEAR(1 / t.weight[1], calm, 1e-7);
	decide("peak-ewma", .6); /* silence changes nothing */
	CHECK_NEAR(1 / t.weight[0], peak, 1e-7);
	for (int i = 0; i < 50; i++) {
		answers(0, .010, 5);
		decide("peak-ewma", .8 + .2 * i);
	}
	CHECK_NEAR(1 / t.weight[0], calm + (peak - calm) * exp(-1), .01 * peak);
}

TEST(peak_ewma_takes_durations_where_no_first_byte_is_seen)
{
	begin_policy(2, NULL);
	t.b.r[0].duration_hist[mlb_hist_bucket(10000)] += 3;
	t.b.r[1].duration_hist[mlb_hist_bucket(80000)] += 3;
	decide("peak-ewma", .2);
	CHECK_NEAR(t.weight[0] / t.weight[1], 8, 1e-3);
	t.b.r[0].duration_hist[mlb_hist_bucket(1000000)] += 3;
	answers(0, .010, 3); /* from here on first bytes are seen: durations do not count */
	decide("peak-ewma", .4);
	CHECK_NEAR(t.weight[0] / t.weight[1], 8, 1e-3);
}

TEST(peak_ewma_of_a_pool_that_nobody_asked_is_even)
{
	begin_policy(2, (float[]){ 1, 9 });
	decide("peak-ewma", .2);
	CHECK(t.weight[0] == t.weight[1] && isfinite(t.weight[0]) && t.weight[0] > 0);
}

MLB_TEST_MAIN(CASE(the_catalogue_lists_each_policy_once), CASE(uniform_static_and_kalman), CASE(peak_ewma_weighs_by_latency),
	      CASE(peak_ewma_rises_at_once_and_decays_with_ten_seconds),
	      CASE(peak_ewma_takes_durations_where_no_first_byte_is_seen), CASE(peak_ewma_of_a_pool_that_nobody_asked_is_even))
