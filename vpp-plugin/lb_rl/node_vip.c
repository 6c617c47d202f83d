/* SPDX-License-Identifier: Apache-2.0 */
/* lb-rl-ip4, lb-rl-ip6: where the FIB sends a VIP's packets. Siblings of the lookup nodes, so a next hop's edge is the same in
 * ours. Three passes over a vector: keys of all plain packets; one batched lookup; state, counters, rewrite, next hop. */
#include <lb_rl/slow.h>
#include <lb_rl/path.h>
#include <vnet/feature/feature.h>

/* Packets that go through the passes together: their buffers, headers, buckets and flows fit the first-level cache side by side. */
#define LBRL_CHUNK 16

typedef struct {
	struct mlb_flow_key key[LBRL_CHUNK];
	u64 hash[LBRL_CHUNK];
	struct mlb_flow *flow[LBRL_CHUNK];
	u8 *ip[LBRL_CHUNK];
	u16 at[LBRL_CHUNK]; /* place in the chunk */
	u32 n;
} lbrl_batch_t;

static_always_inline bool lbrl_plain4(vlib_buffer_t *b, lbrl_batch_t *s, u32 i)
{
	ip4_header_t *ip = vlib_buffer_get_current(b);
	u32 len = clib_net_to_host_u16(ip->length);
	u8 proto = ip->protocol;
	udp_header_t *udp = (udp_header_t *) (ip + 1);

	if (PREDICT_FALSE(ip->ip_version_and_header_length != 0x45 || (ip->flags_and_fragment_offset & clib_host_to_net_u16(0x3fff))))
		return false;
	if (proto == IP_PROTOCOL_TCP) {
		u32 off = 4 * (((tcp_header_t *) udp)->data_offset_and_reserved >> 4);
		if (PREDICT_FALSE(off < 20 || len < 20 + off || b->current_length < 40))
			return false;
	} else if (proto == IP_PROTOCOL_UDP) {
		u32 l = clib_net_to_host_u16(udp->length);
		if (PREDICT_FALSE(b->current_length < 28 || l < 8 || l + 20 > len))
			return false;
	} else
		return false;
	const lbrl_prefix_t *p = &lbrl_main.prefix[vnet_buffer(b)->ip.adj_index[VLIB_TX]];
	u16 vport = clib_net_to_host_u16(udp->dst_port);
	u16 id = lbrl_vip_of_port(p, proto == IP_PROTOCOL_UDP, vport);
	if (PREDICT_FALSE(!id))
		return false;
	lbrl_key4(&s->key[s->n], ip->src_address.as_u32, ip->dst_address.as_u32 & lbrl_main.vip[id].host_mask4,
		  clib_net_to_host_u16(udp->src_port), vport, id, proto);
	s->at[s->n] = i;
	s->ip[s->n] = (u8 *) ip;
	return true;
}

static_always_inline bool lbrl_plain6(vlib_buffer_t *b, lbrl_batch_t *s, u32 i)
{
	ip6_header_t *ip = vlib_buffer_get_current(b);
	u32 len = clib_net_to_host_u16(ip->payload_length);
	u8 proto = ip->protocol;
	udp_header_t *udp = (udp_header_t *) (ip + 1);

	if (proto == IP_PROTOCOL_TCP) {
		u32 off = 4 * (((tcp_header_t *) udp)->data_offset_and_reserved >> 4);
		if (PREDICT_FALSE(off < 20 || len < off || b->current_length < 60))
			return false;
	} else if (proto == IP_PROTOCOL_UDP) {
		u32 l = clib_net_to_host_u16(udp->length);
		if (PREDICT_FALSE(b->current_length < 48 || l < 8 || l > len || !udp->checksum))
			return false;
	} else
		return false;
	const lbrl_prefix_t *p = &lbrl_main.prefix[vnet_buffer(b)->ip.adj_index[VLIB_TX]];
	u16 vport = clib_net_to_host_u16(udp->dst_port);
	u16 id = lbrl_vip_of_port(p, proto == IP_PROTOCOL_UDP, vport);
	if (PREDICT_FALSE(!id))
		return false;
	lbrl_key6(&s->key[s->n], &ip->src_address, clib_net_to_host_u16(udp->src_port), vport, id, proto);
	s->at[s->n] = i;
	s->ip[s->n] = (u8 *) ip;
	return true;
}

