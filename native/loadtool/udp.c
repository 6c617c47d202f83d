/* SPDX-License-Identifier: Apache-2.0 */
/* UDP: an echo server, and a client that stamps each datagram with its send time and takes the time from the answer. */
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

struct run {
	const struct load_conf *c;
	struct load_stats *s;
	int ep, *fd;
	uint64_t *sent_us; /* closed loop: when the datagram in flight left; 0: none is */
	uint64_t from_us;  /* end of the warm-up */
	char out[MOST];
};

static void say(struct run *r, uint32_t i, uint64_t now)
{
	size_t n = r->c->bytes < sizeof(now) ? sizeof(now) : r->c->bytes > MOST ? MOST : r->c->bytes;

	memcpy(r->out, &now, sizeof(now));
	if (send(r->fd[i], r->out, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && now >= r->from_us)
		r->s->errors++;
	r->sent_us[i] = now;
}

static void hear(struct run *r, uint32_t i, uint64_t now)
{
	char in[MOST];
	uint64_t stamp;
	ssize_t n;

	while ((n = recv(r->fd[i], in, sizeof(in), MSG_DONTWAIT)) >= (ssize_t)sizeof(stamp)) {
		memcpy(&stamp, in, sizeof(stamp));
		if (stamp >= r->from_us && stamp <= now) {
			load_stats_add(r->s, now - stamp);
			r->s->bytes += (uint64_t)n;
		}
		r->sent_us[i] = 0;
		if (r->c->rate == 0)
			say(r, i, load_now_us());
	}
}

static int open_all(struct run *r)
{
	for (uint32_t i = 0; i < r->c->conns; i++) {
		r->fd[i] = socket(r->c->addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (r->fd[i] < 0 || connect(r->fd[i], (const struct sockaddr *)&r->c->addr, r->c->addr_len) < 0)
			return -errno;
		epoll_ctl(r->ep, EPOLL_CTL_ADD, r->fd[i], &(struct epoll_event){ .events = EPOLLIN, .data.u32 = i });
	}
	return 0;
}

/* Closed loop: what was not answered for a second is lost and sent again. */
static void again(struct run *r, uint64_t now)
{
	for (uint32_t i = 0; i < r->c->conns; i++)
		if (r->sent_us[i] && now - r->sent_us[i] > LOST_US) {
			r->s->timeouts++;
			say(r, i, now);
		}
}

static void loop(struct run *r, uint64_t end_us)
{
	struct mlb_rng rng;
	struct epoll_event ev[BATCH];
	uint64_t now = load_now_us(), look_us = now + LOST_US;
	double due = (double)now;
	uint32_t next = 0;

	mlb_rng_seed(&rng, r->c->seed);
	for (uint32_t i = 0; r->c->rate == 0 && i < r->c->conns; i++)
		say(r, i, now);
	while ((now = load_now_us()) < end_us) {
		for (; r->c->rate > 0 && due <= (double)now; due -= log(1 - mlb_rng_unit(&rng)) * 1e6 / r->c->rate)
			say(r, next++ % r->c->conns, now);
		uint64_t left = r->c->rate > 0 ? (uint64_t)(due - (double)now) : 100000;
		struct timespec wait = { .tv_nsec = (long)(left < 100000 ? left : 100000) * 1000 };
		int n = epoll_pwait2(r->ep, ev, BATCH, &wait, NULL);

		now = load_now_us();
		for (int i = 0; i < n; i++)
			hear(r, ev[i].data.u32, now);
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

	r.c = c;
	r.s = s;
	r.ep = epoll_create1(EPOLL_CLOEXEC);
	r.fd = calloc(c->conns + 1, sizeof(*r.fd));
	r.sent_us = calloc(c->conns + 1, sizeof(*r.sent_us));
	if (!r.fd || !r.sent_us)
		return -ENOMEM;
	if (c->conns == 0)
		return -EINVAL;
	rc = open_all(&r);
	if (rc < 0)
		return rc;
	r.from_us = start + (uint64_t)(c->warmup * 1e6);
	loop(&r, r.from_us + (uint64_t)(c->seconds * 1e6));
	*elapsed_s = (double)(load_now_us() - r.from_us) / 1e6;
	return 0;
}
