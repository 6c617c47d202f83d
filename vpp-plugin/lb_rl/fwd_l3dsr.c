/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>

u32 lb_rl_l3dsr_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow)
{
	mlb_pkt_l3dsr(vlib_buffer_get_current(b), pkt, &srv->addr, v->tos >> 2);
	return LB_RL_ERROR_FORWARDED;
}
