/* SPDX-License-Identifier: Apache-2.0 */
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "fds.h"
#include "peer.h"
#include "text.h"

#define MOST_FDS (MLB_MAX_VIPS * MLBD_MAX_THREADS + 1)
#define STATE_MOST (16u << 20)

_Static_assert(MLBD_MAX_THREADS <= MLBD_FDS_MOST, "a VIP's listeners go in one message");

/* What is in force, in a file without a name: it may be longer than the socket takes at once. */
static int send_state(struct mlbd_host *h, int fd, char err[256])
{
	int64_t len = mlb_dp_export(h->dp, NULL, 0);
	void *state = len > 0 ? malloc((size_t)len) : NULL;
	int file = memfd_create("marllb-state", MFD_CLOEXEC), rc = -ENOMEM;
	char line[64];

	if (len > 0 && state && file >= 0 && (len = mlb_dp_export(h->dp, state, (uint64_t)len)) > 0) {
		rc = write(file, state, (size_t)len) == len ? 0 : -EIO;
		snprintf(line, sizeof(line), "state %lld\n", (long long)len);
		if (rc == 0)
			rc = mlbd_fds_send(fd, line, &file, 1);
	}
	if (rc)
		snprintf(err, 256, "cannot pass what is in force: %s", strerror(-rc));
	free(state);
	if (file >= 0)
		close(file);
	return rc;
}

int mlbd_takeover_send(struct mlbd_host *h, int fd, char err[256])
{
	int failed = send_state(h, fd, err);

	if (failed)
		return failed;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];
		char line[160], ep[MLB_ENDPOINT_LEN];

		if (!v->used)
			continue;
		snprintf(line, sizeof(line), "listener %s %s %u%s\n", v->conf.name, mlb_endpoint_text(&v->conf.ep, ep), v->fds,
			 v->conf.ep.proto == IPPROTO_UDP ? " udp" : "");
		int rc = mlbd_fds_send(fd, line, v->fd, v->fds);

		if (rc) {
			snprintf(err, 256, "cannot pass the listeners of vip %s: %s", v->conf.name, strerror(-rc));
			return -EIO;
		}
	}
	return 0;
}

int mlbd_takeover_agree(int fd)
{
	ssize_t n;

	do
		n = send(fd, "ok\n", 3, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == 3 ? 0 : n < 0 ? -errno : -EPIPE;
}

struct fetch {
	struct mlbd_text text;
	int fd[MOST_FDS];
	uint32_t fds;
};

/* Reads until the answer is complete: its last line is ok or an error. */
static int read_answer(int control, struct fetch *f, char err[256])
{
	for (;;) {
		char buf[65536];
		union mlbd_fds_room room;
		struct iovec iov = { buf, sizeof(buf) - 1 };
		struct msghdr m = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.buf, .msg_controllen = sizeof(room.buf)
		};
		ssize_t n = recvmsg(control, &m, MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			bool late = n < 0 && errno == EAGAIN;

			snprintf(err, 256, "takeover: the old data plane %s",
				 late ? "does not answer" : "closed its control socket");
			return late ? -ETIMEDOUT : -EPIPE;
		}
		for (struct cmsghdr *cm = CMSG_FIRSTHDR(&m); cm; cm = CMSG_NXTHDR(&m, cm)) {
			size_t count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
				continue;
			for (size_t i = 0; i < count; i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
				if (f->fds < MOST_FDS)
					f->fd[f->fds++] = fd;
				else
					close(fd);
			}
		}
		if (m.msg_flags & MSG_CTRUNC) {
			snprintf(err, 256, "takeover: listeners were lost on the way (ulimit -n?)");
			return -EMFILE;
		}
		buf[n] = 0;
		mlbd_text_add(&f->text, "%s", buf);
		if (f->text.failed) {
			snprintf(err, 256, "takeover: no memory");
			return -ENOMEM;
		}
		const char *s = f->text.s;
		size_t len = f->text.len;

		if (len && s[len - 1] == '\n') {
			const char *last = memrchr(s, '\n', len - 1);

			last = last ? last + 1 : s;
			if (strcmp(last, "ok\n") == 0) {
				f->text.len = (size_t)(last - s);
				f->text.s[f->text.len] = 0;
				return 0;
			}
			if (strncmp(last, "error: ", 7) == 0) {
				snprintf(err, 256, "takeover refused: %.*s", (int)strcspn(last + 7, "\n"), last + 7);
				return -EPROTO;
			}
		}
	}
}

