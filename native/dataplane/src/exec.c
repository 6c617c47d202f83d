/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "app.h"
#include "show.h"

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

int mlbd_exec(struct mlbd_app *app, int fd, const struct mlbd_cmd *c, struct mlbd_text *out, char err[512])
{
	struct mlbd_host *h = app->host;
	struct mlbd_vip *v = NULL;

	switch (c->op) {
	case MLBD_OP_NONE: return 0;
	case MLBD_OP_HELP:
		mlbd_text_add(out, "%s  show stats|weights|servers|config|flows [json]\n  drain, quit, reload, help\n",
			      mlbd_cmd_help);
		for (uint32_t i = 0; i < mlbd_setting_count; i++)
			if (mlbd_setting_list[i].live)
				mlbd_text_add(out, "  %s %s   %s\n", mlbd_setting_list[i].name, mlbd_setting_list[i].arg,
					      mlbd_setting_list[i].help);
		return 0;
	case MLBD_OP_SHOW: mlbd_show(h, c->show, c->json, out); return 0;
	case MLBD_OP_STOP:
		if (!app->stopping)
			mlbd_app_stop(app);
		return 0;
	case MLBD_OP_QUIT: app->quit = true; return 0;
	case MLBD_OP_TAKEOVER:
		if (app->stopping) {
			snprintf(err, 512, "this data plane stops already");
			return -ESHUTDOWN;
		}
		if (mlbd_takeover_send(h, fd, err))
			return -EIO;
		mlbd_show(h, MLBD_SHOW_CONFIG, false, out);
		return 0;
	case MLBD_OP_RELEASE:
		h->handed_over = true;
		if (!app->stopping)
			mlbd_app_stop(app);
		return 0;
	default: break;
	}
	if (app->stopping) {
		snprintf(err, 512, "this data plane drains: it takes no changes");
		return -ESHUTDOWN;
	}
	switch (c->op) {
	case MLBD_OP_SET: return mlbd_host_set(h, c->setting, &c->value, err);
	case MLBD_OP_RELOAD: return mlbd_app_reload(app, err);
	case MLBD_OP_VIP: return vip_put(h, c, err);
	default:
		v = mlbd_vip_find(h, c->vip, err);
		if (!v)
			return -ENOENT;
	}
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
