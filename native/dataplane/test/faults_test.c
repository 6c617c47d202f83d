/* SPDX-License-Identifier: Apache-2.0 */
/* Each call of marllb-dp to the system for memory, a descriptor, a thread and the like fails once: at its start, in each order,
 * with connections, in a takeover. It goes on, refuses the order, or ends with one sentence; nothing is lost or left behind. */
#include "faulty_process.h"

static struct run a, b;
static pid_t echo;

TEST(each_call_of_a_start)
{
	CHECK(mkdtemp(folder) != NULL);
	snprintf(a.log, sizeof(a.log), "%s", path_of("log-a"));
	snprintf(b.log, sizeof(b.log), "%s", path_of("log-b"));
	echo = origin();
	write_conf("");
	a.fault = fault_new();
	for (int for_ever = 0; for_ever < 2; for_ever++)
		for (long n = 1; n < MOST; n += for_ever ? 11 : 1) {
			fault_arm(a.fault, n, for_ever);
			begin(&a, false);
			bool ready = await_ready(&a), hit = fault_disarm(a.fault);

			if (!ready) {
				end_refused(&a, "start", n);
			} else {
				if (!serves(&a))
					complain("start", n, &a, "it does not serve");
				if (strcmp(control("quit"), "ok\n") != 0) {
					complain("start", n, &a, "it has no control socket");
					kill(a.pid, SIGKILL);
				}
				end_well(&a, "start", n);
			}
			if (files_left())
				complain("start", n, &a, "files are left behind");
			if (!hit || mlbtest_failed > 5)
				break;
		}
}

struct order {
	const char *line, *back;
};

/* Refused by one sentence, or done; then it can be done, and taken back. */
static void try_order(const struct order *o, int base)
{
	for (long n = 1; n < MOST && mlbtest_failed < 6; n++) {
		fault_arm(a.fault, n, false);
		const char *answer = control(o->line);
		bool hit = fault_disarm(a.fault), refused = strncmp(answer, "error: ", 7) == 0;
		size_t len = strlen(answer);

		if (!(refused && len > 12) && !(len >= 3 && strcmp(answer + len - 3, "ok\n") == 0)) {
			printf("# answer: '%s'\n", answer);
			complain(o->line, n, &a, "no answer");
		}
		for (int i = 0; refused && i < 100 && strncmp(answer = control(o->line), "error: ", 7) == 0; i++)
			usleep(20000); /* ids of VIPs that went wait for their grace period */
		if (refused && strncmp(answer, "error: ", 7) == 0) {
			printf("# answer: '%s'\n", answer);
			complain(o->line, n, &a, "it cannot be done afterwards");
		}
		answer = o->back ? control(o->back) : "ok\n";
		len = strlen(answer);
		if (len < 3 || strcmp(answer + len - 3, "ok\n") != 0) {
			printf("# answer: '%s'\n", answer);
			complain(o->back, n, &a, "it cannot be taken back");
		}
		if (!serves(&a))
			complain(o->line, n, &a, "it does not serve");
		if (!hit)
			break;
	}
	if (!settles(a.pid, base))
		complain(o->line, 0, &a, "descriptors are left open");
}

TEST(each_call_of_each_order)
{
	static char more[2][160];
	struct order orders[] = {
		{ "show stats json", NULL },
		{ "show config", NULL },
		{ "show flows", NULL },
		{ "server vip web 127.0.0.1:1 weight 2 max-connections 7 drain", "no server vip web 127.0.0.1:1" },
		{ more[0], more[1] },
		{ "set-mode vip web hash", "set-mode vip web sed" },
		{ "vip other 127.0.0.1:0 max-connections-per-source 5 accept-proxy 10.0.0.0/8", "no vip other" },
		{ "vip udp 127.0.0.1:0 protocol udp", "no vip udp" },
		{ "vip web 127.0.0.1:0 accept-proxy 10.0.0.0/8 max-connections-per-source 9",
		  "vip web 127.0.0.1:0 accept-proxy none" },
		{ "connect-timeout 3s", "connect-timeout 5s" },
		{ "reload", "no vip third" },
	};

	begin(&a, false);
	if (!await_ready(&a) || !serves(&a)) {
		complain("orders", 0, &a, "it did not start");
		return;
	}
	snprintf(more[0], sizeof(more[0]), "set-servers vip web 127.0.0.1:%u 127.0.0.1:2 127.0.0.1:3", origin_port);
	snprintf(more[1], sizeof(more[1]), "set-servers vip web 127.0.0.1:%u", origin_port);
	write_conf("vip third 127.0.0.1:0\nserver vip third 127.0.0.1:9\n");
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		try_order(&orders[i], descriptors(a.pid) + 4);
	write_conf("");
}

