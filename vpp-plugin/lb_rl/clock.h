/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of the nodes and of the main thread's step: CLOCK_MONOTONIC, as the frames have it. */
#ifndef LB_RL_CLOCK_H
#define LB_RL_CLOCK_H
#include <vppinfra/clib.h>
#include <time.h>

static inline u64 lb_rl_clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (u64)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline u64 lb_rl_now_us(void)
{
	return lb_rl_clock_ns(CLOCK_MONOTONIC) / 1000;
}
#endif
