/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/dpo.h>
#include <lb_rl/error.h>
#include <lb_rl/lookup.h>
#include <lb_rl/names.h>
#include <lb_rl/prefix.h>
#include <lb_rl/server.h>
#include <lb_rl/stats.h>
#include <lb_rl/vip.h>

static int lbrl_check_ports(const lbrl_vip_args_t *a, char err[MLB_ERR_LEN])
{
	if (a->n_ports > LBRL_MAX_PORTS)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "at most %u ports of one VIP", LBRL_MAX_PORTS);
	for (u32 i = 0; i < a->n_ports; i++) {
		const lbrl_port_t *q = &a->ports[i];
		if (!q->port)
			return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE,
					 "port 1..65535 expected; no port at all for all ports");
		if (q->proto != IP_PROTOCOL_TCP && q->proto != IP_PROTOCOL_UDP)
			return lbrl_fail(err, VNET_API_ERROR_INVALID_PROTOCOL, "protocol tcp or udp expected");
		for (u32 j = 0; j < i; j++)
			if (a->ports[j].port == q->port && a->ports[j].proto == q->proto)
				return lbrl_fail(err, VNET_API_ERROR_VALUE_EXIST, "%s port %u is named twice",
						 lbrl_proto_name(q->proto), q->port);
	}
	return 0;
}

/* What the way of forwarding asks for. */
static int lbrl_check_forwarding(const lbrl_vip_args_t *a, char err[MLB_ERR_LEN])
{
	const lbrl_fwd_ops_t *f = &lbrl_fwd_ops[a->fwd];
	u32 full = a->is_ip6 ? 128 : 32;

	if (a->dscp > 63)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "dscp 0..63 expected");
	if (a->dscp && !f->takes_dscp)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s sets no DSCP: leave dscp out", f->name);
	if (f->one_address && a->plen != full)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				 "%s needs one address (/%u): a reply does not say which of a prefix it is from", f->name, full);
	if (f->outer && a->src_set != f->outer)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s needs `src <IPv%u address>`, the outer source", f->name,
				 f->outer);
	struct mlb_addr src = lbrl_addr_of(&a->src, f->outer == 6);
	if (f->outer && !lbrl_addr_is_host(&src))
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "src: the address of a host expected");
	if (a->src_set && !f->outer)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s has no outer header: leave src out", f->name);
	if (a->outer_port && !f->outer_port)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s has no outer UDP header: leave outer-port out", f->name);
	if (a->load == MLB_LOAD_WAITING && f->one_way)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "load waiting needs nat: %s sees the client's side only",
				 f->name);
	return 0;
}

/* Its place among the VIPs of the same prefix. */
static int lbrl_check_place(const lbrl_vip_args_t *a, const lbrl_prefix_t *p, char err[MLB_ERR_LEN])
{
	if (!p)
		return lbrl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG, "at most %u VIP prefixes", LBRL_MAX_PREFIXES);
	if (p->vips && p->both_ways == lbrl_fwd_ops[a->fwd].one_way)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "VIPs of one address are all nat, or none is");
	lbrl_foreach_port(q, a)
	{
		u32 other = p->vips ? lbrl_prefix_taken(p, q->proto, q->port) : 0;
		if (other && q->port)
			return lbrl_fail(err, VNET_API_ERROR_VALUE_EXIST, "VIP %s has %s port %u of this address",
					 lbrl_main.vip[other].name, lbrl_proto_name(q->proto), q->port);
		if (other)
			return lbrl_fail(err, VNET_API_ERROR_VALUE_EXIST, "VIP %s has all ports of this address",
					 lbrl_main.vip[other].name);
	}
	return 0;
}

static int lbrl_check_vip(const lbrl_vip_args_t *a, const fib_prefix_t *pfx, const lbrl_prefix_t *p, char err[MLB_ERR_LEN])
{
	int rv;

	if (!lbrl_main.enabled)
		return lbrl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	if (!lbrl_name_ok(a->name))
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				 "a name of 1..31 characters expected: letters, digits, `-`, `_`, `.`");
	if (lbrl_vip_by_name(a->name))
		return lbrl_fail(err, VNET_API_ERROR_VALUE_EXIST, "VIP %s exists; `lb rl set-vip %s del` removes it", a->name,
				 a->name);
	if (a->plen > (a->is_ip6 ? 128 : 32))
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "prefix length %s expected", a->is_ip6 ? "0..128" : "0..32");
	if (lbrl_prefix_is_own(pfx))
		return lbrl_fail(err, VNET_API_ERROR_ADDRESS_IN_USE,
				 "it is an interface's own address, which VPP keeps for itself: take it off the interface first");
	if (a->capacity > MLB_MAX_SERVERS_PER_VIP)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "max-servers 1..%u expected", MLB_MAX_SERVERS_PER_VIP);
	if ((rv = lbrl_check_ports(a, err)) || (rv = lbrl_check_forwarding(a, err)))
		return rv;
	return lbrl_check_place(a, p, err);
}

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

