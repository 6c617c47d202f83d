/* SPDX-License-Identifier: Apache-2.0 */
/* The running data plane as a whole plan, and the other way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
		struct mlbd_server_more more = mlbd_server_more(v, &server->ep);

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

/* Twice: where VIPs lead to each other, the list that would close a loop with another VIP's old one must wait for the new one. */
static int set_servers(struct mlbd_host *h, struct mlbd_plan *p, char err[256])
{
	char why[256];
	int first = 0;

	for (int pass = 0; pass < 2; pass++) {
		first = 0;
		for (uint32_t i = 0; i < p->vips; i++) {
			struct mlbd_plan_vip *want = &p->vip[i];
			struct mlbd_vip *v = mlbd_vip_find(h, want->opts.conf.name, NULL);
			int rc;

			if (!v || mlbd_vip_owner(h, v) == MLB_OWNER_MANAGED)
				continue;
			rc = mlbd_server_set(h, v, want->server, want->servers, why);
			if (rc && !first) {
				first = rc;
				snprintf(err, 256, "%s", why);
			}
		}
		if (first != -ELOOP)
			break;
	}
	return first;
}

int mlbd_host_reconcile(struct mlbd_host *h, struct mlbd_plan *p, char err[256])
{
	char why[256];
	int rc, first = 0;

#define KEEP_FIRST() \
	do { \
		if (rc && !first) { \
			first = rc; \
			snprintf(err, 256, "%s", why); \
		} \
	} while (0)
	for (uint32_t i = 0; i < mlbd_setting_count; i++) {
		rc = mlbd_host_set(h, &mlbd_setting_list[i], &p->settings, why);
		KEEP_FIRST();
	}
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (h->vip[i].used && !mlbd_plan_find(p, h->vip[i].conf.name)) {
			rc = mlbd_vip_del(h, &h->vip[i], why);
			KEEP_FIRST();
		}
	for (uint32_t i = 0; i < p->vips; i++) {
		struct mlbd_plan_vip *want = &p->vip[i];
		struct mlbd_vip *v = mlbd_vip_find(h, want->opts.conf.name, NULL);
		struct mlbd_vip_opts opts = want->opts;

		opts.has_mode = opts.has_max_conns = opts.has_max_per_source = opts.has_responses = opts.has_other = true;
		opts.has_accept_proxy = opts.has_send_proxy = true;
		rc = v ? mlbd_vip_change(h, v, &opts, why) : mlbd_vip_add(h, &opts, NULL, 0, why);
		KEEP_FIRST();
	}
	rc = set_servers(h, p, why);
	KEEP_FIRST();
#undef KEEP_FIRST
	return first;
}
