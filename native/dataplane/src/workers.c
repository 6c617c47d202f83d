/* SPDX-License-Identifier: Apache-2.0 */
#include "workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fds.h"
#include "loop.h"

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

/* To a worker that runs. done may be NULL. */
static int post_copy(struct mlbd_worker *w, const struct mlbd_mail *what, sem_t *done)
{
	struct mlbd_mail *m = malloc(sizeof(*m));

	if (!m) {
		mlbd_log("error", "no memory for a message to worker %u", w->index);
		return -ENOMEM;
	}
	*m = *what;
	m->done = done;
	mlbd_worker_post(w, m);
	return 0;
}

int mlbd_workers_ask(struct mlbd_worker *w, const struct mlbd_mail *what)
{
	sem_t done;
	int rc;

	if (!w->started)
		return 0;
	sem_init(&done, 0, 0);
	rc = post_copy(w, what, &done);
	while (rc == 0 && sem_wait(&done) < 0)
		; /* interrupted */
	sem_destroy(&done);
	return rc;
}

int mlbd_workers_tell(struct mlbd_host *h, const struct mlbd_mail *what)
{
	int rc = 0;

	for (uint32_t i = 0; i < h->threads; i++)
		if (mlbd_workers_ask(&h->worker[i], what))
			rc = -ENOMEM;
	return rc;
}

int mlbd_workers_post(struct mlbd_host *h, const struct mlbd_mail *what)
{
	int rc = 0;

	for (uint32_t i = 0; i < h->threads; i++)
		if (h->worker[i].started && post_copy(&h->worker[i], what, NULL))
			rc = -ENOMEM;
	return rc;
}

void mlbd_workers_settings(struct mlbd_host *h)
{
	mlbd_workers_tell(h, &(struct mlbd_mail){ .kind = MLBD_MAIL_SYNC });
}

int mlbd_workers_listen(struct mlbd_worker *w, uint32_t vip, const int *fd, uint32_t n)
{
	struct mlbd_mail *m = calloc(1, sizeof(*m));
	int rc = m ? mlbd_fds_send(w->pass[0], "\n", fd, n) : -ENOMEM;

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
	for (uint32_t i = 0; h->worker && i < h->threads; i++) {
		struct mlbd_mail *m = h->worker[i].started ? calloc(1, sizeof(*m)) : NULL;

		if (!m && h->worker[i].started)
			_exit(1); /* without memory nothing can be ended in order */
		if (!m)
			continue;
		m->kind = MLBD_MAIL_QUIT;
		mlbd_worker_post(&h->worker[i], m);
	}
	for (uint32_t i = 0; h->worker && i < h->threads; i++) {
		if (h->worker[i].started)
			pthread_join(h->worker[i].thread, NULL);
		mlbd_worker_free(&h->worker[i]);
	}
	free(h->worker);
	h->worker = NULL;
}
