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
	bool trace, owned;
} lb_rl_vector_t;

#define LB_RL_AHEAD 8 /* packets from asking for a buffer's header to reading it */

/* What a guess is where there is none: no packet's flow. */
static const struct mlb_flow lb_rl_no_flow;

/* A packet that is not plain. */
static never_inline void lb_rl_not_plain(lb_rl_vector_t *c, vlib_buffer_t *b, bool is6, u16 *nexts, u32 i)
{
	lb_rl_one_slow(c->vm, c->node, c->t, b, vlib_get_buffer_index(c->vm, b), is6, 0, c->owned, nexts + i, &c->away);
}

/* First pass: keys and hashes of plain packets, their buckets on the way; all else is done at once. bufs goes on for LB_RL_AHEAD.
 */
static_always_inline void lb_rl_keys(lb_rl_vector_t *c, lb_rl_batch_t *s, vlib_buffer_t **bufs, const lb_rl_prefix_t *prefix,
				     u16 *nexts, u32 n, bool is6)
{
	struct mlb_flow_table *flows = c->t->flows;
	lb_rl_job_t *job = s->job;

	for (u32 i = 0; i < n; i++) {
		lb_rl_words_t w;
		vlib_buffer_t *b = bufs[i];
		vlib_prefetch_buffer_header(bufs[i + LB_RL_AHEAD], LOAD);
		clib_prefetch_store(vlib_buffer_get_current(bufs[i + LB_RL_AHEAD / 2]));
		void *ip = vlib_buffer_get_current(b);
		if (PREDICT_FALSE(!(is6 ? lb_rl_plain6(prefix, b, ip, &w) : lb_rl_plain4(prefix, b, ip, &w)))) {
			lb_rl_not_plain(c, b, is6, nexts, i);
			continue;
		}
		job->want.w[0] = w.w[0];
		job->want.w[1] = w.w[1];
		job->want.w[2] = w.w[2];
		job->hash = mlb_flow_hash_words(flows, w.w[0], w.w[1], w.w[2]);
		job->bucket = mlb_flow_prefetch(flows, job->hash);
		job->b = b;
		job->at = i;
		job++;
	}
	s->n = job - s->job;
}

/* The first pass and the last are functions of their own, so that each has the registers to itself. In the first the compiler
 * would gather what it stores of a packet in vector registers, which takes longer than storing it. */
#ifdef __clang__
#define LB_RL_SCALAR
#else
#define LB_RL_SCALAR __attribute__((optimize("no-tree-slp-vectorize")))
#endif

static never_inline LB_RL_SCALAR void lb_rl_keys4(lb_rl_vector_t *c, lb_rl_batch_t *s, vlib_buffer_t **bufs,
						  const lb_rl_prefix_t *prefix, u16 *nexts, u32 n)
{
	lb_rl_keys(c, s, bufs, prefix, nexts, n, false);
}
static never_inline LB_RL_SCALAR void lb_rl_keys6(lb_rl_vector_t *c, lb_rl_batch_t *s, vlib_buffer_t **bufs,
						  const lb_rl_prefix_t *prefix, u16 *nexts, u32 n)
{
	lb_rl_keys(c, s, bufs, prefix, nexts, n, true);
}

/* A packet that does not go to its server. */
static never_inline void lb_rl_not_sent(lb_rl_vector_t *c, u32 vip, u32 slot, vlib_buffer_t *b, u32 error, u16 next)
{
	c->forwarded--;
	lb_rl_count(c->vm, c->node, b, error, next);
	lb_rl_add_trace(c->vm, c->node, b, (lb_rl_trace_t){ .vip_id = vip, .slot = slot, .error = error, .next = next });
}

/* A packet without a counted flow of its own: new, half-open, ended, missed. False: it goes elsewhere than to a server: answered,
 * or to the worker that has its flow. */
static never_inline bool lb_rl_uncounted(lb_rl_vector_t *c, lb_rl_vip_t *v, const struct mlb_flow_key *k, u64 hash, u8 flags,
					 vlib_buffer_t *b, bool is6, lb_rl_verdict_t *r, u16 *next)
{
	u32 named = MLB_NONE, head = is6 ? 48 : 28;

	if (PREDICT_FALSE(v->quic && k->proto == IP_PROTOCOL_UDP && b->current_length > head))
		named = lb_rl_quic_slot(v, (u8 *)vlib_buffer_get_current(b) + head, b->current_length - head);
	*r = lb_rl_life_miss(c->t, v, k, hash, flags, named, c->owned);
	if (PREDICT_TRUE(r->slot != MLB_NONE)) {
		if (r->error != LB_RL_ERROR_FORWARDED)
			vlib_node_increment_counter(c->vm, c->node->node_index, r->error, 1);
		return true;
	}
	if (r->thread != ~0) {
		c->forwarded--;
		lb_rl_hand_off(&c->away, vlib_get_buffer_index(c->vm, b), r->thread, next);
		return false;
	}
	lb_rl_slow_t q = {};
	lb_rl_slow_refuse(c->t, b, is6, r->error, &q);
	*next = q.next;
	lb_rl_not_sent(c, k->vip, MLB_NONE, b, r->error, q.next);
	return false;
}

