/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/hist.h"
#include "marllb/rng.h"
#include "mlbtest.h"

TEST(empty_is_unknown)
{
	uint32_t c[MLB_HIST_BUCKETS] = { 0 };
	CHECK(isnan(mlb_hist_quantile(c, 0.5)));
}

TEST(one_bucket_is_linear)
{
	uint32_t c[MLB_HIST_BUCKETS] = { 0 };
	c[5] = 10; /* [256, 384) */
	CHECK_EQ(mlb_hist_edge(5), 256);
	CHECK_NEAR(mlb_hist_quantile(c, 0), 256, 1e-9);
	CHECK_NEAR(mlb_hist_quantile(c, 0.5), 320, 1e-9);
	CHECK_NEAR(mlb_hist_quantile(c, 1), 384, 1e-9);
	CHECK_NEAR(mlb_hist_quantile(c, 7), 384, 1e-9);
}

TEST(gaps_and_the_open_end)
{
	uint32_t c[MLB_HIST_BUCKETS] = { 0 };
	c[0] = 50;
	c[9] = 50;
	CHECK_NEAR(mlb_hist_quantile(c, 0.5), 64, 1e-9);
	CHECK(mlb_hist_quantile(c, 0.51) >= (double)mlb_hist_edge(9));
	c[MLB_HIST_BUCKETS - 1] = 100;
	CHECK(isinf(mlb_hist_quantile(c, 0.99)));
	c[MLB_HIST_BUCKETS - 1] = UINT32_MAX; /* sums of 32-bit counts do not wrap */
	c[MLB_HIST_BUCKETS - 2] = UINT32_MAX;
	CHECK(mlb_hist_quantile(c, 0.25) < (double)mlb_hist_edge(MLB_HIST_BUCKETS - 1));
}

/* Answers of 8 s had a median of 2.6 s once: what is longer than the last edge must not look like a number. */
TEST(long_times_are_seen_as_long)
{
	uint32_t c[MLB_HIST_BUCKETS] = { 0 };
	c[mlb_hist_bucket(8000000)] = 100;
	CHECK_NEAR(mlb_hist_quantile(c, 0.5), 8e6, 2.2e6);
	CHECK(mlb_hist_bucket(UINT64_C(3600) * 1000000) < MLB_HIST_BUCKETS - 1);
	CHECK_EQ(mlb_hist_edge(MLB_HIST_BUCKETS - 1), MLB_HIST_END_US);
}

TEST(exponential_within_a_bucket)
{
	uint32_t c[MLB_HIST_BUCKETS] = { 0 };
	struct mlb_rng r;
	mlb_rng_seed(&r, 5);
	for (int i = 0; i < 200000; i++)
		c[mlb_hist_bucket((uint64_t)(-log(1 - mlb_rng_unit(&r)) * 20000))]++;
	CHECK_NEAR(mlb_hist_quantile(c, 0.5) / (20000 * log(2)), 1, 0.05);
	CHECK_NEAR(mlb_hist_quantile(c, 0.9) / (20000 * log(10)), 1, 0.05);
	CHECK_NEAR(mlb_hist_quantile(c, 0.99) / (20000 * log(100)), 1, 0.05);
}

MLB_TEST_MAIN(CASE(empty_is_unknown), CASE(one_bucket_is_linear), CASE(gaps_and_the_open_end), CASE(long_times_are_seen_as_long),
	      CASE(exponential_within_a_bucket))
