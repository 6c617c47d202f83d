/* SPDX-License-Identifier: Apache-2.0 */
/* VPP's main thread sleeps in epoll, which cannot wait for a futex, and no shorter than a millisecond. A thread waits for the
 * agent's message instead and makes an eventfd readable, so a message takes effect within tens of microseconds and the main
 * thread sleeps until then. Main thread. */
#ifndef LB_RL_WAKER_H
#define LB_RL_WAKER_H
#include <stdatomic.h>
#include <vppinfra/clib.h>
#include <marllb/types.h>

/* word: the region's in_futex. Each change of it is an event for lb-rl-process. 0 or VNET_API_ERROR_* with err. */
int lb_rl_waker_start(_Atomic u32 *word, char err[MLB_ERR_LEN]);
/* Before the word is unmapped. Nothing where it was not started. */
void lb_rl_waker_stop(void);
#endif
