/* SPDX-License-Identifier: Apache-2.0 */
/* lb-rl-reass4, lb-rl-reass6: clients' fragments, back from shallow reassembly with the ports of their first one.
 * lb-rl-owned-frag4, lb-rl-owned-frag6: those that another worker hands to the one that has their flow. */
#include <lb_rl/lb_rl.h>
#include <lb_rl/node.h>
#include <vnet/feature/feature.h>

static uword lbrl_reass_fn(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6, bool owned)
{
	lbrl_thread_t *t = vec_elt_at_index(lbrl_main.thread, vm->thread_index);
	u32 *from = vlib_frame_vector_args(frame), n = frame->n_vectors;
	u16 nexts[VLIB_FRAME_SIZE];
	lbrl_away_t away;

	if (PREDICT_FALSE(!lbrl_main.enabled)) {
		vlib_buffer_free(vm, from, n);
		return n;
	}
	away.n = 0;
	for (u32 i = 0; i < n; i++) {
		vlib_buffer_t *b = vlib_get_buffer(vm, from[i]);
		u16 ports[2] = { clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_src_port),
				 clib_net_to_host_u16(vnet_buffer(b)->ip.reass.l4_dst_port) };
		lbrl_one_slow(vm, node, t, b, from[i], is6, ports, owned, &nexts[i], &away);
	}
	/* The owner's table decides; the ports travel with the buffer. */
	lbrl_dispatch(vm, node, t, from, nexts, n, &away, lbrl_main.fq_reass[is6]);
	return n;
}

#define LBRL_REASS_NODE(var, name, v, six, owned) \
	VLIB_NODE_FN(var)(vlib_main_t * vm, vlib_node_runtime_t * node, vlib_frame_t * frame) \
	{ \
		return lbrl_reass_fn(vm, node, frame, six, owned); \
	} \
	LBRL_SIBLING_NODE(var, name, "ip" v "-lookup")
LBRL_REASS_NODE(lbrl_reass4_node, "lb-rl-reass4", "4", false, false);
LBRL_REASS_NODE(lbrl_reass6_node, "lb-rl-reass6", "6", true, false);
LBRL_REASS_NODE(lbrl_owned_frag4_node, "lb-rl-owned-frag4", "4", false, true);
LBRL_REASS_NODE(lbrl_owned_frag6_node, "lb-rl-owned-frag6", "6", true, true);

#ifndef CLIB_MARCH_VARIANT
/* Fragments take a feature arc of our own through shallow reassembly, enabled on one interface number that stands for all. The
 * nodes that serve plugins (26.06) lose what one worker hands another of IPv4, and crash on IPv6. */
#define LBRL_FRAG_ARC(v, six) \
	VNET_FEATURE_ARC_INIT(lbrl_frag##v, static) = { \
		.arc_name = "lb-rl-frag" #v, \
		.start_nodes = VNET_FEATURES("lb-rl-ip" #v), \
		.last_in_arc = "lb-rl-reass" #v, \
		.arc_index_ptr = &lbrl_main.frag_arc[six], \
	}; \
	VNET_FEATURE_INIT(lbrl_frag##v##_reass, static) = { \
		.arc_name = "lb-rl-frag" #v, \
		.node_name = "ip" #v "-sv-reassembly-feature", \
		.runs_before = VNET_FEATURES("lb-rl-reass" #v), \
	}; \
	VNET_FEATURE_INIT(lbrl_frag##v##_back, static) = { \
		.arc_name = "lb-rl-frag" #v, \
		.node_name = "lb-rl-reass" #v, \
	}
LBRL_FRAG_ARC(4, 0);
LBRL_FRAG_ARC(6, 1);
#endif
