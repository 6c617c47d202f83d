/* SPDX-License-Identifier: Apache-2.0 */
#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "admit.h"
#include "connect.h"
#include "udp_io.h"
#include "udp_room.h"

#define RATE_US 1000u          /* the rate of datagrams is judged after at least so long */
#define WORTH 2u               /* datagrams that must be expected within a sleep for it to pay */
#define PLATE 8u               /* as many in one turn are enough: nothing is gained by waiting for more */
#define NAP_US 10u             /* shorter sleeps cost more than they save */
#define TRAIN 16u              /* answers of one flow that are taken in one look */
#define DRAIN_IDLE_US 1000000u /* while the data plane drains, a flow that is silent for so long is over */

struct mlbd_udp {
	struct mlbd_udp_table table;
	struct mlbd_udp_batch in, out; /* from clients; to clients */
	struct mlbd_listener *out_by;  /* whose socket sends `out` */
	uint32_t expect;               /* datagrams that the next look at a listener may find, less one */
	uint32_t most;                 /* flows: each holds a descriptor, and TCP needs some too */
	uint32_t seen, turn;           /* datagrams and trains since rate_from_us; in this turn */
	uint64_t rate_from_us;
	uint64_t nap_us;  /* how long waiting for more pays at the rate of now; 0: it does not */
	uint64_t more_us; /* the same after the turn that has just ended */
};

int mlbd_udp_begin(struct mlbd_worker *w)
{
	struct mlbd_udp *u = w->udp ? NULL : calloc(1, sizeof(*u));
	struct rlimit limit = { .rlim_cur = 1024 };

	if (!u)
		return w->udp ? 0 : -ENOMEM;
	getrlimit(RLIMIT_NOFILE, &limit);
	u->most = limit.rlim_cur > 64 ? (uint32_t)(limit.rlim_cur / 2) : 32;
	if (mlbd_udp_table_init(&u->table, mlb_rng_next(&w->core->rng)) < 0 || mlbd_udp_batch_init(&u->in) < 0 ||
	    mlbd_udp_batch_init(&u->out) < 0) {
		mlbd_udp_table_free(&u->table);
		mlbd_udp_batch_free(&u->in);
		mlbd_udp_batch_free(&u->out);
		free(u);
		return -ENOMEM;
	}
	w->udp = u;
	return 0;
}

/* The flow on its server is over, the client's part of it is not. */
static void leave_server(struct mlbd_worker *w, struct mlbd_udp_flow *f, enum mlb_end how)
{
	if (f->fd < 0)
		return;
	if (f->wait_us)
		mlb_ev_unwait(f->wv, f->slot, w->now_us);
	f->wait_us = 0;
	mlb_ev_close(w->core, f->wv, f->slot, f->start_us, w->now_us, how);
	if (how == MLB_END_REFUSED || (f->answers == 0 && (how == MLB_END_RESET || how == MLB_END_ABORT)))
		mlb_dp_connect_result(w->host->dp, w->core, f->vip->id, f->slot,
				      how == MLB_END_REFUSED ? MLB_CONNECT_REFUSED :
				      how == MLB_END_RESET   ? MLB_CONNECT_UNANSWERED :
							       MLB_CONNECT_UNMADE,
				      f->start_us, w->now_us);
	mlbd_connect_release(f->vip, f->slot);
	mlbd_udp_room_flow(f->vip, f->fd, f->answers);
	close(f->fd); /* out of epoll with it: nobody else has this socket */
	f->fd = -1;
	f->server_id = 0;
}

static void end_udp_flow(struct mlbd_worker *w, struct mlbd_udp_flow *f, enum mlb_end how)
{
	if (how == MLB_END_REFUSED && f->answers == 0)
		mlb_ev_failed(f->wv);
	leave_server(w, f, how);
	mlbd_admit_leave(f->vip, &f->key.client, f->counted);
	MLB_ADD(w->conns, -1u);
	mlb_ev_client_gone(f->wv);
	mlbd_udp_table_del(&w->udp->table, f);
}

/* Ends the flow of the client that was silent longest and was never answered, for its room and its descriptor: a flood of made-up
 * sources pushes itself out, not the clients that are served. `but`: the flow that looks for room, or NULL. */
static bool make_room(struct mlbd_worker *w, const struct mlbd_udp_flow *but)
{
	struct mlbd_udp_table *t = &w->udp->table;
	struct mlbd_udp_flow *oldest = mlbd_udp_table_oldest_unanswered(t, but);

	if (!oldest)
		return false;
	end_udp_flow(w, oldest, MLB_END_ABORT);
	return true;
}

