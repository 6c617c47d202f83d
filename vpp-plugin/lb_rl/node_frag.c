/* SPDX-License-Identifier: Apache-2.0 */
/* lb-rl-reass4, lb-rl-reass6: clients' fragments, back from shallow reassembly with the ports of their first one.
 * lb-rl-owned-frag4, lb-rl-owned-frag6: those that another worker hands to the one that has their flow. */
#include <lb_rl/lb_rl.h>
#include <lb_rl/node.h>
#include <vnet/feature/feature.h>

static uword lb_rl_reass_fn(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6, bool owned)
{
	lb_rl_thread_t *t = vec_elt_at_index(lb_rl_main.thread, vm->thread_index);
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors;
	u16 nexts[VLIB_FRAME_SIZE];
	lb_rl_away_t away;

	if (PREDICT_FALSE(!lb_rl_main.enabled)) {
		vlib_buffer_free(vm, from, n);
		return n;
	}
	away.n = 0;
	for (u32 i = 0; i < n; i++) {
		vlib_buffer_t *b = vlib_get_buffer(vm, from[i]);
		u16 ports[2] = { clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_src_port),
				 clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_dst_port) };
		lb_rl_one_slow(vm, node, t, b, from[i], is6, ports, owned, &nexts[i], &away);
	}
	/* The owner's table decides; the ports travel with the buffer. */
	lb_rl_dispatch(vm, node, t, from, nexts, n, &away, lb_rl_main.fq_reass[is6]);
	return n;
}

#define LB_RL_REASS_NODE(var, name, v, six, owned) \
	VLIB_NODE_FN(var)(vlib_main_t * vm, vlib_node_runtime_t * node, vlib_frame_t * frame) \
	{ \
		return lb_rl_reass_fn(vm, node, frame, six, owned); \
	} \
	LB_RL_SIBLING_NODE(var, name, "ip" v "-lookup")
LB_RL_REASS_NODE(lb_rl_reass4_node, "lb-rl-reass4", "4", false, false);
LB_RL_REASS_NODE(lb_rl_reass6_node, "lb-rl-reass6", "6", true, false);
LB_RL_REASS_NODE(lb_rl_owned_frag4_node, "lb-rl-owned-frag4", "4", false, true);
LB_RL_REASS_NODE(lb_rl_owned_frag6_node, "lb-rl-owned-frag6", "6", true, true);

#ifndef CLIB_MARCH_VARIANT
/* Fragments take a feature arc of our own through shallow reassembly, enabled on one interface number that stands for all. The
 * nodes that serve plugins (26.06) lose what one worker hands another of IPv4, and crash on IPv6. */
#define LB_RL_FRAG_ARC(v, six) \
	VNET_FEATURE_ARC_INIT(lb_rl_frag##v, static) = { \
		.arc_name = "lb-rl-frag" #v, \
		.start_nodes = VNET_FEATURES("lb-rl-ip" #v), \
		.last_in_arc = "lb-rl-reass" #v, \
		.arc_index_ptr = &lb_rl_main.frag_arc[six], \
	}; \
	VNET_FEATURE_INIT(lb_rl_frag##v##_reass, static) = { \
		.arc_name = "lb-rl-frag" #v, \
		.node_name = "ip" #v "-sv-reassembly-feature", \
		.runs_before = VNET_FEATURES("lb-rl-reass" #v), \
	}; \
	VNET_FEATURE_INIT(lb_rl_frag##v##_back, static) = { \
		.arc_name = "lb-rl-frag" #v, \
		.node_name = "lb-rl-reass" #v, \
	}
LB_RL_FRAG_ARC(4, 0);
LB_RL_FRAG_ARC(6, 1);
#endif
