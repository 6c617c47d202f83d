/* SPDX-License-Identifier: Apache-2.0 */
/* Short time slices for a thread that sleeps most of the time and must wake at once: the tick's. */
#ifndef MARLLB_SCHED_H
#define MARLLB_SCHED_H
#ifdef __cplusplus
extern "C" {
#endif

/* Asks the scheduler to run the calling thread (and those it starts later) soon after it wakes, rather than for long: a time
 * slice of 0.1 ms instead of some 3 ms, so that on a busy CPU it does not wait for another's slice to end (Linux 6.12 on; older
 * ones take no notice). Its share of the CPU stays what it was, and no privilege is needed. Negative errno. */
int mlb_sched_prompt(void);

#ifdef __cplusplus
}
#endif
#endif
