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
#include <lb_rl/quic.h>
#include <lb_rl/route.h>
#include <lb_rl/server.h>
#include <lb_rl/sharers.h>
#include <lb_rl/stats.h>

/* Can this VIP forward to it? 0 or a negative errno with err. */
static int lb_rl_check_server(const lb_rl_vip_t *v, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	const lb_rl_fwd_ops_t *f = &lb_rl_fwd_ops[v->fwd];
	bool is6 = lb_rl_leaves_as_ip6(v);

	if (mlb_addr_is_v4(&ep->addr) == is6)
		return lb_rl_fail(err, -EAFNOSUPPORT, "VIP %s (%s) has %s servers", v->name, f->name, is6 ? "IPv6" : "IPv4");
	if (!lb_rl_addr_is_host(&ep->addr))
		return lb_rl_fail(err, -EINVAL, "VIP %s: a server needs an address of a host", v->name);
	u8 unfit = lb_rl_server_unfit(v, &ep->addr);
	if (unfit)
		return lb_rl_fail(err, -EINVAL, "VIP %s: the route to this server %s", v->name, lb_rl_route_text(unfit));
	if (!lb_rl_quic_may(v, v->quic, &ep->addr))
		return lb_rl_fail(err, -EINVAL,
				  "VIP %s: another server's address ends in the same %u bytes, which quic-lb needs apart",
				  v->name, v->quic);
	if (ep->port && f->keeps_port && ep->port != v->port)
		return lb_rl_fail(err, -EINVAL, "%s keeps the packet's port: leave the server's port out", f->name);
	if (ep->port && !v->port)
		return lb_rl_fail(err, -EINVAL, "VIP %s has %s ports, servers take the packet's: leave the server's port out",
				  v->name, v->n_ports ? "several" : "all");
	return 0;
}

int lb_rl_servers_set(const char *vip, const struct mlb_endpoint *ep, const f32 *w, u32 n, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *v = lb_rl_vip_or_only(vip, err);

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	for (u32 i = 0; v->quic && i < n; i++)
		for (u32 j = 0; j < i; j++)
			if (lb_rl_quic_same(v->quic, &ep[i].addr, &ep[j].addr))
				return lb_rl_fail(
					err, VNET_API_ERROR_INVALID_VALUE,
					"VIP %s: two servers' addresses end in the same %u bytes, which quic-lb needs apart",
					v->name, v->quic);
	return lb_rl_rv(mlb_dp_server_set(lb_rl_main.dp, v->id, ep, w, n, err));
}

/* An existing server with another weight: the weight changes. */
int lb_rl_server_add(const char *vip, const struct mlb_endpoint *ep, f32 w, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *v = lb_rl_vip_or_only(vip, err);
	u32 id;

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	int r = mlb_dp_server_add(lb_rl_main.dp, v->id, ep, w, &id, err);
	if (r == -EEXIST)
		r = mlb_dp_server_weight(lb_rl_main.dp, v->id, ep, w, err);
	return lb_rl_rv(r);
}

int lb_rl_server_del(const char *vip, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *v = lb_rl_vip_or_only(vip, err);
	return v ? lb_rl_rv(mlb_dp_server_del(lb_rl_main.dp, v->id, ep, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}

int lb_rl_server_drain(const char *vip, const struct mlb_endpoint *ep, bool drain, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *v = lb_rl_vip_or_only(vip, err);
	return v ? lb_rl_rv(mlb_dp_server_drain(lb_rl_main.dp, v->id, ep, drain, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}

int lb_rl_flush(const char *vip, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *v = lb_rl_vip_or_only(vip, err);
	u64 now = lb_rl_now_us();
	bool any = false;
	char text[MLB_ENDPOINT_LEN];

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	for (u32 i = 0; i < v->capacity; i++) {
		lb_rl_server_t *srv = &v->server[i];
		if (!srv->id ||
		    (ep && (!mlb_addr_eq(&srv->addr, &ep->addr) || (ep->port && srv->port != clib_host_to_net_u16(ep->port)))))
			continue;
		__atomic_store_n(&srv->flush_us, now, __ATOMIC_RELAXED);
		any = true;
	}
	if (ep && !any)
		return lb_rl_fail(err, VNET_API_ERROR_NO_SUCH_ENTRY, "VIP %s has no server %s, nor flows of one", v->name,
				  mlb_endpoint_text(ep, text));
	__atomic_store_n(&v->flushes, 1, __ATOMIC_RELEASE);
	return 0;
}

/* Does the VIP have another server of this address (another port)? */
static bool lb_rl_vip_has_addr(const lb_rl_vip_t *v, const struct mlb_addr *a)
{
	for (u32 i = 0; i < v->capacity; i++)
		if (v->server[i].id && mlb_addr_eq(&v->server[i].addr, a))
			return true;
	return false;
}

int lb_rl_hook_may(void *arg, u32 vip_id, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN])
{
	return lb_rl_check_server(&lb_rl_main.vip[vip_id], ep, err);
}

void lb_rl_hook_notice(void *arg, const char *text)
{
	lb_rl_log_notice("%s", text);
}

int lb_rl_hook_up(void *arg, u32 vip_id, struct mlb_server *s)
{
	lb_rl_vip_t *v = &lb_rl_main.vip[vip_id];
	lb_rl_server_t *srv = &v->server[s->slot];
	u32 sum = 0;

	/* Of one list of the agent's: each was asked for before any of them came. */
	if (!lb_rl_quic_may(v, v->quic, &s->ep.addr))
		return -EINVAL;
	if (lb_rl_both_ways(v) && lb_rl_sharers_set(v, &s->ep.addr, true) != 0)
		return -ENOMEM;
	clib_memset(srv, 0, sizeof(*srv));
	srv->addr = s->ep.addr;
	srv->port = clib_host_to_net_u16(s->ep.port);
	srv->vip_id = vip_id;
	for (u32 i = 0; i < 16; i += 2)
		sum += (u16) ~(*(u16 *)(v->addr.b + i)) + *(u16 *)(srv->addr.b + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	srv->addr_delta = sum;
	lb_rl_outer_ready(v, srv);
	lb_rl_stats_server(v, s->slot, &s->ep);
	lb_rl_server_track(v, s->slot);
	v->slots = clib_max(v->slots, s->slot + 1u);
	/* From here on the nodes may use it. */
	__atomic_store_n(&srv->id, s->id, __ATOMIC_RELEASE);
	lb_rl_quic_set(v, s->slot, true);
	return 0;
}

void lb_rl_hook_gone(void *arg, u32 vip_id, struct mlb_server *s)
{
	lb_rl_vip_t *v = &lb_rl_main.vip[vip_id];
	lb_rl_server_t *srv = &v->server[s->slot];

	if (srv->id != s->id)
		return;
	lb_rl_quic_set(v, s->slot, false);
	srv->id = 0;
	lb_rl_server_untrack(v, s->slot);
	lb_rl_stats_server(v, s->slot, 0);
	if (lb_rl_both_ways(v) && !lb_rl_vip_has_addr(v, &srv->addr))
		lb_rl_sharers_set(v, &srv->addr, false); /* left there without memory: its flows say whose a reply is */
}

void lb_rl_servers_untrack(lb_rl_vip_t *v)
{
	for (u32 s = 0; s < v->capacity; s++)
		if (v->server[s].id) {
			v->server[s].id = 0;
			lb_rl_server_untrack(v, s);
			lb_rl_stats_server(v, s, 0);
		}
}
