/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/sched.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS 100000u /* the least that the kernel takes */
#define RESET_ON_FORK 1u /* SCHED_FLAG_RESET_ON_FORK, which getattr gives back and must stay as it is */

/* struct sched_attr of the kernel's first version; C libraries before glibc 2.41 have neither it nor the calls. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

int mlb_sched_prompt(void)
{
	struct attr a = { .size = sizeof(a) };

	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0)
		return -errno;
	if (a.policy != 0) /* only SCHED_OTHER has slices; a real-time policy that somebody chose is better still */
		return 0;
	a.flags &= RESET_ON_FORK;
	a.runtime = SLICE_NS;
	return syscall(SYS_sched_setattr, 0, &a, 0) < 0 ? -errno : 0;
}
