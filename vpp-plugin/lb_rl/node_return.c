/* SPDX-License-Identifier: Apache-2.0 */
/* lb-rl-return4, lb-rl-return6: servers' replies under NAT, a feature of server-facing interfaces. What belongs to no flow of
 * ours goes on untouched. The candidates for a reply's VIP come from the server's address; the flow itself decides. It lives with
 * the worker that its first packet came to, and replies come by any: each is handed to that worker, by the hint in
 * lb_rl_main.whose (lb-rl-owned-return4, lb-rl-owned-return6), so that a flow's replies stay in order. */
#include <lb_rl/flows.h>
#include <lb_rl/life.h>
#include <lb_rl/mss.h>
#include <lb_rl/node.h>
#include <lb_rl/path.h>
#include <lb_rl/sharers.h>
#include <lb_rl/sums.h>
#include <lb_rl/window.h>
#include <marllb/endpoint.h>
#include <vnet/feature/feature.h>

typedef struct {
	struct mlb_flow_key key[VLIB_FRAME_SIZE];
	u64 hash[VLIB_FRAME_SIZE];
	struct mlb_flow *flow[VLIB_FRAME_SIZE];
	lb_rl_sharers_t vips[VLIB_FRAME_SIZE];
	u32 config[VLIB_FRAME_SIZE]; /* place on the feature arc, as it came */
	u16 at[VLIB_FRAME_SIZE];
	u32 n;
} lb_rl_reply_batch_t;

/* Key that a flow through VIP `id` would have, were this packet its reply. */
static_always_inline void lb_rl_reply_key(struct mlb_flow_key *k, u32 id, const void *client, u16 cport, u16 sport, u8 proto,
					  bool is6)
{
	const lb_rl_vip_t *v = &lb_rl_main.vip[id];
	u16 vport = v->port ? v->port : sport;

	if (is6)
		lb_rl_key6(k, client, 0, cport, vport, id, proto);
	else
		lb_rl_key4(k, *(u32u *)client, 0, cport, vport, id, proto);
}

/* Table of the interface that a packet came in by. */
static_always_inline u32 lb_rl_came_by(const vlib_buffer_t *b, bool is6)
{
	u32 rx = vnet_buffer(b)->sw_if_index[VLIB_RX];
	return vec_elt(is6 ? ip6_main.fib_index_by_sw_if_index : ip4_main.fib_index_by_sw_if_index, rx);
}

/* fib: the table that the packet came by; another table's server of the same address is another one. */
static_always_inline bool lb_rl_is_reply(const struct mlb_flow *f, const struct mlb_addr *server, u16 sport, u32 fib)
{
	const lb_rl_vip_t *v = &lb_rl_main.vip[f->key.vip];
	const lb_rl_server_t *srv = &v->server[f->slot];
	u16 want = srv->port ? clib_net_to_host_u16(srv->port) : f->key.vport;

	return lb_rl_flow_valid(v, f) && want == sport && v->via_fib == fib && mlb_addr_eq(&srv->addr, server);
}

/* The rest of the search: half-open flows, and further VIPs that share the server. */
static struct mlb_flow *lb_rl_reply_search(lb_rl_thread_t *t, lb_rl_sharers_t vips, const struct mlb_addr *server,
					   const void *client, u16 cport, u16 sport, u8 proto, u32 fib, bool is6)
{
	u32 id, i = 0;

	while ((id = lb_rl_sharer_next(vips, &i))) {
		struct mlb_flow_key k;
		lb_rl_reply_key(&k, id, client, cport, sport, proto, is6);
		struct mlb_flow *f = lb_rl_flow_find(t, &k, mlb_flow_hash(t->flows, &k));
		if (f && lb_rl_is_reply(f, server, sport, fib))
			return f;
	}
	return 0;
}

/* The worker whose flow a reply is that this one's tables do not know; ~0: nobody's. The hint was wrong: a flow of another client
 * port has the same place, or the same port has a flow through another VIP, at another worker. */
