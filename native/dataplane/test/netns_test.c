/* SPDX-License-Identifier: Apache-2.0 */
/* What needs networks of its own; skipped where this user may not make them. */
#include "dp_process.h"

#include <sched.h>

#include "transparent.h"

static bool own_network(void)
{
	return unshare(CLONE_NEWNET) == 0 && system("ip link set lo up >/dev/null 2>&1") == 0;
}

/* Runs a test in a process of its own, which stays the only one in its network. */
static void apart(void (*test)(void))
{
	int status = -1;

	if (geteuid() != 0 || system("ip link >/dev/null 2>&1") != 0)
		SKIP("needs root and the command ip");
	fflush(stdout);
	pid_t child = fork();

	if (child == 0) {
		if (!own_network())
			_exit(77);
		mlbtest_failed = 0;
		test();
		fflush(stdout);
		_exit(mlbtest_failed != 0);
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP("cannot make a network namespace");
	CHECK_EQ(status, 0);
}

/* Nobody listens on the server's port, and the kernel has little else to choose from for our end of the connect. */
static void self_connect(void)
{
	enum { PORT = 40000, TRIES = 200 };
	struct dp d;
	int answered = 0, how;

	dp_start(&d, PORT, "1", NULL);
	CHECK_EQ(system("echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range"), 0);
	for (int i = 0; i < TRIES; i++) {
		int client = dp_dial(d.port);
		char got;

		if (client >= 0 && dp_write(client, "?", 1))
			answered += dp_read(client, &got, 1, &how) == 1;
		close(client);
	}
	CHECK_EQ(answered, 0);
	CHECK_EQ(dp_count(&d, "refusals", TRIES), TRIES);
	CHECK_EQ(dp_count(&d, "completions", 0), 0);
	CHECK_EQ(dp_stop(&d), 0);
}

TEST(a_connect_that_meets_itself_has_failed)
{
	apart(self_connect);
}

static int bound(const char *address, uint16_t port, bool dial)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = dp_patient(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	inet_pton(AF_INET, address, &a.sin_addr);
	if ((dial ? connect(fd, (struct sockaddr *)&a, sizeof(a)) :
		    bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 16)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The client is in a network of its own, 10.9.0.2; the data plane at 10.9.0.1, the server at 10.9.1.1. Answers of the server are
 * routed back to this machine. */
static void transparent_source(void)
{
	struct dp d;
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	char text[INET_ADDRSTRLEN] = "", command[256], got = 0;
	int ready[2], go[2], how, status = -1;

	CHECK_EQ(pipe(ready), 0);
	CHECK_EQ(pipe(go), 0);
	pid_t client = fork();

	if (client == 0) {
		char byte;

		if (!own_network() || write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1 ||
		    system("ip addr add 10.9.0.2/24 dev far && ip link set far up") != 0 || write(ready[1], "r", 1) != 1 ||
		    read(go[0], &byte, 1) != 1)
			_exit(1);
		int fd = bound("10.9.0.1", 8080, true);

		_exit(!(fd >= 0 && dp_write(fd, "?", 1) && dp_read(fd, &byte, 1, &how) == 1 && byte == '!'));
	}
	CHECK_EQ(read(ready[0], &got, 1), 1);
	snprintf(command, sizeof(command),
		 "ip link add near type veth peer name far && ip link set far netns %d && ip addr add 10.9.0.1/24 dev near && "
		 "ip link set near up && ip addr add 10.9.1.1/32 dev lo && ip rule add from 10.9.1.1 lookup 100 && "
		 "ip route add local 0.0.0.0/0 dev lo table 100",
		 (int)client);
	if (system(command) != 0) {
		kill(client, SIGKILL);
		waitpid(client, &status, 0);
		printf("# this kernel cannot make the networks of the test\n");
		fflush(stdout);
		_exit(77);
	}
	CHECK_EQ(write(go[1], "g", 1), 1);
	CHECK_EQ(read(ready[0], &got, 1), 1);
	int listener = bound("10.9.1.1", 9000, false);

	CHECK(listener >= 0);
	dp_start(&d, 9, "1", NULL);
	CHECK_STR(dp_control(&d, "transparent on"), "ok\n");
	CHECK_STR(dp_control(&d, "vip seen 10.9.0.1:8080"), "ok\n");
	CHECK_STR(dp_control(&d, "server vip seen 10.9.1.1:9000"), "ok\n");
	CHECK_EQ(write(go[1], "g", 1), 1);
	int server = dp_patient(accept(listener, (struct sockaddr *)&peer, &len));

	CHECK(server >= 0);
	inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text));
	CHECK_STR(text, "10.9.0.2");
	CHECK(dp_read(server, &got, 1, &how) == 1 && dp_write(server, "!", 1));
	CHECK_EQ(waitpid(client, &status, 0), client);
	CHECK_EQ(status, 0);
	close(server);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

TEST(a_server_sees_the_clients_address)
{
	apart(transparent_source);
}

TEST(transparent_without_the_capability_is_an_error)
{
	char err[256] = "";
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(1);
		_exit(!(mlbd_transparent_allowed(err) == -EPERM && strstr(err, "expected CAP_NET_ADMIN")));
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

MLB_TEST_MAIN(CASE(a_connect_that_meets_itself_has_failed), CASE(a_server_sees_the_clients_address),
	      CASE(transparent_without_the_capability_is_an_error))
