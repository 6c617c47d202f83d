/* SPDX-License-Identifier: Apache-2.0 */
/* The client: open loop (Poisson due times; latency counts from the due time, so a stalled server is not forgiven) or closed
 * loop. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <marllb/rng.h>
#include "load.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { ST_CONNECTING, ST_WAIT_HEAD, ST_BODY, ST_WAIT_EOF, ST_READY };

struct conn {
	int fd;
	uint8_t st;
	bool opening;
	uint64_t due, body, body_left;
	uint32_t head;
	struct conn *next;                /* free or ready list */
	struct conn *all_prev, *all_next; /* in flight, oldest first: for the time-out */
	char buf[512];
};

struct client {
	const struct load_conf *c;
	struct load_stats *s;
	int ep;
	struct conn *free, *ready;
	struct conn flight; /* list head of requests under way */
	uint32_t opening;   /* connections that have not had their first answer */
	uint32_t open;      /* connections open */
	uint64_t *backlog;  /* due times that found no ready connection (ring) */
	uint32_t back_head, back_n, back_cap;
	char req[LOAD_REQ_MAX];
	uint32_t req_len, source;
	uint64_t rng, measure_from, end;
	uint64_t due;     /* of the next request; UINT64_MAX: closed loop */
	uint32_t to_open; /* connections that are still to be opened */
	bool stopping;
};

#define TIMEOUT_US 10000000u
#define MAX_OPENING 512u
#define LINGER_LOOK_US 10000u

static double uniform(struct client *k)
{
	return (double)(mlb_splitmix64(&k->rng) >> 11) * 0x1.0p-53;
}

static void flight_add(struct client *k, struct conn *n)
{
	n->all_prev = k->flight.all_prev;
	n->all_next = &k->flight;
	k->flight.all_prev->all_next = n;
	k->flight.all_prev = n;
}

static void flight_del(struct conn *n)
{
	if (!n->all_next)
		return;
	n->all_prev->all_next = n->all_next;
	n->all_next->all_prev = n->all_prev;
	n->all_next = n->all_prev = NULL;
}

static void opened(struct client *k, struct conn *n)
{
	k->opening -= n->opening;
	n->opening = false;
}

static void finish_conn(struct client *k, struct conn *n)
{
	flight_del(n);
	opened(k, n);
	close(n->fd);
	n->fd = -1;
	n->next = k->free;
	k->free = n;
	k->open--;
}

static void failed(struct client *k, struct conn *n)
{
	if (n->due >= k->measure_from && n->st != ST_WAIT_EOF && n->st != ST_READY)
		k->s->errors++;
	finish_conn(k, n);
}

static void send_request(struct client *k, struct conn *n)
{
	n->head = 0;
	n->body_left = 0;
	n->st = ST_WAIT_HEAD;
	if (send(n->fd, k->req, k->req_len, MSG_NOSIGNAL) != (ssize_t)k->req_len)
		failed(k, n);
}

static struct conn *open_conn(struct client *k, uint64_t due)
{
	struct conn *n = k->free;
	if (n)
		k->free = n->next;
	else if (!(n = calloc(1, sizeof(*n))))
		return NULL;
	n->all_next = n->all_prev = n->next = NULL;
	n->due = due;
	n->st = ST_CONNECTING;
	n->fd = load_nonblocking_tcp(k->c->addr.ss_family);
	if (n->fd < 0) {
		n->next = k->free;
		k->free = n;
		k->s->errors++;
		return NULL;
	}
	k->open++;
	k->opening++;
	n->opening = true;
	if (k->c->sources > 1 && k->c->addr.ss_family == AF_INET) {
		struct sockaddr_in src = { .sin_family = AF_INET,
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + k->source++ % k->c->sources) };
		setsockopt(n->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
		if (bind(n->fd, (struct sockaddr *)&src, sizeof(src)) < 0)
			k->s->errors++;
	}
	flight_add(k, n);
	if (connect(n->fd, (const struct sockaddr *)&k->c->addr, k->c->addr_len) < 0 && errno != EINPROGRESS) {
		failed(k, n);
		return NULL;
	}
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = n };
	epoll_ctl(k->ep, EPOLL_CTL_ADD, n->fd, &e);
	return n;
}

/* A due request on a held connection, or remembered until one is ready. */
static void request_held(struct client *k, uint64_t due)
{
	struct conn *n = k->ready;
	if (n) {
		k->ready = n->next;
		n->due = due;
		flight_add(k, n);
		send_request(k, n);
	} else if (k->back_n < k->back_cap) {
		k->backlog[(k->back_head + k->back_n++) % k->back_cap] = due;
	} else {
		k->s->errors++;
	}
}

