/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <marllb/endpoint.h>
#include "spare.h"
#include "sys.h"
#include "transparent.h"

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
	wv->q[slot] = MLB_Q_TRIED;
	++*n;
	return true;
}

/* Those that were put out for the choice. */
static void include_again(struct mlbd_worker *w, struct mlb_wvip *wv, uint32_t n)
{
	while (n--)
		wv->q[w->excluded[n]] = w->excluded_q[n];
}

static uint32_t pick_eligible(struct mlbd_worker *w, struct mlbd_vip *vip, struct mlb_wvip *wv, uint64_t hash,
			      const uint16_t *tried, uint32_t tries, bool *full)
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
		mlb_dp_connect_result(w->host->dp, w->core, vip->id, slot, MLB_CONNECT_UNMADE, w->now_us, w->now_us);
		if (!exclude(w, wv, slot, &n)) { /* all are out, and then the core ignores the mark */
			slot = MLB_NONE;
			break;
		}
	}
	for (uint32_t i = 0; i < tries && slot != MLB_NONE; i++)
		if (tried[i] == slot) { /* all others are out, too */
			mlbd_connect_release(vip, slot);
			mlb_dp_connect_result(w->host->dp, w->core, vip->id, slot, MLB_CONNECT_UNMADE, w->now_us, w->now_us);
			slot = MLB_NONE;
		}
	include_again(w, wv, n);
	return slot;
}

/* For a flow whose connects all failed: the load balancer may reach whom health does not. */
static uint32_t last_resort(struct mlbd_worker *w, struct mlbd_vip *vip, struct mlb_wvip *wv, const uint16_t *tried,
			    uint32_t tries)
{
	uint32_t n = 0, slot;

	for (uint32_t i = 0; i < tries; i++)
		exclude(w, wv, tried[i], &n);
	do
		slot = mlb_dp_last_resort(w->host->dp, w->core, vip->id);
	while (slot != MLB_NONE && !take_place(&vip->slot[slot]) && exclude(w, wv, slot, &n));
	include_again(w, wv, n);
	return slot;
}

uint32_t mlbd_connect_pick(struct mlbd_worker *w, struct mlbd_vip *vip, struct mlb_wvip *wv, uint64_t hash, const uint16_t *tried,
			   uint32_t tries, bool *full)
{
	uint32_t slot = pick_eligible(w, vip, wv, hash, tried, tries, full);

	return slot == MLB_NONE && tries > 0 ? last_resort(w, vip, wv, tried, tries) : slot;
}

/* A connect to a port of this machine where nobody listens can meet itself, when the kernel chooses that very port for our end
 * (TCP's simultaneous open): the client would talk to itself. Only a server port that the kernel may choose is looked at. */
static bool met_itself(const struct mlbd_worker *w, int fd, const struct sockaddr_storage *server, socklen_t len, uint16_t port)
{
	struct sockaddr_storage own;
	socklen_t own_len = sizeof(own);

	if (port < w->self_from || port > w->self_to || getsockname(fd, (struct sockaddr *)&own, &own_len) < 0)
		return false;
	if (own.ss_family == AF_INET6 && server->ss_family == AF_INET6) /* flow label and scope do not count */
		return ((struct sockaddr_in6 *)&own)->sin6_port == htons(port) &&
		       memcmp(&((struct sockaddr_in6 *)&own)->sin6_addr, &((const struct sockaddr_in6 *)server)->sin6_addr, 16) ==
			       0;
	return own_len == len && memcmp(&own, server, len) == 0;
}

struct target {
	int type; /* SOCK_STREAM or SOCK_DGRAM */
	struct sockaddr_storage ss;
	socklen_t len;
	uint16_t port;
};

/* from: an address of this machine, or with `foreign` any; NULL: the kernel chooses. *source_failed: another source may do. */
static int connect_from(struct mlbd_worker *w, int *fd, const struct target *t, const struct mlb_addr *from, bool foreign,
			bool *source_failed)
{
	int one = 1;

	*source_failed = false;
	*fd = socket(t->ss.ss_family, t->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0 && (errno == EMFILE || errno == ENFILE) && t->type == SOCK_STREAM && mlbd_spare_lend(w, errno))
		*fd = socket(t->ss.ss_family, t->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	if (from) {
		struct sockaddr_storage ss;
		socklen_t len = mlb_addr_to_sockaddr(from, 0, &ss);

		/* The port is chosen at connect, so that one address reaches each server from every port. */
		setsockopt(*fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if ((foreign && mlbd_transparent(*fd, t->ss.ss_family) < 0) || bind(*fd, (struct sockaddr *)&ss, len) < 0) {
			*source_failed = true;
			return -errno;
		}
	}
	if (mlbd_connect(*fd, (const struct sockaddr *)&t->ss, t->len) < 0 && errno != EINPROGRESS) {
		*source_failed = errno == EADDRNOTAVAIL || errno == EADDRINUSE || errno == EINVAL;
		return -errno;
	}
	return met_itself(w, *fd, &t->ss, t->len, t->port) ? -ECONNREFUSED : 0;
}

/* Each source once, in turn, before the server is given up. */
static int connect_from_any(struct mlbd_worker *w, int *fd, const struct target *t)
{
	const struct mlbd_settings *s = &w->settings;
	bool failed, tried = false;
	int rc = 0;

	for (uint32_t i = 0; i < s->sources; i++) {
		const struct mlb_addr *from = &s->source[w->next_source++ % s->sources];
		char text[MLB_ENDPOINT_LEN];

		if (mlb_addr_is_v4(from) != (t->ss.ss_family == AF_INET))
			continue;
		tried = true;
		rc = connect_from(w, fd, t, from, false, &failed);
		if (!failed)
			return rc;
		mlbd_worker_complain(w, -rc, "cannot connect from source %s", mlb_addr_text(from, text));
		mlbd_close(*fd);
		*fd = -1;
	}
	return tried ? rc : connect_from(w, fd, t, NULL, false, &failed);
}

int mlbd_connect_socket(struct mlbd_worker *w, int type, const struct mlbd_vip *vip, const struct mlb_server *server,
			const struct mlb_addr *client, int *fd)
{
	struct target t = { .type = type, .port = server->ep.port ? server->ep.port : vip->conf.ep.port };
	bool failed;

	t.len = mlb_addr_to_sockaddr(&server->ep.addr, t.port, &t.ss);
	/* A server of the other address family cannot see the client's address. */
	if (w->settings.transparent && mlb_addr_is_v4(client) == (t.ss.ss_family == AF_INET))
		return connect_from(w, fd, &t, client, true, &failed);
	return connect_from_any(w, fd, &t);
}

bool mlbd_connect_error_is_local(int e)
{
	return e == EADDRNOTAVAIL || e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM || e == EACCES || e == EPERM ||
	       e == EADDRINUSE || e == EAGAIN;
}
