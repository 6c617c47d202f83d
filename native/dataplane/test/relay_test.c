/* SPDX-License-Identifier: Apache-2.0 */
#include "dp_process.h"

/* A connection through it: both ends. The data plane can be stopped, so that what both say meets it at once. */
struct bed {
	struct dp dp;
	int listener, client, server;
};

static void begin(struct bed *b)
{
	uint16_t port;

	b->listener = dp_listen(&port);
	dp_start(&b->dp, port, "1", NULL);
	b->client = dp_dial(b->dp.port);
	b->server = dp_patient(accept(b->listener, NULL, NULL));
	CHECK(b->client >= 0 && b->server >= 0);
}

static void end(struct bed *b)
{
	close(b->client);
	close(b->server);
	CHECK_EQ(dp_count(&b->dp, "flows", 0), 0);
	CHECK_EQ(dp_stop(&b->dp), 0);
	close(b->listener);
}

static void urgent(int fd, char byte)
{
	CHECK_EQ(send(fd, &byte, 1, MSG_OOB), 1);
}

/* A read stops at the mark although more is there: no other edge would come for it. */
static void mark_between(bool down, bool ended)
{
	struct bed b;
	char got[64];
	int how, from, to;

	begin(&b);
	from = down ? b.server : b.client;
	to = down ? b.client : b.server;
	CHECK(dp_write(from, "hello", 5));
	CHECK_EQ(dp_read(to, got, 5, &how), 5);
	kill(b.dp.pid, SIGSTOP);
	CHECK(dp_write(from, "abc", 3));
	urgent(from, 'X');
	CHECK(dp_write(from, "def", 3));
	if (ended)
		shutdown(from, SHUT_WR);
	kill(b.dp.pid, SIGCONT);
	size_t n = dp_read(to, got, ended ? sizeof(got) - 1 : 7, &how);

	got[n] = 0;
	CHECK_STR(got, "abcXdef");
	CHECK_EQ(how, 0);
	end(&b);
}

TEST(urgent_byte_from_the_client_stays_in_its_place)
{
	mark_between(false, false);
}

TEST(urgent_byte_from_the_server_stays_in_its_place)
{
	mark_between(true, false);
}

TEST(nothing_behind_an_urgent_byte_is_lost_at_the_end)
{
	mark_between(false, true);
	mark_between(true, true);
}

TEST(urgent_byte_before_anything_else)
{
	struct bed b;
	char got[8] = "";
	int how;

	begin(&b);
	urgent(b.client, 'X');
	CHECK(dp_write(b.client, "y", 1));
	CHECK_EQ(dp_read(b.server, got, 2, &how), 2);
	CHECK_STR(got, "Xy");
	end(&b);
}

/* A stream that is spliced: splice takes the mark for the end of the stream, or for nothing there. */
TEST(urgent_bytes_in_a_spliced_stream)
{
	enum { PIECE = 100000, PIECES = 100 };
	struct bed b;
	char *piece = calloc(1, PIECE), *got = malloc(PIECE);
	size_t total = 0, marks = 0, n;
	int how = 0;
	pid_t sender;

	begin(&b);
	sender = fork();
	if (sender == 0) {
		bool ok = true;

		for (int i = 0; i < PIECES && ok; i++)
			ok = dp_write(b.client, piece, PIECE) && (i % 5 || send(b.client, "X", 1, MSG_OOB) == 1);
		shutdown(b.client, SHUT_WR);
		_exit(!ok);
	}
	while ((n = dp_read(b.server, got, PIECE, &how)) > 0) {
		total += n;
		for (size_t i = 0; i < n; i++)
			marks += got[i] == 'X';
	}
	CHECK_EQ(how, 0);
	CHECK_EQ(total, PIECE * PIECES + PIECES / 5);
	CHECK_EQ(marks, PIECES / 5);
	CHECK(waitpid(sender, &how, 0) == sender && how == 0);
	end(&b);
	free(piece);
	free(got);
}

/* Who closes with bytes unread sends a reset: the write that finds it must not hide what was said before. */
static void answer_early(bool down)
{
	struct bed b;
	char answer[20000], got[20001];
	int how, quick, slow;

	memset(answer, 'a', sizeof(answer));
	begin(&b);
	quick = down ? b.client : b.server;
	slow = down ? b.server : b.client;
	CHECK(dp_write(slow, "the beginning", 13));
	CHECK_EQ(dp_read(quick, got, 3, &how), 3);
	kill(b.dp.pid, SIGSTOP);
	CHECK(dp_write(slow, "more", 4)); /* the first event of the batch */
	CHECK(dp_write(quick, answer, sizeof(answer)));
	close(quick);
	kill(b.dp.pid, SIGCONT);
	CHECK_EQ(dp_read(slow, got, sizeof(got), &how), sizeof(answer));
	CHECK_EQ(dp_count(&b.dp, down ? "aborts" : "resets", 1), 1);
	CHECK_EQ(dp_count(&b.dp, down ? "bytesIn" : "bytesOut", sizeof(answer)), sizeof(answer));
	*(down ? &b.client : &b.server) = -1;
	end(&b);
}

TEST(answer_before_the_end_of_the_request_arrives_although_a_reset_follows)
{
	answer_early(false);
}

TEST(last_words_of_a_client_that_resets_arrive)
{
	answer_early(true);
}

/* A client that stops reading for longer than idle-timeout does not take the half of an answer for all of it. */
TEST(idle_timeout_with_bytes_on_their_way_is_a_reset)
{
	static char block[1 << 16];
	struct bed b;
	int how = 0;

	begin(&b);
	CHECK(dp_write(b.client, "?", 1));
	for (int full = 0; full < 5; usleep(20000)) /* until all buffers on the way are full */
		for (full++; send(b.server, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;)
			full = 0;
	CHECK_STR(dp_control(&b.dp, "idle-timeout 50ms"), "ok\n");
	CHECK_EQ(dp_count(&b.dp, "flows", 0), 0);
	while (dp_read(b.client, block, sizeof(block), &how) > 0 && how == 0)
		;
	CHECK_EQ(how, ECONNRESET);
	end(&b);
}

MLB_TEST_MAIN(CASE(urgent_byte_from_the_client_stays_in_its_place), CASE(urgent_byte_from_the_server_stays_in_its_place),
	      CASE(nothing_behind_an_urgent_byte_is_lost_at_the_end), CASE(urgent_byte_before_anything_else),
	      CASE(urgent_bytes_in_a_spliced_stream), CASE(answer_before_the_end_of_the_request_arrives_although_a_reset_follows),
	      CASE(last_words_of_a_client_that_resets_arrive), CASE(idle_timeout_with_bytes_on_their_way_is_a_reset))
