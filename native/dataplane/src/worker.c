/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "accept.h"
#include "conn.h"
#include "fds.h"
#include "recount.h"
#include "sys.h"

#define BATCH 256
#define BUSY 8 /* events in a batch */
#define ACCEPT_MOST 16u
#define COMPLAIN_US 5000000u

int mlbd_worker_init(struct mlbd_worker *w, struct mlbd_host *h, uint32_t index, char err[256])
{
	memset(w, 0, sizeof(*w));
	w->host = h;
	w->index = index;
	w->core = mlb_dp_worker(h->dp, index);
	w->now_us = mlbd_now_us();
	w->accepting = true;
	w->spare_fd = -1;
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
		snprintf(err, 256, "worker %u: cannot set up: %s", index, strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

int mlbd_worker_watch(struct mlbd_worker *w, int op, int fd, uint32_t events, void *ptr, uint64_t tag)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)(uintptr_t)ptr | tag };

	return epoll_ctl(w->epfd, op, fd, &ev) < 0 ? -errno : 0;
}

void mlbd_worker_complain(struct mlbd_worker *w, int error, const char *what)
{
	if (w->complained_us && w->now_us - w->complained_us < COMPLAIN_US)
		return;
	w->complained_us = w->now_us;
	mlbd_log("warn", "worker %u: %s: %s", w->index, strerror(error), what);
}

/* Mail. */

static void list_flow(void *arg, struct mlbd_conn *c)
{
	struct mlbd_flow_list *list = ((void **)arg)[0];
	struct mlbd_worker *w = ((void **)arg)[1];

	list->total++;
	if (list->count == list->cap)
		return;
	list->row[list->count++] = (struct mlbd_flow_row){
		.client = { .addr = c->client, .port = c->client_port },
		.vip = c->vip->id,
		.slot = c->slot,
		.server_id = c->server_id,
		.age_us = w->now_us - c->start_us,
		.idle_us = w->now_us - c->last_us,
		.connecting = c->state == MLBD_CONN_CONNECTING,
		.waiting = c->wait_us != 0,
	};
}

static void open_mail(struct mlbd_worker *w, struct mlbd_mail *m)
{
	switch (m->kind) {
	case MLBD_MAIL_LISTEN: mlbd_accept_add(w, m->vip, m->fds); break;
	case MLBD_MAIL_UNLISTEN: mlbd_accept_drop(w, m->vip); break;
	case MLBD_MAIL_STOP_ACCEPT:
		mlbd_accept_drop(w, 0);
		w->accepting = false;
		break;
	case MLBD_MAIL_FLOWS: mlbd_conn_each(w, list_flow, (void *[]){ m->flows, w }); break;
	case MLBD_MAIL_RECOUNT: mlbd_recount_worker(w); break;
	case MLBD_MAIL_QUIT: w->quit = true; break;
	}
	if (m->done)
		sem_post(m->done);
	free(m);
}

