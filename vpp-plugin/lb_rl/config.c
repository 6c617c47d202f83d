/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs and servers: every change, whether it comes from the CLI or the API. Checked whole before anything changes. */
#include <lb_rl/lb_rl.h>
#include <vnet/feature/feature.h>
#include <vnet/ip/reass/ip4_sv_reass.h>
#include <vnet/ip/reass/ip6_sv_reass.h>

#define LBRL_FAIL(rv, ...) (snprintf(err, 256, __VA_ARGS__), (rv))

static u64 lbrl_ring_seed(const lbrl_vip_t *v)
{
	u64 x = 0, y;
	for (u32 i = 0; i < 16; i += 8) {
		clib_memcpy(&y, v->addr.b + i, 8);
		x ^= y;
		x = mlb_splitmix64(&x);
	}
	/* The lowest port stands for all, in whatever order they were named. */
	u64 low = v->n_ports ? ~0ULL : 0;
	for (u32 i = 0; i < v->n_ports; i++)
		low = clib_min(low, (u64)v->ports[i].proto << 16 | v->ports[i].port);
	x ^= low;
	return mlb_splitmix64(&x);
}

/* Calls for each port of a VIP, or once with port 0 where it has all. */
#define lbrl_foreach_port(q, vip) \
	for (const lbrl_port_t all_ = {}, *q = (vip)->n_ports ? (vip)->ports : &all_, *end_ = q + clib_max((vip)->n_ports, 1); \
	     q < end_; q++)

static lbrl_prefix_t *lbrl_prefix_find(const fib_prefix_t *pfx)
{
	lbrl_prefix_t *free = 0;
	for (u32 i = 0; i < LBRL_MAX_PREFIXES; i++) {
		lbrl_prefix_t *p = &lbrl_main.prefix[i];
		if (p->vips && fib_prefix_cmp(&p->pfx, pfx) == 0)
			return p;
		if (!p->vips && !free)
			free = p;
	}
	return free;
}

static u32 lbrl_proto_index(u8 proto)
{
	return proto == IP_PROTOCOL_UDP;
}

/* VIP id that a prefix has for a protocol and port exactly as configured (0 = none). */
static u32 lbrl_prefix_taken(const lbrl_prefix_t *p, u8 proto, u16 port)
{
	u32 i = lbrl_proto_index(proto);
	if (!port)
		return p->any[0] ? p->any[0] : p->any[1];
	if (!p->by_port[i])
		return 0;
	u32 id = p->by_port[i][port];
	return id && lbrl_main.vip[id].n_ports ? id : 0;
}

static void lbrl_prefix_set(lbrl_prefix_t *p, u8 proto, u16 port, u8 id)
{
	if (!port) {
		for (u32 i = 0; i < 2; i++) {
			for (u32 q = 0; p->by_port[i] && q < 65536; q++)
				if (p->by_port[i][q] == p->any[i])
					p->by_port[i][q] = id;
			p->any[i] = id;
		}
		return;
	}
	u32 i = lbrl_proto_index(proto);
	if (!p->by_port[i]) {
		u8 *map = 0;
		vec_validate_init_empty(map, 65535, p->any[i]);
		__atomic_store_n(&p->by_port[i], map, __ATOMIC_RELEASE);
	}
	p->by_port[i][port] = id ? id : p->any[i];
}

lbrl_vip_t *lbrl_vip_by_name(const char *name)
{
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lbrl_main.vip[id].used == 1 && !strcmp(lbrl_main.vip[id].name, name))
			return &lbrl_main.vip[id];
	return 0;
}

lbrl_vip_t *lbrl_vip_or_only(const char *name, char err[256])
{
	lbrl_vip_t *only = 0;

	if (name && name[0]) {
		only = lbrl_vip_by_name(name);
		if (!only)
			snprintf(err, 256, "no VIP of name %s; `lb rl show config` lists them", name);
		return only;
	}
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++)
		if (lbrl_main.vip[id].used == 1) {
			if (only) {
				snprintf(err, 256, "several VIPs: say which with `vip NAME`");
				return 0;
			}
			only = &lbrl_main.vip[id];
		}
	if (!only)
		snprintf(err, 256, "no VIP yet: `lb rl set-vip` first");
	return only;
}

