/* SPDX-License-Identifier: Apache-2.0 */
#include "accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <marllb/assert.h>
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
		if (errno == EAGAIN || errno == EBADF || errno == EINVAL || errno == ENOTSOCK)
			return;
		mlbd_spare_count(w, l);
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			mlbd_spare_pause(w, l, errno);
			return;
		}
		/* Else the client is gone already (ECONNABORTED and the network errors that Linux passes here). */
	}
}

/* Room for n more listeners; false: no memory. */
static bool reserve(struct mlbd_worker *w, uint32_t n)
{
	while (w->listener_cap < w->listeners + n) {
		uint32_t cap = w->listener_cap ? 2 * w->listener_cap : 16;
		struct mlbd_listener **more = realloc(w->listener, cap * sizeof(*more));

		if (!more)
			return false;
		memset(more + w->listener_cap, 0, (cap - w->listener_cap) * sizeof(*more));
		w->listener = more;
		w->listener_cap = cap;
	}
	for (uint32_t i = w->listeners; i < w->listeners + n; i++)
		if (!w->listener[i] && !(w->listener[i] = malloc(sizeof(**w->listener))))
			return false;
	return true;
}

/* 0, or -errno: the listeners stay under way. Nothing may fail once they were received. */
static int receive(struct mlbd_worker *w, const struct mlbd_mail *m)
{
	bool udp = w->host->vip[m->vip - 1].conf.ep.proto == IPPROTO_UDP;
	int fd[MLBD_FDS_MOST], got, rc = udp ? mlbd_udp_begin(w) : 0;

	if (rc < 0)
		return rc;
	if (!reserve(w, m->fds))
		return -ENOMEM;
	got = mlbd_fds_receive(w->pass[1], fd);
	if (got < 0)
		return got;
	MLB_ASSERT((uint32_t)got == m->fds);
	for (int i = 0; i < got; i++) {
		struct mlbd_listener *l = w->listener[w->listeners++];

		*l = (struct mlbd_listener){ .fd = fd[i], .vip = m->vip, .udp = udp };
		mlbd_spare_watch(w, l);
	}
	return 0;
}

void mlbd_accept_late(struct mlbd_worker *w)
{
	for (struct mlbd_mail *m = w->late; m; m = w->late) {
		if (!m->vip)
			mlbd_fds_skip(w->pass[1]);
		else if (w->spare_fd < 0 || receive(w, m) < 0)
			break;
		w->late = m->next;
		free(m);
	}
	if (w->late)
		mlbd_spare_later(w);
}

/* The sockets come in the order in which they were sent: with one late, all behind it are. */
void mlbd_accept_add(struct mlbd_worker *w, struct mlbd_mail *m)
{
	struct mlbd_mail **end = &w->late;
	int rc = w->late ? -EMFILE : receive(w, m);

	if (rc == 0) {
		free(m);
		return;
	}
	while (*end)
		end = &(*end)->next;
	m->next = NULL;
	*end = m;
	mlbd_spare_later(w);
	mlbd_worker_complain(w, -rc, "a new vip is served here once there is room (ulimit -n, memory)");
}

void mlbd_accept_drop(struct mlbd_worker *w, uint32_t vip)
{
	uint32_t kept = 0, had;

	for (struct mlbd_mail *m = w->late; m; m = m->next)
		if (!vip || m->vip == vip)
			m->vip = 0;
	mlbd_accept_late(w);
	had = w->listeners;
	for (uint32_t i = 0; i < had; i++) {
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
	while (kept < had)
		w->listener[kept++] = NULL;
	if (vip)
		mlbd_flow_end_greetings(w, vip);
}
