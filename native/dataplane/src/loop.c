/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "accept.h"
#include "deadline.h"
#include "fds.h"
#include "flow.h"
#include "recount.h"
#include "spare.h"
#include "sys.h"
#include "udp.h"

#define BATCH 256
#define BUSY 8 /* events in a batch */
#define ACCEPT_MOST 16u

/* Whether it is one of those asked for. The server's record may be another one's by now. */
static bool picked(struct mlbd_worker *w, const struct mlbd_flow_list *list, const struct mlbd_flow_row *row)
{
	const struct mlbd_flow_pick *pick = list->pick;
	const struct mlb_server *s;

	if ((list->vip && list->vip != row->vip) || (pick->client.n && !mlbd_nets_have(&pick->client, &row->client.addr)))
		return false;
	if (!pick->server.port)
		return true;
	s = row->server_id ? mlb_dp_server_at(w->host->dp, row->vip, row->slot) : NULL;
	return s && s->id == row->server_id && s->ep.port == pick->server.port && mlb_addr_eq(&s->ep.addr, &pick->server.addr);
}

static void list_one(struct mlbd_worker *w, struct mlbd_flow_list *list, const struct mlbd_flow_row *row)
{
	if (!picked(w, list, row))
		return;
	list->total++;
	if (list->count == list->cap && list->cap < list->pick->max) {
		uint32_t cap = list->cap ? list->cap * 2 : 256;
		struct mlbd_flow_row *more;

		cap = cap < list->pick->max ? cap : list->pick->max;
		more = realloc(list->row, cap * sizeof(*more));
		list->row = more ? more : list->row;
		list->cap = more ? cap : list->cap;
	}
	if (list->count < list->cap)
		list->row[list->count++] = *row;
}

static void list_flow(void *arg, struct mlbd_conn *c)
{
	struct mlbd_flow_list *list = ((void **)arg)[0];
	struct mlbd_worker *w = ((void **)arg)[1];

	struct mlbd_flow_row row = {
		.client = { .addr = c->client, .port = c->client_port },
		.vip = c->vip->id,
		.slot = c->slot,
		.server_id = c->server_id,
		.age_us = w->now_us - c->start_us,
		.idle_us = w->now_us - c->last_us,
		.worker = w->index,
		.connecting = c->state != MLBD_CONN_OPEN,
		.waiting = c->wait_us != 0,
	};

	list_one(w, list, &row);
}

static void list_udp_flow(void *arg, struct mlbd_udp_flow *f)
{
	struct mlbd_flow_list *list = ((void **)arg)[0];
	struct mlbd_worker *w = ((void **)arg)[1];

	struct mlbd_flow_row row = {
		.client = { .addr = f->key.client, .port = f->key.client_port },
		.vip = f->vip->id,
		.slot = f->slot,
		.server_id = f->server_id,
		.age_us = w->now_us - f->start_us,
		.idle_us = w->now_us - f->last_us,
		.worker = w->index,
		.waiting = f->wait_us != 0,
	};

	list_one(w, list, &row);
}

static void open_mail(struct mlbd_worker *w, struct mlbd_mail *m)
{
	switch (m->kind) {
	case MLBD_MAIL_LISTEN: mlbd_accept_add(w, m); return;
	case MLBD_MAIL_UNLISTEN: mlbd_accept_drop(w, m->vip); break;
	case MLBD_MAIL_STOP_ACCEPT:
		w->accepting = false;
		mlbd_accept_drop(w, 0);
		break;
	case MLBD_MAIL_RESUME:
		w->accepting = true;
		mlbd_spare_resume(w);
		break;
	case MLBD_MAIL_FLOWS:
		mlbd_conn_each(w, list_flow, (void *[]){ m->flows, w });
		mlbd_udp_each(w, list_udp_flow, (void *[]){ m->flows, w });
		break;
	case MLBD_MAIL_RECOUNT: mlbd_recount_worker(w); break;
	case MLBD_MAIL_CLOSE:
		mlbd_flow_close_server(w, m->server_id);
		mlbd_udp_close_server(w, m->server_id);
		break;
	case MLBD_MAIL_SYNC: break;
	case MLBD_MAIL_QUIT: w->quit = true; break;
	}
	if (m->done)
		sem_post(m->done);
	else
		free(m);
}

static void read_mail(struct mlbd_worker *w)
{
	for (struct mlbd_mail *m = mlbd_worker_mail(w), *next; m; m = next) {
		next = m->next;
		open_mail(w, m);
	}
}

/* When something is due at the latest; UINT64_MAX: nothing. */
static uint64_t due_us(const struct mlbd_worker *w)
{
	uint64_t us = mlbd_wheel_wait_us(&w->wheel, w->now_us), due = us == UINT64_MAX ? us : w->now_us + us;

	if (w->resume_us && w->resume_us < due)
		due = w->resume_us;
	if (w->udp && mlbd_udp_due_us(w) < due)
		due = mlbd_udp_due_us(w);
	return w->live_us < due ? w->live_us : due;
}

/* The timerfd is re-armed only if the next deadline moved earlier, which is rare. A time-out of epoll_wait would be set and
 * cleared at every wait, which costs more than the wait itself where a hypervisor emulates timers. */
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