static int lbrl_vip_check(const lbrl_vip_args_t *a, const fib_prefix_t *pfx, const lbrl_prefix_t *p, char err[256])
{
	u32 full = a->is_ip6 ? 128 : 32;

	if (!lbrl_main.enabled)
		return LBRL_FAIL(VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	if (!a->name[0])
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "a name of 1..31 characters expected");
	if (lbrl_vip_by_name(a->name))
		return LBRL_FAIL(VNET_API_ERROR_VALUE_EXIST, "VIP %s exists; `lb rl set-vip %s del` removes it", a->name,
				 a->name);
	if (a->plen > full || (a->is_ip6 && a->plen < 64))
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "prefix length %s expected", a->is_ip6 ? "64..128" : "0..32");
	if (a->n_ports > LBRL_MAX_PORTS)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "at most %u ports of one VIP", LBRL_MAX_PORTS);
	for (u32 i = 0; i < a->n_ports; i++) {
		if (!a->ports[i].port)
			return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "port 1..65535 expected; no port at all for all ports");
		if (a->ports[i].proto != IP_PROTOCOL_TCP && a->ports[i].proto != IP_PROTOCOL_UDP)
			return LBRL_FAIL(VNET_API_ERROR_INVALID_PROTOCOL, "protocol tcp or udp expected");
		for (u32 j = 0; j < i; j++)
			if (a->ports[j].port == a->ports[i].port && a->ports[j].proto == a->ports[i].proto)
				return LBRL_FAIL(VNET_API_ERROR_VALUE_EXIST, "%s port %u is named twice",
						 lbrl_proto_name(a->ports[i].proto), a->ports[i].port);
	}
	if (a->dscp > 63)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "dscp 0..63 expected");
	if (a->fwd == LBRL_FWD_NAT && a->plen != full)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE,
				 "nat needs one address (/%u): a reply does not say which of a prefix it is from", full);
	u8 outer = a->fwd == LBRL_FWD_GRE6 || a->fwd == LBRL_FWD_IPIP6 ? 6 : 4;
	if (lbrl_fwd_is_tunnel(a->fwd) && a->src_set != outer)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "%s needs `src <IPv%u address>`, the outer source",
				 lbrl_fwd_names[a->fwd], outer);
	if (a->src_set && !lbrl_fwd_is_tunnel(a->fwd))
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "%s has no outer header: leave src out", lbrl_fwd_names[a->fwd]);
	if (a->load == MLB_LOAD_WAITING && a->fwd != LBRL_FWD_NAT)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "load waiting needs nat: %s sees the client's side only",
				 lbrl_fwd_names[a->fwd]);
	if (a->capacity > MLB_MAX_SERVERS_PER_VIP)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "max-servers 1..%u expected", MLB_MAX_SERVERS_PER_VIP);
	if (!p)
		return LBRL_FAIL(VNET_API_ERROR_TABLE_TOO_BIG, "at most %u VIP prefixes", LBRL_MAX_PREFIXES);
	if (p->vips && p->fwd_nat != (a->fwd == LBRL_FWD_NAT))
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "VIPs of one address are all nat, or none is");
	lbrl_foreach_port(q, a)
	{
		u32 other = p->vips ? lbrl_prefix_taken(p, q->proto, q->port) : 0;
		if (other && q->port)
			return LBRL_FAIL(VNET_API_ERROR_VALUE_EXIST, "VIP %s has %s port %u of this address",
					 lbrl_main.vip[other].name, lbrl_proto_name(q->proto), q->port);
		if (other)
			return LBRL_FAIL(VNET_API_ERROR_VALUE_EXIST, "VIP %s has all ports of this address",
					 lbrl_main.vip[other].name);
	}
	return 0;
}

