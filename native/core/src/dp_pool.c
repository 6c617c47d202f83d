/* SPDX-License-Identifier: Apache-2.0 */
/* Managed pools: the wanted server lists that failover writes through msg_pool. */
#include "dp_pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dp_fail.h"
#include "dp_servers.h"

static int read_list(struct mlb_dp *dp, struct dp_vip *v, const struct mlb_pool_entry *e, uint32_t n, char err[256])
{
	struct mlb_endpoint ep[MLB_MAX_SERVERS_PER_VIP];
	float weight[MLB_MAX_SERVERS_PER_VIP];
	bool draining[MLB_MAX_SERVERS_PER_VIP];
	if (n > MLB_MAX_SERVERS_PER_VIP)
		return dp_fail(err, -E2BIG, "expected at most %u servers, found %u", MLB_MAX_SERVERS_PER_VIP, n);
	for (uint32_t i = 0; i < n; i++) {
		static const struct mlb_addr nowhere;
		if (memcmp(&e[i].addr, &nowhere, sizeof(nowhere)) == 0 || (e[i].flags & ~(uint32_t)MLB_SRV_DRAINING))
			return dp_fail(err, -EINVAL, "entry %u has no address, or flags that are not known", i);
		ep[i] = (struct mlb_endpoint){ .addr = e[i].addr, .port = e[i].port };
		weight[i] = e[i].weight;
		draining[i] = e[i].flags & MLB_SRV_DRAINING;
	}
	return dp_servers_toward(dp, v, ep, weight, draining, n, err);
}

static void take(struct mlb_dp *dp, const struct mlb_pool_vip *p, const struct mlb_pool_entry *entry, uint32_t entries)
{
	struct dp_vip *v = dp_vip_of(dp, p->vip_id);
	if (!v || v->deleting || p->birth != v->birth) {
		dp->refused_vip++;
		return;
	}
	if (!dp_after(p->revision, v->pool_seen))
		return;
	char err[256] = "expected owner and entries within the message";
	int rc = 0;
	if (p->owner > MLB_OWNER_MANAGED || p->first > entries || p->count > entries - p->first)
		rc = -EINVAL;
	else if (p->owner == MLB_OWNER_MANAGED)
		rc = read_list(dp, v, entry + p->first, p->count, err);
	dp->effect_dirty = true;
	char text[320];
	if (rc == -ENOSPC || rc == -EDQUOT) { /* the list is good, only too early: slots of servers on their way out */
		dp->pool_again = true;
		if (rc == -EDQUOT && v->pool_told != p->revision) {
			v->pool_told = p->revision;
			snprintf(text, sizeof(text), "vip %s: pool waits for room: %s", v->conf.name, err);
			dp_notice(dp, text);
		}
		return;
	}
	v->pool_seen = p->revision;
	if (rc != 0) {
		v->pool_refused++;
		snprintf(text, sizeof(text), "vip %s: pool refused: %s", v->conf.name, err);
		dp_notice(dp, text);
		return;
	}
	v->conf.owner = (uint8_t)p->owner;
	v->pool_revision = p->revision;
}

void dp_pool_poll(struct mlb_dp *dp)
{
	uint64_t size = dp->region.blk[MLB_BLK_POOL].buf_size;
	int64_t len = mlb_region_read(&dp->region, MLB_BLK_POOL, dp->in_buf, size, &dp->pool_seq);
	if (len == 0 || len == -EAGAIN)
		return;
	struct mlb_pool_hdr h;
	if (len < (int64_t)sizeof(h)) {
		dp->refused_vip++;
		return;
	}
	memcpy(&h, dp->in_buf, sizeof(h));
	uint64_t need =
		sizeof(h) + (uint64_t)h.vips * sizeof(struct mlb_pool_vip) + (uint64_t)h.entries * sizeof(struct mlb_pool_entry);
	if (h.vips > dp_limits(dp)->vips || h.entries > dp_limits(dp)->servers || need > (uint64_t)len ||
	    h.agent_epoch != MLB_LD_ACQ(dp->region.hdr->agent_epoch)) {
		dp->refused_vip++;
		return;
	}
	const struct mlb_pool_vip *p = (const struct mlb_pool_vip *)(dp->in_buf + sizeof(h));
	for (uint32_t i = 0; i < h.vips; i++)
		take(dp, &p[i], (const struct mlb_pool_entry *)(p + h.vips), h.entries);
}
