/* SPDX-License-Identifier: Apache-2.0 */
#include "parted.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "listen.h"
#include "own.h"
#include "workers.h"

bool mlbd_vip_holds(const struct mlbd_vip *v, const struct mlb_endpoint *ep)
{
	return v->fds && mlbd_vips_overlap(&v->conf.ep, ep);
}

/* Out of the workers' hands and the core's; the sockets stay open. */
static int let_go(struct mlbd_host *h, struct mlbd_vip *v, char err[256])
{
	v->used = false;
	v->parting_us = 0;
	mlbd_workers_tell(h, &(struct mlbd_mail){ .kind = MLBD_MAIL_UNLISTEN, .vip = v->id });
	return mlb_dp_vip_del(h->dp, v->id, err);
}

static void close_all(struct mlbd_vip *v)
{
	while (v->fds)
		close(v->fd[--v->fds]);
	free(v->fd);
	v->fd = NULL;
}

int mlbd_vip_del(struct mlbd_host *h, struct mlbd_vip *v, char err[256])
{
	int rc;

	h->listeners_version++;
	if (v->conf.ep.proto != IPPROTO_UDP && mlbd_listen_refuse_new(v->fd, v->fds) == 0) {
		v->used = false;
		v->parting_us = mlbd_now_us() + MLBD_PARTED_US;
		return 0;
	}
	rc = let_go(h, v, err);
	close_all(v);
	return rc;
}

uint32_t mlbd_parted_take(struct mlbd_host *h, const char *name, const struct mlb_endpoint *ep, int **fd)
{
	uint32_t taken = 0;
	char ignored[256];

	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];
		bool overlap = mlbd_vip_holds(v, ep);

		if (!v->parting_us || (!overlap && strcmp(v->conf.name, name) != 0))
			continue;
		let_go(h, v, ignored);
		if (overlap && mlb_endpoint_eq(&v->conf.ep, ep) && mlbd_listen_let_in(v->fd, v->fds) == 0) {
			*fd = v->fd;
			taken = v->fds;
			v->fd = NULL;
			v->fds = 0;
		}
		close_all(v);
	}
	return taken;
}

void mlbd_parted_end(struct mlbd_host *h, uint64_t now_us)
{
	char err[256];

	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];

		if (!v->parting_us || v->parting_us > now_us)
			continue;
		if (let_go(h, v, err))
			mlbd_log("error", "vip %s: %s", v->conf.name, err);
		close_all(v);
	}
}
