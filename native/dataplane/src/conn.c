/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <marllb/endpoint.h>

static void close_reset(int fd)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

static struct mlbd_conn *conn_get(struct mlbd_worker *w)
{
	if (mlbd_link_empty(&w->free_conns)) {
		struct mlbd_slab *slab = calloc(1, sizeof(*slab) + MLBD_SLAB_CONNS * sizeof(struct mlbd_conn));

		if (!slab)
			return NULL;
		slab->next = w->slabs;
		w->slabs = slab;
		for (uint32_t i = 0; i < MLBD_SLAB_CONNS; i++)
			mlbd_link_add(&w->free_conns, &slab->conn[i].link);
	}
	struct mlbd_conn *c = (struct mlbd_conn *)w->free_conns.next;

	mlbd_link_del(&c->link);
	memset(c, 0, sizeof(*c));
	mlbd_link_init(&c->link);
	MLB_ADD(w->conns, 1);
	return c;
}

/* What places a client in mode hash: the same at every load balancer. */
static uint64_t client_hash(const struct mlb_endpoint *client, const struct mlb_endpoint *vip)
{
	uint64_t x[2], h = ((uint64_t)client->port << 16) | vip->port;

	memcpy(x, client->addr.b, 16);
	h ^= x[0];
	h = mlb_splitmix64(&h) ^ x[1];
	return mlb_splitmix64(&h);
}

void mlbd_conn_accepted(struct mlbd_worker *w, struct mlbd_listener *l, int fd, const struct sockaddr_storage *peer)
{
	struct mlbd_vip *vip = &w->host->vip[l->vip - 1];
	struct mlb_wvip *wv = atomic_load_explicit(&w->core->vip[l->vip - 1], memory_order_acquire);
	uint32_t max = atomic_load_explicit(&vip->max_conns, memory_order_relaxed);
	struct mlbd_conn *c = NULL;
	struct mlb_endpoint client;

	if (!wv) { /* removed a moment ago */
		close_reset(fd);
		return;
	}
	if (atomic_fetch_add_explicit(&vip->conns, 1, memory_order_relaxed) >= max && max) {
		MLB_ADD(wv->limited, 1);
	} else {
		c = conn_get(w);
	}
	if (!c) {
		atomic_fetch_sub_explicit(&vip->conns, 1, memory_order_relaxed);
		close_reset(fd);
		return;
	}
	mlb_endpoint_from_sockaddr(peer, &client);
	w->now_us = mlbd_now_us();
	c->vip = vip;
	c->wv = wv;
	c->client = client.addr;
	c->client_port = client.port;
	c->hash = client_hash(&client, &vip->conf.ep);
	c->last_us = w->now_us;
	c->side[MLBD_SERVER].fd = -1;
	c->side[MLBD_CLIENT].fd = fd;
	c->side[MLBD_CLIENT].readable = true;
	c->state = MLBD_CONN_CONNECTING;
	mlbd_wheel_add(&w->wheel, &c->link, w->now_us + w->settings.connect_ms * 1000);
	if (!mlbd_connect_start(w, c))
		return;
	struct mlbd_side *side = &c->side[MLBD_CLIENT];

	if (mlbd_worker_watch(w, EPOLL_CTL_ADD, fd, MLBD_EVENTS | (side->want_out ? EPOLLOUT : 0), c,
			      mlbd_conn_tag(c, MLBD_CLIENT)) < 0)
		mlbd_conn_end(w, c, MLB_END_ABORT, true);
	else
		side->watched = true;
}

void mlbd_conn_end(struct mlbd_worker *w, struct mlbd_conn *c, enum mlb_end how, bool reset)
{
	if (c->state == MLBD_CONN_DEAD)
		return;
	if (c->server_id) {
		if (c->wait_us)
			mlb_ev_unwait(c->wv, c->slot, w->now_us);
		mlb_ev_close(w->core, c->wv, c->slot, c->start_us, w->now_us, how);
		mlbd_connect_release(c);
		c->server_id = 0;
	}
	for (int s = 0; s < 2; s++) {
		struct mlbd_side *side = &c->side[s];

		if (side->queue)
			mlbd_queue_put(&w->pool, side->queue);
		side->queue = NULL;
		if (side->fd >= 0 && reset)
			close_reset(side->fd);
		else if (side->fd >= 0)
			close(side->fd);
		side->fd = -1;
	}
	c->state = MLBD_CONN_DEAD;
	mlbd_link_del(&c->link);
	mlbd_link_add(&w->dead, &c->link);
	atomic_fetch_sub_explicit(&c->vip->conns, 1, memory_order_relaxed);
	MLB_ADD(w->conns, -1u);
}

