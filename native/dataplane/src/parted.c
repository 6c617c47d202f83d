/* SPDX-License-Identifier: Apache-2.0 */
#include "parted.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "listen.h"
#include "own.h"

static void end(struct mlbd_parted *p)
{
	while (p->fds)
		close(p->fd[--p->fds]);
	free(p->fd);
	p->fd = NULL;
}

void mlbd_parted_add(struct mlbd_parted_list *l, const struct mlb_endpoint *ep, int *fd, uint32_t fds, uint64_t now_us)
{
	struct mlbd_parted p = { *ep, fd, fds, now_us + MLBD_PARTED_US };
	uint32_t i = 0;

	while (i < MLB_MAX_VIPS && l->of[i].fd)
		i++;
	if (i == MLB_MAX_VIPS || ep->proto == IPPROTO_UDP || mlbd_listen_refuse_new(fd, fds))
		end(&p);
	else
		l->of[i] = p;
}

uint32_t mlbd_parted_take(struct mlbd_parted_list *l, const struct mlb_endpoint *ep, int **fd)
{
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_parted *p = &l->of[i];

		if (!p->fd || !mlbd_vips_overlap(&p->ep, ep))
			continue;
		if (mlb_endpoint_eq(&p->ep, ep) && mlbd_listen_let_in(p->fd, p->fds) == 0) {
			*fd = p->fd;
			p->fd = NULL;
			return p->fds;
		}
		end(p);
	}
	return 0;
}

void mlbd_parted_end(struct mlbd_parted_list *l, uint64_t now_us)
{
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (l->of[i].fd && l->of[i].until_us <= now_us)
			end(&l->of[i]);
}
