/* SPDX-License-Identifier: Apache-2.0 */
/* What life.c, place.c and the nodes agree on about the entries of the flow tables. Worker only. */
#ifndef LB_RL_FLOWS_H
#define LB_RL_FLOWS_H
#include <lb_rl/lb_rl.h>
#include <marllb/tcp.h>

/* In a key's `dir`: sticky entries, of a client's affinity, live in the flow tables as well. */
enum { LBRL_DIR_FLOW = 0, LBRL_DIR_STICKY = 1 };
/* In a flow's `host`: made from a packet in mid-flow, and the server has said nothing yet. */
enum { LBRL_ADOPTED = 1 };
/* TCP flags that change a flow's state. */
enum { LBRL_TCP_SPECIAL = MLB_TCP_F_FIN | MLB_TCP_F_SYN | MLB_TCP_F_RST };

/* Flow by key in either table. hash: of the main table. */
static inline struct mlb_flow *lbrl_flow_find(lbrl_thread_t *t, const struct mlb_flow_key *k, u64 hash)
{
	struct mlb_flow *f = mlb_flow_find(t->flows, k, hash);
	return f ? f : mlb_flow_find(t->half, k, mlb_flow_hash(t->half, k));
}

/* A server that left its slot after the flow ended is not the flow's any more. */
static inline bool lbrl_flow_valid(const lbrl_vip_t *v, const struct mlb_flow *f)
{
	return v->server[f->slot].id == f->server_id;
}
#endif
