/* SPDX-License-Identifier: Apache-2.0 */
/* UDP: an echo server, and a client that stamps each datagram with its send time and takes the time from the answer. The client's
 * flows share sockets, as many to a socket as there are source addresses: it sends and receives in batches, so that the load
 * balancer is what a closed loop waits for. */
#define _GNU_SOURCE
#include <errno.h>
#include <marllb/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "load.h"

#define BATCH 64
#define MOST 65507 /* bytes of a datagram */
#define LOST_US 1000000u

struct batch {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage peer[BATCH];
	char data[BATCH][2048];
};

static int receive(int fd, struct batch *b)
{
	for (int i = 0; i < BATCH; i++) {
		b->iov[i] = (struct iovec){ b->data[i], sizeof(b->data[i]) };
		b->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &b->peer[i], .msg_namelen = sizeof(b->peer[i]), .msg_iov = &b->iov[i], .msg_iovlen = 1
		};
	}
	return recvmmsg(fd, b->msg, BATCH, MSG_DONTWAIT, NULL);
}

int load_udp_serve(const struct sockaddr_storage *addr, socklen_t len, bool stop_with_stdin)
{
	static struct batch b;
	struct sockaddr_storage own;
	socklen_t own_len = sizeof(own);
	int fd = socket(addr->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), ep = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || ep < 0 || bind(fd, (const struct sockaddr *)addr, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &own_len) < 0)
		return -errno;
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.fd = fd });
	if (stop_with_stdin)
		epoll_ctl(ep, EPOLL_CTL_ADD, 0, &(struct epoll_event){ .events = EPOLLIN, .data.fd = 0 });
	printf("{\"ready\":true,\"port\":%u}\n", ntohs(((struct sockaddr_in *)&own)->sin_port));
	fflush(stdout);
	for (;;) {
		struct epoll_event ev[2];
		int n = epoll_wait(ep, ev, 2, -1);

		for (int i = 0; i < n; i++)
			if (ev[i].data.fd == 0) {
				char c;

				if (read(0, &c, 1) <= 0)
					return 0;
			} else {
				int got = receive(fd, &b);

				for (int k = 0; k < got; k++)
					b.iov[k].iov_len = b.msg[k].msg_len;
				if (got > 0)
					sendmmsg(fd, b.msg, (unsigned)got, MSG_DONTWAIT);
			}
	}
}

union source { /* an address as a control message */
	struct cmsghdr hdr;
	char buf[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void set_source(struct msghdr *m, union source *s, uint32_t addr)
{
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(addr) };

	memset(s, 0, sizeof(*s));
	s->hdr.cmsg_level = IPPROTO_IP;
	s->hdr.cmsg_type = IP_PKTINFO;
	s->hdr.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(&s->hdr), &info, sizeof(info));
	m->msg_control = s;
	m->msg_controllen = sizeof(*s);
}

/* The address that a datagram was sent to; 0: the kernel did not tell. */
static uint32_t source_of(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	struct in_pktinfo info = { 0 };

	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
		memcpy(&info, CMSG_DATA(c), sizeof(info));
	return ntohl(info.ipi_addr.s_addr);
}

/* A socket and the flows that share it, each by an address of its own; one flow: the socket is connected. */
struct port {
	int fd;
	uint32_t first; /* flow */
	uint32_t waiting;
	struct mmsghdr out[BATCH];
	struct iovec iov[BATCH][2]; /* stamp, body */
	uint64_t stamp[BATCH];
	union source source[BATCH];
};

struct run {
	const struct load_conf *c;
	struct load_stats *s;
	int ep;
	uint32_t flows, shared; /* shared: flows of a socket */
	uint32_t next;          /* open loop: flow that speaks next, modulo flows */
	struct port *port;
	uint64_t *sent_us; /* closed loop: when the flow's last datagram left */
	uint64_t from_us;  /* end of the warm-up */
	char body[MOST];
};

static void flush(struct run *r, struct port *p)
{
	for (uint32_t done = 0; done < p->waiting;) {
		int n = sendmmsg(p->fd, p->out + done, p->waiting - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0 && p->stamp[done] >= r->from_us)
			r->s->errors++;
		done += n > 0 ? (uint32_t)n : 1;
	}
	p->waiting = 0;
}

/* The flow's datagram goes with the next flush of its socket. */
static void say(struct run *r, uint32_t flow, uint64_t now)
{
	struct port *p = &r->port[flow / r->shared];
	uint64_t bytes = r->c->bytes < sizeof(now) ? sizeof(now) : r->c->bytes > MOST ? MOST : r->c->bytes;

	if (p->waiting == BATCH)
		flush(r, p);
	uint32_t i = p->waiting++;

	p->stamp[i] = now;
	p->iov[i][0] = (struct iovec){ &p->stamp[i], sizeof(now) };
	p->iov[i][1] = (struct iovec){ r->body, bytes - sizeof(now) };
	p->out[i].msg_hdr = (struct msghdr){ .msg_iov = p->iov[i], .msg_iovlen = 2 };
	if (r->shared > 1) {
		p->out[i].msg_hdr.msg_name = (void *)&r->c->addr;
		p->out[i].msg_hdr.msg_namelen = r->c->addr_len;
		set_source(&p->out[i].msg_hdr, &p->source[i], INADDR_LOOPBACK + flow % r->shared);
	}
	r->sent_us[flow] = now;
}

