// SPDX-License-Identifier: Apache-2.0
// Preloaded into a process (LD_PRELOAD): no thread can be started while the file named by MARLLB_NO_THREADS_FILE exists, as at
// the limit of a pids cgroup.
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
	const char *file = getenv("MARLLB_NO_THREADS_FILE");

	return file && access(file, F_OK) == 0 ? EAGAIN : real(thread, attr, run, arg);
}
