/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine makes of a tick's way at best: three processes that hand a word over by pipes, each with some work in
 * between, without our code or Node's. Beside the same load, its slow rounds are the scheduler's. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "load.h"
#include "marllb/sched.h"

enum { PROCESSES = 3 };

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void work(uint64_t ns)
{
	for (uint64_t end = ns_of(CLOCK_THREAD_CPUTIME_ID) + ns; ns_of(CLOCK_THREAD_CPUTIME_ID) < end;)
		;
}

/* Takes one word and hands it on with a hop less; false: the end. */
static bool pass(int from, int to, uint64_t work_ns)
{
	uint32_t left;
	if (read(from, &left, sizeof(left)) != sizeof(left))
		return false;
	work(work_ns);
	left--;
	return write(to, &left, sizeof(left)) == sizeof(left);
}

/* Process k reads pipe k and writes pipe k + 1; the others' ends are closed, so that the end of one is the end of all. */
static void keep_own(int fd[PROCESSES][2], int k)
{
	for (int i = 0; i < PROCESSES; i++) {
		if (i != k)
			close(fd[i][0]);
		if (i != (k + 1) % PROCESSES)
			close(fd[i][1]);
	}
}

static int rounds(int from, int to, const struct load_hops *c)
{
	uint32_t n = (uint32_t)(c->rate * c->seconds);
	double *ms = calloc(n ? n : 1, sizeof(*ms));
	uint64_t due = ns_of(CLOCK_MONOTONIC);
	if (!ms)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		due += (uint64_t)(1e9 / c->rate);
		struct timespec t = { (time_t)(due / 1000000000u), (long)(due % 1000000000u) };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
			;
		uint64_t began = ns_of(CLOCK_MONOTONIC);
		uint32_t left = c->hops;
		work(c->work_us * 1000);
		if (write(to, &left, sizeof(left)) != sizeof(left))
			return -EPIPE;
		for (left = c->hops; left > PROCESSES; left -= PROCESSES)
			if (!pass(from, to, c->work_us * 1000))
				return -EPIPE;
		if (read(from, &left, sizeof(left)) != sizeof(left))
			return -EPIPE;
		ms[i] = (double)(ns_of(CLOCK_MONOTONIC) - began) / 1e6;
	}
	printf("{\"rounds\":%u,\"hops_ms\":[", n);
	for (uint32_t i = 0; i < n; i++)
		printf("%s%.4f", i ? "," : "", ms[i]);
	printf("]}\n");
	free(ms);
	return 0;
}

int load_hops(const struct load_hops *c)
{
	int fd[PROCESSES][2];
	for (int i = 0; i < PROCESSES; i++)
		if (pipe(fd[i]))
			return -errno;
	mlb_sched_prompt(); /* as the tick's own threads */
	for (int k = 1; k < PROCESSES; k++) {
		pid_t pid = fork();
		if (pid < 0)
			return -errno;
		if (pid)
			continue;
		keep_own(fd, k);
		while (pass(fd[k][0], fd[(k + 1) % PROCESSES][1], c->work_us * 1000))
			;
		_exit(0);
	}
	keep_own(fd, 0);
	return rounds(fd[0][0], fd[1][1], c);
}
