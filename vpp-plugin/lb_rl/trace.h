/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes say of a packet in its trace. */
#ifndef LB_RL_TRACE_H
#define LB_RL_TRACE_H
#include <vlib/vlib.h>

typedef struct {
	u32 vip_id, slot, error;
	u16 next;
	u8 from_server;
} lbrl_trace_t;
u8 *format_lbrl_trace(u8 *s, va_list *args);

static_always_inline void lbrl_add_trace(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_buffer_t *b, lbrl_trace_t what)
{
	if (PREDICT_FALSE((node->flags & VLIB_NODE_FLAG_TRACE) && (b->flags & VLIB_BUFFER_IS_TRACED))) {
		lbrl_trace_t *tr = vlib_add_trace(vm, node, b, sizeof(*tr));
		*tr = what;
	}
}
#endif
