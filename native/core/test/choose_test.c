/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/choose.h"
#include "mlbtest.h"
#include <errno.h>

/* Upper tail of the chi-square distribution with k degrees of freedom (Wilson, Hilferty 1931: good to about 1e-3 from k = 3 on).
 */
static double chi2_p(double x, double k)
{
	double z = (cbrt(x / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k));
	return 0.5 * erfc(z / sqrt(2));
}

static struct mlb_table *table(uint32_t n, const float *w, const float *bias, enum mlb_mode mode)
{
	struct mlb_table *t = NULL;
	CHECK_EQ(mlb_table_new(&t, n, w, bias, 1.0f, mode, 7, NULL, NULL), 0);
	return t;
}

static double alias_p(uint32_t n, const float *w, uint64_t seed, uint32_t draws)
{
	struct mlb_table *t = table(n, w, NULL, MLB_MODE_ALIAS);
	uint32_t *count = calloc(t->nslots, sizeof(*count)), used = 0;
	struct mlb_rng r;
	double total = 0, x = 0;
	mlb_rng_seed(&r, seed);
	for (uint32_t i = 0; i < draws; i++)
		count[mlb_choose(t, NULL, &r, 0)]++;
	for (uint32_t i = 0; i < n; i++)
		total += (double)w[i];
	for (uint32_t i = 0; i < t->nslots; i++) {
		double expect = i < n ? draws * (double)w[i] / total : 0;
		if (expect == 0) {
			CHECK_EQ(count[i], 0);
			continue;
		}
		used++;
		x += (count[i] - expect) * (count[i] - expect) / expect;
	}
	free(count);
	mlb_table_free(t);
	return chi2_p(x, used - 1);
}

TEST(alias_draws_by_weight)
{
	float w[1024];
	struct mlb_rng r;
	mlb_rng_seed(&r, 42);
	const uint32_t sizes[] = { 4, 5, 16, 64, 100, 1024 };
	for (unsigned k = 0; k < 6; k++) {
		for (uint32_t i = 0; i < sizes[k]; i++)
			w[i] = (float)(0.05 + mlb_rng_unit(&r));
		CHECK(alias_p(sizes[k], w, 100 + k, 4000000) > 0.05);
	}
}

TEST(alias_draws_extreme_weights)
{
	float w[64] = { 0 };
	w[3] = 1;
	w[9] = 1000;
	w[10] = 10;
	w[63] = 100;
	CHECK(alias_p(64, w, 7, 4000000) > 0.05);
	/* nearly all zero, sums that round: a zero slot is never drawn */
	for (int i = 0; i < 64; i++)
		w[i] = i % 3 ? 0 : 1.0f / 3;
	CHECK(alias_p(64, w, 8, 1000000) > 0.05);
}

static uint32_t naive_min(const struct mlb_table *t, const float *q, uint32_t *ties)
{
	float min = INFINITY;
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->nslots; i++) {
		if (t->weight[i] <= 0 || q[i] >= MLB_Q_OUT)
			continue;
		float s = (q[i] + t->add[i]) * t->inv_w[i];
		if (s < min) {
			min = s;
			n = 0;
		}
		if (s == min)
			ties[n++] = i;
	}
	return n;
}

/* Every variant against a plain scan: random weights, zeros among them, slots out, few distinct loads so that ties abound. */
static void against_scan(mlb_sed_fn *fn)
{
	struct mlb_rng r, draw;
	float w[1024], q[1024], bias[1024];
	uint32_t ties[1024], wrong = 0, multi = 0;
	mlb_rng_seed(&r, 1);
	for (int round = 0; round < 20000; round++) {
		uint32_t n = round % 50 ? 1 + mlb_rng_below(&r, 130) : 900 + mlb_rng_below(&r, 125);
		for (uint32_t i = 0; i < n; i++) {
			w[i] = mlb_rng_below(&r, 8) ? (float)(1 + mlb_rng_below(&r, 3)) : 0.0f;
			bias[i] = (float)mlb_rng_below(&r, 2);
		}
		w[mlb_rng_below(&r, n)] = 1;
		struct mlb_table *t = table(n, w, bias, MLB_MODE_SED);
		for (uint32_t i = 0; i < t->nslots; i++)
			q[i] = mlb_rng_below(&r, 6) ? (float)mlb_rng_below(&r, 5) : MLB_Q_OUT + 1;
		uint32_t nt = naive_min(t, q, ties);
		mlb_rng_seed(&draw, (uint64_t)round);
		struct mlb_rng before = draw;
		uint32_t s = fn(t, q, &draw);
		if (nt) {
			uint32_t k = nt > 1 ? mlb_rng_below(&before, nt) : 0;
			multi += nt > 1;
			wrong += s != ties[k];
		} else {
			wrong += t->weight[s] <= 0; /* all out: any eligible one */
		}
		mlb_table_free(t);
	}
	CHECK_EQ(wrong, 0);
	CHECK(multi > 1000);
}

