/* SPDX-License-Identifier: Apache-2.0 */
/* VPP's main thread sleeps in epoll, which cannot wait for a futex, and for whole milliseconds only: before a process's clock it
 * polls for what is left of one. A thread waits for the agent's message instead and makes an eventfd readable, so a message takes
 * effect within tens of microseconds; a timerfd stands for the clock. The main thread sleeps until either. Main thread. */
#ifndef LB_RL_WAKER_H
#define LB_RL_WAKER_H
#include <stdatomic.h>
#include <vppinfra/clib.h>
#include <marllb/types.h>

/* word: the region's in_futex. Each change of it is an event for lb-rl-process. 0 or VNET_API_ERROR_* with err. */
int lb_rl_waker_start(_Atomic u32 *word, char err[MLB_ERR_LEN]);
/* One more event so much later, in place of the one that was asked for before. */
void lb_rl_waker_in(u64 us);
/* Before the word is unmapped. Nothing where it was not started. */
void lb_rl_waker_stop(void);
#endif
