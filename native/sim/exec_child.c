/* SPDX-License-Identifier: Apache-2.0 */
#include "exec_child.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 60000
#define END_MS 2000
#define LINE_MAX_BYTES (4u << 20)

extern char **environ;

int exec_child_start(struct exec_child *c, const char *command, char err[256])
{
	char *argv[] = { "sh", "-c", (char *)command, NULL };
	posix_spawn_file_actions_t fa;
	int pair[2], e;

	memset(c, 0, sizeof(*c));
	/* A socket pair, for MSG_NOSIGNAL: a child that died is an error to tell, not a signal. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, pair[1], 0);
	posix_spawn_file_actions_adddup2(&fa, pair[1], 1);
	e = posix_spawn(&c->pid, "/bin/sh", &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(pair[1]);
	if (e) {
		close(pair[0]);
		c->pid = 0;
		snprintf(err, 256, "exec: cannot start \"%.80s\": %s", command, strerror(e));
		return -e;
	}
	c->in = c->out = pair[0];
	c->wait_ms = ANSWER_MS;
	return 0;
}

/* Has it ended, or does it within so long? */
static bool ends(struct exec_child *c, int ms)
{
	for (int left = ms; !c->ended; left -= 10) {
		c->ended = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
		if (c->ended || left <= 0)
			break;
		poll(NULL, 0, 10);
	}
	return c->ended;
}

static void why_no_answer(struct exec_child *c, char err[256])
{
	if (!ends(c, END_MS))
		snprintf(err, 256, "exec: the policy closed its output without an answer");
	else if (WIFSIGNALED(c->status))
		snprintf(err, 256, "exec: the policy ended without an answer, by signal %d", WTERMSIG(c->status));
	else
		snprintf(err, 256, "exec: the policy ended without an answer, with exit code %d", WEXITSTATUS(c->status));
}

int exec_child_send(struct exec_child *c, const char *text, size_t len, char err[256])
{
	while (len) {
		ssize_t n = send(c->in, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		/* A child that has stopped reading must not stop us: lines of a large pool are longer than what the socket holds.
		 */
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			struct pollfd p = { .fd = c->in, .events = POLLOUT };
			if (poll(&p, 1, c->wait_ms) != 0)
				continue;
			snprintf(err, 256, "exec: the policy has not read its input for %g s", c->wait_ms * 1e-3);
			return -ETIMEDOUT;
		}
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0; /* it has ended; the read that follows says so, whichever of us was first */
		if (n < 0) {
			snprintf(err, 256, "exec: writing to the policy: %s", strerror(errno));
			return -EIO;
		}
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int exec_child_receive(struct exec_child *c, const char **line, char err[256])
{
	c->have -= c->used;
	if (c->used)
		memmove(c->line, c->line + c->used, c->have);
	c->used = 0;
	for (size_t looked = 0;;) {
		char *nl = c->have > looked ? memchr(c->line + looked, '\n', c->have - looked) : NULL;
		if (nl) {
			*nl = 0;
			c->used = (size_t)(nl - c->line) + 1;
			*line = c->line;
			return 0;
		}
		looked = c->have;
		if (c->cap - c->have < 4096) {
			char *more = c->cap < LINE_MAX_BYTES ? realloc(c->line, c->cap * 2 + 8192) : NULL;
			if (!more) {
				snprintf(err, 256, "exec: the policy's line is longer than %u bytes", LINE_MAX_BYTES);
				return -E2BIG;
			}
			c->line = more;
			c->cap = c->cap * 2 + 8192;
		}
		struct pollfd p = { .fd = c->out, .events = POLLIN };
		int ready = poll(&p, 1, c->wait_ms);
		if (ready < 0 && errno == EINTR)
			continue;
		ssize_t n = ready > 0 ? read(c->out, c->line + c->have, c->cap - c->have) : 0;
		if (ready == 0) {
			snprintf(err, 256, "exec: no answer from the policy in %g s", c->wait_ms * 1e-3);
			return -ETIMEDOUT;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			why_no_answer(c, err);
			return -EPIPE;
		}
		c->have += (size_t)n;
	}
}

void exec_child_stop(struct exec_child *c)
{
	if (!c->pid)
		return;
	close(c->in);
	if (!ends(c, END_MS)) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	free(c->line);
	memset(c, 0, sizeof(*c));
}
