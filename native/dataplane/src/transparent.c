/* SPDX-License-Identifier: Apache-2.0 */
#include "transparent.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif

int mlbd_transparent(int fd, int family)
{
	int one = 1, rc = family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)) :
					      setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &one, sizeof(one));

	return rc < 0 ? -errno : 0;
}

int mlbd_transparent_allowed(char err[256])
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = fd < 0 ? -errno : mlbd_transparent(fd, AF_INET);

	if (fd >= 0)
		close(fd);
	if (rc < 0)
		snprintf(err, 256, "transparent on: expected CAP_NET_ADMIN, which this process does not have: %s", strerror(-rc));
	return rc;
}
