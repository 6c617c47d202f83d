/* SPDX-License-Identifier: Apache-2.0 */
/* What every packet needs: its flow's key, its owner, its next hop. Compiled into each march variant of the nodes. */
#ifndef LB_RL_PATH_H
#define LB_RL_PATH_H
#include <lb_rl/lb_rl.h>
#include <vnet/dpo/load_balance_map.h>
#include <vnet/interface_output.h>
#include <vnet/ip/ip4_inlines.h>
#include <vnet/ip/ip6_inlines.h>

/* Key of a client's packet. An IPv4 VIP that is a prefix keeps apart what goes to different addresses of it: their host bits
 * stand in front of the mapped client address, where zeros are otherwise. */
static_always_inline void lb_rl_key4(struct mlb_flow_key *k, u32 client, u32 dst_host, u16 cport, u16 vport, u16 vip, u8 proto)
{
	u64 *w = (u64 *)k;
	w[0] = dst_host;
	w[1] = (u64)client << 32 | 0xffff0000u;
	w[2] = (u64)cport | (u64)vport << 16 | (u64)vip << 32 | (u64)proto << 48;
}

/* The same of an IPv6 VIP that is a prefix. There is no room beside the client's address, so the destination is mixed into its
 * second half: two flows of one client network that differ there are one with a chance of 2^-64. Equal on every load balancer. */
static_always_inline u64 lb_rl_apart6(const void *dst)
{
	const u64u *d = dst;
	return mlb_flow_mix(d[0] ^ 0x9e3779b97f4a7c15ULL, d[1] ^ 0xbf58476d1ce4e5b9ULL);
}

/* Not of a sticky VIP: a client goes to one server whatever it asks for, and it is the address alone that names the client. */
static_always_inline bool lb_rl_apart(const lb_rl_vip_t *v)
{
	return v->is_ip6 && v->plen < 128 && !v->sticky;
}

/* apart: 0, or lb_rl_apart6 of the destination. */
static_always_inline void lb_rl_key6(struct mlb_flow_key *k, const ip6_address_t *client, u64 apart, u16 cport, u16 vport,
				     u16 vip, u8 proto)
{
	u64 *w = (u64 *)k;
	w[0] = client->as_u64[0];
	w[1] = client->as_u64[1] ^ apart;
	w[2] = (u64)cport | (u64)vport << 16 | (u64)vip << 32 | (u64)proto << 48;
}

/* The lookup of the servers' family, in the VIP's table. */
static_always_inline u16 lb_rl_other_lookup(vlib_buffer_t *b, const lb_rl_vip_t *v, bool from6, bool to6)
{
	vnet_buffer(b)->sw_if_index[VLIB_TX] = v->via_fib;
	return lb_rl_main.edge_lookup[from6][to6];
}

/* The next hop that the FIB has for a server now: of its load-balance. */
static_always_inline u16 lb_rl_next_hop(vlib_buffer_t *b, const load_balance_t *lb, const void *ip, bool is6)
{
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
#endif
