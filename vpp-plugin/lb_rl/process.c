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

#define LB_RL_PASS_US 10000

/* This thread may take packets beside the workers, few and not in a hurry. Between two nodes it holds no pointer, so it is idle
 * as far as the others are concerned; now and then it looks at what they hold, to choose by it. Without workers its own node does
 * that (plugin.c). */
static void lb_rl_pass(u64 now)
{
	static u64 passed_us;
	struct mlb_worker *w = lb_rl_main.thread[0].w;

	if (lb_rl_main.first_worker == 0)
		return;
	if (now - passed_us >= LB_RL_PASS_US) {
		passed_us = now;
		mlb_dp_worker_loop(lb_rl_main.dp, w, now);
	}
	mlb_dp_worker_idle(w, true);
}

/* Returns microseconds until the next one. The stat segment's turn is when the core has nothing to do. */
static u64 lb_rl_step(vlib_main_t *vm)
{
	static f64 stats_at;
	static bool stats_done;
	u64 now = lb_rl_now_us();

	lb_rl_main.thread[0].now_us = now;
	lb_rl_main.thread[0].now_ms = now / 1000;
	u64 wait_us = mlb_dp_poll(lb_rl_main.dp, now, lb_rl_clock_ns(CLOCK_REALTIME));
	lb_rl_pass(now);
	if (wait_us == 0)
		return LB_RL_SOONEST_US;
	if (vlib_time_now(vm) >= stats_at) {
		stats_at = vlib_time_now(vm) + LB_RL_STATS_S;
		lb_rl_stats_begin();
		stats_done = false;
	}
	if (!stats_done) {
		stats_done = lb_rl_stats_step();
		return LB_RL_SOONEST_US;
	}
	return clib_clamp(wait_us, LB_RL_SOONEST_US, LB_RL_LATEST_US);
}

static uword lb_rl_process(vlib_main_t *vm, vlib_node_runtime_t *rt, vlib_frame_t *f)
{
	u64 wait_us = LB_RL_LATEST_US;

	for (;;) {
		lb_rl_wait(vm, wait_us);
		if (lb_rl_main.enabled)
			wait_us = lb_rl_step(vm);
	}
	return 0;
}

VLIB_REGISTER_NODE(lb_rl_process_node) = {
	.function = lb_rl_process,
	.type = VLIB_NODE_TYPE_PROCESS,
	.name = "lb-rl-process",
	.process_log2_n_stack_bytes = 18, /* the core keeps a whole VIP in arrays on the stack */
};
