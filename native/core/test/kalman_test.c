/* SPDX-License-Identifier: Apache-2.0 */
#include <marllb/kalman.h>
#include <marllb/rng.h>
#include "mlbtest.h"

/* One server, one step, every term by hand: the pool's means are its own, so only the count speaks. */
TEST(one_server_one_step)
{
	struct mlb_kalman_srv s;
	struct mlb_kalman_pool pool = { 0, 0 };
	struct mlb_kalman_seen seen = { .q = .4, .d = 6, .load = 2 };

	mlb_kalman_init(&s, 2);
	CHECK_NEAR(s.x, log(2), 1e-15);
	CHECK_NEAR(s.p, .3, 1e-15);
	mlb_kalman_step(&s, &pool, 1, &seen, 1, .2, .5);
	double e = .4 * 6.001 / .400001, v = -log((e + .474) / 6.474) + e / (1.03 + 1.5 * e + 1.55 * e * e), p = .3028,
	       r = 3.56 / (e + .05), g = p / (p + r);
	double x = log(2) + g * v;
	CHECK_NEAR(s.x, x + .00029 * (log(2) - x), 1e-12);
	CHECK_NEAR(s.p, p * (1 - g), 1e-12);
	CHECK_NEAR(pool.sum_d, 6, 1e-12);
	mlb_kalman_step(&s, &pool, 1, &seen, 1, .2, .5);
	CHECK_NEAR(pool.sum_d, 6 * exp(-.2) + 6, 1e-12);
	CHECK_NEAR(pool.sum_q, .4 * exp(-.2) + .4, 1e-12);
}

/* Two servers, the second queues: its own evidence and the count's both push it down; a jump raises P before the gain. */
TEST(queue_evidence_and_jump)
{
	struct mlb_kalman_srv s[2];
	struct mlb_kalman_pool pool = { 0, 0 };
	struct mlb_kalman_seen seen[2] = { { .2, 40, 1 }, { 8, 0, 40 } };
	double l[2], x[2];

	for (int i = 0; i < 2; i++) {
		mlb_kalman_init(&s[i], 1);
		l[i] = log(seen[i].load + .5);
	}
	double rate = 40.001 / 8.200001, e = 8 * rate, mean_l = (l[0] + l[1]) / 2;
	double v = -log((e + .474) / .474) + e / (1.03 + 1.5 * e + 1.55 * e * e) + .29 * e / (e + .3) * (l[1] - mean_l);
	double p = .3028, r = 3.56 / (e + .05), z2 = v * v / (p + r);
	CHECK(z2 > 4);
	p += .005 * (z2 - 4) * r / (1 + r);
	x[1] = p / (p + r) * v;
	x[1] -= .00029 * x[1];
	x[1] = x[1] < -3.56 ? -3.56 : x[1];
	mlb_kalman_step(s, &pool, 2, seen, 1, .2, .5);
	CHECK_NEAR(s[1].x, x[1], 1e-12);
	CHECK(s[0].x > 0);
}

/* Counts of mean e drawn for servers that do what their weights say, 1 and `ratio`: the mean of what the filter says of it. */
static double believed_ratio(double e, double ratio, double load, double kappa)
{
	struct mlb_kalman_srv s[2];
	struct mlb_kalman_pool pool = { 0, 0 };
	struct mlb_rng rng;
	double sum = 0;

	mlb_rng_seed(&rng, 5);
	mlb_kalman_init(&s[0], 1);
	mlb_kalman_init(&s[1], ratio);
	for (int t = 0; t < 20000; t++) {
		struct mlb_kalman_seen seen[2] = { { e / 5, 0, load }, { e / 5 * ratio, 0, load * ratio } };
		for (int i = 0; i < 2; i++) {
			double u = 1, stop = exp(-5 * seen[i].q);
			int n = -1;
			for (; u > stop; n++)
				u *= mlb_rng_unit(&rng);
			seen[i].d = n;
		}
		mlb_kalman_step(s, &pool, 2, seen, 1, .2, kappa);
		sum += t >= 1000 ? s[1].x - s[0].x : 0;
	}
	return exp(sum / 19000);
}

/* The mean of a count's logarithm lies below that of its mean, most for counts about 1: six to one came out as four. */
TEST(counting_does_not_draw_weights_together)
{
	double r = believed_ratio(1, 6, 1, .01);
	CHECK(r > 5.5 && r < 7.5);
}

/* Servers all but idle, one sixteen times the other: queues far below kappa say nothing of the weights. */
TEST(empty_queues_do_not_draw_weights_together)
{
	double r = believed_ratio(.02, 16, .004, 1. / 6);
	CHECK(r > 4 && r < 22);
}

/* Where sizes vary much, the same surprise moves the weight less. */
TEST(noisy_counts_weigh_less)
{
	struct mlb_kalman_srv calm[2], noisy[2];
	struct mlb_kalman_pool a = { 0, 0 }, b = { 0, 0 };
	struct mlb_kalman_seen seen[2] = { { .4, 8, 2 }, { .4, 2, 2 } };

	for (int i = 0; i < 2; i++) {
		mlb_kalman_init(&calm[i], 1);
		mlb_kalman_init(&noisy[i], 1);
	}
	mlb_kalman_step(calm, &a, 2, seen, 1, .2, .5);
	mlb_kalman_step(noisy, &b, 2, seen, 5, .2, .5);
	CHECK(calm[1].x < noisy[1].x && noisy[1].x < 0);
}