static u32 lb_rl_reply_elsewhere(lb_rl_thread_t *t, lb_rl_sharers_t vips, const struct mlb_addr *server, const void *client,
				 u16 cport, u16 sport, u8 proto, u32 fib, bool is6)
{
	u32 id, i = 0;

	while ((id = lb_rl_sharer_next(vips, &i))) {
		struct mlb_flow_key k;
		const struct mlb_flow *f;
		u32 at = ~0;
		lb_rl_reply_key(&k, id, client, cport, sport, proto, is6);
		while ((f = lb_rl_flow_peek(t, &k, &at)))
			if (lb_rl_flow_peeked_valid(&lb_rl_main.vip[id], f) && lb_rl_is_reply(f, server, sport, fib))
				return at;
	}
	return ~0;
}

/* th: NULL where the packet has no TCP header of its own. have: bytes that stand there. */
static_always_inline void lb_rl_account(lb_rl_thread_t *t, struct mlb_flow *f, tcp_header_t *th, u32 have, u32 len, bool payload)
{
	lb_rl_vip_t *v = &lb_rl_main.vip[f->key.vip];
	struct mlb_wvip *wv = lb_rl_wvip(t, f->key.vip);
	u32 slot = f->slot;

	if (PREDICT_FALSE(th && ((th->flags & LB_RL_TCP_SPECIAL) || f->tcp != MLB_TCP_ESTABLISHED))) {
		f = lb_rl_life_tcp(t, v, f, lb_rl_believed(f, th, false), false);
		if (th->flags & MLB_TCP_F_SYN && v->mss)
			lb_rl_clamp_mss(th, have, v->mss);
	}
	if (th)
		lb_rl_heard(f, th, false);
	if (PREDICT_FALSE(f->flags & LB_RL_FLOW_UNPROVEN))
		lb_rl_life_prove(t, f);
	f->last_ms = t->now_ms;
	if (payload && (f->flags & MLB_FLOW_WAITING))
		lb_rl_life_payload(t, v, f, false);
	if (wv)
		mlb_ev_bytes(wv, slot, false, 1, len);
}

/* The worker that a reply is to be handed to: the only one, or by the hint; 0 where that knows none, then it is nobody's reply.
 */
static_always_inline u32 lb_rl_hinted(const struct mlb_flow_key *k)
{
	return lb_rl_main.whose ? __atomic_load_n(lb_rl_flow_whose(k), __ATOMIC_RELAXED) : lb_rl_main.first_worker;
}

/* Options, fragments, ICMP errors of servers. True: ours, rewritten. *owner: ~0, or the thread that it is handed to. may_move:
 * it has not been handed over yet. */
static bool lb_rl_slow_reply(lb_rl_thread_t *t, vlib_buffer_t *b, bool is6, bool may_move, u32 *owner)
{
	u8 *ip = vlib_buffer_get_current(b);
	struct mlb_pkt pkt;
	u32 len = vlib_buffer_length_in_chain(vlib_get_main(), b);
	enum mlb_pkt_error e = mlb_pkt_parse_head(ip, b->current_length, len, &pkt);

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
	lb_rl_sharers_t vips = lb_rl_sharers(server);
	if (!vips)
		return false;
	struct mlb_flow_key k;
	const void *c = is6 ? client->b : client->b + 12;
	lb_rl_reply_key(&k, lb_rl_sharer_first(vips), c, cport, sport, proto, is6);
	u32 hint = may_move ? lb_rl_hinted(&k) : t - lb_rl_main.thread;
	if (hint != t - lb_rl_main.thread) {
		*owner = hint ? hint : ~0;
		return false;
	}
	u32 fib = lb_rl_came_by(b, is6);
	struct mlb_flow *f = lb_rl_reply_search(t, vips, server, c, cport, sport, proto, fib, is6);
	if (!f) {
		if (lb_rl_main.whose)
			*owner = lb_rl_reply_elsewhere(t, vips, server, c, cport, sport, proto, fib, is6);
		return false;
	}
	const lb_rl_vip_t *v = &lb_rl_main.vip[f->key.vip];
	u16 vport = f->key.vport;
	if (!icmp)
		lb_rl_account(t, f, proto == IP_PROTOCOL_TCP && !pkt.later_fragment ? (tcp_header_t *)(ip + pkt.l4_off) : 0,
			      pkt.readable - pkt.l4_off, pkt.total_len, pkt.total_len > pkt.payload_off);
	mlb_pkt_nat(ip, &pkt, false, &v->addr, vport);
	return true;
}

