/* SPDX-License-Identifier: Apache-2.0 */
/* A marllb-dp of a folder of its own, one of whose calls to the system fails: begun, asked, and ended with a word about what went
 * wrong. */
#ifndef FAULTY_PROCESS_H
#define FAULTY_PROCESS_H

#include <dirent.h>

#include "dp_process.h"
#include "fault.h"

#define MOST 5000 /* calls; a run that makes more would be another program */

static char folder[] = "/tmp/marllb-faults-XXXXXX";
static uint16_t origin_port;

struct run {
	pid_t pid;
	int out;
	uint16_t port, udp;
	struct fault *fault;
	char log[96];
};

static const char *path_of(const char *name)
{
	static char path[4][96];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", folder, name);
	return path[i];
}

/* Answers each TCP client and each datagram with what it said. */
static pid_t origin(void)
{
	struct sockaddr_in a;
	int tcp = dp_listen(&origin_port), udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), how;
	pid_t pid;

	a = dp_at(origin_port);
	if (bind(udp, (struct sockaddr *)&a, sizeof(a)))
		abort();
	pid = fork();
	while (pid == 0) {
		struct pollfd p[2] = { { .fd = tcp, .events = POLLIN }, { .fd = udp, .events = POLLIN } };
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		char buf[64];

		poll(p, 2, -1);
		if (p[0].revents) {
			int fd = dp_patient(accept(tcp, NULL, NULL));
			size_t n = dp_read(fd, buf, 4, &how);

			dp_write(fd, buf, n);
			close(fd);
		}
		ssize_t n = p[1].revents ? recvfrom(udp, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len) : -1;

		if (n >= 0)
			sendto(udp, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
	close(tcp);
	close(udp);
	return pid;
}

static void write_conf(const char *more)
{
	FILE *f = fopen(path_of("conf"), "w");

	fprintf(f,
		"region %s\ncontrol %s\nthreads 2\nframe 20ms\ndrain-timeout 5s\nudp-timeout 1s\nvip web 127.0.0.1:0 "
		"max-connections-per-source "
		"1000\n"
		"server vip web 127.0.0.1:%u\nvip dns 127.0.0.1:0 protocol udp responses 1\nserver vip dns 127.0.0.1:%u\n%s",
		path_of("region"), path_of("control"), origin_port, origin_port, more);
	fclose(f);
}

/* In a process of its own, which ends as main() would: a sanitizer looks for leaks then. */
static void begin(struct run *r, bool takeover)
{
	int out[2];

	if (!r->fault)
		r->fault = fault_new();
	if (pipe2(out, O_CLOEXEC))
		abort();
	fflush(stdout);
	r->pid = fork();
	if (r->pid == 0) {
		char conf[96];
		char *argv[] = { "marllb-dp", "--config", conf, takeover ? "--takeover" : NULL, NULL };

		snprintf(conf, sizeof(conf), "%s", path_of("conf"));
		dup2(out[1], 1);
		dup2(open(r->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), 2);
		fault_mine = r->fault;
		exit(mlbd_run(takeover ? 4 : 3, argv));
	}
	close(out[1]);
	r->out = out[0];
}

/* True: it serves. False: it has ended. */
static bool await_ready(struct run *r)
{
	char line[1024] = "";
	size_t len = 0;
	ssize_t k;
	struct pollfd p = { .fd = r->out, .events = POLLIN };

	while (!strchr(line, '\n') && len < sizeof(line) - 1) {
		if (poll(&p, 1, 30000) != 1) { /* it hangs, which end_refused tells */
			kill(r->pid, SIGABRT);
			break;
		}
		if ((k = read(r->out, line + len, sizeof(line) - 1 - len)) <= 0)
			break;
		line[len += (size_t)k] = 0;
	}
	close(r->out);
	const char *web = strstr(line, "\"name\":\"web\""), *dns = strstr(line, "\"name\":\"dns\"");

	web = web ? strstr(web, "\"port\":") : NULL;
	dns = dns ? strstr(dns, "\"port\":") : NULL;
	r->port = web ? (uint16_t)atoi(web + 7) : 0;
	r->udp = dns ? (uint16_t)atoi(dns + 7) : 0;
	if (strchr(line, '\n') && !(web && dns)) {
		printf("# ready without its VIPs: %s", line);
		kill(r->pid, SIGABRT);
	}
	return web && dns;
}

static const char *said(const struct run *r)
{
	static char text[65536];
	int fd = open(r->log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	close(fd);
	return text;
}

/* What went wrong, with what had failed. */
static void complain(const char *where, long n, const struct run *r, const char *what)
{
	printf("# %s: call %ld (%s): %s\n# %s\n", where, n, r->fault->what, what, said(r));
	CHECK(!"a failed call is met");
}

static void end_well(struct run *r, const char *where, long n)
{
	int status = -1;

	waitpid(r->pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || strstr(said(r), "Sanitizer"))
		complain(where, n, r, "it did not end well");
}

/* It could not start: one sentence, and no file is left. */
static void end_refused(struct run *r, const char *where, long n)
{
	int status = -1;
	const char *text;

	waitpid(r->pid, &status, 0);
	text = said(r);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
		complain(where, n, r, "it did not end with exit code 1");
	else if (strstr(text, "Sanitizer") || !strstr(text, "marllb-dp: ") || strlen(text) < sizeof("marllb-dp: no memory"))
		complain(where, n, r, "it did not say why in a sentence");
}

/* The files of the folder, but for those of the test. */
static int files_left(void)
{
	static const char *const mine[] = { ".", "..", "conf", "log-a", "log-b" };
	DIR *d = opendir(folder);
	int left = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		bool known = false;

		for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
			known |= strcmp(e->d_name, mine[i]) == 0;
		if (!known)
			printf("# left behind: %s\n", e->d_name);
		left += !known;
	}
	closedir(d);
	return left;
}

/* The answer, also one that came instead of a question. */
static const char *control(const char *line)
{
	static char answer[65536];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = dp_patient(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), how;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path_of("control"));
	answer[0] = 0;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
		if (dp_write(fd, line, strlen(line)))
			dp_write(fd, "\n", 1);
		shutdown(fd, SHUT_WR);
		answer[dp_read(fd, answer, sizeof(answer) - 1, &how)] = 0;
	}
	close(fd);
	return answer;
}

