/* SPDX-License-Identifier: Apache-2.0 */
/* The running data plane as a plan: what its configuration would be. */
#include <errno.h>
#include <stdlib.h>

#include "host.h"

static int plan_of_vip(struct mlbd_host *h, struct mlbd_vip *v, struct mlbd_plan_vip *p)
{
	*p = (struct mlbd_plan_vip){ .opts = { .conf = v->conf,
					       .max_conns = MLB_LD(v->max_conns),
					       .max_per_source = MLB_LD(v->max_per_source),
					       .responses = MLB_LD(v->responses),
					       .send_proxy = MLB_LD(v->send_proxy) } };
	const struct mlbd_nets *nets = MLB_LD(v->accept_proxy);

	if (nets)
		p->opts.accept_proxy = *nets;
	p->opts.conf.owner = mlbd_vip_owner(h, v);
	p->server = calloc(v->conf.capacity, sizeof(*p->server));
	if (!p->server)
		return -ENOMEM;
	for (uint32_t s = 0; s < v->conf.capacity; s++) {
		const struct mlb_server *server = mlb_dp_server_at(h->dp, v->id, s);

		if (!server || !(server->flags & MLB_SRV_MEMBER))
			continue;
		struct mlbd_server_more more = mlbd_server_more_of(v, &server->ep);

		p->server[p->servers++] = (struct mlbd_server_conf){
			.ep = server->ep,
			.weight = server->weight_static,
			.max_conns = more.max_conns,
			.send_proxy = more.send_proxy,
			.drain = (server->flags & MLB_SRV_DRAINING) != 0,
		};
	}
	return 0;
}

int mlbd_host_plan(struct mlbd_host *h, struct mlbd_plan *p)
{
	mlbd_plan_init(p);
	p->settings = h->settings;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (h->vip[i].used && plan_of_vip(h, &h->vip[i], &p->vip[p->vips++])) {
			mlbd_plan_free(p);
			return -ENOMEM;
		}
	return 0;
}
