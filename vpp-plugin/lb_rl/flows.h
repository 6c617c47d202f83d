/* SPDX-License-Identifier: Apache-2.0 */
/* What life.c, place.c and the nodes agree on about the entries of the flow tables. Worker only. */
#ifndef LB_RL_FLOWS_H
#define LB_RL_FLOWS_H
#include <lb_rl/lb_rl.h>
#include <marllb/tcp.h>

/* Bits of a flow's `flags` beside the core's. */
enum {
	LB_RL_FLOW_HELD = 16,    /* ended, and its server's slot is kept for its last packets (mlb_ev_hold) */
	LB_RL_FLOW_UNPROVEN = 32 /* UDP of which there was one packet only: whoever made up its source may make up thousands */
};
/* In a flow's `host`: made from a packet in mid-flow, and the server has said nothing yet; the handshake was complete once. */
enum { LB_RL_ADOPTED = 1, LB_RL_WAS_OPEN = 2 };
/* TCP flags that change a flow's state. */
enum { LB_RL_TCP_SPECIAL = MLB_TCP_F_FIN | MLB_TCP_F_SYN | MLB_TCP_F_RST };

/* Flow by key in either table. hash: of the main table. */
static inline struct mlb_flow *lb_rl_flow_find(lb_rl_thread_t *t, const struct mlb_flow_key *k, u64 hash)
{
	struct mlb_flow *f = mlb_flow_find(t->flows, k, hash);
	return f ? f : mlb_flow_find(t->half, k, mlb_flow_hash(t->half, k));
}

/* The next worker after *at, but for this one, whose tables hold the flow; *at: ~0 to begin, its index then. NULL: none. What
 * the entry says may be half written (mlb_flow_peek). */
static inline const struct mlb_flow *lb_rl_flow_peek(const lb_rl_thread_t *t, const struct mlb_flow_key *k, u32 *at)
{
	u32 self = t - lb_rl_main.thread, end = lb_rl_main.first_worker + lb_rl_main.n_workers;

	for (u32 i = *at == ~0 ? lb_rl_main.first_worker : *at + 1; i < end; i++) {
		const lb_rl_thread_t *o = &lb_rl_main.thread[i];
		const struct mlb_flow *f = i == self ? 0 : mlb_flow_peek(o->flows, k);
		if (!f && i != self)
			f = mlb_flow_peek(o->half, k);
		if (f) {
			*at = i;
			return f;
		}
	}
	return 0;
}

/* The worker whose tables hold a flow that a packet came to this one for: its receive queue changed, or it is a fragment, or an
 * ICMP error that quotes it. ~0 where there is none. */
static inline u32 lb_rl_flow_elsewhere(const lb_rl_thread_t *t, const struct mlb_flow_key *k)
{
	u32 at = ~0;

	return lb_rl_flow_peek(t, k, &at) ? at : ~0;
}

/* Place in lb_rl_main.whose of the flows of a client's port: what both directions of NAT know. */
static inline u16 *lb_rl_flow_whose(const struct mlb_flow_key *k)
{
	const u64 *w = (const u64 *)k;
	u64 x = (w[1] ^ (w[2] & 0xffff) * 0x9e3779b97f4a7c15ULL);

	x ^= (u8)k->client.b[10] == 0xff ? 0 : w[0];
	return &lb_rl_main.whose[x * 0xbf58476d1ce4e5b9ULL >> lb_rl_main.whose_shift];
}

/* A server that left its slot after the flow ended is not the flow's any more. */
static inline bool lb_rl_flow_valid(const lb_rl_vip_t *v, const struct mlb_flow *f)
{
	return v->server[f->slot].id == f->server_id;
}

/* Of an entry that may be half written: is its server one of the VIP's? */
static inline bool lb_rl_flow_peeked_valid(const lb_rl_vip_t *v, const struct mlb_flow *f)
{
	return *(volatile const u16 *)&f->slot < v->capacity && lb_rl_flow_valid(v, f);
}
#endif
