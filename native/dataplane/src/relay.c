/* SPDX-License-Identifier: Apache-2.0 */
/* Moving bytes. Small pieces go through one buffer of the thread (two system calls, nothing allocated); a direction that has
 * moved much in a row goes through a pipe (splice, no copy). What the receiver does not take waits in one buffer or pipe, and
 * nothing more is read meanwhile: that bounds memory and passes the pressure on. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "conn.h"
#include "sys.h"

#define SPLICE_AFTER (64u << 10) /* bytes in a row before a direction is spliced */
#define SPLICE_LEAST 4096u       /* a smaller piece ends the row */
#define TURN_BYTES (2u << 20)    /* then others get their turn */
#define TURN_STEPS 32u

static void come_again(struct mlbd_worker *w, struct mlbd_conn *c)
{
	if (c->again)
		return;
	if (w->agains == w->again_cap) {
		uint32_t cap = w->again_cap ? 2 * w->again_cap : 64;
		struct mlbd_conn **more = realloc(w->again, cap * sizeof(*more));

		if (!more) { /* no edge will come for what is left unread */
			mlbd_conn_end(w, c, MLB_END_ABORT, true);
			return;
		}
		w->again = more;
		w->again_cap = cap;
	}
	w->again[w->agains++] = c;
	c->again = true;
}

static void wait_writable(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_side *side = &c->side[s];

	if (side->want_out)
		return;
	side->want_out = true; /* stays: an edge comes only after a write has found the socket full */
	if (side->watched && mlbd_worker_watch(w, EPOLL_CTL_MOD, side->fd, MLBD_EVENTS | EPOLLOUT, c, mlbd_conn_tag(c, s)) < 0)
		mlbd_conn_end(w, c, MLB_END_ABORT, true);
}

/* The receiver took n bytes that came from side s. */
static void took(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s, uint32_t n)
{
	if (c->state == MLBD_CONN_CONNECTING)
		mlbd_connect_done(w, c);
	if (s == MLBD_CLIENT)
		c->moved = true;
	mlb_ev_bytes(c->wv, c->slot, s == MLBD_CLIENT, 0, n);
	c->last_us = w->now_us;
}

/* Nagle holds back only a small write that follows an unacknowledged one: the first needs no option. (A client's socket has
 * it from its listener.) */
static void before_write(struct mlbd_conn *c, unsigned s)
{
	if (s == MLBD_CLIENT && c->moved && !c->nodelay) {
		int one = 1;

		setsockopt(c->side[MLBD_SERVER].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->nodelay = true;
	}
}

/* Writes what waits from side s. 0: all gone; -EAGAIN; other: the receiver's socket failed. */
static int flush(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_queue *q = c->side[s].queue;
	int to = c->side[!s].fd;

	before_write(c, s);
	while (q->len) {
		ssize_t n = q->pipe[0] >= 0 ? splice(q->pipe[0], NULL, to, NULL, q->len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK) :
					      mlbd_send(to, q->data + q->off, q->len, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		q->off += (uint32_t)n;
		q->len -= (uint32_t)n;
		took(w, c, s, (uint32_t)n);
	}
	return 0;
}

static void spoke(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	if (s == MLBD_CLIENT) {
		if (!c->wait_us) {
			c->wait_us = w->now_us;
			mlb_ev_request(c->wv, c->slot, w->now_us);
		}
	} else if (c->wait_us) {
		mlb_ev_answer(w->core, c->wv, c->slot, c->wait_us, w->now_us);
		c->wait_us = 0;
	}
}

/* Reads into the thread's buffer and writes at once. Returns bytes read, 0 when there was nothing, -errno; *to_failed tells
 * whose. Bytes that were not taken are left in the side's queue in any case. */
static int copy_piece(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s, bool *to_failed)
{
	struct mlbd_side *from = &c->side[s];
	struct mlbd_queue *q = w->scratch ? w->scratch : (w->scratch = mlbd_buf_get(&w->pool));
	ssize_t n, sent;

	if (!q)
		return -ENOMEM;
	do
		n = mlbd_recv(from->fd, q->data, MLBD_BUF_SIZE);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (n < 0 && errno != EAGAIN)
			return -errno;
		from->readable = false;
		from->eof = n == 0;
		return 0;
	}
	/* Nothing more now: a new edge will tell, unless the end is known to be next. */
	if (n < (ssize_t)MLBD_BUF_SIZE && !from->urgent) {
		from->readable = false;
		from->eof = from->fin_near;
	}
	from->streak = (uint32_t)n < SPLICE_LEAST || from->urgent ? 0 : from->streak + (uint32_t)n;
	spoke(w, c, s);
	before_write(c, s);
	/* When the end is known, finish() comes right behind: MSG_MORE lets its FIN go in the same packet. */
	do
		sent = mlbd_send(c->side[!s].fd, q->data, (size_t)n, MSG_NOSIGNAL | (from->eof ? MSG_MORE : 0));
	while (sent < 0 && errno == EINTR);
	if (sent == n) {
		took(w, c, s, (uint32_t)n);
		return (int)n;
	}
	int error = sent < 0 ? errno : EAGAIN;

	if (sent > 0)
		took(w, c, s, (uint32_t)sent);
	q->off = sent > 0 ? (uint32_t)sent : 0;
	q->len = (uint32_t)n - q->off;
	from->queue = q; /* hand the thread's buffer over, it gets another one */
	w->scratch = NULL;
	if (error != EAGAIN) {
		*to_failed = true;
		return -error;
	}
	return (int)n;
}

/* Fills the pipe. As copy_piece, without writing. */
static int splice_piece(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_side *from = &c->side[s];
	ssize_t n;

	do
		n = splice(from->fd, NULL, from->queue->pipe[1], NULL, w->pool.pipe_size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno != EAGAIN)
			return -errno;
		from->readable = false;
		return 0;
	}
	if (n == 0) { /* the end, or the mark of urgent data: recv tells */
		from->streak = 0;
		return 0;
	}
	from->queue->off = 0;
	from->queue->len = (uint32_t)n;
	if ((uint32_t)n < SPLICE_LEAST)
		from->streak = 0;
	spoke(w, c, s);
	return (int)n;
}

