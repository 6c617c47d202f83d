/* SPDX-License-Identifier: Apache-2.0 */
/* A plan becomes what runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "workers.h"

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
	mlbd_workers_settings(h);
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (h->vip[i].used && !mlbd_plan_find(p, h->vip[i].conf.name)) {
			rc = mlbd_vip_del(h, &h->vip[i], why);
			KEEP_FIRST();
		}
	for (uint32_t i = 0; i < p->vips; i++) {
		struct mlbd_plan_vip *want = &p->vip[i];
		struct mlbd_vip *v = mlbd_vip_find(h, want->opts.conf.name, NULL);
		struct mlbd_vip_opts opts = want->opts;

		opts.has_mode = opts.has_protocol = opts.has_max_conns = opts.has_max_per_source = opts.has_responses =
			opts.has_other = true;
		opts.has_accept_proxy = opts.has_send_proxy = true;
		rc = v ? mlbd_vip_change(h, v, &opts, why) : mlbd_vip_add(h, &opts, NULL, 0, why);
		KEEP_FIRST();
	}
	rc = set_servers(h, p, why);
	KEEP_FIRST();
#undef KEEP_FIRST
	return first;
}
