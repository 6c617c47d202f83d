/* SPDX-License-Identifier: Apache-2.0 */
/* IP in IP (RFC 2003, RFC 2473): the outer header alone. */
#include <lb_rl/forward.h>

u32 lbrl_ipip_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lbrl_vip_t *v, const lbrl_server_t *srv, u32 flow)
{
	u8 *own;

	return lbrl_outer(b, pkt, v, srv, flow, lbrl_inner_protocol(pkt), 0, &own);
}
