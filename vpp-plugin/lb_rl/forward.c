/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/path.h>
#include <lb_rl/route.h>
#include <lb_rl/sums.h>
#include <vnet/ip/icmp4.h>
#include <vnet/ip/icmp6.h>

#define IP4_LEAST_MTU 68u   /* RFC 791 */
#define IP6_LEAST_MTU 1280u /* RFC 8200 */

lb_rl_fwd_t lb_rl_fwd_parse(const char *word)
{
	lb_rl_fwd_t f = 0;

	while (f < LB_RL_FWD_COUNT && strcmp(word, lb_rl_fwd_ops[f].name) != 0)
		f++;
	return f;
}

u16 lb_rl_lookup_edge(bool from6, bool to6)
{
	return lb_rl_main.edge_lookup[from6][to6];
}

/* Longest IP packet that the next hops of this DPO take. */
static u32 lb_rl_dpo_mtu(const dpo_id_t *dpo)
{
	u32 least = UINT16_MAX;

	if (dpo_is_adj(dpo))
		return adj_get(dpo->dpoi_index)->rewrite_header.max_l3_packet_bytes;
	if (dpo->dpoi_type != DPO_LOAD_BALANCE)
		return least;
	const load_balance_t *lb = load_balance_get(dpo->dpoi_index);
	for (u32 i = 0; i < lb->lb_n_buckets; i++)
		least = clib_min(least, lb_rl_dpo_mtu(load_balance_get_bucket_i(lb, i)));
	return least;
}

static u32 lb_rl_path_mtu(const lb_rl_server_t *srv)
{
	const load_balance_t *lb = load_balance_get(srv->lbi);
	u32 least = UINT16_MAX;

	for (u32 i = 0; i < lb->lb_n_buckets; i++)
		least = clib_min(least, lb_rl_dpo_mtu(load_balance_get_bucket_i(lb, i)));
	return least;
}

/* The sender's next packets, after such an answer, have this length at most. IPv6 packets of 1280 bytes always go: a tunnel over
 * a link that does not take them with its headers fragments them (RFC 2473, section 7.1). */
static u32 lb_rl_told_mtu(u32 mtu, u32 overhead, bool is6)
{
	u32 least = is6 ? IP6_LEAST_MTU : IP4_LEAST_MTU;

	return mtu > overhead + least ? mtu - overhead : least;
}

u32 lb_rl_path_takes(vlib_buffer_t *b, u32 len, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u16 *next)
{
	const ip4_header_t *ip4 = vlib_buffer_get_current(b);
	u32 overhead = lb_rl_fwd_ops[v->fwd].overhead, mtu = lb_rl_path_mtu(srv);

	/* A buffer that hardware or a node of VPP's cuts into segments later; not inside a tunnel. */
	if (PREDICT_FALSE(b->flags & VNET_BUFFER_F_GSO)) {
		if (overhead) {
			*next = lb_rl_main.edge_segment[v->is_ip6];
			return LB_RL_ERROR_SEGMENTED;
		}
		len = gso_mtu_sz(b);
	}
	if (PREDICT_TRUE(len + overhead <= mtu))
		return LB_RL_ERROR_FORWARDED;
	u32 told = lb_rl_told_mtu(mtu, overhead, v->is_ip6);
	if (v->is_ip6) {
		if (len <= told)
			return LB_RL_ERROR_FORWARDED;
		icmp6_error_set_vnet_buffer(b, ICMP6_packet_too_big, 0, told);
	} else {
		if (!(ip4->flags_and_fragment_offset & clib_host_to_net_u16(IP4_HEADER_FLAG_DONT_FRAGMENT)))
			return LB_RL_ERROR_FORWARDED;
		icmp4_error_set_vnet_buffer(b, ICMP4_destination_unreachable,
					    ICMP4_destination_unreachable_fragmentation_needed_and_dont_fragment_set, told);
	}
	*next = IP_LOOKUP_NEXT_ICMP_ERROR;
	return LB_RL_ERROR_TOO_BIG;
}

u32 lb_rl_time_exceeded(vlib_buffer_t *b, bool is6, u16 *next)
{
	if (is6)
		icmp6_error_set_vnet_buffer(b, ICMP6_time_exceeded, ICMP6_time_exceeded_ttl_exceeded_in_transit, 0);
	else
		icmp4_error_set_vnet_buffer(b, ICMP4_time_exceeded, ICMP4_time_exceeded_ttl_exceeded_in_transit, 0);
	*next = IP_LOOKUP_NEXT_ICMP_ERROR;
	return LB_RL_ERROR_TTL;
}

