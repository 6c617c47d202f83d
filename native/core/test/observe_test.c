/* SPDX-License-Identifier: Apache-2.0 */
#include "observe_bed.h"
#include <errno.h>

/* The Kalman output is the reference filter fed by hand with the same figures. */
TEST(kalman_is_the_reference)
{
	struct bed b;
	const float cfg[3] = { 1, 2, 4 };
	const uint32_t q[3] = { 3, 5, 6 }, d[3] = { 4, 9, 30 };
	struct mlb_kalman_srv k[3];
	struct mlb_kalman_pool pool = { 0, 0 };
	struct mlb_kalman_seen seen[3];
	double w[3], sum = 0;
	begin(&b, 3, cfg);
	CHECK_EQ(look(&b, 10), 0);
	CHECK_EQ(b.out.stepped, 0);
	CHECK_NEAR(b.kalman[0], 3. / 7, 1e-6);
	for (int i = 0; i < 3; i++)
		mlb_kalman_init(&k[i], cfg[i]);
	for (int t = 1; t <= 20; t++) {
		double dt = t == 1 ? .1 : .2;
		for (uint32_t i = 0; i < 3; i++) {
			work(&b, i, dt, q[i], d[i]);
			seen[i] = (struct mlb_kalman_seen){ .q = q[i] * dt, .d = d[i], .load = q[i] };
		}
		CHECK_EQ(look(&b, 9.9 + .2 * t), 0);
		CHECK_EQ(b.out.stepped, 1);
		mlb_kalman_step(k, &pool, 3, seen, 1, dt, .5);
	}
	mlb_kalman_weights(k, 3, w);
	for (int i = 0; i < 3; i++)
		sum += w[i];
	for (int i = 0; i < 3; i++)
		CHECK_NEAR(b.kalman[i], w[i] * 3 / sum, 1e-5);
	CHECK(b.kalman[2] > b.kalman[1] && b.kalman[1] > b.kalman[0]);
}

/* What is stripped is not read. */
TEST(stripped_frames_say_the_same)
{
	struct bed a, b;
	const struct mlb_res_sum sum = {
		.samples = 3, .seen = 9, .mean = 4000, .std = 7, .p90 = 5000, .dmean = 4100, .dp90 = 5100, .min = 300
	};
	begin(&a, 3, NULL);
	begin(&b, 3, NULL);
	for (int t = 0; t < 40; t++) {
		for (uint32_t i = 0; i < 3; i++) {
			work(&a, i, .2, 2 + i, 5 * i + 1), work(&b, i, .2, 2 + i, 5 * i + 1);
			a.r[i].duration = a.r[i].ttfb = a.r[i].connect = b.r[i].duration = b.r[i].ttfb = b.r[i].connect = sum;
			a.r[i].bytes_in = a.r[i].packets_out = 7 * (uint64_t)t + i, b.r[i].bytes_out = b.r[i].packets_in = 9;
			a.r[i].weight = .25f, a.r[i].guards = b.r[i].ejections = 3;
		}
		mlb_obs_strip(b.r, 3);
		CHECK_EQ(b.r[0].duration.samples + b.r[1].ttfb.seen, 0);
		CHECK_NEAR(b.r[2].connect.mean + b.r[2].ttfb.mean + b.r[2].weight, 0, 0);
		CHECK_EQ(b.r[1].bytes_out + b.r[1].packets_in + b.r[1].ejections, 0);
		CHECK_EQ(look(&a, 5 + .2 * t), 0);
		CHECK_EQ(look(&b, 5 + .2 * t), 0);
		CHECK_EQ(memcmp(a.st[a.cur], b.st[b.cur], sizeof(a.st[0])), 0);
		CHECK_EQ(memcmp(a.server, b.server, sizeof(a.server)) || memcmp(a.pool, b.pool, sizeof(a.pool)), 0);
	}
}

