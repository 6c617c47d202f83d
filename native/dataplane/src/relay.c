/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "sys.h"

#define SPLICE_AFTER (64u << 10) /* bytes in a row before a direction is spliced */
#define SPLICE_LEAST 4096u       /* a smaller piece ends the row */
#define TURN_BYTES (2u << 20)    /* then others get their turn */
#define TURN_STEPS 32u

/* One call's work: from one side to the other. */
struct move {
	struct mlbd_buffers *buffers;
	struct mlbd_side *from, *to;
	bool first_small; /* the first bytes to the server go without TCP_NODELAY */
	bool at_write;    /* the failure was the receiver's */
	uint32_t read, moved;
};

static struct mlbd_outcome outcome(const struct move *m, enum mlbd_relayed what)
{
	return (struct mlbd_outcome){ .read = m->read, .moved = m->moved, .what = (uint8_t)what };
}

static void took(struct move *m, uint32_t n)
{
	uint32_t ours = n < m->from->lead ? n : m->from->lead;

	m->from->lead -= (uint8_t)ours;
	if (n == ours)
		return;
	m->from->passed = true;
	m->moved += n - ours;
}

/* Nagle holds back only a small write that follows an unacknowledged one, so the first write needs no option. (A client's socket
 * inherits TCP_NODELAY from its listener.) */
static void before_write(struct move *m)
{
	int one = 1;

	if (!m->first_small || m->to->nodelay || !(m->from->passed || (m->from->led && !m->from->lead)))
		return;
	setsockopt(m->to->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	m->to->nodelay = true;
}

/* Writes what waits. 0: all gone; -EAGAIN; other: the receiver's socket failed. MSG_MORE as in copy_piece. */
static int flush(struct move *m)
{
	struct mlbd_queue *q = m->from->queue;

	before_write(m);
	while (q->len) {
		ssize_t n = q->pipe[0] >= 0 ?
				    splice(q->pipe[0], NULL, m->to->fd, NULL, q->len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK) :
				    mlbd_send(m->to->fd, q->data + q->off, q->len, MSG_NOSIGNAL | (m->from->eof ? MSG_MORE : 0));

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		q->off += (uint32_t)n;
		q->len -= (uint32_t)n;
		took(m, (uint32_t)n);
	}
	return 0;
}

/* Reads into a buffer, behind what is in it. Returns bytes read, 0 when there was nothing, -errno. */
static int fill(struct move *m, struct mlbd_queue *q)
{
	struct mlbd_side *from = m->from;
	ssize_t n;

	do
		n = mlbd_recv(from->fd, q->data + q->off + q->len, MLBD_BUF_SIZE);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (n < 0 && errno != EAGAIN)
			return -errno;
		from->readable = false;
		from->eof = n == 0;
		return 0;
	}
	/* A short read: nothing more now, and a new edge will tell, unless the end is known to be next. */
	if (n < (ssize_t)MLBD_BUF_SIZE && !from->urgent) {
		from->readable = false;
		from->eof = from->fin_near;
	}
	from->streak = (uint32_t)n < SPLICE_LEAST || from->urgent ? 0 : from->streak + (uint32_t)n;
	m->read += (uint32_t)n;
	q->len += (uint32_t)n;
	return (int)n;
}

/* Reads into the scratch buffer and writes at once. Returns bytes read, 0 when there was nothing, -errno; m->at_write tells whose
 * error. Bytes that were not taken are left in the side's queue in any case. */
static int copy_piece(struct move *m)
{
	struct mlbd_side *from = m->from;
	struct mlbd_queue *q = mlbd_buf_scratch(m->buffers);
	ssize_t sent;
	int n;

	if (!q)
		return -ENOMEM;
	q->off = q->len = 0;
	n = fill(m, q);
	if (n <= 0)
		return n;
	before_write(m);
	/* Where the end is known, shutdown or close follows at once: with MSG_MORE its FIN goes in the same packet. */
	do
		sent = mlbd_send(m->to->fd, q->data, (size_t)n, MSG_NOSIGNAL | (from->eof ? MSG_MORE : 0));
	while (sent < 0 && errno == EINTR);
	if (sent == n) {
		took(m, (uint32_t)n);
		return n;
	}
	int error = sent < 0 ? errno : EAGAIN;

	if (sent > 0)
		took(m, (uint32_t)sent);
	q->off = sent > 0 ? (uint32_t)sent : 0;
	q->len = (uint32_t)n - q->off;
	from->queue = q; /* the scratch buffer is given away; the next call takes another one */
	m->buffers->scratch = NULL;
	if (error != EAGAIN) {
		m->at_write = true;
		return -error;
	}
	return n;
}

