/* SPDX-License-Identifier: Apache-2.0 */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fds.h"
#include "notify.h"
#include "signals.h"
#include "supervised.h"

#define SETTLED_US 1000000u   /* one that lived so long did not die of its start */
#define FIRST_BACKOFF_MS 100u /* else the next one waits a little longer each time */
#define LAST_BACKOFF_MS 2000u

struct held {
	char vip[MLB_NAME_LEN];
	int fd[MLBD_FDS_MOST];
	uint32_t fds;
	bool named; /* since the last begin */
};

struct supervisor {
	char **argv, **again; /* of the first data plane, and of those after it */
	pid_t pid;            /* 0: none runs */
	int chan, signal_fd;
	int config;        /* file of what the data plane was configured by; -1: not told yet */
	bool failed_young; /* the last one did not come to serve: the next is to take `config` */
	struct held held[MLB_MAX_VIPS];
	uint32_t n;
	bool ready, ever_ready; /* the one that runs; any */
	bool over, left;        /* what the one that runs has said of its end (supervised.h) */
	bool stopping, leave;
	uint64_t ready_us;
	uint32_t backoff_ms;
	sigset_t before;
};

static void let_go(struct supervisor *s, uint32_t i)
{
	struct held *h = &s->held[i];

	while (h->fds)
		close(h->fd[--h->fds]);
	*h = s->held[--s->n];
}

static void let_all_go(struct supervisor *s)
{
	while (s->n)
		let_go(s, 0);
}

static int held_fds(const struct supervisor *s)
{
	int total = 0;

	for (uint32_t i = 0; i < s->n; i++)
		total += (int)s->held[i].fds;
	return total;
}

/* The held descriptors from 3 on, then the socket and the configuration, whose numbers are so known before the fork. First all
 * move out of the way: they must not fall on one another. Only calls that are safe after a fork. */
static bool place(struct supervisor *s, int chan)
{
	int next = MLBD_FIRST_INHERITED, beyond = next + held_fds(s) + 2, config = -1;

	chan = fcntl(chan, F_DUPFD_CLOEXEC, beyond);
	if (s->config >= 0 && (config = fcntl(s->config, F_DUPFD_CLOEXEC, beyond)) < 0)
		return false;
	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t k = 0; k < s->held[i].fds; k++) {
			s->held[i].fd[k] = fcntl(s->held[i].fd[k], F_DUPFD_CLOEXEC, beyond);
			if (s->held[i].fd[k] < 0)
				return false;
		}
	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t k = 0; k < s->held[i].fds; k++)
			if (dup2(s->held[i].fd[k], next++) < 0)
				return false;
	return chan >= 0 && dup2(chan, next) >= 0 && (config < 0 || dup2(config, next + 1) >= 0);
}

/* The child's, made before the fork, for the log's thread may be in malloc meanwhile. Its service manager is this process. */
static char **environment(const struct supervisor *s, struct mlbd_text *own, struct mlbd_text *config)
{
	size_t n = 0, k = 0;
	char **env;

	mlbd_text_add(own, MLBD_SUPERVISOR_ENV "=%d", MLBD_FIRST_INHERITED + held_fds(s));
	for (uint32_t i = 0; i < s->n; i++)
		mlbd_text_add(own, " %s %u", s->held[i].vip, s->held[i].fds);
	if (s->config >= 0)
		mlbd_text_add(config, MLBD_LAST_CONFIG_ENV "=%d%s", MLBD_FIRST_INHERITED + held_fds(s) + 1,
			      s->failed_young ? " instead" : "");
	while (environ[n])
		n++;
	env = own->failed || config->failed ? NULL : calloc(n + 3, sizeof(*env));
	for (size_t i = 0; env && i < n; i++)
		if (strncmp(environ[i], "NOTIFY_SOCKET=", 14) != 0)
			env[k++] = environ[i];
	if (env) {
		env[k++] = own->s;
		env[k] = config->s;
	}
	return env;
}

static void become(struct supervisor *s, int chan, char **argv, char **env)
{
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	if (place(s, chan))
		execvpe(argv[0], argv, env);
	_exit(127);
}

