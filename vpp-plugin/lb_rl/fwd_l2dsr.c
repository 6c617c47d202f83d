/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>

u32 lbrl_l2dsr_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lbrl_vip_t *v, const lbrl_server_t *srv, u32 flow)
{
	return LBRL_ERROR_FORWARDED;
}
