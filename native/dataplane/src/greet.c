/* SPDX-License-Identifier: Apache-2.0 */
#include "greet.h"

#include <errno.h>
#include <sys/socket.h>

#include <marllb/endpoint.h>

bool mlbd_greet_expected(const struct mlbd_vip *vip, const struct mlb_addr *peer)
{
	const struct mlbd_nets *nets = atomic_load_explicit(&vip->accept_proxy, memory_order_acquire);

	return nets && mlbd_nets_have(nets, peer);
}

/* The header is looked at, not taken, until it is whole: a connection needs no buffer for a part of one. */
enum mlbd_greeting mlbd_greet_read(struct mlbd_conn *c, struct mlb_endpoint *client)
{
	struct mlbd_proxy_header h;
	int fd = c->side[MLBD_CLIENT].fd;
	uint8_t data[MLBD_PROXY_MOST];
	ssize_t n;
	int len;

	do
		n = recv(fd, data, sizeof(data), MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return MLBD_GREET_MORE;
	if (n <= 0)
		return MLBD_GREET_GONE;
	len = mlbd_proxy_parse(data, (size_t)n, &h);
	if (len <= 0)
		return len < 0 ? MLBD_GREET_BAD : MLBD_GREET_MORE;
	if (recv(fd, data, (size_t)len, 0) != len)
		return MLBD_GREET_GONE;
	*client = (struct mlb_endpoint){ .addr = c->client, .port = c->client_port };
	if (h.has_addresses) {
		*client = h.source;
		c->proxied = true;
		c->local = h.destination.addr;
		c->local_port = h.destination.port;
	}
	return MLBD_GREET_DONE;
}

void mlbd_greet_refused(struct mlbd_worker *w, struct mlbd_conn *c, const char *what)
{
	struct mlb_endpoint peer = { .addr = c->client, .port = c->client_port };
	char text[MLB_ENDPOINT_LEN];

	atomic_fetch_add_explicit(&c->vip->bad_proxy_headers, 1, memory_order_relaxed);
	mlbd_worker_complain(w, 0, "vip %s: expected a PROXY header from %s, found %s", c->vip->conf.name,
			     mlb_endpoint_text(&peer, text), what);
}

/* The address that the client connected to. */
static struct mlb_endpoint destination(const struct mlbd_conn *c)
{
	struct mlb_endpoint ep = c->vip->conf.ep;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (c->proxied)
		return (struct mlb_endpoint){ .addr = c->local, .port = c->local_port };
	if (mlb_addr_is_any(&ep.addr) && getsockname(c->side[MLBD_CLIENT].fd, (struct sockaddr *)&ss, &len) == 0)
		mlb_endpoint_from_sockaddr(&ss, &ep);
	return ep;
}

uint32_t mlbd_greet_write(const struct mlbd_conn *c, uint8_t head[MLBD_PROXY_WRITE_MOST])
{
	uint8_t how = atomic_load_explicit(&c->vip->slot[c->slot].send_proxy, memory_order_relaxed);
	struct mlb_endpoint from, to;

	if (how == MLBD_SEND_PROXY_VIP)
		how = atomic_load_explicit(&c->vip->send_proxy, memory_order_relaxed);
	if (how != MLBD_SEND_PROXY_V1 && how != MLBD_SEND_PROXY_V2)
		return 0;
	from = (struct mlb_endpoint){ .addr = c->client, .port = c->client_port };
	to = destination(c);
	return mlbd_proxy_write(head, how == MLBD_SEND_PROXY_V1 ? 1 : 2, &from, &to);
}
