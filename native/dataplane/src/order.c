/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "text.h"

#define WAIT_S 10

/* All that comes until the other side ends. */
static int talk(const char *path, const char *line, struct mlbd_text *answer)
{
	const struct timeval limit = { .tv_sec = WAIT_S };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;
	char buf[16384];
	ssize_t n = 0;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 ||
	    send(fd, "\n", 1, MSG_NOSIGNAL) < 0 || shutdown(fd, SHUT_WR) < 0)
		rc = -errno;
	while (rc == 0 && (n = recv(fd, buf, sizeof(buf) - 1, 0)) > 0) {
		buf[n] = 0;
		mlbd_text_add(answer, "%s", buf);
	}
	if (n < 0)
		rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (fd >= 0)
		close(fd);
	return rc ? rc : answer->failed ? -ENOMEM : 0;
}

int mlbd_order(const char *path, const char *line, char err[512])
{
	struct mlbd_text answer = { 0 };
	int rc = talk(path, line, &answer);
	char *last = answer.s, *end;

	if (rc) {
		snprintf(err, 512, "control %.200s: %s", path, strerror(-rc));
		goto out;
	}
	/* The last line says whether it was done. */
	for (char *at = answer.s; at && (end = strchr(at, '\n')) && end[1]; at = end + 1)
		last = end + 1;
	if (last && strcmp(last, "ok\n") == 0) {
		fwrite(answer.s, 1, (size_t)(last - answer.s), stdout);
	} else {
		snprintf(err, 512, "%.500s", last && strncmp(last, "error: ", 7) == 0 ? last + 7 : "no answer");
		err[strcspn(err, "\n")] = 0;
		rc = -EPROTO;
	}
out:
	mlbd_text_free(&answer);
	return rc;
}
