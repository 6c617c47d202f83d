/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/counters.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/route.h>
#include <marllb/endpoint.h>
#include <vnet/adj/adj.h>
#include <vnet/dpo/load_balance.h>
#include <vnet/fib/fib_types.h>

typedef struct {
	u8 unfit;
	u32 error;
	const char *text;
} lb_rl_reason_t;

static const lb_rl_reason_t lb_rl_reasons[] = {
	{ LB_RL_LEADS_BACK, LB_RL_ERROR_LEADS_BACK, "leads back to a VIP" },
	{ LB_RL_BEHIND_ROUTER, LB_RL_ERROR_BEHIND_ROUTER,
	  "passes a router, but packets keep the VIP's address: the server has to be on the same link" },
};

static dpo_type_t drop_type;
static dpo_id_t drop_dpo[ARRAY_LEN(lb_rl_reasons)][2]; /* by is_ip6: load-balances with one bucket, a DPO of drop_type */

/* A DPO's index is the counter of its drops. */
static u8 *format_lb_rl_drop(u8 *s, va_list *args)
{
	index_t error = va_arg(*args, index_t);
	CLIB_UNUSED(u32 indent) = va_arg(*args, u32);
	return format(s, "lb-rl: %s, dropped", lb_rl_error_counters[error].desc);
}

static void lb_rl_drop_lock(dpo_id_t *dpo)
{
}

static const dpo_vft_t lb_rl_drop_vft = {
	.dv_lock = lb_rl_drop_lock,
	.dv_unlock = lb_rl_drop_lock,
	.dv_format = format_lb_rl_drop,
};
static const char *const lb_rl_drop4[] = { "lb-rl-drop4", NULL };
static const char *const lb_rl_drop6[] = { "lb-rl-drop6", NULL };
static const char *const *const lb_rl_drop_nodes[DPO_PROTO_NUM] = {
	[DPO_PROTO_IP4] = lb_rl_drop4,
	[DPO_PROTO_IP6] = lb_rl_drop6,
};

void lb_rl_route_init(void)
{
	drop_type = dpo_register_new_type(&lb_rl_drop_vft, lb_rl_drop_nodes);
	for (u32 r = 0; r < ARRAY_LEN(lb_rl_reasons); r++)
		for (u32 is6 = 0; is6 < 2; is6++) {
			dpo_proto_t proto = is6 ? DPO_PROTO_IP6 : DPO_PROTO_IP4;
			dpo_id_t drop = DPO_INVALID;
			index_t lbi = load_balance_create(1, proto, 0);

			dpo_set(&drop, drop_type, proto, lb_rl_reasons[r].error);
			load_balance_set_bucket(lbi, 0, &drop);
			dpo_set(&drop_dpo[r][is6], DPO_LOAD_BALANCE, proto, lbi);
			dpo_reset(&drop);
		}
}

static const lb_rl_reason_t *lb_rl_reason(u8 unfit)
{
	const lb_rl_reason_t *r = lb_rl_reasons;

	while (!(unfit & r->unfit))
		r++;
	return r;
}

const dpo_id_t *lb_rl_route_drop(u8 unfit, bool is6)
{
	return &drop_dpo[lb_rl_reason(unfit) - lb_rl_reasons][is6];
}

u32 lb_rl_route_error(u8 unfit)
{
	return lb_rl_reason(unfit)->error;
}

const char *lb_rl_route_text(u8 unfit)
{
	return lb_rl_reason(unfit)->text;
}

/* Is this next hop another host than the server? The other end of a point-to-point link has no address here. */
static bool lb_rl_is_router(const dpo_id_t *dpo, const struct mlb_addr *server)
{
	if (dpo->dpoi_type != DPO_ADJACENCY && dpo->dpoi_type != DPO_ADJACENCY_INCOMPLETE)
		return false;
	const ip46_address_t *hop = &adj_get(dpo->dpoi_index)->sub_type.nbr.next_hop;
	if (ip46_address_is_zero(hop))
		return false;
	return mlb_addr_is_v4(server) ? memcmp(&hop->ip4, server->b + 12, 4) != 0 : memcmp(&hop->ip6, server->b, 16) != 0;
}

/* Routes of routes are load-balances within load-balances; the FIB keeps circles out of them. */
u8 lb_rl_route_unfit(const dpo_id_t *dpo, bool same_link, const struct mlb_addr *server)
{
	u8 unfit = 0;

	if (dpo->dpoi_type == lb_rl_main.dpo_type)
		return LB_RL_LEADS_BACK;
	if (same_link && lb_rl_is_router(dpo, server))
		return LB_RL_BEHIND_ROUTER;
	if (dpo->dpoi_type != DPO_LOAD_BALANCE)
		return 0;
	const load_balance_t *lb = load_balance_get(dpo->dpoi_index);
	for (u32 i = 0; i < lb->lb_n_buckets && !unfit; i++)
		unfit = lb_rl_route_unfit(load_balance_get_bucket_i(lb, i), same_link, server);
	return unfit;
}

static uword lb_rl_drop(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	u32 *from = vlib_frame_vector_args(frame);

	for (u32 i = 0; i < frame->n_vectors; i++) {
		vlib_buffer_t *b = vlib_get_buffer(vm, from[i]);
		b->error = node->errors[vnet_buffer(b)->ip.adj_index[VLIB_TX]];
	}
	vlib_buffer_enqueue_to_single_next(vm, node, from, 0, frame->n_vectors);
	return frame->n_vectors;
}

#define LB_RL_DROP_NODE(v) \
	VLIB_REGISTER_NODE(lb_rl_drop##v##_node, static) = { \
		.function = lb_rl_drop, \
		.name = "lb-rl-drop" #v, \
		.vector_size = sizeof(u32), \
		.n_errors = LB_RL_N_ERROR, \
		.error_counters = lb_rl_error_counters, \
		.n_next_nodes = 1, \
		.next_nodes = { "ip" #v "-drop" }, \
	}
LB_RL_DROP_NODE(4);
LB_RL_DROP_NODE(6);
