/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs and servers in the FIB. Main thread. */
#ifndef LB_RL_DPO_H
#define LB_RL_DPO_H
#include <vlib/vlib.h>
#include <lb_rl/types.h>

clib_error_t *lbrl_dpo_init(void);
void lbrl_prefix_install(lbrl_prefix_t *p);
void lbrl_prefix_remove(lbrl_prefix_t *p);
/* Would a packet to this address come back to a VIP? */
bool lbrl_leads_back(u32 fib_index, const struct mlb_addr *a);
/* Is it an interface's own address, which the FIB keeps for VPP itself? */
bool lbrl_prefix_is_own(u32 fib_index, const fib_prefix_t *pfx);
/* Keeps the VIP's tables, or lets them go. */
void lbrl_tables_hold(const lbrl_vip_t *v, bool hold);
void lbrl_server_track(lbrl_vip_t *v, u32 slot);
void lbrl_server_untrack(lbrl_vip_t *v, u32 slot);
#endif
