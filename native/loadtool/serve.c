/* SPDX-License-Identifier: Apache-2.0 */
/* Origin server: one thread, epoll, one connection struct, bodies from one static buffer. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "load.h"
#include "proxy_header.h"

struct conn {
	int fd;
	bool close_after, want_write;
	bool want_header;   /* a PROXY header comes first */
	uint32_t have;      /* bytes of an incomplete request kept in req */
	uint64_t body_left; /* of the answer under way */
	char head[160];
	uint32_t head_len, head_sent;
	char req[LOAD_REQ_MAX];
};

static char body[256 * 1024];

static void drop(int ep, struct conn *c)
{
	epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
	free(c);
}

/* Sends what is due. 1: all sent, 0: blocked, <0: gone. */
static int flush_conn(struct conn *c)
{
	while (c->head_sent < c->head_len || c->body_left) {
		struct iovec v[2] = { { c->head + c->head_sent, c->head_len - c->head_sent },
				      { body, c->body_left < sizeof(body) ? c->body_left : sizeof(body) } };
		struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
		ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		uint32_t h = c->head_len - c->head_sent;
		uint32_t took = (size_t)n < h ? (uint32_t)n : h;
		c->head_sent += took;
		c->body_left -= (uint64_t)n - took;
	}
	return 1;
}

/* A whole request is in req[0..have): starts its answer. */
static int answer(struct conn *c)
{
	c->req[c->have] = 0;
	uint64_t bytes = strtoull(c->req + sizeof("GET /") - 1, NULL, 10);
	c->close_after = strstr(c->req, "Connection: close") != NULL;
	c->head_len = (uint32_t)snprintf(c->head, sizeof(c->head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n%s\r\n",
					 (unsigned long long)bytes, c->close_after ? "Connection: close\r\n" : "");
	c->head_sent = 0;
	c->body_left = bytes;
	c->have = 0;
	return flush_conn(c);
}

/* Takes the PROXY header off the front; false: there is none. An incomplete one stays. */
static bool take_header(struct conn *c)
{
	struct mlbd_proxy_header h;
	int len = mlbd_proxy_parse((const uint8_t *)c->req, c->have, &h);

	if (len <= 0)
		return len == 0;
	c->have -= (uint32_t)len;
	memmove(c->req, c->req + len, c->have);
	c->want_header = false;
	return true;
}

static void on_ready(int ep, struct conn *c, uint32_t events)
{
	if (c->head_sent < c->head_len || c->body_left) {
		int r = flush_conn(c);
		if (r < 0 || (r == 1 && c->close_after)) {
			drop(ep, c);
			return;
		}
		if (r == 0)
			return;
	}
	for (;;) {
		ssize_t n = recv(c->fd, c->req + c->have, LOAD_REQ_MAX - 1 - c->have, 0);
		if (n <= 0) {
			if (n == 0 || errno != EAGAIN)
				drop(ep, c);
			return;
		}
		c->have += (uint32_t)n;
		if (c->want_header && !take_header(c)) {
			drop(ep, c);
			return;
		}
		if (c->have < 4 || memcmp(c->req + c->have - 4, "\r\n\r\n", 4) != 0) {
			if (c->have == LOAD_REQ_MAX - 1) {
				drop(ep, c);
				return;
			}
			continue;
		}
		int r = answer(c);
		if (r < 0 || (r == 1 && c->close_after)) {
			drop(ep, c);
			return;
		}
		/* Edge-triggered: a short read means that nothing more is there. */
		if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
			return;
		if (r == 0)
			return;
	}
}

int load_serve(const struct sockaddr_storage *addr, socklen_t len, bool stop_with_stdin, bool accept_proxy)
{
	struct rlimit rl;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	int l = load_nonblocking_tcp(addr->ss_family);
	if (l < 0)
		return l;
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	struct sockaddr_storage got;
	socklen_t got_len = sizeof(got);
	if (bind(l, (const struct sockaddr *)addr, len) || listen(l, 4096) || getsockname(l, (struct sockaddr *)&got, &got_len)) {
		int e = errno;
		close(l);
		return -e;
	}
	uint16_t port = ntohs(got.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&got)->sin6_port :
							  ((struct sockaddr_in *)&got)->sin_port);
	printf("{\"ready\":true,\"port\":%u}\n", port);
	fflush(stdout);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev);
	int in_mark;
	if (stop_with_stdin) {
		ev.data.ptr = &in_mark;
		epoll_ctl(ep, EPOLL_CTL_ADD, 0, &ev);
	}
	for (;;) {
		struct epoll_event e[256];
		int n = epoll_wait(ep, e, 256, -1);
		for (int i = 0; i < n; i++) {
			if (e[i].data.ptr == &in_mark) {
				char junk[64];
				if (read(0, junk, sizeof(junk)) <= 0)
					return 0;
				continue;
			}
			if (e[i].data.ptr) {
				on_ready(ep, e[i].data.ptr, e[i].events);
				continue;
			}
			for (int k = 0; k < 64; k++) {
				int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
				if (fd < 0)
					break;
				struct conn *c = calloc(1, sizeof(*c));
				if (!c) {
					close(fd);
					continue;
				}
				c->fd = fd;
				c->want_header = accept_proxy;
				struct epoll_event a = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &a);
			}
		}
	}
}
