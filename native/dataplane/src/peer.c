/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int mlbd_peer_check(int fd, const char *what, char err[256])
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		snprintf(err, 256, "%.150s: cannot find out whose it is: %s", what, strerror(errno));
		return -EPERM;
	}
	if (peer.uid == 0 || peer.uid == geteuid())
		return 0;
	snprintf(err, 256, "%.150s: belongs to user %u (process %d), expected user %u or root", what, peer.uid, peer.pid,
		 geteuid());
	return -EPERM;
}
