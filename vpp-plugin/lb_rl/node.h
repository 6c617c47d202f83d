/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes do alike at a vector's end: counters, traces, packets for other threads. Compiled into each march variant. */
#ifndef LB_RL_NODE_H
#define LB_RL_NODE_H
#include <vlib/vlib.h>
#include <lb_rl/slow.h>
#include <lb_rl/trace.h>

#define LBRL_GONE ((u16)~0) /* next of a packet that goes to another thread */

/* Packets of a vector that other threads own. */
typedef struct {
	u32 bi[VLIB_FRAME_SIZE];
	u16 thread[VLIB_FRAME_SIZE];
	u32 n;
} lbrl_away_t;

static_always_inline void lbrl_hand_off(lbrl_away_t *away, u32 bi, u32 thread, u16 *next)
{
	away->bi[away->n] = bi;
	away->thread[away->n++] = thread;
	*next = LBRL_GONE;
}

/* The drop node counts what it drops by b->error. */
static_always_inline void lbrl_count(vlib_main_t *vm, vlib_node_runtime_t *node, vlib_buffer_t *b, u32 error, u16 next)
{
	if (next == IP_LOOKUP_NEXT_DROP)
		b->error = node->errors[error];
	else
		vlib_node_increment_counter(vm, node->node_index, error, 1);
}

/* One unusual packet of a client. ports, owned: as lbrl_slow_vip. */
static_always_inline void lbrl_one_slow(vlib_main_t *vm, vlib_node_runtime_t *node, lbrl_thread_t *t, vlib_buffer_t *b, u32 bi,
					bool is6, const u16 *ports, bool owned, u16 *next, lbrl_away_t *away)
{
	lbrl_slow_t r = lbrl_slow_vip(t, b, is6, ports, owned);

	if (r.thread != ~0) {
		lbrl_hand_off(away, bi, r.thread, next);
		return;
	}
	*next = r.next;
	lbrl_add_trace(vm, node, b, (lbrl_trace_t){ .vip_id = r.vip_id, .slot = r.slot, .error = r.error, .next = r.next });
	lbrl_count(vm, node, b, r.error, r.next);
}

/* The vector's packets to their next nodes, those of `away` to their threads by that frame queue. */
static_always_inline void lbrl_dispatch(vlib_main_t *vm, vlib_node_runtime_t *node, lbrl_thread_t *t, u32 *from, u16 *nexts,
					u32 n, lbrl_away_t *away, u32 queue)
{
	u32 stay[VLIB_FRAME_SIZE], n_stay = 0;

	if (PREDICT_TRUE(!away->n)) {
		vlib_buffer_enqueue_to_next(vm, node, from, nexts, n);
		return;
	}
	for (u32 i = 0; i < n; i++)
		if (nexts[i] != LBRL_GONE) {
			nexts[n_stay] = nexts[i];
			stay[n_stay++] = from[i];
		}
	if (n_stay)
		vlib_buffer_enqueue_to_next(vm, node, stay, nexts, n_stay);
	u32 sent = vlib_buffer_enqueue_to_thread(vm, node, queue, away->bi, away->thread, away->n, 1);
	if (sent < away->n) {
		vlib_node_increment_counter(vm, node->node_index, LBRL_ERROR_CONGESTION, away->n - sent);
		t->handoff_drops += away->n - sent;
	}
}

#define LBRL_SIBLING_NODE(var, node_name, sibling) \
	VLIB_REGISTER_NODE(var) = { \
		.name = node_name, \
		.sibling_of = sibling, \
		.vector_size = sizeof(u32), \
		.format_trace = format_lbrl_trace, \
		.n_errors = LBRL_N_ERROR, \
		.error_counters = lbrl_error_counters, \
	}
#endif