static bool ask_tcp(uint16_t port)
{
	char buf[8];
	int fd = dp_dial(port), how;
	bool ok = fd >= 0 && dp_write(fd, "ping", 4) && dp_read(fd, buf, 4, &how) == 4;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool ask_udp(uint16_t port)
{
	struct sockaddr_in to = dp_at(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool ok = sendto(fd, "ping", 4, 0, (struct sockaddr *)&to, sizeof(to)) == 4 && poll(&p, 1, 500) == 1;

	close(fd);
	return ok;
}

/* A listener that found no room is tried again every 100 ms. */
static bool serves(const struct run *r)
{
	bool tcp = false, udp = false;

	for (int i = 0; i < 40 && !(tcp && udp); i++) {
		if (i)
			usleep(50000);
		tcp = tcp || ask_tcp(r->port);
		udp = udp || ask_udp(r->udp);
	}
	if (!tcp || !udp)
		printf("# no answer:%s%s\n", tcp ? "" : " tcp", udp ? "" : " udp");
	return tcp && udp;
}

/* Descriptors of all threads: each worker has a table of its own. */
static int descriptors(pid_t pid)
{
	char path[96];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);

	for (struct dirent *t; tasks && (t = readdir(tasks));) {
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/fd", pid, t->d_name);
		DIR *fds = t->d_name[0] == '.' ? NULL : opendir(path);

		for (struct dirent *e; fds && (e = readdir(fds));)
			n += e->d_name[0] != '.';
		if (fds)
			closedir(fds);
	}
	closedir(tasks);
	return n;
}

static bool settles(pid_t pid, int most)
{
	for (int i = 0; i < 100; i++, usleep(50000))
		if (descriptors(pid) <= most)
			return true;
	printf("# %d descriptors, expected %d\n", descriptors(pid), most);
	return false;
}

#endif
