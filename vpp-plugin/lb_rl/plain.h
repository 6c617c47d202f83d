/* SPDX-License-Identifier: Apache-2.0 */
/* First look at a packet: is it a whole, option-free TCP or UDP packet of a VIP's port that may go on, and of which flow?
 * Everything else goes the slow way (slow.c). Compiled into each march variant of the nodes. */
#ifndef LB_RL_PLAIN_H
#define LB_RL_PLAIN_H
#include <lb_rl/flows.h>
#include <lb_rl/path.h>
#include <lb_rl/prefix.h>
#include <vnet/tcp/tcp_packet.h>
#include <vnet/udp/udp_packet.h>

/* Packets that go through the passes together: their buffers, headers, buckets and flows fit the first-level cache side by side.
 */
#define LB_RL_CHUNK 32

/* What a flow begins with: a packet's key, and what stands behind it in an entry. */
typedef union {
	struct {
		struct mlb_flow_key key;
		u16 slot;
		u8 tcp, flags;
		u32 server_id;
	};
	u64 w[4];
#ifdef CLIB_HAVE_VEC256
	u64x4 v;
#endif
} lb_rl_head_t;
STATIC_ASSERT(STRUCT_OFFSET_OF(lb_rl_head_t, slot) == STRUCT_OFFSET_OF(struct mlb_flow, slot) &&
		      STRUCT_OFFSET_OF(lb_rl_head_t, flags) == STRUCT_OFFSET_OF(struct mlb_flow, flags) &&
		      sizeof(lb_rl_head_t) == 32,
	      "a flow's first half");
/* Of a flow whose packets go on without a look at its state: it counts, and had a second packet. */
#define LB_RL_PLAIN_FLOW (MLB_FLOW_COUNTED | LB_RL_FLOW_UNPROVEN)

/* A plain packet on its way through the passes: a cache line. */
typedef struct {
	lb_rl_head_t want; /* how a flow must begin that the packet is of; `flags` stays MLB_FLOW_COUNTED */
	u64 hash;
	union {
		const struct mlb_flow_bucket *bucket; /* after the first pass */
		struct mlb_flow *guess;               /* after the second */
	};
	vlib_buffer_t *b;
	u32 at; /* place in the chunk */
} __clib_aligned(CLIB_CACHE_LINE_BYTES) lb_rl_job_t;

/* Those of a chunk, without gaps. */
typedef struct {
	lb_rl_job_t job[LB_RL_CHUNK];
	u32 n;
} lb_rl_batch_t;

/* Is this the packet's flow, and one that counts? */
static_always_inline bool lb_rl_is_plain_flow(const struct mlb_flow *f, const lb_rl_head_t *want)
{
	const lb_rl_head_t mask = { .w = { ~0ULL, ~0ULL, ~0ULL }, .flags = LB_RL_PLAIN_FLOW };
	const lb_rl_head_t *have = (const lb_rl_head_t *)f;

#ifdef CLIB_HAVE_VEC256
	return u64x4_is_all_zero((have->v ^ want->v) & mask.v);
#else
	return ((have->w[0] ^ want->w[0]) | (have->w[1] ^ want->w[1]) | (have->w[2] ^ want->w[2]) |
		((have->w[3] ^ want->w[3]) & mask.w[3])) == 0;
#endif
}

/* A key in registers. */
typedef struct {
	u64 w[3];
} lb_rl_words_t;

/* left: bytes from the L4 header on that the IP header promises; have: those in this buffer. */
static_always_inline bool lb_rl_plain_tcp(const tcp_header_t *th, i32 left, i32 have)
{
	i32 off = th->data_offset_and_reserved >> 4 << 2;

	if (PREDICT_FALSE(have < 20 || off < 20))
		return false;
	return left >= off;
}

static_always_inline bool lb_rl_plain_udp(const udp_header_t *udp, i32 left, i32 have)
{
	i32 len = clib_net_to_host_u16(udp->length);

	if (PREDICT_FALSE(have < 8 || len < 8))
		return false;
	return len <= left;
}

/* A key's last word of a TCP or UDP packet; 0 where no VIP has the port, or the packet is not a plain one. */
static_always_inline u64 lb_rl_plain_l4(const lb_rl_prefix_t *p, const void *l4, u8 proto, i32 left, i32 have)
{
	if (proto == IP_PROTOCOL_UDP) {
		if (PREDICT_FALSE(!lb_rl_plain_udp(l4, left, have)))
			return 0;
	} else if (PREDICT_FALSE(proto != IP_PROTOCOL_TCP || !lb_rl_plain_tcp(l4, left, have)))
		return 0;
	STATIC_ASSERT(IP_PROTOCOL_TCP >> 4 == 0 && IP_PROTOCOL_UDP >> 4 == 1, "the bit by which they differ");
	/* Ports as they stand are big-endian, source first; a key has them in host order, client's first. */
	u32 ports = clib_net_to_host_u32(*(const u32u *)l4);
	u64 id = lb_rl_vip_of_port(p, proto >> 4, ports);

	return id ? (ports << 16 | ports >> 16) | id << 32 | (u64)proto << 48 : 0;
}

/* prefix: all of them. */
static_always_inline bool lb_rl_plain4(const lb_rl_prefix_t *prefix, const vlib_buffer_t *b, const ip4_header_t *ip,
				       lb_rl_words_t *k)
{
	const lb_rl_prefix_t *p = prefix + vnet_buffer(b)->ip.adj_index[VLIB_TX];
	u64 first = *(const u64u *)ip;
	i32 len = (u16)clib_net_to_host_u32(first);

	/* Version 4, 20 bytes of header; no fragment (DF may be set). */
	if (PREDICT_FALSE((first & (0xffULL | (u64)clib_host_to_net_u16(0x3fff) << 48)) != 0x45 || ip->ttl < 2))
		return false;
	k->w[0] = ip->dst_address.as_u32 & p->host_mask4;
	k->w[1] = (u64)ip->src_address.as_u32 << 32 | 0xffff0000u;
	k->w[2] = lb_rl_plain_l4(p, ip + 1, ip->protocol, len - 20, b->current_length - 20);
	return k->w[2] != 0;
}

static_always_inline bool lb_rl_plain6(const lb_rl_prefix_t *prefix, const vlib_buffer_t *b, const ip6_header_t *ip,
				       lb_rl_words_t *k)
{
	const lb_rl_prefix_t *p = prefix + vnet_buffer(b)->ip.adj_index[VLIB_TX];
	i32 left = clib_net_to_host_u16(ip->payload_length);

	/* UDP without checksum is not IPv6's. */
	if (PREDICT_FALSE(ip->hop_limit < 2 || (ip->protocol == IP_PROTOCOL_UDP && !((const udp_header_t *)(ip + 1))->checksum)))
		return false;
	k->w[0] = ip->src_address.as_u64[0];
	k->w[1] = ip->src_address.as_u64[1];
	k->w[2] = lb_rl_plain_l4(p, ip + 1, ip->protocol, left, b->current_length - 40);
	if (PREDICT_FALSE(p->apart6) && lb_rl_apart(&lb_rl_main.vip[(u16)(k->w[2] >> 32)]))
		k->w[1] ^= lb_rl_apart6(&ip->dst_address);
	return k->w[2] != 0;
}
#endif
