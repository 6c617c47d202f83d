/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of flows by server, as often as header.live_us says (a quarter as often while nothing changes): the data plane's own go
 * out by the region's block live; those that others have in progress at the same servers (load balancers, other VIPs) come in by
 * its block peer. Main does both, or one worker in its stead (mlb_dp_conf.live_by_worker): a worker is awake anyway, and what
 * came in is seen before the next choice. */
#include "dp_live.h"

#include <string.h>

#define MAX_COUNT 10000000u
#define LIVE_LEAST_US 1000u
#define QUIET 4u /* times as long between two looks while nothing changes */
#define VALID_LEAST_US 1000u
#define VALID_MOST_US 10000000u
#define READER_MOST_US 10000000u /* without a message of the block peer: who asked for the counts is dead */

static struct mlb_live live_of(const struct mlb_dp *dp, const struct dp_vip *v, uint32_t slot)
{
	const struct mlb_server *pub = &v->srv[slot].pub;
	struct mlb_live l = { .vip_id = v->id, .server_id = pub->id, .slot = slot, .ep = pub->ep };
	l.ep.proto = v->conf.ep.proto;
	for (uint32_t i = 0; i < dp->nworkers; i++) {
		l.flows += MLB_LD(mlb_wslot_at(v->w[i]->slots, slot)->flows);
		l.waiting += MLB_LD(mlb_wslot_at(v->w[i]->slots, slot)->waiting);
	}
	return l;
}

/* True: another message than the last. */
static bool publish(struct mlb_dp *dp, uint64_t now_us)
{
	struct mlb_live_hdr *h = (struct mlb_live_hdr *)dp->live_buf;
	struct mlb_live *l = (struct mlb_live *)(h + 1);
	uint32_t had = h->entries;
	bool changed = false;
	*h = (struct mlb_live_hdr){ .mono_ns = now_us * 1000 };
	DP_EACH_VIP(dp, v) {
		uint32_t used = MLB_LD_ACQ(v->used);
		for (uint32_t s = 0; s < used && h->entries < dp_limits(dp)->servers; s++) {
			if (MLB_LD_ACQ(v->srv[s].live) == DP_LIVE_NO)
				continue;
			struct mlb_live now = live_of(dp, v, s);
			changed |= h->entries >= had || memcmp(&now, &l[h->entries], sizeof(now)) != 0;
			l[h->entries++] = now;
		}
	}
	mlb_region_write(&dp->region, MLB_BLK_LIVE, dp->live_buf, sizeof(*h) + h->entries * sizeof(*l));
	return changed || h->entries != had;
}

/* True: it had another count. */
static bool set(struct dp_server *s, float load, float flows)
{
	bool changed = MLB_LD(s->peer) != load || MLB_LD(s->peer_flows) != flows;
	MLB_ST(s->peer, load);
	MLB_ST(s->peer_flows, flows);
	return changed;
}

/* Servers of another generation are passed over. True: some count changed. */
static bool take(struct mlb_dp *dp, const struct mlb_peer *e, uint32_t n)
{
	bool changed = false;
	dp->peer_mark++;
	for (uint32_t i = 0; i < n; i++) {
		struct dp_vip *v = dp_vip_of(dp, e[i].vip_id);
		struct dp_server *s = v && e[i].slot < MLB_LD_ACQ(v->used) ? &v->srv[e[i].slot] : NULL;
		if (!s || MLB_LD_ACQ(s->live) == DP_LIVE_NO || s->pub.id != e[i].server_id)
			continue;
		uint32_t flows = e[i].flows < MAX_COUNT ? e[i].flows : MAX_COUNT;
		uint32_t waiting = e[i].waiting < MAX_COUNT ? e[i].waiting : MAX_COUNT;
		changed |= set(s, (float)(v->conf.load == MLB_LOAD_WAITING ? waiting : flows), (float)flows);
		s->peer_mark = dp->peer_mark;
	}
	/* A server's count is stored once, so that a worker that reads meanwhile sees the last or the next one and never none. */
	DP_EACH_VIP(dp, v) {
		uint32_t used = MLB_LD_ACQ(v->used);
		for (uint32_t k = 0; k < used; k++)
			if (MLB_LD_ACQ(v->srv[k].live) != DP_LIVE_NO && v->srv[k].peer_mark != dp->peer_mark)
				changed |= set(&v->srv[k], 0, 0);
	}
	if (changed)
		atomic_fetch_add_explicit(&dp->marks, 1, memory_order_release);
	return changed;
}

