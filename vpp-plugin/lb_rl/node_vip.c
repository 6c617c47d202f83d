/* SPDX-License-Identifier: Apache-2.0 */
/* lb-rl-ip4, lb-rl-ip6: where the FIB sends a VIP's packets. lb-rl-owned4, lb-rl-owned6: the same for those that another worker
 * hands to the one that has their flow; they stay there. Siblings of the lookup nodes, so a next hop's edge is the same in
 * ours. A vector goes through in chunks of LB_RL_CHUNK packets, each in three passes: keys of its plain packets (all others are
 * done at once); a guess at each flow by its tag; then state, counters, rewrite and next hop. */
#include <lb_rl/fwd_l2dsr.h>
#include <lb_rl/fwd_l3dsr.h>
#include <lb_rl/fwd_nat.h>
#include <lb_rl/fwd_tunnel.h>
#include <lb_rl/mss.h>
#include <lb_rl/node.h>
#include <lb_rl/plain.h>
#include <lb_rl/quic.h>
#include <lb_rl/window.h>

/* What a vector keeps while its chunks are done one after the other. */
typedef struct {
	vlib_main_t *vm;
	vlib_node_runtime_t *node;
	lb_rl_thread_t *t;
	lb_rl_away_t away;
	u32 forwarded, now_ms;
	bool trace, handoff, owned;
} lb_rl_vector_t;

#define LB_RL_AHEAD 8 /* packets from asking for a buffer's header to reading it */

/* First pass: keys and hashes of plain packets, their buckets on the way; all else is done at once. bufs goes on for LB_RL_AHEAD.
 */
static_always_inline void lb_rl_keys(lb_rl_vector_t *c, lb_rl_batch_t *s, vlib_buffer_t **bufs, const u32 *from, u16 *nexts,
				     u32 n, bool is6)
{
	struct mlb_flow_table *flows = c->t->flows;
	u64 vip = 0, differ = 0;
	u32 k = 0;

	for (u32 i = 0; i < n; i++) {
		lb_rl_words_t w;
		void *ip = vlib_buffer_get_current(bufs[i]);
		vlib_prefetch_buffer_header(bufs[i + LB_RL_AHEAD], LOAD);
		clib_prefetch_store(vlib_buffer_get_current(bufs[i + LB_RL_AHEAD / 2]));
		if (PREDICT_FALSE(!(is6 ? lb_rl_plain6(bufs[i], ip, &w) : lb_rl_plain4(bufs[i], ip, &w)))) {
			lb_rl_one_slow(c->vm, c->node, c->t, bufs[i], from[i], is6, 0, c->owned, &nexts[i], &c->away);
			continue;
		}
		u64u *key = (u64u *)&s->key[k];
		key[0] = w.w[0];
		key[1] = w.w[1];
		key[2] = w.w[2];
		if (PREDICT_FALSE(c->handoff) && lb_rl_both_ways(&lb_rl_main.vip[(u16)(w.w[2] >> 32)])) {
			u32 owner = lb_rl_owner(&s->key[k]);
			if (owner != c->vm->thread_index) {
				lb_rl_hand_off(&c->away, from[i], owner, &nexts[i]);
				continue;
			}
		}
		differ |= k ? w.w[2] ^ vip : 0;
		vip = w.w[2];
		s->at[k] = i;
		s->ip[k] = ip;
		s->hash[k] = mlb_flow_hash_words(flows, w.w[0], w.w[1], w.w[2]);
		mlb_flow_prefetch(flows, s->hash[k]);
		k++;
	}
	s->n = k;
	s->one_vip = k && (u16)(differ >> 32) == 0;
}

/* A packet that does not go to its server. */
static_always_inline void lb_rl_not_sent(lb_rl_vector_t *c, u32 vip, u32 slot, vlib_buffer_t *b, u32 error, u16 next)
{
	lb_rl_count(c->vm, c->node, b, error, next);
	lb_rl_add_trace(c->vm, c->node, b, (lb_rl_trace_t){ .vip_id = vip, .slot = slot, .error = error, .next = next });
}

/* A packet without a counted flow of its own: new, half-open, ended, missed. False: it goes elsewhere than to a server: answered,
 * or to the worker that has its flow. */