/* A vector on its way through the node. */
typedef struct {
	vlib_main_t *vm;
	vlib_node_runtime_t *node;
	lb_rl_thread_t *t;
	vlib_buffer_t *bufs[VLIB_FRAME_SIZE];
	u16 nexts[VLIB_FRAME_SIZE];
	lb_rl_reply_batch_t replies;
	lb_rl_away_t away;
	u32 ours;
	bool may_move; /* to another worker: they have not been handed over yet */
} lb_rl_returns_t;

static_always_inline struct mlb_addr lb_rl_source(const void *ip, bool is6)
{
	struct mlb_addr a;

	if (!is6)
		return mlb_addr_of_v4(&((const ip4_header_t *)ip)->src_address);
	clib_memcpy_fast(a.b, ((const ip6_header_t *)ip)->src_address.as_u8, 16);
	return a;
}

static_always_inline const void *lb_rl_destination(const void *ip, bool is6)
{
	return is6 ? (const void *)&((const ip6_header_t *)ip)->dst_address :
		     (const void *)&((const ip4_header_t *)ip)->dst_address;
}

/* A whole, option-free TCP or UDP packet? */
static_always_inline bool lb_rl_plain_reply(const vlib_buffer_t *b, const u8 *ip, bool is6)
{
	const u32 hl = is6 ? 40 : 20;
	u8 proto = ip[is6 ? 6 : 9];

	if (proto != IP_PROTOCOL_TCP && proto != IP_PROTOCOL_UDP)
		return false;
	if (b->current_length < hl + (proto == IP_PROTOCOL_TCP ? 20 : 8))
		return false;
	return is6 || (ip[0] == 0x45 && !(((ip4_header_t *)ip)->flags_and_fragment_offset & clib_host_to_net_u16(0x3fff)));
}

/* The owner's node asks for the next feature again, so the packet is handed over as it came: config is its place on the arc. */
static_always_inline void lb_rl_return_elsewhere(lb_rl_returns_t *c, u32 i, u32 bi, u32 owner, u32 config)
{
	c->bufs[i]->current_config_index = config;
	lb_rl_hand_off(&c->away, bi, owner, &c->nexts[i]);
}

/* First pass, packet i: its next feature; a plain packet of a server of ours joins the batch, an unusual one is done at once. */
static_always_inline void lb_rl_return_key(lb_rl_returns_t *c, u32 i, u32 bi, bool is6)
{
	lb_rl_reply_batch_t *s = &c->replies;
	vlib_buffer_t *b = c->bufs[i];
	u8 *ip = vlib_buffer_get_current(b);
	udp_header_t *udp = (udp_header_t *)(ip + (is6 ? 40 : 20));
	u32 config = b->current_config_index;

	vnet_feature_next_u16(&c->nexts[i], b);
	if (PREDICT_FALSE(!lb_rl_plain_reply(b, ip, is6))) {
		u32 owner;
		if (lb_rl_slow_reply(c->t, b, is6, c->may_move, &owner))
			c->ours++;
		else if (owner != ~0)
			lb_rl_return_elsewhere(c, i, bi, owner, config);
		return;
	}
	struct mlb_addr server = lb_rl_source(ip, is6);
	lb_rl_sharers_t vips = lb_rl_sharers(&server);
	if (PREDICT_FALSE(!vips))
		return;
	lb_rl_reply_key(&s->key[s->n], lb_rl_sharer_first(vips), lb_rl_destination(ip, is6), clib_net_to_host_u16(udp->dst_port),
			clib_net_to_host_u16(udp->src_port), ip[is6 ? 6 : 9], is6);
	if (PREDICT_FALSE(c->may_move)) {
		u32 owner = lb_rl_hinted(&s->key[s->n]);
		if (owner != c->vm->thread_index) {
			if (owner)
				lb_rl_return_elsewhere(c, i, bi, owner, config);
			return;
		}
	}
	s->config[s->n] = config;
	s->vips[s->n] = vips;
	s->hash[s->n] = mlb_flow_hash(c->t->flows, &s->key[s->n]);
	s->at[s->n++] = i;
}