static int start(struct supervisor *s)
{
	struct mlbd_text own = { 0 }, config = { 0 };
	char **env = environment(s, &own, &config);
	int pair[2] = { -1, -1 }, rc = env ? mlbd_fds_pair(pair) : -ENOMEM;

	if (rc == 0) {
		s->pid = fork();
		if (s->pid == 0)
			become(s, pair[1], s->ever_ready ? s->again : s->argv, env);
		rc = s->pid < 0 ? -errno : 0;
		close(pair[1]);
	}
	free(env);
	mlbd_text_free(&own);
	mlbd_text_free(&config);
	s->chan = pair[0];
	s->ready = s->over = s->left = false;
	if (rc == 0)
		return 0;
	mlbd_log("error", "supervisor: cannot start the data plane: %s", strerror(-rc));
	if (s->chan >= 0)
		close(s->chan);
	s->chan = -1;
	s->pid = 0;
	return rc;
}

static void hold(struct supervisor *s, const char *vip, const int *fd, uint32_t fds)
{
	uint32_t i = 0;
	struct held *h;

	while (i < s->n && strcmp(s->held[i].vip, vip) != 0)
		i++;
	if (i == MLB_MAX_VIPS) {
		while (fds)
			close(fd[--fds]);
		return;
	}
	h = &s->held[i];
	if (i == s->n)
		*h = (struct held){ .fds = 0 };
	s->n += i == s->n;
	while (h->fds)
		close(h->fd[--h->fds]);
	snprintf(h->vip, sizeof(h->vip), "%s", vip);
	memcpy(h->fd, fd, fds * sizeof(*fd));
	h->fds = fds;
	h->named = true;
}

static void on_ready(struct supervisor *s)
{
	s->ready = true;
	s->ready_us = mlbd_now_us();
	if (!s->ever_ready)
		mlbd_notify("READY=1");
	s->ever_ready = true;
}

static void understand(struct supervisor *s, const char *what, const int *fd, uint32_t fds)
{
	const size_t hold_len = strlen(MLBD_SAY_HOLD);

	if (strncmp(what, MLBD_SAY_HOLD, hold_len) == 0 && strlen(what + hold_len) < MLB_NAME_LEN) {
		hold(s, what + hold_len, fd, fds);
		return;
	}
	if (strcmp(what, MLBD_SAY_CONFIG) == 0 && fds == 1) {
		if (s->config >= 0)
			close(s->config);
		s->config = fd[0];
		return;
	}
	while (fds)
		close(fd[--fds]);
	if (strcmp(what, MLBD_SAY_BEGIN) == 0)
		for (uint32_t i = 0; i < s->n; i++)
			s->held[i].named = false;
	else if (strcmp(what, MLBD_SAY_END) == 0)
		for (uint32_t i = s->n; i-- > 0;)
			if (!s->held[i].named)
				let_go(s, i);
	if (strcmp(what, MLBD_SAY_READY) == 0)
		on_ready(s);
	s->over |= strcmp(what, MLBD_SAY_OVER) == 0;
	s->left |= strcmp(what, MLBD_SAY_LEFT) == 0;
}

/* All messages that are there. */
static void hear(struct supervisor *s)
{
	for (;;) {
		union mlbd_fds_room room;
		char text[128];
		struct iovec iov = { text, sizeof(text) - 1 };
		struct msghdr m = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.buf, .msg_controllen = sizeof(room.buf)
		};
		ssize_t n = recvmsg(s->chan, &m, MSG_CMSG_CLOEXEC);
		struct cmsghdr *cm = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
		int fd[MLBD_FDS_MOST];
		size_t fds = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0 || errno != EAGAIN) {
				close(s->chan);
				s->chan = -1;
			}
			return;
		}
		if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS) {
			fds = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(fd, CMSG_DATA(cm), fds * sizeof(int));
		}
		if (m.msg_flags & MSG_CTRUNC)
			mlbd_log("error", "supervisor: listeners were lost on the way (ulimit -n?)");
		text[n] = 0;
		understand(s, text, fd, (uint32_t)fds);
	}
}

static void on_signal(struct supervisor *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		int sig = (int)si.ssi_signo;

		if (sig == SIGCHLD)
			continue;
		if (sig == SIGUSR2) {
			s->leave = true;
			continue;
		}
		if (sig != SIGHUP) {
			s->stopping = true;
			mlbd_notify("STOPPING=1");
			let_all_go(s);
		}
		/* A terminal has sent it to the data plane as well; a second one would make it quit at once. */
		if (s->pid && (sig == SIGHUP || si.ssi_code != SI_KERNEL))
			kill(s->pid, sig);
	}
}