static bool hear(struct mlb_dp *dp, uint64_t now_us)
{
	int64_t len =
		mlb_region_read(&dp->region, MLB_BLK_PEER, dp->peer_buf, dp->region.blk[MLB_BLK_PEER].buf_size, &dp->peer_seq);
	struct mlb_peer_hdr h;
	if (len < (int64_t)sizeof(h)) {
		if (!dp->peer_until_us || now_us < dp->peer_until_us)
			return false;
		dp->peer_until_us = 0; /* their writer is gone: nobody knows what they have now */
		return take(dp, NULL, 0);
	}
	memcpy(&h, dp->peer_buf, sizeof(h));
	dp->live_sign_us = now_us;
	if (h.entries > dp_limits(dp)->servers || sizeof(h) + h.entries * sizeof(struct mlb_peer) > (uint64_t)len)
		return false;
	uint32_t valid = h.valid_us < VALID_LEAST_US ? VALID_LEAST_US : h.valid_us < VALID_MOST_US ? h.valid_us : VALID_MOST_US;
	dp->peer_until_us = h.entries ? now_us + valid : 0;
	return take(dp, (const struct mlb_peer *)(dp->peer_buf + sizeof(h)), h.entries);
}

/* How often the reader of the live counts wants them; 0: nobody does. One that was killed has not taken its wish back, and for
 * nobody a worker would be kept from sleep for ever. */
static uint32_t wanted_us(struct mlb_dp *dp, uint64_t now_us)
{
	uint32_t us = atomic_load_explicit(&dp->region.hdr->live_us, memory_order_relaxed);
	if (us != dp->live_wanted) {
		dp->live_wanted = us;
		dp->live_sign_us = now_us;
	} else if (us && now_us - dp->live_sign_us > READER_MOST_US) {
		/* A reader that lives after all writes it anew with its next message. */
		atomic_compare_exchange_strong_explicit(&dp->region.hdr->live_us, &us, 0, memory_order_relaxed,
							memory_order_relaxed);
		dp->live_wanted = us = 0;
	}
	return us;
}

/* When next. While nothing changes nobody is kept from sleep so often. */
static uint64_t pause_us(uint32_t wanted, bool changed)
{
	if (wanted == 0 || wanted > DP_LOOK_US)
		return DP_LOOK_US;
	uint64_t us = (uint64_t)(wanted < LIVE_LEAST_US ? LIVE_LEAST_US : wanted) * (changed ? 1 : QUIET);
	return us < DP_LOOK_US ? us : DP_LOOK_US;
}

void dp_live_poll(struct mlb_dp *dp, uint64_t now_us)
{
	if (!dp->region.hdr || now_us < dp->next_live_us || MLB_LD_ACQ(dp->live_off))
		return;
	uint32_t wanted = wanted_us(dp, now_us);
	bool changed = wanted && publish(dp, now_us);
	changed |= hear(dp, now_us);
	dp->next_live_us = now_us + pause_us(wanted, changed);
}

uint64_t mlb_dp_live(struct mlb_dp *dp, uint64_t now_us)
{
	if (!dp->region.hdr || !dp->conf.live_by_worker)
		return UINT64_MAX;
	dp_live_poll(dp, now_us);
	return dp->next_live_us;
}
