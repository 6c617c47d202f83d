/* SPDX-License-Identifier: Apache-2.0 */
/* A flow's life on its worker: made, established, ended, aged. Worker only; the slow side of the packet path. */
#ifndef LB_RL_LIFE_H
#define LB_RL_LIFE_H
#include <lb_rl/flows.h>

/* What to do with a packet that the fast path found no counted flow for. */
typedef struct {
	u32 slot;           /* MLB_NONE: no server */
	u32 thread;         /* ~0, or the worker that has the flow and gets the packet */
	u32 error;          /* LBRL_ERROR_*: FORWARDED, NEW_FLOW, MISS, UNTRACKED, NO_SERVER, NAT_COLLISION */
	struct mlb_flow *f; /* NULL where the ring placed it */
} lbrl_verdict_t;

/* flags: TCP's, 0 for UDP. hash: of the worker's main table. owned: another worker handed it over, so it stays here. */
lbrl_verdict_t lbrl_life_miss(lbrl_thread_t *t, lbrl_vip_t *v, const struct mlb_flow_key *k, u64 hash, u8 flags, bool owned);
/* A TCP packet of a known flow that may change its state. Returns the flow, which may have moved from the half-open table. */
struct mlb_flow *lbrl_life_tcp(lbrl_thread_t *t, lbrl_vip_t *v, struct mlb_flow *f, u8 flags, bool from_client);
/* Payload under NAT: who spoke last. */
void lbrl_life_payload(lbrl_thread_t *t, lbrl_vip_t *v, struct mlb_flow *f, bool from_client);
/* There was a second packet of a UDP flow, from whichever side, or it ends: it is not unproven any more. */
void lbrl_life_prove(lbrl_thread_t *t, struct mlb_flow *f);
/* Goes on with the walk over both tables that ends idle flows; called once a loop. */
void lbrl_life_age(lbrl_thread_t *t);
/* The flow ended: it counts no more. */
void lbrl_life_end(lbrl_thread_t *t, struct mlb_flow *f, enum mlb_end how);
/* The same of one whose entry stays, for the last packets: its server keeps its slot until the entry goes. */
void lbrl_life_over(lbrl_thread_t *t, struct mlb_flow *f, enum mlb_end how);
/* The entry goes, or takes another flow: it stands for nothing any more. */
void lbrl_life_forget(lbrl_thread_t *t, struct mlb_flow *f);
#endif
