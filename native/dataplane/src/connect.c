/* SPDX-License-Identifier: Apache-2.0 */
/* From an accepted client to an open flow: choosing a server that has room, connecting, trying others. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accept.h"
#include <marllb/endpoint.h>
#include "conn.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

void mlbd_connect_release(struct mlbd_conn *c)
{
	atomic_fetch_sub_explicit(&c->vip->slot[c->slot].conns, 1, memory_order_relaxed);
}

static bool take_place(struct mlbd_slot *s)
{
	uint32_t max = atomic_load_explicit(&s->max_conns, memory_order_relaxed);

	if (atomic_fetch_add_explicit(&s->conns, 1, memory_order_relaxed) < max || max == 0)
		return true;
	atomic_fetch_sub_explicit(&s->conns, 1, memory_order_relaxed);
	return false;
}

/* Puts a slot out for the choice in hand; false if it is out through us already. */
static bool exclude(struct mlbd_worker *w, struct mlb_wvip *wv, uint32_t slot, uint32_t *n)
{
	for (uint32_t i = 0; i < *n; i++)
		if (w->excluded[i] == slot)
			return false;
	w->excluded[*n] = slot;
	w->excluded_q[*n] = wv->q[slot];
	wv->q[slot] = MLB_Q_OUT;
	++*n;
	return true;
}

/* A server that was not tried yet and has room; its place is taken. MLB_NONE: none; *full tells whether a limit was why. */
static uint32_t pick(struct mlbd_worker *w, struct mlbd_conn *c, bool *full)
{
	struct mlb_wvip *wv = c->wv;
	uint32_t n = 0, slot = MLB_NONE;

	*full = false;
	for (uint32_t i = 0; i < c->tries; i++)
		exclude(w, wv, c->tried[i], &n);
	for (;;) {
		slot = mlb_dp_choose(w->host->dp, w->core, c->vip->id, c->hash, w->now_us);
		if (slot == MLB_NONE || take_place(&c->vip->slot[slot]))
			break;
		*full = true;
		if (!exclude(w, wv, slot, &n)) { /* all are out: the core ignores the mark then */
			slot = MLB_NONE;
			break;
		}
	}
	for (uint32_t i = 0; i < c->tries && slot != MLB_NONE; i++)
		if (c->tried[i] == slot) {
			atomic_fetch_sub_explicit(&c->vip->slot[slot].conns, 1, memory_order_relaxed);
			slot = MLB_NONE;
		}
	while (n--)
		wv->q[w->excluded[n]] = w->excluded_q[n];
	return slot;
}

static int bind_source(struct mlbd_worker *w, int fd, int family)
{
	const struct mlbd_settings *s = &w->settings;

	for (uint32_t i = 0; i < s->sources; i++) {
		const struct mlb_addr *a = &s->source[w->next_source++ % s->sources];
		struct sockaddr_storage ss;
		int one = 1;

		if (mlb_addr_is_v4(a) != (family == AF_INET))
			continue;
		/* The port is chosen at connect, so that one address reaches each server from every port. */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		socklen_t len = mlb_addr_to_sockaddr(a, 0, &ss);

		return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
	}
	return 0;
}

