/* SPDX-License-Identifier: Apache-2.0 */
#include "accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "fds.h"

#define PAUSE_US 100000u

static void unwatch(struct mlbd_worker *w, struct mlbd_listener *l)
{
	if (!l->paused)
		epoll_ctl(w->epfd, EPOLL_CTL_DEL, l->fd, NULL);
}

static void out_of_descriptors(struct mlbd_worker *w, int error)
{
	w->resume_us = w->now_us + PAUSE_US;
	mlbd_pool_trim(&w->pool);
	mlbd_worker_complain(w, error, "new connections wait until others end (ulimit -n)");
}

static void pause_one(struct mlbd_worker *w, struct mlbd_listener *l)
{
	unwatch(w, l);
	l->paused = true;
}

void mlbd_accept_keep_spare(struct mlbd_worker *w)
{
	if (w->spare_fd < 0)
		w->spare_fd = fcntl(w->mail_fd, F_DUPFD_CLOEXEC, 0);
}

bool mlbd_accept_lend(struct mlbd_worker *w, int error)
{
	out_of_descriptors(w, error);
	for (uint32_t i = 0; i < w->listeners; i++)
		pause_one(w, w->listener[i]);
	if (w->spare_fd < 0)
		return false;
	close(w->spare_fd);
	w->spare_fd = -1;
	return true;
}

void mlbd_accept_resume(struct mlbd_worker *w)
{
	w->resume_us = 0;
	mlbd_accept_keep_spare(w);
	if (w->spare_fd < 0) {
		w->resume_us = w->now_us + PAUSE_US;
		return;
	}
	for (uint32_t i = 0; i < w->listeners; i++) {
		struct mlbd_listener *l = w->listener[i];

		if (l->paused && mlbd_worker_watch(w, EPOLL_CTL_ADD, l->fd, EPOLLIN | EPOLLEXCLUSIVE, l, MLBD_TAG_LISTENER) == 0)
			l->paused = false;
		else if (l->paused)
			w->resume_us = w->now_us + PAUSE_US;
	}
}

void mlbd_accept_some(struct mlbd_worker *w, struct mlbd_listener *l, uint32_t most)
{
	for (uint32_t i = 0; i < most; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			mlbd_conn_accepted(w, l, fd, &peer);
			if (l->paused) /* that took the last descriptor */
				return;
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			out_of_descriptors(w, errno);
			pause_one(w, l);
			return;
		}
		if (errno == EAGAIN || errno == EBADF || errno == EINVAL || errno == ENOTSOCK)
			return;
		/* Else the client is gone already (ECONNABORTED and the network errors that Linux passes here): next. */
	}
}

/* Exclusive: after a takeover by more threads than there were, some share a listener. */
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
	rc = mlbd_worker_watch(w, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, l, MLBD_TAG_LISTENER);
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
		/* Who waits to be accepted would be reset when the listener is closed. (Handed over, the new binary takes them.)
		 */
		if (!w->host->handed_over)
			mlbd_accept_some(w, l, 65536);
		unwatch(w, l); /* main has the socket too: closing this descriptor would not take it out of epoll */
		close(l->fd);
		free(l);
	}
	w->listeners = kept;
}
