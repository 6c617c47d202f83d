/* SPDX-License-Identifier: Apache-2.0 */
/* Lets the nth call of a process for memory, a descriptor, a thread or the like fail. For a program that is linked with --wrap
 * for each of these names (marllb_faults in CMakeLists.txt): the C library's own calls are not among them. */
#ifndef FAULT_H
#define FAULT_H
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Shared between the test and the process under test. */
struct fault {
	_Atomic long left;     /* calls until one fails; 0: none does */
	_Atomic bool for_ever; /* all after it fail, too */
	_Atomic bool hit;
	char what[24];
};

static struct fault *fault_mine; /* NULL: no call of this process fails */

static inline struct fault *fault_new(void)
{
	void *p = mmap(NULL, sizeof(struct fault), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline void fault_arm(struct fault *f, long n, bool for_ever)
{
	f->hit = false;
	f->what[0] = 0;
	f->for_ever = for_ever;
	f->left = n;
}

/* Whether one has failed since. */
static inline bool fault_disarm(struct fault *f)
{
	f->left = 0;
	return f->hit;
}

static inline bool fault(const char *what)
{
	struct fault *f = fault_mine;
	long left = f ? atomic_load(&f->left) : 0;

	while (left > 0 && !atomic_compare_exchange_weak(&f->left, &left, left == 1 && f->for_ever ? 1 : left - 1))
		;
	if (left != 1)
		return false;
	if (!atomic_exchange(&f->hit, true))
		snprintf(f->what, sizeof(f->what), "%s", what);
	return true;
}

#define FAULT(type, name, error, failed, params, args) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		if (!fault(#name)) \
			return __real_##name args; \
		errno = error; \
		return failed; \
	}

FAULT(void *, malloc, ENOMEM, NULL, (size_t n), (n))
FAULT(void *, calloc, ENOMEM, NULL, (size_t n, size_t of), (n, of))
FAULT(void *, realloc, ENOMEM, NULL, (void *p, size_t n), (p, n))
FAULT(void *, aligned_alloc, ENOMEM, NULL, (size_t a, size_t n), (a, n))
FAULT(void *, mmap, ENOMEM, MAP_FAILED, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at))
FAULT(int, socket, EMFILE, -1, (int family, int type, int protocol), (family, type, protocol))
FAULT(int, socketpair, EMFILE, -1, (int family, int type, int protocol, int fd[2]), (family, type, protocol, fd))
FAULT(int, epoll_create1, EMFILE, -1, (int flags), (flags))
FAULT(int, eventfd, EMFILE, -1, (unsigned n, int flags), (n, flags))
FAULT(int, timerfd_create, EMFILE, -1, (int clock, int flags), (clock, flags))
FAULT(int, signalfd, EMFILE, -1, (int fd, const void *set, int flags), (fd, set, flags))
FAULT(int, memfd_create, EMFILE, -1, (const char *name, unsigned flags), (name, flags))
FAULT(int, pipe2, EMFILE, -1, (int fd[2], int flags), (fd, flags))
FAULT(int, accept4, EMFILE, -1, (int fd, struct sockaddr *sa, socklen_t *len, int flags), (fd, sa, len, flags))
FAULT(int, bind, EADDRINUSE, -1, (int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
FAULT(int, listen, EADDRINUSE, -1, (int fd, int backlog), (fd, backlog))
FAULT(int, posix_fallocate, 0, ENOSPC, (int fd, off_t at, off_t n), (fd, at, n))
FAULT(char *, strdup, ENOMEM, NULL, (const char *s), (s))
FAULT(FILE *, fopen, EMFILE, NULL, (const char *path, const char *how), (path, how))
FAULT(int, rename, EACCES, -1, (const char *from, const char *to), (from, to))
FAULT(int, unshare, EPERM, -1, (int flags), (flags))
FAULT(ssize_t, sendmsg, ENOBUFS, -1, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
FAULT(int, pthread_create, 0, EAGAIN, (pthread_t * t, const pthread_attr_t *a, void *(*run)(void *), void *arg), (t, a, run, arg))

int __real_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	if (op != EPOLL_CTL_ADD || !fault("epoll_ctl"))
		return __real_epoll_ctl(ep, op, fd, ev);
	errno = ENOSPC;
	return -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	int mode = 0;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, int);
	va_end(ap);
	if (!fault("open"))
		return __real_open(path, flags, mode);
	errno = EMFILE;
	return -1;
}

int __real_fcntl(int fd, int op, ...);
int __wrap_fcntl(int fd, int op, ...);
int __wrap_fcntl(int fd, int op, ...)
{
	va_list ap;
	long arg;

	va_start(ap, op);
	arg = va_arg(ap, long);
	va_end(ap);
	if (op != F_DUPFD_CLOEXEC || !fault("fcntl"))
		return __real_fcntl(fd, op, arg);
	errno = EMFILE;
	return -1;
}
#endif
