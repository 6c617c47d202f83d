/* SPDX-License-Identifier: Apache-2.0 */
#include "listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "listen.h"

/* What another process sent is a listening TCP socket, or a UDP socket, as ours are; its address. */
static int look_at(int fd, struct mlb_endpoint *bound)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss), size = sizeof(int);
	int listening = 0, protocol = 0, flags = fcntl(fd, F_GETFL);
	bool udp;

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0 || (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP))
		return -ENOTSOCK;
	udp = protocol == IPPROTO_UDP;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || listening == udp ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -ENOTSOCK;
	mlb_endpoint_from_sockaddr(&ss, bound);
	if (udp)
		bound->proto = IPPROTO_UDP;
	/* A worker must never block in accept. */
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int mlbd_listeners_add(struct mlbd_listeners *l, const char *vip, const struct mlb_endpoint *ep, const int *fd, uint32_t fds,
		       char err[256])
{
	struct mlb_endpoint first, bound;
	char text[MLB_ENDPOINT_LEN];
	bool udp = ep && ep->proto == IPPROTO_UDP;
	int *copy, rc = l->n == MLB_MAX_VIPS ? -EPROTO : 0;

	if (fds == 0) /* a VIP that no longer listens */
		return 0;

	for (uint32_t i = 0; i < fds && rc == 0; i++) {
		rc = look_at(fd[i], &bound);
		if (rc == 0 && i == 0)
			first = bound;
		if (rc == 0 && ep && udp != (bound.proto == IPPROTO_UDP))
			rc = -ENOTSOCK;
		else if (rc == 0 && (!mlb_endpoint_eq(&bound, ep ? ep : &first) || bound.proto != first.proto))
			rc = -EADDRNOTAVAIL;
	}
	if (rc) {
		snprintf(err, 256, "what came for vip %s is no listening socket of %s: %s", vip,
			 ep ? mlb_endpoint_text(ep, text) : "one address", strerror(-rc));
		return -EPROTO;
	}
	copy = malloc(fds * sizeof(*copy));
	if (!copy) {
		snprintf(err, 256, "no memory for the listeners of vip %s", vip);
		return -ENOMEM;
	}
	memcpy(copy, fd, fds * sizeof(*copy));
	snprintf(l->of[l->n].vip, sizeof(l->of[l->n].vip), "%s", vip);
	l->of[l->n].ep = first;
	l->of[l->n].fd = copy;
	l->of[l->n++].fds = fds;
	return 0;
}

uint32_t mlbd_listeners_claim(struct mlbd_listeners *l, struct mlbd_vip_opts *o, int **fd)
{
	bool udp = o->conf.ep.proto == IPPROTO_UDP;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct mlb_endpoint *ep = &l->of[i].ep;
		uint32_t n = l->of[i].fds;

		if (!n || (ep->proto == IPPROTO_UDP) != udp || memcmp(&ep->addr, &o->conf.ep.addr, sizeof(ep->addr)))
			continue;
		/* Port 0 means: what the VIP of this name got. */
		if (o->conf.ep.port ? o->conf.ep.port != ep->port : strcmp(l->of[i].vip, o->conf.name) != 0)
			continue;
		/* Who died while the VIP was being removed left its listeners closed to new clients. */
		if (!udp && mlbd_listen_let_in(l->of[i].fd, n) < 0)
			continue;
		o->conf.ep.port = ep->port;
		*fd = l->of[i].fd;
		l->of[i].fd = NULL;
		l->of[i].fds = 0;
		return n;
	}
	return 0;
}

void mlbd_listeners_free(struct mlbd_listeners *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		while (l->of[i].fds)
			close(l->of[i].fd[--l->of[i].fds]);
		free(l->of[i].fd);
	}
	l->n = 0;
}
