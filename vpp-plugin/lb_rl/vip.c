/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/dpo.h>
#include <lb_rl/error.h>
#include <lb_rl/lookup.h>
#include <lb_rl/names.h>
#include <lb_rl/prefix.h>
#include <lb_rl/quic.h>
#include <lb_rl/recount.h>
#include <lb_rl/route.h>
#include <lb_rl/server.h>
#include <lb_rl/stats.h>
#include <lb_rl/vip.h>
#include <vnet/fib/fib_table.h>

static int lb_rl_check_ports(const lb_rl_vip_args_t *a, char err[MLB_ERR_LEN])
{
	if (a->n_ports > LB_RL_MAX_PORTS)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "at most %u ports of one VIP", LB_RL_MAX_PORTS);
	for (u32 i = 0; i < a->n_ports; i++) {
		const lb_rl_port_t *q = &a->ports[i];
		if (!q->port)
			return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE,
					  "port 1..65535 expected; no port at all for all ports");
		if (q->proto != IP_PROTOCOL_TCP && q->proto != IP_PROTOCOL_UDP)
			return lb_rl_fail(err, VNET_API_ERROR_INVALID_PROTOCOL, "protocol tcp or udp expected");
		for (u32 j = 0; j < i; j++)
			if (a->ports[j].port == q->port && a->ports[j].proto == q->proto)
				return lb_rl_fail(err, VNET_API_ERROR_VALUE_EXIST, "%s port %u is named twice",
						  lb_rl_proto_name(q->proto), q->port);
	}
	return 0;
}

/* What the way of forwarding asks for. */
static int lb_rl_check_forwarding(const lb_rl_vip_args_t *a, char err[MLB_ERR_LEN])
{
	const lb_rl_fwd_ops_t *f = &lb_rl_fwd_ops[a->fwd];
	u32 full = a->is_ip6 ? 128 : 32;

	if (a->dscp > 63)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "dscp 0..63 expected");
	if (a->dscp && !f->takes_dscp)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s sets no DSCP: leave dscp out", f->name);
	if (f->one_address && a->plen != full)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				  "%s needs one address (/%u): a reply does not say which of a prefix it is from", f->name, full);
	if (f->outer && a->src_set != f->outer)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s needs `src <IPv%u address>`, the outer source", f->name,
				  f->outer);
	struct mlb_addr src = lb_rl_addr_of(&a->src, f->outer == 6);
	if (f->outer && !lb_rl_addr_is_host(&src))
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "src: the address of a host expected");
	if (a->src_set && !f->outer)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s has no outer header: leave src out", f->name);
	if (a->outer_port && !f->outer_port)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "%s has no outer UDP header: leave outer-port out", f->name);
	if (a->quic > LB_RL_MOST_QUIC)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "quic-lb 1..%u bytes expected", LB_RL_MOST_QUIC);
	if (a->mss && f->one_way)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				  "mss needs nat: with %s servers' answers pass VPP by, and they alone say how long a client's "
				  "segments may be; set `advmss` on the servers' routes",
				  f->name);
	if (a->mss && (a->mss < LB_RL_LEAST_MSS || a->mss > LB_RL_MOST_MSS))
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "mss %u..%u expected", LB_RL_LEAST_MSS, LB_RL_MOST_MSS);
	if (a->load == MLB_LOAD_WAITING && f->one_way)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "load waiting needs nat: %s sees the client's side only",
				  f->name);
	return 0;
}

/* Its place among the VIPs of the same prefix; self: the VIP itself where there is it already, else 0. */
static int lb_rl_check_place(const lb_rl_vip_args_t *a, const lb_rl_prefix_t *p, u32 self, char err[MLB_ERR_LEN])
{
	if (!p)
		return lb_rl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG, "at most %u VIP prefixes", LB_RL_MAX_PREFIXES);
	if (p->vips > (self != 0) && p->both_ways == lb_rl_fwd_ops[a->fwd].one_way)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "VIPs of one address are all nat, or none is");
	lb_rl_foreach_port(q, a)
	{
		u32 other = p->vips ? lb_rl_prefix_taken(p, q->proto, q->port) : 0;
		if (other == self)
			continue;
		if (other && q->port)
			return lb_rl_fail(err, VNET_API_ERROR_VALUE_EXIST, "VIP %s has %s port %u of this address",
					  lb_rl_main.vip[other].name, lb_rl_proto_name(q->proto), q->port);
		if (other)
			return lb_rl_fail(err, VNET_API_ERROR_VALUE_EXIST, "VIP %s has all ports of this address",
					  lb_rl_main.vip[other].name);
	}
	return 0;
}

