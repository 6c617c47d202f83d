/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs and servers in the FIB. Main thread. */
#ifndef LB_RL_DPO_H
#define LB_RL_DPO_H
#include <vlib/vlib.h>
#include <lb_rl/types.h>

clib_error_t *lb_rl_dpo_init(void);
void lb_rl_prefix_install(lb_rl_prefix_t *p);
void lb_rl_prefix_remove(lb_rl_prefix_t *p);
/* lb_rl_route_unfit of the route that the VIP's table has to this address now. */
u8 lb_rl_server_unfit(const lb_rl_vip_t *v, const struct mlb_addr *a);
/* Is it an interface's own address, which the FIB keeps for VPP itself? */
bool lb_rl_prefix_is_own(u32 fib_index, const fib_prefix_t *pfx);
/* Keeps the VIP's tables, or lets them go. */
void lb_rl_tables_hold(const lb_rl_vip_t *v, bool hold);
void lb_rl_server_track(lb_rl_vip_t *v, u32 slot);
void lb_rl_server_untrack(lb_rl_vip_t *v, u32 slot);
/* The VIP's way of forwarding changed, and with it which routes its servers' packets can take. */
void lb_rl_servers_restack(lb_rl_vip_t *v);
#endif
