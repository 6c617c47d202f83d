/* SPDX-License-Identifier: Apache-2.0 */
/* L2 DSR: the packet stays as it is; only the next hop, and with it the MAC, is the server's. */
#ifndef LB_RL_FWD_L2DSR_H
#define LB_RL_FWD_L2DSR_H
#include <lb_rl/types.h>

static_always_inline void lb_rl_l2dsr_plain(void *at, const lb_rl_vip_t *v, const lb_rl_server_t *srv, bool tcp, bool is6)
{
}
#endif