/* Tables of the FIB by family, as indices; false: there is no such table. */
static bool lb_rl_find_tables(const lb_rl_vip_args_t *a, u32 *own, u32 *via)
{
	u8 outer = lb_rl_fwd_ops[a->fwd].outer;
	bool via6 = outer ? outer == 6 : a->is_ip6;

	*own = fib_table_find(a->is_ip6 ? FIB_PROTOCOL_IP6 : FIB_PROTOCOL_IP4, a->table);
	*via = fib_table_find(via6 ? FIB_PROTOCOL_IP6 : FIB_PROTOCOL_IP4, a->table);
	return *own != ~0 && *via != ~0;
}

/* What a VIP asks for, new or not. */
static int lb_rl_check_args(const lb_rl_vip_args_t *a, u32 *own, u32 *via, char err[MLB_ERR_LEN])
{
	int rv;

	if (!lb_rl_main.enabled)
		return lb_rl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	if (!lb_rl_name_ok(a->name))
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				  "a name of 1..31 characters expected: letters, digits, `-`, `_`, `.`");
	if (a->plen > (a->is_ip6 ? 128 : 32))
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "prefix length %s expected", a->is_ip6 ? "0..128" : "0..32");
	if (a->capacity > MLB_MAX_SERVERS_PER_VIP)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "max-servers 1..%u expected", MLB_MAX_SERVERS_PER_VIP);
	if ((rv = lb_rl_check_ports(a, err)) || (rv = lb_rl_check_forwarding(a, err)))
		return rv;
	if (!lb_rl_find_tables(a, own, via))
		return lb_rl_fail(
			err, VNET_API_ERROR_NO_SUCH_FIB,
			"there is no table %u of the VIP's and its servers' family: `ip table add %u`, `ip6 table add %u`",
			a->table, a->table, a->table);
	return 0;
}

static int lb_rl_check_new(const lb_rl_vip_args_t *a, const fib_prefix_t *pfx, const lb_rl_prefix_t *p, u32 fib_index,
			   char err[MLB_ERR_LEN])
{
	if (lb_rl_prefix_is_own(fib_index, pfx))
		return lb_rl_fail(
			err, VNET_API_ERROR_ADDRESS_IN_USE,
			"it is an interface's own address, which VPP keeps for itself: take it off the interface first");
	return lb_rl_check_place(a, p, 0, err);
}

static u64 lb_rl_ring_seed(const lb_rl_vip_t *v)
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

/* What of the record may change while packets read it; then workers stand still. */
static void lb_rl_vip_shape(lb_rl_vip_t *v, const lb_rl_vip_args_t *a)
{
	v->fwd = a->fwd;
	v->tos = a->dscp << 2;
	v->mss = a->mss;
	v->quic = a->quic;
	v->sticky = a->sticky;
	v->n_ports = a->n_ports;
	clib_memcpy(v->ports, a->ports, sizeof(v->ports));
	v->port = a->n_ports == 1 ? a->ports[0].port : 0;
	v->src = lb_rl_addr_of(&a->src, lb_rl_fwd_ops[a->fwd].outer == 6);
	v->outer_port = a->outer_port ? a->outer_port : lb_rl_fwd_ops[a->fwd].outer_port;
	v->ring_seed = lb_rl_ring_seed(v);
}

/* The record that packets read; reachable only once a prefix names it. */
static void lb_rl_vip_fill(lb_rl_vip_t *v, u32 id, const lb_rl_vip_args_t *a, const struct mlb_vip_conf *conf, u32 prefix,
			   u32 via_fib, lb_rl_server_t *servers)
{
	if (v->used == LB_RL_VIP_DELETED)
		clib_mem_free(v->server);
	clib_memset(v, 0, sizeof(*v));
	v->server = servers;
	v->is_ip6 = a->is_ip6;
	v->id = id;
	v->prefix = prefix;
	v->addr = conf->ep.addr;
	v->plen = a->plen;
	v->capacity = conf->capacity;
	v->host_mask4 = a->is_ip6 || a->plen == 32 ? 0 : clib_host_to_net_u32(0xffffffffu >> a->plen);
	v->table = a->table;
	v->fib_index = lb_rl_main.prefix[prefix].fib_index;
	v->via_fib = via_fib;
	lb_rl_vip_shape(v, a);
	clib_memcpy(v->name, conf->name, sizeof(v->name));
	lb_rl_stats_vip(v);
	lb_rl_recount_room(id, v->capacity);
	v->used = LB_RL_VIP_ACTIVE;
}

/* Each VIP's room for servers costs memory, of this heap and of the stat segment: of many VIPs each has the less. */
static u32 lb_rl_default_capacity(void)
{
	u64 all = (u64)MLB_DEFAULT_MAX_VIPS * MLB_MAX_SERVERS_PER_VIP;
	return clib_min(MLB_MAX_SERVERS_PER_VIP, all / lb_rl_main.limits.vips);
}

