/* SPDX-License-Identifier: Apache-2.0 */
/* lb-rl-return4, lb-rl-return6: servers' replies under NAT, a feature of server-facing interfaces. What belongs to no flow of
 * ours goes on untouched. The candidates for a reply's VIP come from the server's address; the flow itself decides. */
#include <lb_rl/slow.h>
#include <lb_rl/path.h>
#include <vnet/feature/feature.h>

typedef struct {
	struct mlb_flow_key key[VLIB_FRAME_SIZE];
	u64 hash[VLIB_FRAME_SIZE];
	struct mlb_flow *flow[VLIB_FRAME_SIZE];
	u64 vips[VLIB_FRAME_SIZE]; /* candidates left, bit id - 1 */
	u16 at[VLIB_FRAME_SIZE];
	u32 n;
} lbrl_reply_batch_t;

static_always_inline u64 lbrl_candidates(const struct mlb_addr *server)
{
	clib_bihash_kv_16_8_t kv;
	clib_memcpy_fast(kv.key, server->b, 16);
	return clib_bihash_search_inline_16_8(&lbrl_main.by_server, &kv) ? 0 : kv.value;
}

/* Key that a flow through VIP `id` would have, were this packet its reply. */
static_always_inline void lbrl_reply_key(struct mlb_flow_key *k, u32 id, const void *client, u16 cport, u16 sport, u8 proto,
					 bool is6)
{
	const lbrl_vip_t *v = &lbrl_main.vip[id];
	u16 vport = v->port ? v->port : sport;

	if (is6)
		lbrl_key6(k, client, cport, vport, id, proto);
	else
		lbrl_key4(k, *(u32u *)client, 0, cport, vport, id, proto);
}

static_always_inline bool lbrl_is_reply(const struct mlb_flow *f, const struct mlb_addr *server, u16 sport)
{
	const lbrl_vip_t *v = &lbrl_main.vip[f->key.vip];
	const lbrl_server_t *srv = &v->server[f->slot];
	u16 want = srv->port ? clib_net_to_host_u16(srv->port) : f->key.vport;

	return lbrl_flow_valid(v, f) && want == sport && !memcmp(&srv->addr, server, sizeof(*server));
}

/* The rest of the search: half-open flows, and further VIPs that share the server. */
static struct mlb_flow *lbrl_reply_search(lbrl_thread_t *t, u64 vips, const struct mlb_addr *server, const void *client,
					  u16 cport, u16 sport, u8 proto, bool is6)
{
	while (vips) {
		struct mlb_flow_key k;
		u32 id = __builtin_ctzll(vips) + 1;
		vips &= vips - 1;
		lbrl_reply_key(&k, id, client, cport, sport, proto, is6);
		struct mlb_flow *f = lbrl_life_find(t, &k, mlb_flow_hash(t->flows, &k));
		if (f && lbrl_is_reply(f, server, sport))
			return f;
	}
	return 0;
}

static_always_inline void lbrl_account(lbrl_thread_t *t, struct mlb_flow *f, bool tcp, u8 flags, u32 len, bool payload)
{
	lbrl_vip_t *v = &lbrl_main.vip[f->key.vip];
	struct mlb_wvip *wv = lbrl_wvip(t, f->key.vip);
	u32 slot = f->slot;

	if (PREDICT_FALSE(tcp && ((flags & LBRL_TCP_SPECIAL) || f->tcp != MLB_TCP_ESTABLISHED)))
		f = lbrl_life_tcp(t, v, f, flags, false);
	f->last_ms = t->now_ms;
	if (payload && (f->flags & MLB_FLOW_WAITING))
		lbrl_life_payload(t, v, f, false);
	if (wv)
		mlb_ev_bytes(wv, slot, false, 1, len);
}

