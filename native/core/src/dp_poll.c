/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the main side, and its step. */
#include <string.h>

#include "dp_eject.h"
#include "dp_fail.h"
#include "dp_guard.h"
#include "dp_in.h"
#include "dp_lease.h"
#include "dp_live.h"
#include "dp_pool.h"
#include "dp_publish.h"
#include "dp_region.h"
#include "dp_slots.h"
#include "dp_state.h"
#include "dp_table.h"
#include "dp_vip.h"

/* Room for a whole message of either block, empty. */
static void *new_buffer(const struct mlb_region *r, enum mlb_block a, enum mlb_block b)
{
	return calloc(1, r->blk[a].buf_size > r->blk[b].buf_size ? r->blk[a].buf_size : r->blk[b].buf_size);
}

int mlb_dp_new(struct mlb_dp **out, const struct mlb_dp_conf *conf, uint32_t nworkers, char err[256])
{
	if (nworkers < 1 || nworkers > 1024)
		return dp_fail(err, -EINVAL, "a data plane has 1 to 1024 workers, not %u", nworkers);
	if (conf->region.frame_us < 1000 || conf->region.frame_us > 10000000)
		return dp_fail(err, -EINVAL, "the frame period must be 1 ms to 10 s, not %u us", conf->region.frame_us);
	if (!conf->no_region && conf->region.lease_us < 10000)
		return dp_fail(err, -EINVAL, "the agent's lease must be at least 10 ms, not %u us", conf->region.lease_us);

	struct mlb_limits limits = conf->region.limits;
	int rc = mlb_limits_settle(&limits, err);
	if (rc != 0)
		return rc;
	mlb_choose_init();
	struct mlb_dp *dp = calloc(1, sizeof(*dp));
	if (!dp)
		return dp_fail(err, -ENOMEM, "no memory for the data plane");
	dp->conf = *conf;
	dp->conf.region.limits = limits;
	dp->dp_epoch = conf->region.dp_epoch;
	dp->nworkers = nworkers;
	dp->next_id = 1;
	dp->epoch = 1;
	dp->frame_us = conf->region.frame_us;
	dp->region.fd = -1;

	if (!conf->no_region) {
		struct mlb_region_conf rcnf = dp->conf.region;
		rcnf.workers = nworkers;
		dp->state = rcnf.path ? dp_state_of_region(rcnf.path) : NULL;
		rc = mlb_region_create(&dp->region, &rcnf, err);
		if (rc != 0)
			goto fail;
		dp->in_buf = new_buffer(&dp->region, MLB_BLK_IN, MLB_BLK_POOL);
		dp->live_buf = new_buffer(&dp->region, MLB_BLK_LIVE, MLB_BLK_LIVE);
		dp->peer_buf = new_buffer(&dp->region, MLB_BLK_PEER, MLB_BLK_PEER);
		dp->effect_buf = new_buffer(&dp->region, MLB_BLK_EFFECT, MLB_BLK_EFFECT);
	}
	uint64_t most = sizeof(struct mlb_out_hdr) + limits.vips * sizeof(struct mlb_frame_hdr) +
			limits.servers * sizeof(struct mlb_server_rec);
	dp->out_buf = calloc(1, most);
	dp->draft.buf = calloc(1, most);
	dp->worker = aligned_alloc(MLB_CACHE_LINE, nworkers * sizeof(struct dp_worker));
	if (dp_grace_init(&dp->grace, nworkers) != 0 || !dp->worker || !dp->out_buf || !dp->draft.buf ||
	    (!conf->no_region && (!dp->in_buf || !dp->live_buf || !dp->peer_buf || !dp->effect_buf))) {
		rc = dp_fail(err, -ENOMEM, "no memory for the data plane's buffers");
		goto fail;
	}
	memset(dp->worker, 0, nworkers * sizeof(struct dp_worker));
	for (uint32_t i = 0; i < nworkers; i++) {
		struct mlb_worker *w = &dp->worker[i].w;
		w->index = i;
		mlb_rng_seed(&w->rng, conf->seed + i);
		atomic_store(&w->frame_epoch, dp->epoch);
		dp_grace_worker(&dp->grace, i, w);
	}
	*out = dp;
	return 0;
fail:
	mlb_dp_free(dp);
	return rc;
}

