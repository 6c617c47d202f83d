/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

#define MAX_CLIENTS 64u
#define MAX_LINE (256u << 10)
#define MAX_OUTPUT (512u << 20) /* the longest answer: `show flows` of a million */
/* Of one client at a time; then the data plane's own work, and other clients, get their turn. */
#define TURN_OUTPUT (64u << 10)
#define TURN_LINES 64u

struct mlbd_client {
	struct mlbd_client *next;
	int fd;
	struct mlbd_text in, out;
	size_t sent;
	bool closing; /* the peer sends no more: close when the answers are out */
	bool deaf;    /* after a protocol error: answer, then drain the input, for a close with bytes unread would reset */
};

int mlbd_control_unused(const char *path, char err[256])
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0;

	if (fd >= 0)
		close(fd);
	if (!alive)
		return 0;
	snprintf(err, 256, "control %.150s: another marllb-dp serves it; use --takeover, or another control path", path);
	return -EADDRINUSE;
}

void mlbd_control_init(struct mlbd_control *c, int epfd, const struct mlbd_control_hooks *hooks)
{
	memset(c, 0, sizeof(*c));
	c->epfd = epfd;
	c->hooks = *hooks;
	c->fd = c->spare_fd = -1;
}

static int fail(const char *path, int rc, char err[256])
{
	snprintf(err, 256, "control %.150s: %s", path, strerror(-rc));
	return rc;
}

static int temporary(const char *path, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(sa->sun_path, sizeof(sa->sun_path), "%s.%d", path, (int)getpid());

	return n < (int)sizeof(sa->sun_path) ? 0 : -ENAMETOOLONG;
}

