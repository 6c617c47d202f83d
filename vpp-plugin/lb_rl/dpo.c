/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs and servers in the FIB. A VIP's prefix carries a DPO of ours, so only its own traffic meets our nodes; a server is a
 * tracked FIB entry whose load-balance the nodes walk themselves (one graph node less than ip4-load-balance, and it follows every
 * change of the FIB, because load-balances change in place). */
#include <lb_rl/dpo.h>
#include <lb_rl/forward.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/log.h>
#include <lb_rl/route.h>
#include <marllb/endpoint.h>
#include <vnet/fib/fib_entry_track.h>
#include <vnet/fib/fib_table.h>
#include <vnet/fib/fib_source.h>

static u8 *format_lb_rl_dpo(u8 *s, va_list *args)
{
	index_t index = va_arg(*args, index_t);
	CLIB_UNUSED(u32 indent) = va_arg(*args, u32);
	lb_rl_prefix_t *p = &lb_rl_main.prefix[index];
	return format(s, "lb-rl %U: %u VIPs", format_fib_prefix, &p->pfx, p->vips);
}

/* Prefixes live in a fixed array for as long as the plugin does: nothing to count. */
static void lb_rl_dpo_lock(dpo_id_t *dpo)
{
}

static const dpo_vft_t lb_rl_dpo_vft = {
	.dv_lock = lb_rl_dpo_lock,
	.dv_unlock = lb_rl_dpo_lock,
	.dv_format = format_lb_rl_dpo,
};
static const char *const lb_rl_nodes4[] = { "lb-rl-ip4", NULL };
static const char *const lb_rl_nodes6[] = { "lb-rl-ip6", NULL };
static const char *const *const lb_rl_dpo_nodes[DPO_PROTO_NUM] = {
	[DPO_PROTO_IP4] = lb_rl_nodes4,
	[DPO_PROTO_IP6] = lb_rl_nodes6,
};

static fib_prefix_t lb_rl_host_prefix(const struct mlb_addr *a)
{
	fib_prefix_t pfx = {};

	if (mlb_addr_is_v4(a)) {
		pfx.fp_proto = FIB_PROTOCOL_IP4;
		pfx.fp_len = 32;
		clib_memcpy(&pfx.fp_addr.ip4, a->b + 12, 4);
	} else {
		pfx.fp_proto = FIB_PROTOCOL_IP6;
		pfx.fp_len = 128;
		clib_memcpy(&pfx.fp_addr.ip6, a->b, 16);
	}
	return pfx;
}

u8 lb_rl_server_unfit(const lb_rl_vip_t *v, const struct mlb_addr *a)
{
	fib_prefix_t pfx = lb_rl_host_prefix(a);
	fib_node_index_t fei = fib_table_lookup(v->via_fib, &pfx);

	return fei == FIB_NODE_INDEX_INVALID ?
		       0 :
		       lb_rl_route_unfit(fib_entry_contribute_ip_forwarding(fei), lb_rl_fwd_ops[v->fwd].same_link, a);
}

bool lb_rl_prefix_is_own(u32 fib_index, const fib_prefix_t *pfx)
{
	fib_node_index_t fei = fib_table_lookup_exact_match(fib_index, pfx);

	return fei != FIB_NODE_INDEX_INVALID && fib_entry_is_sourced(fei, FIB_SOURCE_INTERFACE);
}

/* The load-balance that packets to the server take: its route's, or one that drops where they cannot take that. */
static void lb_rl_server_stack(lb_rl_server_t *srv)
{
	dpo_id_t old = srv->dpo;
	const lb_rl_vip_t *v = &lb_rl_main.vip[srv->vip_id];
	const dpo_id_t *via = fib_entry_contribute_ip_forwarding(srv->fei);
	u8 unfit = lb_rl_route_unfit(via, lb_rl_fwd_ops[v->fwd].same_link, &srv->addr);
	char text[MLB_ENDPOINT_LEN];

	if (unfit)
		via = lb_rl_route_drop(unfit, !mlb_addr_is_v4(&srv->addr));
	if (dpo_cmp(&old, via) == 0)
		return;
	if (unfit)
		lb_rl_log_warn("VIP %s: the route to server %s %s: its packets are dropped", v->name,
			       mlb_addr_text(&srv->addr, text), lb_rl_route_text(unfit));
	else if (srv->unfit & LB_RL_NO_ROUTE)
		lb_rl_log_warn("VIP %s: the route to server %s is sound again", v->name, mlb_addr_text(&srv->addr, text));
	srv->unfit = (srv->unfit & ~LB_RL_NO_ROUTE) | unfit;
	/* The new one is locked before workers see it, the old one let go after. */
	dpo_id_t fresh = DPO_INVALID;
	dpo_copy(&fresh, via);
	srv->dpo = fresh;
	__atomic_store_n(&srv->lbi, fresh.dpoi_index, __ATOMIC_RELEASE);
	dpo_reset(&old);
}