void mlb_dp_free(struct mlb_dp *dp)
{
	if (!dp)
		return;
	dp_grace_end(&dp->grace);
	DP_EACH_VIP(dp, v)
		dp_vip_free(dp, v);
	mlb_region_close(&dp->region, !dp->succeeded);
	free(dp->worker);
	free(dp->state);
	free(dp->in_buf);
	free(dp->live_buf);
	free(dp->peer_buf);
	free(dp->effect_buf);
	free(dp->out_buf);
	free(dp->draft.buf);
	free(dp);
}

struct mlb_worker *mlb_dp_worker(struct mlb_dp *dp, uint32_t index)
{
	return index < dp->nworkers ? &dp->worker[index].w : NULL;
}

struct mlb_region *mlb_dp_region(struct mlb_dp *dp)
{
	return dp->region.hdr ? &dp->region : NULL;
}

void mlb_dp_set_hooks(struct mlb_dp *dp, const struct mlb_dp_hooks *hooks)
{
	dp->hooks = *hooks;
}

int mlb_dp_retire_reserve(struct mlb_dp *dp)
{
	return dp_grace_reserve(&dp->grace, 1);
}

void mlb_dp_retire(struct mlb_dp *dp, void (*free_fn)(void *), void *ptr)
{
	dp_retire(&dp->grace, free_fn, ptr);
	dp_grace_next(&dp->grace);
}

static void first_poll(struct mlb_dp *dp)
{
	dp->frame_at_us = dp->now_us;
	dp->next_frame_us = dp->now_us + dp->frame_us;
	dp->next_live_us = dp->next_recount_us = dp->now_us;
	dp->heartbeat_us = dp->now_us;
	DP_EACH_VIP(dp, v)
		DP_EACH_SERVER(v, s)
			s->joined_us = dp->now_us;
}

/* How long nothing is missed but frames; who publishes weights or a pool wakes us. */
static uint64_t next_look(const struct mlb_dp *dp, bool out)
{
	if (!dp->conf.live_by_worker) {
		uint64_t live = dp->next_live_us > dp->now_us ? dp->next_live_us - dp->now_us : DP_POLL_US;
		return live < DP_POLL_US ? live : DP_POLL_US;
	}
	if (out) /* a server's time may be over */
		return DP_POLL_US;
	uint64_t lease = dp_lease_left_us(dp);
	return lease < DP_LOOK_US ? lease : DP_LOOK_US;
}

uint64_t mlb_dp_poll(struct mlb_dp *dp, uint64_t now_us, uint64_t real_ns)
{
	dp->now_us = now_us > dp->now_us ? now_us : dp->now_us;
	dp->real_ns = real_ns;
	if (dp->next_frame_us == 0)
		first_poll(dp);

	if (dp->region.hdr) {
		atomic_fetch_add_explicit(&dp->region.hdr->dp_heartbeat, 1, memory_order_relaxed);
		dp_region_poll(dp);
		dp_in_poll(dp);
		dp_pool_poll(dp);
		dp_lease_poll(dp);
	}
	bool out = dp_eject_poll(dp), waiting = dp_grace_poll(&dp->grace);
	DP_EACH_VIP(dp, v) {
		if (v->table_due)
			dp_table_swap(dp, v);
		dp_slots_poll(dp, v);
		dp_vip_poll(dp, v);
	}
	dp_effect_poll(dp);
	if (!dp->conf.live_by_worker)
		dp_live_poll(dp, dp->now_us);
	dp_recount_poll(dp);
	if (!dp_frame_poll(dp))
		return 0; /* more to merge or to sum */
	if (!dp_guard_poll(dp))
		return 0;
	if (waiting)
		return DP_POLL_WAITING_US;
	uint64_t left = dp->next_frame_us > dp->now_us ? dp->next_frame_us - dp->now_us : 0;
	uint64_t look = next_look(dp, out);
	return left < look ? left : look;
}
