/* SPDX-License-Identifier: Apache-2.0 */
#include "accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fds.h"
#include "flow.h"
#include "spare.h"
#include "sys.h"
#include "udp.h"

void mlbd_accept_some(struct mlbd_worker *w, struct mlbd_listener *l, uint32_t most)
{
	for (uint32_t i = 0; i < most; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = mlbd_accept(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

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

static bool watch_new(struct mlbd_worker *w, uint32_t vip, int fd)
{
	struct mlbd_listener *l;

	bool udp = w->host->vip[vip - 1].conf.ep.proto == IPPROTO_UDP;

	if (udp && mlbd_udp_begin(w) < 0)
		return false;
	if (w->listeners == w->listener_cap) {
		uint32_t cap = w->listener_cap ? 2 * w->listener_cap : 16;
		struct mlbd_listener **more = realloc(w->listener, cap * sizeof(*more));

		if (!more)
			return false;
		w->listener = more;
		w->listener_cap = cap;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return false;
	l->fd = fd;
	l->vip = vip;
	l->udp = udp;
	w->listener[w->listeners++] = l;
	mlbd_spare_watch(w, l);
	return true;
}

/* False: there is no room in the descriptor table, the listeners stay under way. */
static bool receive(struct mlbd_worker *w, uint32_t vip, uint32_t n)
{
	int fd[MLBD_FDS_MOST], got = mlbd_fds_receive(w->pass[1], fd), rc = got < 0 ? got : -ENOMEM;
	uint32_t watched = 0;

	if (got == -EMFILE)
		return false;
	for (int i = 0; i < got; i++)
		if (watch_new(w, vip, fd[i]))
			watched++;
		else
			close(fd[i]);
	if (watched < n)
		mlbd_log("error", "worker %u: %u of %u listeners are lost: %s", w->index, n - watched, n, strerror(-rc));
	return true;
}

/* Messages come in the order in which they were sent: with one late, all behind it are. */
static void add_late(struct mlbd_worker *w, uint32_t vip, uint32_t n)
{
	if (w->lates == w->late_cap) {
		uint32_t cap = w->late_cap ? 2 * w->late_cap : 16;
		struct mlbd_late *more = realloc(w->late, cap * sizeof(*more));

		if (!more) {
			mlbd_log("error", "worker %u: no memory to remember that listeners are late", w->index);
			return;
		}
		w->late = more;
		w->late_cap = cap;
	}
	w->late[w->lates++] = (struct mlbd_late){ vip, n };
	mlbd_spare_later(w);
	mlbd_worker_complain(w, EMFILE, "a new vip is served here once other connections end (ulimit -n)");
}

void mlbd_accept_late(struct mlbd_worker *w)
{
	uint32_t done = 0;

	for (; done < w->lates; done++) {
		struct mlbd_late *l = &w->late[done];

		if (!l->vip)
			mlbd_fds_skip(w->pass[1]);
		else if (w->spare_fd < 0 || !receive(w, l->vip, l->fds))
			break;
	}
	if (done)
		memmove(w->late, w->late + done, (w->lates - done) * sizeof(*w->late));
	w->lates -= done;
	if (w->lates)
		mlbd_spare_later(w);
}

void mlbd_accept_add(struct mlbd_worker *w, uint32_t vip, uint32_t n)
{
	if (w->lates || !receive(w, vip, n))
		add_late(w, vip, n);
}

void mlbd_accept_drop(struct mlbd_worker *w, uint32_t vip)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < w->lates; i++)
		if (!vip || w->late[i].vip == vip)
			w->late[i].vip = 0;
	mlbd_accept_late(w);
	for (uint32_t i = 0; i < w->listeners; i++) {
		struct mlbd_listener *l = w->listener[i];

		if (vip && l->vip != vip) {
			w->listener[kept++] = l;
			continue;
		}
		/* Answers of flows that drain leave by the listener's socket, so it stays. What a new process reads is not ours.
		 */
		if (l->udp && w->udp && !vip) {
			if (w->host->handed_over && !l->paused) {
				epoll_ctl(w->epfd, EPOLL_CTL_DEL, l->fd, NULL);
				l->paused = true;
			}
			w->listener[kept++] = l;
			continue;
		}
		if (l->udp && w->udp)
			mlbd_udp_drop(w, l);
		/* Closing a listener resets who waits there. (After a takeover the new process accepts them.) */
		if (!w->host->handed_over && !l->udp)
			mlbd_accept_some(w, l, 65536);
		if (!l->paused)
			epoll_ctl(w->epfd, EPOLL_CTL_DEL, l->fd,
				  NULL); /* main has the socket too: closing this descriptor would not take it out of epoll */
		close(l->fd);
		free(l);
	}
	w->listeners = kept;
	if (vip)
		mlbd_flow_end_greetings(w, vip);
}