static int open_socket(struct mlbd_worker *w, struct mlbd_udp_flow *f, const struct mlb_server *server)
{
	int rc = mlbd_connect_socket(w, SOCK_DGRAM, f->vip, server, &f->key.client, &f->fd);

	if (rc == -EMFILE && make_room(w, f))
		rc = mlbd_connect_socket(w, SOCK_DGRAM, f->vip, server, &f->key.client, &f->fd);
	if (rc < 0)
		return rc;
	mlbd_udp_socket(f->fd, mlb_addr_is_v4(&server->ep.addr) ? AF_INET : AF_INET6, false);
	return mlbd_worker_watch(w, EPOLL_CTL_ADD, f->fd, EPOLLIN, f, MLBD_TAG_UDP);
}

/* Chooses a server that is not among `tried` and opens the flow there; false: there is none. */
static bool enter_server(struct mlbd_worker *w, struct mlbd_udp_flow *f, uint16_t *tried, uint32_t *tries)
{
	struct mlb_endpoint client = { .addr = f->key.client, .port = f->key.client_port };

	while (*tries <= w->settings.retries) {
		bool full = false;
		uint32_t slot =
			mlbd_connect_pick(w, f->vip, f->wv, mlbd_connect_hash(&client, &f->vip->conf.ep), tried, *tries, &full);

		if (slot == MLB_NONE) {
			if (*tries == 0 && full)
				mlb_ev_limited(f->wv);
			else if (*tries == 0)
				mlb_ev_no_server(f->wv);
			return false;
		}
		if (*tries)
			mlb_ev_retry(f->wv);
		const struct mlb_server *server = mlb_dp_server_at(w->host->dp, f->vip->id, slot);
		int rc;

		tried[(*tries)++] = (uint16_t)slot;
		f->slot = (uint16_t)slot;
		f->server_id = server->id;
		f->start_us = w->now_us;
		f->answers = 0;
		mlb_ev_open(f->wv, slot, w->now_us);
		rc = open_socket(w, f, server);
		if (rc == 0)
			return true;
		mlbd_worker_complain(w, -rc, "no socket to send to a server from");
		mlb_ev_close(w->core, f->wv, slot, f->start_us, w->now_us, MLB_END_UNMADE);
		mlbd_connect_release(f->vip, f->slot);
		mlb_dp_connect_result(w->host->dp, w->core, f->vip->id, slot, MLB_CONNECT_UNMADE, f->start_us, w->now_us);
		if (f->fd >= 0)
			close(f->fd);
		f->fd = -1;
		f->server_id = 0;
		if (mlbd_connect_error_is_local(-rc)) /* another server does not help */
			return false;
	}
	return false;
}

/* A new flow, or NULL: nobody may have it. */
static struct mlbd_udp_flow *admit(struct mlbd_worker *w, struct mlbd_listener *l, const struct mlbd_udp_key *key)
{
	struct mlbd_vip *vip = &w->host->vip[l->vip - 1];
	struct mlb_wvip *wv = atomic_load_explicit(&w->core->vip[l->vip - 1], memory_order_acquire);
	uint16_t tried[MLBD_MAX_RETRIES + 1];
	uint32_t tries = 0;
	bool counted;

	if (!wv || !w->accepting)
		return NULL;
	if (!mlbd_admit(vip, &key->client, &counted)) {
		mlb_ev_limited(wv);
		return NULL;
	}
	bool room = w->udp->table.count < w->udp->most || make_room(w, NULL);
	struct mlbd_udp_flow *f = room ? mlbd_udp_table_add(&w->udp->table, key) : NULL;

	if (!f) {
		mlbd_admit_leave(vip, &key->client, counted);
		mlb_ev_limited(wv);
		return NULL;
	}
	f->counted = counted;
	MLB_ADD(w->conns, 1);
	mlb_ev_client(wv);
	f->listener = l;
	f->vip = vip;
	f->wv = wv;
	f->last_us = w->now_us;
	if (enter_server(w, f, tried, &tries))
		return f;
	end_udp_flow(w, f, tries ? MLB_END_REFUSED : MLB_END_ABORT);
	return NULL;
}

static void heard_client(struct mlbd_worker *w, struct mlbd_udp_flow *f, uint32_t i)
{
	mlb_ev_bytes(f->wv, f->slot, true, mlbd_udp_datagrams(&w->udp->in, i), mlbd_udp_bytes(&w->udp->in, i));
	if (!f->wait_us) {
		f->wait_us = w->now_us;
		mlb_ev_request(f->wv, f->slot, w->now_us);
	}
	f->last_us = w->now_us;
	mlbd_udp_table_touch(&w->udp->table, f);
}

