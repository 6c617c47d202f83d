/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes say of a packet in its trace. */
#ifndef LB_RL_TRACE_H
#define LB_RL_TRACE_H
#include <vlib/vlib.h>

typedef struct {
	u32 vip_id, slot, error;
	u16 next;
	u8 from_server;
} lb_rl_trace_t;
u8 *format_lb_rl_trace(u8 *s, va_list *args);

static_always_inline void lb_rl_add_trace(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_buffer_t *b, lb_rl_trace_t what)
{
	if (PREDICT_FALSE((node->flags & VLIB_NODE_FLAG_TRACE) && (b->flags & VLIB_BUFFER_IS_TRACED))) {
		lb_rl_trace_t *tr = vlib_add_trace(vm, node, b, sizeof(*tr));
		*tr = what;
	}
}
#endif