int lbrl_vip_add(const lbrl_vip_args_t *a, char err[256])
{
	lbrl_main_t *m = &lbrl_main;
	fib_prefix_t pfx = { .fp_len = a->plen, .fp_proto = a->is_ip6 ? FIB_PROTOCOL_IP6 : FIB_PROTOCOL_IP4, .fp_addr = a->addr };
	struct mlb_vip_conf conf = {
		.mode = a->mode ? a->mode : MLB_MODE_SED, .load = a->load, .eject = !a->eject_off, .no_guard = a->guard_off
	};
	u32 id;

	fib_prefix_normalize(&pfx, &pfx);
	lbrl_prefix_t *p = lbrl_prefix_find(&pfx);
	int rv = lbrl_vip_check(a, &pfx, p, err);
	if (rv)
		return rv;

	snprintf(conf.name, sizeof(conf.name), "%s", a->name);
	lbrl_addr_from_ip46(&conf.ep.addr, &pfx.fp_addr, a->is_ip6);
	conf.ep.port = a->ports[0].port;
	conf.ep.proto = a->ports[0].proto;
	conf.prefix_len = a->is_ip6 ? a->plen : a->plen + 96;
	conf.capacity = a->capacity ? a->capacity : MLB_MAX_SERVERS_PER_VIP;
	conf.one_way = a->fwd != LBRL_FWD_NAT;
	conf.load_balancers = 1;
	if (mlb_dp_vip_add(m->dp, &conf, &id, err) < 0)
		return VNET_API_ERROR_INVALID_VALUE;

	lbrl_vip_t *v = &m->vip[id];
	if (v->used == 2)
		clib_mem_free(v->server);
	clib_memset(v, 0, sizeof(*v));
	v->server = clib_mem_alloc_aligned(conf.capacity * sizeof(lbrl_server_t), CLIB_CACHE_LINE_BYTES);
	clib_memset(v->server, 0, conf.capacity * sizeof(lbrl_server_t));
	v->fwd = a->fwd;
	v->tos = a->dscp << 2;
	v->sticky = a->sticky;
	v->is_ip6 = a->is_ip6;
	v->n_ports = a->n_ports;
	clib_memcpy(v->ports, a->ports, sizeof(v->ports));
	v->port = a->n_ports == 1 ? a->ports[0].port : 0;
	v->id = id;
	v->prefix = p - m->prefix;
	v->addr = conf.ep.addr;
	v->plen = a->plen;
	v->capacity = conf.capacity;
	v->host_mask4 = a->is_ip6 || a->plen == 32 ? 0 : clib_host_to_net_u32(0xffffffffu >> a->plen);
	lbrl_addr_from_ip46(&v->src, &a->src, a->fwd == LBRL_FWD_GRE6 || a->fwd == LBRL_FWD_IPIP6);
	v->ring_seed = lbrl_ring_seed(v);
	snprintf(v->name, sizeof(v->name), "%s", a->name);
	lbrl_stats_vip(v);
	v->used = 1;

	if (!p->vips++) {
		p->pfx = pfx;
		p->host_mask4 = v->host_mask4;
		p->fwd_nat = a->fwd == LBRL_FWD_NAT;
	}
	lbrl_foreach_port(q, v) lbrl_prefix_set(p, q->proto, q->port, id);
	if (m->started)
		lbrl_prefix_install(p);
	if (vec_len(m->staged)) {
		rv = lbrl_servers_set(v->name, m->staged, m->staged_weight, vec_len(m->staged), err);
		vec_reset_length(m->staged);
		vec_reset_length(m->staged_weight);
	}
	return rv;
}

int lbrl_vip_del(const char *name, char err[256])
{
	lbrl_vip_t *v = lbrl_vip_or_only(name, err);
	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	lbrl_prefix_t *p = &lbrl_main.prefix[v->prefix];
	lbrl_foreach_port(q, v) lbrl_prefix_set(p, q->proto, q->port, 0);
	if (!--p->vips)
		lbrl_prefix_remove(p);
	v->used = 2;
	if (mlb_dp_vip_del(lbrl_main.dp, v->id, err) < 0)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	return 0;
}

