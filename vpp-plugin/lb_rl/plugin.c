/* SPDX-License-Identifier: Apache-2.0 */
/* Registration, what is made once, and the node that every worker runs each loop. */
#include <lb_rl/clock.h>
#include <lb_rl/dpo.h>
#include <lb_rl/life.h>
#include <lb_rl/sharers.h>
#include <vnet/plugin/plugin.h>
#include <vnet/feature/feature.h>
#include <vpp/app/version.h>

lb_rl_main_t lb_rl_main;

/* Before a worker's input: its clock for this loop, the mark that it holds no pointer of the loop before, and a bit of ageing.
 * Idle workers come by here too, so nothing waits for a packet. */
static uword lb_rl_worker(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	lb_rl_thread_t *t = vec_elt_at_index(lb_rl_main.thread, vm->thread_index);

	t->now_us = lb_rl_now_us();
	t->now_ms = t->now_us / 1000;
	mlb_dp_worker_loop(lb_rl_main.dp, t->w, t->now_us);
	lb_rl_life_age(t);
	return 0;
}

VLIB_REGISTER_NODE(lb_rl_worker_node) = {
	.function = lb_rl_worker,
	.type = VLIB_NODE_TYPE_PRE_INPUT,
	.state = VLIB_NODE_STATE_DISABLED,
	.name = "lb-rl-worker",
};

/* lb-rl { flows N half-open N page-size SIZE max-vips N max-servers N } of startup.conf. */
static clib_error_t *lb_rl_config(vlib_main_t *vm, unformat_input_t *in)
{
	lb_rl_main_t *m = &lb_rl_main;

	while (unformat_check_input(in) != UNFORMAT_END_OF_INPUT)
		if (!unformat(in, "flows %u", &m->start_flows) && !unformat(in, "half-open %u", &m->start_half) &&
		    !unformat(in, "page-size %U", unformat_log2_page_size, &m->page_size) &&
		    !unformat(in, "max-vips %u", &m->start_limits.vips) &&
		    !unformat(in, "max-servers %u", &m->start_limits.servers))
			return clib_error_return(
				0, "lb-rl: `%U`: flows N, half-open N, page-size SIZE, max-vips N or max-servers N expected",
				format_unformat_error, in);
	return 0;
}
VLIB_CONFIG_FUNCTION(lb_rl_config, "lb-rl");

static u32 lb_rl_edge(vlib_main_t *vm, const char *from, const char *to)
{
	return vlib_node_add_next(vm, vlib_get_node_by_name(vm, (u8 *)from)->index, vlib_get_node_by_name(vm, (u8 *)to)->index);
}

static clib_error_t *lb_rl_init(vlib_main_t *vm)
{
	lb_rl_main_t *m = &lb_rl_main;

	snprintf(m->shm_path, sizeof(m->shm_path), "/dev/shm/lb_rl_shm");
	snprintf(m->instance, sizeof(m->instance), "vpp");
	m->start_flows = m->start_flows ? m->start_flows : 1 << 20;
	m->start_half = m->start_half ? m->start_half : 1 << 16;
	m->page_size = m->page_size ? m->page_size : CLIB_MEM_PAGE_SZ_DEFAULT;
	mlb_choose_init();
	clib_spinlock_init(&m->sticky_lock);
	clib_spinlock_init(&m->apart_lock);
	lb_rl_sharers_init();
	clib_bihash_init_16_8(&m->by_quic, "lb-rl QUIC server IDs", 4096, 8 << 20);
	return lb_rl_dpo_init();
}

VLIB_INIT_FUNCTION(lb_rl_init);

/* Edges between nodes of others exist only once all nodes are registered. */
static clib_error_t *lb_rl_edges(vlib_main_t *vm)
{
	lb_rl_main_t *m = &lb_rl_main;

	m->edge_lookup[0][0] = lb_rl_edge(vm, "ip4-lookup", "ip4-lookup");
	m->edge_lookup[0][1] = lb_rl_edge(vm, "ip4-lookup", "ip6-lookup");
	m->edge_lookup[1][0] = lb_rl_edge(vm, "ip6-lookup", "ip4-lookup");
	m->edge_lookup[1][1] = lb_rl_edge(vm, "ip6-lookup", "ip6-lookup");
	m->edge_frag6[0] = lb_rl_edge(vm, "ip4-lookup", "ip6-frag");
	m->edge_frag6[1] = lb_rl_edge(vm, "ip6-lookup", "ip6-frag");
	m->edge_segment[0] = lb_rl_edge(vm, "ip4-lookup", "lb-rl-segment4");
	m->edge_segment[1] = lb_rl_edge(vm, "ip6-lookup", "lb-rl-segment6");
	m->frag6_to_lookup = lb_rl_edge(vm, "ip6-frag", "ip6-lookup");
	vnet_feature_enable_disable("lb-rl-frag4", "ip4-sv-reassembly-feature", 0, 1, 0, 0);
	vnet_feature_enable_disable("lb-rl-frag6", "ip6-sv-reassembly-feature", 0, 1, 0, 0);
	m->fq_vip[0] = vlib_frame_queue_main_init(lb_rl_owned4_node.index, 0);
	m->fq_vip[1] = vlib_frame_queue_main_init(lb_rl_owned6_node.index, 0);
	m->fq_return[0] = vlib_frame_queue_main_init(lb_rl_owned_return4_node.index, 0);
	m->fq_return[1] = vlib_frame_queue_main_init(lb_rl_owned_return6_node.index, 0);
	m->fq_reass[0] = vlib_frame_queue_main_init(lb_rl_owned_frag4_node.index, 0);
	m->fq_reass[1] = vlib_frame_queue_main_init(lb_rl_owned_frag6_node.index, 0);
	return 0;
}

VLIB_MAIN_LOOP_ENTER_FUNCTION(lb_rl_edges);

VLIB_PLUGIN_REGISTER() = {
	.version = LB_RL_VERSION,
	.description = "Layer-4 load balancer steered by learned weights (lb rl)",
};
