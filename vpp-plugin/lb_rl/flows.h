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

/* The worker whose tables hold a flow that a packet came to this one for: its receive queue changed, or it is a fragment, or an
 * ICMP error that quotes it. ~0 where there is none. */
static inline u32 lb_rl_flow_elsewhere(const lb_rl_thread_t *t, const struct mlb_flow_key *k)
{
	u32 self = t - lb_rl_main.thread;

	for (u32 i = lb_rl_main.first_worker; i < lb_rl_main.first_worker + lb_rl_main.n_workers; i++) {
		const lb_rl_thread_t *o = &lb_rl_main.thread[i];
		if (i != self && (mlb_flow_seen(o->flows, k) || mlb_flow_seen(o->half, k)))
			return i;
	}
	return ~0;
}

/* A server that left its slot after the flow ended is not the flow's any more. */
static inline bool lb_rl_flow_valid(const lb_rl_vip_t *v, const struct mlb_flow *f)
{
	return v->server[f->slot].id == f->server_id;
}
#endif
