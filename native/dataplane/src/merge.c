/* SPDX-License-Identifier: Apache-2.0 */
/* Three lists of each kind: `base`, what the old data plane read from its file; `run`, what it runs; `file`, what the new one
 * read. What run has beside base was changed at run time and stays; elsewhere the file decides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <marllb/endpoint.h>
#include "plan.h"

#define PICK(field) \
	do { \
		if (!base || memcmp(&base->field, &run->field, sizeof(run->field))) \
			file->field = run->field; \
	} while (0)

static struct mlbd_server_conf *server_of(const struct mlbd_plan_vip *v, const struct mlb_endpoint *ep)
{
	for (uint32_t i = 0; v && i < v->servers; i++)
		if (mlb_endpoint_eq(&v->server[i].ep, ep))
			return &v->server[i];
	return NULL;
}

static void merge_server(struct mlbd_server_conf *file, const struct mlbd_server_conf *base, const struct mlbd_server_conf *run)
{
	PICK(weight);
	PICK(max_conns);
	PICK(send_proxy);
	PICK(drain);
}

/* Those of run first, in their order, then those that only the file has. */
static int merge_servers(struct mlbd_plan_vip *file, const struct mlbd_plan_vip *base, const struct mlbd_plan_vip *run,
			 char err[256])
{
	struct mlbd_server_conf *list = calloc((size_t)run->servers + file->servers + 1, sizeof(*list));
	bool managed = run->opts.conf.owner == MLB_OWNER_MANAGED;
	uint32_t n = 0;

	if (!list) {
		snprintf(err, 256, "takeover: no memory for the servers of vip %s", run->opts.conf.name);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < run->servers; i++) {
		const struct mlbd_server_conf *r = &run->server[i], *b = server_of(base, &r->ep), *f = server_of(file, &r->ep);

		if (b && !f && !managed)
			continue; /* the file names it no more */
		list[n] = f ? *f : *r;
		merge_server(&list[n++], b, r);
	}
	for (uint32_t i = 0; i < file->servers && !managed; i++) {
		const struct mlb_endpoint *ep = &file->server[i].ep;

		if (!server_of(run, ep) && !server_of(base, ep))
			list[n++] = file->server[i];
	}
	free(file->server);
	file->server = list;
	file->servers = n;
	return 0;
}

static void merge_options(struct mlbd_vip_opts *file, const struct mlbd_vip_opts *base, const struct mlbd_vip_opts *run)
{
	PICK(conf.mode);
	PICK(conf.load);
	PICK(conf.owner);
	PICK(conf.kappa);
	PICK(conf.capacity);
	PICK(conf.eject);
	PICK(conf.no_guard);
	PICK(conf.load_balancers);
	PICK(max_conns);
	PICK(max_per_source);
	PICK(responses);
	PICK(accept_proxy);
	PICK(send_proxy);
	/* Port 0 in the file is the port that the kernel gave. */
	if (!base || memcmp(&base->conf.ep.addr, &run->conf.ep.addr, sizeof(run->conf.ep.addr)) ||
	    (base->conf.ep.port && base->conf.ep.port != run->conf.ep.port))
		file->conf.ep = run->conf.ep;
}

static void merge_settings(struct mlbd_settings *file, const struct mlbd_settings *base, const struct mlbd_settings *run)
{
	for (uint32_t i = 0; i < mlbd_setting_count; i++) {
		const struct mlbd_setting *k = &mlbd_setting_list[i];

		if (k->live && !mlbd_setting_same(k, base, run))
			mlbd_setting_copy(k, file, run);
	}
}

static void drop(struct mlbd_plan *p, struct mlbd_plan_vip *v)
{
	free(v->server);
	*v = p->vip[--p->vips];
}

int mlbd_plan_merge(struct mlbd_plan *file, struct mlbd_plan *base, struct mlbd_plan *run, char err[256])
{
	merge_settings(&file->settings, &base->settings, &run->settings);
	for (uint32_t i = file->vips; i-- > 0;) /* removed at run time */
		if (mlbd_plan_find(base, file->vip[i].opts.conf.name) && !mlbd_plan_find(run, file->vip[i].opts.conf.name))
			drop(file, &file->vip[i]);
	for (uint32_t i = 0; i < run->vips; i++) {
		struct mlbd_plan_vip *r = &run->vip[i], *b = mlbd_plan_find(base, r->opts.conf.name),
				     *f = mlbd_plan_find(file, r->opts.conf.name);
		int rc;

		if (b && !f)
			continue; /* the file names it no more */
		if (!f && file->vips == MLB_MAX_VIPS) {
			snprintf(err, 256, "takeover: vip %s: expected at most %u vips", r->opts.conf.name, MLB_MAX_VIPS);
			return -ENOSPC;
		}
		if (!f) {
			f = &file->vip[file->vips++];
			*f = (struct mlbd_plan_vip){ .opts = r->opts };
		}
		merge_options(&f->opts, b ? &b->opts : NULL, &r->opts);
		rc = merge_servers(f, b, r, err);
		if (rc)
			return rc;
	}
	return 0;
}