/* batch: how many events came at once. With few, one accept: a second one would mostly find nothing. */
static void dispatch(struct mlbd_worker *w, const struct epoll_event *ev, int batch, bool *mail)
{
	uint32_t tag = ev->data.u64 & MLBD_TAG_MASK;
	uint32_t try = (uint32_t)(ev->data.u64 >> MLBD_TAG_TRY_SHIFT);
	void *ptr = (void *)(uintptr_t)((ev->data.u64 << 4 >> 4) & ~(uint64_t)MLBD_TAG_MASK);

	if (tag == MLBD_TAG_CLIENT)
		mlbd_flow_event(w, ptr, MLBD_CLIENT, ev->events);
	else if (tag == MLBD_TAG_SERVER && try == ((struct mlbd_conn *)ptr)->tries)
		mlbd_flow_event(w, ptr, MLBD_SERVER, ev->events);
	else if (tag == MLBD_TAG_SERVER)
		return; /* of a connect that was given up */
	else if (tag == MLBD_TAG_UDP)
		mlbd_udp_answer(w, ptr);
	else if (tag == MLBD_TAG_LISTENER && ((struct mlbd_listener *)ptr)->udp)
		mlbd_udp_readable(w, ptr);
	else if (tag == MLBD_TAG_LISTENER)
		mlbd_accept_some(w, ptr, batch >= BUSY ? ACCEPT_MOST : 1);
	else if (ptr == w)
		*mail = true;
}

/* Whether all events of a batch are of UDP. TCP shares the worker, and does not wait. */
static bool only_udp(const struct epoll_event *ev, int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t tag = ev[i].data.u64 & MLBD_TAG_MASK;
		const struct mlbd_listener *l = (void *)(uintptr_t)((ev[i].data.u64 << 4 >> 4) & ~(uint64_t)MLBD_TAG_MASK);

		if (tag != MLBD_TAG_UDP && (tag != MLBD_TAG_LISTENER || !l->udp))
			return false;
	}
	return true;
}

/* Sleeps until something comes; `more_us` first, for more to come with it. Events of the batch, or -1. */
static int wait_events(struct mlbd_worker *w, struct epoll_event *ev, uint64_t more_us)
{
	struct timespec more = { 0, (long)more_us * 1000 };

	mlb_dp_worker_idle(w->core, true);
	if (more_us)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &more, NULL);
	int n = mlbd_epoll_wait(w->epfd, ev, BATCH, -1);

	mlb_dp_worker_idle(w->core, false);
	return n;
}

static void own_table(struct mlbd_worker *w)
{
	const int keep[] = { w->epfd, w->mail_fd, w->timer_fd, w->pass[1] };
	int rc = mlbd_fds_own(keep, sizeof(keep) / sizeof(keep[0]));

	if (rc < 0)
		mlbd_log("info", "worker %u: shares the process's descriptors: %s", w->index, strerror(-rc));
}

void *mlbd_loop(void *arg)
{
	struct mlbd_worker *w = arg;
	struct epoll_event events[BATCH];
	char name[16];
	uint64_t more_us = 0;

	snprintf(name, sizeof(name), "marllb-%u", w->index);
	pthread_setname_np(pthread_self(), name);
	own_table(w);
	mlbd_spare_keep(w);
	mlbd_worker_settings(w);
	prctl(PR_SET_TIMERSLACK, 1000); /* nanoseconds: the sleeps of udp-coalesce are as long as they say */
	while (!w->quit) {
		bool mail = false;

		arm(w);
		int n = w->agains ? mlbd_epoll_wait(w->epfd, events, BATCH, 0) : wait_events(w, events, more_us);

		w->now_us = mlbd_now_us();
		mlb_dp_worker_loop(w->host->dp, w->core, w->now_us);
		if (w->now_us >= w->live_us)
			w->live_us = mlb_dp_live(w->host->dp, w->now_us);
		if (atomic_load_explicit(&w->host->settings_version, memory_order_relaxed) != w->settings_version) {
			mlbd_worker_settings(w);
			mlbd_deadline_hasten_all(w);
		}
		if (w->agains)
			mlbd_flow_again(w);
		for (int i = 0; i < n; i++)
			dispatch(w, &events[i], n, &mail);
		mlbd_wheel_run(&w->wheel, w->now_us, mlbd_flow_timer, w);
		more_us = 0;
		if (w->udp) {
			mlbd_udp_turn(w);
			more_us = n > 0 && only_udp(events, n) ? mlbd_udp_coalesce_us(w) : 0;
		}
		if (w->resume_us && w->now_us >= w->resume_us) {
			mlbd_spare_resume(w);
			mlbd_accept_late(w);
		}
		/* Mail may take listeners away that the batch still named: last. */
		if (mail)
			read_mail(w);
		if (!mlbd_link_empty(&w->dead))
			mlbd_conn_reap(w);
	}
	mlbd_udp_end(w);
	mlbd_accept_drop(w, 0);
	mlbd_flow_end_all(w);
	mlbd_conn_free_all(w);
	if (w->spare_fd >= 0)
		close(w->spare_fd);
	mlb_dp_worker_idle(w->core, true);
	return NULL;
}
