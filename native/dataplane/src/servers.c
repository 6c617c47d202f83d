/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of the running data plane: the core keeps the lists, this adds what it does not know of them. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <marllb/endpoint.h>
#include "host.h"

struct mlbd_server_more mlbd_server_more_of(const struct mlbd_vip *v, const struct mlb_endpoint *ep)
{
	for (uint32_t i = 0; i < v->mores; i++)
		if (mlb_endpoint_eq(&v->more[i].ep, ep))
			return v->more[i];
	return (struct mlbd_server_more){ .ep = *ep };
}

const struct mlb_server *mlbd_server_find(struct mlbd_host *h, struct mlbd_vip *v, const struct mlb_endpoint *ep)
{
	for (uint32_t s = 0; s < v->conf.capacity; s++) {
		const struct mlb_server *server = mlb_dp_server_at(h->dp, v->id, s);

		if (server && (server->flags & MLB_SRV_MEMBER) && mlb_endpoint_eq(&server->ep, ep))
			return server;
	}
	return NULL;
}

void mlbd_server_tell(struct mlbd_vip *v, uint32_t slot, const struct mlbd_server_more *more)
{
	atomic_store_explicit(&v->slot[slot].max_conns, more->max_conns, memory_order_relaxed);
	atomic_store_explicit(&v->slot[slot].send_proxy, more->send_proxy, memory_order_relaxed);
}

static bool says_more(uint32_t max_conns, uint8_t send_proxy)
{
	return max_conns || send_proxy != MLBD_SEND_PROXY_VIP;
}

/* Nothing more forgets it. Called before the server is added, so that it holds for its first flow. */
static int set_more(struct mlbd_host *h, struct mlbd_vip *v, const struct mlbd_server_more *more, char err[256])
{
	const struct mlb_server *server = mlbd_server_find(h, v, &more->ep);
	bool any = says_more(more->max_conns, more->send_proxy);
	uint32_t i = 0;

	if (server)
		mlbd_server_tell(v, server->slot, more);
	while (i < v->mores && !mlb_endpoint_eq(&v->more[i].ep, &more->ep))
		i++;
	if (i < v->mores && !any) {
		v->more[i] = v->more[--v->mores];
	} else if (i < v->mores) {
		v->more[i] = *more;
	} else if (any) {
		struct mlbd_server_more *list = realloc(v->more, (v->mores + 1) * sizeof(*list));

		if (!list) {
			return mlbd_no_memory(err);
		}
		v->more = list;
		list[v->mores++] = *more;
	}
	return 0;
}

static void forget(struct mlbd_host *h, struct mlbd_vip *v, const struct mlb_endpoint *ep)
{
	char ignored[256];

	set_more(h, v, &(struct mlbd_server_more){ .ep = *ep }, ignored);
}

static void tell_all(struct mlbd_host *h, struct mlbd_vip *v)
{
	for (uint32_t s = 0; s < v->conf.capacity; s++) {
		const struct mlb_server *server = mlb_dp_server_at(h->dp, v->id, s);

		if (!server || !(server->flags & MLB_SRV_MEMBER))
			continue;
		struct mlbd_server_more more = mlbd_server_more_of(v, &server->ep);

		mlbd_server_tell(v, s, &more);
	}
}

int mlbd_server_put(struct mlbd_host *h, struct mlbd_vip *v, const struct mlbd_cmd *c, char err[256])
{
	const struct mlbd_server_conf *s = &c->server;
	const struct mlb_server *there = mlbd_server_find(h, v, &s->ep);
	struct mlbd_server_more more = mlbd_server_more_of(v, &s->ep);
	uint32_t id;
	int rc = 0;

	if (v->conf.ep.proto == IPPROTO_UDP && s->send_proxy > MLBD_SEND_PROXY_OFF) {
		snprintf(err, 256, "send-proxy: expected a vip with protocol tcp");
		return -EINVAL;
	}
	if (c->has_max_conns || !there)
		more.max_conns = s->max_conns;
	if (c->has_send_proxy || !there)
		more.send_proxy = s->send_proxy;
	if (c->has_max_conns || c->has_send_proxy || !there)
		rc = set_more(h, v, &more, err);
	if (rc == 0 && !there) {
		rc = mlb_dp_server_add(h->dp, v->id, &s->ep, s->weight, &id, err);
		if (rc)
			forget(h, v, &s->ep);
	} else if (rc == 0 && c->has_weight)
		rc = mlb_dp_server_weight(h->dp, v->id, &s->ep, s->weight, err);
	if (rc == 0 && s->drain)
		rc = mlb_dp_server_drain(h->dp, v->id, &s->ep, true, err);
	return rc;
}

int mlbd_server_del(struct mlbd_host *h, struct mlbd_vip *v, const struct mlb_endpoint *ep, char err[256])
{
	int rc = mlb_dp_server_del(h->dp, v->id, ep, err);

	if (rc == 0)
		forget(h, v, ep);
	return rc;
}

int mlbd_server_set(struct mlbd_host *h, struct mlbd_vip *v, const struct mlbd_server_conf *list, uint32_t n, char err[256])
{
	struct mlbd_server_more *more = calloc(n + 1, sizeof(*more)), *old = v->more;
	struct mlb_endpoint *ep = calloc(n + 1, sizeof(*ep));
	float *weight = calloc(n + 1, sizeof(*weight));
	uint32_t old_mores = v->mores;
	int rc = -ENOMEM;

	snprintf(err, 256, "no memory");
	if (!ep || !weight || !more)
		goto out;
	v->more = more; /* before the servers: it holds for the first flow of one */
	v->mores = 0;
	for (uint32_t i = 0; i < n; i++) {
		ep[i] = list[i].ep;
		weight[i] = list[i].weight;
		if (says_more(list[i].max_conns, list[i].send_proxy))
			more[v->mores++] = (struct mlbd_server_more){ list[i].ep, list[i].max_conns, list[i].send_proxy };
	}
	rc = mlb_dp_server_set(h->dp, v->id, ep, weight, n, err);
	if (rc) { /* the list is as it was */
		v->more = old;
		v->mores = old_mores;
		old = more;
	}
	more = old; /* the one that goes */
	tell_all(h, v);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		const struct mlb_server *server = mlbd_server_find(h, v, &ep[i]);

		if (server && !(server->flags & MLB_SRV_DRAINING) != !list[i].drain)
			rc = mlb_dp_server_drain(h->dp, v->id, &ep[i], list[i].drain, err);
	}
out:
	free(more);
	free(ep);
	free(weight);
	return rc;
}