/* Source address and port of a plain reply become the VIP's. */
static_always_inline void lb_rl_return_rewrite(void *at, const lb_rl_vip_t *v, u16 vport, bool tcp, bool is6)
{
	udp_header_t *udp = is6 ? (void *)((ip6_header_t *)at + 1) : (void *)((ip4_header_t *)at + 1);
	u32 d;

	if (is6) {
		ip6_header_t *ip = at;
		d = lb_rl_delta128(ip->src_address.as_u8, v->addr.b);
		clib_memcpy_fast(ip->src_address.as_u8, v->addr.b, 16);
	} else {
		ip4_header_t *ip = at;
		u32 to = *(u32 *)(v->addr.b + 12);
		d = lb_rl_delta32(ip->src_address.as_u32, to);
		ip->src_address.as_u32 = to;
		ip->checksum = lb_rl_csum_add(ip->checksum, d);
	}
	d += (u16)~udp->src_port + vport;
	udp->src_port = vport;
	lb_rl_l4_fix(udp, tcp, d);
}

/* Last pass, reply j of the batch: its flow, counters, rewrite. One of no flow goes on untouched. */
static_always_inline void lb_rl_return_packet(lb_rl_returns_t *c, const u32 *from, u32 j, bool is6)
{
	lb_rl_reply_batch_t *s = &c->replies;
	const struct mlb_flow_key *k = &s->key[j];
	vlib_buffer_t *b = c->bufs[s->at[j]];
	u8 *ip = vlib_buffer_get_current(b);
	udp_header_t *udp = (udp_header_t *)(ip + (is6 ? 40 : 20));
	tcp_header_t *th = (tcp_header_t *)udp;
	bool tcp = k->proto == IP_PROTOCOL_TCP;
	struct mlb_flow *f = s->flow[j];
	struct mlb_addr server = lb_rl_source(ip, is6);
	u16 sport = clib_net_to_host_u16(udp->src_port);
	u32 fib = lb_rl_came_by(b, is6);

	if (PREDICT_FALSE(!f || !lb_rl_is_reply(f, &server, sport, fib))) {
		const void *client = lb_rl_destination(ip, is6);
		f = lb_rl_reply_search(c->t, s->vips[j], &server, client, k->cport, sport, k->proto, fib, is6);
		if (!f && lb_rl_main.whose) {
			u32 i = s->at[j];
			u32 owner = lb_rl_reply_elsewhere(c->t, s->vips[j], &server, client, k->cport, sport, k->proto, fib, is6);
			if (owner != ~0)
				lb_rl_return_elsewhere(c, i, from[i], owner, s->config[j]);
		}
		if (!f)
			return;
	}
	lb_rl_vip_t *v = &lb_rl_main.vip[f->key.vip];
	u32 slot = f->slot;
	u16 vport = clib_host_to_net_u16(f->key.vport);
	u32 len = is6 ? clib_net_to_host_u16(((ip6_header_t *)ip)->payload_length) + 40 :
			clib_net_to_host_u16(((ip4_header_t *)ip)->length);
	u32 off = (is6 ? 40 : 20) + (tcp ? 4 * (th->data_offset_and_reserved >> 4) : 8);

	lb_rl_account(c->t, f, tcp ? th : 0, b->current_length - (is6 ? 40 : 20), len, len > off);
	lb_rl_return_rewrite(ip, v, vport, tcp, is6);
	c->ours++;
	lb_rl_add_trace(c->vm, c->node, b,
			(lb_rl_trace_t){ .vip_id = v->id,
					 .slot = slot,
					 .error = LB_RL_ERROR_RETURNED,
					 .next = c->nexts[s->at[j]],
					 .from_server = 1 });
}