/* A VIP as the last pass has it in registers. */
typedef struct {
	lb_rl_vip_t *v;
	lb_rl_server_t *server;
	u16 id;
	/* NULL once the VIP is removed: then it has no counted flow either, and no packet comes to count */
	struct mlb_wslots *slots;
	const load_balance_t *lbs; /* all of VPP's, which move while the workers stand still only */
} lb_rl_at_vip_t;

static_always_inline lb_rl_at_vip_t lb_rl_at_vip(lb_rl_thread_t *t, u16 id)
{
	lb_rl_vip_t *v = &lb_rl_main.vip[id];
	struct mlb_wvip *wv = lb_rl_wvip(t, id);
	return (lb_rl_at_vip_t){ v, v->server, id, PREDICT_TRUE(wv != 0) ? wv->slots : 0, load_balance_pool };
}

/* Into a tunnel, a packet that is not for the fast path; the next node. */
static never_inline u16 lb_rl_send_any(lb_rl_vector_t *c, vlib_buffer_t *b, const lb_rl_vip_t *v, const lb_rl_server_t *srv,
				       u32 len, u64 hash, u32 *error)
{
	struct mlb_pkt pkt = { .version = v->is_ip6 ? 6 : 4, .total_len = len };
	u16 next;
	u32 e = lb_rl_forward(b, &pkt, v, srv, hash, &next);

	if (PREDICT_FALSE(e != LB_RL_ERROR_FORWARDED)) {
		c->forwarded--;
		*error = e;
		b->error = c->node->errors[e];
	}
	return next;
}

/* Whole plain packet into a tunnel to its server; the next node. */
static_always_inline u16 lb_rl_send_tunnel(lb_rl_vector_t *c, vlib_buffer_t *b, const lb_rl_at_vip_t *at, lb_rl_fwd_t fwd,
					   const lb_rl_server_t *srv, u32 len, u64 hash, bool is6, u32 *error)
{
	const lb_rl_fwd_ops_t *f = &lb_rl_fwd_ops[fwd];
	bool to6 = f->outer == 6, fits = len <= LB_RL_FITS;
	u16 next;

	if (PREDICT_FALSE((!fits && len + f->overhead > UINT16_MAX) || !lb_rl_tunnel_plain(b, fwd, srv, len, hash, is6)))
		return lb_rl_send_any(c, b, at->v, srv, len, hash, error);
	if (PREDICT_FALSE(!fits) && lb_rl_cut_outer(b, at->v, srv, &next))
		return next;
	if (is6 != to6)
		return lb_rl_other_lookup(b, at->v, is6, to6);
	return lb_rl_next_hop(b, &at->lbs[srv->lbi], vlib_buffer_get_current(b), is6);
}

/* Whole plain packet to its server; the next node. */
static_always_inline u16 lb_rl_send(lb_rl_vector_t *c, vlib_buffer_t *b, void *ip, const lb_rl_at_vip_t *at, lb_rl_fwd_t fwd,
				    const lb_rl_server_t *srv, u32 len, u64 hash, bool tcp, bool is6, u32 *error)
{
	switch (fwd) {
#define X(n, word, file, ...) \
	case LB_RL_FWD_##n: lb_rl_##file##_plain(ip, at->v, srv, tcp, is6); break;
		LB_RL_PLAIN_FORWARDS(X)
#undef X
	default: return lb_rl_send_tunnel(c, b, at, fwd, srv, len, hash, is6, error);
	}
	return lb_rl_next_hop(b, &at->lbs[srv->lbi], ip, is6);
}

/* What both sides say is seen: acknowledgements, and who spoke last. */
static_always_inline void lb_rl_seen(lb_rl_vector_t *c, lb_rl_vip_t *v, struct mlb_flow *f, const tcp_header_t *th, bool tcp,
				     u32 len, bool is6)
{
	if (tcp)
		lb_rl_heard(f, th, true);
	u32 off = (is6 ? 40 : 20) + (tcp ? 4 * (th->data_offset_and_reserved >> 4) : 8);
	if (!(f->flags & MLB_FLOW_WAITING) && len > off)
		lb_rl_life_payload(c->t, v, f, true);
}

