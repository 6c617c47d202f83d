/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/forward.h>
#include <lb_rl/flows.h>
#include <lb_rl/place.h>
#include <marllb/endpoint.h>

static u64 lbrl_ring_hash(const lbrl_vip_t *v, const struct mlb_flow_key *k)
{
	u64 a, b, x;
	clib_memcpy(&a, k->client.b, 8);
	clib_memcpy(&b, k->client.b + 8, 8);
	x = a ^ v->ring_seed;
	x = mlb_splitmix64(&x) ^ b;
	/* With sticky the client's address alone decides, as it does for tracked flows. */
	x = mlb_splitmix64(&x) ^ (v->sticky ? 0 : (u64)k->cport << 32 | (u64)k->vport << 16 | k->proto);
	return mlb_splitmix64(&x);
}

u32 lbrl_place_by_ring(lbrl_thread_t *t, const lbrl_vip_t *v, const struct mlb_flow_key *k)
{
	struct mlb_wvip *wv = lbrl_wvip(t, v->id);
	const struct mlb_table *tab = wv ? atomic_load_explicit(&wv->table, memory_order_acquire) : 0;
	u32 slot;

	if (!tab || !tab->miss_ring)
		return MLB_NONE;
	slot = mlb_ring_lookup(tab->miss_ring, lbrl_ring_hash(v, k), 0);
	return slot != MLB_NONE && v->server[slot].id ? slot : MLB_NONE;
}

/* NAT: two flows of one client port to one server endpoint could not be told apart in the server's replies. They come about only
 * through different VIPs (or ports of one) that share a server. */
bool lbrl_nat_collides(lbrl_thread_t *t, const lbrl_vip_t *v, const struct mlb_flow_key *k, u32 slot)
{
	const lbrl_server_t *srv = &v->server[slot];
	clib_bihash_kv_16_8_t kv;
	u64 others;

	if (!lbrl_both_ways(v))
		return false;
	clib_memcpy(kv.key, srv->addr.b, 16);
	if (clib_bihash_search_inline_16_8(&lbrl_main.by_server, &kv))
		return false;
	others = kv.value & ~(1ULL << (v->id - 1));
	u16 sport = srv->port ? clib_net_to_host_u16(srv->port) : k->vport;
	while (others) {
		lbrl_vip_t *o = &lbrl_main.vip[__builtin_ctzll(others) + 1];
		others &= others - 1;
		struct mlb_flow_key ok = *k;
		ok.vip = o->id;
		ok.vport = o->port ? o->port : sport;
		struct mlb_flow *f = lbrl_flow_find(t, &ok, mlb_flow_hash(t->flows, &ok));
		if (!f || f->tcp >= MLB_TCP_CLOSED || !lbrl_flow_valid(o, f))
			continue;
		const lbrl_server_t *os = &o->server[f->slot];
		u16 oport = os->port ? clib_net_to_host_u16(os->port) : ok.vport;
		if (oport == sport && mlb_addr_eq(&os->addr, &srv->addr))
			return true;
	}
	return false;
}

/* Affinity of a client address: the entry of an earlier flow, if its server may still take flows. */
static struct mlb_flow *lbrl_sticky_find(lbrl_thread_t *t, lbrl_vip_t *v, const struct mlb_flow_key *k, struct mlb_flow_key *sk)
{
	*sk = *k;
	if (v->host_mask4)
		clib_memset(sk->client.b, 0, 4);
	sk->cport = sk->vport = 0;
	sk->proto = 0;
	sk->dir = LBRL_DIR_STICKY;
	return mlb_flow_find(t->flows, sk, mlb_flow_hash(t->flows, sk));
}

u32 lbrl_place_new(lbrl_thread_t *t, lbrl_vip_t *v, struct mlb_wvip *wv, const struct mlb_flow_key *k)
{
	const struct mlb_table *table = atomic_load_explicit(&wv->table, memory_order_acquire);
	struct mlb_flow_key sk;
	struct mlb_flow *s = 0;
	u64 hash;
	u32 slot;

	if (PREDICT_FALSE(v->sticky)) {
		s = lbrl_sticky_find(t, v, k, &sk);
		if (s && lbrl_flow_valid(v, s) && mlb_dp_admits(lbrl_main.dp, t->w, v->id, s->slot, t->now_us)) {
			s->last_ms = t->now_ms;
			return s->slot;
		}
	}
	hash = table && table->mode == MLB_MODE_HASH ? lbrl_ring_hash(v, k) : 0; /* the other modes need none */
	slot = mlb_dp_choose(lbrl_main.dp, t->w, v->id, hash, t->now_us);
	if (slot == MLB_NONE)
		return MLB_NONE;
	/* With many servers their lines are not at hand: what opening the flow writes comes while the server's own is waited for.
	 */
	mlb_wvip_prefetch(wv, slot);
	if (!v->server[slot].id)
		return MLB_NONE;
	if (PREDICT_FALSE(v->sticky)) {
		if (!s)
			s = mlb_flow_insert(t->flows, &sk, mlb_flow_hash(t->flows, &sk));
		if (s) {
			s->slot = slot;
			s->server_id = v->server[slot].id;
			s->last_ms = t->now_ms;
		}
	}
	return slot;
}