/* Whole plain packet to its server; the next node. */
static_always_inline u16 lbrl_send(vlib_buffer_t *b, void *ip, const lbrl_vip_t *v, const lbrl_server_t *srv, bool tcp, bool is6,
				   u32 *error)
{

	if (PREDICT_TRUE(v->fwd <= LBRL_FWD_NAT)) {
		if (is6)
			lbrl_rewrite6(ip, v, srv, tcp);
		else
			lbrl_rewrite4(ip, v, srv, tcp);
	} else if (v->fwd != LBRL_FWD_L2DSR) {
		struct mlb_pkt pkt;
		lbrl_slow_t r;
		u32 len = is6 ? clib_net_to_host_u16(((ip6_header_t *) ip)->payload_length) + 40
			      : clib_net_to_host_u16(((ip4_header_t *) ip)->length);
		pkt.version = is6 ? 6 : 4;
		pkt.total_len = len;
		if (!lbrl_slow_forward(b, &pkt, v, srv, &r)) {
			*error = LBRL_ERROR_NO_ROOM;
			return IP_LOOKUP_NEXT_DROP;
		}
		return r.next;
	}
	return lbrl_next_hop(b, srv->lbi, ip, is6);
}

static_always_inline void lbrl_add_trace(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_buffer_t *b, u32 vip, u32 slot, u32 error,
					 u16 next)
{
	if (PREDICT_FALSE((node->flags & VLIB_NODE_FLAG_TRACE) && (b->flags & VLIB_BUFFER_IS_TRACED))) {
		lbrl_trace_t *tr = vlib_add_trace(vm, node, b, sizeof(*tr));
		*tr = (lbrl_trace_t){.vip_id = vip, .slot = slot, .error = error, .next = next};
	}
}

typedef struct {
	u32 bi[VLIB_FRAME_SIZE];
	u16 thread[VLIB_FRAME_SIZE];
	u32 n;
} lbrl_away_t;

/* The drop node counts what it drops by b->error. */
static_always_inline void lbrl_count(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_buffer_t *b, u32 error, u16 next)
{
	if (next == IP_LOOKUP_NEXT_DROP)
		b->error = node->errors[error];
	else
		vlib_node_increment_counter(vm, node->node_index, error, 1);
}

/* One unusual packet. False: it leaves this vector (to another thread, to reassembly). */
static_always_inline bool lbrl_one_slow(vlib_main_t *vm, vlib_node_runtime_t *node, lbrl_thread_t *t, vlib_buffer_t *b, u32 bi, bool is6,
					const u16 *ports, u16 *next, lbrl_away_t *away, lbrl_away_t *frag)
{
	lbrl_slow_t r = lbrl_slow_vip(t, b, is6, ports);

	if (r.thread != ~0) {
		away->bi[away->n] = bi;
		away->thread[away->n++] = r.thread;
		return false;
	}
	*next = r.next;
	lbrl_add_trace(vm, node, b, r.vip_id, r.slot, r.error, r.next);
	lbrl_count(vm, node, b, r.error, r.next);
	if (r.error == LBRL_ERROR_REASS) {
		if (is6) {
			u32 n;
			vnet_feature_arc_start(lbrl_main.frag6_arc, 0, &n, b);
			*next = n;
			return true;
		}
		frag->bi[frag->n++] = bi;
		return false;
	}
	return true;
}

static_always_inline void lbrl_leave(vlib_main_t *vm, vlib_node_runtime_t *node, lbrl_thread_t *t, lbrl_away_t *away, lbrl_away_t *frag,
				     bool is6)
{
	if (PREDICT_FALSE(away->n)) {
		u32 sent = vlib_buffer_enqueue_to_thread(vm, node, lbrl_main.fq_vip[is6], away->bi, away->thread, away->n, 1);
		if (sent < away->n) {
			vlib_node_increment_counter(vm, node->node_index, LBRL_ERROR_CONGESTION, away->n - sent);
			t->handoff_drops += away->n - sent;
		}
	}
	if (PREDICT_FALSE(frag->n)) {
		u32 context[VLIB_FRAME_SIZE] = {};
		vlib_buffer_enqueue_to_single_next_with_aux(vm, node, frag->bi, context, lbrl_main.edge_reass4, frag->n);
	}
}

