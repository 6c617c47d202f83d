/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes do alike at a vector's end: counters, traces, packets for other threads. Compiled into each march variant. */
#ifndef LB_RL_NODE_H
#define LB_RL_NODE_H
#include <vlib/vlib.h>
#include <lb_rl/slow.h>
#include <lb_rl/trace.h>

#define LB_RL_GONE ((u16)~0) /* next of a packet that goes to another thread */

/* Packets of a vector that other threads own. */
typedef struct {
	u32 bi[VLIB_FRAME_SIZE];
	u16 thread[VLIB_FRAME_SIZE];
	u32 n;
} lb_rl_away_t;

static_always_inline void lb_rl_hand_off(lb_rl_away_t *away, u32 bi, u32 thread, u16 *next)
{
	away->bi[away->n] = bi;
	away->thread[away->n++] = thread;
	*next = LB_RL_GONE;
}

/* The drop node counts what it drops by b->error. */
static_always_inline void lb_rl_count(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_buffer_t *b, u32 error, u16 next)
{
	if (next == IP_LOOKUP_NEXT_DROP)
		b->error = node->errors[error];
	else
		vlib_node_increment_counter(vm, node->node_index, error, 1);
}

/* One unusual packet of a client. ports, owned: as lb_rl_slow_vip. */
static_always_inline void lb_rl_one_slow(vlib_main_t *vm, vlib_node_runtime_t *node, lb_rl_thread_t *t, vlib_buffer_t *b, u32 bi,
					 bool is6, const u16 *ports, bool owned, u16 *next, lb_rl_away_t *away)
{
	lb_rl_slow_t r = lb_rl_slow_vip(t, b, is6, ports, owned);

	if (r.thread != ~0) {
		lb_rl_hand_off(away, bi, r.thread, next);
		return;
	}
	*next = r.next;
	lb_rl_add_trace(vm, node, b, (lb_rl_trace_t){ .vip_id = r.vip_id, .slot = r.slot, .error = r.error, .next = r.next });
	lb_rl_count(vm, node, b, r.error, r.next);
}

/* The vector's packets to their next nodes, those of `away` to their threads by that frame queue. */
static_always_inline void lb_rl_dispatch(vlib_main_t *vm, vlib_node_runtime_t *node, lb_rl_thread_t *t, u32 *from, u16 *nexts,
					 u32 n, lb_rl_away_t *away, u32 queue)
{
	u32 stay[VLIB_FRAME_SIZE], n_stay = 0;

	if (PREDICT_TRUE(!away->n)) {
		vlib_buffer_enqueue_to_next(vm, node, from, nexts, n);
		return;
	}
	for (u32 i = 0; i < n; i++)
		if (nexts[i] != LB_RL_GONE) {
			nexts[n_stay] = nexts[i];
			stay[n_stay++] = from[i];
		}
	if (n_stay)
		vlib_buffer_enqueue_to_next(vm, node, stay, nexts, n_stay);
	u32 sent = vlib_buffer_enqueue_to_thread(vm, node, queue, away->bi, away->thread, away->n, 1);
	if (sent < away->n) {
		vlib_node_increment_counter(vm, node->node_index, LB_RL_ERROR_CONGESTION, away->n - sent);
		t->handoff_drops += away->n - sent;
	}
}

#define LB_RL_SIBLING_NODE(var, node_name, sibling) \
	VLIB_REGISTER_NODE(var) = { \
		.name = node_name, \
		.sibling_of = sibling, \
		.vector_size = sizeof(u32), \
		.format_trace = format_lb_rl_trace, \
		.n_errors = LB_RL_N_ERROR, \
		.error_counters = lb_rl_error_counters, \
	}
#endif