/* Options, fragments, ICMP errors of servers. True: ours, rewritten. */
static bool lbrl_slow_reply(lbrl_thread_t *t, vlib_buffer_t *b, bool is6, u32 *owner, u32 *vip, u32 *slot)
{
	u8 *ip = vlib_buffer_get_current(b);
	struct mlb_pkt pkt;
	u32 len = vlib_buffer_length_in_chain(vlib_get_main(), b);
	enum mlb_pkt_error e = mlb_pkt_parse(ip, len, &pkt);

	*owner = ~0;
	if (e == MLB_PKT_FRAGMENT) {
		/* Shallow reassembly runs ahead of us on these interfaces. */
		pkt.sport = clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_src_port);
		pkt.dport = clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_dst_port);
		pkt.proto = vnet_buffer(b)->ip.reass.ip_proto;
	} else if (e != MLB_PKT_OK)
		return false;
	/* An ICMP error about what we sent to the server quotes a packet from client to server. */
	bool icmp = pkt.icmp_error;
	u8 proto = icmp ? pkt.inner_proto : pkt.proto;
	const struct mlb_addr *server = icmp ? &pkt.dst : &pkt.src, *client = icmp ? &pkt.src : &pkt.dst;
	u16 sport = icmp ? pkt.dport : pkt.sport, cport = icmp ? pkt.sport : pkt.dport;
	if (proto != IP_PROTOCOL_TCP && proto != IP_PROTOCOL_UDP)
		return false;
	u64 vips = lbrl_candidates(server);
	if (!vips)
		return false;
	struct mlb_flow_key k;
	const void *c = is6 ? client->b : client->b + 12;
	lbrl_reply_key(&k, __builtin_ctzll(vips) + 1, c, cport, sport, proto, is6);
	if (lbrl_main.n_workers > 1 && lbrl_owner(&k) != t - lbrl_main.thread) {
		*owner = lbrl_owner(&k);
		return false;
	}
	struct mlb_flow *f = lbrl_reply_search(t, vips, server, c, cport, sport, proto, is6);
	if (!f)
		return false;
	lbrl_vip_t *v = &lbrl_main.vip[f->key.vip];
	*vip = v->id;
	*slot = f->slot;
	u16 vport = f->key.vport;
	if (!icmp)
		lbrl_account(t, f, proto == IP_PROTOCOL_TCP && !pkt.later_fragment, pkt.tcp_flags, pkt.total_len,
			     pkt.total_len > pkt.payload_off);
	mlb_pkt_nat(ip, &pkt, false, &v->addr, vport);
	return true;
}

/* Replies that another thread owns. */
typedef struct {
	u32 bi[VLIB_FRAME_SIZE];
	u16 thread[VLIB_FRAME_SIZE];
	bool gone[VLIB_FRAME_SIZE]; /* by place in the vector */
	u32 n;
} lbrl_away_t;

/* config: where the packet stood on its feature arc before this node asked for the next feature: the owner's node asks again. */
static_always_inline void lbrl_hand_off(lbrl_away_t *away, vlib_buffer_t *b, u32 bi, u32 i, u32 thread, u32 config)
{
	b->current_config_index = config;
	away->bi[away->n] = bi;
	away->thread[away->n++] = thread;
	away->gone[i] = true;
}

