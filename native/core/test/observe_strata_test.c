/* SPDX-License-Identifier: Apache-2.0 */
#include "observe_bed.h"

TEST(strata_spread_over_the_load_balancers)
{
	struct bed b;
	float seen[4][3];
	begin(&b, 3, NULL);
	for (uint32_t i = 0; i < 3; i++)
		b.r[i].addr.b[15] = (uint8_t)(i + 1);
	b.h.load_balancers = 4;
	for (uint32_t m = 0; m < 4; m++) {
		b.h.load_balancer = m + 1;
		b.h.dp_epoch = 100 + m; /* of no account where the number is told */
		b.has = 0;
		CHECK_EQ(look(&b, 1), 0);
		memcpy(seen[m], b.stratum, sizeof(seen[m]));
	}
	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t m = 0; m < 4; m++) {
			float step = seen[(m + 1) % 4][i] - seen[m][i];
			CHECK(seen[m][i] >= 0 && seen[m][i] < 1);
			CHECK_NEAR(step < 0 ? step + 1 : step, .25, 1e-5);
		}
	CHECK(fabsf(seen[0][0] - seen[0][1]) > 1e-3f && fabsf(seen[0][1] - seen[0][2]) > 1e-3f);
}

TEST(without_a_number_the_epoch_draws_the_strata)
{
	struct bed b;
	double sum = 0;
	begin(&b, 1, NULL);
	b.h.load_balancers = 4;
	for (uint32_t number = 0; number < 6; number += 5) /* 5 of 4 is none either */
		for (uint32_t e = 0; e < 200; e++) {
			float u, again;
			b.h.load_balancer = number;
			b.h.dp_epoch = e + 1;
			mlb_obs_strata(&b.h, b.r, &u);
			mlb_obs_strata(&b.h, b.r, &again);
			CHECK(u >= 0 && u < 1);
			CHECK_NEAR(u, again, 0);
			sum += u;
		}
	CHECK_NEAR(sum / 400, .5, .06);
}

/* Another load balancer may hold the same servers in another order, and still one that this one has seen off. */
TEST(strata_go_by_address_not_by_place)
{
	struct bed b;
	float one[4], other[4];
	begin(&b, 4, NULL);
	b.h.load_balancer = 1;
	for (uint32_t i = 0; i < 4; i++) {
		b.r[i].addr.b[15] = (uint8_t)(i / 2 + 1);
		b.r[i].port = (uint16_t)(i % 2 ? 256 : 255);
	}
	mlb_obs_strata(&b.h, b.r, one);
	const struct mlb_server_rec leaves = { .flags = MLB_SRV_LEAVING }, first = b.r[0];
	b.r[0] = b.r[2];
	b.r[2] = first;
	b.r[3] = leaves; /* the least address of all */
	mlb_obs_strata(&b.h, b.r, other);
	CHECK_NEAR(other[0], one[2], 0);
	CHECK_NEAR(other[1], one[1], 0);
	CHECK_NEAR(other[2], one[0], 0);
	for (uint32_t i = 0; i < 4; i++)
		for (uint32_t j = 0; j < i; j++)
			CHECK(fabsf(one[i] - one[j]) > .1f);
}

/* Two servers, one with a bias: as the choice keeps (q + kappa + bias) / w level, a queue shorter by the bias is no news. */
TEST(a_bias_belongs_to_the_balance)
{
	struct bed b;
	begin(&b, 2, NULL);
	b.r[0].bias = -.25f;
	b.r[1].bias = .75f;
	look(&b, 1);
	for (int t = 1; t <= 20; t++) {
		work(&b, 0, .2, 3, 6);
		work(&b, 1, .2, 2, 4);
		look(&b, 1 + .2 * t);
	}
	CHECK_NEAR(get(&b, 0, "balance"), 0, .15);
	CHECK_NEAR(get(&b, 0, "balance_now"), 0, .15);
	CHECK_EQ(b.out.shared, 0);
	b.r[1].bias = -8; /* leaves nothing: floored, finite */
	b.r[1].peer = 2;
	work(&b, 0, .2, 3, 6);
	work(&b, 1, .2, 2, 4);
	look(&b, 5.2);
	CHECK(isfinite(get(&b, 1, "balance")));
	CHECK_EQ(b.out.shared, 1);
}

MLB_TEST_MAIN(CASE(strata_spread_over_the_load_balancers), CASE(without_a_number_the_epoch_draws_the_strata),
	      CASE(strata_go_by_address_not_by_place), CASE(a_bias_belongs_to_the_balance))
