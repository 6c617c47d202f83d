/* SPDX-License-Identifier: Apache-2.0 */
#include "workers.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fds.h"
#include "loop.h"
#include "udp_room.h"

int mlbd_workers_new(struct mlbd_host *h, char err[256])
{
	struct mlbd_worker *w = calloc(h->threads, sizeof(*w));
	int rc = 0;

	if (!w) {
		snprintf(err, 256, "no memory for %u workers", h->threads);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < h->threads && rc == 0; i++)
		if ((rc = mlbd_worker_init(&w[i], h, i, err)))
			for (uint32_t k = 0; k <= i; k++)
				mlbd_worker_free(&w[k]);
	if (rc)
		free(w);
	else
		h->worker = w;
	return rc;
}

int mlbd_workers_start(struct mlbd_host *h, char err[256])
{
	for (uint32_t i = 0; i < h->threads; i++) {
		struct mlbd_worker *w = &h->worker[i];
		int rc = pthread_create(&w->thread, NULL, mlbd_loop, w);

		if (rc) {
			snprintf(err, 256, "worker %u: cannot start a thread: %s", i, strerror(rc));
			return -rc;
		}
		w->started = true;
	}
	return 0;
}

/* A copy that the worker frees. */
static int post_copy(struct mlbd_worker *w, const struct mlbd_mail *what)
{
	struct mlbd_mail *m = malloc(sizeof(*m));

	if (!m) {
		mlbd_log("error", "no memory for a message to worker %u", w->index);
		return -ENOMEM;
	}
	*m = *what;
	mlbd_worker_post(w, m);
	return 0;
}

/* To n workers in a row, of those that run. The messages lie here until all are acted on. */
static void tell(struct mlbd_worker *w, uint32_t n, const struct mlbd_mail *what)
{
	struct mlbd_mail mail[MLBD_MAX_THREADS];
	uint32_t told = 0;
	sem_t done;

	sem_init(&done, 0, 0);
	for (uint32_t i = 0; i < n; i++) {
		if (!w[i].started)
			continue;
		mail[told] = *what;
		mail[told].done = &done;
		mlbd_worker_post(&w[i], &mail[told++]);
	}
	while (told)
		if (sem_wait(&done) == 0) /* else interrupted */
			told--;
	sem_destroy(&done);
}

void mlbd_workers_ask(struct mlbd_worker *w, const struct mlbd_mail *what)
{
	tell(w, 1, what);
}

void mlbd_workers_tell(struct mlbd_host *h, const struct mlbd_mail *what)
{
	if (h->worker)
		tell(h->worker, h->threads, what);
}

int mlbd_workers_post(struct mlbd_host *h, const struct mlbd_mail *what)
{
	int rc = 0;

	for (uint32_t i = 0; i < h->threads; i++)
		if (h->worker[i].started && post_copy(&h->worker[i], what))
			rc = -ENOMEM;
	return rc;
}

void mlbd_workers_settings(struct mlbd_host *h)
{
	mlbd_workers_tell(h, &(struct mlbd_mail){ .kind = MLBD_MAIL_SYNC });
	mlbd_udp_room_give_all(h);
}

#define ROOM_MS 2000 /* a worker that takes none for so long does not serve either */

/* The socket holds some hundreds of VIPs' listeners; where more begin to listen at once, the worker takes them meanwhile. */
static int send_listeners(struct mlbd_worker *w, const int *fd, uint32_t n)
{
	struct pollfd room = { .fd = w->pass[0], .events = POLLOUT };
	int rc = mlbd_fds_send(w->pass[0], "\n", fd, n);

	return rc == -EAGAIN && poll(&room, 1, ROOM_MS) == 1 ? mlbd_fds_send(w->pass[0], "\n", fd, n) : rc;
}

int mlbd_workers_listen(struct mlbd_worker *w, uint32_t vip, const int *fd, uint32_t n)
{
	struct mlbd_mail *m = calloc(1, sizeof(*m)); /* before the sockets are on their way, which nobody could call back */
	int rc = m ? send_listeners(w, fd, n) : -ENOMEM;

	if (rc < 0) {
		free(m);
		return rc;
	}
	m->kind = MLBD_MAIL_LISTEN;
	m->vip = vip;
	m->fds = n;
	mlbd_worker_post(w, m);
	return 0;
}

uint64_t mlbd_workers_conns(const struct mlbd_host *h)
{
	uint64_t n = 0;

	for (uint32_t i = 0; h->worker && i < h->threads; i++)
		n += MLB_LD(h->worker[i].conns);
	return n;
}

void mlbd_workers_join(struct mlbd_host *h)
{
	mlbd_workers_tell(h, &(struct mlbd_mail){ .kind = MLBD_MAIL_QUIT });
	for (uint32_t i = 0; h->worker && i < h->threads; i++) {
		if (h->worker[i].started)
			pthread_join(h->worker[i].thread, NULL);
		mlbd_worker_free(&h->worker[i]);
	}
	free(h->worker);
	h->worker = NULL;
}