static void drop_queue(struct mlbd_worker *w, struct mlbd_side *from)
{
	if (from->queue) {
		mlbd_queue_put(&w->pool, from->queue);
		from->queue = NULL;
	}
}

/* What side s said before its socket was reset still waits there: a server that answers before the request's end and closes. The
 * write that finds the reset comes before the event that would have it read. */
static void last_words(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_side *from = &c->side[s];
	bool to_failed = false;

	if (from->queue && from->queue->len && flush(w, c, s) < 0)
		return;
	drop_queue(w, from);
	from->fin_near = false; /* no end comes behind that MSG_MORE could wait for */
	while (!from->queue && copy_piece(w, c, s, &to_failed) > 0)
		;
}

/* The socket of side s failed, at a read or at a write. */
static int lost(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s, int error, bool at_write)
{
	if (s == MLBD_SERVER && c->state == MLBD_CONN_CONNECTING)
		return error; /* nothing was sent: another server may do */
	if (at_write)
		last_words(w, c, s);
	mlbd_conn_end(w, c, s == MLBD_SERVER ? MLB_END_RESET : MLB_END_ABORT, true);
	return 0;
}

/* Side s has ended and all of it was passed on. */
static void finish(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_side *from = &c->side[s], *to = &c->side[!s];

	if (from->fin_sent || c->state == MLBD_CONN_CONNECTING)
		return;
	from->fin_sent = true;
	if (to->fin_sent) /* both ended: close says so to both sides */
		mlbd_conn_end(w, c, MLB_END_COMPLETED, false);
	else if (shutdown(to->fd, SHUT_WR) < 0)
		lost(w, c, !s, -errno, true);
}

int mlbd_relay(struct mlbd_worker *w, struct mlbd_conn *c, unsigned s)
{
	struct mlbd_side *from = &c->side[s];
	uint32_t moved = 0;

	for (uint32_t step = 0;; step++) {
		bool to_failed = false;
		int n;

		if (from->queue && from->queue->len) {
			n = flush(w, c, s);
			if (n == -EAGAIN) {
				wait_writable(w, c, !s);
				return 0;
			}
			if (n)
				return lost(w, c, !s, n, true);
			if (from->queue->pipe[0] < 0 || from->streak < SPLICE_AFTER)
				drop_queue(w, from);
		}
		if (from->eof) {
			drop_queue(w, from);
			finish(w, c, s);
			return 0;
		}
		if (!from->readable)
			break;
		if (step == TURN_STEPS || moved >= TURN_BYTES) {
			drop_queue(w, from);
			come_again(w, c);
			return 0;
		}
		if (from->streak >= SPLICE_AFTER && !from->queue && !(from->queue = mlbd_pipe_get(&w->pool)))
			from->streak = 0;
		n = from->queue ? splice_piece(w, c, s) : copy_piece(w, c, s, &to_failed);
		if (n < 0)
			return lost(w, c, to_failed ? !s : s, n, to_failed);
		moved += (uint32_t)n;
		if (from->queue && from->queue->pipe[0] >= 0 && from->streak < SPLICE_AFTER && from->queue->len == 0)
			drop_queue(w, from);
	}
	drop_queue(w, from);
	return 0;
}
