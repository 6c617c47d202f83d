/* SPDX-License-Identifier: Apache-2.0 */
/* Which server a packet without a flow goes to. Worker only. Returns slots; MLB_NONE where there is none. */
#ifndef LB_RL_PLACE_H
#define LB_RL_PLACE_H
#include <lb_rl/lb_rl.h>

/* A new flow: the client's affinity where the VIP is sticky, else the core's choice; under NAT a server to which the flow can be
 * told apart from others. *error says why there is none: LB_RL_ERROR_NO_SERVER or LB_RL_ERROR_NAT_COLLISION. */
u32 lb_rl_place_new(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k, u32 *error);
/* A packet of an unknown flow: every worker and load balancer finds the same server by the ring. */
u32 lb_rl_place_by_ring(lb_rl_thread_t *t, const lb_rl_vip_t *v, const struct mlb_flow_key *k);
/* Would a flow to that server be mistaken in replies for one of another VIP? */
bool lb_rl_nat_collides(lb_rl_thread_t *t, const lb_rl_vip_t *v, const struct mlb_flow_key *k, u32 slot);
/* Ends affinities that nobody used for their time-out: a part of the table at each call, by one worker. */
void lb_rl_place_age(lb_rl_thread_t *t, u32 ms);
#endif
