/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of other load balancers that share the pool, from the region's peer block. */
#include "dp_peer.h"

#include <string.h>

#define MAX_COUNT 10000000u

static void clear_all(struct mlb_dp *dp)
{
	DP_EACH_VIP(dp, v) {
		DP_EACH_SERVER(v, s) {
			MLB_ST(s->peer, 0);
			MLB_ST(s->peer_flows, 0);
		}
	}
}

static void add(_Atomic float *sum, uint32_t count)
{
	float c = (float)(count < MAX_COUNT ? count : MAX_COUNT);
	MLB_ST(*sum, MLB_LD(*sum) + c);
}

/* Unknown VIPs and servers are other generations': passed over. */
static void take(struct mlb_dp *dp, const struct mlb_live *e, uint32_t n)
{
	uint32_t hint = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct dp_vip *v = dp_vip_of(dp, e[i].vip_id);
		uint32_t used = v ? dp_used(v) : 0;
		for (uint32_t k = 0, s = hint; k < used; k++, s++) {
			s = s < used ? s : 0;
			struct dp_server *srv = &v->srv[s];
			if (!dp_is_member(srv) || srv->pub.id != e[i].server_id)
				continue;
			add(&srv->peer, v->conf.load == MLB_LOAD_WAITING ? e[i].waiting : e[i].flows);
			add(&srv->peer_flows, e[i].flows);
			hint = s + 1;
			break;
		}
	}
}

void dp_peer_poll(struct mlb_dp *dp)
{
	uint64_t size = dp->region.blk[MLB_BLK_PEER].buf_size;
	int64_t len = mlb_region_read(&dp->region, MLB_BLK_PEER, dp->in_buf, size, &dp->peer_seq);
	struct mlb_live_hdr h;
	if (len < (int64_t)sizeof(h))
		return;
	memcpy(&h, dp->in_buf, sizeof(h));
	if (h.entries > MLB_MAX_SERVERS || sizeof(h) + h.entries * sizeof(struct mlb_live) > (uint64_t)len)
		return;
	clear_all(dp);
	take(dp, (const struct mlb_live *)(dp->in_buf + sizeof(h)), h.entries);
	atomic_fetch_add_explicit(&dp->marks, 1, memory_order_release);
}