static void heard_server(struct mlbd_worker *w, struct mlbd_udp_flow *f, uint32_t i)
{
	uint32_t n = mlbd_udp_datagrams(&w->udp->out, i);

	mlb_ev_bytes(f->wv, f->slot, false, n, mlbd_udp_bytes(&w->udp->out, i));
	if (f->answers == 0)
		mlb_dp_connect_result(w->host->dp, w->core, f->vip->id, f->slot, MLB_CONNECT_OK, f->start_us, w->now_us);
	if (f->wait_us)
		mlb_ev_answer(w->core, f->wv, f->slot, f->wait_us, w->now_us);
	f->wait_us = 0;
	f->answers += n;
	f->last_us = w->now_us;
	mlbd_udp_table_touch(&w->udp->table, f);
}

/* Sends messages first .. first+n-1 of a client to its server. A server that refused meanwhile is left for another one; what one
 * socket cannot take now is lost, as it would be in a full queue of a router. */
static void forward(struct mlbd_worker *w, struct mlbd_udp_flow *f, uint32_t first, uint32_t n)
{
	uint16_t tried[MLBD_MAX_RETRIES + 1] = { f->slot };
	uint32_t tries = 1, sent;

	while (n) {
		int rc = mlbd_udp_send(f->fd, &w->udp->in, first, n, &sent);

		first += sent;
		n -= sent;
		if (rc == -ECONNREFUSED) {
			leave_server(w, f, MLB_END_REFUSED);
			if (!enter_server(w, f, tried, &tries)) {
				end_udp_flow(w, f, MLB_END_REFUSED);
				return;
			}
			for (uint32_t i = first; i < first + n; i++)
				heard_client(w, f, i);
		} else if (rc < 0) {
			first++;
			n--;
		}
	}
}

static bool key_of(struct mlbd_worker *w, const struct mlbd_listener *l, uint32_t i, struct mlbd_udp_key *key)
{
	struct mlb_endpoint client;

	mlb_endpoint_from_sockaddr(&w->udp->in.peer[i], &client);
	memset(key, 0, sizeof(*key));
	key->client = client.addr;
	key->client_port = client.port;
	key->vip = l->vip;
	key->local = w->host->vip[l->vip - 1].conf.ep.addr;
	mlbd_udp_local(&w->udp->in, i, &key->local);
	return client.port != 0; /* port 0: an answer could not be sent */
}

void mlbd_udp_readable(struct mlbd_worker *w, struct mlbd_listener *l)
{
	struct mlbd_udp *u = w->udp;
	struct mlbd_udp_flow *run = NULL; /* whose messages first .. i-1 are not sent yet */
	uint32_t first = 0, asked;
	int n;

	u->in.count = 0;
	asked = u->expect + 1 < MLBD_UDP_BATCH ? u->expect + 1 : MLBD_UDP_BATCH;
	n = mlbd_udp_receive(l->fd, &u->in, asked, true);
	if (n <= 0)
		return;
	u->turn += (uint32_t)n;
	/* A look that found all it asked for may have left some: without growing then, one at a time stays one at a time. */
	u->expect = (uint32_t)n == asked ? 2 * asked : n > 1 ? (uint32_t)n : u->expect / 2;
	w->now_us = mlbd_now_us();
	for (uint32_t i = 0; i < (uint32_t)n; i++) {
		struct mlbd_udp_key key;
		uint32_t gone = u->table.gone;
		struct mlbd_udp_flow *f = key_of(w, l, i, &key) ? mlbd_udp_table_find(&u->table, &key) : NULL;

		mlbd_udp_address(&u->in, i, NULL, 0, NULL);
		if (f != run || !f) {
			if (run)
				forward(w, run, first, i - first);
			if (u->table.gone != gone && key.client_port) /* f may have ended while the other one looked for room */
				f = mlbd_udp_table_find(&u->table, &key);
			if (!f && key.client_port)
				f = admit(w, l, &key);
			run = f;
			first = i;
		}
		if (f)
			heard_client(w, f, i);
	}
	if (run)
		forward(w, run, first, (uint32_t)n - first);
}

/* Sends the answers that wait. What the socket does not take is lost. */
static void send_answers(struct mlbd_udp *u)
{
	uint32_t first = 0, sent;

	while (first < u->out.count) {
		int rc = mlbd_udp_send(u->out_by->fd, &u->out, first, u->out.count - first, &sent);

		first += sent + (rc < 0);
	}
	u->out.count = 0;
}

