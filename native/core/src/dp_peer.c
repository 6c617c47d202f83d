/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of other load balancers that share the pool, from the region's peer block. */
#include "dp_priv.h"

#define MAX_COUNT 10000000u

static void clear(struct mlb_dp *dp)
{
	for (uint32_t id = 1; id <= MLB_MAX_VIPS; id++) {
		struct dp_vip *v = dp_vip_of(dp, id);
		uint32_t used = v ? atomic_load_explicit(&v->used, memory_order_relaxed) : 0;
		for (uint32_t s = 0; s < used; s++) {
			atomic_store_explicit(&v->srv[s].peer, 0, memory_order_relaxed);
			atomic_store_explicit(&v->srv[s].peer_flows, 0, memory_order_relaxed);
		}
	}
}

static void add(_Atomic float *sum, uint32_t count)
{
	float c = (float)(count < MAX_COUNT ? count : MAX_COUNT);
	atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + c, memory_order_relaxed);
}

/* Unknown VIPs and servers are other generations': passed over. */
static void take(struct mlb_dp *dp, const struct mlb_live *e, uint32_t n)
{
	uint32_t hint = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct dp_vip *v = dp_vip_of(dp, e[i].vip_id);
		uint32_t used = v ? atomic_load_explicit(&v->used, memory_order_relaxed) : 0;
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
	const struct mlb_msg *m = dp->region.blk[MLB_BLK_PEER].msg;
	uint64_t seq = mlb_msg_seq(m), size = dp->region.blk[MLB_BLK_PEER].buf_size;
	if (seq == dp->peer_seq)
		return;
	int64_t len = mlb_msg_read(m, dp->region.blk[MLB_BLK_PEER].base, size, dp->in_buf, size, &seq, 8);
	if (len == -EAGAIN)
		return;
	dp->peer_seq = seq;
	struct mlb_live_hdr h;
	if (len < (int64_t)sizeof(h))
		return;
	memcpy(&h, dp->in_buf, sizeof(h));
	if (h.entries > MLB_MAX_SERVERS || sizeof(h) + h.entries * sizeof(struct mlb_live) > (uint64_t)len)
		return;
	clear(dp);
	take(dp, (const struct mlb_live *)(dp->in_buf + sizeof(h)), h.entries);
	atomic_fetch_add_explicit(&dp->marks, 1, memory_order_release);
}
