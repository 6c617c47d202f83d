/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fds.h"

#define COMPLAIN_US 5000000u

static void own_ports(struct mlbd_worker *w)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned from, to;

	w->self_from = 1;
	w->self_to = UINT16_MAX;
	if (f && fscanf(f, "%u %u", &from, &to) == 2 && from <= to && to <= UINT16_MAX) {
		w->self_from = (uint16_t)from;
		w->self_to = (uint16_t)to;
	}
	if (f)
		fclose(f);
}

int mlbd_worker_init(struct mlbd_worker *w, struct mlbd_host *h, uint32_t index, char err[256])
{
	memset(w, 0, sizeof(*w));
	w->host = h;
	w->index = index;
	w->core = mlb_dp_worker(h->dp, index);
	w->now_us = mlbd_now_us();
	w->accepting = true;
	own_ports(w);
	w->spare_fd = w->pass[0] = w->pass[1] = -1;
	mlbd_wheel_init(&w->wheel, w->now_us);
	mlbd_link_init(&w->free_conns);
	mlbd_link_init(&w->dead);
	w->mail_end = &w->mail;
	pthread_mutex_init(&w->mail_lock, NULL);
	w->excluded = calloc(MLB_MAX_SERVERS_PER_VIP + MLBD_MAX_RETRIES + 1, sizeof(*w->excluded));
	w->excluded_q = calloc(MLB_MAX_SERVERS_PER_VIP + MLBD_MAX_RETRIES + 1, sizeof(*w->excluded_q));
	w->armed_us = UINT64_MAX;
	w->live_us = index == 0 ? w->now_us : UINT64_MAX;
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!w->excluded || !w->excluded_q || w->epfd < 0 || w->mail_fd < 0 || w->timer_fd < 0 || mlbd_fds_pair(w->pass) < 0 ||
	    mlbd_worker_watch(w, EPOLL_CTL_ADD, w->mail_fd, EPOLLIN, w, MLBD_TAG_OWN) < 0 ||
	    mlbd_worker_watch(w, EPOLL_CTL_ADD, w->timer_fd, EPOLLIN | EPOLLET, &w->wheel, MLBD_TAG_OWN) < 0) {
		char need[MLBD_FDS_NEED_LEN];

		snprintf(err, 256, "worker %u: cannot set up: %s", index,
			 errno == EMFILE ? mlbd_fds_need(need) : strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void mlbd_worker_free(struct mlbd_worker *w)
{
	for (struct mlbd_mail *m = w->mail, *next; m; m = next) {
		next = m->next;
		free(m); /* nobody waits for one that ended */
	}
	mlbd_buffers_free(&w->buffers);
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		free(w->recount[i]);
	free(w->again);
	for (uint32_t i = 0; i < w->listener_cap; i++)
		free(w->listener[i]);
	free(w->listener);
	for (struct mlbd_mail *m = w->late, *next; m; m = next) {
		next = m->next;
		free(m);
	}
	free(w->excluded);
	free(w->excluded_q);
	close_if_open(w->epfd);
	close_if_open(w->mail_fd);
	close_if_open(w->timer_fd);
	close_if_open(w->pass[0]);
	close_if_open(w->pass[1]);
	pthread_mutex_destroy(&w->mail_lock);
}

int mlbd_worker_watch(struct mlbd_worker *w, int op, int fd, uint32_t events, void *ptr, uint64_t tag)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)(uintptr_t)ptr | tag };

	return epoll_ctl(w->epfd, op, fd, &ev) < 0 ? -errno : 0;
}

void mlbd_worker_complain(struct mlbd_worker *w, int error, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	if (w->complained_us && w->now_us - w->complained_us < COMPLAIN_US) {
		atomic_fetch_add_explicit(&w->host->left_out, 1, memory_order_relaxed);
		return;
	}
	w->complained_us = w->now_us;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	mlbd_log("warn", "worker %u: %s%s%s", w->index, error ? strerror(error) : "", error ? ": " : "", what);
}

void mlbd_worker_settings(struct mlbd_worker *w)
{
	struct mlbd_host *h = w->host;

	pthread_mutex_lock(&h->lock);
	w->settings = h->live;
	w->settings_version = atomic_load_explicit(&h->settings_version, memory_order_relaxed);
	pthread_mutex_unlock(&h->lock);
	w->buffers.pipe_most = (w->settings.pipe_memory << 20) / h->threads;
}

void mlbd_worker_post(struct mlbd_worker *w, struct mlbd_mail *m)
{
	const uint64_t one = 1;

	m->next = NULL;
	pthread_mutex_lock(&w->mail_lock);
	*w->mail_end = m;
	w->mail_end = &m->next;
	pthread_mutex_unlock(&w->mail_lock);
	if (write(w->mail_fd, &one, sizeof(one)) < 0)
		mlbd_log("error", "worker %u: mailbox: %s", w->index, strerror(errno));
}

struct mlbd_mail *mlbd_worker_mail(struct mlbd_worker *w)
{
	uint64_t n;
	struct mlbd_mail *m;

	if (read(w->mail_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		mlbd_log("error", "worker %u: mailbox: %s", w->index, strerror(errno));
	pthread_mutex_lock(&w->mail_lock);
	m = w->mail;
	w->mail = NULL;
	w->mail_end = &w->mail;
	pthread_mutex_unlock(&w->mail_lock);
	return m;
}