static_always_inline bool lb_rl_uncounted(lb_rl_vector_t *c, lb_rl_vip_t *v, const struct mlb_flow_key *k, u64 hash, u8 flags,
					  vlib_buffer_t *b, bool is6, struct mlb_flow **f, u32 *slot, u32 *error, u16 *next)
{
	u32 named = MLB_NONE, head = is6 ? 48 : 28;

	if (PREDICT_FALSE(v->quic && k->proto == IP_PROTOCOL_UDP && b->current_length > head))
		named = lb_rl_quic_slot(v, (u8 *)vlib_buffer_get_current(b) + head, b->current_length - head);
	lb_rl_verdict_t r = lb_rl_life_miss(c->t, v, k, hash, flags, named, c->owned);

	*f = r.f;
	*slot = r.slot;
	*error = r.error;
	if (PREDICT_TRUE(r.slot != MLB_NONE)) {
		if (r.error != LB_RL_ERROR_FORWARDED)
			vlib_node_increment_counter(c->vm, c->node->node_index, r.error, 1);
		return true;
	}
	if (r.thread != ~0) {
		lb_rl_hand_off(&c->away, vlib_get_buffer_index(c->vm, b), r.thread, next);
		return false;
	}
	lb_rl_slow_t q = {};
	lb_rl_slow_refuse(c->t, b, is6, r.error, &q);
	*next = q.next;
	lb_rl_not_sent(c, k->vip, MLB_NONE, b, r.error, q.next);
	return false;
}

/* A VIP as the last pass has it in registers. */
typedef struct {
	lb_rl_vip_t *v;
	lb_rl_server_t *server;
	/* NULL once the VIP is removed: then it has no counted flow either, and no packet comes to count */
	struct mlb_wslots *slots;
	lb_rl_fwd_t fwd;
	bool both_ways;
} lb_rl_at_vip_t;

static_always_inline lb_rl_at_vip_t lb_rl_at_vip(lb_rl_thread_t *t, u16 id)
{
	lb_rl_vip_t *v = &lb_rl_main.vip[id];
	struct mlb_wvip *wv = lb_rl_wvip(t, id);
	return (lb_rl_at_vip_t){ v, v->server, PREDICT_TRUE(wv != 0) ? wv->slots : 0, v->fwd, lb_rl_both_ways(v) };
}

/* Whole plain packet into a tunnel to its server; the next node. */
static_always_inline u16 lb_rl_send_tunnel(lb_rl_vector_t *c, vlib_buffer_t *b, const lb_rl_vip_t *v, lb_rl_fwd_t fwd,
					   const lb_rl_server_t *srv, u32 len, u64 hash, bool is6, u32 *error)
{
	bool to6 = lb_rl_fwd_ops[fwd].outer == 6;
	u16 next;

	if (PREDICT_FALSE(!lb_rl_tunnel_plain(b, fwd, srv, len, hash, is6))) {
		struct mlb_pkt pkt = { .version = is6 ? 6 : 4, .total_len = len };
		u32 e = lb_rl_forward(b, &pkt, v, srv, hash, &next);
		if (PREDICT_FALSE(e != LB_RL_ERROR_FORWARDED)) {
			c->forwarded--;
			*error = e;
			b->error = c->node->errors[e];
		}
		return next;
	}
	if (PREDICT_FALSE(len > LB_RL_FITS) && lb_rl_cut_outer(b, v, srv, &next))
		return next;
	if (is6 != to6)
		return lb_rl_other_lookup(b, v, is6, to6);
	return lb_rl_next_hop(b, srv->lbi, vlib_buffer_get_current(b), is6);
}

/* Whole plain packet to its server; the next node. */
static_always_inline u16 lb_rl_send(lb_rl_vector_t *c, vlib_buffer_t *b, void *ip, const lb_rl_at_vip_t *at, u32 slot, u32 len,
				    u64 hash, bool tcp, bool is6, u32 *error)
{
	const lb_rl_server_t *srv = &at->server[slot];

	c->forwarded++;
	switch (at->fwd) {
#define X(n, word, file, ...) \
	case LB_RL_FWD_##n: lb_rl_##file##_plain(ip, at->v, srv, tcp, is6); break;
		LB_RL_PLAIN_FORWARDS(X)
#undef X
	default: return lb_rl_send_tunnel(c, b, at->v, at->fwd, srv, len, hash, is6, error);
	}
	return lb_rl_next_hop(b, srv->lbi, ip, is6);
}

