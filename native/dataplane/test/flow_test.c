/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life at its edges, in the whole of marllb-dp. */
#include "dp_process.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

#include "buffers.h"
#include "keepalive.h"

/* A request and its answer through the VIP at `port`; the client's socket stays open. -1: it was turned away. */
static int exchange(uint16_t port, int listener, int *server)
{
	int client = dp_dial(port), how;
	char got;

	*server = -1;
	if (client < 0 || !dp_write(client, "?", 1))
		return -1;
	struct pollfd p[2] = { { .fd = listener, .events = POLLIN }, { .fd = client, .events = POLLIN } };

	if (poll(p, 2, 20000) <= 0 || !(p[0].revents & POLLIN)) {
		close(client);
		return -1;
	}
	*server = dp_patient(accept(listener, NULL, NULL));
	if (dp_read(*server, &got, 1, &how) != 1 || !dp_write(*server, "!", 1) || dp_read(client, &got, 1, &how) != 1) {
		close(client);
		close(*server);
		return -1;
	}
	return client;
}

static bool serves(uint16_t port, int listener)
{
	int server, client = exchange(port, listener, &server);

	if (client < 0)
		return false;
	close(client);
	close(server);
	return true;
}

TEST(the_next_source_is_tried_for_the_same_server)
{
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port), served = 0;

	dp_start(&d, port, "1", NULL);
	CHECK_STR(dp_control(&d, "sources 127.0.0.5 192.0.2.77"), "ok\n"); /* the second is not of this machine */
	for (int i = 0; i < 20; i++)
		served += serves(d.port, listener);
	CHECK_EQ(served, 20);
	CHECK_EQ(dp_count(&d, "newFlows", 20), 20);
	CHECK_EQ(dp_count(&d, "retries", 0), 0);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

/* What this machine lacks, and servers that are all dead, have counters of their own. */
TEST(failures_are_counted_by_whose_they_are)
{
	struct dp d;
	uint16_t port;
	int how;
	char got;

	close(dp_listen(&port)); /* nobody is there */
	dp_start(&d, port, "1", NULL);
	CHECK_STR(dp_control(&d, "sources 192.0.2.77"), "ok\n"); /* not of this machine: no connect can be made */
	for (int i = 0; i < 5; i++) {
		int client = dp_dial(d.port);

		CHECK_EQ(dp_read(client, &got, 1, &how), 0);
		close(client);
	}
	CHECK_EQ(dp_count(&d, "unmade", 5), 5);
	CHECK_EQ(dp_count(&d, "failed", 5), 5);
	CHECK_EQ(dp_count(&d, "aborts", 0), 0);
	CHECK_EQ(dp_count(&d, "refusals", 0), 0);
	CHECK_STR(dp_control(&d, "sources none"), "ok\n");
	for (int i = 0; i < 5; i++) {
		int client = dp_dial(d.port);

		CHECK_EQ(dp_read(client, &got, 1, &how), 0);
		close(client);
	}
	CHECK_EQ(dp_count(&d, "failed", 10), 10);
	CHECK_EQ(dp_count(&d, "refusals", 5), 5);
	CHECK_EQ(dp_count(&d, "noServer", 0), 0);
	CHECK_EQ(dp_stop(&d), 0);
}

static void few_files(void)
{
	struct rlimit files = { 48, 48 };

	if (setrlimit(RLIMIT_NOFILE, &files))
		abort();
}

