/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <marllb/rng.h>

#include "wheel.h"

#define TICK MLBD_WHEEL_TICK_US
#define N 2000u

_Static_assert(2 * TICK <= 10000, "a time-out fires within 10 ms of what was asked");

struct entry {
	struct mlbd_link link; /* first */
	uint64_t deadline, fired;
	int times;
};
struct run {
	struct mlbd_wheel wheel;
	uint64_t now;
	bool again; /* put an entry back whose real deadline is later */
};

static void fire(void *arg, struct mlbd_link *l)
{
	struct run *r = arg;
	struct entry *e = (struct entry *)l;

	e->times++;
	if (r->again && e->deadline > r->now) {
		mlbd_wheel_add(&r->wheel, l, e->deadline);
		return;
	}
	e->fired = r->now;
}

TEST(fires_within_one_tick_after_the_deadline)
{
	static struct run r;
	static struct entry e[N];
	struct mlb_rng rng;

	mlb_rng_seed(&rng, 1);
	r.now = 123456789;
	mlbd_wheel_init(&r.wheel, r.now);
	for (uint32_t i = 0; i < N; i++) {
		e[i].deadline = r.now + mlb_rng_below(&rng, (MLBD_WHEEL_SLOTS - 2) * TICK);
		mlbd_wheel_add(&r.wheel, &e[i].link, e[i].deadline);
	}
	while (mlbd_wheel_wait_us(&r.wheel, r.now) != UINT64_MAX) {
		r.now += mlbd_wheel_wait_us(&r.wheel, r.now);
		mlbd_wheel_run(&r.wheel, r.now, fire, &r);
	}
	for (uint32_t i = 0; i < N; i++)
		if (e[i].times != 1 || e[i].fired < e[i].deadline || e[i].fired > e[i].deadline + TICK) {
			CHECK(e[i].times == 1);
			CHECK(e[i].fired >= e[i].deadline && e[i].fired <= e[i].deadline + TICK);
			return;
		}
}

TEST(a_deadline_beyond_the_horizon_comes_back)
{
	static struct run r;
	struct entry e = { 0 };

	r.again = true;
	r.now = 5;
	mlbd_wheel_init(&r.wheel, r.now);
	e.deadline = r.now + 10ull * MLBD_WHEEL_SLOTS * TICK;
	mlbd_wheel_add(&r.wheel, &e.link, e.deadline);
	while (!e.fired && r.now < 2 * e.deadline) {
		r.now += mlbd_wheel_wait_us(&r.wheel, r.now);
		mlbd_wheel_run(&r.wheel, r.now, fire, &r);
	}
	CHECK(e.fired >= e.deadline && e.fired <= e.deadline + TICK);
	CHECK(e.times >= 10 && e.times <= 12);
}

TEST(one_taken_out_does_not_fire)
{
	static struct run r;
	struct entry a = { .deadline = 3 * TICK }, b = { .deadline = 3 * TICK };

	mlbd_wheel_init(&r.wheel, 0);
	mlbd_wheel_add(&r.wheel, &a.link, a.deadline);
	mlbd_wheel_add(&r.wheel, &b.link, b.deadline);
	mlbd_link_del(&a.link);
	r.now = 100 * TICK;
	mlbd_wheel_run(&r.wheel, r.now, fire, &r);
	CHECK_EQ(a.times, 0);
	CHECK_EQ(b.times, 1);
}

TEST(a_long_sleep_fires_each_once)
{
	static struct run r;
	struct entry e[3] = { { .deadline = TICK }, { .deadline = 500 * TICK }, { .deadline = 1000 * TICK } };

	mlbd_wheel_init(&r.wheel, 0);
	for (int i = 0; i < 3; i++)
		mlbd_wheel_add(&r.wheel, &e[i].link, e[i].deadline);
	r.now = 1000000ull * TICK;
	mlbd_wheel_run(&r.wheel, r.now, fire, &r);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(e[i].times, 1);
	CHECK(mlbd_wheel_wait_us(&r.wheel, r.now) == UINT64_MAX);
}

TEST(a_past_deadline_fires_at_the_next_tick)
{
	static struct run r;
	struct entry e = { 0 };

	mlbd_wheel_init(&r.wheel, 50 * TICK);
	mlbd_wheel_add(&r.wheel, &e.link, 3 * TICK);
	r.now = 51 * TICK;
	mlbd_wheel_run(&r.wheel, r.now, fire, &r);
	CHECK_EQ(e.times, 1);
}

MLB_TEST_MAIN(CASE(fires_within_one_tick_after_the_deadline), CASE(a_deadline_beyond_the_horizon_comes_back),
	      CASE(one_taken_out_does_not_fire), CASE(a_long_sleep_fires_each_once), CASE(a_past_deadline_fires_at_the_next_tick))