/* A connect to the server chosen. 0: under way. */
static int attempt(struct mlbd_worker *w, struct mlbd_conn *c, const struct mlb_server *server)
{
	struct sockaddr_storage ss;
	socklen_t len = mlb_addr_to_sockaddr(&server->ep.addr, server->ep.port ? server->ep.port : c->vip->conf.ep.port, &ss);
	struct mlbd_side *side = &c->side[MLBD_SERVER];
	int rc;

	side->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (side->fd < 0 && (errno == EMFILE || errno == ENFILE) && mlbd_accept_lend(w, errno))
		side->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (side->fd < 0)
		return -errno;
	if (w->settings.sources && (rc = bind_source(w, side->fd, ss.ss_family)) < 0)
		return rc;
	if (connect(side->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* What is missing is ours, not the server's. */
static bool local_error(int e)
{
	return e == EADDRNOTAVAIL || e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM || e == EACCES || e == EPERM ||
	       e == EADDRINUSE || e == EAGAIN;
}

static void failed(struct mlbd_worker *w, struct mlbd_conn *c, int error)
{
	struct mlbd_side *side = &c->side[MLBD_SERVER];
	bool ours = local_error(error); /* then no word against the server, but one in the log */

	if (c->wait_us) /* the client goes on waiting, at the next server */
		mlb_ev_unwait(c->wv, c->slot, w->now_us);
	mlb_ev_close(w->core, c->wv, c->slot, c->start_us, w->now_us,
		     ours               ? MLB_END_ABORT :
		     error == ETIMEDOUT ? MLB_END_UNANSWERED :
					  MLB_END_REFUSED);
	if (ours)
		mlbd_worker_complain(w, error,
				     error == EADDRNOTAVAIL ?
					     "no address or port to connect to a server from (more `source` addresses help)" :
					     "cannot connect to a server");
	else
		mlb_dp_connect_result(w->host->dp, c->vip->id, c->slot, false, w->now_us);
	mlbd_connect_release(c);
	c->server_id = 0;
	if (side->fd >= 0)
		close(side->fd);
	side->fd = -1;
	side->readable = side->fin_near = side->want_out = side->watched = side->urgent = false;
}

bool mlbd_connect_start(struct mlbd_worker *w, struct mlbd_conn *c)
{
	struct mlbd_side *side = &c->side[MLBD_SERVER];

	for (;;) {
		bool full = false;
		uint32_t slot = c->tries <= w->settings.retries ? pick(w, c, &full) : MLB_NONE;
		int rc;

		if (slot == MLB_NONE) {
			if (c->tries == 0 && full)
				mlb_ev_limited(c->wv);
			else if (c->tries == 0)
				mlb_ev_no_server(c->wv);
			mlbd_conn_end(w, c, MLB_END_REFUSED, true);
			return false;
		}
		if (c->tries)
			mlb_ev_retry(c->wv);
		const struct mlb_server *server = mlb_dp_server_at(w->host->dp, c->vip->id, slot);

		c->tried[c->tries++] = (uint16_t)slot;
		c->slot = (uint16_t)slot;
		c->server_id = server->id;
		c->state = MLBD_CONN_CONNECTING;
		c->start_us = c->connect_us = w->now_us;
		mlb_ev_open(c->wv, slot, w->now_us);
		if (c->wait_us)
			mlb_ev_request(c->wv, slot, w->now_us);
		rc = attempt(w, c, server);
		/* On a local network the connect is done by now, and a client that speaks first has spoken: this saves two
		 * events. */
		if (rc == 0)
			rc = mlbd_relay(w, c, MLBD_CLIENT);
		if (c->state == MLBD_CONN_DEAD)
			return false;
		if (rc == 0)
			break;
		failed(w, c, -rc);
	}
	uint32_t events = MLBD_EVENTS;

	if (c->state == MLBD_CONN_CONNECTING || side->want_out) {
		events |= EPOLLOUT;
		side->want_out = true;
	}
	if (mlbd_worker_watch(w, EPOLL_CTL_ADD, side->fd, events, c, mlbd_conn_tag(c, MLBD_SERVER)) < 0) {
		mlbd_conn_end(w, c, MLB_END_ABORT, true);
		return false;
	}
	side->watched = true;
	return true;
}

void mlbd_connect_failed(struct mlbd_worker *w, struct mlbd_conn *c, int error)
{
	failed(w, c, error);
	mlbd_connect_start(w, c);
}

void mlbd_connect_done(struct mlbd_worker *w, struct mlbd_conn *c)
{
	c->state = MLBD_CONN_OPEN;
	c->last_us = w->now_us;
	mlb_ev_connected(w->core, c->wv, c->slot, c->connect_us, w->now_us);
	mlb_dp_connect_result(w->host->dp, c->vip->id, c->slot, true, w->now_us);
}
