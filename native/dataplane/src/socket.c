/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include <errno.h>
#include <sys/socket.h>

#include "sys.h"

void mlbd_socket_reset(int fd)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	mlbd_close(fd);
}

int mlbd_socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

void mlbd_socket_urgent(struct mlbd_side *side)
{
	int one = 1;

	if (side->urgent)
		return;
	side->urgent = true;
	side->streak = 0;
	setsockopt(side->fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
}
