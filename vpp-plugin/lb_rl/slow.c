/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/lb_rl.h>
#include <lb_rl/path.h>
#include <lb_rl/place.h>
#include <lb_rl/prefix.h>
#include <lb_rl/mss.h>
#include <lb_rl/quic.h>
#include <lb_rl/slow.h>
#include <lb_rl/window.h>
#include <vnet/feature/feature.h>

static u32 lb_rl_pkt_error(enum mlb_pkt_error e)
{
	switch (e) {
	case MLB_PKT_TRUNCATED: return LB_RL_ERROR_TRUNCATED;
	case MLB_PKT_BAD_VERSION: return LB_RL_ERROR_BAD_VERSION;
	case MLB_PKT_BAD_IHL: return LB_RL_ERROR_BAD_IHL;
	case MLB_PKT_BAD_LENGTH: return LB_RL_ERROR_BAD_LENGTH;
	case MLB_PKT_BAD_EXT: return LB_RL_ERROR_BAD_EXT;
	case MLB_PKT_FRAGMENT: return LB_RL_ERROR_FRAGMENT;
	case MLB_PKT_L4_TRUNCATED: return LB_RL_ERROR_L4_TRUNCATED;
	case MLB_PKT_TCP_OFFSET: return LB_RL_ERROR_TCP_OFFSET;
	case MLB_PKT_UDP_LENGTH: return LB_RL_ERROR_UDP_LENGTH;
	default: return LB_RL_ERROR_PROTO;
	}
}

/* Sends a packet that was made in this buffer: a reply of ours. */
static void lb_rl_reply(vlib_buffer_t *b, bool is6, lb_rl_slow_t *r)
{
	b->flags |= VNET_BUFFER_F_LOCALLY_ORIGINATED;
	b->flags &= ~(VNET_BUFFER_F_OFFLOAD | VNET_BUFFER_F_GSO);
	vnet_buffer(b)->sw_if_index[VLIB_TX] = ~0;
	r->next = lb_rl_lookup_edge(is6, is6);
}

/* A worker's answers: what comes at once, then so many a second. For ICMP Linux' figures; resets end connects that would wait. */
#define LB_RL_ICMP_BURST 50u
#define LB_RL_ICMP_RATE 1000u
#define LB_RL_RESET_BURST 1000u
#define LB_RL_RESET_RATE 20000u

static bool lb_rl_budget_take(lb_rl_budget_t *l, u32 burst, u32 rate, u64 now_us)
{
	u64 earned = (now_us - l->at_us) * rate / 1000000;

	if (earned) {
		l->tokens = clib_min(burst, l->tokens + earned);
		l->at_us = now_us;
	}
	if (!l->tokens)
		return false;
	l->tokens--;
	return true;
}

static bool lb_rl_may_answer(lb_rl_thread_t *t, u8 proto)
{
	if (proto == IP_PROTOCOL_TCP)
		return lb_rl_budget_take(&t->resets, LB_RL_RESET_BURST, LB_RL_RESET_RATE, t->now_us);
	return lb_rl_budget_take(&t->icmp, LB_RL_ICMP_BURST, LB_RL_ICMP_RATE, t->now_us);
}

void lb_rl_slow_refuse(lb_rl_thread_t *t, vlib_buffer_t *b, bool is6, u32 error, lb_rl_slow_t *r)
{
	u8 *ip = vlib_buffer_get_current(b), out[1280];
	struct mlb_pkt pkt;
	u32 n = 0;

	r->error = error;
	r->next = IP_LOOKUP_NEXT_DROP;
	if (mlb_pkt_parse_head(ip, b->current_length, vlib_buffer_length_in_chain(vlib_get_main(), b), &pkt) != MLB_PKT_OK ||
	    pkt.icmp_error)
		return;
	if (!lb_rl_may_answer(t, pkt.proto)) {
		r->error = LB_RL_ERROR_NOT_ANSWERED;
		return;
	}
	if (pkt.proto == IP_PROTOCOL_TCP)
		n = mlb_pkt_make_rst(ip, &pkt, out);
	else if (pkt.proto == IP_PROTOCOL_UDP)
		n = mlb_pkt_make_unreachable(ip, &pkt, out, clib_min(sizeof(out), (u32)b->current_length + 48));
	if (!n)
		return;
	if (b->flags & VLIB_BUFFER_NEXT_PRESENT) {
		vlib_buffer_free_one(vlib_get_main(), b->next_buffer);
		b->flags &= ~(VLIB_BUFFER_NEXT_PRESENT | VLIB_BUFFER_TOTAL_LENGTH_VALID);
	}
	if (n > vlib_buffer_get_default_data_size(vlib_get_main()))
		return;
	b->current_data = 0;
	b->current_length = n;
	clib_memcpy(vlib_buffer_get_current(b), out, n);
	lb_rl_reply(b, is6, r);
}

