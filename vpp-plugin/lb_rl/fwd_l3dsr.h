/* SPDX-License-Identifier: Apache-2.0 */
/* L3 DSR, fast path: a whole, option-free TCP or UDP packet gets its server's address and the VIP's DSCP, by which a module on
 * the server knows the VIP. ip: the header. The VIP of one address has what a checksum changes by ready in the server's record.
 */
#ifndef LB_RL_FWD_L3DSR_H
#define LB_RL_FWD_L3DSR_H
#include <lb_rl/sums.h>
#include <lb_rl/types.h>

static_always_inline void lb_rl_l3dsr_plain(void *at, const lb_rl_vip_t *v, const lb_rl_server_t *srv, bool tcp, bool is6)
{
	if (is6) {
		ip6_header_t *ip = at;
		u32 d = PREDICT_TRUE(v->plen == 128) ? srv->addr_delta : lb_rl_delta128(ip->dst_address.as_u8, srv->addr.b);
		u32 w = clib_net_to_host_u32(ip->ip_version_traffic_class_and_flow_label);
		w = (w & ~(0xfcu << 20)) | (u32)v->tos << 20;
		ip->ip_version_traffic_class_and_flow_label = clib_host_to_net_u32(w);
		clib_memcpy_fast(ip->dst_address.as_u8, srv->addr.b, 16);
		lb_rl_l4_fix(ip + 1, tcp, d);
		return;
	}
	ip4_header_t *ip = at;
	u32 to = *(u32 *)(srv->addr.b + 12);
	u32 d = PREDICT_TRUE(!v->host_mask4) ? srv->addr_delta : lb_rl_delta32(ip->dst_address.as_u32, to);
	/* The tos is the second byte of the header's first 16-bit word; its last two bits (ECN) stay. */
	u16 was = *(u16u *)ip, is = (was & 0x03ff) | v->tos << 8;
	*(u16u *)ip = is;
	ip->dst_address.as_u32 = to;
	ip->checksum = lb_rl_csum_add(ip->checksum, d + (u16)~was + is);
	lb_rl_l4_fix(ip + 1, tcp, d);
}
#endif
