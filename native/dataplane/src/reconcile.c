/* SPDX-License-Identifier: Apache-2.0 */
/* A plan becomes what runs: nothing changes where it is known beforehand that something cannot be. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "listen.h"
#include "parted.h"
#include "workers.h"

/* What could not be, one after the other. */
struct problems {
	char *text; /* [size] */
	size_t size;
	uint32_t untold; /* those that found no room in text */
	int first;
};

static void problem(struct problems *p, int rc, const char *why)
{
	size_t used = strlen(p->text);

	if (rc == 0)
		return;
	if (used + strlen(why) + 32 > p->size)
		p->untold++;
	else
		snprintf(p->text + used, p->size - used, "%s%s", p->first ? "; " : "", why);
	if (!p->first)
		p->first = rc;
}

/* The options of a VIP as a file names them: all, also those left to their defaults. */
static struct mlbd_vip_opts all_options(const struct mlbd_plan_vip *v)
{
	struct mlbd_vip_opts o = v->opts;

	o.has_mode = o.has_protocol = o.has_max_conns = o.has_max_per_source = o.has_responses = o.has_other = true;
	o.has_accept_proxy = o.has_send_proxy = true;
	return o;
}

/* Whether a VIP that is to come finds its address free; one that goes leaves it its sockets. */
static int may_come(struct mlbd_host *h, const struct mlbd_plan_vip *want, char why[256])
{
	struct mlb_endpoint ep = want->opts.conf.ep;

	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (mlbd_vip_holds(&h->vip[i], &ep))
			return 0;
	return mlbd_listen_try(&ep, h->settings.freebind, why);
}

/* One that cannot be what the plan says without going first: its connections run on, and what comes next is another VIP. */
static bool replaced(const struct mlbd_vip *v, const struct mlbd_plan_vip *want)
{
	struct mlbd_vip_opts opts = all_options(want);
	char why[256];

	return mlbd_vip_may_change(v, &opts, why) != 0;
}

static void look_ahead(struct mlbd_host *h, struct mlbd_plan *p, struct problems *found)
{
	char why[256];

	for (uint32_t i = 0; i < mlbd_setting_count; i++)
		problem(found, mlbd_host_may_set(h, &mlbd_setting_list[i], &p->settings, why), why);
	for (uint32_t i = 0; i < p->vips; i++) {
		const struct mlbd_vip *v = mlbd_vip_find(h, p->vip[i].opts.conf.name, NULL);

		problem(found, !v || replaced(v, &p->vip[i]) ? may_come(h, &p->vip[i], why) : 0, why);
	}
}

/* Twice: where VIPs lead to each other, the list that would close a loop with another VIP's old one must wait for the new one. */
static void set_servers(struct mlbd_host *h, struct mlbd_plan *p, struct problems *found)
{
	char why[256];

	for (int pass = 0, loops = 1; pass < 2 && loops; pass++) {
		loops = 0;
		for (uint32_t i = 0; i < p->vips; i++) {
			struct mlbd_plan_vip *want = &p->vip[i];
			struct mlbd_vip *v = mlbd_vip_find(h, want->opts.conf.name, NULL);
			int rc;

			if (!v || mlbd_vip_owner(h, v) == MLB_OWNER_MANAGED)
				continue;
			rc = mlbd_server_set(h, v, want->server, want->servers, why);
			if (rc == -ELOOP && pass == 0)
				loops++;
			else if (pass == 0 || rc == -ELOOP)
				problem(found, rc, why);
		}
	}
}

static void make_true(struct mlbd_host *h, struct mlbd_plan *p, struct problems *found)
{
	char why[256];

	for (uint32_t i = 0; i < mlbd_setting_count; i++)
		problem(found, mlbd_host_set(h, &mlbd_setting_list[i], &p->settings, why), why);
	mlbd_workers_settings(h);
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		const struct mlbd_plan_vip *want = h->vip[i].used ? mlbd_plan_find(p, h->vip[i].conf.name) : NULL;

		if (h->vip[i].used && (!want || replaced(&h->vip[i], want)))
			problem(found, mlbd_vip_del(h, &h->vip[i], why), why);
	}
	for (uint32_t i = 0; i < p->vips; i++) {
		struct mlbd_vip *v = mlbd_vip_find(h, p->vip[i].opts.conf.name, NULL);
		struct mlbd_vip_opts opts = all_options(&p->vip[i]);

		problem(found, v ? mlbd_vip_change(h, v, &opts, why) : mlbd_vip_add(h, &opts, NULL, 0, why), why);
	}
	set_servers(h, p, found);
}

int mlbd_host_reconcile(struct mlbd_host *h, struct mlbd_plan *p, char err[512])
{
	char list[400] = "";
	struct problems found = { .text = list, .size = sizeof(list) };
	const char *done = "nothing was changed";

	look_ahead(h, p, &found);
	if (!found.first) {
		done = "what could be changed was; not so";
		make_true(h, p, &found);
	}
	if (found.untold)
		snprintf(err, 512, "%s: %s; and %u more", done, list, found.untold);
	else if (found.first)
		snprintf(err, 512, "%s: %s", done, list);
	return found.first;
}
