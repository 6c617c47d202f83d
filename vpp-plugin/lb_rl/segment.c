/* SPDX-License-Identifier: Apache-2.0 */
/* lb-rl-segment4, lb-rl-segment6: a client's TCP buffer that an interface with segmentation offload made of many segments, on its
 * way into a tunnel. What cuts such buffers later does not look behind our outer headers, so it is cut here, and each segment
 * goes through the VIP's node as if it had come alone. */
#include <lb_rl/counters.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/trace.h>
#include <vnet/gso/gso.h>

/* Segments of one buffer, at ptd->split_buffers; false: it cannot be cut. */
static bool lb_rl_cut(vlib_main_t *vm, vnet_interface_per_thread_data_t *ptd, vlib_buffer_t *b, bool is6)
{
	const ip4_header_t *ip4 = vlib_buffer_get_current(b);
	const ip6_header_t *ip6 = vlib_buffer_get_current(b);

	if ((is6 ? ip6->protocol : ip4->protocol) != IP_PROTOCOL_TCP)
		return false;
	vnet_buffer(b)->l3_hdr_offset = b->current_data;
	vnet_buffer(b)->l4_hdr_offset = b->current_data + (is6 ? sizeof(*ip6) : ip4_header_bytes(ip4));
	b->flags |= VNET_BUFFER_F_L3_HDR_OFFSET_VALID | VNET_BUFFER_F_L4_HDR_OFFSET_VALID;
	/* By these flags the segments' headers are told to be IPv4 and get their checksums. */
	vnet_buffer_offload_flags_set(b, (is6 ? 0 : VNET_BUFFER_OFFLOAD_F_IP_CKSUM) | VNET_BUFFER_OFFLOAD_F_TCP_CKSUM);
	/* "L2": there is no adjacency yet that might want a say. */
	return gso_segment_buffer_inline(vm, ptd, b, 1) != 0;
}

static uword lb_rl_segment(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame, bool is6)
{
	vnet_interface_main_t *im = &vnet_get_main()->interface_main;
	vnet_interface_per_thread_data_t *ptd = vec_elt_at_index(im->per_thread_data, vm->thread_index);
	u32 *from = vlib_frame_vector_args(frame), cut = 0;

	for (u32 i = 0; i < frame->n_vectors; i++) {
		vlib_buffer_t *b = vlib_get_buffer(vm, from[i]);
		if (!lb_rl_cut(vm, ptd, b, is6))
			continue;
		vlib_buffer_enqueue_to_single_next(vm, node, ptd->split_buffers, 0, vec_len(ptd->split_buffers));
		vec_reset_length(ptd->split_buffers);
		cut++;
	}
	vlib_node_increment_counter(vm, node->node_index, LB_RL_ERROR_SEGMENTED, cut);
	vlib_node_increment_counter(vm, node->node_index, LB_RL_ERROR_NO_SEGMENTS, frame->n_vectors - cut);
	vlib_buffer_free(vm, from, frame->n_vectors);
	return frame->n_vectors;
}

static uword lb_rl_segment4(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lb_rl_segment(vm, node, frame, false);
}

static uword lb_rl_segment6(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_frame_t *frame)
{
	return lb_rl_segment(vm, node, frame, true);
}

/* The packet's worker is the right one by now. */
#define LB_RL_SEGMENT_NODE(v) \
	VLIB_REGISTER_NODE(lb_rl_segment##v##_node, static) = { \
		.function = lb_rl_segment##v, \
		.name = "lb-rl-segment" #v, \
		.vector_size = sizeof(u32), \
		.n_errors = LB_RL_N_ERROR, \
		.error_counters = lb_rl_error_counters, \
		.n_next_nodes = 1, \
		.next_nodes = { "lb-rl-owned" #v }, \
	}
LB_RL_SEGMENT_NODE(4);
LB_RL_SEGMENT_NODE(6);
