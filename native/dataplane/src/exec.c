/* SPDX-License-Identifier: Apache-2.0 */
#include "exec.h"

#include <errno.h>
#include <string.h>

#include "show.h"
#include "workers.h"

static int set_mode(struct mlbd_host *h, struct mlbd_vip *v, enum mlb_mode mode, char err[256])
{
	int rc = mlb_dp_set_mode(h->dp, v->id, mode, err);

	if (rc == 0)
		v->conf.mode = (uint8_t)mode;
	return rc;
}

static int vip_put(struct mlbd_host *h, const struct mlbd_cmd *c, char err[256])
{
	struct mlbd_vip *v = mlbd_vip_find(h, c->vip, NULL);

	return v ? mlbd_vip_change(h, v, &c->opts, err) : mlbd_vip_add(h, &c->opts, NULL, 0, err);
}

static void help(struct mlbd_text *out)
{
	mlbd_cmd_help(false, out);
	mlbd_cmd_help(true, out);
	for (uint32_t i = 0; i < mlbd_setting_count; i++)
		if (mlbd_setting_list[i].live)
			mlbd_text_add(out, "  %s %s   %s\n", mlbd_setting_list[i].name, mlbd_setting_list[i].arg,
				      mlbd_setting_list[i].help);
}

/* A command that names a VIP. */
static int of_vip(struct mlbd_host *h, const struct mlbd_cmd *c, char err[512])
{
	struct mlbd_vip *v = mlbd_vip_find(h, c->vip, err);

	if (!v)
		return -ENOENT;
	switch (c->op) {
	case MLBD_OP_NO_VIP: return mlbd_vip_del(h, v, err);
	case MLBD_OP_MODE: return set_mode(h, v, c->mode, err);
	case MLBD_OP_SERVER: return mlbd_server_put(h, v, c, err);
	case MLBD_OP_NO_SERVER: return mlbd_server_del(h, v, &c->server.ep, err);
	case MLBD_OP_DRAIN:
	case MLBD_OP_UNDRAIN: return mlb_dp_server_drain(h->dp, v->id, &c->server.ep, c->op == MLBD_OP_DRAIN, err);
	case MLBD_OP_SET_SERVERS: return mlbd_server_set(h, v, c->list, c->count, err);
	default: snprintf(err, 512, "unknown command"); return -EINVAL;
	}
}

static int show(struct mlbd_host *h, const struct mlbd_cmd *c, struct mlbd_text *out, char err[512])
{
	struct mlbd_vip *v = NULL;

	if (c->show != MLBD_SHOW_FLOWS) {
		mlbd_show_answer(h, c->show, c->json, out);
		return 0;
	}
	if (c->vip[0] && !(v = mlbd_vip_find(h, c->vip, err)))
		return -ENOENT;
	mlbd_show_flows(h, v ? v->id : 0, &c->flows, c->json, out);
	return 0;
}

int mlbd_exec(struct mlbd_host *h, const struct mlbd_cmd *c, bool draining, struct mlbd_text *out, char err[512])
{
	int rc;

	switch (c->op) {
	case MLBD_OP_NONE: return 0;
	case MLBD_OP_HELP: help(out); return 0;
	case MLBD_OP_SHOW: return show(h, c, out, err);
	default: break;
	}
	if (draining) {
		snprintf(err, 512, "this data plane drains: it takes no changes");
		return -ESHUTDOWN;
	}
	switch (c->op) {
	case MLBD_OP_SET:
		rc = mlbd_host_set(h, c->setting, &c->value, err);
		mlbd_workers_settings(h);
		return rc;
	case MLBD_OP_VIP: return vip_put(h, c, err);
	default: return of_vip(h, c, err);
	}
}
