/* SPDX-License-Identifier: Apache-2.0 */
#include "accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fds.h"
#include "flow.h"
#include "spare.h"

void mlbd_accept_some(struct mlbd_worker *w, struct mlbd_listener *l, uint32_t most)
{
	for (uint32_t i = 0; i < most; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			mlbd_flow_accepted(w, l->vip, fd, &peer);
			if (l->paused) /* its server took the last descriptor */
				return;
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			mlbd_spare_pause(w, l, errno);
			return;
		}
		if (errno == EAGAIN || errno == EBADF || errno == EINVAL || errno == ENOTSOCK)
			return;
		/* Else the client is gone already (ECONNABORTED and the network errors that Linux passes here). */
	}
}

static int watch_new(struct mlbd_worker *w, uint32_t vip, int fd)
{
	struct mlbd_listener *l;
	int rc;

	if (w->listeners == w->listener_cap) {
		uint32_t cap = w->listener_cap ? 2 * w->listener_cap : 16;
		struct mlbd_listener **more = realloc(w->listener, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		w->listener = more;
		w->listener_cap = cap;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->fd = fd;
	l->vip = vip;
	rc = mlbd_spare_watch(w, l);
	if (rc < 0)
		free(l);
	else
		w->listener[w->listeners++] = l;
	return rc;
}

void mlbd_accept_add(struct mlbd_worker *w, uint32_t vip, uint32_t n)
{
	int fd[MLBD_FDS_MOST], got = mlbd_fds_receive(w->pass[1], fd), rc = got < 0 ? got : -EMFILE;
	uint32_t watched = 0;

	for (int i = 0; i < got; i++) {
		int failed = watch_new(w, vip, fd[i]);

		watched += failed == 0;
		if (failed) {
			rc = failed;
			close(fd[i]);
		}
	}
	if (watched < n)
		mlbd_log("error", "worker %u: %u of %u listeners are lost: %s", w->index, n - watched, n, strerror(-rc));
}

void mlbd_accept_drop(struct mlbd_worker *w, uint32_t vip)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < w->listeners; i++) {
		struct mlbd_listener *l = w->listener[i];

		if (vip && l->vip != vip) {
			w->listener[kept++] = l;
			continue;
		}
		/* Closing a listener resets who waits there. (After a takeover the new process accepts them.) */
		if (!w->host->handed_over)
			mlbd_accept_some(w, l, 65536);
		if (!l->paused)
			epoll_ctl(w->epfd, EPOLL_CTL_DEL, l->fd,
				  NULL); /* main has the socket too: closing this descriptor would not take it out of epoll */
		close(l->fd);
		free(l);
	}
	w->listeners = kept;
}