/* NULL: no memory. */
static lb_rl_server_t *lb_rl_servers_new(u32 capacity)
{
	lb_rl_server_t *s = clib_mem_alloc_aligned_or_null(capacity * sizeof(*s), CLIB_CACHE_LINE_BYTES);

	if (s)
		clib_memset(s, 0, capacity * sizeof(*s));
	return s;
}

/* As the core has it. */
static struct mlb_vip_conf lb_rl_core_conf(const lb_rl_vip_args_t *a, const fib_prefix_t *pfx)
{
	struct mlb_vip_conf conf = { .mode = a->mode, .load = a->load, .eject = !a->eject_off, .no_guard = a->guard_off };

	snprintf(conf.name, sizeof(conf.name), "%s", a->name);
	conf.ep = (struct mlb_endpoint){ .addr = lb_rl_addr_of(&pfx->fp_addr, a->is_ip6),
					 .port = a->ports[0].port,
					 .proto = a->ports[0].proto };
	conf.prefix_len = a->is_ip6 ? a->plen : a->plen + 96;
	conf.capacity = a->capacity ? a->capacity : lb_rl_default_capacity();
	conf.one_way = lb_rl_fwd_ops[a->fwd].one_way;
	conf.load_balancers = 1;
	return conf;
}

static int lb_rl_vip_add(const lb_rl_vip_args_t *a, const fib_prefix_t *pfx, u32 fib_index, u32 via_fib, char err[MLB_ERR_LEN])
{
	lb_rl_main_t *m = &lb_rl_main;
	lb_rl_prefix_t *p = lb_rl_prefix_find(fib_index, pfx);
	struct mlb_vip_conf conf = lb_rl_core_conf(a, pfx);
	u32 id;

	int rv = lb_rl_check_new(a, pfx, p, fib_index, err);
	if (rv)
		return rv;
	conf.mode = conf.mode ? conf.mode : MLB_MODE_SED;
	if (!lb_rl_stats_fit(conf.capacity, err))
		return VNET_API_ERROR_TABLE_TOO_BIG;
	lb_rl_server_t *servers = lb_rl_servers_new(conf.capacity);
	if (!servers)
		return lb_rl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG, "no memory for %u servers", conf.capacity);
	rv = lb_rl_rv(mlb_dp_vip_add(m->dp, &conf, &id, err));
	if (rv) {
		clib_mem_free(servers);
		return rv;
	}
	if (!p->vips) {
		p->pfx = *pfx;
		p->fib_index = fib_index;
	}
	lb_rl_vip_t *v = &m->vip[id];
	lb_rl_vip_fill(v, id, a, &conf, p - m->prefix, via_fib, servers);
	lb_rl_tables_hold(v, true);

	if (!p->vips++) {
		p->host_mask4 = v->host_mask4;
		p->apart6 = v->is_ip6 && v->plen < 128;
		p->both_ways = lb_rl_both_ways(v);
	}
	lb_rl_foreach_port(q, v) lb_rl_prefix_set(p, q->proto, q->port, id);
	if (m->started)
		lb_rl_prefix_install(p);
	if (vec_len(m->staged)) {
		rv = lb_rl_servers_set(v->name, m->staged, m->staged_weight, vec_len(m->staged), err);
		vec_reset_length(m->staged);
		vec_reset_length(m->staged_weight);
	}
	return rv;
}

/* Would the VIP's flows and servers stand the change? */
static int lb_rl_check_edit(const lb_rl_vip_t *v, const lb_rl_vip_args_t *a, const fib_prefix_t *pfx, char err[MLB_ERR_LEN])
{
	const lb_rl_prefix_t *p = &lb_rl_main.prefix[v->prefix];
	const lb_rl_fwd_ops_t *was = &lb_rl_fwd_ops[v->fwd], *is = &lb_rl_fwd_ops[a->fwd];

	if (fib_prefix_cmp(&p->pfx, pfx) != 0 || v->table != a->table)
		return lb_rl_fail(
			err, VNET_API_ERROR_VALUE_EXIST,
			"VIP %s has another address or table: give the new one another name, or `lb rl set-vip %s del` first",
			v->name, v->name);
	if (a->capacity && a->capacity != v->capacity)
		return lb_rl_fail(err, VNET_API_ERROR_VALUE_EXIST, "VIP %s has room for %u servers, which does not change",
				  v->name, v->capacity);
	if (was->one_way != is->one_way || was->outer != is->outer)
		return lb_rl_fail(err, VNET_API_ERROR_VALUE_EXIST,
				  "VIP %s is %s, whose flows and servers are not those of %s: `lb rl set-vip %s del` first",
				  v->name, was->name, is->name, v->name);
	if (a->sticky != v->sticky && p->apart6)
		return lb_rl_fail(err, VNET_API_ERROR_VALUE_EXIST,
				  "VIP %s is an IPv6 prefix, whose flows have other names with sticky than without: "
				  "`lb rl set-vip %s del` first",
				  v->name, v->name);
	for (u32 slot = 0; slot < v->capacity; slot++)
		if (v->server[slot].id && v->server[slot].port &&
		    (a->n_ports != 1 || (is->keeps_port && a->ports[0].port != clib_net_to_host_u16(v->server[slot].port))))
			return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE,
					  "VIP %s has servers with ports of their own, which %s", v->name,
					  a->n_ports == 1 ? "are not the new one" : "needs one port");
	const lb_rl_vip_t as_asked = { .fwd = a->fwd, .via_fib = v->via_fib };
	for (u32 slot = 0; slot < v->capacity && is->same_link; slot++)
		if (v->server[slot].id && lb_rl_server_unfit(&as_asked, &v->server[slot].addr) == LB_RL_BEHIND_ROUTER)
			return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "VIP %s has a server whose route %s", v->name,
					  lb_rl_route_text(LB_RL_BEHIND_ROUTER));
	for (u32 slot = 0; slot < v->capacity; slot++)
		if (v->server[slot].id && !lb_rl_quic_may(v, a->quic, &v->server[slot].addr))
			return lb_rl_fail(
				err, VNET_API_ERROR_INVALID_VALUE,
				"VIP %s has servers whose addresses end in the same %u bytes, which quic-lb needs apart", v->name,
				a->quic);
	return lb_rl_check_place(a, p, v->id, err);
}