/* Fills the pipe. As copy_piece, without writing. */
static int splice_piece(struct move *m)
{
	struct mlbd_side *from = m->from;
	ssize_t n;

	do
		n = splice(from->fd, NULL, from->queue->pipe[1], NULL, m->buffers->pipe_size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno != EAGAIN)
			return -errno;
		from->readable = false;
		return 0;
	}
	if (n == 0) { /* the end, or the mark of urgent data: recv tells which */
		from->streak = 0;
		return 0;
	}
	from->queue->off = 0;
	from->queue->len = (uint32_t)n;
	if ((uint32_t)n < SPLICE_LEAST)
		from->streak = 0;
	m->read += (uint32_t)n;
	return (int)n;
}

static void drop_queue(struct mlbd_buffers *b, struct mlbd_side *from)
{
	if (from->queue) {
		mlbd_queue_put(b, from->queue);
		from->queue = NULL;
	}
}

static struct mlbd_outcome failed(const struct move *m, unsigned side, int error)
{
	struct mlbd_outcome o = outcome(m, MLBD_LOST);

	o.error = (uint16_t)-error;
	o.lost = side & 1;
	o.at_write = m->at_write;
	return o;
}

int mlbd_relay_lead(struct mlbd_buffers *b, struct mlbd_side *from, const uint8_t *data, uint32_t len)
{
	struct mlbd_queue *q = from->queue;

	if (!q) { /* the scratch buffer is given away, as in copy_piece */
		q = mlbd_buf_scratch(b);
		if (!q)
			return -ENOMEM;
		b->scratch = NULL;
		q->len = 0;
		from->queue = q;
	}
	memmove(q->data + len, q->data + q->off, q->len);
	memcpy(q->data, data, len);
	q->off = 0;
	q->len += len;
	from->lead = (uint8_t)len;
	from->led = true;
	from->lead_now = false;
	return 0;
}

void mlbd_relay_lead_now(struct mlbd_side *from)
{
	if (!from->lead)
		return;
	from->lead_now = true;
	from->readable = true;
}

void mlbd_relay_unlead(struct mlbd_buffers *b, struct mlbd_side *from)
{
	if (from->lead) {
		from->queue->off += from->lead;
		from->queue->len -= from->lead;
		from->lead = 0;
	}
	if (from->queue && !from->queue->len)
		drop_queue(b, from);
	from->led = false;
}

struct mlbd_outcome mlbd_relay(struct mlbd_buffers *b, struct mlbd_side side[2], unsigned s)
{
	struct mlbd_side *from = &side[s];
	struct move m = { .buffers = b, .from = from, .to = &side[!s], .first_small = s == MLBD_CLIENT };

	for (uint32_t step = 0;; step++) {
		int n;

		if (from->lead && from->lead == from->queue->len) { /* nothing behind it yet */
			if (from->readable && !from->eof && (n = fill(&m, from->queue)) < 0)
				return failed(&m, s, n);
			if (from->lead == from->queue->len && !from->lead_now && !from->eof)
				return outcome(&m, MLBD_IDLE);
		}
		if (from->queue && from->queue->len) {
			n = flush(&m);
			if (n == -EAGAIN)
				return outcome(&m, MLBD_FULL);
			if (n) {
				m.at_write = true;
				return failed(&m, !s, n);
			}
			if (from->queue->pipe[0] < 0 || from->streak < SPLICE_AFTER)
				drop_queue(b, from);
		}
		if (from->eof || !from->readable) {
			drop_queue(b, from);
			return outcome(&m, from->eof ? MLBD_ENDED : MLBD_IDLE);
		}
		if (step == TURN_STEPS || m.read >= TURN_BYTES) {
			drop_queue(b, from);
			return outcome(&m, MLBD_AGAIN);
		}
		if (from->streak >= SPLICE_AFTER && !from->queue && !(from->queue = mlbd_pipe_get(b)))
			from->streak = 0;
		n = from->queue ? splice_piece(&m) : copy_piece(&m);
		if (n < 0)
			return failed(&m, m.at_write ? !s : s, n);
		if (from->queue && from->queue->pipe[0] >= 0 && from->streak < SPLICE_AFTER && from->queue->len == 0)
			drop_queue(b, from);
	}
}

/* A server that answers before the request's end and closes resets the connection. Its answer is still readable, and the write
 * that discovers the reset comes before the event that would have it read. */
struct mlbd_outcome mlbd_relay_rest(struct mlbd_buffers *b, struct mlbd_side side[2], unsigned s)
{
	struct mlbd_side *from = &side[s];
	struct move m = { .buffers = b, .from = from, .to = &side[!s], .first_small = s == MLBD_CLIENT };

	if (from->queue && from->queue->len && flush(&m) < 0)
		return outcome(&m, MLBD_IDLE);
	drop_queue(b, from);
	from->fin_near = false; /* no end follows that MSG_MORE could wait for */
	while (!from->queue && copy_piece(&m) > 0)
		;
	return outcome(&m, MLBD_IDLE);
}
