/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of marllb-dp in a process of its own, for what Node's sockets cannot do: urgent data, stopped processes, few
 * descriptors. */
#ifndef DP_PROCESS_H
#define DP_PROCESS_H
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mlbtest.h"
#include "run.h"

struct dp {
	pid_t pid;
	int hold;      /* its standard input: it stops when this is closed */
	uint16_t port; /* of the VIP `web` */
	char folder[64];
	char line[160]; /* for a test that makes a control line */
};

static inline struct sockaddr_in dp_at(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* No call of a test hangs for ever. */
static inline int dp_patient(int fd)
{
	struct timeval t = { 20, 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	return fd;
}

static inline int dp_listen(uint16_t *port)
{
	struct sockaddr_in a = dp_at(0);
	socklen_t len = sizeof(a);
	int fd = dp_patient(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 128) || getsockname(fd, (struct sockaddr *)&a, &len))
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

static inline int dp_dial(uint16_t port)
{
	struct sockaddr_in a = dp_at(port);
	int fd = dp_patient(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Reads to the end or up to `most` bytes; *how is 0 at an end, else errno. */
static inline size_t dp_read(int fd, char *buf, size_t most, int *how)
{
	size_t n = 0;
	ssize_t k = 1;

	while (n < most && (k = recv(fd, buf + n, most - n, 0)) > 0)
		n += (size_t)k;
	*how = k < 0 ? errno : 0;
	return n;
}

static inline bool dp_write(int fd, const char *buf, size_t n)
{
	for (ssize_t k; n; buf += k, n -= (size_t)k)
		if ((k = send(fd, buf, n, MSG_NOSIGNAL)) <= 0)
			return false;
	return true;
}

/* One server, whose port is given. prepare (may be NULL) runs in the new process first. */
static inline void dp_start(struct dp *d, uint16_t server, const char *threads, void (*prepare)(void))
{
	int in[2], out[2];
	char line[1024] = "";
	size_t len = 0;
	ssize_t k;

	strcpy(d->folder, "/tmp/marllb-dp-XXXXXX");
	if (!mkdtemp(d->folder) || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		abort();
	d->pid = fork();
	if (d->pid == 0) {
		char shm[96], control[96], to[64], log[96];
		char *argv[] = {
			"marllb-dp", "--region", shm,     "--control",       control,    "--threads", (char *)threads,
			"--frame",   "20ms",     "--vip", "web 127.0.0.1:0", "--server", to,          "--stop-with-stdin",
			NULL
		};

		snprintf(shm, sizeof(shm), "%s/region", d->folder);
		snprintf(control, sizeof(control), "%s/control", d->folder);
		snprintf(log, sizeof(log), "%s/log", d->folder);
		snprintf(to, sizeof(to), "127.0.0.1:%u", server);
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), 2);
		close(in[1]);
		if (prepare)
			prepare();
		_exit(mlbd_run((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv));
	}
	close(in[0]);
	close(out[1]);
	d->hold = in[1];
	while (!strchr(line, '\n') && len < sizeof(line) - 1 && (k = read(out[0], line + len, sizeof(line) - 1 - len)) > 0)
		line[len += (size_t)k] = 0;
	close(out[0]);
	const char *port = strstr(line, "\"port\":");

	d->port = port ? (uint16_t)atoi(port + 7) : 0;
	CHECK(d->port != 0);
}

/* The answer to one command; static. */
static inline const char *dp_control(const struct dp *d, const char *line)
{
	static char answer[65536];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = dp_patient(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), how;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control", d->folder);
	answer[0] = 0;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && dp_write(fd, line, strlen(line)) && dp_write(fd, "\n", 1)) {
		shutdown(fd, SHUT_WR);
		answer[dp_read(fd, answer, sizeof(answer) - 1, &how)] = 0;
	}
	close(fd);
	return answer;
}

/* A count of the server's in `show stats json`, once it is `want` or after ten seconds. */
static inline long dp_count(const struct dp *d, const char *name, long want)
{
	char key[64];
	long v = -1;

	snprintf(key, sizeof(key), "\"%s\":", name);
	for (int i = 0; i < 500 && v != want; i++) {
		const char *at = strstr(dp_control(d, "show stats json"), key);

		v = at ? atol(at + strlen(key)) : -1;
		if (v != want)
			usleep(20000);
	}
	return v;
}

/* Removes what it left. */
static inline void dp_clean(struct dp *d)
{
	static const char *const files[] = { "log", "region", "control" };
	char path[96];

	close(d->hold);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", d->folder, files[i]);
		unlink(path);
	}
	rmdir(d->folder);
}

/* Its exit status, which should be 0. */
static inline int dp_stop(struct dp *d)
{
	int status = -1;

	kill(d->pid, SIGCONT);
	close(d->hold);
	d->hold = -1;
	waitpid(d->pid, &status, 0);
	dp_clean(d);
	return status;
}
#endif