/* A family or port that cannot be forwarded to is refused here, with the reason, rather than by dp's hook. */
static int lbrl_endpoint_check(const lbrl_vip_t *v, const struct mlb_endpoint *ep, char err[256])
{
	bool want4 = v->fwd == LBRL_FWD_GRE4 || v->fwd == LBRL_FWD_IPIP4 || (!lbrl_fwd_is_tunnel(v->fwd) && !v->is_ip6);

	if (lbrl_addr_is_ip4(&ep->addr) != want4)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_ADDRESS_FAMILY, "VIP %s (%s) has %s servers", v->name,
				 lbrl_fwd_names[v->fwd], want4 ? "IPv4" : "IPv6");
	if (ep->port && v->fwd != LBRL_FWD_NAT && ep->port != v->port)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE, "%s keeps the packet's port: leave the server's port out",
				 lbrl_fwd_names[v->fwd]);
	if (ep->port && !v->port)
		return LBRL_FAIL(VNET_API_ERROR_INVALID_VALUE,
				 "VIP %s has %s ports, servers take the packet's: leave the server's port out", v->name,
				 v->n_ports ? "several" : "all");
	return 0;
}

static int lbrl_rv(int r)
{
	switch (r) {
	case 0: return 0;
	case -EEXIST: return VNET_API_ERROR_VALUE_EXIST;
	case -EPERM: return VNET_API_ERROR_INSTANCE_IN_USE;
	case -ENOENT: return VNET_API_ERROR_NO_SUCH_ENTRY;
	case -ENOSPC: return VNET_API_ERROR_TABLE_TOO_BIG;
	default: return VNET_API_ERROR_INVALID_VALUE;
	}
}

int lbrl_servers_set(const char *vip, const struct mlb_endpoint *ep, const f32 *w, u32 n, char err[256])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	for (u32 i = 0; i < n; i++) {
		int rv = lbrl_endpoint_check(v, &ep[i], err);
		if (rv)
			return rv;
	}
	return lbrl_rv(mlb_dp_server_set(lbrl_main.dp, v->id, ep, w, n, err));
}

/* An existing server with another weight: the weight changes. */
int lbrl_server_add(const char *vip, const struct mlb_endpoint *ep, f32 w, char err[256])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	u32 id;
	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	int rv = lbrl_endpoint_check(v, ep, err);
	if (rv)
		return rv;
	rv = mlb_dp_server_add(lbrl_main.dp, v->id, ep, w, &id, err);
	if (rv == -EEXIST)
		rv = mlb_dp_server_weight(lbrl_main.dp, v->id, ep, w, err);
	return lbrl_rv(rv);
}

int lbrl_server_del(const char *vip, const struct mlb_endpoint *ep, char err[256])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	return v ? lbrl_rv(mlb_dp_server_del(lbrl_main.dp, v->id, ep, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}

int lbrl_server_drain(const char *vip, const struct mlb_endpoint *ep, bool drain, char err[256])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	return v ? lbrl_rv(mlb_dp_server_drain(lbrl_main.dp, v->id, ep, drain, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}

int lbrl_set_mode(const char *vip, enum mlb_mode mode, char err[256])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	return v ? lbrl_rv(mlb_dp_set_mode(lbrl_main.dp, v->id, mode, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}

int lbrl_nat_interface(u32 sw_if_index, bool add, char err[256])
{
	u32 at = vec_search(lbrl_main.nat_interfaces, sw_if_index);

	if (add && !lbrl_main.enabled)
		return LBRL_FAIL(VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	if (add == (at != ~0))
		return LBRL_FAIL(add ? VNET_API_ERROR_VALUE_EXIST : VNET_API_ERROR_NO_SUCH_ENTRY, "the interface is %s",
				 add ? "set already" : "not set");
	/* Fragments of replies need their first one's ports. */
	ip4_sv_reass_enable_disable_with_refcnt(sw_if_index, add);
	ip6_sv_reass_enable_disable_with_refcnt(sw_if_index, add);
	int rv = vnet_feature_enable_disable("ip4-unicast", "lb-rl-return4", sw_if_index, add, 0, 0);
	if (!rv)
		rv = vnet_feature_enable_disable("ip6-unicast", "lb-rl-return6", sw_if_index, add, 0, 0);
	if (rv)
		return LBRL_FAIL(rv, "the interface does not take IP features");
	if (add)
		vec_add1(lbrl_main.nat_interfaces, sw_if_index);
	else
		vec_del1(lbrl_main.nat_interfaces, at);
	return 0;
}
