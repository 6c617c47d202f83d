/* SPDX-License-Identifier: Apache-2.0 */
/* The recount: each worker compares the flows that it counted for every server with those that are in its table. The difference
 * is a figure of the frames and stays zero. The table is too large to be walked at one moment, so the ageing walk, which comes by
 * each entry once a second, counts as well, and what begins or ends behind it is added or taken away. Worker, but for what says
 * main. */
#ifndef LB_RL_RECOUNT_H
#define LB_RL_RECOUNT_H
#include <lb_rl/lb_rl.h>

/* Main thread: for a VIP of that id, before it can be reached. */
void lb_rl_recount_room(u32 vip_id, u32 capacity);
/* Of a thread whose tables go. */
void lb_rl_recount_free(lb_rl_thread_t *t);
/* Main thread, the core's hook. */
void lb_rl_recount_hook(void *arg, u32 vip_id, u32 *diff, u32 n);

/* The walk is at a flow that counts. */
void lb_rl_recount_flow(lb_rl_thread_t *t, const struct mlb_flow *f);
/* The walk's round is over: compares a few servers a call. True: all of them, and the next round may begin. */
bool lb_rl_recount_compare(lb_rl_thread_t *t);
void lb_rl_recount_begin(lb_rl_thread_t *t);

/* A flow begins to count, or ends to: by 1 or -1. */
static inline void lb_rl_recount_changed(lb_rl_thread_t *t, const struct mlb_flow *f, i32 by)
{
	if (mlb_flow_place(t->flows, f) < t->recounted)
		t->recount[f->key.vip].found[f->slot] += by;
}
#endif
