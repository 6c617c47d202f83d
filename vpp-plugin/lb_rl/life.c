/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>
#include <lb_rl/life.h>
#include <lb_rl/place.h>
#include <lb_rl/recount.h>

static void lb_rl_flow_fill(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_flow *f, u32 slot)
{
	f->slot = slot;
	f->server_id = v->server[slot].id;
	f->start_us = t->now_us;
	f->last_ms = t->now_ms;
	f->wait_us = 0;
	f->flags = lb_rl_both_ways(v) ? 0 : MLB_FLOW_ONE_WAY;
	f->tcp = MLB_TCP_NEW;
	f->host = 0;
	f->host2 = 0;
	if (lb_rl_main.whose && lb_rl_both_ways(v))
		__atomic_store_n(lb_rl_flow_whose(&f->key), t - lb_rl_main.thread, __ATOMIC_RELAXED);
}

static lb_rl_verdict_t lb_rl_by_ring(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k,
				     u32 why)
{
	u32 slot = lb_rl_place_by_ring(t, v, k);
	if (slot == MLB_NONE) {
		mlb_ev_no_server(wv);
		return (lb_rl_verdict_t){ .slot = MLB_NONE, .thread = ~0, .error = LB_RL_ERROR_NO_SERVER };
	}
	if (why == LB_RL_ERROR_UNTRACKED)
		mlb_ev_untracked(wv);
	else
		mlb_ev_miss(wv);
	return (lb_rl_verdict_t){ .slot = slot, .thread = ~0, .error = why };
}

void lb_rl_life_end(lb_rl_thread_t *t, struct mlb_flow *f, enum mlb_end how)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, f->key.vip);

	if (!wv)
		return;
	if (f->flags & MLB_FLOW_WAITING) {
		mlb_ev_unwait(wv, f->slot, t->now_us);
		f->flags &= ~MLB_FLOW_WAITING;
	}
	if (f->flags & MLB_FLOW_COUNTED) {
		mlb_ev_close(t->w, wv, f->slot, f->start_us, t->now_us, how);
		lb_rl_recount_changed(t, f, -1);
		f->flags &= ~MLB_FLOW_COUNTED;
	} else if (f->flags & MLB_FLOW_HALF) {
		mlb_ev_half_close(wv, f->slot, f->start_us, t->now_us, how);
		f->flags &= ~MLB_FLOW_HALF;
	}
}

/* A flood of single datagrams leaves an eighth of the table to others. */
#define LB_RL_MOST_UNPROVEN(t) (mlb_flow_capacity((t)->flows) / 8 * 7)

void lb_rl_life_prove(lb_rl_thread_t *t, struct mlb_flow *f)
{
	if (f->flags & LB_RL_FLOW_UNPROVEN) {
		f->flags &= ~LB_RL_FLOW_UNPROVEN;
		t->unproven--;
	}
}

void lb_rl_life_over(lb_rl_thread_t *t, struct mlb_flow *f, enum mlb_end how)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, f->key.vip);

	if (!wv || !(f->flags & (MLB_FLOW_COUNTED | MLB_FLOW_HALF)))
		return;
	mlb_ev_hold(wv, f->slot);
	f->flags |= LB_RL_FLOW_HELD;
	lb_rl_life_end(t, f, how);
}

void lb_rl_life_forget(lb_rl_thread_t *t, struct mlb_flow *f)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, f->key.vip);

	lb_rl_life_prove(t, f);
	if (wv && f->flags & LB_RL_FLOW_HELD)
		mlb_ev_release(wv, f->slot);
	f->flags &= ~LB_RL_FLOW_HELD;
}

/* A SYN that waited too long for its answer goes on waiting: it came again, or was answered after all. */
static void lb_rl_wait_again(lb_rl_thread_t *t, struct mlb_flow *f)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, f->key.vip);

	if (!wv)
		return;
	mlb_ev_half_open(wv, f->slot, t->now_us);
	lb_rl_life_forget(t, f);
	f->flags |= MLB_FLOW_HALF;
	f->start_us = t->now_us;
}

/* The flow counts from now on. */
static void lb_rl_opened(lb_rl_thread_t *t, struct mlb_wvip *wv, struct mlb_flow *f)
{
	mlb_ev_open(wv, f->slot, t->now_us);
	lb_rl_recount_changed(t, f, 1);
	f->flags |= MLB_FLOW_COUNTED;
}

#define LB_RL_RESET_DOUBT_MS 1000

/* A packet long after a reset: who sent it did not believe the reset, which was not in its window, or not its peer's at all. The
 * flow goes on. */
