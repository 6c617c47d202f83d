/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "marllb/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void mlb_futex_wake(_Atomic uint32_t *word)
{
	atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

int mlb_futex_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_us)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_us / 1000000), .tv_nsec = (long)(timeout_us % 1000000) * 1000 };
	if (atomic_load_explicit(word, memory_order_acquire) != seen)
		return 0;
	if (syscall(SYS_futex, word, FUTEX_WAIT, seen, &ts, NULL, 0) == 0 || errno == EAGAIN || errno == EINTR)
		return 0;
	return -errno;
}