/* Short of descriptors for a while. On a busy machine the worker may not look in that while: then once more. */
TEST(an_accept_that_fails_is_counted_and_made_again)
{
	struct rlimit was, none;
	uint16_t port;
	int listener = dp_listen(&port), server;
	struct dp d;
	bool counted = false;

	dp_start(&d, port, "1", NULL);
	CHECK_EQ(prlimit(d.pid, RLIMIT_NOFILE, NULL, &was), 0);
	none = (struct rlimit){ 0, was.rlim_max };
	for (int i = 0; i < 50 && !counted; i++) {
		CHECK_EQ(prlimit(d.pid, RLIMIT_NOFILE, &none, NULL), 0);
		int client = dp_dial(d.port);

		usleep(200000);
		CHECK_EQ(prlimit(d.pid, RLIMIT_NOFILE, &was, NULL), 0);
		CHECK((server = accept(listener, NULL, NULL)) >= 0);
		usleep(200000); /* statistics are as old as the last frame */
		counted = strstr(dp_control(&d, "show stats json"), "\"acceptErrors\":0,") == NULL;
		close(client);
		close(server);
	}
	CHECK(counted);
	close(listener);
	CHECK_EQ(dp_stop(&d), 0);
}

/* Its listeners find no room in the worker's descriptor table, and are watched once there is. */
TEST(a_vip_added_without_descriptors_is_served_when_there_is_room)
{
	enum { IDLE = 40 };
	int client[IDLE], server;
	struct dp d;
	uint16_t port, second;
	int listener = dp_listen(&port), waiting;

	dp_start(&d, port, "1", few_files);
	for (int i = 0; i < IDLE; i++)
		client[i] = dp_dial(d.port);
	for (int i = 0; i < 18; i++) /* as many as it could take */
		CHECK(accept(listener, NULL, NULL) >= 0);
	usleep(100000);
	const char *told = dp_control(&d, "vip new 127.0.0.1:0");

	CHECK_STR(told, "ok\n");
	told = strstr(dp_control(&d, "show config"), "vip new 127.0.0.1:");
	second = told ? (uint16_t)atoi(told + strlen("vip new 127.0.0.1:")) : 0;
	CHECK(second != 0);
	snprintf(d.line, sizeof(d.line), "server vip new 127.0.0.1:%u", port);
	CHECK_STR(dp_control(&d, d.line), "ok\n");
	waiting = dp_dial(second);
	CHECK(waiting >= 0 && dp_write(waiting, "?", 1));
	for (int i = 0; i < IDLE; i++)
		close(client[i]);
	/* Those of the first VIP that still wait to be accepted come to the server as well. */
	for (char got = 0; got != '?'; close(server)) {
		int how;

		server = dp_patient(accept(listener, NULL, NULL));
		if (server < 0)
			break;
		if (dp_read(server, &got, 1, &how) == 1)
			CHECK(dp_write(server, "!", 1));
	}
	CHECK(server >= 0);
	char got = 0;
	int how;

	CHECK(dp_read(waiting, &got, 1, &how) == 1 && got == '!');
	close(waiting);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

TEST(connections_of_one_source_are_limited)
{
	int client[4], server[4];
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port);

	dp_start(&d, port, "2", NULL);
	snprintf(d.line, sizeof(d.line), "vip web 127.0.0.1:%u max-connections-per-source 3", d.port);
	CHECK_STR(dp_control(&d, d.line), "ok\n");
	CHECK(strstr(dp_control(&d, "show config"), " max-connections-per-source 3") != NULL);
	for (int i = 0; i < 3; i++)
		CHECK((client[i] = exchange(d.port, listener, &server[i])) >= 0);
	CHECK(exchange(d.port, listener, &server[3]) < 0);
	CHECK_EQ(dp_count(&d, "limited", 1), 1);
	CHECK_EQ(dp_count(&d, "connections", 3), 3);
	CHECK_EQ(dp_count(&d, "acceptErrors", 0), 0);
	close(client[0]);
	close(server[0]);
	CHECK_EQ(dp_count(&d, "connections", 2), 2);
	CHECK_EQ(dp_count(&d, "flows", 2), 2);
	CHECK((client[0] = exchange(d.port, listener, &server[0])) >= 0);
	snprintf(d.line, sizeof(d.line), "vip web 127.0.0.1:%u max-connections-per-source 0", d.port);
	CHECK_STR(dp_control(&d, d.line), "ok\n");
	CHECK((client[3] = exchange(d.port, listener, &server[3])) >= 0);
	for (int i = 0; i < 4; i++) {
		close(client[i]);
		close(server[i]);
	}
	CHECK_EQ(dp_count(&d, "flows", 0), 0);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

/* One end of a connection is gone; the other does not close for its part. */
static void half_closed(bool client_ends)
{
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port), server, how = 0;
	char got;

	dp_start(&d, port, "1", NULL);
	CHECK_STR(dp_control(&d, "half-closed-timeout 50ms"), "ok\n");
	int client = exchange(d.port, listener, &server);

	shutdown(client_ends ? client : server, SHUT_WR);
	CHECK_EQ(dp_read(client_ends ? server : client, &got, 1, &how), 0); /* the end arrives */
	CHECK_EQ(dp_count(&d, "flows", 0), 0);
	/* Without the server's end the client must not take what it has for all of it. */
	CHECK_EQ(dp_read(client, &got, 1, &how), 0);
	CHECK_EQ(how, client_ends ? ECONNRESET : 0);
	close(client);
	close(server);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

TEST(half_closed_by_the_server_it_ends_after_a_while)
{
	half_closed(false);
}

TEST(half_closed_by_the_client_it_is_reset_after_a_while)
{
	half_closed(true);
}

TEST(a_client_that_never_speaks_is_closed)
{
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port), how = -1, server;
	char got;

	dp_start(&d, port, "1", NULL);
	CHECK_STR(dp_control(&d, "first-byte-timeout 50ms"), "ok\n");
	int talks = exchange(d.port, listener, &server), silent = dp_dial(d.port);

	CHECK_EQ(dp_read(silent, &got, 1, &how), 0);
	CHECK_EQ(how, 0);
	CHECK_EQ(dp_count(&d, "flows", 1), 1); /* who has spoken stays */
	CHECK_EQ(dp_count(&d, "aborts", 1), 1);
	close(talks);
	close(silent);
	close(server);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

static int option(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	CHECK_EQ(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

TEST(the_kernel_is_told_how_long_to_wait_for_a_peer)
{
	struct mlbd_settings s;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	mlbd_settings_default(&s);
	s.keepalive_ms = 20500;
	s.keepalive_interval_ms = 7000;
	s.keepalive_probes = 3;
	s.user_timeout_ms = 34000;
	mlbd_keepalive(fd, &s);
	CHECK_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 21);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 34000);
	s.keepalive_ms = s.user_timeout_ms = 0;
	mlbd_keepalive(fd, &s);
	CHECK_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	CHECK_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	close(fd);
}

/* Sockets with a keepalive timer that have this port at one end. */
static int with_keepalive(uint16_t port)
{
	FILE *f = fopen("/proc/net/tcp", "re");
	char line[256];
	int n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned local, remote, state, timer;

		if (sscanf(line, " %*d: %*8x:%x %*8x:%x %x %*8x:%*8x %x:", &local, &remote, &state, &timer) == 4 && state == 1 &&
		    (local == port || remote == port) && timer == 2)
			n++;
	}
	if (f)
		fclose(f);
	return n;
}