static void lb_rl_go_on(lb_rl_thread_t *t, struct mlb_flow *f)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, f->key.vip);

	if (!wv || f->host != LB_RL_WAS_OPEN || t->now_ms - f->last_ms < LB_RL_RESET_DOUBT_MS)
		return;
	lb_rl_life_forget(t, f);
	lb_rl_opened(t, wv, f);
	f->start_us = t->now_us;
	f->tcp = MLB_TCP_ESTABLISHED;
}

/* Half-open becomes established: it moves to the main table, where no flood reaches it. */
static struct mlb_flow *lb_rl_establish(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_flow *f)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, v->id);
	struct mlb_flow *n;

	if (!wv)
		return f;
	u64 hash = mlb_flow_hash(t->flows, &f->key), opened = f->start_us, expects = f->host2;
	u32 slot = f->slot, id = f->server_id;
	/* An ended flow whose client used the port again became half-open where it stood, in the main table. */
	n = mlb_flow_find(t->flows, &f->key, hash);
	if (!n) {
		n = mlb_flow_insert(t->flows, &f->key, hash);
		if (!n) {
			/* Full: it stays where it is for as long as packets come, not counted as established; the next packet
			 * tries again. */
			mlb_ev_untracked(wv);
			f->tcp = MLB_TCP_SYN_ACK;
			return f;
		}
		mlb_flow_remove(t->half, f);
	}
	lb_rl_flow_fill(t, v, n, slot);
	n->server_id = id;
	n->host2 = expects;
	mlb_ev_half_established(wv, slot, opened, t->now_us);
	/* One-way: SYN to the client's ACK is all there is to see; it holds the client's round trip besides the server's. */
	if (n->flags & MLB_FLOW_ONE_WAY)
		mlb_ev_connected(t->w, wv, slot, opened, t->now_us);
	n->tcp = MLB_TCP_ESTABLISHED;
	n->host = LB_RL_WAS_OPEN;
	lb_rl_opened(t, wv, n);
	return n;
}

/* A half-open flow's packet. */
static struct mlb_flow *lb_rl_half_tcp(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_flow *f, enum mlb_tcp_state was,
				       enum mlb_tcp_state is, bool from_client)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, v->id);

	switch (is) {
	case MLB_TCP_SYN_ACK:
		if (wv && !from_client)
			mlb_ev_connected(t->w, wv, f->slot, f->start_us, t->now_us);
		if (!from_client)
			mlb_dp_connect_result(lb_rl_main.dp, t->w, v->id, f->slot, MLB_CONNECT_OK, f->start_us, t->now_us);
		break;
	case MLB_TCP_ESTABLISHED: return lb_rl_establish(t, v, f);
	case MLB_TCP_FIN_CLIENT:
	case MLB_TCP_FIN_SERVER: /* with the handshake's last ACK */
		if (was == MLB_TCP_SYN_ACK && !(f->flags & MLB_FLOW_ONE_WAY)) {
			f = lb_rl_establish(t, v, f);
			if (!(f->flags & MLB_FLOW_HALF))
				f->tcp = is;
		} else if (f->flags & MLB_FLOW_ONE_WAY)
			lb_rl_life_over(t, f, MLB_END_COMPLETED);
		break;
	case MLB_TCP_RESET:
	case MLB_TCP_CLOSED:
		if (!from_client && was == MLB_TCP_SYN)
			mlb_dp_connect_result(lb_rl_main.dp, t->w, v->id, f->slot, MLB_CONNECT_REFUSED, f->start_us, t->now_us);
		lb_rl_life_over(t, f, from_client ? MLB_END_ABORT : MLB_END_REFUSED);
		break;
	default: break;
	}
	return f;
}

struct mlb_flow *lb_rl_life_tcp(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_flow *f, u8 flags, bool from_client)
{
	bool one_way = f->flags & MLB_FLOW_ONE_WAY, reset = flags & MLB_TCP_F_RST;

	if (PREDICT_FALSE(!(f->flags & (MLB_FLOW_COUNTED | MLB_FLOW_HALF)) && !reset)) {
		if (f->tcp == MLB_TCP_SYN)
			lb_rl_wait_again(t, f);
		else if (f->tcp == MLB_TCP_RESET && !(flags & MLB_TCP_F_SYN))
			lb_rl_go_on(t, f);
	}
	enum mlb_tcp_state was = f->tcp, is = mlb_tcp_next(was, flags, from_client, one_way);

