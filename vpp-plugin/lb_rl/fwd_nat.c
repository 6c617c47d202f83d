/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>

u32 lb_rl_nat_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow)
{
	mlb_pkt_nat(vlib_buffer_get_current(b), pkt, true, &srv->addr, clib_net_to_host_u16(srv->port));
	return LB_RL_ERROR_FORWARDED;
}