TEST(sed_portable_equals_scan)
{
	against_scan(mlb_sed_portable);
}

TEST(sed_dispatched_equals_scan)
{
	mlb_choose_init();
	if (mlb_sed == mlb_sed_portable)
		SKIP("this CPU has no AVX2");
	against_scan(mlb_sed);
}

/* p is uniform over seeds where ties are fair: of 60 seeds 3 are expected below 0.05, and mean 0.5 with deviation 0.037. */
TEST(sed_ties_are_uniform)
{
	const uint32_t sizes[] = { 2, 3, 5, 8, 64, 100 };
	float w[1024], q[1024] = { 0 };
	mlb_choose_init();
	for (int i = 0; i < 1024; i++)
		w[i] = 3;
	for (unsigned k = 0; k < 6; k++) {
		uint32_t n = sizes[k], low = 0;
		double sum = 0;
		struct mlb_table *t = table(n, w, NULL, MLB_MODE_SED);
		for (uint32_t seed = 0; seed < 60; seed++) {
			uint32_t count[1024] = { 0 };
			struct mlb_rng r;
			double x = 0;
			mlb_rng_seed(&r, seed);
			for (uint32_t i = 0; i < 500 * n; i++)
				count[mlb_choose(t, q, &r, 0)]++;
			for (uint32_t i = 0; i < n; i++)
				x += (count[i] - 500.0) * (count[i] - 500.0) / 500.0;
			double p = chi2_p(x, n - 1);
			low += p < 0.05;
			sum += p;
		}
		CHECK(low <= 9);
		CHECK_NEAR(sum / 60, 0.5, 0.15);
		mlb_table_free(t);
	}
}

TEST(sed_takes_the_lowest_score)
{
	const float w[3] = { 1, 2, 4 }, q[8] = { 0, 1, 4 }; /* (q + 1) / w = 1, 1, 1.25 of equal unit: ties of 0 and 1 */
	struct mlb_table *t = table(3, w, NULL, MLB_MODE_SED);
	struct mlb_rng r;
	uint32_t seen[3] = { 0 };
	mlb_rng_seed(&r, 3);
	for (int i = 0; i < 1000; i++)
		seen[mlb_choose(t, q, &r, 0)]++;
	CHECK(seen[0] > 400 && seen[1] > 400);
	CHECK_EQ(seen[2], 0);
	mlb_table_free(t);
}

TEST(p2c_prefers_the_less_loaded_of_two)
{
	const float w[2] = { 1, 1 };
	float q[8] = { 5, 0 };
	struct mlb_table *t = table(2, w, NULL, MLB_MODE_P2C);
	struct mlb_rng r;
	uint32_t first = 0, n = 1 << 20;
	mlb_rng_seed(&r, 3);
	for (uint32_t i = 0; i < n; i++)
		first += mlb_choose(t, q, &r, 0) == 0;
	/* only when all five draws fall on slot 0: 2^-5 */
	CHECK_NEAR((double)first / n, 1.0 / 32, 0.001);
	q[1] = MLB_Q_OUT;
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(mlb_choose(t, q, &r, 0), 0);
	mlb_table_free(t);
}