static void heard(struct run *r, uint32_t flow, uint64_t stamp, uint32_t bytes, uint64_t now)
{
	if (flow >= r->flows || bytes < sizeof(stamp))
		return;
	if (stamp >= r->from_us && stamp <= now) {
		load_stats_add(r->s, now - stamp);
		r->s->bytes += bytes;
	}
	if (r->c->rate == 0)
		say(r, flow, now);
}

/* Takes what waits at a socket, of each datagram the stamp alone. */
static void hear(struct run *r, struct port *p)
{
	static struct mmsghdr in[BATCH];
	static struct iovec iov[BATCH];
	static union source to[BATCH];
	uint64_t stamp[BATCH];
	int n;

	do {
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ &stamp[i], sizeof(stamp[i]) };
			in[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
			if (r->shared > 1) {
				in[i].msg_hdr.msg_control = &to[i];
				in[i].msg_hdr.msg_controllen = sizeof(to[i]);
			}
		}
		n = recvmmsg(p->fd, in, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
		uint64_t now = load_now_us();

		for (int i = 0; i < n; i++)
			heard(r, p->first + (r->shared > 1 ? source_of(&in[i].msg_hdr) - INADDR_LOOPBACK : 0), stamp[i],
			      in[i].msg_len, now);
		flush(r, p);
	} while (n == BATCH);
}

static int open_port(struct run *r, struct port *p)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int rc;

	p->fd = socket(r->c->addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return -errno;
	setsockopt(p->fd, IPPROTO_IP, IP_PKTINFO, &(int){ 1 }, sizeof(int));
	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 << 20 }, sizeof(int));
	rc = r->shared > 1 ? bind(p->fd, (struct sockaddr *)&any, sizeof(any)) :
			     connect(p->fd, (const struct sockaddr *)&r->c->addr, r->c->addr_len);
	if (rc < 0 || epoll_ctl(r->ep, EPOLL_CTL_ADD, p->fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = p }) < 0)
		return -errno;
	return 0;
}

static int open_all(struct run *r)
{
	uint32_t ports;

	r->flows = r->c->conns;
	r->shared = r->c->addr.ss_family == AF_INET && r->c->sources > 1 ? r->c->sources : 1;
	ports = (r->flows + r->shared - 1) / r->shared;
	r->ep = epoll_create1(EPOLL_CLOEXEC);
	r->port = calloc(ports, sizeof(*r->port));
	r->sent_us = calloc(r->flows, sizeof(*r->sent_us));
	if (r->ep < 0 || !r->port || !r->sent_us)
		return -ENOMEM;
	for (uint32_t i = 0; i < ports; i++) {
		int rc = open_port(r, &r->port[i]);

		if (rc < 0)
			return rc;
		r->port[i].first = i * r->shared;
	}
	return 0;
}

static void flush_all(struct run *r)
{
	for (uint32_t i = 0; i * r->shared < r->flows; i++)
		if (r->port[i].waiting)
			flush(r, &r->port[i]);
}

static void say_window(struct run *r, uint32_t flow, uint64_t now)
{
	for (uint32_t i = 0; i < r->c->window; i++)
		say(r, flow, now);
}

/* Closed loop: what a flow has in flight when it was not answered for a second is lost and sent again. */
static void again(struct run *r, uint64_t now)
{
	for (uint32_t i = 0; i < r->flows; i++)
		if (now - r->sent_us[i] > LOST_US) {
			r->s->timeouts += r->c->window;
			say_window(r, i, now);
		}
	flush_all(r);
}

/* Sends what is due of an open loop (Poisson); when the next is due. */
static double say_due(struct run *r, struct mlb_rng *rng, double due, uint64_t now)
{
	bool any = false;

	for (; due <= (double)now; due -= log(1 - mlb_rng_unit(rng)) * 1e6 / r->c->rate) {
		say(r, r->next++ % r->flows, now);
		any = true;
	}
	if (any)
		flush_all(r);
	return due;
}

static void loop(struct run *r, uint64_t end_us)
{
	struct mlb_rng rng;
	struct epoll_event ev[BATCH];
	uint64_t now = load_now_us(), look_us = now + LOST_US;
	double due = (double)now;

	mlb_rng_seed(&rng, r->c->seed);
	for (uint32_t i = 0; r->c->rate == 0 && i < r->flows; i++)
		say_window(r, i, now);
	flush_all(r);
	while ((now = load_now_us()) < end_us) {
		if (r->c->rate > 0)
			due = say_due(r, &rng, due, now);
		uint64_t left = r->c->rate > 0 ? (uint64_t)(due - (double)now) : 100000;
		struct timespec wait = { .tv_nsec = (long)(left < 100000 ? left : 100000) * 1000 };
		int n = epoll_pwait2(r->ep, ev, BATCH, &wait, NULL);

		for (int i = 0; i < n; i++)
			hear(r, ev[i].data.ptr);
		now = load_now_us();
		if (r->c->rate == 0 && now >= look_us) {
			look_us = now + LOST_US / 4;
			again(r, now);
		}
	}
}

int load_udp_run(const struct load_conf *c, struct load_stats *s, double *elapsed_s)
{
	static struct run r;
	uint64_t start = load_now_us();
	int rc;

	if (c->conns == 0)
		return -EINVAL;
	r.c = c;
	r.s = s;
	rc = open_all(&r);
	if (rc < 0)
		return rc;
	r.from_us = start + (uint64_t)(c->warmup * 1e6);
	loop(&r, r.from_us + (uint64_t)(c->seconds * 1e6));
	*elapsed_s = (double)(load_now_us() - r.from_us) / 1e6;
	return 0;
}
