/* SPDX-License-Identifier: Apache-2.0 */
/* Words that processes wait on in shared memory: futexes, not PRIVATE. */
#ifndef MARLLB_FUTEX_H
#define MARLLB_FUTEX_H
#include "layout.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Bumps a word and wakes its waiters; waits until it differs from `seen` or timeout_us passed, -errno. */
void mlb_futex_wake(MLB_ATOMIC(uint32_t) *);
int mlb_futex_wait(MLB_ATOMIC(uint32_t) *, uint32_t seen, uint64_t timeout_us);

#ifdef __cplusplus
}
#endif
#endif
