/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread's step: frames, weights, ejection, grace periods (all in the core, by mlb_dp_poll), then ten times a second the
 * stat segment. It runs when the core wants it, every ten milliseconds at the latest, and when the agent has written a message
 * (waker.c). What the core does to a server reaches the nodes by the hooks in server.c. */
#include <lb_rl/clock.h>
#include <lb_rl/stats.h>
#include <lb_rl/waker.h>

#define LB_RL_SOONEST_US 20
#define LB_RL_LATEST_US 10000
#define LB_RL_STATS_S 0.1

/* Until an event, or so long. A main thread that takes packets itself polls anyway, and looks at its files once in a thousand
 * loops only. */
static void lb_rl_wait(vlib_main_t *vm, u64 us)
{
	if (lb_rl_main.enabled && vlib_num_workers() == 0)
		vlib_process_wait_for_event_or_clock(vm, 1e-6 * us);
	else {
		if (lb_rl_main.enabled)
			lb_rl_waker_in(us);
		vlib_process_wait_for_event(vm);
	}
	vlib_process_get_events(vm, 0);
}

static uword lb_rl_process(vlib_main_t *vm, vlib_node_runtime_t *rt, vlib_frame_t *f)
{
	f64 stats_at = 0;
	u64 wait_us = LB_RL_LATEST_US;

	for (;;) {
		lb_rl_wait(vm, wait_us);
		if (!lb_rl_main.enabled)
			continue;
		/* This thread takes packets too where there are no workers; between two nodes it holds no pointer. */
		u64 now = lb_rl_now_us();
		lb_rl_main.thread[0].now_us = now;
		lb_rl_main.thread[0].now_ms = now / 1000;
		mlb_dp_worker_loop(lb_rl_main.dp, lb_rl_main.thread[0].w, now);
		wait_us = clib_clamp(mlb_dp_poll(lb_rl_main.dp, now, lb_rl_clock_ns(CLOCK_REALTIME)), LB_RL_SOONEST_US,
				     LB_RL_LATEST_US);
		f64 t = vlib_time_now(vm);
		if (t >= stats_at) {
			lb_rl_stats_update();
			stats_at = t + LB_RL_STATS_S;
		}
	}
	return 0;
}

VLIB_REGISTER_NODE(lb_rl_process_node) = {
	.function = lb_rl_process,
	.type = VLIB_NODE_TYPE_PROCESS,
	.name = "lb-rl-process",
	.process_log2_n_stack_bytes = 18, /* the core keeps a whole VIP in arrays on the stack */
};