/* Ten frames of 20 ms give the state that one of 200 ms gives. */
TEST(short_frames_fold)
{
	struct bed a, b;
	int steps = 0;
	begin(&a, 2, NULL);
	begin(&b, 2, NULL);
	look(&a, 5), look(&b, 5);
	for (uint32_t i = 0; i < 2; i++)
		work(&a, i, .2, 2 + i, 3), work(&b, i, .2, 2 + i, 3);
	look(&a, 5.2), look(&b, 5.2);
	for (int t = 0; t < 3; t++) {
		for (uint32_t i = 0; i < 2; i++)
			work(&a, i, .2, 4 - i, 10 * (i + 1));
		look(&a, 5.4 + .2 * t);
		for (int f = 1; f <= 10; f++) {
			for (uint32_t i = 0; i < 2; i++)
				work(&b, i, .02, 4 - i, i + 1);
			look(&b, 5.2 + .2 * t + .02 * f);
			steps += (int)b.out.stepped;
			CHECK_EQ(b.out.stepped, f == 10);
		}
	}
	CHECK_EQ(steps, 3);
	for (uint32_t i = 0; i < 2; i++) {
		CHECK_NEAR(a.kalman[i], b.kalman[i], 1e-6);
		for (uint32_t k = 0; k < SF; k++)
			CHECK_NEAR(a.server[i * SF + k], b.server[i * SF + k], 1e-4);
	}
	for (uint32_t k = 0; k < MLB_OBS_POOL_FEATURES; k++)
		CHECK_NEAR(a.pool[k], b.pool[k], 1e-4);
}

TEST(jitter_of_a_frame_does_not_double_the_step)
{
	struct bed b;
	double at = 1;
	begin(&b, 2, NULL);
	look(&b, at);
	for (int t = 1; t < 50; t++) {
		at += t & 1 ? .197 : .203;
		work(&b, 0, .2, 1, 1), work(&b, 1, .2, 1, 1);
		look(&b, at);
		CHECK_EQ(b.out.stepped, 1);
	}
}

TEST(features_say_which_server_is_slow)
{
	struct bed b;
	begin(&b, 2, NULL);
	look(&b, 1);
	for (int t = 1; t <= 15; t++) {
		work(&b, 0, .2, 5, 20);
		work(&b, 1, .2, 5, 5);
		b.r[0].duration_hist[mlb_hist_bucket(50000)] += 20;
		b.r[1].duration_hist[mlb_hist_bucket(200000)] += 5;
		uint64_t now = (uint64_t)((1 + .2 * t) * 1e6);
		b.r[0].last_completion_us = now;
		b.r[1].last_completion_us = now - 150000;
		b.r[0].start_sum_us = 5 * (now - 25000);
		b.r[1].start_sum_us = 5 * (now - 100000);
		look(&b, 1 + .2 * t);
	}
	CHECK(get(&b, 0, "rate") > 0 && get(&b, 1, "rate") < 0);
	CHECK(get(&b, 0, "rate_5s") > 0 && get(&b, 1, "rate_5s") < 0);
	CHECK(get(&b, 0, "kalman_offset") > .3 && get(&b, 1, "kalman_offset") < -.3);
	CHECK(get(&b, 0, "duration_1s") < -.3 && get(&b, 1, "duration_1s") > 1);
	CHECK(get(&b, 0, "age") < 0 && get(&b, 1, "age") > 0);
	CHECK_NEAR(get(&b, 0, "silence"), 0, 1e-6);
	/* 25 completions of 2 flow-seconds: 12.5 a flow-second; 5 flows silent for .15 s miss 9.4 */
	CHECK_NEAR(get(&b, 1, "silence"), log1p(12.5 * 5 * .15) / .8, .02);
	CHECK_NEAR(get(&b, 0, "new"), 1 / (1 + .2 * 14), 1e-6);
	CHECK_NEAR(get_pool(&b, "servers"), log(2) - 2.5, 1e-5);
	CHECK_NEAR(get_pool(&b, "load_balancers"), log(2) - 1, 1e-5);
	CHECK_NEAR(get_pool(&b, "load"), .8 * log(5.05), 1e-4);
	CHECK_NEAR(get_pool(&b, "completions"), .7 * log(12.55), 1e-4);
	CHECK_EQ(b.out.present, MLB_OBS_COUNTS | MLB_OBS_LATENCY);
	CHECK_NEAR(get_pool(&b, "latency_seen"), 1, 0);
	CHECK_NEAR(get_pool(&b, "connect_seen"), 0, 0);
}