TEST(a_joining_server_takes_the_pools_mean_offset)
{
	struct mlb_kalman_srv s[2], j;

	mlb_kalman_init(&s[0], 1);
	mlb_kalman_init(&s[1], 4);
	s[0].x += .5;
	s[1].x -= .1;
	s[1].p = .01;
	mlb_kalman_join(&j, 8, s, 2);
	CHECK_NEAR(j.x, log(8) + .2, 1e-12);
	CHECK_NEAR(j.p, .3, 1e-15);
	mlb_kalman_join(&j, 8, s, 0);
	CHECK_NEAR(j.x, log(8), 1e-12);
}

/* Counts drawn from speeds 1 and 3 while weights say 1 and 1: the ratio is found and held. Flows in progress follow the speeds
 * as SED would make them, so only completions tell. */
TEST(finds_a_speed_it_was_not_told)
{
	struct mlb_kalman_srv s[2];
	struct mlb_kalman_pool pool = { 0, 0 };
	struct mlb_rng rng;
	struct mlb_kalman_seen seen[2] = { { .8, 0, 4 }, { .8, 0, 4 } };
	double w[2];

	mlb_rng_seed(&rng, 3);
	mlb_kalman_init(&s[0], 1);
	mlb_kalman_init(&s[1], 1);
	for (int t = 0; t < 400; t++) {
		for (int i = 0; i < 2; i++) {
			double rate = i ? 30 : 10, u = 1;
			int n = -1;
			for (double stop = exp(-seen[i].q * rate); u > stop; n++)
				u *= mlb_rng_unit(&rng);
			seen[i].d = n;
		}
		mlb_kalman_step(s, &pool, 2, seen, 1, .2, .5);
	}
	mlb_kalman_weights(s, 2, w);
	CHECK_NEAR(w[1], 1, 0);
	CHECK(w[0] < 1. / 2 && w[0] > 1. / 60);
}

/* Two load balancers' counts in balance: what the others hold makes up for what this one lacks, so the queue says nothing. */
TEST(others_counts_join_the_queues_evidence)
{
	struct mlb_kalman_srv own[2], shared[2];
	struct mlb_kalman_pool a = { 0, 0 }, b = { 0, 0 };
	struct mlb_kalman_seen alone[2] = { { .2, 2, 1 }, { .6, 6, 3 } }, all[2] = { { .2, 2, 3 }, { .6, 6, 3 } };

	for (int i = 0; i < 2; i++) {
		mlb_kalman_init(&own[i], 1);
		mlb_kalman_init(&shared[i], 1);
	}
	mlb_kalman_step(own, &a, 2, alone, 1, .2, .5);
	mlb_kalman_step(shared, &b, 2, all, 1, .2, .5);
	CHECK(own[1].x > own[0].x + .01);
	CHECK_NEAR(shared[0].x + log(1), shared[1].x, .01);
}

TEST(stays_finite_whatever_it_is_fed)
{
	struct mlb_kalman_srv s[3];
	struct mlb_kalman_pool pool = { 0, 0 };
	struct mlb_rng rng;
	double w[3];

	mlb_rng_seed(&rng, 8);
	for (int i = 0; i < 3; i++)
		mlb_kalman_init(&s[i], i + 1);
	for (int t = 0; t < 5000; t++) {
		struct mlb_kalman_seen seen[3];
		for (int i = 0; i < 3; i++) {
			seen[i].q = mlb_rng_below(&rng, 3) ? exp(30 * mlb_rng_unit(&rng) - 15) : 0;
			seen[i].d = mlb_rng_below(&rng, 3) ? floor(exp(14 * mlb_rng_unit(&rng))) : 0;
			seen[i].load = mlb_rng_below(&rng, 3) ? 5 * seen[i].q : 0;
		}
		mlb_kalman_step(s, &pool, 3, seen, 1, t % 7 ? .2 : 1.5, .25);
		mlb_kalman_weights(s, 3, w);
		for (int i = 0; i < 3; i++) {
			CHECK(isfinite(s[i].x) && s[i].p > 0 && isfinite(s[i].p) && w[i] > 0 && w[i] <= 1);
			CHECK(fabs(s[i].x - s[i].log_cfg) <= 3.56 + 1e-12); /* of the pool's mean */
		}
	}
}

MLB_TEST_MAIN(CASE(one_server_one_step), CASE(queue_evidence_and_jump), CASE(noisy_counts_weigh_less),
	      CASE(empty_queues_do_not_draw_weights_together), CASE(counting_does_not_draw_weights_together),
	      CASE(a_joining_server_takes_the_pools_mean_offset), CASE(finds_a_speed_it_was_not_told),
	      CASE(others_counts_join_the_queues_evidence), CASE(stays_finite_whatever_it_is_fed))
