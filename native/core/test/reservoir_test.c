/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/reservoir.h"
#include "mlbtest.h"

static struct mlb_reservoir a, b;
static const struct mlb_reservoir *const both[] = { &a, &b };

static void clear(void)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
}

TEST(empty_is_unknown)
{
	struct mlb_res_decay d = { 0 };
	struct mlb_res_sum s;
	clear();
	mlb_res_merge(both, 2, 1, 200000, &d, &s);
	CHECK_EQ(s.samples, 0);
	CHECK_EQ(s.seen, 0);
	CHECK_NEAR(s.mean, 0, 0);
	CHECK_NEAR(s.dmean, 0, 0);
}

TEST(few_samples_are_exact)
{
	struct mlb_res_decay d = { 0 };
	struct mlb_res_sum s;
	struct mlb_rng r = { { 1, 2 } };
	clear();
	for (int i = 1; i <= 10; i++)
		mlb_res_add(i % 2 ? &a : &b, 3, (float)(100 * i), 200000, &r);
	mlb_res_merge(both, 2, 3, 200000, &d, &s);
	CHECK_EQ(s.samples, 10);
	CHECK_EQ(s.seen, 10);
	CHECK_NEAR(s.mean, 550, 1e-3);
	CHECK_NEAR(s.std, 100 * sqrt(8.25), 1e-2);
	CHECK_NEAR(s.p90, 900, 0);
	CHECK_NEAR(s.min, 100, 0);
	CHECK_NEAR(s.dmean, 550, 1e-2);
	CHECK_NEAR(s.dp90, 900, 1e-3);
}

/* A frame of another number is not this frame's, and a worker that comes to a new frame starts over. */
TEST(frames_do_not_mix)
{
	struct mlb_res_decay d = { 0 };
	struct mlb_res_sum s;
	struct mlb_rng r = { { 1, 2 } };
	clear();
	mlb_res_add(&a, 4, 10, 0, &r);
	mlb_res_add(&a, 5, 20, 0, &r);
	mlb_res_add(&a, 6, 30, 0, &r);
	mlb_res_merge(both, 1, 4, 1000, &d, &s);
	CHECK_EQ(s.samples, 0);
	mlb_res_merge(both, 1, 5, 1000, &d, &s);
	CHECK_NEAR(s.mean, 20, 0);
	mlb_res_merge(both, 1, 6, 1000, &d, &s);
	CHECK_NEAR(s.mean, 30, 0);
}

/* A worker that saw 30 times as much weighs 30 times as much, though both buffers are full. */
TEST(workers_weigh_by_what_they_saw)
{
	struct mlb_res_decay d = { 0 };
	struct mlb_res_sum s;
	struct mlb_rng r;
	clear();
	mlb_rng_seed(&r, 9);
	for (int i = 0; i < 300; i++)
		mlb_res_add(&a, 1, 100, 0, &r);
	for (int i = 0; i < 9000; i++)
		mlb_res_add(&b, 1, 10, 0, &r);
	mlb_res_merge(both, 2, 1, 200000, &d, &s);
	CHECK_EQ(s.samples, MLB_RESERVOIR_LEN);
	CHECK_EQ(s.seen, 9300);
	CHECK_NEAR(s.mean, (300 * 100 + 9000 * 10) / 9300.0, 0.01);
	CHECK_NEAR(s.p90, 10, 0);
}

/* Every value is kept with the same probability, early or late (mean over many frames of a ramp). */
TEST(sampling_is_uniform)
{
	struct mlb_rng r;
	double sum = 0, p90 = 0;
	mlb_rng_seed(&r, 21);
	for (uint32_t frame = 0; frame < 400; frame++) {
		struct mlb_res_decay d = { 0 };
		struct mlb_res_sum s;
		clear();
		for (int i = 0; i < 2000; i++)
			mlb_res_add(&a, frame, (float)i, 0, &r);
		mlb_res_merge(both, 1, frame, 200000, &d, &s);
		sum += s.mean;
		p90 += s.p90;
	}
	/* standard errors: 577/sqrt(128*400) = 2.6; p90's 600/sqrt(128*400) = 2.7, one of 128 samples biases it by up to 8 */
	CHECK_NEAR(sum / 400, 999.5, 10);
	CHECK_NEAR(p90 / 400, 1800, 20);
}

TEST(decay_has_a_time_constant_of_a_second)
{
	struct mlb_res_decay d = { 0 };
	struct mlb_res_sum s;
	struct mlb_rng r = { { 1, 2 } };
	clear();
	mlb_res_add(&a, 1, 100, 200000, &r);
	mlb_res_merge(both, 1, 1, 200000, &d, &s);
	CHECK_NEAR(s.dmean, 100, 1e-3);
	for (uint32_t f = 2; f < 7; f++)
		mlb_res_merge(both, 1, f, 200000, &d, &s);
	CHECK_EQ(s.samples, 0);
	CHECK_NEAR(s.dmean, 100, 1e-3); /* remembered */
	mlb_res_add(&a, 7, 400, 200000, &r);
	mlb_res_merge(both, 1, 7, 200000, &d, &s);
	/* the old sample is 1.2 s older: weight e^-1.2 */
	CHECK_NEAR(s.dmean, (100 * exp(-1.2) + 400) / (exp(-1.2) + 1), 0.05);
	for (uint32_t f = 8; f < 8 + 40000; f++)
		mlb_res_merge(both, 0, f, 200000, &d, &s);
	CHECK(isfinite(s.dmean) && s.dmean > 100 && s.dmean < 400);
}

MLB_TEST_MAIN(CASE(empty_is_unknown), CASE(few_samples_are_exact), CASE(frames_do_not_mix), CASE(workers_weigh_by_what_they_saw),
	      CASE(sampling_is_uniform), CASE(decay_has_a_time_constant_of_a_second))
