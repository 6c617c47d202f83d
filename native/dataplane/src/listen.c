/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "fds.h"
#include "listen.h"
#include "udp_io.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

static int fail(const struct mlb_endpoint *ep, int error, char err[256])
{
	char text[MLB_ENDPOINT_LEN], need[MLBD_FDS_NEED_LEN];

	mlb_endpoint_text(ep, text);
	if (error == EADDRINUSE)
		snprintf(err, 256, "%s: the port is in use by another process; stop it or give the vip another port", text);
	else if (error == EADDRNOTAVAIL)
		snprintf(err, 256, "%s: this machine does not have the address (freebind on listens all the same)", text);
	else if (error == EACCES)
		snprintf(err, 256, "%s: ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE", text);
	else
		snprintf(err, 256, "%s: cannot listen: %s", text, error == EMFILE ? mlbd_fds_need(need) : strerror(error));
	return -error;
}

static int open_one(const struct mlb_endpoint *ep, bool share, bool freebind)
{
	struct sockaddr_storage ss;
	socklen_t len = mlb_addr_to_sockaddr(&ep->addr, ep->port, &ss);
	bool udp = ep->proto == IPPROTO_UDP;
	int one = 1, fd = socket(ss.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!udp) /* of UDP it would let any process of this user share the port */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (share)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (freebind)
		setsockopt(fd, ss.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
			   ss.ss_family == AF_INET6 ? IPV6_FREEBIND : IP_FREEBIND, &one, sizeof(one));
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (udp) {
		mlbd_udp_socket(fd, ss.ss_family, mlb_addr_is_any(&ep->addr));
	} else {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* accepted sockets inherit both */
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	}
	if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

int mlbd_listen_try(const struct mlb_endpoint *ep, bool freebind, char err[256])
{
	int fd = open_one(ep, false, freebind);

	if (fd < 0)
		return fail(ep, -fd, err);
	close(fd);
	return 0;
}

int mlbd_listen(struct mlb_endpoint *ep, uint32_t n, int backlog, bool freebind, int *fd, char err[256])
{
	uint32_t opened = 0;
	int rc;

	/* SO_REUSEPORT would share the port with any other process of this user: one bind without it finds that out. */
	if (ep->port && (rc = mlbd_listen_try(ep, freebind, err)))
		return rc;
	for (; opened < n; opened++) {
		rc = open_one(ep, true, freebind);
		if (rc < 0)
			goto fail;
		fd[opened] = rc;
		if (!ep->port) {
			struct sockaddr_storage ss;
			struct mlb_endpoint bound;
			socklen_t len = sizeof(ss);

			getsockname(rc, (struct sockaddr *)&ss, &len);
			mlb_endpoint_from_sockaddr(&ss, &bound);
			ep->port = bound.port;
		}
	}
	/* Only when all are bound: from here on clients come. */
	for (uint32_t i = 0; i < n && ep->proto != IPPROTO_UDP; i++)
		if (listen(fd[i], backlog) < 0) {
			rc = -errno;
			goto fail;
		}
	return 0;
fail:
	while (opened)
		close(fd[--opened]);
	return fail(ep, -rc, err);
}

/* The filter of a listener sees every segment from its TCP header on, those of handshakes under way too. */
int mlbd_listen_refuse_new(const int *fd, uint32_t n)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* flags */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	for (uint32_t i = 0; i < n; i++)
		if (setsockopt(fd[i], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
			return -errno;
	return 0;
}

int mlbd_listen_let_in(const int *fd, uint32_t n)
{
	int none = 0;

	for (uint32_t i = 0; i < n; i++)
		if (setsockopt(fd[i], SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)) < 0 && errno != ENOENT)
			return -errno;
	return 0;
}