/* The record that packets read; reachable only once a prefix names it. */
static void lbrl_vip_fill(lbrl_vip_t *v, u32 id, const lbrl_vip_args_t *a, const struct mlb_vip_conf *conf, u32 prefix)
{
	if (v->used == LBRL_VIP_DELETED)
		clib_mem_free(v->server);
	clib_memset(v, 0, sizeof(*v));
	v->server = clib_mem_alloc_aligned(conf->capacity * sizeof(lbrl_server_t), CLIB_CACHE_LINE_BYTES);
	clib_memset(v->server, 0, conf->capacity * sizeof(lbrl_server_t));
	v->fwd = a->fwd;
	v->tos = a->dscp << 2;
	v->sticky = a->sticky;
	v->is_ip6 = a->is_ip6;
	v->n_ports = a->n_ports;
	clib_memcpy(v->ports, a->ports, sizeof(v->ports));
	v->port = a->n_ports == 1 ? a->ports[0].port : 0;
	v->id = id;
	v->prefix = prefix;
	v->addr = conf->ep.addr;
	v->plen = a->plen;
	v->capacity = conf->capacity;
	v->host_mask4 = a->is_ip6 || a->plen == 32 ? 0 : clib_host_to_net_u32(0xffffffffu >> a->plen);
	v->src = lbrl_addr_of(&a->src, lbrl_fwd_ops[a->fwd].outer == 6);
	v->outer_port = a->outer_port ? a->outer_port : lbrl_fwd_ops[a->fwd].outer_port;
	v->ring_seed = lbrl_ring_seed(v);
	clib_memcpy(v->name, conf->name, sizeof(v->name));
	lbrl_stats_vip(v);
	v->used = LBRL_VIP_ACTIVE;
}

int lbrl_vip_add(const lbrl_vip_args_t *a, char err[MLB_ERR_LEN])
{
	lbrl_main_t *m = &lbrl_main;
	fib_prefix_t pfx = { .fp_len = a->plen, .fp_proto = a->is_ip6 ? FIB_PROTOCOL_IP6 : FIB_PROTOCOL_IP4, .fp_addr = a->addr };
	struct mlb_vip_conf conf = {
		.mode = a->mode ? a->mode : MLB_MODE_SED, .load = a->load, .eject = !a->eject_off, .no_guard = a->guard_off
	};
	u32 id;

	fib_prefix_normalize(&pfx, &pfx);
	lbrl_prefix_t *p = lbrl_prefix_find(&pfx);
	int rv = lbrl_check_vip(a, &pfx, p, err);
	if (rv)
		return rv;

	snprintf(conf.name, sizeof(conf.name), "%s", a->name);
	conf.ep = (struct mlb_endpoint){ .addr = lbrl_addr_of(&pfx.fp_addr, a->is_ip6),
					 .port = a->ports[0].port,
					 .proto = a->ports[0].proto };
	conf.prefix_len = a->is_ip6 ? a->plen : a->plen + 96;
	conf.capacity = a->capacity ? a->capacity : MLB_MAX_SERVERS_PER_VIP;
	conf.one_way = lbrl_fwd_ops[a->fwd].one_way;
	conf.load_balancers = 1;
	rv = lbrl_rv(mlb_dp_vip_add(m->dp, &conf, &id, err));
	if (rv)
		return rv;
	lbrl_vip_t *v = &m->vip[id];
	lbrl_vip_fill(v, id, a, &conf, p - m->prefix);

	if (!p->vips++) {
		p->pfx = pfx;
		p->host_mask4 = v->host_mask4;
		p->apart6 = v->is_ip6 && v->plen < 128;
		p->both_ways = lbrl_both_ways(v);
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

int lbrl_vip_del(const char *name, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *v = lbrl_vip_or_only(name, err);

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	lbrl_prefix_t *p = &lbrl_main.prefix[v->prefix];
	lbrl_foreach_port(q, v) lbrl_prefix_set(p, q->proto, q->port, 0);
	if (!--p->vips)
		lbrl_prefix_remove(p);
	v->used = LBRL_VIP_DELETED;
	return lbrl_rv(mlb_dp_vip_del(lbrl_main.dp, v->id, err));
}

int lbrl_set_mode(const char *vip, enum mlb_mode mode, char err[MLB_ERR_LEN])
{
	lbrl_vip_t *v = lbrl_vip_or_only(vip, err);
	return v ? lbrl_rv(mlb_dp_set_mode(lbrl_main.dp, v->id, mode, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}
