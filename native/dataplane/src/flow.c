/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <marllb/endpoint.h>
#include "admit.h"
#include "connect.h"
#include "deadline.h"
#include "greet.h"
#include "keepalive.h"
#include "socket.h"
#include "sys.h"

/* What is left of a connection after a step: it goes on, it has ended (its record must not be touched again), or its connect
 * failed with the errno -step and another server may be tried. */
enum { GOES_ON = 0, HAS_ENDED = 1 };

static void tell_core(struct mlbd_worker *w, const struct mlbd_conn *c, enum mlb_connect how)
{
	mlb_dp_connect_result(w->host->dp, w->core, c->vip->id, c->slot, how, c->connect_us, w->now_us);
}

/* Closes both sockets and counts the flow as `how`. reset: a peer that is still there gets an RST. */
static int end_flow(struct mlbd_worker *w, struct mlbd_conn *c, enum mlb_end how, bool reset)
{
	if (c->server_id) {
		if (c->wait_us)
			mlb_ev_unwait(c->wv, c->slot, w->now_us);
		mlb_ev_close(w->core, c->wv, c->slot, c->start_us, w->now_us,
			     mlb_end_of(how, c->side[MLBD_CLIENT].passed, c->side[MLBD_SERVER].passed, c->client_first));
		mlbd_connect_release(c->vip, c->slot);
		if (c->state == MLBD_CONN_CONNECTING)
			tell_core(w, c, MLB_CONNECT_UNMADE);
		c->server_id = 0;
	}
	for (int s = 0; s < 2; s++) {
		struct mlbd_side *side = &c->side[s];

		if (side->queue)
			mlbd_queue_put(&w->buffers, side->queue);
		side->queue = NULL;
		if (side->fd >= 0 && reset)
			mlbd_socket_reset(side->fd);
		else if (side->fd >= 0)
			mlbd_close(side->fd);
		side->fd = -1;
	}
	if (c->wv) {
		mlb_ev_client_gone(c->wv);
		mlbd_admit_leave(c->vip, &c->client, c->counted);
	}
	mlbd_conn_put(w, c);
	return HAS_ENDED;
}

static int end_lost(struct mlbd_worker *w, struct mlbd_conn *c, unsigned lost)
{
	return end_flow(w, c, lost == MLBD_SERVER ? MLB_END_RESET : MLB_END_ABORT, true);
}

/* What a step of the relay means to the core. */
static void count(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s, struct mlbd_outcome o)
{
	if (o.moved) {
		mlb_ev_bytes(c->wv, c->slot, s == MLBD_CLIENT, 0, o.moved);
		c->last_us = w->now_us;
	}
	if (!o.read)
		return;
	if (s == MLBD_CLIENT && !c->wait_us) {
		c->wait_us = w->now_us;
		mlb_ev_request(c->wv, c->slot, w->now_us);
	} else if (s == MLBD_SERVER && c->wait_us) {
		mlb_ev_answer(w->core, c->wv, c->slot, c->wait_us, w->now_us);
		c->wait_us = 0;
	}
}

static void connected(struct mlbd_worker *w, struct mlbd_conn *c)
{
	c->state = MLBD_CONN_OPEN;
	c->last_us = w->now_us;
	mlbd_deadline_hasten(w, c);
	mlb_ev_connected(w->core, c->wv, c->slot, c->connect_us, w->now_us);
	tell_core(w, c, MLB_CONNECT_OK);
}

static int await_turn(struct mlbd_worker *w, struct mlbd_conn *c)
{
	/* No edge will come for what is left unread. */
	return mlbd_conn_again(w, c) ? GOES_ON : end_flow(w, c, MLB_END_ABORT, true);
}

/* EPOLLOUT stays registered from then on: an edge comes only after a write has found the socket full. */
static int await_writable(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_side *side = &c->side[s];

	if (side->want_out)
		return GOES_ON;
	side->want_out = true;
	if (side->watched && mlbd_worker_watch(w, EPOLL_CTL_MOD, side->fd, MLBD_EVENTS | EPOLLOUT, c, mlbd_conn_tag(c, s)) < 0)
		return end_flow(w, c, MLB_END_ABORT, true);
	return GOES_ON;
}

/* The socket of a side failed. */
static int lose(struct mlbd_worker *w, struct mlbd_conn *c, unsigned lost, int error, bool at_write)
{
	if (lost == MLBD_SERVER && c->state == MLBD_CONN_CONNECTING)
		return -error; /* nothing was sent, so another server may do */
	if (at_write)
		count(w, c, lost, mlbd_relay_rest(&w->buffers, c->side, lost));
	return end_lost(w, c, lost);
}