void mlbd_udp_answer(struct mlbd_worker *w, struct mlbd_udp_flow *f)
{
	struct mlbd_udp *u = w->udp;
	uint32_t asked = f->expect + 1u;
	bool wildcard;
	uint64_t most;
	int n;

	if (f->fd < 0) /* over since the batch of events was taken */
		return;
	if (u->out.count + asked > MLBD_UDP_BATCH || (u->out.count && u->out_by != f->listener))
		send_answers(u);
	u->out_by = f->listener;
	n = mlbd_udp_receive(f->fd, &u->out, asked, false); /* what else waits, epoll names again */
	if (n < 0) {
		end_udp_flow(w, f, n == -ECONNREFUSED ? MLB_END_REFUSED : MLB_END_RESET);
		return;
	}
	u->turn += (uint32_t)n;
	if ((uint32_t)n == asked)
		f->expect = (uint8_t)((2 * asked < TRAIN ? 2 * asked : TRAIN) - 1);
	else
		f->expect = (uint8_t)(n > 1 ? n - 1 : 0);
	wildcard = mlb_addr_is_any(&f->vip->conf.ep.addr);
	for (uint32_t i = u->out.count - (uint32_t)n; i < u->out.count; i++) {
		heard_server(w, f, i);
		mlbd_udp_address(&u->out, i, &f->key.client, f->key.client_port, wildcard ? &f->key.local : NULL);
	}
	most = atomic_load_explicit(&f->vip->responses, memory_order_relaxed);
	if (most && f->answers >= most)
		end_udp_flow(w, f, MLB_END_COMPLETED);
}

static uint64_t idle_us(const struct mlbd_worker *w)
{
	uint64_t us = w->settings.udp_ms * 1000;

	return w->accepting || us < DRAIN_IDLE_US ? us : DRAIN_IDLE_US;
}

/* Interrupt moderation, as network cards do it: a sleep and a wake-up of this thread cost more than the way of a datagram. The
 * sleep is as long as a plateful takes to come, at most udp-coalesce. */
static void judge_rate(struct mlbd_worker *w)
{
	struct mlbd_udp *u = w->udp;
	uint64_t passed = w->now_us - u->rate_from_us, most = w->settings.udp_coalesce_us;

	if (passed < RATE_US)
		return;
	u->nap_us = u->seen && PLATE * passed / u->seen < most ? PLATE * passed / u->seen : most;
	if (u->nap_us < NAP_US || u->seen * u->nap_us < WORTH * passed)
		u->nap_us = 0;
	u->seen = 0;
	u->rate_from_us = w->now_us;
}

uint64_t mlbd_udp_coalesce_us(const struct mlbd_worker *w)
{
	return w->udp->more_us;
}

void mlbd_udp_turn(struct mlbd_worker *w)
{
	struct mlbd_udp *u = w->udp;
	struct mlbd_udp_flow *f;

	if (u->out.count)
		send_answers(u);
	while ((f = mlbd_udp_table_oldest(&u->table)) && f->last_us + idle_us(w) <= w->now_us)
		end_udp_flow(w, f, MLB_END_IDLE);
	mlbd_udp_table_reap(&u->table);
	u->seen += u->turn;
	judge_rate(w);
	u->more_us = u->turn < PLATE ? u->nap_us : 0;
	u->turn = 0;
}

uint64_t mlbd_udp_due_us(const struct mlbd_worker *w)
{
	const struct mlbd_udp_flow *f = mlbd_udp_table_oldest(&w->udp->table);

	return f ? f->last_us + idle_us(w) : UINT64_MAX;
}

static void drop_one(void *arg, struct mlbd_udp_flow *f)
{
	void **a = arg;

	if (!a[1] || f->listener == a[1])
		end_udp_flow(a[0], f, MLB_END_ABORT);
}

void mlbd_udp_drop(struct mlbd_worker *w, struct mlbd_listener *l)
{
	if (w->udp->out.count)
		send_answers(w->udp);
	mlbd_udp_table_each(&w->udp->table, drop_one, (void *[]){ w, l });
}

static void close_udp_flow(void *arg, struct mlbd_udp_flow *f)
{
	void **a = arg;

	if (f->server_id == *(uint32_t *)a[1])
		end_udp_flow(a[0], f, MLB_END_CLOSED);
}

void mlbd_udp_close_server(struct mlbd_worker *w, uint32_t server_id)
{
	if (!w->udp)
		return;
	if (w->udp->out.count)
		send_answers(w->udp);
	mlbd_udp_table_each(&w->udp->table, close_udp_flow, (void *[]){ w, &server_id });
}

void mlbd_udp_each(struct mlbd_worker *w, void (*fn)(void *arg, struct mlbd_udp_flow *), void *arg)
{
	if (w->udp)
		mlbd_udp_table_each(&w->udp->table, fn, arg);
}

void mlbd_udp_end(struct mlbd_worker *w)
{
	struct mlbd_udp *u = w->udp;

	if (!u)
		return;
	mlbd_udp_drop(w, NULL);
	mlbd_udp_table_free(&u->table);
	mlbd_udp_batch_free(&u->in);
	mlbd_udp_batch_free(&u->out);
	free(u);
	w->udp = NULL;
}