TEST(one_way_hides_latency)
{
	struct bed b;
	begin(&b, 2, NULL);
	b.h.one_way = 1;
	look(&b, 1);
	work(&b, 0, .2, 5, 20), work(&b, 1, .2, 5, 5);
	b.r[0].duration_hist[mlb_hist_bucket(50000)] += 20;
	look(&b, 1.2);
	CHECK_EQ(b.out.present, MLB_OBS_COUNTS);
	CHECK_NEAR(get(&b, 0, "samples"), 0, 0);
	CHECK_NEAR(get_pool(&b, "latency_seen"), 0, 0);
	CHECK(get(&b, 0, "rate") > 0);
}

TEST(masking_equals_not_seeing)
{
	struct bed a, b;
	begin(&a, 2, NULL);
	begin(&b, 2, NULL);
	b.h.one_way = 1;
	look(&a, 1), look(&b, 1);
	for (uint32_t i = 0; i < 2; i++) {
		work(&a, i, .2, 2, 5 + i), work(&b, i, .2, 2, 5 + i);
		a.r[i].duration_hist[9] += 5, b.r[i].duration_hist[9] += 5;
	}
	look(&a, 1.2), look(&b, 1.2);
	CHECK(memcmp(a.server, b.server, 2 * SF * sizeof(float)) != 0);
	mlb_obs_mask(&a.out, MLB_OBS_COUNTS);
	CHECK(memcmp(a.server, b.server, 2 * SF * sizeof(float)) == 0);
	CHECK(memcmp(a.pool, b.pool, sizeof(a.pool)) == 0);
	CHECK_EQ(a.out.present, MLB_OBS_COUNTS);
}

/* Seven-fold RTT: the connect minimum is taken off the duration. */
TEST(connect_time_is_taken_off)
{
	struct bed b;
	begin(&b, 2, NULL);
	look(&b, 1);
	for (int t = 1; t <= 20; t++) {
		work(&b, 0, .2, 2, 5), work(&b, 1, .2, 2, 5);
		b.r[0].connect.samples = b.r[1].connect.samples = 5;
		b.r[0].connect.min = 1000;
		b.r[1].connect.min = t == 3 ? 40000 : 45000;
		b.r[0].duration_hist[mlb_hist_bucket(20000)] += 5;
		b.r[1].duration_hist[mlb_hist_bucket(60000)] += 5;
		look(&b, 1 + .2 * t);
	}
	CHECK_EQ(b.out.present, MLB_OBS_ALL);
	CHECK(get(&b, 1, "rtt") > get(&b, 0, "rtt"));
	CHECK(fabs(get(&b, 1, "duration_1s") - get(&b, 0, "duration_1s")) < .6); /* a third of the raw log 3 / .4 */
	CHECK_NEAR(state(&b)->srv[1].connect_min[0] == 0 ? state(&b)->srv[1].connect_min[1] : 40000, 40000, 1);
}