/* Last pass: state, counters, rewrite, next hop. */
static_always_inline void lb_rl_packet(lb_rl_vector_t *c, const lb_rl_at_vip_t *at, const lb_rl_batch_t *s, u32 j,
				       vlib_buffer_t *b, u16 *next, bool is6)
{
	const struct mlb_flow_key *k = &s->key[j];
	u8 *ip = s->ip[j];
	bool tcp = k->proto == IP_PROTOCOL_TCP;
	tcp_header_t *th = (tcp_header_t *)(ip + (is6 ? 40 : 20));
	u8 flags = tcp ? th->flags & 0x1f : 0;
	u32 slot, error = LB_RL_ERROR_FORWARDED;
	u32 len = is6 ? clib_net_to_host_u16(((ip6_header_t *)ip)->payload_length) + 40 :
			clib_net_to_host_u16(((ip4_header_t *)ip)->length);
	struct mlb_flow *f = mlb_flow_confirm(c->t->flows, k, s->hash[j], s->guess[j]);

	if (PREDICT_FALSE(!f || (f->flags & (MLB_FLOW_COUNTED | LB_RL_FLOW_UNPROVEN)) != MLB_FLOW_COUNTED ||
			  at->server[f->slot].id != f->server_id)) {
		if (!lb_rl_uncounted(c, at->v, k, s->hash[j], flags, b, is6, &f, &slot, &error, next))
			return;
		if (PREDICT_FALSE(flags & MLB_TCP_F_SYN && at->v->mss))
			lb_rl_clamp_mss(th, b->current_length - (is6 ? 40 : 20), at->v->mss);
	} else {
		if (PREDICT_FALSE(tcp && ((flags & LB_RL_TCP_SPECIAL) || f->tcp != MLB_TCP_ESTABLISHED)))
			f = lb_rl_life_tcp(c->t, at->v, f, lb_rl_believed(f, th, true), true);
		f->last_ms = c->now_ms;
		slot = f->slot;
	}
	if (at->both_ways && f && tcp)
		lb_rl_heard(f, th, true);
	if (at->both_ways && f && !(f->flags & MLB_FLOW_WAITING)) {
		u32 off = (is6 ? 40 : 20) + (tcp ? 4 * (th->data_offset_and_reserved >> 4) : 8);
		if (len > off)
			lb_rl_life_payload(c->t, at->v, f, true);
	}
	if (PREDICT_FALSE(len > LB_RL_FITS)) {
		error = lb_rl_path_takes(b, len, at->v, &at->server[slot], next);
		if (PREDICT_FALSE(error != LB_RL_ERROR_FORWARDED)) {
			lb_rl_not_sent(c, k->vip, slot, b, error, *next);
			return;
		}
	}
	mlb_ev_bytes_at(at->slots, slot, true, 1, len);
	*next = lb_rl_send(c, b, ip, at, slot, len, s->hash[j], tcp, is6, &error);
	if (PREDICT_FALSE(c->trace))
		lb_rl_add_trace(c->vm, c->node, b,
				(lb_rl_trace_t){ .vip_id = k->vip, .slot = slot, .error = error, .next = *next });
}

/* A chunk whose packets are all of one VIP. fwd is a constant of the caller's, and so is what it asks of it. */
static_always_inline void lb_rl_chunk_of(lb_rl_vector_t *c, lb_rl_at_vip_t at, lb_rl_fwd_t fwd, const lb_rl_batch_t *s,
					 vlib_buffer_t **bufs, u16 *nexts, bool is6)
{
	at.fwd = fwd;
	at.both_ways = !lb_rl_fwd_ops[fwd].one_way;
	/* An outer header lies in the cache line in front of the packet's, which nobody has touched yet. */
	for (u32 j = 0; lb_rl_fwd_ops[fwd].outer && j < s->n; j++)
		clib_prefetch_store(s->ip[j] - lb_rl_fwd_ops[fwd].overhead);
	for (u32 j = 0; j < s->n; j++)
		lb_rl_packet(c, &at, s, j, bufs[s->at[j]], &nexts[s->at[j]], is6);
}