void lb_rl_servers_restack(lb_rl_vip_t *v)
{
	for (u32 slot = 0; slot < v->capacity; slot++)
		if (v->server[slot].id)
			lb_rl_server_stack(&v->server[slot]);
}

/* A load-balance within another changes in place, and nobody tells who stands above it. */
static void lb_rl_all_restack(void)
{
	for (lb_rl_vip_t *v = lb_rl_main.vip + 1; v <= lb_rl_main.vip + MLB_MAX_VIPS; v++)
		lb_rl_servers_restack(v);
}

void lb_rl_tables_hold(const lb_rl_vip_t *v, bool hold)
{
	void (*change)(u32, fib_protocol_t, fib_source_t) = hold ? fib_table_lock : fib_table_unlock;
	bool via6 = lb_rl_leaves_as_ip6(v);

	change(v->fib_index, v->is_ip6 ? FIB_PROTOCOL_IP6 : FIB_PROTOCOL_IP4, lb_rl_main.fib_src);
	change(v->via_fib, via6 ? FIB_PROTOCOL_IP6 : FIB_PROTOCOL_IP4, lb_rl_main.fib_src);
}

void lb_rl_prefix_install(lb_rl_prefix_t *p)
{
	dpo_id_t dpo = DPO_INVALID;
	dpo_proto_t proto = fib_proto_to_dpo(p->pfx.fp_proto);

	if (p->installed)
		return;
	dpo_set(&dpo, lb_rl_main.dpo_type, proto, p - lb_rl_main.prefix);
	fib_table_entry_special_dpo_add(p->fib_index, &p->pfx, lb_rl_main.fib_src, FIB_ENTRY_FLAG_EXCLUSIVE, &dpo);
	dpo_reset(&dpo);
	p->installed = 1;
	lb_rl_all_restack();
}

void lb_rl_prefix_remove(lb_rl_prefix_t *p)
{
	if (!p->installed)
		return;
	fib_table_entry_special_remove(p->fib_index, &p->pfx, lb_rl_main.fib_src);
	p->installed = 0;
	lb_rl_all_restack();
}

void lb_rl_server_track(lb_rl_vip_t *v, u32 slot)
{
	lb_rl_server_t *srv = &v->server[slot];
	fib_prefix_t pfx = lb_rl_host_prefix(&srv->addr);

	fib_node_init(&srv->fib_node, lb_rl_main.fib_node_type);
	srv->dpo = (dpo_id_t)DPO_INVALID;
	srv->fei = fib_entry_track(v->via_fib, &pfx, lb_rl_main.fib_node_type, v->id << 16 | slot, &srv->sibling);
	lb_rl_server_stack(srv);
}

void lb_rl_server_untrack(lb_rl_vip_t *v, u32 slot)
{
	lb_rl_server_t *srv = &v->server[slot];

	fib_entry_untrack(srv->fei, srv->sibling);
	dpo_reset(&srv->dpo);
	fib_node_deinit(&srv->fib_node);
}

static fib_node_t *lb_rl_fib_node_get(fib_node_index_t index)
{
	return &lb_rl_main.vip[index >> 16].server[index & 0xffff].fib_node;
}

static void lb_rl_fib_last_lock_gone(fib_node_t *node)
{
}

static fib_node_back_walk_rc_t lb_rl_fib_back_walk(fib_node_t *node, fib_node_back_walk_ctx_t *ctx)
{
	lb_rl_server_stack((lb_rl_server_t *)((u8 *)node - STRUCT_OFFSET_OF(lb_rl_server_t, fib_node)));
	return FIB_NODE_BACK_WALK_CONTINUE;
}

static const fib_node_vft_t lb_rl_fib_vft = {
	.fnv_get = lb_rl_fib_node_get,
	.fnv_last_lock = lb_rl_fib_last_lock_gone,
	.fnv_back_walk = lb_rl_fib_back_walk,
};

clib_error_t *lb_rl_dpo_init(void)
{
	lb_rl_route_init();
	lb_rl_main.dpo_type = dpo_register_new_type(&lb_rl_dpo_vft, lb_rl_dpo_nodes);
	lb_rl_main.fib_node_type = fib_node_register_new_type("lb-rl", &lb_rl_fib_vft);
	lb_rl_main.fib_src = fib_source_allocate("lb-rl", FIB_SOURCE_PRIORITY_HI, FIB_SOURCE_BH_SIMPLE);
	return 0;
}
