/* SPDX-License-Identifier: Apache-2.0 */
/* First look at a packet: is it a whole, option-free TCP or UDP packet of a VIP's port that may go on, and of which flow?
 * Everything else goes the slow way (slow.c). Compiled into each march variant of the nodes. */
#ifndef LB_RL_PLAIN_H
#define LB_RL_PLAIN_H
#include <lb_rl/path.h>
#include <lb_rl/prefix.h>
#include <vnet/tcp/tcp_packet.h>
#include <vnet/udp/udp_packet.h>

/* Packets that go through the passes together: their buffers, headers, buckets and flows fit the first-level cache side by side.
 */
#define LB_RL_CHUNK 16

typedef struct {
	struct mlb_flow_key key[LB_RL_CHUNK];
	u64 hash[LB_RL_CHUNK];
	struct mlb_flow *guess[LB_RL_CHUNK];
	u8 *ip[LB_RL_CHUNK];
	u16 at[LB_RL_CHUNK]; /* place in the chunk */
	u32 n;
	bool one_vip; /* all of them are one VIP's */
} lb_rl_batch_t;

/* A key in registers. */
typedef struct {
	u64 w[3];
} lb_rl_words_t;

/* left: bytes from the L4 header on that the IP header promises; have: those in this buffer. */
static_always_inline bool lb_rl_plain_l4(const void *l4, u8 proto, u32 left, i32 have)
{
	if (proto == IP_PROTOCOL_TCP) {
		u32 off = ((const tcp_header_t *)l4)->data_offset_and_reserved >> 4 << 2;
		return off >= 20 && left >= off && have >= 20;
	}
	u32 len = clib_net_to_host_u16(((const udp_header_t *)l4)->length);
	return proto == IP_PROTOCOL_UDP && have >= 8 && len >= 8 && len <= left;
}

/* The key's last word; 0 where no VIP has the port. */
static_always_inline u64 lb_rl_plain_vip(const lb_rl_prefix_t *p, const void *l4, u8 proto)
{
	/* Ports as they stand are big-endian, source first; a key has them in host order, client's first. */
	u32 ports = clib_net_to_host_u32(*(const u32u *)l4);
	u64 id = lb_rl_vip_of_port(p, proto == IP_PROTOCOL_UDP, ports);

	return id ? (ports << 16 | ports >> 16) | id << 32 | (u64)proto << 48 : 0;
}

static_always_inline bool lb_rl_plain4(const vlib_buffer_t *b, const ip4_header_t *ip, lb_rl_words_t *k)
{
	const lb_rl_prefix_t *p = &lb_rl_main.prefix[vnet_buffer(b)->ip.adj_index[VLIB_TX]];
	u64 first = *(const u64u *)ip;
	u32 len = clib_net_to_host_u16(first >> 16);

	/* Version 4, 20 bytes of header; no fragment (DF may be set). */
	if (PREDICT_FALSE((first & (0xffULL | (u64)clib_host_to_net_u16(0x3fff) << 48)) != 0x45))
		return false;
	if (PREDICT_FALSE(ip->ttl < 2 || len < 20 || !lb_rl_plain_l4(ip + 1, ip->protocol, len - 20, b->current_length - 20)))
		return false;
	k->w[0] = ip->dst_address.as_u32 & p->host_mask4;
	k->w[1] = (u64)ip->src_address.as_u32 << 32 | 0xffff0000u;
	k->w[2] = lb_rl_plain_vip(p, ip + 1, ip->protocol);
	return k->w[2] != 0;
}

static_always_inline bool lb_rl_plain6(const vlib_buffer_t *b, const ip6_header_t *ip, lb_rl_words_t *k)
{
	const lb_rl_prefix_t *p = &lb_rl_main.prefix[vnet_buffer(b)->ip.adj_index[VLIB_TX]];
	u32 left = clib_net_to_host_u16(ip->payload_length);

	if (PREDICT_FALSE(ip->hop_limit < 2 || !lb_rl_plain_l4(ip + 1, ip->protocol, left, b->current_length - 40)))
		return false;
	/* UDP without checksum is not IPv6's. */
	if (PREDICT_FALSE(ip->protocol == IP_PROTOCOL_UDP && !((const udp_header_t *)(ip + 1))->checksum))
		return false;
	k->w[0] = ip->src_address.as_u64[0];
	k->w[1] = ip->src_address.as_u64[1];
	k->w[2] = lb_rl_plain_vip(p, ip + 1, ip->protocol);
	if (PREDICT_FALSE(p->apart6) && lb_rl_apart(&lb_rl_main.vip[(u16)(k->w[2] >> 32)]))
		k->w[1] ^= lb_rl_apart6(&ip->dst_address);
	return k->w[2] != 0;
}
#endif
