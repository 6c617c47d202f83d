/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs and servers in the FIB. Main thread. */
#ifndef LB_RL_DPO_H
#define LB_RL_DPO_H
#include <vlib/vlib.h>
#include <lb_rl/types.h>

clib_error_t *lbrl_dpo_init(void);
void lbrl_prefix_install(lbrl_prefix_t *p);
void lbrl_prefix_remove(lbrl_prefix_t *p);
void lbrl_server_track(lbrl_vip_t *v, u32 slot);
void lbrl_server_untrack(lbrl_vip_t *v, u32 slot);
#endif
