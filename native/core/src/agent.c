/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"
#include "marllb/agent.h"

#include <stdio.h>

int mlb_agent_attach(struct mlb_agent **out, const char *path, char err[256])
{
	struct mlb_agent *a = calloc(1, sizeof(*a));
	if (!a) {
		snprintf(err, 256, "no memory to attach to %.160s", path);
		return -ENOMEM;
	}
	int rc = mlb_region_attach(&a->region, path, err);
	if (rc != 0) {
		free(a);
		return rc;
	}
	const struct mlb_region_hdr *h = a->region.hdr;
	a->dp_epoch = h->dp_epoch;
	a->agent_epoch = atomic_load(&a->region.hdr->agent_epoch);
	memcpy(a->instance, h->instance, sizeof(a->instance) - 1);
	memcpy(a->dataplane, h->dataplane, sizeof(a->dataplane) - 1);
	a->frame_us = h->frame_us;
	a->lease_us = h->lease_us;
	a->workers = h->workers;
	a->dp_pid = h->dp_pid;
	a->limits = a->region.limits;
	a->out_size = a->region.blk[MLB_BLK_OUT].buf_size;
	a->in_size = a->region.blk[MLB_BLK_IN].buf_size > a->region.blk[MLB_BLK_POOL].buf_size ?
			     a->region.blk[MLB_BLK_IN].buf_size :
			     a->region.blk[MLB_BLK_POOL].buf_size;
	a->out = malloc(a->out_size);
	a->in = malloc(a->in_size);
	a->effect = malloc(a->region.blk[MLB_BLK_EFFECT].buf_size);
	if (!a->out || !a->in || !a->effect) {
		mlb_agent_close(a);
		snprintf(err, 256, "no memory to attach to %.160s", path);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void mlb_agent_close(struct mlb_agent *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->limits.vips; i++)
		free(a->vip[i].entry);
	mlb_region_close(&a->region, false);
	free(a->out);
	free(a->in);
	free(a->effect);
	free(a);
}

void mlb_agent_info_of(const struct mlb_agent *a, struct mlb_agent_info *out)
{
	*out = (struct mlb_agent_info){ .instance = a->instance,
					.dataplane = a->dataplane,
					.dp_epoch = a->dp_epoch,
					.agent_epoch = a->agent_epoch,
					.frame_us = a->frame_us,
					.lease_us = a->lease_us,
					.workers = a->workers,
					.limits = a->limits,
					.dp_pid = a->dp_pid };
}

bool mlb_agent_replaced(const struct mlb_agent *a)
{
	return mlb_region_replaced(&a->region);
}

void mlb_agent_beat(struct mlb_agent *a)
{
	atomic_fetch_add_explicit(&a->region.hdr->agent_heartbeat, 1, memory_order_release);
}

uint64_t mlb_agent_heartbeat(const struct mlb_agent *a)
{
	return atomic_load_explicit(&a->region.hdr->dp_heartbeat, memory_order_acquire);
}

uint32_t mlb_agent_wait(struct mlb_agent *a, uint32_t seen, uint64_t timeout_us)
{
	mlb_futex_wait(&a->region.hdr->out_futex, seen, timeout_us);
	return atomic_load_explicit(&a->region.hdr->out_futex, memory_order_acquire);
}

void mlb_agent_poke(struct mlb_agent *a)
{
	mlb_futex_wake(&a->region.hdr->out_futex);
}
