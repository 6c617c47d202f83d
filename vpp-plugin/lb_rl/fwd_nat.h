/* SPDX-License-Identifier: Apache-2.0 */
/* NAT, fast path towards the server: address, and port where the server has one of its own, of a whole, option-free TCP or UDP
 * packet. Replies: node_return.c. */
#ifndef LB_RL_FWD_NAT_H
#define LB_RL_FWD_NAT_H
#include <lb_rl/sums.h>
#include <lb_rl/types.h>

static_always_inline void lb_rl_nat_plain(void *at, const lb_rl_vip_t *v, const lb_rl_server_t *srv, bool tcp, bool is6)
{
	udp_header_t *l4 = is6 ? (void *)((ip6_header_t *)at + 1) : (void *)((ip4_header_t *)at + 1);
	u32 d = srv->addr_delta, port_d = 0;

	if (srv->port) {
		port_d = (u16)~l4->dst_port + srv->port;
		l4->dst_port = srv->port;
	}
	if (is6) {
		ip6_header_t *ip = at;
		clib_memcpy_fast(ip->dst_address.as_u8, srv->addr.b, 16);
	} else {
		ip4_header_t *ip = at;
		ip->dst_address.as_u32 = *(u32 *)(srv->addr.b + 12);
		ip->checksum = lb_rl_csum_add(ip->checksum, d);
	}
	lb_rl_l4_fix(l4, tcp, d + port_d);
}
#endif
