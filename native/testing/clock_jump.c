// SPDX-License-Identifier: Apache-2.0
// Preloaded into a process (LD_PRELOAD), lets its wall clock jump: the file named by MARLLB_CLOCK_FILE holds a signed number of
// seconds (8 bytes, native order) that is added to CLOCK_REALTIME. Whoever writes the file moves the clock of all that have it.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t zero;
static const volatile int64_t *jump = &zero;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
	real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	const char *file = getenv("MARLLB_CLOCK_FILE");
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof *jump, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		jump = p;
	close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!real)
		begin(); // another library's constructor came first
	int rc = real(id, ts);
	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += *jump;
	return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	struct timespec ts;
	if (clock_gettime(CLOCK_REALTIME, &ts))
		return -1;
	*tv = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *out)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
