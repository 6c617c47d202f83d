/* SPDX-License-Identifier: Apache-2.0 */
/* GRE without key, checksum or sequence number (RFC 2784). */
#include <lb_rl/forward.h>

u32 lbrl_gre_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lbrl_vip_t *v, const lbrl_server_t *srv, u32 flow)
{
	u32 ethertype = pkt->version == 6 ? 0x86dd : 0x0800;
	u8 *own;
	u32 error = lbrl_outer(b, pkt, v, srv, flow, IP_PROTOCOL_GRE, 4, &own);

	if (PREDICT_TRUE(error == LBRL_ERROR_FORWARDED))
		*(u32u *)own = clib_host_to_net_u32(ethertype);
	return error;
}
