/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "region_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#define GUARDED 16

static struct {
	_Atomic uintptr_t base; /* 0 = free; set last */
	_Atomic uint64_t size;
	_Atomic bool lost;
} guarded[GUARDED];
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

/* Whatever the thread was at goes on with zeros: every reader of a region copes with any bytes. */
static void on_bus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	uintptr_t at = (uintptr_t)info->si_addr;
	for (int i = 0; i < GUARDED; i++) {
		uintptr_t base = atomic_load(&guarded[i].base);
		uint64_t size = atomic_load(&guarded[i].size);
		if (!base || at < base || at - base >= size)
			continue;
		if (mmap((void *)base, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		    MAP_FAILED)
			break;
		atomic_store(&guarded[i].lost, true);
		errno = saved;
		return;
	}
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(sig);
	else
		sigaction(SIGBUS, &before, NULL); /* the access happens again and ends the process as it always did */
}

static void install(void)
{
	struct sigaction a = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigemptyset(&a.sa_mask);
	sigaction(SIGBUS, &a, &before);
}

int region_guard_add(void *base, uint64_t size)
{
	int rc = -ENOSPC;
	pthread_once(&once, install);
	pthread_mutex_lock(&adding);
	for (int i = 0; i < GUARDED && rc != 0; i++) {
		if (atomic_load(&guarded[i].base))
			continue;
		atomic_store(&guarded[i].size, size);
		atomic_store(&guarded[i].lost, false);
		atomic_store(&guarded[i].base, (uintptr_t)base);
		rc = 0;
	}
	pthread_mutex_unlock(&adding);
	return rc;
}

static int index_of(const void *base)
{
	for (int i = 0; i < GUARDED; i++)
		if (base && atomic_load(&guarded[i].base) == (uintptr_t)base)
			return i;
	return -1;
}

void region_guard_remove(void *base)
{
	int i = index_of(base);
	if (i >= 0)
		atomic_store(&guarded[i].base, 0);
}

bool region_guard_lost(const void *base)
{
	int i = index_of(base);
	return i >= 0 && atomic_load(&guarded[i].lost);
}

void region_guard_renew(void *base)
{
	int i = index_of(base);
	if (i >= 0)
		atomic_store(&guarded[i].lost, false);
}
