/* SPDX-License-Identifier: Apache-2.0 */
/* What a new data plane believes of whoever answers at the control path. */
#include <sys/stat.h>

#include "dp_process.h"
#include "fds.h"
#include "takeover.h"

static char folder[] = "/tmp/marllb-takeover-XXXXXX", path[64];

static int listening(uint16_t *port, int type)
{
	struct sockaddr_in a = dp_at(0);
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_STREAM && listen(fd, 8)) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		abort();
	*port = ntohs(a.sin_port);
	return fd;
}

/* A process in the old one's place, as `uid`, that gives `fd`, `count` times, as listeners of 127.0.0.1:port. */
static pid_t old_one(uid_t uid, const int *fd, uint32_t count, uint16_t port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char line[128], ask[32];
	pid_t pid = fork();
	int s, c;

	if (pid)
		return pid;
	if (uid && setuid(uid))
		_exit(2);
	strcpy(a.sun_path, path);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 8))
		_exit(3);
	c = accept(s, NULL, NULL);
	snprintf(line, sizeof(line), "listener web 127.0.0.1:%u %u\n", port, count);
	if (recv(c, ask, sizeof(ask), 0) > 0) {
		for (uint32_t sent = 0, n; sent < count; sent += n) {
			n = count - sent < MLBD_FDS_MOST ? count - sent : MLBD_FDS_MOST;
			mlbd_fds_send(c, sent ? "# more\n" : line, fd, n);
		}
		dp_write(c, "ok\n", 3);
	}
	recv(c, ask, sizeof(ask), 0);
	_exit(0);
}

static int fetch(uid_t uid, int fd, uint32_t count, uint16_t port, struct mlbd_inherit *in, char err[256])
{
	static int same[512];
	pid_t pid;
	int rc;

	for (uint32_t i = 0; i < count; i++)
		same[i] = fd;
	pid = old_one(uid, same, count, port);
	for (int i = 0; i < 1000; i++, usleep(10000)) { /* until it listens */
		rc = mlbd_takeover_fetch(in, path, false, err);
		if (rc || in->control >= 0)
			break;
	}
	unlink(path);
	if (rc)
		kill(pid, SIGKILL);
	return rc;
}

TEST(a_listener_that_could_block_is_made_not_to)
{
	static struct mlbd_inherit in;
	struct mlbd_vip_opts web = { 0 };
	char err[256] = "";
	uint16_t port;
	int fd = listening(&port, SOCK_STREAM), *got = NULL;

	CHECK(mkdtemp(folder) != NULL);
	CHECK_EQ(chmod(folder, 0777), 0);
	snprintf(path, sizeof(path), "%s/control", folder);
	CHECK_EQ(fetch(0, fd, 3, port, &in, err), 0);
	CHECK_STR(err, "");
	CHECK_EQ(in.listeners.n, 1);
	web.conf.ep = in.listeners.of[0].ep;
	CHECK_EQ(mlbd_listeners_claim(&in.listeners, &web, &got), 3);
	CHECK(got && (fcntl(got[0], F_GETFL) & O_NONBLOCK));
	for (int i = 0; got && i < 3; i++)
		close(got[i]);
	free(got);
	mlbd_takeover_free(&in);
	while (wait(NULL) > 0)
		;
	close(fd);
}

static void refused(uid_t uid, int fd, uint32_t count, uint16_t port, const char *why)
{
	static struct mlbd_inherit in;
	char err[256] = "";

	CHECK(fetch(uid, fd, count, port, &in, err) < 0);
	CHECK(strstr(err, why) != NULL);
	if (!strstr(err, why))
		printf("# said: %s\n", err);
	CHECK_EQ(in.listeners.n, 0);
	CHECK_EQ(in.control, -1);
	while (wait(NULL) > 0)
		;
}

TEST(more_listeners_than_threads_can_be_are_refused)
{
	uint16_t port;
	int fd = listening(&port, SOCK_STREAM);

	refused(0, fd, 65, port, "65 listeners, expected at most 64");
	refused(0, fd, 300, port, "300 listeners, expected at most 64");
	close(fd);
}

TEST(what_is_no_listener_of_that_address_is_refused)
{
	uint16_t port, other;
	int udp = listening(&port, SOCK_DGRAM), tcp = listening(&other, SOCK_STREAM), file = open("/dev/null", O_RDWR);

	refused(0, udp, 1, port, "no listening socket");
	refused(0, tcp, 1, port, "no listening socket");
	refused(0, file, 1, port, "no listening socket");
	close(udp);
	close(tcp);
	close(file);
}

TEST(another_user_is_not_believed)
{
	uint16_t port;
	int fd;

	if (geteuid() != 0)
		SKIP("takes root, to be another user for a moment");
	fd = listening(&port, SOCK_STREAM);
	refused(65534, fd, 1, port, "belongs to user 65534");
	close(fd);
	unlink(path);
	rmdir(folder);
}

MLB_TEST_MAIN(CASE(a_listener_that_could_block_is_made_not_to), CASE(more_listeners_than_threads_can_be_are_refused),
	      CASE(what_is_no_listener_of_that_address_is_refused), CASE(another_user_is_not_believed))
