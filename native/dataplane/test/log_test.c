/* SPDX-License-Identifier: Apache-2.0 */
/* A standard error that nobody reads: its pipe is full. */
#include "dp_process.h"
#include "log.h"

static int pipe_of_log[2];

static void fill_pipe(void)
{
	static const char block[4096];

	if (pipe2(pipe_of_log, O_CLOEXEC | O_NONBLOCK))
		abort();
	while (write(pipe_of_log[1], block, sizeof(block)) > 0)
		;
	while (write(pipe_of_log[1], block, 1) > 0)
		;
	fcntl(pipe_of_log[1], F_SETFL, 0); /* blocking, as a launcher's is */
	fcntl(pipe_of_log[0], F_SETFL, 0);
}

static void log_into_pipe(void)
{
	dup2(pipe_of_log[1], STDERR_FILENO);
}

/* Reads until `what` has come; false: it has not within twenty seconds of silence. */
static bool read_until(const char *what)
{
	static char text[1 << 20];
	static size_t len;

	while (!strstr(text, what)) {
		struct pollfd p = { .fd = pipe_of_log[0], .events = POLLIN };
		ssize_t n =
			len < sizeof(text) - 1 && poll(&p, 1, 20000) == 1 ? read(p.fd, text + len, sizeof(text) - 1 - len) : 0;

		if (n <= 0) {
			printf("# not in the log: %s\n", what);
			return false;
		}
		for (size_t i = len; i < len + (size_t)n; i++)
			text[i] = text[i] ? text[i] : ' ';
		text[len += (size_t)n] = 0;
	}
	return true;
}

enum { SAID = 1000 };

/* A process that logs into the full pipe, tells how many lines were lost, and ends if `stop`. */
static pid_t talker(int tell, bool stop)
{
	pid_t child = fork();
	uint64_t lost;

	if (child)
		return child;
	log_into_pipe();
	if (mlbd_log_start())
		_exit(1);
	for (int i = 0; i < SAID; i++)
		mlbd_log("info", "line %d of many", i);
	lost = mlbd_log_lost();
	if (write(tell, &lost, sizeof(lost)) != sizeof(lost))
		_exit(2);
	if (!stop)
		pause();
	mlbd_log_stop();
	_exit(0);
}

TEST(lines_beyond_the_ring_are_lost_counted_and_told)
{
	char told[96];
	int result[2];
	uint64_t lost = 0;

	fill_pipe();
	CHECK_EQ(pipe(result), 0);
	pid_t child = talker(result[1], false);

	close(pipe_of_log[1]);
	CHECK_EQ(read(result[0], &lost, sizeof(lost)), sizeof(lost));
	CHECK(lost > 0 && lost < SAID);
	CHECK(read_until("line 0 of many\n"));
	snprintf(told, sizeof(told), "warn: %llu lines of the log were lost", (unsigned long long)lost);
	CHECK(read_until(told));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(pipe_of_log[0]);
	close(result[0]);
	close(result[1]);
}

TEST(the_end_does_not_wait_for_a_reader)
{
	int result[2], status = -1;

	fill_pipe();
	CHECK_EQ(pipe(result), 0);
	pid_t child = talker(result[1], true);

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(pipe_of_log[0]);
	close(pipe_of_log[1]);
	close(result[0]);
	close(result[1]);
}

static bool served(struct dp *d, int listener)
{
	char got;
	int how, client = dp_dial(d->port), server = -1;
	bool ok = client >= 0 && dp_write(client, "?", 1) && (server = dp_patient(accept(listener, NULL, NULL))) >= 0 &&
		  dp_read(server, &got, 1, &how) == 1 && dp_write(server, "!", 1) && dp_read(client, &got, 1, &how) == 1 &&
		  got == '!';

	close(client);
	close(server);
	return ok;
}

/* Both kinds of threads have something to say, and neither waits for the reader. */
TEST(a_full_pipe_holds_up_neither_workers_nor_control_nor_a_stop)
{
	struct dp d;
	uint16_t port;
	int listener = dp_listen(&port), how;
	char byte;

	fill_pipe();
	dp_start(&d, port, "1", log_into_pipe);
	CHECK(served(&d, listener));
	CHECK_STR(dp_control(&d, "sources 192.0.2.1"), "ok\n"); /* not an address of this machine: the worker complains */
	int turned_away = dp_dial(d.port);

	CHECK_EQ(dp_read(turned_away, &byte, 1, &how), 0);
	close(turned_away);
	CHECK_STR(dp_control(&d, "sources none"), "ok\n");
	kill(d.pid, SIGHUP); /* main reports that it has read its configuration again */
	CHECK(served(&d, listener));
	CHECK_EQ(dp_count(&d, "logLinesLost", 0), 0);
	kill(d.pid, SIGTERM);
	CHECK_EQ(waitpid(d.pid, &how, 0), d.pid);
	CHECK_EQ(how, 0);
	close(pipe_of_log[0]);
	close(pipe_of_log[1]);
	dp_clean(&d);
	close(listener);
}

MLB_TEST_MAIN(CASE(lines_beyond_the_ring_are_lost_counted_and_told), CASE(the_end_does_not_wait_for_a_reader),
	      CASE(a_full_pipe_holds_up_neither_workers_nor_control_nor_a_stop))
