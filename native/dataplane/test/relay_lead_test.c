/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of ours ahead of a client's: when they go, what is counted, what is taken back. Both sides are socket pairs. */
#include "mlbtest.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

static struct mlbd_buffers buffers;
static struct mlbd_side side[2];
static int client, server; /* the other ends */

static void begin(void)
{
	int a[2], b[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b))
		abort();
	memset(side, 0, sizeof(side));
	side[MLBD_CLIENT].fd = a[0];
	side[MLBD_CLIENT].readable = true;
	side[MLBD_SERVER].fd = b[0];
	client = a[1];
	server = b[1];
}

static void end(void)
{
	mlbd_relay_unlead(&buffers, &side[MLBD_CLIENT]);
	if (side[MLBD_CLIENT].queue)
		mlbd_queue_put(&buffers, side[MLBD_CLIENT].queue);
	close(side[0].fd);
	close(side[1].fd);
	close(client);
	close(server);
	if (buffers.scratch)
		CHECK_EQ(buffers.held, 1);
	else
		CHECK_EQ(buffers.held, 0);
	mlbd_buffers_free(&buffers);
}

static void lead(const char *text)
{
	CHECK_EQ(mlbd_relay_lead(&buffers, &side[MLBD_CLIENT], (const uint8_t *)text, (uint32_t)strlen(text)), 0);
}

static void says(const char *text)
{
	CHECK_EQ(send(client, text, strlen(text), 0), strlen(text));
	side[MLBD_CLIENT].readable = true;
}

static struct mlbd_outcome relay(void)
{
	return mlbd_relay(&buffers, side, MLBD_CLIENT);
}

static const char *heard(void)
{
	static char got[256];
	ssize_t n = recv(server, got, sizeof(got) - 1, 0);

	got[n > 0 ? n : 0] = 0;
	return got;
}

TEST(it_waits_for_the_first_bytes)
{
	begin();
	lead("HEAD ");
	struct mlbd_outcome o = relay();

	CHECK_EQ(o.what, MLBD_IDLE);
	CHECK_STR(heard(), "");
	says("hello");
	o = relay();
	CHECK_EQ(o.what, MLBD_IDLE);
	CHECK_EQ(o.read, 5);
	CHECK_EQ(o.moved, 5);
	CHECK(side[MLBD_CLIENT].passed);
	CHECK_STR(heard(), "HEAD hello");
	says("more");
	CHECK_EQ(relay().moved, 4);
	CHECK_STR(heard(), "more");
	end();
}

TEST(alone_when_it_is_time)
{
	begin();
	lead("HEAD ");
	CHECK_EQ(relay().what, MLBD_IDLE);
	mlbd_relay_lead_now(&side[MLBD_CLIENT]);
	struct mlbd_outcome o = relay();

	CHECK_EQ(o.moved, 0);
	CHECK(!side[MLBD_CLIENT].passed);
	CHECK(!side[MLBD_CLIENT].queue);
	CHECK_STR(heard(), "HEAD ");
	says("hello");
	CHECK_EQ(relay().moved, 5);
	CHECK(side[MLBD_SERVER].nodelay); /* set, though a socket pair does not know the option: Nagle holds back the second */
	CHECK_STR(heard(), "hello");
	end();
}

TEST(what_came_meanwhile_goes_with_it)
{
	begin();
	lead("HEAD ");
	CHECK_EQ(relay().what, MLBD_IDLE);
	CHECK_EQ(send(client, "late", 4, 0), 4); /* its event has not been seen yet */
	mlbd_relay_lead_now(&side[MLBD_CLIENT]);
	CHECK_EQ(relay().moved, 4);
	CHECK_STR(heard(), "HEAD late");
	end();
}

TEST(with_an_end_that_nothing_precedes)
{
	begin();
	lead("HEAD ");
	shutdown(client, SHUT_WR);
	struct mlbd_outcome o = relay();

	CHECK_EQ(o.what, MLBD_ENDED);
	CHECK_EQ(o.moved, 0);
	CHECK_STR(heard(), "HEAD ");
	end();
}

/* The receiver takes nothing yet, as a connect under way. The next one gets another header, or none. */
TEST(taken_back_from_a_receiver_that_is_given_up)
{
	char full[4096] = { 0 };

	begin();
	while (send(side[MLBD_SERVER].fd, full, sizeof(full), 0) > 0)
		;
	lead("HEAD ");
	says("hello");
	struct mlbd_outcome o = relay();

	CHECK_EQ(o.what, MLBD_FULL);
	CHECK_EQ(o.read, 5);
	CHECK_EQ(o.moved, 0);
	mlbd_relay_unlead(&buffers, &side[MLBD_CLIENT]);
	lead("LONGER HEAD ");
	mlbd_relay_unlead(&buffers, &side[MLBD_CLIENT]);
	lead("H ");
	while (recv(server, full, sizeof(full), 0) > 0)
		;
	o = relay();
	CHECK_EQ(o.moved, 5);
	CHECK_STR(heard(), "H hello");
	end();
}

TEST(taken_back_whole_when_nothing_follows)
{
	begin();
	lead("HEAD ");
	CHECK_EQ(relay().what, MLBD_IDLE);
	mlbd_relay_unlead(&buffers, &side[MLBD_CLIENT]);
	CHECK(!side[MLBD_CLIENT].queue);
	says("hello");
	CHECK_EQ(relay().moved, 5);
	CHECK_STR(heard(), "hello");
	end();
}

MLB_TEST_MAIN(CASE(it_waits_for_the_first_bytes), CASE(alone_when_it_is_time), CASE(what_came_meanwhile_goes_with_it),
	      CASE(with_an_end_that_nothing_precedes), CASE(taken_back_from_a_receiver_that_is_given_up),
	      CASE(taken_back_whole_when_nothing_follows))
