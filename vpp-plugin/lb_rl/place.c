/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>
#include <lb_rl/flows.h>
#include <lb_rl/place.h>
#include <lb_rl/sharers.h>
#include <marllb/endpoint.h>

/* The client that affinity goes by: without the destination that an IPv4 prefix VIP's keys hold before its address. */
static struct mlb_addr lb_rl_sticky_client(const lb_rl_vip_t *v, const struct mlb_flow_key *k)
{
	struct mlb_addr client = k->client;

	if (!v->is_ip6)
		clib_memset(client.b, 0, 8);
	return client;
}

static u64 lb_rl_ring_hash(const lb_rl_vip_t *v, const struct mlb_flow_key *k)
{
	struct mlb_addr client = v->sticky ? lb_rl_sticky_client(v, k) : k->client;
	u64 a, b, x;
	clib_memcpy(&a, client.b, 8);
	clib_memcpy(&b, client.b + 8, 8);
	x = a ^ v->ring_seed;
	x = mlb_splitmix64(&x) ^ b;
	/* With sticky the client's address alone decides, as it does for tracked flows. */
	x = mlb_splitmix64(&x) ^ (v->sticky ? 0 : (u64)k->cport << 32 | (u64)k->vport << 16 | k->proto);
	return mlb_splitmix64(&x);
}

static u32 lb_rl_ring_slot(lb_rl_thread_t *t, const lb_rl_vip_t *v, u64 hash)
{
	struct mlb_wvip *wv = lb_rl_wvip(t, v->id);
	const struct mlb_table *tab = wv ? atomic_load_explicit(&wv->table, memory_order_acquire) : 0;
	u32 slot;

	if (!tab || !tab->miss_ring)
		return MLB_NONE;
	slot = mlb_ring_lookup(tab->miss_ring, hash, 0);
	return slot != MLB_NONE && v->server[slot].id ? slot : MLB_NONE;
}

u32 lb_rl_place_by_ring(lb_rl_thread_t *t, const lb_rl_vip_t *v, const struct mlb_flow_key *k)
{
	return lb_rl_ring_slot(t, v, lb_rl_ring_hash(v, k));
}

/* NAT: two flows of one client port to one server endpoint could not be told apart in the server's replies. They come about only
 * through different VIPs (or ports of one) that share a server. */
bool lb_rl_nat_collides(lb_rl_thread_t *t, const lb_rl_vip_t *v, const struct mlb_flow_key *k, u32 slot)
{
	const lb_rl_server_t *srv = &v->server[slot];
	u32 id, i = 0;

	if (!lb_rl_both_ways(v))
		return false;
	lb_rl_sharers_t all = lb_rl_sharers(&srv->addr);
	u16 sport = srv->port ? clib_net_to_host_u16(srv->port) : k->vport;
	while ((id = lb_rl_sharer_next(all, &i))) {
		lb_rl_vip_t *o = &lb_rl_main.vip[id];
		if (o == v || o->used != LB_RL_VIP_ACTIVE || o->via_fib != v->via_fib)
			continue; /* its flows are being ended; or its server is another of that address */
		struct mlb_flow_key ok = *k;
		ok.vip = o->id;
		ok.vport = o->port ? o->port : sport;
		u32 at = ~0;
		const struct mlb_flow *f = lb_rl_flow_find(t, &ok, mlb_flow_hash(t->flows, &ok));
		if (!f)
			f = lb_rl_flow_peek(t, &ok, &at);
		if (!f || f->tcp >= MLB_TCP_CLOSED || !lb_rl_flow_peeked_valid(o, f))
			continue;
		const lb_rl_server_t *os = &o->server[f->slot];
		u16 oport = os->port ? clib_net_to_host_u16(os->port) : ok.vport;
		if (oport == sport && mlb_addr_eq(&os->addr, &srv->addr))
			return true;
	}
	return false;
}

/* The core's choice. */
static u32 lb_rl_choose(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k)
{
	const struct mlb_table *table = atomic_load_explicit(&wv->table, memory_order_acquire);
	u64 hash = table && table->mode == MLB_MODE_HASH ? lb_rl_ring_hash(v, k) : 0; /* the other modes need none */
	u32 slot = mlb_dp_choose(lb_rl_main.dp, t->w, v->id, hash, t->now_us);

	if (slot == MLB_NONE)
		return MLB_NONE;
	/* With many servers their lines are not at hand: what opening the flow writes comes while the server's own is waited for.
	 */
	mlb_wvip_prefetch(wv, slot);
	return v->server[slot].id ? slot : MLB_NONE;
}

