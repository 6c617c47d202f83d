/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "spare.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

/* What places a client in mode hash: the same at every load balancer. */
uint64_t mlbd_connect_hash(const struct mlb_endpoint *client, const struct mlb_endpoint *vip)
{
	uint64_t x[2], h = ((uint64_t)client->port << 16) | vip->port;

	memcpy(x, client->addr.b, 16);
	h ^= x[0];
	h = mlb_splitmix64(&h) ^ x[1];
	return mlb_splitmix64(&h);
}

void mlbd_connect_release(struct mlbd_vip *vip, uint32_t slot)
{
	atomic_fetch_sub_explicit(&vip->slot[slot].conns, 1, memory_order_relaxed);
}

static bool take_place(struct mlbd_slot *s)
{
	uint32_t max = atomic_load_explicit(&s->max_conns, memory_order_relaxed);

	uint32_t previous = atomic_load_explicit(&s->previous, memory_order_relaxed);

	if (atomic_fetch_add_explicit(&s->conns, 1, memory_order_relaxed) + previous < max || max == 0)
		return true;
	atomic_fetch_sub_explicit(&s->conns, 1, memory_order_relaxed);
	return false;
}

/* Puts a slot out for the choice in hand; false: it is out already. */
static bool exclude(struct mlbd_worker *w, struct mlb_wvip *wv, uint32_t slot, uint32_t *n)
{
	for (uint32_t i = 0; i < *n; i++)
		if (w->excluded[i] == slot)
			return false;
	w->excluded[*n] = slot;
	w->excluded_q[*n] = wv->q[slot];
	wv->q[slot] = MLB_Q_OUT;
	++*n;
	return true;
}

uint32_t mlbd_connect_pick(struct mlbd_worker *w, struct mlbd_vip *vip, struct mlb_wvip *wv, uint64_t hash, const uint16_t *tried,
			   uint32_t tries, bool *full)
{
	uint32_t n = 0, slot = MLB_NONE;

	*full = false;
	for (uint32_t i = 0; i < tries; i++)
		exclude(w, wv, tried[i], &n);
	for (;;) {
		slot = mlb_dp_choose(w->host->dp, w->core, vip->id, hash, w->now_us);
		if (slot == MLB_NONE || take_place(&vip->slot[slot]))
			break;
		*full = true;
		if (!exclude(w, wv, slot, &n)) { /* all are out, and then the core ignores the mark */
			slot = MLB_NONE;
			break;
		}
	}
	for (uint32_t i = 0; i < tries && slot != MLB_NONE; i++)
		if (tried[i] == slot) {
			mlbd_connect_release(vip, slot);
			slot = MLB_NONE;
		}
	while (n--)
		wv->q[w->excluded[n]] = w->excluded_q[n];
	return slot;
}

static int bind_source(struct mlbd_worker *w, int fd, int family)
{
	const struct mlbd_settings *s = &w->settings;

	for (uint32_t i = 0; i < s->sources; i++) {
		const struct mlb_addr *a = &s->source[w->next_source++ % s->sources];
		struct sockaddr_storage ss;
		int one = 1;

		if (mlb_addr_is_v4(a) != (family == AF_INET))
			continue;
		/* The port is chosen at connect, so that one address reaches each server from every port. */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		socklen_t len = mlb_addr_to_sockaddr(a, 0, &ss);

		return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
	}
	return 0;
}

int mlbd_connect_socket(struct mlbd_worker *w, int type, const struct mlbd_vip *vip, const struct mlb_server *server, int *fd)
{
	struct sockaddr_storage ss;
	socklen_t len = mlb_addr_to_sockaddr(&server->ep.addr, server->ep.port ? server->ep.port : vip->conf.ep.port, &ss);
	int rc;

	*fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0 && (errno == EMFILE || errno == ENFILE) && type == SOCK_STREAM && mlbd_spare_lend(w, errno))
		*fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	if (w->settings.sources && (rc = bind_source(w, *fd, ss.ss_family)) < 0)
		return rc;
	if (connect(*fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

bool mlbd_connect_error_is_local(int e)
{
	return e == EADDRNOTAVAIL || e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM || e == EACCES || e == EPERM ||
	       e == EADDRINUSE || e == EAGAIN;
}
