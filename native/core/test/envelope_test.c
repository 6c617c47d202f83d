/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/choose.h"
#include "marllb/envelope.h"
#include "marllb/fairness.h"
#include "marllb/rng.h"
#include "mlbtest.h"

static const struct mlb_envelope_conf open_conf = { .trust = 3, .step_ratio = 0, .dt_s = .2f, .ejected_cap = .05f };

static float sum(const float *v, uint32_t n)
{
	float s = 0;
	for (uint32_t i = 0; i < n; i++)
		s += v[i];
	return s;
}

TEST(normalises)
{
	float raw[3] = { 2, 4, 2 }, stat[3] = { 1, 1, 1 }, share[3];
	CHECK_EQ(mlb_envelope(&open_conf, 3, raw, stat, NULL, NULL, NULL, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[0], .25, 1e-6);
	CHECK_NEAR(share[1], .5, 1e-6);
}

/* The vector, in words of the contract, and why it is refused; `share` must be untouched. */
TEST(refuses_bad_vectors)
{
	static const struct {
		float raw[2], stat[2], factor[2];
		uint32_t n;
		enum mlb_refuse why;
	} t[] = {
		{ { NAN, 1 }, { 1, 1 }, { 1, 1 }, 2, MLB_REFUSE_NOT_FINITE },
		{ { 1, INFINITY }, { 1, 1 }, { 1, 1 }, 2, MLB_REFUSE_NOT_FINITE },
		{ { 1, -.5f }, { 1, 1 }, { 1, 1 }, 2, MLB_REFUSE_NEGATIVE },
		{ { 0, 0 }, { 1, 1 }, { 1, 1 }, 2, MLB_REFUSE_ALL_ZERO },
		{ { 1, 1 }, { 1, 0 }, { 1, 1 }, 2, MLB_REFUSE_OUT_OF_RANGE },
		{ { 1, 1 }, { 1, 1 }, { 1, 1.5f }, 2, MLB_REFUSE_OUT_OF_RANGE },
		{ { 1, 1 }, { 1, 1 }, { 1, NAN }, 2, MLB_REFUSE_NOT_FINITE },
		{ { 1, 1 }, { 1, 1 }, { 1, -1 }, 2, MLB_REFUSE_NEGATIVE },
		{ { 1, 1 }, { 1, 1 }, { 1, 1 }, 0, MLB_REFUSE_LENGTH },
		{ { 1, 1 }, { 1, 1 }, { 1, 1 }, MLB_MAX_SERVERS_PER_VIP + 1, MLB_REFUSE_LENGTH },
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		float share[2] = { 7, 7 };
		CHECK_EQ(mlb_envelope(&open_conf, t[i].n, t[i].raw, t[i].stat, t[i].factor, NULL, NULL, NULL, share), t[i].why);
		CHECK(share[0] == 7 && share[1] == 7);
	}
}

TEST(trust_bounds_the_share_around_the_static_one)
{
	struct mlb_envelope_conf c = open_conf;
	c.trust = .1f;
	float raw[3] = { 100, 1, 1 }, stat[3] = { 1, 2, 1 }, share[3];
	CHECK_EQ(mlb_envelope(&c, 3, raw, stat, NULL, NULL, NULL, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(sum(share, 3), 1, 1e-6);
	static const double s[3] = { .25, .5, .25 };
	for (int i = 0; i < 3; i++) {
		CHECK(share[i] <= s[i] * exp(.1) * (1 + 1e-6));
		CHECK(share[i] >= s[i] * exp(-.1) * (1 - 1e-6));
	}
	CHECK_NEAR(share[0], .25 * exp(.1), 1e-6);
}

TEST(rate_is_scaled_to_the_tick)
{
	struct mlb_envelope_conf c = open_conf;
	c.step_ratio = 2;
	c.dt_s = .1f; /* half a period: root of 2 */
	float raw[2] = { 1, 1000 }, stat[2] = { 1, 1 }, prev[2] = { .5f, .5f }, share[2];
	CHECK_EQ(mlb_envelope(&c, 2, raw, stat, NULL, prev, NULL, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[0], .5 / sqrt(2), 1e-5);
	c.dt_s = 0;
	CHECK_EQ(mlb_envelope(&c, 2, raw, stat, NULL, prev, NULL, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[0], .5, 1e-5);
}

TEST(factors_are_not_rate_limited_and_bare_is_before_them)
{
	struct mlb_envelope_conf c = open_conf;
	c.step_ratio = 2;
	float raw[3] = { 1, 1, 2 }, stat[3] = { 1, 1, 1 }, prev[3] = { .25f, .25f, .5f }, factor[3] = { 1, 0, .5f }, share[3],
	      bare[3];
	CHECK_EQ(mlb_envelope(&c, 3, raw, stat, factor, prev, NULL, bare, share), MLB_REFUSE_NONE);
	CHECK_EQ(share[1], 0);
	CHECK_NEAR(share[0] / share[2], 1, 1e-5);
	CHECK_NEAR(bare[0] / bare[2], .5, 1e-5);
	CHECK_NEAR(sum(bare, 3), 1, 1e-6);
	CHECK_EQ(bare[1], 0);
}

TEST(weights_that_masks_leave_empty_fall_back_to_those_eligible)
{
	float raw[3] = { 1, 0, 0 }, stat[3] = { 1, 1, 3 }, masked[3] = { 0, 1, 1 }, none[3] = { 0, 0, 0 }, share[3];
	for (int exact = 0; exact < 2; exact++) {
		struct mlb_envelope_conf c = open_conf;
		c.exact = exact;
		CHECK_EQ(mlb_envelope(&c, 3, raw, stat, masked, NULL, NULL, NULL, share), MLB_REFUSE_NONE);
		CHECK_EQ(share[0], 0);
		CHECK_NEAR(share[1], .25, 1e-6);
		CHECK_NEAR(share[2], .75, 1e-6);
	}
	struct mlb_envelope_conf c = open_conf;
	c.exact = true;
	CHECK_EQ(mlb_envelope(&c, 3, none, stat, NULL, NULL, NULL, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[2], .6, 1e-6);
	CHECK_EQ(mlb_envelope(&c, 3, none, stat, none, NULL, NULL, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[2], .6, 1e-6);
}

#define DRAWS 100000u

/* How many of DRAWS flows each server gets when they end at once, so that every mode follows the shares alone. */
static void draw(const float *share, uint32_t n, enum mlb_mode mode, uint32_t *count)
{
	float q[MLB_MAX_SERVERS_PER_VIP] = { 0 };
	struct mlb_table *t;
	struct mlb_rng r;
	mlb_rng_seed(&r, 11);
	CHECK_EQ(mlb_table_new(&t, n, share, NULL, 1, mode, 1, NULL, NULL), 0);
	memset(count, 0, n * sizeof(*count));
	for (uint32_t i = 0; i < DRAWS; i++) {
		uint32_t s = mlb_choose(t, q, &r, i);
		count[s < n ? s : 0]++;
	}
	mlb_table_free(t);
}

/* An operator's weights, and the shares that they are: at any trust, whatever came before and whoever is ejected. */
TEST(exact_weights_are_those_weights_over_many_draws)
{
	static const struct {
		float raw[4];
		double share[4];
	} t[] = {
		{ { 0, 1, 1, 1 }, { 0, 1 / 3., 1 / 3., 1 / 3. } },
		{ { 1, 99, 99, 99 }, { 1 / 298., 99 / 298., 99 / 298., 99 / 298. } },
		{ { 1, 99, 0, 0 }, { .01, .99, 0, 0 } },
		{ { 1e-6f, 1, 1, 1 }, { 1e-6 / 3, 1 / 3., 1 / 3., 1 / 3. } },
		{ { 1e6f, 0, 0, 0 }, { 1, 0, 0, 0 } },
	};
	static const float trusts[] = { 0, .1f, 1.5f, 10 }, stat[4] = { 5, 1, 1, 1 }, prev[4] = { .25f, .25f, .25f, .25f };
	static const uint8_t ejected[4] = { 0, 1, 1, 0 };
	for (size_t k = 0; k < sizeof(t) / sizeof(t[0]) * 4; k++) {
		const float *raw = t[k / 4].raw;
		const double *want = t[k / 4].share;
		struct mlb_envelope_conf c = {
			.trust = trusts[k % 4], .step_ratio = 2, .dt_s = .2f, .ejected_cap = .05f, .exact = true
		};
		float share[4];
		uint32_t n[4];
		CHECK_EQ(mlb_envelope(&c, 4, raw, stat, NULL, prev, ejected, NULL, share), MLB_REFUSE_NONE);
		draw(share, 4, MLB_MODE_ALIAS, n);
		for (uint32_t i = 0; i < 4; i++) {
			CHECK(raw[i] > 0 || share[i] == 0);
			CHECK_NEAR(share[i], want[i], 1e-6 * want[i]);
			CHECK_NEAR(n[i], DRAWS * want[i], 4 * sqrt(DRAWS * want[i] * (1 - want[i])) + (want[i] > 0));
		}
		for (enum mlb_mode m = MLB_MODE_SED; m <= MLB_MODE_P2C; m++) {
			draw(share, 4, m, n);
			for (uint32_t i = 0; i < 4; i++)
				CHECK(raw[i] > 0 || n[i] == 0);
		}
	}
}

TEST(exact_weights_heed_masks_and_slow_starts)
{
	struct mlb_envelope_conf c = { .trust = .1f, .step_ratio = 2, .dt_s = 0, .ejected_cap = .05f, .exact = true };
	float raw[3] = { 8, 2, 2 }, stat[3] = { 1, 1, 1 }, prev[3] = { .3f, .3f, .4f }, factor[3] = { 0, 1, .5f }, share[3],
	      bare[3];
	CHECK_EQ(mlb_envelope(&c, 3, raw, stat, factor, prev, NULL, bare, share), MLB_REFUSE_NONE);
	CHECK_EQ(share[0], 0);
	CHECK_NEAR(share[1], 2 / 3., 1e-6);
	CHECK_NEAR(share[2], 1 / 3., 1e-6);
	CHECK_NEAR(bare[1], .5, 1e-6);
}

TEST(all_masked_means_all_eligible)
{
	float raw[2] = { 1, 3 }, stat[2] = { 1, 1 }, factor[2] = { 0, 0 }, share[2];
	CHECK_EQ(mlb_envelope(&open_conf, 2, raw, stat, factor, NULL, NULL, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[1], .75, 1e-6);
}

TEST(a_server_that_is_back_is_not_rate_limited)
{
	struct mlb_envelope_conf c = open_conf;
	c.step_ratio = 2;
	float raw[3] = { 1, 1, 1 }, stat[3] = { 1, 1, 1 }, prev[3] = { .5f, .5f, 0 }, share[3];
	CHECK_EQ(mlb_envelope(&c, 3, raw, stat, NULL, prev, NULL, NULL, share), MLB_REFUSE_NONE);
	for (int i = 0; i < 3; i++)
		CHECK_NEAR(share[i], 1 / 3., 1e-5);
}

TEST(ejected_servers_hold_at_most_the_cap)
{
	float raw[4] = { 1, 1, 1, 1 }, stat[4] = { 1, 1, 1, 1 }, share[4];
	uint8_t ejected[4] = { 1, 1, 0, 0 }, all[4] = { 1, 1, 1, 1 };
	CHECK_EQ(mlb_envelope(&open_conf, 4, raw, stat, NULL, NULL, ejected, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[0] + share[1], .05, 1e-6);
	CHECK_NEAR(sum(share, 4), 1, 1e-6);
	CHECK_EQ(mlb_envelope(&open_conf, 4, raw, stat, NULL, NULL, all, NULL, share), MLB_REFUSE_NONE);
	CHECK_NEAR(share[0], .25, 1e-6);
}

/* Whatever a policy sends: shares sum to 1, the shares before the factors stay within trust of the static ones, and within the
 * rate of the last ones, whose place in the pool is the same as long as the eligible set is. */
TEST(bounds_hold_for_random_vectors)
{
	struct mlb_rng r;
	mlb_rng_seed(&r, 7);
	for (int round = 0; round < 3000; round++) {
		uint32_t n = 1 + mlb_rng_below(&r, 64);
		float raw[64], stat[64], bare[64], prev[64], share[64];
		struct mlb_envelope_conf c = {
			.trust = (float)(3 * mlb_rng_unit(&r)), .step_ratio = 2, .dt_s = .2f, .ejected_cap = .05f
		};
		double total = 0;
		for (uint32_t i = 0; i < n; i++) {
			raw[i] = (float)exp(40 * (mlb_rng_unit(&r) - .5));
			stat[i] = (float)(.1 + mlb_rng_unit(&r));
			total += stat[i];
		}
		CHECK_EQ(mlb_envelope(&c, n, raw, stat, NULL, NULL, NULL, prev, share), MLB_REFUSE_NONE);
		for (uint32_t i = 0; i < n; i++)
			raw[i] = (float)exp(40 * (mlb_rng_unit(&r) - .5));
		CHECK_EQ(mlb_envelope(&c, n, raw, stat, NULL, prev, NULL, bare, share), MLB_REFUSE_NONE);
		CHECK_NEAR(sum(share, n), 1, 1e-5);
		for (uint32_t i = 0; i < n && !mlbtest_failed; i++) {
			double s = stat[i] / total;
			CHECK(bare[i] >= s * exp(-c.trust) * .9999 && bare[i] <= s * exp(c.trust) * 1.0001);
			CHECK(bare[i] >= prev[i] / 2 * .9999 && bare[i] <= prev[i] * 2 * 1.0001);
		}
	}
}

TEST(fairness)
{
	const double even[4] = { 2, 2, 2, 2 }, one[4] = { 8, 0, 0, 0 };
	CHECK_NEAR(mlb_jain(even, 4), 1, 1e-12);
	CHECK_NEAR(mlb_jain(one, 4), .25, 1e-12);
	CHECK_NEAR(mlb_jain(NULL, 0), 1, 0);
}

/* At any c: load + kappa + bias within e^-c load + e^-2c kappa .. e^c (load + kappa), so that a bias alone cannot draw all flows
 * to one server. */
TEST(bias_is_bounded_by_the_load_it_is_added_to)
{
	float load[4] = { 0, 10, 10, 3 }, bias[4] = { -1, -30, 5, NAN };
	mlb_envelope_bias(1, 4, load, 1, bias);
	CHECK_NEAR(bias[0], expf(-2) - 1, 1e-6);
	CHECK_NEAR(bias[1], 10 * (expf(-1) - 1) + expf(-2) - 1, 1e-5);
	CHECK_NEAR(bias[2], 5, 0);
	CHECK_NEAR(bias[3], 0, 0);
	float up[1] = { 100 }, q[1] = { 4 };
	mlb_envelope_bias(.1f, 1, q, 0, up);
	CHECK_NEAR(up[0], 5 * (expf(.1f) - 1), 1e-5);
}

MLB_TEST_MAIN(CASE(bias_is_bounded_by_the_load_it_is_added_to), CASE(normalises), CASE(refuses_bad_vectors),
	      CASE(trust_bounds_the_share_around_the_static_one), CASE(rate_is_scaled_to_the_tick),
	      CASE(factors_are_not_rate_limited_and_bare_is_before_them),
	      CASE(weights_that_masks_leave_empty_fall_back_to_those_eligible),
	      CASE(exact_weights_are_those_weights_over_many_draws), CASE(exact_weights_heed_masks_and_slow_starts),
	      CASE(all_masked_means_all_eligible), CASE(a_server_that_is_back_is_not_rate_limited),
	      CASE(ejected_servers_hold_at_most_the_cap), CASE(bounds_hold_for_random_vectors), CASE(fairness))