bool lb_rl_cut_outer(vlib_buffer_t *b, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u16 *next)
{
	u32 len = vlib_buffer_length_in_chain(vlib_get_main(), b), mtu = lb_rl_path_mtu(srv);

	if (PREDICT_TRUE(len <= mtu))
		return false;
	if (lb_rl_fwd_ops[v->fwd].outer == 6) {
		vnet_buffer(b)->sw_if_index[VLIB_TX] = v->via_fib;
		vnet_buffer(b)->ip_frag.mtu = mtu;
		vnet_buffer(b)->ip_frag.next_index = lb_rl_main.frag6_to_lookup;
		vnet_buffer(b)->ip_frag.flags = 0;
		*next = lb_rl_main.edge_frag6[v->is_ip6];
		return true;
	}
	/* ip4-rewrite cuts what may be cut. The identification was the inner packet's, and those of two clients may be equal. */
	ip4_header_t *ip = vlib_buffer_get_current(b);
	lb_rl_thread_t *t = vec_elt_at_index(lb_rl_main.thread, vlib_get_thread_index());
	ip->flags_and_fragment_offset = 0;
	ip->fragment_id = clib_host_to_net_u16(t->ident++);
	ip->checksum = ip4_header_checksum(ip);
	return false;
}

u32 lb_rl_forward(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow,
		  u16 *next)
{
	bool from6 = v->is_ip6, to6 = lb_rl_leaves_as_ip6(v);
	u32 error = lb_rl_fwd_ops[v->fwd].rewrite(b, pkt, v, srv, flow);

	if (PREDICT_FALSE(error == LB_RL_ERROR_FORWARDED && srv->unfit & LB_RL_NO_ROUTE))
		error = lb_rl_route_error(srv->unfit);
	if (PREDICT_FALSE(error != LB_RL_ERROR_FORWARDED))
		*next = IP_LOOKUP_NEXT_DROP;
	else if (lb_rl_fwd_ops[v->fwd].outer && pkt->total_len > LB_RL_FITS && lb_rl_cut_outer(b, v, srv, next))
		;
	else if (from6 != to6) /* edges are those of the packet's own family; the other family's lookup goes on */
		*next = lb_rl_other_lookup(b, v, from6, to6);
	else
		*next = lb_rl_next_hop(b, load_balance_get(srv->lbi), vlib_buffer_get_current(b), to6);
	return error;
}

void lb_rl_outer_ready(const lb_rl_vip_t *v, lb_rl_server_t *srv)
{
	vlib_main_t *vm = vlib_get_main();
	const lb_rl_fwd_ops_t *f = &lb_rl_fwd_ops[v->fwd];
	struct mlb_pkt empty = { .version = v->is_ip6 ? 6 : 4 };
	u32 bi;

	STATIC_ASSERT(sizeof(srv->outer) >= sizeof(ip6_header_t) + sizeof(u32), "room for an outer header and a tunnel's own");
	srv->unfit |= LB_RL_NO_OUTER;
	if (!f->fixed_own || vlib_buffer_alloc(vm, &bi, 1) != 1)
		return; /* the general way serves as well */
	vlib_buffer_t *b = vlib_get_buffer(vm, bi);
	clib_memset(vlib_buffer_get_current(b), 0, sizeof(ip6_header_t));
	if (f->rewrite(b, &empty, v, srv, 0) == LB_RL_ERROR_FORWARDED) {
		clib_memcpy(srv->outer, vlib_buffer_get_current(b), f->overhead);
		if (f->outer == 4) {
			ip4_header_t *ip = (ip4_header_t *)srv->outer;
			ip->length = 0;
			srv->outer_sum = ~ip4_header_checksum(ip);
			ip->checksum = 0;
		} else
			((ip6_header_t *)srv->outer)->payload_length = 0;
		srv->unfit &= ~LB_RL_NO_OUTER;
	}
	vlib_buffer_free_one(vm, bi);
}

u32 lb_rl_outer(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow, u8 proto,
		u32 room, u8 **own)
{
	u32 ip_header = lb_rl_fwd_ops[v->fwd].outer == 6 ? sizeof(ip6_header_t) : sizeof(ip4_header_t);

	if (PREDICT_FALSE(b->current_data + VLIB_BUFFER_PRE_DATA_SIZE < (i32)(ip_header + room + LB_RL_LINK_ROOM)))
		return LB_RL_ERROR_NO_ROOM;
	/* Checksums that hardware was to fill in cannot wait once the packet lies inside another one. */
	if (b->flags & VNET_BUFFER_F_OFFLOAD)
		vnet_calc_checksums_inline(vlib_get_main(), b, !v->is_ip6, v->is_ip6);
	lb_rl_take_ttl(vlib_buffer_get_current(b), v->is_ip6);
	u32 n = mlb_pkt_outer(vlib_buffer_get_current(b), pkt, proto, room, flow, &v->src, &srv->addr);
	if (PREDICT_FALSE(n == 0))
		return LB_RL_ERROR_TOO_LONG;
	vlib_buffer_advance(b, -(word)n);
	*own = (u8 *)vlib_buffer_get_current(b) + ip_header;
	return LB_RL_ERROR_FORWARDED;
}
