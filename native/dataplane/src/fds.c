/* SPDX-License-Identifier: Apache-2.0 */
#include "fds.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_between(unsigned first, unsigned last)
{
	struct rlimit files;

	if (first > last)
		return;
#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, last, 0) == 0)
		return;
#endif
	/* Before Linux 5.9, one by one. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < last)
		last = (unsigned)files.rlim_cur;
	for (unsigned fd = first; fd <= last; fd++)
		close((int)fd);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int mlbd_fds_own(const int *keep, uint32_t n)
{
	unsigned from = STDERR_FILENO + 1;
	int sorted[16];

	if (n > sizeof(sorted) / sizeof(sorted[0]))
		return -EINVAL;
	if (unshare(CLONE_FILES) < 0)
		return -errno;
	memcpy(sorted, keep, n * sizeof(*keep));
	qsort(sorted, n, sizeof(*sorted), by_number);
	for (uint32_t i = 0; i < n; i++) {
		if ((unsigned)sorted[i] < from)
			continue;
		close_between(from, (unsigned)sorted[i] - 1);
		from = (unsigned)sorted[i] + 1;
	}
	close_between(from, ~0u);
	return 0;
}

int mlbd_fds_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
}

int mlbd_fds_send(int to, const char *text, const int *fd, uint32_t n)
{
	union mlbd_fds_room room;
	struct iovec iov = { (char *)text, strlen(text) };

	if (n > MLBD_FDS_MOST)
		return -EINVAL;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.buf, .msg_controllen = CMSG_SPACE(n * sizeof(int))
	};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(n * sizeof(int));
	if (n) /* a VIP that no longer listens has none */
		memcpy(CMSG_DATA(cm), fd, n * sizeof(int));
	ssize_t sent = sendmsg(to, &m, MSG_NOSIGNAL);

	return sent < 0 ? -errno : (size_t)sent == iov.iov_len ? 0 : -EIO;
}

int mlbd_fds_receive(int from, int fd[MLBD_FDS_MOST])
{
	union mlbd_fds_room room;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.buf, .msg_controllen = sizeof(room.buf) };
	ssize_t n;

	/* Looked at first: what does not fit into the descriptor table would be lost with the message. */
	do
		n = recvmsg(from, &m, MSG_CMSG_CLOEXEC | MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	struct cmsghdr *cm = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	bool any = cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS;
	size_t got = any ? (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

	if (got)
		memcpy(fd, CMSG_DATA(cm), got * sizeof(int));
	if (m.msg_flags & MSG_CTRUNC) {
		while (got)
			close(fd[--got]);
		return -EMFILE;
	}
	mlbd_fds_skip(from);
	return (int)got;
}

void mlbd_fds_skip(int from)
{
	char byte;

	while (recv(from, &byte, 1, 0) < 0 && errno == EINTR)
		;
}

char *mlbd_fds_need(char text[MLBD_FDS_NEED_LEN])
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	snprintf(text, MLBD_FDS_NEED_LEN,
		 "no descriptor is left (RLIMIT_NOFILE is %llu): expected one for each thread and vip, two for each connection, "
		 "one "
		 "for each udp flow, and 64",
		 (unsigned long long)limit.rlim_cur);
	return text;
}