/* All that side s said was passed on: passes its end on. */
static int finish(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_side *from = &c->side[s], *to = &c->side[!s];

	if (from->fin_sent || c->state == MLBD_CONN_CONNECTING)
		return GOES_ON;
	from->fin_sent = true;
	if (s == MLBD_CLIENT && !to->fin_sent)
		c->client_first = true;
	c->last_us = w->now_us;
	if (to->fin_sent) /* both ended: close says so to both sides */
		return end_flow(w, c, MLB_END_COMPLETED, false);
	mlbd_deadline_hasten(w, c);
	return shutdown(to->fd, SHUT_WR) < 0 ? lose(w, c, !s, errno, true) : GOES_ON;
}

/* Moves what it can from side s to the other, and acts on the outcome. */
static int step(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_outcome o = mlbd_relay(&w->buffers, c->side, s);

	if (o.moved && c->state == MLBD_CONN_CONNECTING)
		connected(w, c);
	count(w, c, s, o);
	switch (o.what) {
	case MLBD_AGAIN: return await_turn(w, c);
	case MLBD_FULL: return await_writable(w, c, !s);
	case MLBD_ENDED: return finish(w, c, s);
	case MLBD_LOST: return lose(w, c, o.lost, o.error, o.at_write);
	default: return GOES_ON;
	}
}

/* The flow on this server, to which a connect is under way, is over; the client's connection is not. */
static void leave_connect(struct mlbd_worker *w, struct mlbd_conn *c, enum mlb_end how)
{
	struct mlbd_side *side = &c->side[MLBD_SERVER];

	if (c->wait_us) /* the client goes on waiting, at the next server */
		mlb_ev_unwait(c->wv, c->slot, w->now_us);
	mlb_ev_close(w->core, c->wv, c->slot, c->start_us, w->now_us, how);
	mlbd_connect_release(c->vip, c->slot);
	c->server_id = 0;
	if (side->fd >= 0)
		mlbd_close(side->fd);
	*side = (struct mlbd_side){ .fd = -1 };
	mlbd_relay_unlead(&w->buffers, &c->side[MLBD_CLIENT]);
}

/* The connect under way failed with errno `error`. */
static void give_up_server(struct mlbd_worker *w, struct mlbd_conn *c, int error)
{
	bool local = mlbd_connect_error_is_local(error); /* logged, not counted against the server */

	leave_connect(w, c, local ? MLB_END_UNMADE : error == ETIMEDOUT ? MLB_END_UNANSWERED : MLB_END_REFUSED);
	if (local)
		mlbd_worker_complain(w, error,
				     error == EADDRNOTAVAIL ?
					     "no address or port to connect to a server from (more addresses in `sources` help)" :
					     "cannot connect to a server");
	tell_core(w, c, local ? MLB_CONNECT_UNMADE : error == ETIMEDOUT ? MLB_CONNECT_UNANSWERED : MLB_CONNECT_REFUSED);
}

