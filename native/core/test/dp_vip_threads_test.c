/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs that come and go under running workers, made for ASan and TSan: whatever a worker looked up stays until it has passed. */
#include <pthread.h>
#include <sched.h>
#include "dp_world.h"

#define WORKERS 3u
#define ROUNDS 120u
#define LARGE 64u
#define SMALL 6u

static struct mlb_dp *dp;
static _Atomic uint64_t now_us;
static _Atomic uint32_t opened, stop;

/* One flow on each VIP that this worker sees, then a loop that ends them: the last use of a slot is after its flow's end. */
static void *work(void *arg)
{
	struct mlb_worker *w = mlb_dp_worker(dp, (uint32_t)(uintptr_t)arg);
	uint32_t slot[MLB_MAX_VIPS];
	for (uint32_t i = 0; !atomic_load(&stop); i++) {
		if (i % 64 == 0) {
			mlb_dp_worker_idle(w, true);
			sched_yield();
			mlb_dp_worker_idle(w, false);
		}
		uint64_t now = atomic_load(&now_us);
		mlb_dp_worker_loop(dp, w, now);
		for (uint32_t id = 1; id <= 4; id++) {
			struct mlb_wvip *v = atomic_load(&w->vip[id - 1]);
			slot[id] = v ? mlb_dp_choose(dp, w, id, mlb_rng_next(&w->rng), now) : MLB_NONE;
			if (slot[id] == MLB_NONE)
				continue;
			mlb_ev_open(v, slot[id], now);
			atomic_fetch_add(&opened, mlb_dp_server_at(dp, id, slot[id])->id != 0);
		}
		mlb_dp_worker_loop(dp, w, now);
		for (uint32_t id = 1; id <= 4; id++)
			if (slot[id] != MLB_NONE)
				mlb_ev_close(w, atomic_load(&w->vip[id - 1]), slot[id], now, now, MLB_END_COMPLETED);
	}
	mlb_dp_worker_idle(w, true);
	return NULL;
}

static void step(void)
{
	uint64_t now = atomic_fetch_add(&now_us, MS) + MS;
	while (mlb_dp_poll(dp, now, 0) == 0)
		;
	sched_yield();
}

/* A VIP of many servers, then one of few: a worker that mixed the two would write beyond the smaller one. */
static uint32_t add(uint32_t round, struct mlb_endpoint *ep, float *weight)
{
	char err[256];
	uint32_t id = 0, n = round % 2 ? SMALL : LARGE;
	struct mlb_vip_conf c = world_vip_conf(n);
	CHECK_EQ(mlb_dp_vip_add(dp, &c, &id, err), 0);
	CHECK_EQ(mlb_dp_server_set(dp, id, ep, weight, n, err), 0);
	return id;
}

TEST(vips_are_removed_under_workers)
{
	pthread_t t[WORKERS];
	struct mlb_endpoint ep[LARGE];
	float weight[LARGE];
	char err[256];
	struct mlb_dp_conf c = { .no_region = true, .no_miss_ring = true, .region = { .frame_us = 100 * MS }, .seed = 1 };
	for (uint32_t i = 0; i < LARGE; i++) {
		ep[i] = world_ep(i + 1);
		weight[i] = 1;
	}
	atomic_store(&now_us, 5000 * MS);
	CHECK_EQ(mlb_dp_new(&dp, &c, WORKERS, err), 0);
	for (uintptr_t i = 0; i < WORKERS; i++)
		pthread_create(&t[i], NULL, work, (void *)i);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t id = add(round, ep, weight), before = atomic_load(&opened);
		while (atomic_load(&opened) < before + 3 * WORKERS)
			step();
		CHECK_EQ(mlb_dp_vip_del(dp, id, err), 0);
		while (mlb_dp_server_at(dp, id, 0))
			step();
	}
	atomic_store(&stop, 1);
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	mlb_dp_free(dp);
}

/* A worker that has not passed since a VIP vanished may hold what it looked up: the id stays unused until it has. */
TEST(id_is_given_away_again_only_when_all_workers_have_passed)
{
	struct world *w = world_new(2, 0, 4, false);
	struct mlb_worker *a = mlb_dp_worker(w->dp, 0);
	struct mlb_vip_conf c = world_vip_conf(4);
	uint32_t id = 0;
	mlb_dp_worker_loop(w->dp, a, w->now);
	CHECK_EQ(mlb_dp_vip_del(w->dp, w->vip, w->err), 0);
	mlb_dp_worker_loop(w->dp, a, w->now);
	world_run(w, 2 * MS, false);
	CHECK(mlb_dp_server_at(w->dp, w->vip, 0) == NULL);
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), 0);
	CHECK_EQ(id, 2);
	mlb_dp_worker_loop(w->dp, a, w->now);
	snprintf(c.name, sizeof(c.name), "next");
	CHECK_EQ(mlb_dp_vip_add(w->dp, &c, &id, w->err), 0);
	CHECK_EQ(id, 1);
	world_free(w);
}

MLB_TEST_MAIN(CASE(vips_are_removed_under_workers), CASE(id_is_given_away_again_only_when_all_workers_have_passed))