static void response_done(struct client *k, struct conn *n, uint64_t now)
{
	opened(k, n);
	if (n->due >= k->measure_from && n->due < k->end) {
		load_stats_add(k->s, now - n->due);
		k->s->bytes += n->body;
	}
	if (k->c->mode == LOAD_NEW) {
		n->st = ST_WAIT_EOF;
		return;
	}
	flight_del(n);
	n->st = ST_READY;
	if (k->c->mode == LOAD_IDLE)
		return;
	n->next = k->ready;
	k->ready = n;
	if (k->back_n) {
		uint64_t due = k->backlog[k->back_head];
		k->back_head = (k->back_head + 1) % k->back_cap;
		k->back_n--;
		request_held(k, due);
	} else if (k->c->rate <= 0 && now < k->end) {
		request_held(k, now);
	}
}

/* Reads what is there. False: the connection is gone. */
static bool read_some(struct client *k, struct conn *n)
{
	for (;;) {
		if (n->st == ST_WAIT_HEAD) {
			ssize_t r = recv(n->fd, n->buf + n->head, sizeof(n->buf) - 1 - n->head, 0);
			if (r <= 0)
				return r < 0 && errno == EAGAIN;
			n->head += (uint32_t)r;
			n->buf[n->head] = 0;
			char *end = strstr(n->buf, "\r\n\r\n");
			if (!end) {
				if (n->head == sizeof(n->buf) - 1)
					return false;
				continue;
			}
			const char *cl = strcasestr(n->buf, "content-length:");
			uint64_t want = cl ? strtoull(cl + 15, NULL, 10) : 0;
			if (strncmp(n->buf, "HTTP/1.1 200", 12) != 0 || (k->c->any ? !cl || cl > end : want != k->c->bytes))
				return false;
			uint64_t got = n->head - (uint64_t)(end + 4 - n->buf);
			if (got > want)
				return false;
			n->body = want;
			n->body_left = want - got;
			n->st = ST_BODY;
		}
		while (n->st == ST_BODY && n->body_left) {
			/* Linux: MSG_TRUNC on TCP drops the bytes without copying them out. */
			ssize_t r = recv(n->fd, NULL, n->body_left, MSG_TRUNC);
			if (r <= 0)
				return r < 0 && errno == EAGAIN;
			n->body_left -= (uint64_t)r;
		}
		if (n->st == ST_BODY) {
			response_done(k, n, load_now_us());
			if (n->st != ST_WAIT_EOF)
				return true;
		}
		if (n->st == ST_WAIT_EOF) {
			char junk[16];
			ssize_t r = recv(n->fd, junk, sizeof(junk), 0);
			return r < 0 && errno == EAGAIN;
		}
		return true;
	}
}

static void on_event(struct client *k, struct conn *n, uint32_t ev)
{
	if (n->fd < 0)
		return;
	if (n->st == ST_CONNECTING) {
		if (ev & (EPOLLERR | EPOLLHUP)) {
			failed(k, n);
			return;
		}
		if (!(ev & EPOLLOUT))
			return;
		send_request(k, n);
		if (n->fd < 0 || !(ev & EPOLLIN))
			return;
	}
	if (!(ev & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		return;
	if (n->st == ST_READY) { /* closed by the other side while held */
		if (ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
			k->s->errors++;
			for (struct conn **p = &k->ready; *p; p = &(*p)->next)
				if (*p == n) {
					*p = n->next;
					break;
				}
			finish_conn(k, n);
		}
		return;
	}
	if (!read_some(k, n)) {
		bool restart = k->c->mode == LOAD_NEW && k->c->rate <= 0;
		if (n->st == ST_WAIT_EOF)
			finish_conn(k, n);
		else
			failed(k, n);
		uint64_t now = load_now_us();
		if (restart && now < k->end)
			open_conn(k, now);
	}
}

static void expire(struct client *k, uint64_t now)
{
	while (k->flight.all_next != &k->flight && now - k->flight.all_next->due > TIMEOUT_US && now > k->flight.all_next->due) {
		struct conn *n = k->flight.all_next;
		if (n->st != ST_WAIT_EOF)
			k->s->timeouts++;
		finish_conn(k, n);
	}
}

static uint64_t next_gap(struct client *k)
{
	return (uint64_t)(-log1p(-uniform(k)) * 1e6 / k->c->rate);
}

static int prepare(struct client *k, const struct load_conf *c, struct load_stats *s)
{
	struct rlimit rl;
	char path[24] = "";

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	*k = (struct client){ .c = c, .s = s, .rng = c->seed, .back_cap = 1u << 16 };
	k->flight.all_next = k->flight.all_prev = &k->flight;
	k->ep = epoll_create1(EPOLL_CLOEXEC);
	k->backlog = calloc(k->back_cap, sizeof(*k->backlog));
	if (k->ep < 0 || !k->backlog)
		return -ENOMEM;
	if (!c->any)
		snprintf(path, sizeof(path), "%llu", (unsigned long long)c->bytes);
	k->req_len = (uint32_t)snprintf(k->req, sizeof(k->req), "GET /%s HTTP/1.1\r\nHost: bench\r\n%s\r\n", path,
					c->mode == LOAD_NEW ? "Connection: close\r\n" : "");
	uint64_t start = load_now_us();

	k->measure_from = start + (uint64_t)(c->warmup * 1e6);
	k->end = k->measure_from + (uint64_t)(c->seconds * 1e6);
	k->due = c->rate > 0 ? start + next_gap(k) : UINT64_MAX;
	k->to_open = c->mode == LOAD_NEW && c->rate > 0 ? 0 : c->conns;
	if (c->mode == LOAD_IDLE && c->stop_fd >= 0) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };

		epoll_ctl(k->ep, EPOLL_CTL_ADD, c->stop_fd, &e);
	}
	return 0;
}