static_always_inline uword lbrl_return_inline(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6)
{
	lbrl_thread_t *t = vec_elt_at_index(lbrl_main.thread, vm->thread_index);
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors, ours = 0;
	vlib_buffer_t *bufs[VLIB_FRAME_SIZE];
	u16 nexts[VLIB_FRAME_SIZE];
	bool handoff = lbrl_main.n_workers > 1, enabled = lbrl_main.enabled;
	lbrl_reply_batch_t s;
	lbrl_away_t away;

	vlib_get_buffers(vm, from, bufs, n);
	s.n = away.n = 0;
	for (u32 i = 0; i < n; i++) {
		vlib_buffer_t *b = bufs[i];
		u8 *ip = vlib_buffer_get_current(b);
		const u32 hl = is6 ? 40 : 20;
		u8 proto = ip[is6 ? 6 : 9];
		udp_header_t *udp = (udp_header_t *)(ip + hl);
		struct mlb_addr server;

		if (i + 4 < n) {
			vlib_prefetch_buffer_header(bufs[i + 4], LOAD);
			clib_prefetch_store(bufs[i + 4]->data);
		}
		away.gone[i] = false;
		u32 config = b->current_config_index;
		vnet_feature_next_u16(&nexts[i], b);
		if (!enabled)
			continue;
		bool plain = (proto == IP_PROTOCOL_TCP || proto == IP_PROTOCOL_UDP) &&
			     b->current_length >= hl + (proto == IP_PROTOCOL_TCP ? 20 : 8);
		if (!is6)
			plain = plain && ip[0] == 0x45 &&
				!(((ip4_header_t *)ip)->flags_and_fragment_offset & clib_host_to_net_u16(0x3fff));
		if (PREDICT_FALSE(!plain)) {
			u32 owner, vip = 0, slot = MLB_NONE;
			if (lbrl_slow_reply(t, b, is6, &owner, &vip, &slot)) {
				ours++;
			} else if (owner != ~0)
				lbrl_hand_off(&away, b, from[i], i, owner, config);
			continue;
		}
		if (is6)
			clib_memcpy_fast(server.b, ((ip6_header_t *)ip)->src_address.as_u8, 16);
		else {
			ip46_address_t a = { .ip4 = ((ip4_header_t *)ip)->src_address };
			lbrl_addr_from_ip46(&server, &a, false);
		}
		u64 vips = lbrl_candidates(&server);
		if (PREDICT_FALSE(!vips))
			continue;
		lbrl_reply_key(&s.key[s.n], __builtin_ctzll(vips) + 1,
			       is6 ? (void *)&((ip6_header_t *)ip)->dst_address : (void *)&((ip4_header_t *)ip)->dst_address,
			       clib_net_to_host_u16(udp->dst_port), clib_net_to_host_u16(udp->src_port), proto, is6);
		if (PREDICT_FALSE(handoff)) {
			u32 owner = lbrl_owner(&s.key[s.n]);
			if (owner != vm->thread_index) {
				lbrl_hand_off(&away, b, from[i], i, owner, config);
				continue;
			}
		}
		s.vips[s.n] = vips;
		s.hash[s.n] = mlb_flow_hash(t->flows, &s.key[s.n]);
		s.at[s.n++] = i;
	}
	if (enabled)
		mlb_flow_find_batch(t->flows, s.key, s.hash, s.n, s.flow);

	for (u32 j = 0; j < s.n; j++) {
		vlib_buffer_t *b = bufs[s.at[j]];
		u8 *ip = vlib_buffer_get_current(b);
		ip4_header_t *ip4 = (ip4_header_t *)ip;
		ip6_header_t *ip6 = (ip6_header_t *)ip;
		const struct mlb_flow_key *k = &s.key[j];
		udp_header_t *udp = (udp_header_t *)(ip + (is6 ? 40 : 20));
		bool tcp = k->proto == IP_PROTOCOL_TCP;
		struct mlb_flow *f = s.flow[j];
		struct mlb_addr server;
		u16 sport = clib_net_to_host_u16(udp->src_port);

		if (is6)
			clib_memcpy_fast(server.b, ip6->src_address.as_u8, 16);
		else {
			ip46_address_t a = { .ip4 = ip4->src_address };
			lbrl_addr_from_ip46(&server, &a, false);
		}
		if (PREDICT_FALSE(!f || !lbrl_is_reply(f, &server, sport))) {
			f = lbrl_reply_search(t, s.vips[j], &server, is6 ? (void *)&ip6->dst_address : (void *)&ip4->dst_address,
					      k->cport, sport, k->proto, is6);
			if (!f)
				continue;
		}
		lbrl_vip_t *v = &lbrl_main.vip[f->key.vip];
		u32 slot = f->slot, len, off, d;
		u16 vport = clib_host_to_net_u16(f->key.vport);
		u8 flags = tcp ? ((tcp_header_t *)udp)->flags & 0x1f : 0;

		len = is6 ? clib_net_to_host_u16(ip6->payload_length) + 40 : clib_net_to_host_u16(ip4->length);
		off = (is6 ? 40 : 20) + (tcp ? 4 * (((tcp_header_t *)udp)->data_offset_and_reserved >> 4) : 8);
		lbrl_account(t, f, tcp, flags, len, len > off);
		if (is6) {
			d = lbrl_delta128(ip6->src_address.as_u8, v->addr.b);
			clib_memcpy_fast(ip6->src_address.as_u8, v->addr.b, 16);
		} else {
			u32 to = *(u32 *)(v->addr.b + 12);
			d = lbrl_delta32(ip4->src_address.as_u32, to);
			ip4->src_address.as_u32 = to;
			ip4->checksum = lbrl_csum_add(ip4->checksum, d);
		}
		d += (u16)~udp->src_port + vport;
		udp->src_port = vport;
		lbrl_l4_fix(udp, tcp, d);
		ours++;
		if (PREDICT_FALSE((node->flags & VLIB_NODE_FLAG_TRACE) && (b->flags & VLIB_BUFFER_IS_TRACED))) {
			lbrl_trace_t *tr = vlib_add_trace(vm, node, b, sizeof(*tr));
			*tr = (lbrl_trace_t){ v->id, slot, LBRL_ERROR_RETURNED, nexts[s.at[j]], 1 };
		}
	}
	vlib_node_increment_counter(vm, node->node_index, LBRL_ERROR_RETURNED, ours);
	if (PREDICT_TRUE(!away.n)) {
		vlib_buffer_enqueue_to_next(vm, node, from, nexts, n);
		return n;
	}
	u32 sent = vlib_buffer_enqueue_to_thread(vm, node, lbrl_main.fq_return[is6], away.bi, away.thread, away.n, 1);
	vlib_node_increment_counter(vm, node->node_index, LBRL_ERROR_CONGESTION, away.n - sent);
	t->handoff_drops += away.n - sent;
	u32 stay[VLIB_FRAME_SIZE], n_stay = 0;
	for (u32 i = 0; i < n; i++)
		if (!away.gone[i]) {
			nexts[n_stay] = nexts[i];
			stay[n_stay++] = from[i];
		}
	if (n_stay)
		vlib_buffer_enqueue_to_next(vm, node, stay, nexts, n_stay);
	return n;
}