/* Most chunks hold packets of one VIP: what is the VIP's is looked up once then, and each way of forwarding has a loop of
 * its own. */
static_always_inline void lb_rl_chunk(lb_rl_vector_t *c, lb_rl_batch_t *s, vlib_buffer_t **bufs, u16 *nexts, bool is6)
{
	lb_rl_at_vip_t at = {};

	for (u32 j = 0; j < s->n; j++)
		s->guess[j] = mlb_flow_guess(c->t->flows, s->hash[j]);
	if (PREDICT_TRUE(s->one_vip)) {
		at = lb_rl_at_vip(c->t, s->key[0].vip);
		switch (at.fwd) {
#define X(n, ...) \
	case LB_RL_FWD_##n: lb_rl_chunk_of(c, at, LB_RL_FWD_##n, s, bufs, nexts, is6); return;
			LB_RL_FORWARDS(X)
#undef X
		default: break;
		}
	}
	for (u32 j = 0; j < s->n; j++) {
		if (!s->one_vip)
			at = lb_rl_at_vip(c->t, s->key[j].vip);
		lb_rl_packet(c, &at, s, j, bufs[s->at[j]], &nexts[s->at[j]], is6);
	}
}

static_always_inline uword lb_rl_vip_inline(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6, bool owned)
{
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors;
	vlib_buffer_t *bufs[VLIB_FRAME_SIZE + LB_RL_AHEAD];
	u16 nexts[VLIB_FRAME_SIZE];
	lb_rl_vector_t c;

	if (PREDICT_FALSE(!lb_rl_main.enabled)) {
		vlib_node_increment_counter(vm, node->node_index, LB_RL_ERROR_NOT_ENABLED, n);
		vlib_buffer_free(vm, from, n);
		return n;
	}
	vlib_get_buffers(vm, from, bufs, n);
	for (u32 i = 0; i < LB_RL_AHEAD; i++)
		bufs[n + i] = bufs[n - 1];
	c.vm = vm;
	c.node = node;
	c.t = vec_elt_at_index(lb_rl_main.thread, vm->thread_index);
	c.now_ms = c.t->now_ms;
	c.away.n = c.forwarded = 0;
	c.trace = node->flags & VLIB_NODE_FLAG_TRACE;
	c.handoff = lb_rl_main.n_workers > 1;
	c.owned = owned;

	for (u32 at = 0; at < n; at += LB_RL_CHUNK) {
		lb_rl_batch_t s;
		lb_rl_keys(&c, &s, bufs + at, from + at, nexts + at, clib_min(LB_RL_CHUNK, n - at), is6);
		lb_rl_chunk(&c, &s, bufs + at, nexts + at, is6);
	}

	vlib_node_increment_counter(vm, node->node_index, LB_RL_ERROR_FORWARDED, c.forwarded);
	lb_rl_dispatch(vm, node, c.t, from, nexts, n, &c.away, lb_rl_main.fq_vip[is6]);
	return n;
}

static uword lb_rl_vip4(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool owned)
{
	return lb_rl_vip_inline(vm, node, frame, false, owned);
}

static uword lb_rl_vip6(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool owned)
{
	return lb_rl_vip_inline(vm, node, frame, true, owned);
}

#define LB_RL_VIP_NODE(var, name, v, owned) \
	VLIB_NODE_FN(var)(vlib_main_t * vm, vlib_node_runtime_t * node, vlib_frame_t * frame) \
	{ \
		return lb_rl_vip##v(vm, node, frame, owned); \
	} \
	LB_RL_SIBLING_NODE(var, name, "ip" #v "-lookup")
LB_RL_VIP_NODE(lb_rl_ip4_node, "lb-rl-ip4", 4, false);
LB_RL_VIP_NODE(lb_rl_ip6_node, "lb-rl-ip6", 6, false);
LB_RL_VIP_NODE(lb_rl_owned4_node, "lb-rl-owned4", 4, true);
LB_RL_VIP_NODE(lb_rl_owned6_node, "lb-rl-owned6", 6, true);