/* Hears until `until_us` (UINT64_MAX: without end), or until the data plane has ended: true, with its status. */
static bool attend(struct supervisor *s, uint64_t until_us, int *status)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = s->signal_fd, .events = POLLIN }, { .fd = s->chan, .events = POLLIN } };
		uint64_t now = mlbd_now_us();
		int ms = until_us == UINT64_MAX ? -1 : until_us > now ? (int)((until_us - now + 999) / 1000) : 0;

		if (s->leave || (!s->pid && (s->stopping || now >= until_us)))
			return false;
		poll(p, s->chan >= 0 ? 2 : 1, ms);
		on_signal(s);
		if (s->chan >= 0)
			hear(s);
		if (s->pid && waitpid(s->pid, status, WNOHANG) == s->pid) {
			if (s->chan >= 0) { /* its last words */
				hear(s);
				if (s->chan >= 0)
					close(s->chan);
				s->chan = -1;
			}
			s->pid = 0;
			return true;
		}
	}
}

/* As a line of standard output too, where the ready line of the next one follows: for a launcher. */
static void say_end(int status)
{
	char why[64], line[128];
	struct pollfd out = { .fd = 1, .events = POLLOUT };
	int n;

	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "ended with exit code %d", WEXITSTATUS(status));
	mlbd_log("error", "the data plane %s; its listeners are held, the next one is started", why);
	n = snprintf(line, sizeof(line), "{\"ready\":false,\"why\":\"%s\"}\n", why);
	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) && write(1, line, (size_t)n) < 0)
		mlbd_log("warn", "cannot print that the data plane ended: %s", strerror(errno));
}

/* True: the next one is to be started, after a pause where the last one died young. */
static bool again(struct supervisor *s, int status)
{
	bool asked = s->left || (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !s->over);
	uint64_t now = mlbd_now_us();
	int none;

	if (s->stopping || asked || !s->ever_ready)
		return false;
	s->failed_young = !s->ready && !s->failed_young; /* the file has its chance every other time */
	say_end(status);
	if (s->ready && now - s->ready_us >= SETTLED_US)
		s->backoff_ms = 0;
	if (s->backoff_ms)
		attend(s, now + s->backoff_ms * 1000u, &none);
	s->backoff_ms = s->backoff_ms == 0 ? FIRST_BACKOFF_MS : s->backoff_ms * 2;
	if (s->backoff_ms > LAST_BACKOFF_MS)
		s->backoff_ms = LAST_BACKOFF_MS;
	return !s->stopping && !s->leave;
}

static int serve(struct supervisor *s)
{
	int status = 0;

	for (;;) {
		if (start(s)) {
			if (!s->ever_ready)
				return 1;
			attend(s, mlbd_now_us() + LAST_BACKOFF_MS * 1000u, &status);
			if (s->stopping || s->leave)
				return 0;
			continue;
		}
		if (!attend(s, UINT64_MAX, &status)) {
			mlbd_log("info", "the supervisor leaves; its data plane serves on until another takes over from it");
			return 0;
		}
		if (!again(s, status))
			return WIFEXITED(status) ? WEXITSTATUS(status) : s->stopping || s->leave || s->left ? 0 : 1;
	}
}

/* The data plane's own command line; `again` has --takeover, for whoever serves in the place of one that was there before. */
static char **command(int argc, char **argv, bool takeover)
{
	char **out = calloc((size_t)argc + 2, sizeof(*out));
	int n = 0;

	for (int i = 0; out && i < argc; i++) {
		if (i && strcmp(argv[i], "--supervise") == 0)
			continue;
		takeover &= i == 0 || strcmp(argv[i], "--takeover") != 0;
		out[n++] = argv[i];
	}
	if (out && takeover)
		out[n] = "--takeover";
	return out;
}

static int listen_to_signals(struct supervisor *s)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&set, wanted[i]);
	sigprocmask(SIG_BLOCK, &set, &s->before);
	mlbd_signals_ignore();
	signal(SIGUSR2, SIG_DFL); /* blocked, and read: an ignored one would never come */
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return s->signal_fd < 0 ? -errno : 0;
}

int mlbd_supervise(int argc, char **argv, char err[512])
{
	struct supervisor *s = calloc(1, sizeof(*s));
	struct rlimit files;
	int rc = -ENOMEM;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (s) {
		s->chan = s->config = -1;
		s->argv = command(argc, argv, false);
		s->again = command(argc, argv, true);
		if (s->argv && s->again)
			rc = listen_to_signals(s);
	}
	if (rc == 0)
		rc = mlbd_log_start(); /* signals are blocked by now: its thread inherits that */
	if (rc == 0) {
		rc = serve(s);
		let_all_go(s);
		mlbd_log_stop();
	} else {
		snprintf(err, 512, "supervisor: %s", strerror(-rc));
	}
	if (s) {
		free(s->argv);
		free(s->again);
	}
	free(s);
	return rc;
}