TEST(each_call_of_connections)
{
	int base = descriptors(a.pid) + 8;
	struct dp d = { 0 };

	snprintf(d.folder, sizeof(d.folder), "%s", folder);
	for (long n = 1; n < 100 && mlbtest_failed < 6; n++) {
		fault_arm(a.fault, n, n % 5 == 0);
		time_t from = time(NULL);

		ask_tcp(a.port); /* may be turned away */
		ask_udp(a.udp);
		if (time(NULL) - from > 10)
			complain("connections", n, &a, "a client waits in vain");
		fault_disarm(a.fault);
		if (!serves(&a))
			complain("connections", n, &a, "it does not serve");
	}
	CHECK(settles(a.pid, base));
	CHECK_EQ(dp_count(&d, "recountDiff", 0), 0);
}

/* Of two processes exactly one serves on, whichever of them is short of something. */
static bool take_over(struct run *old, struct run *next, struct fault *short_of, long n)
{
	const char *who = short_of == next->fault ? "takeover, the new one" : "takeover, the old one";

	fault_arm(short_of, n, false);
	begin(next, true);
	bool ready = await_ready(next), hit = fault_disarm(short_of);

	if (ready) {
		end_well(old, who, n);
		struct run was = *old;

		*old = *next;
		*next = was;
	} else {
		end_refused(next, who, n);
	}
	if (!serves(old))
		complain(who, n, old, ready ? "the new one does not serve" : "the old one does not serve on");
	return hit;
}

/* The new one is gone when the old one has let go of its listeners: it serves on as before, new UDP flows too. */
TEST(a_takeover_that_is_given_up_at_the_last_moment)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char buf[65536] = "";
	int base = descriptors(a.pid) + 4; /* some are kept in reserve */

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path_of("control"));
	for (int i = 0; i < 5; i++) {
		int fd = dp_patient(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		size_t n = 0;

		CHECK_EQ(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
		dp_write(fd, "takeover\n", 9);
		for (ssize_t k; n < 3 || strcmp(buf + n - 3, "ok\n") != 0; n += (size_t)k, buf[n] = 0)
			if ((k = recv(fd, buf + n, sizeof(buf) - 1 - n, 0)) <= 0)
				break;
		CHECK(n > 3);
		shutdown(fd, SHUT_RD); /* its answer cannot be sent */
		dp_write(fd, "release\n", 8);
		usleep(50000);
		close(fd);
		CHECK(serves(&a));
	}
	CHECK(settles(a.pid, base));
}

/* Each takes a third of a second, for the old one drains: not every call, unless MARLLB_EVERY_CALL is set (some minutes). */
TEST(each_call_of_a_takeover)
{
	bool all = getenv("MARLLB_EVERY_CALL") != NULL;

	b.fault = fault_new();
	for (int of_new = 0; of_new < 2; of_new++)
		for (long n = 1; n < MOST && mlbtest_failed < 6; n += all ? 1 : of_new ? 3 : 7)
			if (!take_over(&a, &b, of_new ? b.fault : a.fault, n))
				break;
	CHECK_STR(control("quit"), "ok\n");
	end_well(&a, "end", 0);
	CHECK_EQ(files_left(), 0);
	kill(echo, SIGKILL);
	waitpid(echo, NULL, 0);
	unlink(path_of("conf"));
	unlink(a.log);
	unlink(b.log);
	rmdir(folder);
}

MLB_TEST_MAIN(CASE(each_call_of_a_start), CASE(each_call_of_each_order), CASE(each_call_of_connections),
	      CASE(a_takeover_that_is_given_up_at_the_last_moment), CASE(each_call_of_a_takeover))