static int bind_private(const struct sockaddr_un *sa)
{
	mode_t mask = umask(0177);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;

	unlink(sa->sun_path); /* left by a dead process of the same pid */
	if (fd < 0 || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		rc = -errno;
	umask(mask);
	if (rc && fd >= 0)
		close(fd);
	return rc ? rc : fd;
}

/* Something at the path that is not a socket of ours, living or dead. */
static int foreign(const char *path, const struct stat *st, char err[256])
{
	if (!S_ISSOCK(st->st_mode)) {
		snprintf(err, 256, "control %.150s: there is a file of another kind", path);
		return -EEXIST;
	}
	if (st->st_uid != geteuid()) {
		snprintf(err, 256, "control %.150s: belongs to user %u; remove it, or choose another control path", path,
			 st->st_uid);
		return -EPERM;
	}
	return 0;
}

int mlbd_control_open(struct mlbd_control *c, const char *path, bool replace, char err[256])
{
	struct sockaddr_un tmp;
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	struct stat st;
	int fd, rc;

	if (strlen(path) >= sizeof(tmp.sun_path) || temporary(path, &tmp)) {
		snprintf(err, 256, "control %.80s...: the path is too long for a Unix socket", path);
		return -ENAMETOOLONG;
	}
	if (lstat(path, &st) == 0 && (rc = foreign(path, &st, err)))
		return rc;
	if (!replace && (rc = mlbd_control_unused(path, err)))
		return rc;
	fd = bind_private(&tmp);
	if (fd < 0)
		return fail(path, fd, err);
	if (listen(fd, 16) < 0 || lstat(tmp.sun_path, &st) < 0 || epoll_ctl(c->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		rc = -errno;
		unlink(tmp.sun_path);
		close(fd);
		return fail(path, rc, err);
	}
	c->fd = fd;
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	strcpy(c->path, path);
	mlbd_control_poll(c);
	return 0;
}

int mlbd_control_name(struct mlbd_control *c, char err[256])
{
	struct sockaddr_un tmp;

	if (temporary(c->path, &tmp) || rename(tmp.sun_path, c->path) < 0)
		return fail(c->path, -errno, err);
	c->named = true;
	return 0;
}

/* The name is gone. A socket cannot get a second one, so another is bound; clients that are connected stay. */
static void again(struct mlbd_control *c)
{
	char path[sizeof(c->path)], err[256];
	int old = c->fd;

	strcpy(path, c->path);
	if (mlbd_control_open(c, path, false, err)) {
		if (!c->lost)
			mlbd_log("error", "%s", err);
		c->lost = true;
		return;
	}
	close(old); /* epoll forgets it with that */
	c->lost = false;
	c->named = mlbd_control_name(c, err) == 0;
	if (c->named)
		mlbd_log("warn", "control %s was removed: made again", path);
}

void mlbd_control_look(struct mlbd_control *c)
{
	struct stat st;
	char err[256];

	if (c->fd < 0 || c->handed_over)
		return;
	if (!c->named) {
		if (mlbd_control_name(c, err) == 0)
			mlbd_log("info", "control %s has its name now", c->path);
	} else if (lstat(c->path, &st) < 0) {
		if (errno == ENOENT)
			again(c);
	} else if ((st.st_dev != c->dev || st.st_ino != c->ino) && !c->lost) {
		c->lost = true;
		mlbd_log("error", "control %s is another's now: orders given there do not reach this data plane", c->path);
	}
}

/* Workers may have taken every descriptor where they share this table: a listener that is ready all the time and cannot be
 * accepted from would keep this thread busy. */
static void listen_again(struct mlbd_control *c, bool yes)
{
	struct epoll_event ev = { .events = yes ? EPOLLIN : 0, .data.ptr = c };

	c->paused = !yes;
	epoll_ctl(c->epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

void mlbd_control_poll(struct mlbd_control *c)
{
	if (c->fd >= 0 && c->spare_fd < 0)
		c->spare_fd = fcntl(c->epfd, F_DUPFD_CLOEXEC, 0);
	if (c->paused && c->spare_fd >= 0)
		listen_again(c, true);
}

static int accept_one(struct mlbd_control *c)
{
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || c->spare_fd < 0)
		return fd;
	close(c->spare_fd);
	c->spare_fd = -1;
	return accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void drop(struct mlbd_control *c, struct mlbd_client *cl)
{
	struct mlbd_client **at = &c->clients;

	while (*at != cl)
		at = &(*at)->next;
	*at = cl->next;
	c->hooks.gone(c->hooks.arg, cl->fd);
	close(cl->fd);
	mlbd_text_free(&cl->in);
	mlbd_text_free(&cl->out);
	free(cl);
	mlbd_control_poll(c);
}

/* Ends the client that was silent longest where there are as many as may be: whoever holds connections locks nobody out. */
static void make_room(struct mlbd_control *c)
{
	struct mlbd_client *last = NULL;
	uint32_t n = 0;

	for (struct mlbd_client *cl = c->clients; cl; cl = cl->next, n++)
		if (!c->hooks.keep(c->hooks.arg, cl->fd))
			last = cl;
	if (n >= MAX_CLIENTS && last)
		drop(c, last);
}

/* An answer that needs no memory. */
static void say_no_memory(int fd)
{
	static const char text[] = "error: no memory to answer\n";

	(void)!send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void accept_client(struct mlbd_control *c)
{
	struct mlbd_client *cl;
	int fd = accept_one(c);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			listen_again(c, false);
		return;
	}
	make_room(c);
	cl = calloc(1, sizeof(*cl));
	if (!cl) {
		say_no_memory(fd);
		close(fd);
		return;
	}
	cl->fd = fd;
	cl->next = c->clients;
	c->clients = cl;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = cl };

	if (epoll_ctl(c->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		say_no_memory(fd);
		drop(c, cl);
	}
}

/* It speaks: the first of the list. */
static void to_front(struct mlbd_control *c, struct mlbd_client *cl)
{
	struct mlbd_client **at = &c->clients;

	while (*at != cl)
		at = &(*at)->next;
	*at = cl->next;
	cl->next = c->clients;
	c->clients = cl;
}

static void one_line(struct mlbd_control *c, struct mlbd_client *cl, const char *line)
{
	char err[512];
	int rc = c->hooks.run(c->hooks.arg, cl->fd, line, &cl->out, err);

	if (rc < 0)
		mlbd_text_add(&cl->out, "error: %s\n", err);
	else if (rc != MLBD_CONTROL_SAID)
		mlbd_text_add(&cl->out, "ok\n");
}

static char *line_end(const struct mlbd_client *cl)
{
	return cl->in.len ? memchr(cl->in.s, '\n', cl->in.len) : NULL;
}

/* False: the client is gone. */
static bool flush(struct mlbd_control *c, struct mlbd_client *cl)
{
	bool busy;

	if (cl->out.failed) {
		say_no_memory(cl->fd);
		goto gone;
	}
	while (cl->sent < cl->out.len) {
		ssize_t n = send(cl->fd, cl->out.s + cl->sent, cl->out.len - cl->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			goto gone;
		cl->sent += (size_t)n;
	}
	busy = cl->sent < cl->out.len;
	if (!busy)
		cl->out.len = cl->sent = 0;
	busy |= line_end(cl) != NULL;
	if (cl->deaf && !busy)
		shutdown(cl->fd, SHUT_WR);
	if (cl->out.len > MAX_OUTPUT || (cl->closing && !busy))
		goto gone;
	/* While answers or questions wait nothing more is read: a client that does not read gets no memory. */
	struct epoll_event ev = { .events = busy ? EPOLLOUT : EPOLLIN | EPOLLRDHUP, .data.ptr = cl };

	epoll_ctl(c->epfd, EPOLL_CTL_MOD, cl->fd, &ev);
	return true;
gone:
	drop(c, cl);
	return false;
}

/* Lines that wait, as many as one turn allows. */
static void answer(struct mlbd_control *c, struct mlbd_client *cl)
{
	char *nl;

	for (uint32_t i = 0; i < TURN_LINES && cl->out.len < TURN_OUTPUT && (nl = line_end(cl)); i++) {
		size_t rest = cl->in.len - (size_t)(nl + 1 - cl->in.s);

		*nl = 0;
		one_line(c, cl, cl->in.s);
		memmove(cl->in.s, nl + 1, rest + 1);
		cl->in.len = rest;
	}
	flush(c, cl);
}

static void read_client(struct mlbd_control *c, struct mlbd_client *cl)
{
	char buf[16384];
	ssize_t n = recv(cl->fd, buf, sizeof(buf) - 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		cl->closing = true;
		if (n == 0 && cl->in.len &&
		    cl->in.s[cl->in.len - 1] != '\n') /* a last line without its end is one all the same */
			mlbd_text_add(&cl->in, "\n");
		answer(c, cl);
		return;
	}
	if (cl->deaf)
		return;
	to_front(c, cl);
	buf[n] = 0;
	mlbd_text_add(&cl->in, "%s", buf);
	if (strlen(buf) != (size_t)n || cl->in.failed || cl->in.len > MAX_LINE) {
		if (cl->in.failed)
			mlbd_text_add(&cl->out, "error: no memory for the line\n");
		else
			mlbd_text_add(&cl->out, "error: expected lines of text of at most %u bytes\n", MAX_LINE);
		cl->in.len = 0;
		cl->deaf = true;
		flush(c, cl);
		return;
	}
	answer(c, cl);
}

void mlbd_control_event(struct mlbd_control *c, struct mlbd_client *cl, uint32_t events)
{
	struct mlbd_client *known = c->clients;

	if (!cl) {
		accept_client(c);
		return;
	}
	while (known && known != cl)
		known = known->next;
	if (!known) /* dropped earlier in this batch */
		return;
	if (events & EPOLLOUT)
		answer(c, cl);
	else if (events & EPOLLIN)
		read_client(c, cl);
	else if (events & (EPOLLERR | EPOLLHUP))
		drop(c, cl);
}

void mlbd_control_close(struct mlbd_control *c)
{
	struct sockaddr_un tmp;
	struct stat st;

	while (c->clients) {
		struct mlbd_client *cl = c->clients;

		if (flush(c, cl)) /* the answer to `quit` */
			drop(c, cl);
	}
	if (c->fd < 0)
		return;
	close(c->fd);
	c->fd = -1;
	if (c->spare_fd >= 0)
		close(c->spare_fd);
	if (!c->named && temporary(c->path, &tmp) == 0)
		unlink(tmp.sun_path);
	/* Somebody may have put another there. */
	if (!c->handed_over && lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
		unlink(c->path);
}