/* What a vector keeps while its chunks are done one after the other. */
typedef struct {
	vlib_main_t *vm;
	vlib_node_runtime_t *node;
	lbrl_thread_t *t;
	lbrl_away_t away, frag;
	u32 forwarded;
	bool trace;
} lbrl_vector_t;

/* First pass: keys and hashes of plain packets, their buckets on the way; all else is done at once. */
static_always_inline void lbrl_keys(lbrl_vector_t *c, lbrl_batch_t *s, vlib_buffer_t **bufs, const u32 *from, u16 *nexts, u32 n, u32 ahead,
				    bool is6)
{
	bool handoff = lbrl_main.n_workers > 1;

	for (u32 i = 0; i < n; i++) {
		if (i + 8 < ahead)
			vlib_prefetch_buffer_header(bufs[i + 8], LOAD);
		if (i + 4 < ahead)
			clib_prefetch_store(vlib_buffer_get_current(bufs[i + 4]));
		if (PREDICT_FALSE(!(is6 ? lbrl_plain6(bufs[i], s, i) : lbrl_plain4(bufs[i], s, i)))) {
			vnet_buffer2(bufs[i])->unused[0] = 0;
			if (!lbrl_one_slow(c->vm, c->node, c->t, bufs[i], from[i], is6, 0, &nexts[i], &c->away, &c->frag))
				nexts[i] = (u16) ~0;
			continue;
		}
		struct mlb_flow_key *k = &s->key[s->n];
		if (PREDICT_FALSE(handoff) && lbrl_main.vip[k->vip].fwd == LBRL_FWD_NAT) {
			u32 owner = lbrl_owner(k);
			if (owner != c->vm->thread_index) {
				c->away.bi[c->away.n] = from[i];
				c->away.thread[c->away.n++] = owner;
				nexts[i] = (u16) ~0;
				continue;
			}
		}
		s->hash[s->n] = mlb_flow_hash(c->t->flows, k);
		mlb_flow_prefetch(c->t->flows, s->hash[s->n]);
		s->n++;
	}
}

/* A packet without a counted flow of its own: new, half-open, ended, missed. False: no server, it was answered. */
static_always_inline bool lbrl_uncounted(lbrl_vector_t *c, lbrl_vip_t *v, const struct mlb_flow_key *k, u64 hash, u8 flags,
					 vlib_buffer_t *b, bool is6, struct mlb_flow **f, u32 *slot, u32 *error, u16 *next)
{
	lbrl_verdict_t r = lbrl_life_miss(c->t, v, k, hash, flags);

	*f = r.f;
	*slot = r.slot;
	*error = r.error;
	if (PREDICT_TRUE(r.slot != MLB_NONE)) {
		if (r.error != LBRL_ERROR_FORWARDED)
			vlib_node_increment_counter(c->vm, c->node->node_index, r.error, 1);
		return true;
	}
	lbrl_slow_t q = {};
	lbrl_slow_refuse(b, is6, r.error, &q);
	lbrl_count(c->vm, c->node, b, r.error, q.next);
	*next = q.next;
	lbrl_add_trace(c->vm, c->node, b, k->vip, MLB_NONE, r.error, q.next);
	return false;
}

