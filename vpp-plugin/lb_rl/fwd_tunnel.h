/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels whose own header is the same for all packets (`fixed_own` in forward.h), fast path: a whole, option-free TCP or UDP
 * packet gets the outer header that lb_rl_outer_ready made when its server came; what is the packet's own is filled in. */
#ifndef LB_RL_FWD_TUNNEL_H
#define LB_RL_FWD_TUNNEL_H
#include <lb_rl/forward.h>
#include <lb_rl/sums.h>
#include <vnet/ip/ip.h>

static_always_inline u8 lb_rl_class6(const ip6_header_t *ip)
{
	return clib_net_to_host_u32(ip->ip_version_traffic_class_and_flow_label) >> 20;
}

/* Length, TOS, identification and DF are the packet's; the template has them 0, but DF set around IPv6. The header is put
 * together in words, and so is its sum: they are words of 16 bits side by side, and adding a word's halves to one another, with
 * what that carries, changes nothing modulo 65535. */
static_always_inline void lb_rl_outer4(void *out, const lb_rl_server_t *srv, const void *ip, u32 len, u32 own, bool is6)
{
	const u64u *ready = (const u64u *)srv->outer;
	const u64 df_and_id = 0xffffULL << 32 | (u64)clib_host_to_net_u16(IP4_HEADER_FLAG_DONT_FRAGMENT) << 48;
	u64 first = clib_host_to_net_u32(len); /* the length's place, since it has 16 bits */

	if (is6)
		first |= (u64)lb_rl_class6(ip) << 8;
	else
		first |= *(const u64u *)ip & (0xff00 | df_and_id);
	u64 sum = first + srv->outer_sum; /* the last word has DF alone: nothing is carried out of it */
	sum = (sum + (sum << 32 | sum >> 32)) >> 32;
	u32 folded = (u32)sum + ((u32)sum << 16 | (u32)sum >> 16); /* in its upper half, which is the checksum's place */

	((u64u *)out)[0] = ready[0] | first;
	((u64u *)out)[1] = ready[1] | (~folded & 0xffff0000);
	/* With a tunnel's own header of four bytes behind it, one word more. */
	if (own)
		((u64u *)out)[2] = ready[2];
	else
		((u32u *)out)[4] = ((const u32u *)ready)[4];
}

/* As mlb_pkt_outer: a label of 0 means none. */
static_always_inline void lb_rl_outer6(void *out, const lb_rl_server_t *srv, const void *ip, u32 len, u32 flow, bool is6)
{
	u32 tos = is6 ? lb_rl_class6(ip) : ((const ip4_header_t *)ip)->tos;
	u64 first = clib_host_to_net_u32(tos << 20 | flow >> 12 | 1u);

	first |= (u64)clib_host_to_net_u32(len - sizeof(ip6_header_t)) << 16;
	((u64u *)out)[0] = ((const u64u *)srv->outer)[0] | first;
	clib_memcpy_fast((u64 *)out + 1, srv->outer + sizeof(u64), 2 * sizeof(ip6_address_t));
}

/* len: of the packet, with which the outer one has 65535 bytes at most. False: it goes the general way. The buffer begins at the
 * outer header then. */
static_always_inline bool lb_rl_tunnel_plain(vlib_buffer_t *b, lb_rl_fwd_t fwd, const lb_rl_server_t *srv, u32 len, u32 flow,
					     bool is6)
{
	const lb_rl_fwd_ops_t *f = &lb_rl_fwd_ops[fwd];
	u32 own = f->overhead - (f->outer == 6 ? sizeof(ip6_header_t) : sizeof(ip4_header_t));
	u8 *ip = vlib_buffer_get_current(b), *out = ip - f->overhead;

	if (PREDICT_FALSE(!f->fixed_own || srv->unfit | (b->flags & VNET_BUFFER_F_OFFLOAD)))
		return false;
	if (PREDICT_FALSE(b->current_data < f->overhead + LB_RL_LINK_ROOM - VLIB_BUFFER_PRE_DATA_SIZE))
		return false;
	vlib_buffer_advance(b, -(word)f->overhead);
	lb_rl_take_ttl(ip, is6);
	len += f->overhead;
	if (f->outer == 6)
		lb_rl_outer6(out, srv, ip, len, flow, is6);
	else
		lb_rl_outer4(out, srv, ip, len, own, is6);
	if (own && f->outer == 6)
		*(u32u *)(ip - sizeof(u32)) = *(const u32u *)(srv->outer + f->overhead - sizeof(u32));
	return true;
}
#endif