static void read_mail(struct mlbd_worker *w)
{
	uint64_t n;
	struct mlbd_mail *m, *next;

	if (read(w->mail_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		mlbd_log("error", "worker %u: mailbox: %s", w->index, strerror(errno));
	pthread_mutex_lock(&w->mail_lock);
	m = w->mail;
	w->mail = NULL;
	w->mail_end = &w->mail;
	pthread_mutex_unlock(&w->mail_lock);
	for (; m; m = next) {
		next = m->next;
		open_mail(w, m);
	}
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

int mlbd_worker_listen(struct mlbd_worker *w, uint32_t vip, const int *fd, uint32_t n)
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

void mlbd_worker_ask(struct mlbd_worker *w, const struct mlbd_mail *what)
{
	struct mlbd_mail *m;
	sem_t done;

	if (!w->started)
		return;
	m = malloc(sizeof(*m));
	if (!m) {
		mlbd_log("error", "no memory for a message to worker %u", w->index);
		return;
	}
	sem_init(&done, 0, 0);
	*m = *what;
	m->done = &done;
	mlbd_worker_post(w, m);
	while (sem_wait(&done) < 0)
		; /* interrupted */
	sem_destroy(&done);
}

/* The loop. */

static void take_settings(struct mlbd_worker *w)
{
	struct mlbd_host *h = w->host;

	pthread_mutex_lock(&h->lock);
	w->settings = h->live;
	w->settings_version = atomic_load_explicit(&h->settings_version, memory_order_relaxed);
	pthread_mutex_unlock(&h->lock);
}

static void go_again(struct mlbd_worker *w)
{
	uint32_t n = w->agains;

	/* New ones are appended behind n while this runs; they keep for the next pass. */
	for (uint32_t i = 0; i < n; i++) {
		struct mlbd_conn *c = w->again[i];

		c->again = false;
		if (c->state == MLBD_CONN_OPEN)
			mlbd_relay(w, c, MLBD_CLIENT);
		if (c->state == MLBD_CONN_OPEN)
			mlbd_relay(w, c, MLBD_SERVER);
	}
	memmove(w->again, w->again + n, (w->agains - n) * sizeof(*w->again));
	w->agains -= n;
}

/* When something is due at the latest; UINT64_MAX: nothing. */
static uint64_t due_us(const struct mlbd_worker *w)
{
	uint64_t us = mlbd_wheel_wait_us(&w->wheel, w->now_us), due = us == UINT64_MAX ? us : w->now_us + us;

	if (w->resume_us && w->resume_us < due)
		due = w->resume_us;
	return w->live_us < due ? w->live_us : due;
}

/* The timer is a descriptor that is set when something is due earlier than it goes off. A time-out of epoll_wait would be set and
 * cleared at every wait, which costs more than the wait itself where timers are a hypervisor's. */
static void arm(struct mlbd_worker *w)
{
	uint64_t due = due_us(w);

	if (w->armed_us <= w->now_us)
		w->armed_us = UINT64_MAX; /* it has gone off */
	if (due >= w->armed_us)
		return;
	struct itimerspec t = { .it_value = { (time_t)(due / 1000000), (long)(due % 1000000) * 1000 } };

	if (timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME, &t, NULL) < 0)
		mlbd_log("error", "worker %u: timer: %s", w->index, strerror(errno));
	else
		w->armed_us = due;
}

/* batch: how many events came at once. Few: one accept, for a second would mostly find nothing; many: more wait, probably. */
static void dispatch(struct mlbd_worker *w, const struct epoll_event *ev, int batch, bool *mail)
{
	uint32_t tag = ev->data.u64 & MLBD_TAG_MASK;
	uint32_t try = (uint32_t)(ev->data.u64 >> MLBD_TAG_TRY_SHIFT);
	void *ptr = (void *)(uintptr_t)((ev->data.u64 << 4 >> 4) & ~(uint64_t)MLBD_TAG_MASK);

	if (tag == MLBD_TAG_CLIENT)
		mlbd_conn_event(w, ptr, MLBD_CLIENT, ev->events);
	else if (tag == MLBD_TAG_SERVER && try == ((struct mlbd_conn *)ptr)->tries)
		mlbd_conn_event(w, ptr, MLBD_SERVER, ev->events);
	else if (tag == MLBD_TAG_SERVER)
		return; /* of a connect given up */
	else if (tag == MLBD_TAG_LISTENER)
		mlbd_accept_some(w, ptr, batch >= BUSY ? ACCEPT_MOST : 1);
	else if (ptr == w)
		*mail = true;
}

static void own_table(struct mlbd_worker *w)
{
	const int keep[] = { w->epfd, w->mail_fd, w->timer_fd, w->pass[1] };
	int rc = mlbd_fds_own(keep, sizeof(keep) / sizeof(keep[0]));

	if (rc < 0)
		mlbd_log("info", "worker %u: shares the process's descriptors: %s", w->index, strerror(-rc));
}

static void *run(void *arg)
{
	struct mlbd_worker *w = arg;
	struct epoll_event events[BATCH];
	char name[16];

	snprintf(name, sizeof(name), "marllb-%u", w->index);
	pthread_setname_np(pthread_self(), name);
	own_table(w);
	mlbd_accept_keep_spare(w);
	take_settings(w);
	while (!w->quit) {
		bool block = !w->agains, mail = false;

		arm(w);
		if (block)
			mlb_dp_worker_idle(w->core, true);
		int n = mlbd_epoll_wait(w->epfd, events, BATCH, block ? -1 : 0);

		if (block)
			mlb_dp_worker_idle(w->core, false);
		w->now_us = mlbd_now_us();
		mlb_dp_worker_loop(w->host->dp, w->core, w->now_us);
		if (w->now_us >= w->live_us)
			w->live_us = mlb_dp_live(w->host->dp, w->now_us);
		if (atomic_load_explicit(&w->host->settings_version, memory_order_relaxed) != w->settings_version)
			take_settings(w);
		if (w->agains)
			go_again(w);
		for (int i = 0; i < n; i++)
			dispatch(w, &events[i], n, &mail);
		mlbd_wheel_run(&w->wheel, w->now_us, mlbd_conn_timer, w);
		if (w->resume_us && w->now_us >= w->resume_us)
			mlbd_accept_resume(w);
		/* Mail may take listeners away that the batch still named: last. */
		if (mail)
			read_mail(w);
		if (!mlbd_link_empty(&w->dead))
			mlbd_conn_reap(w);
	}
	mlbd_accept_drop(w, 0);
	mlbd_conn_free_all(w);
	if (w->spare_fd >= 0)
		close(w->spare_fd);
	mlb_dp_worker_idle(w->core, true);
	return NULL;
}

int mlbd_worker_start(struct mlbd_worker *w, char err[256])
{
	int rc = pthread_create(&w->thread, NULL, run, w);

	if (rc)
		snprintf(err, 256, "worker %u: cannot start a thread: %s", w->index, strerror(rc));
	w->started = rc == 0;
	return -rc;
}

void mlbd_worker_join(struct mlbd_worker *w)
{
	struct mlbd_mail *m, *next;

	if (w->started)
		pthread_join(w->thread, NULL);
	for (m = w->mail; m; m = next) {
		next = m->next;
		if (m->done)
			sem_post(m->done);
		free(m);
	}
	if (w->scratch)
		mlbd_queue_put(&w->pool, w->scratch);
	mlbd_pool_free(&w->pool);
	free(w->again);
	free(w->listener);
	free(w->excluded);
	free(w->excluded_q);
	close(w->epfd);
	close(w->mail_fd);
	close(w->timer_fd);
	close(w->pass[0]);
	close(w->pass[1]);
}
