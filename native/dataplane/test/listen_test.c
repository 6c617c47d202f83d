/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes under way while listeners close or move to another VIP. With TCP_DEFER_ACCEPT a handshake stays under way, at the
 * listener, until the client says something: so a test decides when it ends. */
#include "dp_process.h"

#include <netinet/tcp.h>

#include <marllb/endpoint.h>
#include "listen.h"
#include "parted.h"

static char err[256];

static int begin_at(struct mlb_endpoint *ep, int *listener)
{
	int wait_s = 20;

	CHECK_EQ(mlb_endpoint_parse("127.0.0.1:0", true, ep, err), 0);
	CHECK_EQ(mlbd_listen(ep, 1, 16, false, listener, err), 0);
	setsockopt(*listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &wait_s, sizeof(wait_s));
	return dp_dial(ep->port);
}

/* The client's first byte ends the handshake: the listener must take it, and the byte must arrive. */
static bool ends(int client, int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	char c = 0;
	int fd = -1;

	if (send(client, "x", 1, MSG_NOSIGNAL) != 1 || poll(&p, 1, 20000) != 1)
		return false;
	fd = dp_patient(accept(listener, NULL, NULL));
	bool ok = fd >= 0 && recv(fd, &c, 1, 0) == 1 && c == 'x';

	close(fd);
	return ok;
}

/* True: within 200 ms nobody answered. */
static bool unanswered(uint16_t port)
{
	struct sockaddr_in a = dp_at(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	bool open = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == EINPROGRESS && poll(&p, 1, 200) == 0;

	close(fd);
	return open;
}

TEST(a_handshake_under_way_ends_and_a_new_one_does_not_begin)
{
	struct mlb_endpoint ep;
	int listener = -1, client = begin_at(&ep, &listener);

	CHECK(client >= 0);
	CHECK_EQ(mlbd_listen_refuse_new(&listener, 1), 0);
	CHECK(unanswered(ep.port));
	CHECK(ends(client, listener));
	CHECK_EQ(mlbd_listen_let_in(&listener, 1), 0);
	int again = dp_dial(ep.port);

	CHECK(again >= 0);
	close(again);
	close(client);
	close(listener);
}

TEST(a_vip_at_the_same_address_takes_the_listeners_over)
{
	static struct mlbd_parted_list list;
	struct mlb_endpoint ep, any;
	int *fd = malloc(sizeof(*fd)), *got = NULL, client;

	client = begin_at(&ep, fd);
	CHECK(client >= 0);
	mlbd_parted_add(&list, &ep, fd, 1, 1000);
	mlbd_parted_end(&list, 1000 + MLBD_PARTED_US - 1);
	CHECK_EQ(mlbd_parted_take(&list, &ep, &got), 1);
	CHECK(got && ends(client, *got));
	close(client);
	/* One that overlaps would be in the way. */
	mlbd_parted_add(&list, &ep, got, 1, 1000);
	any = ep;
	mlb_addr_parse("0.0.0.0", &any.addr);
	CHECK_EQ(mlbd_parted_take(&list, &any, &got), 0);
	CHECK_EQ(dp_dial(ep.port), -1);
}

TEST(listeners_close_when_their_time_is_over)
{
	static struct mlbd_parted_list list;
	struct mlb_endpoint ep;
	int *fd = malloc(sizeof(*fd)), *got = NULL, client = begin_at(&ep, fd);

	mlbd_parted_add(&list, &ep, fd, 1, 1000);
	mlbd_parted_end(&list, 1000 + MLBD_PARTED_US);
	CHECK_EQ(mlbd_parted_take(&list, &ep, &got), 0);
	CHECK_EQ(dp_dial(ep.port), -1);
	close(client);
}

MLB_TEST_MAIN(CASE(a_handshake_under_way_ends_and_a_new_one_does_not_begin),
	      CASE(a_vip_at_the_same_address_takes_the_listeners_over), CASE(listeners_close_when_their_time_is_over))
