/* SPDX-License-Identifier: Apache-2.0 */
/* Four workers on real threads, beside a main thread that changes servers, weights and modes all the time. Made for TSan; the
 * checks are those of ownership: a slot keeps its server while a flow holds it, and no count is lost. Time is virtual. */
#include <pthread.h>
#include <sched.h>
#include "dp_world.h"

#define WORKERS 4u
#define SLOTS 16u
#define HELD 24u
#define FLOWS_EACH 20000u
#define STAYING 2u /* servers 1 and 2 are never removed */

static struct world *world;
static _Atomic uint64_t now_us;
static _Atomic uint32_t running;

struct held {
	uint32_t slot, id;
	uint64_t start;
};
struct thread {
	pthread_t t;
	uint32_t index;
	uint64_t opened[STAYING + 1]; /* by id */
	uint64_t lost, wrong;         /* flows without a server; slots that changed hands under a flow */
};

static void end(struct thread *t, struct mlb_worker *w, struct mlb_wvip *v, const struct held *h, uint64_t now)
{
	const struct mlb_server *s = mlb_dp_server_at(world->dp, world->vip, h->slot);
	t->wrong += !s || s->id != h->id;
	mlb_ev_answer(w, v, h->slot, h->start, now);
	mlb_ev_close(w, v, h->slot, h->start, now, MLB_END_COMPLETED);
}

static void *work(void *arg)
{
	struct thread *t = arg;
	struct mlb_worker *w = mlb_dp_worker(world->dp, t->index);
	struct mlb_wvip *v = world_wvip(world, t->index);
	struct held held[HELD] = { 0 };
	mlb_dp_worker_idle(w, false);
	for (uint32_t i = 0; i < FLOWS_EACH; i++) {
		uint64_t now = atomic_load(&now_us);
		if (i % 7 == 0) { /* as around epoll_wait */
			mlb_dp_worker_idle(w, true);
			sched_yield();
			mlb_dp_worker_idle(w, false);
		}
		mlb_dp_worker_loop(world->dp, w, now);
		if (t->index == 0)
			mlb_dp_live(world->dp, now);
		struct held *h = &held[i % HELD];
		if (h->id)
			end(t, w, v, h, now);
		h->id = 0;
		uint32_t slot = mlb_dp_choose(world->dp, w, world->vip, mlb_rng_next(&w->rng), now);
		if (slot == MLB_NONE) {
			t->lost++;
			continue;
		}
		*h = (struct held){ slot, mlb_dp_server_at(world->dp, world->vip, slot)->id, now };
		mlb_ev_open(v, slot, now);
		mlb_ev_request(v, slot, now);
		mlb_ev_bytes(v, slot, true, 1, 100);
		enum mlb_connect how = i % 5 == 0 ? (enum mlb_connect)mlb_rng_below(&w->rng, 3) : MLB_CONNECT_OK;
		mlb_dp_connect_result(world->dp, w, world->vip, slot, how, now, now);
		if (h->id <= STAYING)
			t->opened[h->id]++;
	}
	for (uint32_t i = 0; i < HELD; i++)
		if (held[i].id)
			end(t, w, v, &held[i], atomic_load(&now_us));
	mlb_dp_worker_idle(w, true);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* What other load balancers have at servers that are there, that were and that never will be. */
static void tell_peers(struct mlb_rng *rng)
{
	struct {
		struct mlb_peer_hdr h;
		struct mlb_peer e[SLOTS];
	} m = { .h = { .entries = mlb_rng_below(rng, SLOTS + 1), .valid_us = 5 * MS } };
	for (uint32_t i = 0; i < m.h.entries; i++)
		m.e[i] = (struct mlb_peer){ .vip_id = world->vip,
					    .server_id = 1 + mlb_rng_below(rng, 30),
					    .slot = mlb_rng_below(rng, SLOTS + 1),
					    .flows = mlb_rng_below(rng, 9) };
	mlb_region_write(&world->agent, MLB_BLK_PEER, &m, sizeof(m.h) + m.h.entries * sizeof(m.e[0]));
}

static void churn(struct mlb_rng *rng, uint32_t step)
{
	tell_peers(rng);
	struct mlb_endpoint e = world_ep(3 + mlb_rng_below(rng, 20));
	char err[256];
	if (mlb_dp_server_add(world->dp, world->vip, &e, 1, NULL, err) == -EEXIST)
		mlb_dp_server_del(world->dp, world->vip, &e, err);
	if (step % 5 == 0)
		mlb_dp_set_mode(world->dp, world->vip, (enum mlb_mode)(1 + mlb_rng_below(rng, 4)), err);
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[SLOTS];
	struct vector x;
	int n = world_frame(world, &h, r, SLOTS);
	if (n < 1)
		return;
	vector_make(world, &x, (uint32_t)n);
	for (int i = 0; i < n; i++)
		x.e[i].server_id = r[i].id;
	mlb_dp_apply(world->dp, &x.v, x.e);
}

TEST(ownership_merge_and_reclaim)
{
	struct thread t[WORKERS] = { 0 };
	struct mlb_rng rng;
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[SLOTS];
	mlb_rng_seed(&rng, 3);
	world = world_make(WORKERS, STAYING, SLOTS, true, true);
	atomic_store(&world->agent.hdr->live_us, MS);
	atomic_store(&now_us, world->now);
	atomic_store(&running, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++) {
		t[i].index = i;
		pthread_create(&t[i].t, NULL, work, &t[i]);
	}
	for (uint32_t step = 0; atomic_load(&running) != 0; step++) {
		world->now += MS;
		atomic_store(&now_us, world->now);
		while (mlb_dp_poll(world->dp, world->now, 0) == 0)
			;
		churn(&rng, step);
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(t[i].t, NULL);
	world_run(world, 200 * MS, false);
	int n = world_frame(world, &h, r, SLOTS);
	CHECK(n >= (int)STAYING);
	for (int i = 0; i < n; i++) {
		CHECK_EQ(r[i].flows, 0);
		CHECK_EQ(r[i].waiting, 0);
		CHECK(!(r[i].flags & MLB_SRV_LEAVING)); /* all that left was reclaimed */
		if (r[i].id > STAYING)
			continue;
		uint64_t opened = 0;
		for (uint32_t k = 0; k < WORKERS; k++)
			opened += t[k].opened[r[i].id];
		CHECK_EQ(r[i].new_flows, opened);
		CHECK_EQ(r[i].completions, opened);
		CHECK_EQ(r[i].bytes_in, 100 * opened);
		CHECK(opened > 0);
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		CHECK_EQ(t[i].wrong, 0);
		CHECK_EQ(t[i].lost, 0);
	}
	world_free(world);
}

MLB_TEST_MAIN(CASE(ownership_merge_and_reclaim))