void mlbd_conn_reap(struct mlbd_worker *w)
{
	for (struct mlbd_link *l = w->dead.next, *next; l != &w->dead; l = next) {
		struct mlbd_conn *c = (struct mlbd_conn *)l;

		next = l->next;
		if (c->again) /* named in w->again until its next pass */
			continue;
		mlbd_link_del(l);
		c->state = MLBD_CONN_FREE;
		/* At the front: what was used last is still in the cache. */
		mlbd_link_add(w->free_conns.next, l);
	}
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

/* An urgent byte travels on in its place among the others (RFC 6093); the mark is not passed on. A client's socket has the option
 * from its listener. */
static void urgent(struct mlbd_side *side)
{
	int one = 1;

	if (side->urgent)
		return;
	side->urgent = true;
	side->streak = 0;
	setsockopt(side->fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
}

void mlbd_conn_event(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s, uint32_t events)
{
	struct mlbd_side *side = &c->side[s];

	if (c->state == MLBD_CONN_DEAD || side->fd < 0)
		return;
	if (s == MLBD_SERVER && c->state == MLBD_CONN_CONNECTING) {
		if (events & (EPOLLERR | EPOLLHUP)) {
			int error = socket_error(side->fd);

			mlbd_connect_failed(w, c, error ? error : ECONNRESET);
			return;
		}
		if (!(events & (EPOLLOUT | EPOLLIN)))
			return;
		mlbd_connect_done(w, c);
	}
	if (events & EPOLLPRI)
		urgent(side);
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		side->readable = true;
		if ((events & EPOLLRDHUP) && !(events & EPOLLERR))
			side->fin_near = true;
		if (events & EPOLLERR)
			side->fin_near = false; /* after a reset only the error itself ends the reading */
		int rc = mlbd_relay(w, c, s);

		if (rc < 0) { /* a first write found the connect refused */
			mlbd_connect_failed(w, c, -rc);
			return;
		}
	}
	if ((events & EPOLLOUT) && c->state == MLBD_CONN_OPEN)
		mlbd_relay(w, c, !s);
	/* The reading may be held back by the other side: a reset goes through at once all the same. */
	if ((events & EPOLLERR) && c->state != MLBD_CONN_DEAD)
		mlbd_conn_end(w, c, s == MLBD_SERVER ? MLB_END_RESET : MLB_END_ABORT, true);
}

void mlbd_conn_timer(void *arg, struct mlbd_link *l)
{
	struct mlbd_worker *w = arg;
	struct mlbd_conn *c = (struct mlbd_conn *)l;
	bool connecting = c->state == MLBD_CONN_CONNECTING;
	uint64_t deadline = connecting ? c->connect_us + w->settings.connect_ms * 1000 : c->last_us + w->settings.idle_ms * 1000;

	if (deadline > w->now_us) {
		mlbd_wheel_add(&w->wheel, l, deadline);
		return;
	}
	if (!connecting) {
		/* With bytes on their way it is a cut, which must not look like an end. */
		mlbd_conn_end(w, c, MLB_END_IDLE, c->side[MLBD_CLIENT].queue || c->side[MLBD_SERVER].queue);
		return;
	}
	mlbd_wheel_add(&w->wheel, l, w->now_us + w->settings.connect_ms * 1000);
	mlbd_connect_failed(w, c, ETIMEDOUT);
}

void mlbd_conn_each(struct mlbd_worker *w, void (*fn)(void *arg, struct mlbd_conn *), void *arg)
{
	for (struct mlbd_slab *slab = w->slabs; slab; slab = slab->next)
		for (uint32_t i = 0; i < MLBD_SLAB_CONNS; i++)
			if (slab->conn[i].state == MLBD_CONN_OPEN || slab->conn[i].state == MLBD_CONN_CONNECTING)
				fn(arg, &slab->conn[i]);
}

static void end_one(void *arg, struct mlbd_conn *c)
{
	mlbd_conn_end(arg, c, MLB_END_ABORT, true);
}

void mlbd_conn_free_all(struct mlbd_worker *w)
{
	mlbd_conn_each(w, end_one, w);
	for (struct mlbd_slab *slab = w->slabs, *next; slab; slab = next) {
		next = slab->next;
		free(slab);
	}
	w->slabs = NULL;
	mlbd_link_init(&w->free_conns);
	mlbd_link_init(&w->dead);
}
