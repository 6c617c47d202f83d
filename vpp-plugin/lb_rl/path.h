/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet of a known flow costs: keys, checksums, the next hop. Compiled into each march variant of the nodes. */
#ifndef LB_RL_PATH_H
#define LB_RL_PATH_H
#include <lb_rl/lb_rl.h>
#include <lb_rl/life.h>
#include <vnet/dpo/load_balance_map.h>
#include <vnet/interface_output.h>
#include <vnet/ip/ip4_inlines.h>
#include <vnet/ip/ip6_inlines.h>
#include <vnet/tcp/tcp_packet.h>
#include <vnet/udp/udp_packet.h>

/* Sums of 16-bit words as they stand in memory; RFC 1624, eqn. 3. Both halves and the carry between them in one addition. */
static_always_inline u16 lbrl_fold(u32 s)
{
	return (s + (s << 16 | s >> 16)) >> 16;
}

static_always_inline u32 lbrl_delta32(u32 from, u32 to)
{
	return (u16)~from + (u16)(~from >> 16) + (to & 0xffff) + (to >> 16);
}

static_always_inline u32 lbrl_delta128(const u8 *from, const u8 *to)
{
	u32 s = 0;
	for (int i = 0; i < 16; i += 4)
		s += lbrl_delta32(*(u32u *)(from + i), *(u32u *)(to + i));
	return s;
}

static_always_inline u16 lbrl_csum_add(u16 csum, u32 delta)
{
	return ~lbrl_fold((u16)~csum + delta);
}

/* A UDP checksum of 0 means none (IPv4); one that comes out as 0 is sent as 0xffff. */
static_always_inline void lbrl_l4_fix(void *l4, bool tcp, u32 delta)
{
	if (tcp) {
		tcp_header_t *h = l4;
		h->checksum = lbrl_csum_add(h->checksum, delta);
	} else {
		udp_header_t *h = l4;
		if (h->checksum) {
			u16 c = lbrl_csum_add(h->checksum, delta);
			h->checksum = c ? c : 0xffff;
		}
	}
}

/* Key of a client's packet. An IPv4 VIP that is a prefix keeps apart what goes to different addresses of it: their host bits
 * stand in front of the mapped client address, where zeros are otherwise. */
static_always_inline void lbrl_key4(struct mlb_flow_key *k, u32 client, u32 dst_host, u16 cport, u16 vport, u16 vip, u8 proto)
{
	u64 *w = (u64 *)k;
	w[0] = dst_host;
	w[1] = (u64)client << 32 | 0xffff0000u;
	w[2] = (u64)cport | (u64)vport << 16 | (u64)vip << 32 | (u64)proto << 48;
}

static_always_inline void lbrl_key6(struct mlb_flow_key *k, const ip6_address_t *client, u16 cport, u16 vport, u16 vip, u8 proto)
{
	u64 *w = (u64 *)k;
	w[0] = client->as_u64[0];
	w[1] = client->as_u64[1];
	w[2] = (u64)cport | (u64)vport << 16 | (u64)vip << 32 | (u64)proto << 48;
}

/* The thread that owns a NAT flow: both directions know the client's address and port. */
static_always_inline u32 lbrl_owner(const struct mlb_flow_key *k)
{
	const u64 *w = (const u64 *)k;
	u64 x = (w[1] ^ (w[2] & 0xffff) * 0x9e3779b97f4a7c15ULL);
	x ^= (u8)k->client.b[10] == 0xff ? 0 : w[0];
	x *= 0xbf58476d1ce4e5b9ULL;
	return lbrl_main.first_worker + (u32)(((x >> 32) * lbrl_main.n_workers) >> 32);
}

static_always_inline u16 lbrl_vip_of_port(const lbrl_prefix_t *p, bool udp, u16 port)
{
	const u8 *map = p->by_port[udp];
	return PREDICT_TRUE(map != 0) ? map[port] : p->any[udp];
}

/* The next hop that the FIB has for a server now. */
static_always_inline u16 lbrl_next_hop(vlib_buffer_t *b, u32 lbi, const void *ip, bool is6)
{
	const load_balance_t *lb = load_balance_get(lbi);
	const dpo_id_t *dpo;

	if (PREDICT_TRUE(lb->lb_n_buckets == 1))
		dpo = load_balance_get_bucket_i(lb, 0);
	else {
		u32 h = is6 ? ip6_compute_flow_hash(ip, lb->lb_hash_config) : ip4_compute_flow_hash(ip, lb->lb_hash_config);
		vnet_buffer(b)->ip.flow_hash = h;
		dpo = load_balance_get_fwd_bucket(lb, h & lb->lb_n_buckets_minus_1);
	}
	vnet_buffer(b)->ip.adj_index[VLIB_TX] = dpo->dpoi_index;
	return dpo->dpoi_next_node;
}

/* Rewrites a whole, option-free TCP or UDP packet for its server. A VIP of one address has what a checksum changes by ready. */
static_always_inline void lbrl_rewrite4(ip4_header_t *ip, const lbrl_vip_t *v, lbrl_fwd_t fwd, const lbrl_server_t *srv, bool tcp)
{
	u32 to = *(u32 *)(srv->addr.b + 12);
	u32 d = PREDICT_TRUE(!v->host_mask4) ? srv->addr_delta : lbrl_delta32(ip->dst_address.as_u32, to), l4d = d;
	udp_header_t *udp = (udp_header_t *)(ip + 1);

	if (fwd == LBRL_FWD_L3DSR) {
		/* The tos is the second byte of the header's first 16-bit word; its last two bits (ECN) stay. */
		u16 was = *(u16u *)ip, is = (was & 0x03ff) | v->tos << 8;
		d += (u16)~was + is;
		*(u16u *)ip = is;
	} else if (srv->port) {
		l4d += (u16)~udp->dst_port + srv->port;
		udp->dst_port = srv->port;
	}
	ip->dst_address.as_u32 = to;
	ip->checksum = lbrl_csum_add(ip->checksum, d);
	lbrl_l4_fix(udp, tcp, l4d);
}

static_always_inline void lbrl_rewrite6(ip6_header_t *ip, const lbrl_vip_t *v, lbrl_fwd_t fwd, const lbrl_server_t *srv, bool tcp)
{
	u32 d = PREDICT_TRUE(v->plen == 128) ? srv->addr_delta : lbrl_delta128(ip->dst_address.as_u8, srv->addr.b);
	udp_header_t *udp = (udp_header_t *)(ip + 1);

	if (fwd == LBRL_FWD_L3DSR) {
		u32 w = clib_net_to_host_u32(ip->ip_version_traffic_class_and_flow_label);
		w = (w & ~(0xfcu << 20)) | (u32)v->tos << 20;
		ip->ip_version_traffic_class_and_flow_label = clib_host_to_net_u32(w);
	} else if (srv->port) {
		d += (u16)~udp->dst_port + srv->port;
		udp->dst_port = srv->port;
	}
	clib_memcpy_fast(ip->dst_address.as_u8, srv->addr.b, 16);
	lbrl_l4_fix(udp, tcp, d);
}

#endif
