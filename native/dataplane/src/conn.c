/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct mlbd_conn *mlbd_conn_get(struct mlbd_worker *w)
{
	if (mlbd_link_empty(&w->free_conns)) {
		struct mlbd_slab *slab = calloc(1, sizeof(*slab) + MLBD_SLAB_CONNS * sizeof(struct mlbd_conn));

		if (!slab)
			return NULL;
		slab->next = w->slabs;
		w->slabs = slab;
		for (uint32_t i = 0; i < MLBD_SLAB_CONNS; i++)
			mlbd_link_add(&w->free_conns, &slab->conn[i].link);
	}
	struct mlbd_conn *c = (struct mlbd_conn *)w->free_conns.next;

	mlbd_link_del(&c->link);
	memset(c, 0, sizeof(*c));
	mlbd_link_init(&c->link);
	MLB_ADD(w->conns, 1);
	return c;
}

/* All that was written to the side's socket has been acknowledged. */
static bool has_gone(const struct mlbd_side *side)
{
	int left;

	return ioctl(side->fd, SIOCOUTQ, &left) == 0 && left == 0;
}

bool mlbd_conn_in_order(const struct mlbd_conn *c)
{
	const struct mlbd_side *client = &c->side[MLBD_CLIENT], *server = &c->side[MLBD_SERVER];

	if (client->queue || server->queue)
		return false;
	if (server->fin_sent)
		return true;
	return !client->fin_sent && server->passed && !c->wait_us && has_gone(client) && has_gone(server);
}

void mlbd_conn_put(struct mlbd_worker *w, struct mlbd_conn *c)
{
	c->state = MLBD_CONN_DEAD;
	mlbd_link_del(&c->link);
	mlbd_link_add(&w->dead, &c->link);
	MLB_ADD(w->conns, -1u);
}

void mlbd_conn_reap(struct mlbd_worker *w)
{
	for (struct mlbd_link *l = w->dead.next, *next; l != &w->dead; l = next) {
		struct mlbd_conn *c = (struct mlbd_conn *)l;

		next = l->next;
		if (c->again) /* named in w->again until its next pass */
			continue;
		mlbd_link_del(l);
		c->state = MLBD_CONN_FREE;
		/* At the front: what was used last is still in the cache. */
		mlbd_link_add(w->free_conns.next, l);
	}
}

bool mlbd_conn_again(struct mlbd_worker *w, struct mlbd_conn *c)
{
	if (c->again)
		return true;
	if (w->agains == w->again_cap) {
		uint32_t cap = w->again_cap ? 2 * w->again_cap : 64;
		struct mlbd_conn **more = realloc(w->again, cap * sizeof(*more));

		if (!more)
			return false;
		w->again = more;
		w->again_cap = cap;
	}
	w->again[w->agains++] = c;
	c->again = true;
	return true;
}

void mlbd_conn_each(struct mlbd_worker *w, void (*fn)(void *arg, struct mlbd_conn *), void *arg)
{
	for (struct mlbd_slab *slab = w->slabs; slab; slab = slab->next)
		for (uint32_t i = 0; i < MLBD_SLAB_CONNS; i++)
			if (slab->conn[i].state != MLBD_CONN_FREE && slab->conn[i].state != MLBD_CONN_DEAD)
				fn(arg, &slab->conn[i]);
}

void mlbd_conn_free_all(struct mlbd_worker *w)
{
	for (struct mlbd_slab *slab = w->slabs, *next; slab; slab = next) {
		next = slab->next;
		free(slab);
	}
	w->slabs = NULL;
	mlbd_link_init(&w->free_conns);
	mlbd_link_init(&w->dead);
}