TEST(both_sockets_of_a_connection_that_lasts_are_kept_alive)
{
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port), server, client;

	if (access("/proc/net/tcp", R_OK))
		SKIP("there is no /proc/net/tcp");
	dp_start(&d, port, "1", NULL);
	client = exchange(d.port, listener, &server);
	for (int i = 0; i < 1000 && (with_keepalive(d.port) < 1 || with_keepalive(port) < 1); i++)
		usleep(20000);
	CHECK_EQ(with_keepalive(d.port), 1); /* the data plane's; the client's own has none */
	CHECK_EQ(with_keepalive(port), 1);
	close(client);
	close(server);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

static uint32_t open_files(pid_t pid)
{
	char path[64], command[96];
	uint32_t n = 0;

	/* A worker's descriptor table is its own: /proc/PID/task/TID/fd. */
	snprintf(command, sizeof(command), "ls -d /proc/%d/task/*/fd", (int)pid);
	FILE *tasks = popen(command, "r");

	while (tasks && fgets(path, sizeof(path), tasks)) {
		uint32_t here = 0;

		path[strcspn(path, "\n")] = 0;
		snprintf(command, sizeof(command), "ls %.60s", path);
		FILE *files = popen(command, "r");

		for (int c; files && (c = fgetc(files)) != EOF;)
			here += c == '\n';
		if (files)
			pclose(files);
		n = here > n ? here : n;
	}
	if (tasks)
		pclose(tasks);
	return n;
}

