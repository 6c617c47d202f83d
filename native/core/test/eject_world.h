/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of ejection and its probes do to a world. */
#ifndef EJECT_WORLD_H
#define EJECT_WORLD_H

#include "dp_world.h"

static inline void loop(struct world *w)
{
	for (uint32_t i = 0; i < w->workers; i++) {
		mlb_dp_worker_loop(w->dp, mlb_dp_worker(w->dp, i), w->now);
		mlb_dp_worker_idle(mlb_dp_worker(w->dp, i), true);
	}
}

static inline void result(struct world *w, uint32_t worker, uint32_t slot, enum mlb_connect how, uint64_t began)
{
	mlb_dp_connect_result(w->dp, mlb_dp_worker(w->dp, worker), w->vip, slot, how, began, w->now);
}

/* Refusals a while apart: those of one moment count once. */
static inline void fail(struct world *w, uint32_t slot, int times)
{
	for (int i = 0; i < times; i++) {
		w->now += 10 * MS;
		result(w, 0, slot, MLB_CONNECT_REFUSED, w->now);
	}
	loop(w);
}

/* How many of 200 flows that each end at once go to a slot. */
static inline int chosen(struct world *w, uint32_t slot)
{
	int n = 0;
	for (int i = 0; i < 200; i++)
		n += mlb_dp_choose(w->dp, mlb_dp_worker(w->dp, 0), w->vip, (uint64_t)i << 40, w->now) == slot;
	return n;
}

static inline struct mlb_server_rec record(struct world *w, uint32_t slot)
{
	struct mlb_frame_hdr h;
	struct mlb_server_rec r[16];
	world_run(w, 100 * MS, false);
	loop(w);
	int n = world_frame(w, &h, r, 16);
	for (int i = 0; i < n; i++)
		if (r[i].slot == slot)
			return r[i];
	return (struct mlb_server_rec){ 0 };
}

#endif
