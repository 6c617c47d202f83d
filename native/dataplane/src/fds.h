/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's descriptor table is its own: the kernel then need not count references to a file at each system call on it (some 60
 * ns each), workers do not meet at one lock when they open and close, and RLIMIT_NOFILE holds for each worker by itself.
 * Descriptors come to it by message; what main closes stays open here until the worker closes its own. */
#ifndef MLBD_FDS_H
#define MLBD_FDS_H
#include <stdint.h>
#include <sys/socket.h>

/* Gives the calling thread a table with stdio and the n of `keep` (same numbers), nothing else. -errno: it goes on sharing the
 * process's table (a container may forbid unshare). */
int mlbd_fds_own(const int *keep, uint32_t n);
/* Why there is no descriptor left, and how many it takes. Returns text. */
#define MLBD_FDS_NEED_LEN 200
char *mlbd_fds_need(char text[MLBD_FDS_NEED_LEN]);
/* A pair of sockets that carry descriptors between tables. */
int mlbd_fds_pair(int pair[2]);
#define MLBD_FDS_MOST 64u
union mlbd_fds_room { /* for a message's descriptors, aligned as a control message must be */
	struct cmsghdr hdr;
	char buf[CMSG_SPACE(sizeof(int) * MLBD_FDS_MOST)];
};
/* One message: `text`, not empty, with the descriptors beside it. 0 or -errno; the n of `fd` stay the caller's. To one of a pair
 * it never blocks: -EAGAIN if more than the socket holds is under way. */
int mlbd_fds_send(int to, const char *text, const int *fd, uint32_t n);
/* The descriptors of the next message, close-on-exec: their number, or -errno. -EMFILE: this table has no room for all; the
 * message stays where it is. */
int mlbd_fds_receive(int from, int fd[MLBD_FDS_MOST]);
/* Drops the next message and closes what came with it; needs no descriptor. */
void mlbd_fds_skip(int from);
#endif