/* Bytes that a pipe of this user can be made to hold, as the data plane makes it. */
static uint32_t pipe_size(void)
{
	int p[2];
	uint32_t size = MLBD_PIPE_SIZE;

	if (pipe(p))
		abort();
	while (size > 65536 && fcntl(p[0], F_SETPIPE_SZ, (int)size) < 0)
		size /= 2;
	close(p[0]);
	close(p[1]);
	return size;
}

/* Streams that block: each waits in a pipe or, beyond the limit, in a buffer, and all arrive whole. */
TEST(blocked_streams_hold_no_more_pipes_than_allowed)
{
	enum { STREAMS = 20, BYTES = 3 << 20 };
	static char block[1 << 16];
	int client[STREAMS], server[STREAMS], sent[STREAMS] = { 0 }, how;
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port);

	dp_start(&d, port, "1", NULL);
	CHECK_STR(dp_control(&d, "pipe-memory 4"), "ok\n");
	for (int i = 0; i < STREAMS; i++)
		client[i] = exchange(d.port, listener, &server[i]);
	uint32_t before = open_files(d.pid);

	for (int quiet = 0; quiet < 5; usleep(50000)) { /* nobody reads: until all is full */
		quiet++;
		for (int i = 0; i < STREAMS; i++)
			for (ssize_t n;
			     sent[i] < BYTES && (n = send(client[i], block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;) {
				sent[i] += (int)n;
				quiet = 0;
			}
	}
	uint32_t pipes = (4u << 20) / pipe_size(), held = open_files(d.pid) - before;

	CHECK(held > 0 && held <= 2 * pipes);
	for (int i = 0; i < STREAMS; i++) {
		int got = 0;

		shutdown(client[i], SHUT_WR);
		for (size_t n; (n = dp_read(server[i], block, sizeof(block), &how)) > 0;)
			got += (int)n;
		CHECK_EQ(how, 0);
		CHECK_EQ(got, sent[i]);
		close(server[i]);
		close(client[i]);
	}
	CHECK_EQ(dp_count(&d, "flows", 0), 0);
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

TEST(freebind_listens_on_an_address_that_is_not_there_yet)
{
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port);

	dp_start(&d, port, "1", NULL);
	CHECK(strstr(dp_control(&d, "vip floating 192.0.2.77:80"), "this machine does not have the address") != NULL);
	CHECK_STR(dp_control(&d, "freebind on"), "ok\n");
	CHECK_STR(dp_control(&d, "vip floating 192.0.2.77:24477"), "ok\n");
	CHECK_EQ(dp_stop(&d), 0);
	close(listener);
}

MLB_TEST_MAIN(CASE(the_next_source_is_tried_for_the_same_server), CASE(failures_are_counted_by_whose_they_are),
	      CASE(an_accept_that_fails_is_counted_and_made_again),
	      CASE(a_vip_added_without_descriptors_is_served_when_there_is_room), CASE(connections_of_one_source_are_limited),
	      CASE(half_closed_by_the_server_it_ends_after_a_while), CASE(half_closed_by_the_client_it_is_reset_after_a_while),
	      CASE(a_client_that_never_speaks_is_closed), CASE(the_kernel_is_told_how_long_to_wait_for_a_peer),
	      CASE(both_sockets_of_a_connection_that_lasts_are_kept_alive), CASE(blocked_streams_hold_no_more_pipes_than_allowed),
	      CASE(freebind_listens_on_an_address_that_is_not_there_yet))