TEST(servers_join_leave_and_change)
{
	struct bed b;
	const float cfg[4] = { 1, 1, 1, 8 };
	begin(&b, 4, cfg);
	b.h.count = 3;
	look(&b, 1);
	for (int t = 1; t <= 10; t++) {
		for (uint32_t i = 0; i < 3; i++)
			work(&b, i, .2, 3, 4 + 4 * i);
		look(&b, 1 + .2 * t);
	}
	double x2 = state(&b)->srv[2].kalman.x, mean = 0;
	for (int i = 0; i < 3; i++)
		mean += state(&b)->srv[i].kalman.x / 3;
	/* joins between steps: has a weight at once, the others keep theirs */
	b.h.count = 4;
	b.r[3].joined_us = 3050000;
	CHECK_EQ(look(&b, 3.05), 0);
	CHECK_EQ(b.out.stepped, 0);
	CHECK_NEAR(state(&b)->srv[3].kalman.x, log(8) + mean, 1e-9);
	CHECK_NEAR(state(&b)->srv[2].kalman.x, x2, 0);
	/* its flows since it joined count */
	work(&b, 3, .1, 10, 7);
	CHECK_EQ(look(&b, 3.2), 0);
	CHECK_EQ(b.out.stepped, 1);
	CHECK_NEAR(state(&b)->srv[3].ema[0], 7, 1e-6);
	/* leaves: the rest keep their state though their index changes */
	double x1 = state(&b)->srv[1].kalman.x;
	memmove(&b.r[0], &b.r[1], 3 * sizeof(b.r[0]));
	b.h.count = 3;
	look(&b, 3.21);
	CHECK_EQ(state(&b)->srv[0].id, 2);
	CHECK_NEAR(state(&b)->srv[0].kalman.x, x1, 0);
	/* an operator doubles its configured weight: so does the Kalman weight */
	b.r[0].weight_static = 2;
	look(&b, 3.22);
	CHECK_NEAR(state(&b)->srv[0].kalman.x, x1 + log(2), 1e-9);
}

TEST(another_epoch_forgets)
{
	struct bed b;
	begin(&b, 2, NULL);
	look(&b, 1);
	work(&b, 0, .2, 3, 30), work(&b, 1, .2, 3, 1);
	look(&b, 1.2);
	CHECK(b.kalman[0] > b.kalman[1]);
	b.h.dp_epoch = 8;
	memset(b.r[0].duration_hist, 0, sizeof(b.r[0].duration_hist));
	b.r[0].completions = 1;
	CHECK_EQ(look(&b, 1.4), 0);
	CHECK_EQ(b.out.stepped, 0);
	CHECK_NEAR(b.kalman[0], 1, 1e-6);
	CHECK_EQ(state(&b)->steps, 0);
}

TEST(schemas_are_prefixes)
{
	uint32_t server = 0, pool = 0;
	CHECK(mlb_obs_sizes(2, &server, &pool));
	CHECK_EQ(server, 20);
	CHECK_EQ(pool, 10);
	CHECK(strcmp(mlb_obs_server_features[19].name, "new") == 0 && strcmp(mlb_obs_pool_features[9].name, "connect_seen") == 0);
	CHECK(mlb_obs_sizes(MLB_OBS_SCHEMA, &server, &pool));
	CHECK_EQ(server, MLB_OBS_SERVER_FEATURES);
	CHECK_EQ(pool, MLB_OBS_POOL_FEATURES);
	CHECK(!mlb_obs_sizes(1, &server, &pool) && !mlb_obs_sizes(MLB_OBS_SCHEMA + 1, &server, &pool));
}

/* Whatever a frame says, features are finite and within their range. */
TEST(features_stay_in_range)
{
	struct bed b;
	uint64_t x = 12345;
	begin(&b, MAXN, NULL);
	b.h.mono_ns = 0;
	double at = 0;
	for (int t = 0; t < 3000; t++) {
		for (uint32_t i = 0; i < MAXN; i++) {
			struct mlb_server_rec *r = &b.r[i];
			x = x * 6364136223846793005u + 1442695040888963407u;
			uint32_t v = (uint32_t)(x >> 33);
			r->flows = v % 1000 * (v & 1);
			r->flow_us += v % 5000000;
			r->completions += (v >> 8) % 100000 * (v >> 9 & 1);
			r->new_flows += v >> 20;
			r->unanswered += v % 7 == 0;
			r->start_sum_us = v;
			r->last_completion_us = v;
			r->weight_static = (float)(v % 1000) / 10;
			r->flags = v % 5 ? MLB_SRV_MEMBER : MLB_SRV_MEMBER | MLB_SRV_DRAINING;
			r->duration_hist[v % 32] += v % 100;
			r->connect.samples = v & 3;
			r->connect.min = (float)(v % 100000);
		}
		at += (double)(x >> 40 & 255) * .005;
		b.h.load_balancers = x >> 50 & 63;
		b.h.kappa = 0;
		b.h.count = 1 + (x >> 45) % MAXN;
		CHECK_EQ(look(&b, at), 0);
		for (uint32_t i = 0; i < b.h.count * SF && b.out.stepped; i++) {
			const struct mlb_obs_feature *f = &mlb_obs_server_features[i % SF];
			if (!(b.server[i] >= f->lo && b.server[i] <= f->hi) && b.server[i] != 0)
				CHECK(!"server feature out of range");
		}
		for (uint32_t i = 0; i < MLB_OBS_POOL_FEATURES && b.out.stepped; i++)
			CHECK(b.pool[i] >= mlb_obs_pool_features[i].lo && b.pool[i] <= mlb_obs_pool_features[i].hi);
		for (uint32_t i = 0; i < b.h.count; i++)
			CHECK(isfinite(b.kalman[i]) && b.kalman[i] > 0);
	}
}