/* May the packet go where its flow went, without a look at the flow's state? */
static_always_inline bool lb_rl_goes_on(const lb_rl_at_vip_t *at, const struct mlb_flow *f, const lb_rl_head_t *want)
{
	return lb_rl_is_plain_flow(f, want) && at->server[f->slot].id == f->server_id;
}

static_always_inline u32 lb_rl_length(const void *ip, bool is6)
{
	return is6 ? clib_net_to_host_u16(((const ip6_header_t *)ip)->payload_length) + 40u :
		     clib_net_to_host_u16(((const ip4_header_t *)ip)->length);
}

/* A packet of the last pass, whatever its flow and its VIP: state, counters, rewrite, next hop. */
static never_inline void lb_rl_any_packet(lb_rl_vector_t *c, const lb_rl_job_t *job, u16 *next, bool is6)
{
	const lb_rl_head_t *want = &job->want;
	lb_rl_at_vip_t at = lb_rl_at_vip(c->t, want->key.vip);
	vlib_buffer_t *b = job->b;
	u8 *ip = vlib_buffer_get_current(b);
	bool tcp = want->key.proto == IP_PROTOCOL_TCP;
	tcp_header_t *th = (tcp_header_t *)(ip + (is6 ? 40 : 20));
	u32 slot, error = LB_RL_ERROR_FORWARDED, len = lb_rl_length(ip, is6);
	struct mlb_flow *f = job->guess;

	if (!lb_rl_goes_on(&at, f, want))
		f = mlb_flow_find(c->t->flows, &want->key, job->hash);
	if (f && lb_rl_goes_on(&at, f, want)) {
		if (tcp && ((th->flags & LB_RL_TCP_SPECIAL) || f->tcp != MLB_TCP_ESTABLISHED))
			f = lb_rl_life_tcp(c->t, at.v, f, lb_rl_believed(f, th, true), true);
		f->last_ms = c->now_ms;
		slot = f->slot;
	} else {
		lb_rl_verdict_t r;
		u8 flags = tcp ? th->flags & 0x1f : 0;
		if (!lb_rl_uncounted(c, at.v, &want->key, job->hash, flags, b, is6, &r, next))
			return;
		f = r.f;
		slot = r.slot;
		error = r.error;
		if (flags & MLB_TCP_F_SYN && at.v->mss)
			lb_rl_clamp_mss(th, b->current_length - (is6 ? 40 : 20), at.v->mss);
	}
	if (f && lb_rl_both_ways(at.v))
		lb_rl_seen(c, at.v, f, th, tcp, len, is6);
	if (len > LB_RL_FITS) {
		u32 takes = lb_rl_path_takes(b, len, at.v, &at.server[slot], next);
		if (PREDICT_FALSE(takes != LB_RL_ERROR_FORWARDED)) {
			lb_rl_not_sent(c, want->key.vip, slot, b, takes, *next);
			return;
		}
	}
	mlb_ev_bytes_at(at.slots, slot, true, 1, len);
	*next = lb_rl_send(c, b, ip, &at, at.v->fwd, &at.server[slot], len, job->hash, tcp, is6, &error);
	lb_rl_add_trace(c->vm, c->node, b,
			(lb_rl_trace_t){ .vip_id = want->key.vip, .slot = slot, .error = error, .next = *next });
}

/* A short packet of a flow that goes on, without a word about its state. fwd is a constant of the caller's, and so is what it
 * asks of it. False: it is another one, and nothing was done. */
static_always_inline bool lb_rl_usual_packet(lb_rl_vector_t *c, const lb_rl_at_vip_t *at, const lb_rl_job_t *job, u16 *nexts,
					     lb_rl_fwd_t fwd, bool is6)
{
	const lb_rl_head_t *want = &job->want;
	struct mlb_flow *f = job->guess;
	vlib_buffer_t *b = job->b;
	u8 *ip = vlib_buffer_get_current(b);
	bool tcp = want->key.proto == IP_PROTOCOL_TCP, both_ways = !lb_rl_fwd_ops[fwd].one_way;
	tcp_header_t *th = (tcp_header_t *)(ip + (is6 ? 40 : 20));
	u32 len = lb_rl_length(ip, is6), error;

	if (PREDICT_FALSE(want->key.vip != at->id || !lb_rl_goes_on(at, f, want) || len > LB_RL_FITS))
		return false;
	if (tcp && PREDICT_FALSE((th->flags & LB_RL_TCP_SPECIAL) || f->tcp != MLB_TCP_ESTABLISHED))
		return false;
	const lb_rl_server_t *srv = &at->server[f->slot];
	f->last_ms = c->now_ms;
	mlb_ev_bytes_at(at->slots, f->slot, true, 1, len);
	if (both_ways)
		lb_rl_seen(c, at->v, f, th, tcp, len, is6);
	nexts[job->at] = lb_rl_send(c, b, ip, at, fwd, srv, len, job->hash, tcp, is6, &error);
	return true;
}