/* Last pass: state, counters, rewrite, next hop. */
static_always_inline void lbrl_packet(lbrl_vector_t *c, const struct mlb_flow_key *k, u64 hash, struct mlb_flow *f, vlib_buffer_t *b,
				      u8 *ip, u16 *next, bool is6)
{
	lbrl_vip_t *v = &lbrl_main.vip[k->vip];
	bool tcp = k->proto == IP_PROTOCOL_TCP;
	tcp_header_t *th = (tcp_header_t *) (ip + (is6 ? 40 : 20));
	u8 flags = tcp ? th->flags & 0x1f : 0;
	u32 slot, error = LBRL_ERROR_FORWARDED;
	u32 len = is6 ? clib_net_to_host_u16(((ip6_header_t *) ip)->payload_length) + 40
		      : clib_net_to_host_u16(((ip4_header_t *) ip)->length);

	if (PREDICT_FALSE(!f || !lbrl_flow_valid(v, f) || !(f->flags & MLB_FLOW_COUNTED))) {
		if (!lbrl_uncounted(c, v, k, hash, flags, b, is6, &f, &slot, &error, next))
			return;
	} else {
		if (PREDICT_FALSE(tcp && ((flags & LBRL_TCP_SPECIAL) || f->tcp != MLB_TCP_ESTABLISHED)))
			f = lbrl_life_tcp(c->t, v, f, flags, true);
		f->last_ms = c->t->now_ms;
		slot = f->slot;
	}
	if (v->fwd == LBRL_FWD_NAT && f && !(f->flags & MLB_FLOW_WAITING)) {
		u32 off = (is6 ? 40 : 20) + (tcp ? 4 * (th->data_offset_and_reserved >> 4) : 8);
		if (len > off)
			lbrl_life_payload(c->t, v, f, true);
	}
	struct mlb_wslot *ws = &lbrl_wvip(c->t, k->vip)->slot[slot];
	MLB_ADD(ws->packets_in, 1);
	MLB_ADD(ws->bytes_in, len);
	*next = lbrl_send(b, ip, v, &v->server[slot], tcp, is6, &error);
	c->forwarded += error != LBRL_ERROR_NO_ROOM;
	if (PREDICT_FALSE(error == LBRL_ERROR_NO_ROOM))
		b->error = c->node->errors[error];
	if (PREDICT_FALSE(c->trace))
		lbrl_add_trace(c->vm, c->node, b, k->vip, slot, error, *next);
}

static_always_inline uword lbrl_vip_inline(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6)
{
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors, stay[VLIB_FRAME_SIZE], n_stay = 0;
	vlib_buffer_t *bufs[VLIB_FRAME_SIZE];
	u16 nexts[VLIB_FRAME_SIZE];
	lbrl_vector_t c;

	if (PREDICT_FALSE(!lbrl_main.enabled)) {
		vlib_node_increment_counter(vm, node->node_index, LBRL_ERROR_NOT_ENABLED, n);
		vlib_buffer_free(vm, from, n);
		return n;
	}
	vlib_get_buffers(vm, from, bufs, n);
	c.vm = vm;
	c.node = node;
	c.t = vec_elt_at_index(lbrl_main.thread, vm->thread_index);
	c.away.n = c.frag.n = c.forwarded = 0;
	c.trace = node->flags & VLIB_NODE_FLAG_TRACE;

	for (u32 at = 0; at < n; at += LBRL_CHUNK) {
		u32 m = clib_min(LBRL_CHUNK, n - at);
		lbrl_batch_t s;
		s.n = 0;
		lbrl_keys(&c, &s, bufs + at, from + at, nexts + at, m, n - at, is6);
		mlb_flow_find_prefetched(c.t->flows, s.key, s.hash, s.n, s.flow);
		for (u32 j = 0; j < s.n; j++)
			lbrl_packet(&c, &s.key[j], s.hash[j], s.flow[j], bufs[at + s.at[j]], s.ip[j], &nexts[at + s.at[j]], is6);
	}

	vlib_node_increment_counter(vm, node->node_index, LBRL_ERROR_FORWARDED, c.forwarded);
	if (PREDICT_TRUE(c.away.n + c.frag.n == 0)) {
		vlib_buffer_enqueue_to_next(vm, node, from, nexts, n);
		return n;
	}
	for (u32 i = 0; i < n; i++)
		if (nexts[i] != (u16) ~0) {
			nexts[n_stay] = nexts[i];
			stay[n_stay++] = from[i];
		}
	if (n_stay)
		vlib_buffer_enqueue_to_next(vm, node, stay, nexts, n_stay);
	lbrl_leave(vm, node, c.t, &c.away, &c.frag, is6);
	return n;
}

