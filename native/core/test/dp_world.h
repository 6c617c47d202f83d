/* SPDX-License-Identifier: Apache-2.0 */
/* A data plane in virtual time with an agent beside it, for the dp tests. Its workers are the test itself unless a test says
 * else. */
#ifndef DP_WORLD_H
#define DP_WORLD_H
#include <unistd.h>
#include "marllb/dp.h"
#include "mlbtest.h"
#include "world_ep.h"

#define MS 1000u

struct world {
	struct mlb_dp *dp;
	struct mlb_region agent;
	uint32_t vip, workers;
	uint64_t now, agent_epoch, seq;
	char path[128], err[256];
};

static inline struct mlb_vip_conf world_vip_conf(uint32_t capacity)
{
	struct mlb_vip_conf c = { .name = "web",
				  .ep = world_ep(60000),
				  .prefix_len = 128,
				  .mode = MLB_MODE_SED,
				  .capacity = capacity,
				  .eject = true,
				  .load_balancers = 1 };
	return c;
}

/* A VIP "web" with n servers of weight 1, ids 1..n, workers idle; with a region and an attached agent unless `region` is false.
 */
static inline struct world *world_make(uint32_t workers, uint32_t n, uint32_t capacity, bool region, bool live_by_worker)
{
	static int count;
	struct world *w = calloc(1, sizeof(*w));
	snprintf(w->path, sizeof(w->path), "/tmp/marllb_dp_test.%d.%d", (int)getpid(), count++);
	unlink(w->path);
	struct mlb_dp_conf c = { .region = { .path = w->path,
					     .instance = "test",
					     .dataplane = "test",
					     .dp_epoch = 1234,
					     .frame_us = 100 * MS,
					     .lease_us = 1000 * MS },
				 .no_region = !region,
				 .live_by_worker = live_by_worker,
				 .seed = 1 };
	w->workers = workers;
	w->now = 5000 * MS;
	CHECK_EQ(mlb_dp_new(&w->dp, &c, workers, w->err), 0);
	struct mlb_vip_conf vc = world_vip_conf(capacity);
	CHECK_EQ(mlb_dp_vip_add(w->dp, &vc, &w->vip, w->err), 0);
	for (uint32_t i = 1; i <= n; i++) {
		struct mlb_endpoint e = world_ep(i);
		uint32_t id = 0;
		CHECK_EQ(mlb_dp_server_add(w->dp, w->vip, &e, 1, &id, w->err), 0);
		CHECK_EQ(id, i);
	}
	if (region) {
		CHECK_EQ(mlb_region_attach(&w->agent, w->path, w->err), 0);
		w->agent_epoch = atomic_load(&w->agent.hdr->agent_epoch);
	}
	mlb_dp_poll(w->dp, w->now, 0);
	return w;
}

static inline struct world *world_new(uint32_t workers, uint32_t n, uint32_t capacity, bool region)
{
	return world_make(workers, n, capacity, region, false);
}

static inline void world_free(struct world *w)
{
	if (w->agent.hdr)
		mlb_region_close(&w->agent, false);
	mlb_dp_free(w->dp);
	unlink(w->path);
	free(w);
}

/* Lets time pass in steps of a millisecond; the agent's heart beats if asked. */
static inline void world_run(struct world *w, uint64_t us, bool beat)
{
	for (uint64_t end = w->now + us; w->now < end;) {
		w->now += MS;
		if (beat)
			atomic_fetch_add(&w->agent.hdr->agent_heartbeat, 1);
		while (mlb_dp_poll(w->dp, w->now, w->now * 1000) == 0)
			;
	}
}

static inline struct mlb_wvip *world_wvip(struct world *w, uint32_t worker)
{
	return atomic_load(&mlb_dp_worker(w->dp, worker)->vip[w->vip - 1]);
}

static inline const struct mlb_table *world_table(struct world *w)
{
	return atomic_load(&world_wvip(w, 0)->table);
}

/* The newest frame in the agent's eyes; records by count. */
static inline int world_frame(struct world *w, struct mlb_frame_hdr *h, struct mlb_server_rec *r, uint32_t cap)
{
	return mlb_dp_frame(w->dp, w->vip, h, r, cap);
}

/* A vector for servers 1..n, right in every way, to be spoilt by the test. */
struct vector {
	struct mlb_in_hdr h;
	struct mlb_in_vip v;
	struct mlb_in_entry e[MLB_MAX_SERVERS_PER_VIP];
};

static inline void vector_make(struct world *w, struct vector *x, uint32_t n)
{
	struct mlb_frame_hdr h = { 0 };
	struct mlb_server_rec r[1];
	mlb_dp_frame(w->dp, w->vip, &h, r, 0);
	memset(x, 0, sizeof(*x));
	x->h = (struct mlb_in_hdr){ .vips = 1, .entries = n, .agent_epoch = w->agent_epoch };
	x->v = (struct mlb_in_vip){ .dp_epoch = 1234,
				    .birth = h.birth,
				    .agent_epoch = w->agent_epoch ? w->agent_epoch : 1,
				    .seq = ++w->seq,
				    .vip_id = w->vip,
				    .generation = h.generation,
				    .count = n,
				    .ladder = MLB_LADDER_MODEL };
	for (uint32_t i = 0; i < n; i++)
		x->e[i] = (struct mlb_in_entry){ .server_id = i + 1, .weight = 1.0f / (float)n, .factor = 1 };
}

static inline void vector_send(struct world *w, const struct vector *x)
{
	mlb_region_write(&w->agent, MLB_BLK_IN, x, sizeof(x->h) + sizeof(x->v) + x->h.entries * sizeof(x->e[0]));
	mlb_futex_wake(&w->agent.hdr->in_futex);
}

static inline struct mlb_effect world_effect(struct world *w)
{
	static struct {
		struct mlb_effect_hdr h;
		struct mlb_effect e[MLB_MAX_VIPS];
	} out;
	mlb_msg_read(w->agent.blk[MLB_BLK_EFFECT].msg, w->agent.blk[MLB_BLK_EFFECT].base, w->agent.blk[MLB_BLK_EFFECT].buf_size,
		     &out, sizeof(out), NULL, 8);
	for (uint32_t i = 0; i < out.h.vips && i < MLB_MAX_VIPS; i++)
		if (out.e[i].vip_id == w->vip)
			return out.e[i];
	return (struct mlb_effect){ 0 };
}
#endif
