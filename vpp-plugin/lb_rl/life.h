/* SPDX-License-Identifier: Apache-2.0 */
/* A flow's life on its worker: made, established, ended, aged. Worker only; the slow side of the packet path. */
#ifndef LB_RL_LIFE_H
#define LB_RL_LIFE_H
#include <lb_rl/flows.h>

/* What to do with a packet that the fast path found no counted flow for. */
typedef struct {
	u32 slot;           /* MLB_NONE: no server */
	u32 thread;         /* ~0, or the worker that has the flow and gets the packet */
	u32 error;          /* LB_RL_ERROR_*: FORWARDED, NEW_FLOW, MISS, UNTRACKED, NO_SERVER, NAT_COLLISION */
	struct mlb_flow *f; /* NULL where the ring placed it */
} lb_rl_verdict_t;

/* flags: TCP's, 0 for UDP. hash: of the worker's main table. named: MLB_NONE, or the slot that a UDP packet itself names. owned:
 * another worker handed it over, so it stays here. */
lb_rl_verdict_t lb_rl_life_miss(lb_rl_thread_t *t, lb_rl_vip_t *v, const struct mlb_flow_key *k, u64 hash, u8 flags, u32 named,
				bool owned);
/* A TCP packet of a known flow that may change its state. Returns the flow, which may have moved from the half-open table. */
struct mlb_flow *lb_rl_life_tcp(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_flow *f, u8 flags, bool from_client);
/* Payload under NAT: who spoke last. */
void lb_rl_life_payload(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_flow *f, bool from_client);
/* There was a second packet of a UDP flow, from whichever side, or it ends: it is not unproven any more. */
void lb_rl_life_prove(lb_rl_thread_t *t, struct mlb_flow *f);
/* Goes on with the walk over both tables that ends idle flows; called once a loop. */
void lb_rl_life_age(lb_rl_thread_t *t);
/* The flow ended: it counts no more. */
void lb_rl_life_end(lb_rl_thread_t *t, struct mlb_flow *f, enum mlb_end how);
/* The same of one whose entry stays, for the last packets: its server keeps its slot until the entry goes. */
void lb_rl_life_over(lb_rl_thread_t *t, struct mlb_flow *f, enum mlb_end how);
/* The entry goes, or takes another flow: it stands for nothing any more. */
void lb_rl_life_forget(lb_rl_thread_t *t, struct mlb_flow *f);
#endif
