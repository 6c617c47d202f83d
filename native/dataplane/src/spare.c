/* SPDX-License-Identifier: Apache-2.0 */
#include "spare.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PAUSE_US 100000u

void mlbd_spare_later(struct mlbd_worker *w)
{
	w->resume_us = w->now_us + PAUSE_US;
}

static void out_of_descriptors(struct mlbd_worker *w, int error)
{
	mlbd_spare_later(w);
	mlbd_buffers_trim(&w->buffers);
	mlbd_worker_complain(w, error, "new connections wait until others end (ulimit -n)");
}

static void pause_one(struct mlbd_worker *w, struct mlbd_listener *l)
{
	if (!l->paused)
		epoll_ctl(w->epfd, EPOLL_CTL_DEL, l->fd, NULL);
	l->paused = true;
}

/* Exclusive: after a takeover by more threads than there were, some share a listener. */
void mlbd_spare_watch(struct mlbd_worker *w, struct mlbd_listener *l)
{
	int rc = mlbd_worker_watch(w, EPOLL_CTL_ADD, l->fd, EPOLLIN | EPOLLEXCLUSIVE, l, MLBD_TAG_LISTENER);

	l->paused = rc < 0;
	if (rc < 0)
		mlbd_spare_later(w);
}

void mlbd_spare_pause(struct mlbd_worker *w, struct mlbd_listener *l, int error)
{
	out_of_descriptors(w, error);
	pause_one(w, l);
}

bool mlbd_spare_lend(struct mlbd_worker *w, int error)
{
	out_of_descriptors(w, error);
	for (uint32_t i = 0; i < w->listeners; i++)
		if (!w->listener[i]->udp) /* UDP makes room by itself */
			pause_one(w, w->listener[i]);
	if (w->spare_fd < 0)
		return false;
	close(w->spare_fd);
	w->spare_fd = -1;
	return true;
}

void mlbd_spare_keep(struct mlbd_worker *w)
{
	if (w->spare_fd < 0)
		w->spare_fd = fcntl(w->mail_fd, F_DUPFD_CLOEXEC, 0);
}

void mlbd_spare_count(struct mlbd_worker *w, const struct mlbd_listener *l)
{
	struct mlb_wvip *wv = atomic_load_explicit(&w->core->vip[l->vip - 1], memory_order_acquire);

	if (wv) /* else it was removed a moment ago */
		mlb_ev_accept_error(wv);
}

/* Ten times a second while there is no descriptor: a listener with clients that wait counts, so that it is seen. */
static void count_waiting(struct mlbd_worker *w)
{
	for (uint32_t i = 0; i < w->listeners; i++) {
		struct mlbd_listener *l = w->listener[i];
		struct pollfd p = { .fd = l->fd, .events = POLLIN };

		if (l->paused && !l->udp && poll(&p, 1, 0) == 1)
			mlbd_spare_count(w, l);
	}
}

void mlbd_spare_resume(struct mlbd_worker *w)
{
	w->resume_us = 0;
	mlbd_spare_keep(w);
	if (w->spare_fd < 0) {
		count_waiting(w);
		mlbd_spare_later(w);
		return;
	}
	for (uint32_t i = 0; i < w->listeners; i++)
		/* A UDP listener that a new process reads stays out. */
		if (w->listener[i]->paused && !(w->listener[i]->udp && w->host->handed_over))
			mlbd_spare_watch(w, w->listener[i]);
}