static void lb_rl_pkt_key(const struct mlb_pkt *p, const lb_rl_vip_t *v, struct mlb_flow_key *k, bool icmp)
{
	/* An ICMP error quotes a packet on its way from the VIP to the client. */
	const struct mlb_addr *client = icmp ? &p->dst : &p->src, *vip = icmp ? &p->src : &p->dst;
	u16 cport = icmp ? p->dport : p->sport, vport = icmp ? p->sport : p->dport;
	u8 proto = icmp ? p->inner_proto : p->proto;

	if (v->is_ip6)
		lb_rl_key6(k, (const ip6_address_t *)client->b, lb_rl_apart(v) ? lb_rl_apart6(vip->b) : 0, cport, vport, v->id,
			   proto);
	else
		lb_rl_key4(k, *(u32u *)(client->b + 12), *(u32u *)(vip->b + 12) & v->host_mask4, cport, vport, v->id, proto);
}

static void lb_rl_slow_icmp(lb_rl_thread_t *t, vlib_buffer_t *b, bool is6, struct mlb_pkt *pkt, lb_rl_prefix_t *p, bool owned,
			    lb_rl_slow_t *r)
{
	u8 *ip = vlib_buffer_get_current(b);
	bool echo = pkt->icmp_type == (is6 ? 128 : 8);

	if (echo && mlb_pkt_echo_reply(ip, pkt)) {
		r->error = LB_RL_ERROR_PING;
		lb_rl_reply(b, is6, r);
		return;
	}
	r->error = LB_RL_ERROR_ICMP_UNKNOWN;
	if (!pkt->icmp_error || (pkt->inner_proto != IP_PROTOCOL_TCP && pkt->inner_proto != IP_PROTOCOL_UDP))
		return;
	u16 id = lb_rl_vip_of_port(p, pkt->inner_proto == IP_PROTOCOL_UDP, pkt->sport);
	if (!id)
		return;
	lb_rl_vip_t *v = &lb_rl_main.vip[id];
	struct mlb_flow_key k;
	lb_rl_pkt_key(pkt, v, &k, true);
	r->vip_id = id;
	u64 hash = mlb_flow_hash(t->flows, &k);
	struct mlb_flow *f = lb_rl_flow_find(t, &k, hash);
	if (!f || !lb_rl_flow_valid(v, f)) {
		/* The flow may be another worker's: RSS does not see what an ICMP error quotes. */
		if (lb_rl_main.n_workers > 1 && !owned)
			r->thread = lb_rl_flow_elsewhere(t, &k);
		if (r->thread != ~0)
			return;
		r->slot = lb_rl_place_by_ring(t, v, &k);
		if (r->slot == MLB_NONE || lb_rl_both_ways(v))
			return;
	} else
		r->slot = f->slot;
	r->error = lb_rl_forward(b, pkt, v, &v->server[r->slot], hash, &r->next);
	if (r->error == LB_RL_ERROR_FORWARDED)
		r->error = LB_RL_ERROR_ICMP;
}

/* A fragment's ports are those that reassembly found. False: r says what becomes of it. */
static bool lb_rl_slow_fragment(vlib_buffer_t *b, bool is6, const u16 *ports, struct mlb_pkt *pkt, lb_rl_slow_t *r)
{
	if (!ports) {
		u32 next;
		r->error = LB_RL_ERROR_REASS;
		vnet_feature_arc_start(lb_rl_main.frag_arc[is6], 0, &next, b);
		r->next = next;
		return false;
	}
	pkt->sport = ports[0];
	pkt->dport = ports[1];
	pkt->proto = vnet_buffer(b)->ip.reass.ip_proto;
	/* The first one's type or flags, which reassembly keeps for those after it. */
	u8 first = vnet_buffer(b)->ip.reass.icmp_type_or_tcp_flags;
	if (pkt->proto == (is6 ? IP_PROTOCOL_ICMP6 : IP_PROTOCOL_ICMP)) {
		pkt->icmp_type = first;
		return true;
	}
	pkt->tcp_flags = first & 0x1f;
	if (pkt->proto == IP_PROTOCOL_TCP || pkt->proto == IP_PROTOCOL_UDP)
		return true;
	r->error = LB_RL_ERROR_PROTO;
	return false;
}

/* The TCP header; NULL where there is none, or not all of it: a fragment's may end within it. */
static tcp_header_t *lb_rl_slow_tcp(vlib_buffer_t *b, const struct mlb_pkt *pkt)
{
	if (pkt->proto != IP_PROTOCOL_TCP || pkt->later_fragment || pkt->readable < pkt->l4_off + sizeof(tcp_header_t))
		return 0;
	return (tcp_header_t *)((u8 *)vlib_buffer_get_current(b) + pkt->l4_off);
}