/* A client's affinity: the server of its earlier flow if that may still take flows, else the choice, which is remembered. Under
 * the lock from looking to remembering: a client's first flows come to several workers at the same moment. */
static u32 lb_rl_place_sticky(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k)
{
	struct mlb_flow_table *sticky = lb_rl_main.sticky;
	struct mlb_flow_key sk = *k;

	sk.client = lb_rl_sticky_client(v, k);
	sk.cport = sk.vport = 0;
	sk.proto = 0;
	u64 hash = mlb_flow_hash(sticky, &sk);
	clib_spinlock_lock(&lb_rl_main.sticky_lock);
	struct mlb_flow *s = mlb_flow_find(sticky, &sk, hash);
	u32 slot =
		s && lb_rl_flow_valid(v, s) && mlb_dp_admits(lb_rl_main.dp, t->w, v->id, s->slot, t->now_us) ? s->slot : MLB_NONE;
	if (slot == MLB_NONE) {
		slot = lb_rl_choose(t, v, wv, k);
		if (!s && slot != MLB_NONE)
			s = mlb_flow_insert(sticky, &sk, hash);
	}
	if (s && slot != MLB_NONE) {
		s->slot = slot;
		s->server_id = v->server[slot].id;
		s->last_ms = t->now_ms;
	}
	clib_spinlock_unlock(&lb_rl_main.sticky_lock);
	return slot;
}

#define LB_RL_OTHER_TRIES 16

/* The server that was chosen has a flow of the same client port already, through another VIP: another one that may take flows. */
static u32 lb_rl_place_apart(lb_rl_thread_t *t, lb_rl_vip_t *v, const struct mlb_flow_key *k)
{
	u64 hash = lb_rl_ring_hash(v, k);

	for (u32 i = 0; i < LB_RL_OTHER_TRIES; i++) {
		u32 slot = lb_rl_ring_slot(t, v, mlb_splitmix64(&hash));
		if (slot != MLB_NONE && !lb_rl_nat_collides(t, v, k, slot) &&
		    mlb_dp_admits(lb_rl_main.dp, t->w, v->id, slot, t->now_us))
			return slot;
	}
	return MLB_NONE;
}

u32 lb_rl_place_new(lb_rl_thread_t *t, lb_rl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k, u32 *error)
{
	u32 slot = PREDICT_FALSE(v->sticky) ? lb_rl_place_sticky(t, v, wv, k) : lb_rl_choose(t, v, wv, k);

	*error = LB_RL_ERROR_NO_SERVER;
	if (slot == MLB_NONE || PREDICT_TRUE(!lb_rl_nat_collides(t, v, k, slot)))
		return slot;
	*error = LB_RL_ERROR_NAT_COLLISION;
	return lb_rl_place_apart(t, v, k);
}

static void lb_rl_affinity_age(void *arg, struct mlb_flow *s)
{
	const lb_rl_thread_t *t = arg;
	u32 idle = t->now_ms - s->last_ms;

	/* Another worker's clock may be ahead. */
	if ((i32)idle < 0 || (idle <= lb_rl_main.sticky_ms && lb_rl_main.vip[s->key.vip].used == LB_RL_VIP_ACTIVE))
		return;
	mlb_flow_remove(lb_rl_main.sticky, s);
}

void lb_rl_place_age(lb_rl_thread_t *t, u32 ms)
{
	static u32 cursor;
	u32 n = mlb_flow_count(lb_rl_main.sticky) ? (u64)mlb_flow_capacity(lb_rl_main.sticky) * ms / 1000 + 1 : 0;

	for (u32 i = 0; i < n; i += 256) {
		clib_spinlock_lock(&lb_rl_main.sticky_lock);
		mlb_flow_walk(lb_rl_main.sticky, &cursor, 256, lb_rl_affinity_age, t);
		clib_spinlock_unlock(&lb_rl_main.sticky_lock);
	}
}