/* Chooses a server and begins a connect, counted as a flow. NULL: there is no server left and the connection has ended. */
static const struct mlb_server *next_server(struct mlbd_worker *w, struct mlbd_conn *c)
{
	bool full = false;
	uint32_t slot = c->tries <= w->settings.retries ?
				mlbd_connect_pick(w, c->vip, c->wv, c->hash, c->tried, c->tries, &full) :
				MLB_NONE;

	if (slot == MLB_NONE) {
		if (c->tries == 0 && full)
			mlb_ev_limited(c->wv);
		else if (c->tries == 0)
			mlb_ev_no_server(c->wv);
		else
			mlb_ev_failed(c->wv);
		end_flow(w, c, MLB_END_REFUSED, true);
		return NULL;
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
	return server;
}

static int watch_server(struct mlbd_worker *w, struct mlbd_conn *c)
{
	struct mlbd_side *side = &c->side[MLBD_SERVER];

	side->want_out = side->want_out || c->state == MLBD_CONN_CONNECTING;
	if (mlbd_worker_watch(w, EPOLL_CTL_ADD, side->fd, MLBD_EVENTS | (side->want_out ? EPOLLOUT : 0), c,
			      mlbd_conn_tag(c, MLBD_SERVER)) < 0)
		return end_flow(w, c, MLB_END_ABORT, true);
	side->watched = true;
	return GOES_ON;
}

/* What this server is sent ahead of the client's bytes. */
static int lead(struct mlbd_worker *w, struct mlbd_conn *c)
{
	uint8_t head[MLBD_PROXY_WRITE_MOST];
	uint32_t n = mlbd_greet_write(c, head);

	return n ? mlbd_relay_lead(&w->buffers, &c->side[MLBD_CLIENT], head, n) : GOES_ON;
}

/* Tries servers until a connect is under way. */
static int find_server(struct mlbd_worker *w, struct mlbd_conn *c)
{
	for (;;) {
		const struct mlb_server *server = next_server(w, c);
		int rc;

		if (!server)
			return HAS_ENDED;
		rc = mlbd_connect_socket(w, SOCK_STREAM, c->vip, server, &c->client, &c->side[MLBD_SERVER].fd);
		if (rc == 0)
			rc = lead(w, c);
		/* On a local network the connect is done by now, and a client that speaks first has spoken: two events saved. */
		if (rc == 0)
			rc = step(w, c, MLBD_CLIENT);
		if (rc == HAS_ENDED)
			return rc;
		if (rc == GOES_ON)
			return watch_server(w, c);
		give_up_server(w, c, -rc);
	}
}

static int retry(struct mlbd_worker *w, struct mlbd_conn *c, int error)
{
	give_up_server(w, c, error);
	return find_server(w, c);
}

/* The client is known, by its socket or by a PROXY header: lets it in and finds it a server. */
static int enter(struct mlbd_worker *w, struct mlbd_conn *c, const struct mlb_endpoint *client)
{
	struct mlb_wvip *wv = atomic_load_explicit(&w->core->vip[c->vip->id - 1], memory_order_acquire);

	if (!wv) /* removed a moment ago */
		return end_flow(w, c, MLB_END_ABORT, true);
	if (!mlbd_admit(c->vip, &client->addr, &c->counted)) {
		mlb_ev_limited(wv);
		return end_flow(w, c, MLB_END_REFUSED, true);
	}
	mlb_ev_client(wv);
	c->wv = wv;
	c->client = client->addr;
	c->client_port = client->port;
	c->hash = mlbd_connect_hash(client, &c->vip->conf.ep);
	c->last_us = w->now_us;
	c->state = MLBD_CONN_CONNECTING;
	c->side[MLBD_CLIENT].readable = true;
	mlbd_link_del(&c->link); /* from where the header's time-out has it */
	c->look_us = mlbd_wheel_add(&w->wheel, &c->link, w->now_us + w->settings.connect_ms * 1000);
	return find_server(w, c);
}

/* Not what the VIP's accept-proxy asks for. */
static int refuse(struct mlbd_worker *w, struct mlbd_conn *c, const char *what)
{
	mlbd_greet_refused(w, c, what);
	return end_flow(w, c, MLB_END_ABORT, true);
}

/* Reads the PROXY header that comes first. */
static int greet(struct mlbd_worker *w, struct mlbd_conn *c)
{
	struct mlb_endpoint client;

	switch (mlbd_greet_read(c, &client)) {
	case MLBD_GREET_MORE: return c->side[MLBD_CLIENT].fin_near ? refuse(w, c, "a part of one") : GOES_ON;
	case MLBD_GREET_BAD: return refuse(w, c, "something else");
	case MLBD_GREET_GONE: return end_flow(w, c, MLB_END_ABORT, false);
	default: return enter(w, c, &client);
	}
}

void mlbd_flow_accepted(struct mlbd_worker *w, uint32_t vip_id, int fd, const struct sockaddr_storage *peer)
{
	struct mlbd_conn *c = mlbd_conn_get(w);
	struct mlb_endpoint client;
	int rc;

	if (!c) {
		mlbd_socket_reset(fd);
		return;
	}
	struct mlbd_side *side = &c->side[MLBD_CLIENT];

	w->now_us = mlbd_now_us();
	mlb_endpoint_from_sockaddr(peer, &client);
	c->vip = &w->host->vip[vip_id - 1];
	c->side[MLBD_SERVER].fd = -1;
	side->fd = fd;
	if (mlbd_greet_expected(c->vip, &client.addr)) {
		c->client = client.addr;
		c->client_port = client.port;
		c->state = MLBD_CONN_GREETING;
		c->start_us = c->last_us = w->now_us;
		c->look_us = mlbd_wheel_add(&w->wheel, &c->link, w->now_us + w->settings.proxy_header_ms * 1000);
		rc = greet(w, c);
	} else {
		rc = enter(w, c, &client);
	}
	if (rc == HAS_ENDED)
		return;
	if (mlbd_worker_watch(w, EPOLL_CTL_ADD, fd, MLBD_EVENTS | (side->want_out ? EPOLLOUT : 0), c,
			      mlbd_conn_tag(c, MLBD_CLIENT)) < 0)
		end_flow(w, c, MLB_END_ABORT, true);
	else
		side->watched = true;
}

static int on_readable(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s, uint32_t events)
{
	struct mlbd_side *side = &c->side[s];

	side->readable = true;
	if (events & EPOLLERR)
		side->fin_near = false; /* after a reset only the error itself ends the reading */
	else if (events & EPOLLRDHUP)
		side->fin_near = true;
	return c->state == MLBD_CONN_GREETING ? greet(w, c) : step(w, c, s);
}

void mlbd_flow_event(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s, uint32_t events)
{
	struct mlbd_side *side = &c->side[s];
	int rc = GOES_ON;

	if (c->state == MLBD_CONN_DEAD || side->fd < 0)
		return;
	if (s == MLBD_SERVER && c->state == MLBD_CONN_CONNECTING) {
		if (events & (EPOLLERR | EPOLLHUP)) {
			int error = mlbd_socket_error(side->fd);

			retry(w, c, error ? error : ECONNRESET);
			return;
		}
		if (!(events & (EPOLLOUT | EPOLLIN)))
			return;
		connected(w, c);
		mlbd_relay_lead_now(&c->side[MLBD_CLIENT]);
	}
	if (events & EPOLLPRI)
		mlbd_socket_urgent(side);
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		rc = on_readable(w, c, s, events);
	if (rc < 0) { /* a first write found the connect refused */
		retry(w, c, -rc);
		return;
	}
	if (rc == GOES_ON && (events & EPOLLOUT) && c->state == MLBD_CONN_OPEN)
		rc = step(w, c, !s);
	/* Reading may be held back by the other side. A reset goes through at once all the same. */
	if (rc == GOES_ON && (events & EPOLLERR))
		end_lost(w, c, s);
}

void mlbd_flow_timer(void *arg, struct mlbd_link *l)
{
	struct mlbd_worker *w = arg;
	struct mlbd_conn *c = (struct mlbd_conn *)l;
	enum mlbd_overdue why;
	uint64_t deadline = mlbd_deadline(c, &w->settings, &why);

	if (deadline > w->now_us) {
		if (why != MLBD_DUE_CONNECT && why != MLBD_DUE_GREETING)
			mlbd_keepalive_conn(c, &w->settings, w->settings_version);
		c->look_us = mlbd_wheel_add(&w->wheel, l, deadline);
		return;
	}
	switch (why) {
	case MLBD_DUE_CONNECT:
		c->look_us = mlbd_wheel_add(&w->wheel, l, w->now_us + w->settings.connect_ms * 1000);
		retry(w, c, ETIMEDOUT);
		break;
	case MLBD_DUE_GREETING: refuse(w, c, "none in time"); break;
	case MLBD_DUE_FIRST_BYTE: end_flow(w, c, MLB_END_ABORT, false); break;
	case MLBD_DUE_HALF_CLOSED:
	case MLBD_DUE_IDLE:
		if (mlbd_conn_in_order(c))
			end_flow(w, c, MLB_END_IDLE, false);
		else
			end_flow(w, c, MLB_END_TIMED_OUT, true);
	}
}

void mlbd_flow_again(struct mlbd_worker *w)
{
	uint32_t n = w->agains;

	/* New ones are appended behind n while this runs; they keep for the next pass. */
	for (uint32_t i = 0; i < n; i++) {
		struct mlbd_conn *c = w->again[i];

		c->again = false;
		if (c->state == MLBD_CONN_OPEN && step(w, c, MLBD_CLIENT) == GOES_ON)
			step(w, c, MLBD_SERVER);
	}
	memmove(w->again, w->again + n, (w->agains - n) * sizeof(*w->again));
	w->agains -= n;
}

void mlbd_flow_end(struct mlbd_worker *w, struct mlbd_conn *c, enum mlb_end how)
{
	end_flow(w, c, how, true);
}

void mlbd_flow_move(struct mlbd_worker *w, struct mlbd_conn *c, enum mlb_end how)
{
	leave_connect(w, c, how);
	tell_core(w, c, MLB_CONNECT_UNMADE);
	find_server(w, c);
}
