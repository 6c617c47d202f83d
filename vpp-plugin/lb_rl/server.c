/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: changes asked for here go to the core; what the core makes of them (also of pools from failover) comes back by its
 * hooks. */
#include <lb_rl/clock.h>
#include <lb_rl/dpo.h>
#include <lb_rl/error.h>
#include <lb_rl/forward.h>
#include <lb_rl/lookup.h>
#include <lb_rl/log.h>
#include <lb_rl/names.h>
#include <lb_rl/server.h>
#include <lb_rl/stats.h>

/* Can this VIP forward to it? 0 or a negative errno with err. */
static int lbrl_check_server(const lbrl_vip_t *v, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	const lbrl_fwd_ops_t *f = &lbrl_fwd_ops[v->fwd];
	bool is6 = lbrl_leaves_as_ip6(v);

	if (mlb_addr_is_v4(&ep->addr) == is6)
		return lbrl_fail(err, -EAFNOSUPPORT, "VIP %s (%s) has %s servers", v->name, f->name, is6 ? "IPv6" : "IPv4");
	if (!lbrl_addr_is_host(&ep->addr))
		return lbrl_fail(err, -EINVAL, "VIP %s: a server needs an address of a host", v->name);
	if (lbrl_leads_back(v->via_fib, &ep->addr))
		return lbrl_fail(err, -EINVAL, "VIP %s: the route to this server leads back to a VIP", v->name);
	if (ep->port && f->keeps_port && ep->port != v->port)
		return lbrl_fail(err, -EINVAL, "%s keeps the packet's port: leave the server's port out", f->name);
	if (ep->port && !v->port)
		return lbrl_fail(err, -EINVAL, "VIP %s has %s ports, servers take the packet's: leave the server's port out",
				 v->name, v->n_ports ? "several" : "all");
	return 0;
}

int lbrl_servers_set(const char *vip, const struct mlb_endpoint *ep, const f32 *w, u32 n, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	return lbrl_rv(mlb_dp_server_set(lbrl_main.dp, v->id, ep, w, n, err));
}

/* An existing server with another weight: the weight changes. */
int lbrl_server_add(const char *vip, const struct mlb_endpoint *ep, f32 w, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	u32 id;

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	int r = mlb_dp_server_add(lbrl_main.dp, v->id, ep, w, &id, err);
	if (r == -EEXIST)
		r = mlb_dp_server_weight(lbrl_main.dp, v->id, ep, w, err);
	return lbrl_rv(r);
}

int lbrl_server_del(const char *vip, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	return v ? lbrl_rv(mlb_dp_server_del(lbrl_main.dp, v->id, ep, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}

int lbrl_server_drain(const char *vip, const struct mlb_endpoint *ep, bool drain, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	return v ? lbrl_rv(mlb_dp_server_drain(lbrl_main.dp, v->id, ep, drain, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}

int lbrl_flush(const char *vip, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	u64 now = lbrl_now_us();
	bool any = false;
	char text[MLB_ENDPOINT_LEN];

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	for (u32 i = 0; i < v->capacity; i++) {
		lbrl_server_t *srv = &v->server[i];
		if (!srv->id ||
		    (ep && (!mlb_addr_eq(&srv->addr, &ep->addr) || (ep->port && srv->port != clib_host_to_net_u16(ep->port)))))
			continue;
		__atomic_store_n(&srv->flush_us, now, __ATOMIC_RELAXED);
		any = true;
	}
	if (ep && !any)
		return lbrl_fail(err, VNET_API_ERROR_NO_SUCH_ENTRY, "VIP %s has no server %s, nor flows of one", v->name,
				 mlb_endpoint_text(ep, text));
	__atomic_store_n(&v->flushes, 1, __ATOMIC_RELEASE);
	return 0;
}

/* Replies are recognised by their server's address: in lbrl_main.by_server a bit for each VIP that has it. */
static void lbrl_by_server_set(const lbrl_vip_t *v, const struct mlb_addr *server, bool add)
{
	u64 bit = 1ULL << (v->id - 1);
	clib_bihash_kv_16_8_t kv;

	clib_memcpy(kv.key, server->b, 16);
	kv.value = 0;
	clib_bihash_search_inline_16_8(&lbrl_main.by_server, &kv);
	kv.value = add ? kv.value | bit : kv.value & ~bit;
	clib_bihash_add_del_16_8(&lbrl_main.by_server, &kv, kv.value != 0);
}

/* Does the VIP have another server of this address (another port)? */
static bool lbrl_vip_has_addr(const lbrl_vip_t *v, const struct mlb_addr *a)
{
	for (u32 i = 0; i < v->capacity; i++)
		if (v->server[i].id && mlb_addr_eq(&v->server[i].addr, a))
			return true;
	return false;
}

int lbrl_hook_may(void *arg, u32 vip_id, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	return lbrl_check_server(&lbrl_main.vip[vip_id], ep, err);
}

void lbrl_hook_notice(void *arg, const char *text)
{
	lbrl_log_notice("%s", text);
}

int lbrl_hook_up(void *arg, u32 vip_id, struct mlb_server *s)
{
	lbrl_vip_t *v = &lbrl_main.vip[vip_id];
	lbrl_server_t *srv = &v->server[s->slot];
	u32 sum = 0;

	if (lbrl_both_ways(v))
		lbrl_by_server_set(v, &s->ep.addr, true);
	clib_memset(srv, 0, sizeof(*srv));
	srv->addr = s->ep.addr;
	srv->port = clib_host_to_net_u16(s->ep.port);
	srv->vip_id = vip_id;
	for (u32 i = 0; i < 16; i += 2)
		sum += (u16) ~(*(u16 *)(v->addr.b + i)) + *(u16 *)(srv->addr.b + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	srv->addr_delta = sum;
	lbrl_outer_ready(v, srv);
	lbrl_stats_server(v, s->slot, &s->ep);
	lbrl_server_track(v, s->slot);
	/* From here on the nodes may use it. */
	__atomic_store_n(&srv->id, s->id, __ATOMIC_RELEASE);
	return 0;
}

void lbrl_hook_gone(void *arg, u32 vip_id, struct mlb_server *s)
{
	lbrl_vip_t *v = &lbrl_main.vip[vip_id];
	lbrl_server_t *srv = &v->server[s->slot];

	if (srv->id != s->id)
		return;
	srv->id = 0;
	lbrl_server_untrack(v, s->slot);
	lbrl_stats_server(v, s->slot, 0);
	if (lbrl_both_ways(v) && !lbrl_vip_has_addr(v, &srv->addr))
		lbrl_by_server_set(v, &srv->addr, false);
}

void lbrl_servers_untrack(lbrl_vip_t *v)
{
	for (u32 s = 0; s < v->capacity; s++)
		if (v->server[s].id) {
			v->server[s].id = 0;
			lbrl_server_untrack(v, s);
			lbrl_stats_server(v, s, 0);
		}
}
