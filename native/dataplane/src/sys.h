/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of the relay path without libc's wrappers: in a process of several threads those are points of cancellation,
 * which take two locked instructions a call. Nobody here cancels a thread. */
#ifndef MLBD_SYS_H
#define MLBD_SYS_H
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As recv, send, accept4, connect, close and epoll_wait. */
static inline ssize_t mlbd_recv(int fd, void *buf, size_t n)
{
	return syscall(SYS_recvfrom, fd, buf, n, 0, NULL, NULL);
}
static inline ssize_t mlbd_send(int fd, const void *buf, size_t n, int flags)
{
	return syscall(SYS_sendto, fd, buf, n, flags, NULL, 0);
}
static inline int mlbd_accept(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	return (int)syscall(SYS_accept4, fd, peer, len, flags);
}
static inline int mlbd_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	return (int)syscall(SYS_connect, fd, to, len);
}
static inline int mlbd_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}
static inline ssize_t mlbd_recvmsg(int fd, struct msghdr *m, int flags)
{
	return syscall(SYS_recvmsg, fd, m, flags);
}
static inline ssize_t mlbd_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return syscall(SYS_sendmsg, fd, m, flags);
}
static inline int mlbd_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	return (int)syscall(SYS_recvmmsg, fd, m, n, flags, NULL);
}
static inline int mlbd_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	return (int)syscall(SYS_sendmmsg, fd, m, n, flags);
}
static inline int mlbd_epoll_wait(int epfd, struct epoll_event *ev, int most, int ms)
{
	return (int)syscall(SYS_epoll_pwait, epfd, ev, most, ms, NULL, 8);
}
#endif