/* The packet's flow and server. flow: NULL where the ring placed it. */
static struct mlb_flow *lb_rl_slow_place(lb_rl_thread_t *t, lb_rl_vip_t *v, const struct mlb_flow_key *k, u64 hash,
					 const struct mlb_pkt *pkt, const tcp_header_t *th, u32 named, bool owned,
					 lb_rl_slow_t *r)
{
	bool tcp = pkt->proto == IP_PROTOCOL_TCP;
	struct mlb_flow *f = mlb_flow_find(t->flows, k, hash);

	if (f && lb_rl_flow_valid(v, f) && f->flags & (MLB_FLOW_COUNTED | MLB_FLOW_HALF)) {
		lb_rl_life_prove(t, f);
		if (th)
			f = lb_rl_life_tcp(t, v, f, lb_rl_believed(f, th, true), true);
		f->last_ms = t->now_ms;
		r->slot = f->slot;
		r->error = LB_RL_ERROR_FORWARDED;
		return f;
	}
	lb_rl_verdict_t m = lb_rl_life_miss(t, v, k, hash, tcp ? pkt->tcp_flags : 0, named, owned);
	r->thread = m.thread;
	r->slot = m.slot;
	r->error = m.error;
	return m.f;
}

/* A TCP or UDP packet of a VIP. */
static void lb_rl_slow_balance(lb_rl_thread_t *t, vlib_buffer_t *b, bool is6, lb_rl_vip_t *v, const struct mlb_pkt *pkt,
			       bool owned, lb_rl_slow_t *r)
{
	struct mlb_flow_key k;

	r->vip_id = v->id;
	lb_rl_pkt_key(pkt, v, &k, false);
	if (pkt->ttl < 2) {
		r->error = lb_rl_time_exceeded(b, is6, &r->next);
		return;
	}
	u64 hash = mlb_flow_hash(t->flows, &k);
	tcp_header_t *th = lb_rl_slow_tcp(b, pkt);
	u32 named = MLB_NONE;
	if (v->quic && pkt->proto == IP_PROTOCOL_UDP && !pkt->fragment && pkt->readable > pkt->payload_off)
		named = lb_rl_quic_slot(v, (u8 *)vlib_buffer_get_current(b) + pkt->payload_off, pkt->readable - pkt->payload_off);
	struct mlb_flow *f = lb_rl_slow_place(t, v, &k, hash, pkt, th, named, owned, r);
	if (r->thread != ~0)
		return;
	if (r->slot == MLB_NONE) {
		lb_rl_slow_refuse(t, b, is6, r->error, r);
		return;
	}
	const lb_rl_server_t *srv = &v->server[r->slot];
	u32 takes = pkt->total_len > LB_RL_FITS ? lb_rl_path_takes(b, pkt->total_len, v, srv, &r->next) : LB_RL_ERROR_FORWARDED;
	if (takes != LB_RL_ERROR_FORWARDED) {
		r->error = takes;
		return;
	}
	struct mlb_wvip *wv = lb_rl_wvip(t, v->id);
	if (wv)
		mlb_ev_bytes(wv, r->slot, true, 1, pkt->total_len);
	if (f && lb_rl_both_ways(v)) {
		if (th)
			lb_rl_heard(f, th, true);
		if (pkt->total_len > pkt->payload_off)
			lb_rl_life_payload(t, v, f, true);
	}
	if (th && th->flags & MLB_TCP_F_SYN && v->mss)
		lb_rl_clamp_mss(th, pkt->readable - pkt->l4_off, v->mss);
	u32 error = lb_rl_forward(b, pkt, v, srv, hash, &r->next);
	if (error != LB_RL_ERROR_FORWARDED)
		r->error = error;
}

lb_rl_slow_t lb_rl_slow_vip(lb_rl_thread_t *t, vlib_buffer_t *b, bool is6, const u16 *ports, bool owned)
{
	lb_rl_slow_t r = { .slot = MLB_NONE, .next = IP_LOOKUP_NEXT_DROP, .thread = ~0 };
	lb_rl_prefix_t *p = &lb_rl_main.prefix[vnet_buffer(b)->ip.adj_index[VLIB_TX]];
	struct mlb_pkt pkt;
	u32 len = vlib_buffer_length_in_chain(vlib_get_main(), b);

	enum mlb_pkt_error e = mlb_pkt_parse_head(vlib_buffer_get_current(b), b->current_length, len, &pkt);
	if (e == MLB_PKT_FRAGMENT) {
		if (!lb_rl_slow_fragment(b, is6, ports, &pkt, &r))
			return r;
	} else if (e != MLB_PKT_OK) {
		r.error = lb_rl_pkt_error(e);
		return r;
	}
	if (pkt.proto == IP_PROTOCOL_ICMP || pkt.proto == IP_PROTOCOL_ICMP6) {
		lb_rl_slow_icmp(t, b, is6, &pkt, p, owned, &r);
		return r;
	}
	u16 id = lb_rl_vip_of_port(p, pkt.proto == IP_PROTOCOL_UDP, pkt.dport);
	if (id)
		lb_rl_slow_balance(t, b, is6, &lb_rl_main.vip[id], &pkt, owned, &r);
	else
		lb_rl_slow_refuse(t, b, is6, LB_RL_ERROR_NO_VIP, &r);
	return r;
}
