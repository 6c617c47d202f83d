/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of the relay path without libc's wrappers: in a process of several threads those are points of cancellation,
 * which take two locked instructions a call. Nobody here cancels a thread. */
#ifndef MLBD_SYS_H
#define MLBD_SYS_H
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As recv, send and epoll_wait. */
static inline ssize_t mlbd_recv(int fd, void *buf, size_t n)
{
	return syscall(SYS_recvfrom, fd, buf, n, 0, NULL, NULL);
}
static inline ssize_t mlbd_send(int fd, const void *buf, size_t n, int flags)
{
	return syscall(SYS_sendto, fd, buf, n, flags, NULL, 0);
}
static inline int mlbd_epoll_wait(int epfd, struct epoll_event *ev, int most, int ms)
{
	return (int)syscall(SYS_epoll_pwait, epfd, ev, most, ms, NULL, 8);
}
#endif
