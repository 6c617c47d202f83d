/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into VPP by the tests of several workers where the machine has too few cores: VPP believes in MLB_CORES of them, and
 * pinning to one that is not there pins to one that is. Slow, for threads share cores, but the same code runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static int cores(void)
{
	const char *s = getenv("MLB_CORES");
	return s ? atoi(s) : 0;
}

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	(void)pid;
	CPU_ZERO_S(size, set);
	for (int i = 0; i < cores(); i++)
		CPU_SET_S((size_t)i, size, set);
	return 0;
}

int pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t *want)
{
	int (*real)(pthread_t, size_t, const cpu_set_t *) =
		(int (*)(pthread_t, size_t, const cpu_set_t *))dlsym(RTLD_NEXT, "pthread_setaffinity_np");
	size_t there = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;
	CPU_ZERO(&set);
	for (size_t i = 0; i < 8 * size; i++)
		if (CPU_ISSET_S(i, size, want))
			CPU_SET(i % there, &set);
	return real(thread, sizeof(set), &set);
}