/* "listener NAME ADDRESS:PORT COUNT" takes its descriptors, from fd[*next] on. */
static int one_listener(struct mlbd_inherit *in, const char *line, const struct fetch *f, uint32_t *next, char err[256])
{
	char name[MLB_NAME_LEN], address[MLB_ENDPOINT_LEN], protocol[4] = "tcp";
	char why[256];
	struct mlb_endpoint ep;
	uint32_t n;
	int rc;

	if (sscanf(line, "listener %31s %63s %u %3s", name, address, &n, protocol) < 3 || n > f->fds - *next ||
	    mlb_endpoint_parse(address, true, &ep, err)) {
		snprintf(err, 256, "takeover: cannot read the line '%.100s'", line);
		return -EPROTO;
	}
	if (strcmp(protocol, "udp") == 0)
		ep.proto = IPPROTO_UDP;
	if (n > MLBD_MAX_THREADS) {
		snprintf(err, 256, "takeover: vip %s has %u listeners, expected at most %u", name, n, MLBD_MAX_THREADS);
		return -EPROTO;
	}
	rc = mlbd_listeners_add(&in->listeners, name, &ep, f->fd + *next, n, why);
	if (rc)
		snprintf(err, 256, "takeover: %.240s", why);
	else
		*next += n;
	return rc;
}

/* "state LENGTH" takes one. */
static int state(struct mlbd_inherit *in, const char *line, const struct fetch *f, uint32_t *next, char err[256])
{
	unsigned long long len;

	if (sscanf(line, "state %llu", &len) != 1 || *next == f->fds || len == 0 || len > STATE_MOST || in->state) {
		snprintf(err, 256, "takeover: cannot read the line '%.100s'", line);
		return -EPROTO;
	}
	in->state = malloc(len);
	if (!in->state) {
		snprintf(err, 256, "takeover: no memory");
		return -ENOMEM;
	}
	in->state_len = len;
	ssize_t n = pread(f->fd[*next], in->state, len, 0);

	close(f->fd[(*next)++]);
	if (n == (ssize_t)len)
		return 0;
	snprintf(err, 256, "takeover: what is in force came cut short");
	return -EPROTO;
}

/* "listener" lines take their descriptors in order; the rest is what it runs, then, behind "base", what its file said. */
static int understand(struct mlbd_inherit *in, struct fetch *f, char err[256])
{
	struct mlbd_text run = { 0 }, base = { 0 }, *to = &run;
	uint32_t next = 0;
	char *save, why[512];
	int rc = 0;

	for (char *line = strtok_r(f->text.s, "\n", &save); line && rc == 0; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "listener ", 9) == 0)
			rc = one_listener(in, line, f, &next, err);
		else if (strncmp(line, "state ", 6) == 0)
			rc = state(in, line, f, &next, err);
		else if (strcmp(line, "base") == 0)
			to = &base;
		else
			mlbd_text_add(to, "%s\n", line);
	if (rc == 0 && (run.failed || base.failed)) {
		snprintf(err, 256, "takeover: no memory");
		rc = -ENOMEM;
	}
	if (rc == 0 && ((run.s && (rc = mlbd_plan_text(&in->run, "takeover", run.s, NULL, why))) ||
			(base.s && (rc = mlbd_plan_text(&in->base, "takeover: base", base.s, NULL, why)))))
		snprintf(err, 256, "%.250s", why);
	while (next < f->fds)
		close(f->fd[next++]);
	mlbd_text_free(&run);
	mlbd_text_free(&base);
	return rc;
}

static int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool nobody(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED;
}

