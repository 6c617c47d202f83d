/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/back.h>
#include <lb_rl/counters.h>
#include <lb_rl/lb_rl.h>
#include <vnet/dpo/load_balance.h>
#include <vnet/fib/fib_types.h>

static dpo_type_t back_type;
static dpo_id_t back_drop[2]; /* by is_ip6: load-balances with one bucket, a DPO of back_type */

static u8 *format_lb_rl_back(u8 *s, va_list *args)
{
	return format(s, "lb-rl: the route leads back to a VIP, dropped");
}

static void lb_rl_back_lock(dpo_id_t *dpo)
{
}

static const dpo_vft_t lb_rl_back_vft = {
	.dv_lock = lb_rl_back_lock,
	.dv_unlock = lb_rl_back_lock,
	.dv_format = format_lb_rl_back,
};
static const char *const lb_rl_back4[] = { "lb-rl-back4", NULL };
static const char *const lb_rl_back6[] = { "lb-rl-back6", NULL };
static const char *const *const lb_rl_back_nodes[DPO_PROTO_NUM] = {
	[DPO_PROTO_IP4] = lb_rl_back4,
	[DPO_PROTO_IP6] = lb_rl_back6,
};

void lb_rl_back_init(void)
{
	back_type = dpo_register_new_type(&lb_rl_back_vft, lb_rl_back_nodes);
	for (u32 is6 = 0; is6 < 2; is6++) {
		dpo_proto_t proto = is6 ? DPO_PROTO_IP6 : DPO_PROTO_IP4;
		dpo_id_t drop = DPO_INVALID;
		index_t lbi = load_balance_create(1, proto, 0);

		dpo_set(&drop, back_type, proto, is6);
		load_balance_set_bucket(lbi, 0, &drop);
		dpo_set(&back_drop[is6], DPO_LOAD_BALANCE, proto, lbi);
		dpo_reset(&drop);
	}
}

const dpo_id_t *lb_rl_back_drop(bool is6)
{
	return &back_drop[is6];
}

/* Routes of routes are load-balances within load-balances; the FIB keeps circles out of them. */
bool lb_rl_back_comes(const dpo_id_t *dpo)
{
	if (dpo->dpoi_type == lb_rl_main.dpo_type)
		return true;
	if (dpo->dpoi_type != DPO_LOAD_BALANCE)
		return false;
	const load_balance_t *lb = load_balance_get(dpo->dpoi_index);
	for (u32 i = 0; i < lb->lb_n_buckets; i++)
		if (lb_rl_back_comes(load_balance_get_bucket_i(lb, i)))
			return true;
	return false;
}

static uword lb_rl_back(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	u32 *from = vlib_frame_vector_args(frame);

	for (u32 i = 0; i < frame->n_vectors; i++)
		vlib_get_buffer(vm, from[i])->error = node->errors[LB_RL_ERROR_LEADS_BACK];
	vlib_buffer_enqueue_to_single_next(vm, node, from, 0, frame->n_vectors);
	return frame->n_vectors;
}

#define LB_RL_BACK_NODE(v) \
	VLIB_REGISTER_NODE(lb_rl_back##v##_node, static) = { \
		.function = lb_rl_back, \
		.name = "lb-rl-back" #v, \
		.vector_size = sizeof(u32), \
		.n_errors = LB_RL_N_ERROR, \
		.error_counters = lb_rl_error_counters, \
		.n_next_nodes = 1, \
		.next_nodes = { "ip" #v "-drop" }, \
	}
LB_RL_BACK_NODE(4);
LB_RL_BACK_NODE(6);