/* Out slots are passed over in every mode; when all are out the mark is ignored. */
TEST(out_slots_are_not_chosen)
{
	const enum mlb_mode modes[] = { MLB_MODE_ALIAS, MLB_MODE_SED, MLB_MODE_P2C };
	float w[5] = { 100, 1, 1, 0, 1 }, q[8];
	for (int m = 0; m < 3; m++) {
		struct mlb_table *t = table(5, w, NULL, modes[m]);
		struct mlb_rng r;
		uint32_t seen[8] = { 0 };
		mlb_rng_seed(&r, 5);
		for (int i = 0; i < 8; i++)
			q[i] = 0;
		q[0] = q[1] = MLB_Q_OUT + 4;
		for (int i = 0; i < 3000; i++)
			seen[mlb_choose(t, q, &r, 0)]++;
		CHECK(seen[0] == 0 && seen[1] == 0 && seen[3] == 0);
		CHECK(seen[2] > 1000 && seen[4] > 1000);
		for (int i = 0; i < 8; i++)
			q[i] = MLB_Q_OUT;
		for (int i = 0; i < 1000; i++) {
			uint32_t s = mlb_choose(t, q, &r, 0);
			CHECK(s < 5 && s != 3);
		}
		mlb_table_free(t);
	}
}

/* Nobody should, but a load that is not a number must neither win nor hang. */
TEST(not_a_number_loses)
{
	mlb_sed_fn *const fn[] = { mlb_sed_portable, mlb_sed };
	float w[24], q[24];
	struct mlb_rng r = { { 1, 2 } };
	for (int i = 0; i < 24; i++)
		w[i] = 1;
	struct mlb_table *t = table(24, w, NULL, MLB_MODE_SED);
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < 24; i++)
			q[i] = NAN;
		CHECK(fn[k](t, q, &r) < 24);
		q[13] = 5;
		CHECK_EQ(fn[k](t, q, &r), 13);
	}
	mlb_table_free(t);
}

TEST(table_refuses_bad_input)
{
	struct mlb_table *t = NULL;
	float w[3] = { 1, NAN, 1 }, ok[3] = { 1, 1, 1 }, zero[3] = { 0, 0, 0 };
	struct mlb_rng r = { { 1, 2 } };
	CHECK_EQ(mlb_table_new(&t, 3, w, NULL, 1, MLB_MODE_SED, 1, NULL, NULL), -EINVAL);
	w[1] = -1;
	CHECK_EQ(mlb_table_new(&t, 3, w, NULL, 1, MLB_MODE_SED, 1, NULL, NULL), -EINVAL);
	w[1] = INFINITY;
	CHECK_EQ(mlb_table_new(&t, 3, w, NULL, 1, MLB_MODE_SED, 1, NULL, NULL), -EINVAL);
	w[1] = 1;
	ok[2] = NAN;
	CHECK_EQ(mlb_table_new(&t, 3, w, ok, 1, MLB_MODE_SED, 1, NULL, NULL), -EINVAL);
	CHECK_EQ(mlb_table_new(&t, 3, w, NULL, NAN, MLB_MODE_SED, 1, NULL, NULL), -EINVAL);
	CHECK_EQ(mlb_table_new(&t, 3, w, NULL, 1, (enum mlb_mode)9, 1, NULL, NULL), -EINVAL);
	CHECK_EQ(mlb_table_new(&t, 3, w, NULL, 1, MLB_MODE_HASH, 1, NULL, NULL), -EINVAL);
	CHECK_EQ(mlb_table_new(&t, MLB_MAX_SERVERS_PER_VIP + 1, w, NULL, 1, MLB_MODE_SED, 1, NULL, NULL), -EINVAL);
	CHECK_EQ(mlb_table_new(&t, 3, zero, NULL, 1, MLB_MODE_SED, 1, NULL, NULL), 0);
	CHECK_EQ(t->eligible, 0);
	CHECK_EQ(mlb_choose(t, zero, &r, 0), MLB_NONE);
	mlb_table_free(t);
	mlb_table_free(NULL);
}

MLB_TEST_MAIN(CASE(alias_draws_by_weight), CASE(alias_draws_extreme_weights), CASE(sed_portable_equals_scan),
	      CASE(sed_dispatched_equals_scan), CASE(sed_ties_are_uniform), CASE(sed_takes_the_lowest_score),
	      CASE(p2c_prefers_the_less_loaded_of_two), CASE(out_slots_are_not_chosen), CASE(not_a_number_loses),
	      CASE(table_refuses_bad_input))
