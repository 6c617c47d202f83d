/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>

u32 lb_rl_l2dsr_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow)
{
	return LB_RL_ERROR_FORWARDED;
}
