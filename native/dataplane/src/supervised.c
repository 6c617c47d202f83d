/* SPDX-License-Identifier: Apache-2.0 */
#include "supervised.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fds.h"

#define AGAIN_US 100000u
#define FULL_US 1000u /* the socket was full: the supervisor is at it */

/* Descriptors beyond those that the environment speaks of are not ours to close. */
static void take(struct mlbd_listeners *in, const char *name, int first, uint32_t n)
{
	int fd[MLBD_MAX_THREADS] = { -1 };
	char err[256];

	for (uint32_t i = 0; i < n; i++) {
		fd[i] = first + (int)i;
		fcntl(fd[i], F_SETFD, FD_CLOEXEC);
	}
	if (mlbd_listeners_add(in, name, NULL, fd, n, err) == 0)
		return;
	mlbd_log("error", "supervisor: %s", err);
	while (n)
		close(fd[--n]);
}

void mlbd_supervised_begin(struct mlbd_supervised *s, struct mlbd_listeners *in)
{
	const char *at = getenv(MLBD_SUPERVISOR_ENV);
	char name[MLB_NAME_LEN];
	int next = MLBD_FIRST_INHERITED, used;
	uint32_t n;

	*s = (struct mlbd_supervised){ .fd = -1 };
	if (!at || sscanf(at, "%d%n", &s->fd, &used) != 1)
		return;
	if (s->fd < MLBD_FIRST_INHERITED || fcntl(s->fd, F_SETFD, FD_CLOEXEC) < 0) {
		s->fd = -1; /* somebody else's environment */
		return;
	}
	for (at += used; sscanf(at, " %31s %u%n", name, &n, &used) == 2 && n <= MLBD_MAX_THREADS; at += used) {
		take(in, name, next, n);
		next += (int)n;
	}
	unsetenv(MLBD_SUPERVISOR_ENV);
}

/* Its place in the file is shared with the supervisor's. */
static char *whole(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) < 0 || !(text = malloc((size_t)st.st_size + 1)))
		return NULL;
	if (pread(fd, text, (size_t)st.st_size, 0) == st.st_size) {
		text[st.st_size] = 0;
		return text;
	}
	free(text);
	return NULL;
}

int mlbd_supervised_last(struct mlbd_plan *p, bool *instead, char err[512])
{
	const char *at = getenv(MLBD_LAST_CONFIG_ENV);
	int fd, used, rc = -EIO;
	char *text;

	if (!at || sscanf(at, "%d%n", &fd, &used) != 1 || fd < MLBD_FIRST_INHERITED)
		return -ENOENT;
	*instead = strcmp(at + used, " instead") == 0;
	unsetenv(MLBD_LAST_CONFIG_ENV);
	text = whole(fd);
	mlbd_plan_init(p);
	if (text)
		rc = mlbd_plan_text(p, "the configuration that ran last", text, NULL, err);
	else
		snprintf(err, 512, "cannot read the configuration that ran last");
	free(text);
	close(fd);
	return rc;
}

void mlbd_supervised_end(struct mlbd_supervised *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static int say(struct mlbd_supervised *s, const char *what, const int *fd, uint32_t fds)
{
	int rc = mlbd_fds_send(s->fd, what, fd, fds);

	if (rc == 0 || rc == -EAGAIN)
		return rc;
	mlbd_log("warn", "the supervisor is gone (%s): this data plane serves on, and nobody holds its listeners", strerror(-rc));
	mlbd_supervised_end(s);
	return rc;
}

/* Without room for it the supervisor keeps the one before. */
static int say_config(struct mlbd_supervised *s, const struct mlbd_plan *config)
{
	struct mlbd_text text = { 0 };
	int file = memfd_create("marllb-config", MFD_CLOEXEC), rc = 0;

	mlbd_plan_print(config, &text);
	if (file >= 0 && !text.failed && write(file, text.s, text.len) == (ssize_t)text.len)
		rc = say(s, MLBD_SAY_CONFIG, &file, 1);
	mlbd_text_free(&text);
	if (file >= 0)
		close(file);
	return rc;
}

/* Half of it does no harm: without its end nothing is let go. */
static int say_all(struct mlbd_supervised *s, const struct mlbd_host *h, const struct mlbd_plan *config)
{
	uint32_t version = h ? h->listeners_version : 0;
	int rc = 0;

	if (!h || !s->at || s->telling != version) {
		s->at = 0;
		rc = say(s, MLBD_SAY_BEGIN, NULL, 0);
	}
	for (uint32_t i = s->at ? s->at - 1 : 0; h && i < MLB_MAX_VIPS && rc == 0; i++) {
		const struct mlbd_vip *v = &h->vip[i];
		char line[sizeof(MLBD_SAY_HOLD) + MLB_NAME_LEN];

		s->telling = version;
		s->at = i + 1;
		if (!v->used || !v->fds)
			continue;
		snprintf(line, sizeof(line), MLBD_SAY_HOLD "%s", v->conf.name);
		rc = say(s, line, v->fd, v->fds);
	}
	if (rc == 0)
		s->at = MLB_MAX_VIPS + 1;
	if (rc == 0 && config)
		rc = say_config(s, config);
	if (rc == 0)
		rc = say(s, MLBD_SAY_END, NULL, 0);
	s->at = rc ? s->at : 0;
	return rc;
}

void mlbd_supervised_poll(struct mlbd_supervised *s, struct mlbd_host *h, const struct mlbd_plan *config, uint64_t now_us)
{
	uint32_t version = h->listeners_version;

	if (s->fd < 0 || (s->ready && s->told == version) || now_us < s->next_us)
		return;
	s->next_us = now_us + AGAIN_US;
	if (say_all(s, h, config)) {
		s->next_us = now_us + (s->at ? FULL_US : AGAIN_US);
		return;
	}
	s->told = version;
	if (!s->ready)
		s->ready = say(s, MLBD_SAY_READY, NULL, 0) == 0;
}

void mlbd_supervised_leave(struct mlbd_supervised *s, bool take_back)
{
	if (s->fd < 0)
		return;
	if ((say(s, take_back ? MLBD_SAY_OVER : MLBD_SAY_LEFT, NULL, 0) || say_all(s, NULL, NULL)) && s->fd >= 0)
		mlbd_log("warn", "the supervisor does not hear that this data plane listens no more");
	mlbd_supervised_end(s);
}