	/* An adopted flow counts as established only after a packet from its server, or a flood of ACKs would fill the table. */
	if (PREDICT_FALSE(f->host == LB_RL_ADOPTED && !reset)) {
		if (from_client)
			return f;
		f->host = 0;
		f = lb_rl_establish(t, v, f);
		return f->flags & MLB_FLOW_HALF ? f : lb_rl_life_tcp(t, v, f, flags, from_client);
	}
	if (is == was)
		return f;
	f->tcp = is;
	if (f->flags & MLB_FLOW_HALF)
		return lb_rl_half_tcp(t, v, f, was, is, from_client);
	if (is == MLB_TCP_RESET)
		lb_rl_life_over(t, f, from_client ? MLB_END_ABORT : MLB_END_RESET);
	else if (is == MLB_TCP_CLOSING || is == MLB_TCP_CLOSED || (one_way && is == MLB_TCP_FIN_CLIENT))
		lb_rl_life_over(t, f, MLB_END_COMPLETED);
	return f;
}

void lb_rl_life_payload(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_flow *f, bool from_client)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, v->id);

	if (!wv || !(f->flags & MLB_FLOW_COUNTED))
		return;
	if (from_client && !(f->flags & MLB_FLOW_WAITING)) {
		f->wait_us = t->now_us;
		f->flags |= MLB_FLOW_WAITING;
		mlb_ev_request(wv, f->slot, t->now_us);
	} else if (!from_client && (f->flags & MLB_FLOW_WAITING)) {
		f->flags &= ~MLB_FLOW_WAITING;
		mlb_ev_answer(t->w, wv, f->slot, f->wait_us, t->now_us);
	}
}

/* A new flow that no server can have. */
static lb_rl_verdict_t lb_rl_unplaced(struct mlb_wvip *wv, u32 error)
{
	if (error == LB_RL_ERROR_NAT_COLLISION)
		mlb_ev_limited(wv);
	else
		mlb_ev_no_server(wv);
	return (lb_rl_verdict_t){ .slot = MLB_NONE, .thread = ~0, .error = error };
}

static lb_rl_verdict_t lb_rl_new_tcp(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k,
				     struct mlb_flow *reuse)
{
	struct mlb_flow *f = reuse;
	u32 error, slot = lb_rl_place_new(t, v, wv, k, &error);

	if (slot == MLB_NONE)
		return lb_rl_unplaced(wv, error);
	if (!f) {
		f = mlb_flow_insert(t->half, k, mlb_flow_hash(t->half, k));
		/* No room for one more half-open flow: SYN and ACK alike go by the ring, to one server. */
		if (!f)
			return lb_rl_by_ring(t, v, wv, k, LB_RL_ERROR_UNTRACKED);
	} else
		lb_rl_life_forget(t, f);
	lb_rl_flow_fill(t, v, f, slot);
	f->tcp = MLB_TCP_SYN;
	f->flags |= MLB_FLOW_HALF;
	mlb_ev_half_open(wv, slot, t->now_us);
	return (lb_rl_verdict_t){ .slot = slot, .thread = ~0, .error = LB_RL_ERROR_NEW_FLOW, .f = f };
}

/* UDP: where the packet names its server, it has a connection there already, whatever the server may take now. */
static u32 lb_rl_place_udp(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k, u32 named,
			   u32 *error)
{
	return named != MLB_NONE && !lb_rl_nat_collides(t, v, k, named) ? named : lb_rl_place_new(t, v, wv, k, error);
}

static lb_rl_verdict_t lb_rl_new_udp(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k,
				     u32 named, u64 hash)
{
	u32 error, slot = lb_rl_place_udp(t, v, wv, k, named, &error);
	struct mlb_flow *f;

	if (slot == MLB_NONE)
		return lb_rl_unplaced(wv, error);
	f = t->unproven < LB_RL_MOST_UNPROVEN(t) ? mlb_flow_insert(t->flows, k, hash) : 0;
	if (!f)
		return lb_rl_by_ring(t, v, wv, k, LB_RL_ERROR_UNTRACKED);
	lb_rl_flow_fill(t, v, f, slot);
	f->flags |= LB_RL_FLOW_UNPROVEN;
	t->unproven++;
	lb_rl_opened(t, wv, f);
	return (lb_rl_verdict_t){ .slot = slot, .thread = ~0, .error = LB_RL_ERROR_NEW_FLOW, .f = f };
}

/* Under NAT a packet without a flow needs an entry, or the reply could not be given the VIP's address back. It lives in the
 * half-open table until the server answers, so packets out of nowhere take no room from established flows. */
static lb_rl_verdict_t lb_rl_nat_adopt(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k)
{
	lb_rl_verdict_t r = lb_rl_by_ring(t, v, wv, k, LB_RL_ERROR_MISS);

	if (r.slot == MLB_NONE || lb_rl_nat_collides(t, v, k, r.slot))
		return r;
	r.f = mlb_flow_insert(t->half, k, mlb_flow_hash(t->half, k));
	if (!r.f)
		return r;
	lb_rl_flow_fill(t, v, r.f, r.slot);
	r.f->tcp = MLB_TCP_SYN_ACK;
	r.f->host = LB_RL_ADOPTED;
	r.f->flags |= MLB_FLOW_HALF;
	mlb_ev_half_open(wv, r.slot, t->now_us);
	return r;
}