VLIB_NODE_FN(lbrl_ip4_node)(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lbrl_vip_inline(vm, node, frame, false);
}

VLIB_NODE_FN(lbrl_ip6_node)(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lbrl_vip_inline(vm, node, frame, true);
}

/* Fragments come back from shallow reassembly with the ports of their first one. */
static_always_inline uword lbrl_reass_inline(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6)
{
	lbrl_thread_t *t = vec_elt_at_index(lbrl_main.thread, vm->thread_index);
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors, stay[VLIB_FRAME_SIZE], n_stay = 0;
	u16 nexts[VLIB_FRAME_SIZE];
	lbrl_away_t away, frag;

	if (PREDICT_FALSE(!lbrl_main.enabled)) {
		vlib_buffer_free(vm, from, n);
		return n;
	}
	away.n = frag.n = 0;
	for (u32 i = 0; i < n; i++) {
		vlib_buffer_t *b = vlib_get_buffer(vm, from[i]);
		u16 ports[2] = {clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_src_port),
				clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_dst_port)};
		if (lbrl_one_slow(vm, node, t, b, from[i], is6, ports, &nexts[n_stay], &away, &frag))
			stay[n_stay++] = from[i];
	}
	if (n_stay)
		vlib_buffer_enqueue_to_next(vm, node, stay, nexts, n_stay);
	if (away.n) {
		/* The owner's table decides; the ports travel with the buffer. */
		u32 sent = vlib_buffer_enqueue_to_thread(vm, node, lbrl_main.fq_reass[is6], away.bi, away.thread, away.n, 1);
		vlib_node_increment_counter(vm, node->node_index, LBRL_ERROR_CONGESTION, away.n - sent);
	}
	return n;
}

VLIB_NODE_FN(lbrl_reass4_node)(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lbrl_reass_inline(vm, node, frame, false);
}

VLIB_NODE_FN(lbrl_reass6_node)(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lbrl_reass_inline(vm, node, frame, true);
}

#define LBRL_NODE(var, nm, sibling)                                                                                                \
	VLIB_REGISTER_NODE(var) = {                                                                                                \
		.name = nm,                                                                                                        \
		.sibling_of = sibling,                                                                                             \
		.vector_size = sizeof(u32),                                                                                        \
		.format_trace = format_lbrl_trace,                                                                                 \
		.n_errors = LBRL_N_ERROR,                                                                                          \
		.error_counters = lbrl_error_counters,                                                                             \
	}
LBRL_NODE(lbrl_ip4_node, "lb-rl-ip4", "ip4-lookup");
LBRL_NODE(lbrl_ip6_node, "lb-rl-ip6", "ip6-lookup");
LBRL_NODE(lbrl_reass4_node, "lb-rl-reass4", "ip4-lookup");
LBRL_NODE(lbrl_reass6_node, "lb-rl-reass6", "ip6-lookup");

#ifndef CLIB_MARCH_VARIANT
/* IPv6 fragments take a feature arc of our own through shallow reassembly, enabled on one interface number that stands for all: the
 * node that serves plugins in IPv4 overwrites in IPv6 (26.06) the next index that it is to go on by, and crashes. */
VNET_FEATURE_ARC_INIT(lbrl_frag6, static) = {
	.arc_name = "lb-rl-frag6",
	.start_nodes = VNET_FEATURES("lb-rl-ip6"),
	.last_in_arc = "lb-rl-reass6",
	.arc_index_ptr = &lbrl_main.frag6_arc,
};
VNET_FEATURE_INIT(lbrl_frag6_reass, static) = {
	.arc_name = "lb-rl-frag6",
	.node_name = "ip6-sv-reassembly-feature",
	.runs_before = VNET_FEATURES("lb-rl-reass6"),
};
VNET_FEATURE_INIT(lbrl_frag6_back, static) = {
	.arc_name = "lb-rl-frag6",
	.node_name = "lb-rl-reass6",
};
#endif
