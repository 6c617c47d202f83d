/* SPDX-License-Identifier: Apache-2.0 */
#include "keepalive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void set_int(int fd, int level, int option, uint64_t value)
{
	int v = (int)value;

	setsockopt(fd, level, option, &v, sizeof(v));
}

static uint64_t seconds(uint64_t ms)
{
	return (ms + 999) / 1000;
}

void mlbd_keepalive(int fd, const struct mlbd_settings *s)
{
	if (s->keepalive_ms) {
		set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(s->keepalive_ms));
		set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(s->keepalive_interval_ms));
		set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, s->keepalive_probes);
	}
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, s->keepalive_ms != 0);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, s->user_timeout_ms);
}

void mlbd_keepalive_conn(struct mlbd_conn *c, const struct mlbd_settings *s, uint32_t version)
{
	if (c->tuned == version)
		return;
	c->tuned = version;
	for (int side = 0; side < 2; side++)
		mlbd_keepalive(c->side[side].fd, s);
}