static_always_inline uword lb_rl_return_inline(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6,
					       bool owned)
{
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors;
	lb_rl_returns_t c;

	c.vm = vm;
	c.node = node;
	c.t = vec_elt_at_index(lb_rl_main.thread, vm->thread_index);
	/* The main thread beside workers has no flows of NAT. */
	c.may_move = !owned && (lb_rl_main.whose || vm->thread_index < lb_rl_main.first_worker);
	c.replies.n = c.away.n = c.ours = 0;
	vlib_get_buffers(vm, from, c.bufs, n);
	if (PREDICT_FALSE(!lb_rl_main.enabled)) {
		for (u32 i = 0; i < n; i++)
			vnet_feature_next_u16(&c.nexts[i], c.bufs[i]);
		vlib_buffer_enqueue_to_next(vm, node, from, c.nexts, n);
		return n;
	}
	for (u32 i = 0; i < n; i++) {
		if (i + 4 < n) {
			vlib_prefetch_buffer_header(c.bufs[i + 4], LOAD);
			clib_prefetch_store(c.bufs[i + 4]->data);
		}
		lb_rl_return_key(&c, i, from[i], is6);
	}
	mlb_flow_find_batch(c.t->flows, c.replies.key, c.replies.hash, c.replies.n, c.replies.flow);
	for (u32 j = 0; j < c.replies.n; j++)
		lb_rl_return_packet(&c, from, j, is6);
	vlib_node_increment_counter(vm, node->node_index, LB_RL_ERROR_RETURNED, c.ours);
	lb_rl_dispatch(vm, node, c.t, from, c.nexts, n, &c.away, lb_rl_main.fq_return[is6]);
	return n;
}

/* Those of `owned` are siblings: the next features' edges are the same in them. */
#define LB_RL_RETURN_NODE(var, node_name, six, owned, ...) \
	VLIB_NODE_FN(var)(vlib_main_t * vm, vlib_node_runtime_t * node, vlib_frame_t * frame) \
	{ \
		return lb_rl_return_inline(vm, node, frame, six, owned); \
	} \
	VLIB_REGISTER_NODE(var) = { .name = node_name, \
				    .vector_size = sizeof(u32), \
				    .format_trace = format_lb_rl_trace, \
				    .n_errors = LB_RL_N_ERROR, \
				    .error_counters = lb_rl_error_counters, \
				    __VA_ARGS__ }
LB_RL_RETURN_NODE(lb_rl_return4_node, "lb-rl-return4", false, false);
LB_RL_RETURN_NODE(lb_rl_return6_node, "lb-rl-return6", true, false);
LB_RL_RETURN_NODE(lb_rl_owned_return4_node, "lb-rl-owned-return4", false, true, .sibling_of = "lb-rl-return4");
LB_RL_RETURN_NODE(lb_rl_owned_return6_node, "lb-rl-owned-return6", true, true, .sibling_of = "lb-rl-return6");

VNET_FEATURE_INIT(lb_rl_return4_feature, static) = {
	.arc_name = "ip4-unicast",
	.node_name = "lb-rl-return4",
	.runs_after = VNET_FEATURES("ip4-sv-reassembly-feature"),
	.runs_before = VNET_FEATURES("ip4-lookup"),
};
VNET_FEATURE_INIT(lb_rl_return6_feature, static) = {
	.arc_name = "ip6-unicast",
	.node_name = "lb-rl-return6",
	.runs_after = VNET_FEATURES("ip6-sv-reassembly-feature"),
	.runs_before = VNET_FEATURES("ip6-lookup"),
};
