/* SPDX-License-Identifier: Apache-2.0 */
/* GRE without key, checksum or sequence number (RFC 2784). */
#include <lb_rl/forward.h>

u32 lb_rl_gre_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow)
{
	u32 ethertype = pkt->version == 6 ? 0x86dd : 0x0800;
	u8 *own;
	u32 error = lb_rl_outer(b, pkt, v, srv, flow, IP_PROTOCOL_GRE, 4, &own);

	if (PREDICT_TRUE(error == LB_RL_ERROR_FORWARDED))
		*(u32u *)own = clib_host_to_net_u32(ethertype);
	return error;
}
