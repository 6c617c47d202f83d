/* SPDX-License-Identifier: Apache-2.0 */
/* IP in IP (RFC 2003, RFC 2473): the outer header alone. */
#include <lb_rl/forward.h>

u32 lb_rl_ipip_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow)
{
	u8 *own;

	return lb_rl_outer(b, pkt, v, srv, flow, lb_rl_inner_protocol(pkt), 0, &own);
}