/* Last pass of a chunk, for the VIP of its first packet; others' packets go the general way. */
static_always_inline void lb_rl_chunk_of(lb_rl_vector_t *c, const lb_rl_batch_t *s, u16 *nexts, lb_rl_fwd_t fwd, bool is6)
{
	const lb_rl_at_vip_t at = lb_rl_at_vip(c->t, s->job[0].want.key.vip);
	const lb_rl_job_t *end = s->job + s->n;

	/* An outer header lies in the cache line in front of the packet's, which nobody has touched yet. */
	for (const lb_rl_job_t *job = s->job; lb_rl_fwd_ops[fwd].outer && job < end; job++)
		clib_prefetch_store((u8 *)vlib_buffer_get_current(job->b) - lb_rl_fwd_ops[fwd].overhead);
	for (const lb_rl_job_t *job = s->job; job < end; job++)
		if (PREDICT_FALSE(!lb_rl_usual_packet(c, &at, job, nexts, fwd, is6)))
			lb_rl_any_packet(c, job, &nexts[job->at], is6);
}

/* Most chunks hold packets of one VIP: what is the VIP's is looked up once, and each way of forwarding has a loop of its
 * own. */
typedef void lb_rl_chunk_fn_t(lb_rl_vector_t *c, const lb_rl_batch_t *s, u16 *nexts);
#define X(n, ...) \
	static never_inline void lb_rl_chunk4_##n(lb_rl_vector_t *c, const lb_rl_batch_t *s, u16 *nexts) \
	{ \
		lb_rl_chunk_of(c, s, nexts, LB_RL_FWD_##n, false); \
	} \
	static never_inline void lb_rl_chunk6_##n(lb_rl_vector_t *c, const lb_rl_batch_t *s, u16 *nexts) \
	{ \
		lb_rl_chunk_of(c, s, nexts, LB_RL_FWD_##n, true); \
	}
LB_RL_FORWARDS(X)
#undef X
static lb_rl_chunk_fn_t *const lb_rl_chunk_fn[LB_RL_FWD_COUNT][2] = {
#define X(n, ...) { lb_rl_chunk4_##n, lb_rl_chunk6_##n },
	LB_RL_FORWARDS(X)
#undef X
};

/* Second and last pass. */
static_always_inline void lb_rl_chunk(lb_rl_vector_t *c, lb_rl_batch_t *s, u16 *nexts, bool is6)
{
	lb_rl_job_t *end = s->job + s->n;

	for (lb_rl_job_t *job = s->job; job < end; job++) {
		struct mlb_flow *f = mlb_flow_guess(c->t->flows, job->bucket, job->hash);
		job->guess = f ? f : (struct mlb_flow *)&lb_rl_no_flow;
	}
	c->forwarded += s->n;
	if (PREDICT_TRUE(s->n && !c->trace))
		lb_rl_chunk_fn[lb_rl_main.vip[s->job[0].want.key.vip].fwd][is6](c, s, nexts);
	else
		for (lb_rl_job_t *job = s->job; job < end; job++)
			lb_rl_any_packet(c, job, &nexts[job->at], is6);
}

static_always_inline uword lb_rl_vip_inline(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6, bool owned)
{
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors;
	vlib_buffer_t *bufs[VLIB_FRAME_SIZE + LB_RL_AHEAD];
	u16 nexts[VLIB_FRAME_SIZE];
	const lb_rl_head_t counted = { .flags = MLB_FLOW_COUNTED };
	lb_rl_vector_t c;
	lb_rl_batch_t s;

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
	c.owned = owned;

	for (u32 k = 0; k < LB_RL_CHUNK; k++)
		s.job[k].want.w[3] = counted.w[3];
	for (u32 at = 0; at < n; at += LB_RL_CHUNK) {
		u32 m = clib_min(LB_RL_CHUNK, n - at);
		(is6 ? lb_rl_keys6 : lb_rl_keys4)(&c, &s, bufs + at, lb_rl_main.prefix, nexts + at, m);
		lb_rl_chunk(&c, &s, nexts + at, is6);
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