/* UDP whose server left while the flow slept: nothing counts any more, the entry takes a new one. */
static lb_rl_verdict_t lb_rl_udp_again(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k,
				       u32 named, struct mlb_flow *f)
{
	u32 error, slot = lb_rl_place_udp(t, v, wv, k, named, &error);

	if (slot == MLB_NONE)
		return lb_rl_by_ring(t, v, wv, k, LB_RL_ERROR_MISS);
	lb_rl_life_forget(t, f);
	lb_rl_flow_fill(t, v, f, slot);
	lb_rl_opened(t, wv, f);
	return (lb_rl_verdict_t){ .slot = slot, .thread = ~0, .error = LB_RL_ERROR_NEW_FLOW, .f = f };
}

/* A packet whose flow no worker has, or one that is over: f. */
static lb_rl_verdict_t lb_rl_new(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k, u64 hash,
				 bool syn, u32 named, struct mlb_flow *f)
{
	if (k->proto != IP_PROTOCOL_TCP)
		return f ? lb_rl_udp_again(t, v, wv, k, named, f) : lb_rl_new_udp(t, v, wv, k, named, hash);
	if (syn)
		return lb_rl_new_tcp(t, v, wv, k, f);
	if (lb_rl_both_ways(v) && !f)
		return lb_rl_nat_adopt(t, v, wv, k);
	return lb_rl_by_ring(t, v, wv, k, LB_RL_ERROR_MISS);
}

lb_rl_verdict_t lb_rl_life_miss(lb_rl_thread_t *t, lb_rl_vip_t *v, const struct mlb_flow_key *k, u64 hash, u8 flags, u32 named,
				bool owned)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, v->id);
	bool tcp = k->proto == IP_PROTOCOL_TCP;
	bool syn = (flags & (MLB_TCP_F_SYN | MLB_TCP_F_ACK | MLB_TCP_F_RST)) == MLB_TCP_F_SYN;
	struct mlb_flow *f;

	if (PREDICT_FALSE(!wv || v->used != LB_RL_VIP_ACTIVE))
		return (lb_rl_verdict_t){ .slot = MLB_NONE, .thread = ~0, .error = LB_RL_ERROR_NO_SERVER };
	/* An earlier packet of this vector may have made the flow; half-open ones the batch does not look for at all. */
	f = mlb_flow_find(t->flows, k, hash);
	if (!f && tcp)
		f = mlb_flow_find(t->half, k, mlb_flow_hash(t->half, k));
	if (f && lb_rl_flow_valid(v, f)) {
		bool ended = !(f->flags & (MLB_FLOW_COUNTED | MLB_FLOW_HALF));
		/* The client uses the port again; or it sends the SYN again, which its server has not answered for long. */
		if (!ended || !syn || (f->tcp == MLB_TCP_SYN && mlb_dp_admits(lb_rl_main.dp, t->w, v->id, f->slot, t->now_us))) {
			if (tcp)
				f = lb_rl_life_tcp(t, v, f, flags, true);
			lb_rl_life_prove(t, f);
			f->last_ms = t->now_ms;
			return (lb_rl_verdict_t){ .slot = f->slot, .thread = ~0, .error = LB_RL_ERROR_FORWARDED, .f = f };
		}
	}
	/* Replies look for their flow with the workers. */
	if (PREDICT_FALSE(t - lb_rl_main.thread < lb_rl_main.first_worker && lb_rl_both_ways(v)))
		return (lb_rl_verdict_t){ .slot = MLB_NONE, .thread = lb_rl_main.first_worker };
	if (PREDICT_TRUE(lb_rl_main.n_workers == 1))
		return lb_rl_new(t, v, wv, k, hash, syn, named, f);
	if (!f && !owned) {
		u32 other = lb_rl_flow_elsewhere(t, k);
		if (other != ~0)
			return (lb_rl_verdict_t){ .slot = MLB_NONE, .thread = other };
	}
	/* Two workers that place flows of one client port through two VIPs each have to see what the other does
	 * (lb_rl_nat_collides). */
	bool apart = v->shares;
	if (PREDICT_FALSE(apart))
		clib_spinlock_lock(&lb_rl_main.apart_lock);
	lb_rl_verdict_t r = lb_rl_new(t, v, wv, k, hash, syn, named, f);
	if (PREDICT_FALSE(apart))
		clib_spinlock_unlock(&lb_rl_main.apart_lock);
	return r;
}