static int lb_rl_vip_edit(lb_rl_vip_t *v, lb_rl_vip_args_t a, const fib_prefix_t *pfx, char err[MLB_ERR_LEN])
{
	vlib_main_t *vm = vlib_get_main();
	lb_rl_prefix_t *p = &lb_rl_main.prefix[v->prefix];
	int rv = lb_rl_check_edit(v, &a, pfx, err);

	if (rv)
		return rv;
	a.capacity = v->capacity;
	struct mlb_vip_conf conf = lb_rl_core_conf(&a, pfx);
	rv = lb_rl_rv(mlb_dp_vip_edit(lb_rl_main.dp, v->id, &conf, err));
	if (rv)
		return rv;
	vlib_worker_thread_barrier_sync(vm);
	for (u32 slot = 0; slot < v->capacity; slot++)
		if (v->server[slot].id)
			lb_rl_quic_set(v, slot, false);
	lb_rl_foreach_port(q, v) lb_rl_prefix_set(p, q->proto, q->port, 0);
	lb_rl_vip_shape(v, &a);
	lb_rl_foreach_port(q, v) lb_rl_prefix_set(p, q->proto, q->port, v->id);
	for (u32 slot = 0; slot < v->capacity; slot++)
		if (v->server[slot].id) {
			lb_rl_outer_ready(v, &v->server[slot]);
			lb_rl_quic_set(v, slot, true);
		}
	lb_rl_servers_restack(v);
	vlib_worker_thread_barrier_release(vm);
	return 0;
}

int lb_rl_vip_set(const lb_rl_vip_args_t *a, char err[MLB_ERR_LEN])
{
	fib_prefix_t pfx = { .fp_len = a->plen, .fp_proto = a->is_ip6 ? FIB_PROTOCOL_IP6 : FIB_PROTOCOL_IP4, .fp_addr = a->addr };
	u32 fib_index, via_fib;
	int rv = lb_rl_check_args(a, &fib_index, &via_fib, err);

	if (rv)
		return rv;
	fib_prefix_normalize(&pfx, &pfx);
	lb_rl_vip_t *v = lb_rl_vip_by_name(a->name);
	return v ? lb_rl_vip_edit(v, *a, &pfx, err) : lb_rl_vip_add(a, &pfx, fib_index, via_fib, err);
}

int lb_rl_vip_del(const char *name, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *v = lb_rl_vip_or_only(name, err);

	if (!v)
		return VNET_API_ERROR_NO_SUCH_ENTRY;
	lb_rl_prefix_t *p = &lb_rl_main.prefix[v->prefix];
	lb_rl_foreach_port(q, v) lb_rl_prefix_set(p, q->proto, q->port, 0);
	if (!--p->vips)
		lb_rl_prefix_remove(p);
	lb_rl_tables_hold(v, false);
	v->used = LB_RL_VIP_DELETED;
	return lb_rl_rv(mlb_dp_vip_del(lb_rl_main.dp, v->id, err));
}

int lb_rl_set_mode(const char *vip, enum mlb_mode mode, char err[MLB_ERR_LEN])
{
	lb_rl_vip_t *v = lb_rl_vip_or_only(vip, err);
	return v ? lb_rl_rv(mlb_dp_set_mode(lb_rl_main.dp, v->id, mode, err)) : VNET_API_ERROR_NO_SUCH_ENTRY;
}