/* One order and its whole answer, which is in *out then (the caller frees it). */
static int ask(int control, const char *order, struct fetch **out, char err[256])
{
	struct fetch *f = calloc(1, sizeof(*f));
	int rc;

	/* Room for a short answer before the question: that to `release` must not be lost, for the old one believes in it. */
	if (f)
		mlbd_text_add(&f->text, "%s", "");
	if (!f || f->text.failed) {
		free(f);
		snprintf(err, 256, "takeover: no memory");
		return -ENOMEM;
	}
	if (send(control, order, strlen(order), MSG_NOSIGNAL) != (ssize_t)strlen(order)) {
		rc = errno == EAGAIN ? -ETIMEDOUT : -EPIPE;
		snprintf(err, 256, "takeover: cannot ask the old data plane: %s", strerror(errno));
	} else {
		rc = read_answer(control, f, err);
	}
	*out = f;
	return rc;
}

static void fetch_free(struct fetch *f)
{
	if (f)
		mlbd_text_free(&f->text);
	free(f);
}

/* A refusal is an answer, too: of a release that does not know the word. */
static int tell_supervised(int control, char err[256])
{
	struct fetch *f = NULL;
	int rc = ask(control, "supervised\n", &f, err);

	fetch_free(f);
	return rc == -EPROTO ? 0 : rc;
}

int mlbd_takeover_fetch(struct mlbd_inherit *in, const char *path, bool supervised, char err[256])
{
	struct timeval limit = { .tv_sec = 10 };
	struct fetch *f = NULL;
	char what[192];
	int rc;

	memset(in, 0, sizeof(*in));
	mlbd_plan_init(&in->run);
	mlbd_plan_init(&in->base);
	in->path = path;
	in->control = dial(path);
	if (in->control < 0) {
		rc = in->control;
		in->control = -1;
		if (nobody(rc))
			return 0;
		snprintf(err, 256, "takeover from %.150s: %s", path, strerror(-rc));
		return rc;
	}
	snprintf(what, sizeof(what), "takeover from %.150s", path);
	rc = mlbd_peer_check(in->control, what, err);
	if (rc) {
		mlbd_takeover_free(in);
		return rc;
	}
	setsockopt(in->control, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(in->control, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (supervised)
		rc = tell_supervised(in->control, err);
	if (rc == 0)
		rc = ask(in->control, "takeover\n", &f, err);
	if (rc == 0)
		rc = understand(in, f, err);
	else if (f)
		while (f->fds)
			close(f->fd[--f->fds]);
	fetch_free(f);
	if (rc)
		mlbd_takeover_free(in);
	return rc;
}

/* The connection ended without an answer: is the old one dead, or did it drop this one? */
static int old_is_dead(const char *path, char err[256])
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	for (uint32_t i = 0; i < 100; i++) { /* a dying process closes its sockets one after the other */
		int fd = dial(path);

		if (nobody(fd)) {
			mlbd_log("warn", "takeover: the old data plane ended meanwhile");
			return 0;
		}
		if (fd >= 0)
			close(fd);
		nanosleep(&pause, NULL);
	}
	snprintf(err, 256, "takeover: the old data plane at %.150s refused to be released, and serves on", path);
	return -EPROTO;
}

int mlbd_takeover_release(struct mlbd_inherit *in, char err[256])
{
	struct fetch *f = NULL;
	int rc;

	if (in->control < 0)
		return 0;
	rc = ask(in->control, "release\n", &f, err);
	if (rc == -ETIMEDOUT && f) {
		/* Its answer is here already or can no longer come: the old one sees that it cannot be sent, and serves on. */
		shutdown(in->control, SHUT_RD);
		if (read_answer(in->control, f, err) == 0)
			rc = 0;
		else
			snprintf(err, 256, "takeover: the old data plane at %.150s does not answer to `release`, and serves on",
				 in->path);
	}
	fetch_free(f);
	return rc == -EPIPE ? old_is_dead(in->path, err) : rc;
}

void mlbd_takeover_free(struct mlbd_inherit *in)
{
	mlbd_listeners_free(&in->listeners);
	free(in->state);
	in->state = NULL;
	if (in->control >= 0)
		close(in->control);
	in->control = -1;
	mlbd_plan_free(&in->run);
	mlbd_plan_free(&in->base);
}
