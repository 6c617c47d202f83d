/* SPDX-License-Identifier: Apache-2.0 */
#include "recount.h"

#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "udp.h"

static struct mlbd_recount *of(struct mlbd_worker *w, uint32_t vip)
{
	struct mlbd_recount *r = MLB_LD(w->recount[vip]);

	if (!r && (r = calloc(1, sizeof(*r))))
		atomic_store_explicit(&w->recount[vip], r, memory_order_release);
	return r;
}

static void count_one(void *arg, struct mlbd_conn *c)
{
	struct mlbd_recount *r = of(arg, c->vip->id - 1);

	if (r && c->server_id)
		r->found[c->slot]++;
}

static void count_udp(void *arg, struct mlbd_udp_flow *f)
{
	struct mlbd_recount *r = of(arg, f->vip->id - 1);

	if (r && f->server_id)
		r->found[f->slot]++;
}

void mlbd_recount_worker(struct mlbd_worker *w)
{
	for (uint32_t v = 0; v < MLB_MAX_VIPS; v++) {
		struct mlbd_recount *r = atomic_load_explicit(&w->core->vip[v], memory_order_acquire) ? of(w, v) : NULL;

		if (r)
			memset(r->found, 0, sizeof(r->found));
	}
	mlbd_conn_each(w, count_one, w);
	mlbd_udp_each(w, count_udp, w);
	for (uint32_t v = 0; v < MLB_MAX_VIPS; v++) {
		struct mlb_wvip *wv = atomic_load_explicit(&w->core->vip[v], memory_order_acquire);
		struct mlbd_recount *r = MLB_LD(w->recount[v]);

		if (!wv || !r)
			continue;
		for (uint32_t s = 0; s < wv->capacity; s++) {
			uint32_t counted = mlb_wvip_flows(wv, s), found = r->found[s];

			if (counted || found || MLB_LD(r->diff[s]))
				MLB_ST(r->diff[s], counted > found ? counted - found : found - counted);
		}
	}
}

void mlbd_recount_ask(struct mlbd_host *h)
{
	for (uint32_t i = 0; i < h->threads; i++) {
		struct mlbd_mail *m = calloc(1, sizeof(*m));

		if (!m)
			return; /* a second later, then */
		m->kind = MLBD_MAIL_RECOUNT;
		mlbd_worker_post(&h->worker[i], m);
	}
}

void mlbd_recount_hook(void *arg, uint32_t vip_id, uint32_t *diff, uint32_t n)
{
	struct mlbd_host *h = arg;

	for (uint32_t i = 0; i < h->threads; i++) {
		struct mlbd_recount *r = atomic_load_explicit(&h->worker[i].recount[vip_id - 1], memory_order_acquire);

		for (uint32_t s = 0; r && s < n; s++)
			diff[s] += MLB_LD(r->diff[s]);
	}
}
