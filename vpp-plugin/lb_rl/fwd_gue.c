/* SPDX-License-Identifier: Apache-2.0 */
/* Generic UDP encapsulation, version 0 without options (draft-ietf-intarea-gue-09, section 3), as Linux' FOU module with `gue`
 * and GitHub's GLB speak it. The network spreads a pair's packets by their UDP source port, which is the flow's here, so paths
 * and receive queues between us and a server are used evenly, and a flow's packets stay in order. */
#include <lb_rl/forward.h>
#include <vnet/ip/ip6.h>
#include <vnet/udp/udp_packet.h>

typedef struct {
	u8 version_control_length; /* version 0 in the first two bits, then "control message", then words of options: all 0 */
	u8 protocol;               /* of what is inside */
	u16 flags;                 /* which options there are */
} lb_rl_gue_t;

#define GUE_FIRST_PORT 0xc000u /* source ports are of the ephemeral range (RFC 6335): 49152 .. 65535 */

u32 lb_rl_gue_rewrite(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow)
{
	struct {
		udp_header_t udp;
		lb_rl_gue_t gue;
	} * h;
	u8 *own;
	u32 error = lb_rl_outer(b, pkt, v, srv, flow, IP_PROTOCOL_UDP, sizeof(*h), &own);

	if (PREDICT_FALSE(error != LB_RL_ERROR_FORWARDED))
		return error;
	h = (void *)own;
	h->udp.src_port = clib_host_to_net_u16(GUE_FIRST_PORT | flow >> 18);
	h->udp.dst_port = clib_host_to_net_u16(v->outer_port);
	h->udp.length = clib_host_to_net_u16(pkt->total_len + sizeof(*h));
	h->udp.checksum = 0; /* none, over IPv4: what is inside has its own */
	h->gue = (lb_rl_gue_t){ .protocol = lb_rl_inner_protocol(pkt) };
	if (lb_rl_leaves_as_ip6(v)) { /* IPv6 has no checksum of its own, so UDP must have one (RFC 8200, section 8.1) */
		int bogus;
		u16 sum = ip6_tcp_udp_icmp_compute_checksum(vlib_get_main(), b, vlib_buffer_get_current(b), &bogus);
		h->udp.checksum = sum ? sum : 0xffff;
	}
	return LB_RL_ERROR_FORWARDED;
}
