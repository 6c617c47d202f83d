/* SPDX-License-Identifier: Apache-2.0 */
/* What one VLIB thread has of its own. */
#ifndef LB_RL_THREAD_H
#define LB_RL_THREAD_H
#include <vlib/vlib.h>
#include <marllb/flow.h>
#include <marllb/worker.h>

/* A token bucket. */
typedef struct {
	u64 at_us; /* when it was filled up last */
	u32 tokens;
} lb_rl_budget_t;

/* Of one VIP, see recount.h. */
typedef struct {
	u32 *found;       /* vector by slot: flows that count, of the entries that this round has passed */
	_Atomic u32 *off; /* the same: |counted - found| as of the last round; main reads it */
} lb_rl_recount_t;

/* The thread's own, but for the tables: main makes them before the thread runs our nodes. */
typedef struct {
	CLIB_CACHE_LINE_ALIGN_MARK(cacheline0);
	struct mlb_worker *w;
	struct mlb_flow_table *flows, *half; /* established and UDP flows; half-open ones */
	u64 now_us;
	u32 now_ms;
	u32 unproven;                 /* flows of LB_RL_FLOW_UNPROVEN in `flows` */
	u32 flow_cursor, half_cursor; /* where the ageing walk goes on */
	u64 aged_us;                  /* when the walk went on last */
	u64 round_us;                 /* when its round over `flows` began */
	u64 handoff_drops;
	lb_rl_budget_t resets, icmp; /* answers of ours that refuse a packet */
	u16 ident;                   /* of outer IPv4 packets that are cut on their way */
	/* recount.h: entries of `flows` below this one have been passed; ~0: all, and servers are compared, from that one on */
	u32 recounted, compare_vip, compare_slot, compare_sum;
	u32 found;                                 /* flows that the last round found */
	lb_rl_recount_t recount[MLB_MAX_VIPS + 1]; /* by VIP id */
} lb_rl_thread_t;

static inline struct mlb_wvip *lb_rl_wvip(lb_rl_thread_t *t, u32 vip_id)
{
	return atomic_load_explicit(&t->w->vip[vip_id - 1], memory_order_acquire);
}
#endif