TEST(wrong_schemas_are_refused)
{
	struct bed b;
	begin(&b, 1, NULL);
	b.h.schema++;
	CHECK_EQ(look(&b, 1), -EINVAL);
	b.h.schema--;
	b.h.record_size -= 8;
	CHECK_EQ(look(&b, 1), -EINVAL);
	b.h.record_size += 8;
	CHECK_EQ(look(&b, 1), 0);
	state(&b)->schema++;
	CHECK_EQ(look(&b, 2), -EINVAL);
	b.has = 0;
	b.h.count = MLB_MAX_SERVERS_PER_VIP + 1;
	CHECK_EQ(look(&b, 2), -E2BIG);
}

/* Each of the state's numbers spoilt, one at a time, in every place where a double or a float lies. */
TEST(a_state_with_values_that_no_step_makes_is_refused)
{
	struct bed b;
	begin(&b, 2, NULL);
	for (uint64_t step = 1; step <= 5; step++)
		CHECK_EQ(look(&b, step), 0);
	struct mlb_obs_state *st = state(&b);
	float *fields[] = { &st->ema[0], &st->ema[5], &st->srv[0].ema[0], &st->srv[1].missed, &st->srv[1].connect_min[1] };
	double *doubles[] = { &st->pool.sum_d, &st->pool.sum_q, &st->srv[0].kalman.x, &st->srv[1].kalman.p,
			      &st->srv[1].kalman.log_cfg };
	for (uint32_t i = 0; i < 5; i++) {
		float f = *fields[i];
		double d = *doubles[i];
		*fields[i] = i % 2 ? INFINITY : NAN;
		CHECK_EQ(look(&b, 6), -EINVAL);
		*fields[i] = f;
		*doubles[i] = i % 2 ? NAN : HUGE_VAL;
		CHECK_EQ(look(&b, 6), -EINVAL);
		*doubles[i] = d;
	}
	st->last_us = st->seen_us + 1; /* the step would last five hundred thousand years */
	CHECK_EQ(look(&b, 6), -EINVAL);
}

TEST(empty_pool)
{
	struct bed b;
	begin(&b, 0, NULL);
	CHECK_EQ(look(&b, 1), 0);
	CHECK_EQ(look(&b, 2), 0);
	CHECK_EQ(b.out.n, 0);
}

MLB_TEST_MAIN(CASE(kalman_is_the_reference), CASE(stripped_frames_say_the_same), CASE(short_frames_fold),
	      CASE(jitter_of_a_frame_does_not_double_the_step), CASE(features_say_which_server_is_slow),
	      CASE(one_way_hides_latency), CASE(masking_equals_not_seeing), CASE(connect_time_is_taken_off),
	      CASE(servers_join_leave_and_change), CASE(another_epoch_forgets), CASE(schemas_are_prefixes),
	      CASE(features_stay_in_range), CASE(wrong_schemas_are_refused),
	      CASE(a_state_with_values_that_no_step_makes_is_refused), CASE(empty_pool))