/* Held connections are opened a few at a time, so that no listen queue overflows, however slow the other side is. */
static void open_held(struct client *k, uint64_t now)
{
	for (uint32_t i = 0; i < 32 && k->to_open && k->open < k->c->conns && k->opening < MAX_OPENING; i++, k->to_open--)
		if (!open_conn(k, now))
			break;
}

static void request_due(struct client *k, uint64_t now)
{
	for (; k->due <= now && k->due < k->end; k->due += next_gap(k)) {
		if (now - k->due > 1000 && k->due >= k->measure_from)
			k->s->late++;
		if (k->c->mode == LOAD_NEW)
			open_conn(k, k->due);
		else
			request_held(k, k->due);
	}
}

/* Sleeps until something is due or happens, and handles what happened. */
static void wait_events(struct client *k)
{
	uint64_t now = load_now_us(), until = k->due < k->end ? k->due : now < k->end ? k->end : now + LINGER_LOOK_US;
	uint64_t wait = k->to_open && k->opening < MAX_OPENING ? 0 :
			k->c->mode == LOAD_IDLE                ? 100000 :
			until > now                            ? until - now :
								 0;
	struct timespec ts = { (time_t)(wait / 1000000), (long)(wait % 1000000) * 1000 };
	struct pollfd p = { .fd = k->ep, .events = POLLIN };
	struct epoll_event e[256];

	if (ppoll(&p, 1, &ts, NULL) <= 0)
		return;
	int n = epoll_wait(k->ep, e, 256, 0);

	for (int i = 0; i < n; i++) {
		if (e[i].data.ptr)
			on_event(k, e[i].data.ptr, e[i].events);
		else
			k->stopping = true;
	}
}

/* An open loop owes every request that was due an answer, however late: a run that stopped at its end would forget the slowest,
 * and all of them where the machine stood still. */
static bool goes_on(const struct client *k, uint64_t now)
{
	bool owed = k->due < k->end || k->back_n || k->flight.all_next != &k->flight;

	if (k->c->mode == LOAD_IDLE)
		return !k->stopping;
	return now < k->end || (k->c->rate > 0 && owed && now < k->end + TIMEOUT_US);
}

int load_run(const struct load_conf *c, struct load_stats *s, double *elapsed_s)
{
	struct client k;
	bool said = false;
	int rc = prepare(&k, c, s);
	uint64_t now;

	if (rc < 0)
		return rc;
	while (now = load_now_us(), goes_on(&k, now)) {
		open_held(&k, now);
		request_due(&k, now);
		if (c->mode != LOAD_IDLE) /* whoever holds connections waits for each of them */
			expire(&k, now);
		if (c->mode == LOAD_IDLE && !said && !k.to_open && k.flight.all_next == &k.flight) {
			said = true;
			printf("{\"held\":%u}\n", k.open);
			fflush(stdout);
		}
		wait_events(&k);
	}
	*elapsed_s = (double)((c->rate > 0 ? k.end : now) - k.measure_from) / 1e6;
	s->timeouts += k.back_n;
	close(k.ep); /* sockets go with the process */
	free(k.backlog);
	return 0;
}