VLIB_NODE_FN(lbrl_return4_node)(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lbrl_return_inline(vm, node, frame, false);
}

VLIB_NODE_FN(lbrl_return6_node)(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lbrl_return_inline(vm, node, frame, true);
}

VLIB_REGISTER_NODE(lbrl_return4_node) = {
	.name = "lb-rl-return4",
	.vector_size = sizeof(u32),
	.format_trace = format_lbrl_trace,
	.n_errors = LBRL_N_ERROR,
	.error_counters = lbrl_error_counters,
};
VLIB_REGISTER_NODE(lbrl_return6_node) = {
	.name = "lb-rl-return6",
	.vector_size = sizeof(u32),
	.format_trace = format_lbrl_trace,
	.n_errors = LBRL_N_ERROR,
	.error_counters = lbrl_error_counters,
};
VNET_FEATURE_INIT(lbrl_return4_feature, static) = {
	.arc_name = "ip4-unicast",
	.node_name = "lb-rl-return4",
	.runs_after = VNET_FEATURES("ip4-sv-reassembly-feature"),
	.runs_before = VNET_FEATURES("ip4-lookup"),
};
VNET_FEATURE_INIT(lbrl_return6_feature, static) = {
	.arc_name = "ip6-unicast",
	.node_name = "lb-rl-return6",
	.runs_after = VNET_FEATURES("ip6-sv-reassembly-feature"),
	.runs_before = VNET_FEATURES("ip6-lookup"),
};
