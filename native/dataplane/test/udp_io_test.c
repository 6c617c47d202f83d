/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams in batches and trains over the loopback interface. */
#include "mlbtest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "udp_io.h"

/* A socket at a free port of 127.0.0.1, and its address. */
static int bound(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(bind(fd, (struct sockaddr *)at, len) == 0 && getsockname(fd, (struct sockaddr *)at, &len) == 0);
	return fd;
}

/* Sends `len` bytes `c`. */
static void put(int from, const struct sockaddr_in *to, char c, size_t len)
{
	char text[2048];

	memset(text, c, len);
	CHECK(sendto(from, text, len, 0, (const struct sockaddr *)to, sizeof(*to)) == (ssize_t)len);
}

/* The next datagram at fd has `len` bytes `c`. */
static bool next_is(int fd, char c, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[2048];
	ssize_t n;

	if (poll(&p, 1, 5000) != 1)
		return false;
	n = recv(fd, text, sizeof(text), 0);
	for (ssize_t i = 0; i < n; i++)
		if (text[i] != c)
			return false;
	return n == (ssize_t)len;
}

struct bed {
	struct mlbd_udp_batch b;
	struct sockaddr_in via, to;
	int client, inner, out, server;
};

/* Six datagrams are in the batch: a b c of 100 bytes, d of 40, e of 100, f of 200. */
static void set_up(struct bed *t)
{
	struct sockaddr_in own;

	memset(t, 0, sizeof(*t));
	CHECK(mlbd_udp_batch_init(&t->b) == 0);
	t->client = bound(&own);
	t->inner = bound(&t->via);
	t->server = bound(&t->to);
	t->out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(connect(t->out, (struct sockaddr *)&t->to, sizeof(t->to)) == 0);
	put(t->client, &t->via, 'a', 100);
	put(t->client, &t->via, 'b', 100);
	put(t->client, &t->via, 'c', 100);
	put(t->client, &t->via, 'd', 40);
	put(t->client, &t->via, 'e', 100);
	put(t->client, &t->via, 'f', 200);
	CHECK_EQ(mlbd_udp_receive(t->inner, &t->b, MLBD_UDP_BATCH, true), 6);
}

static void tear_down(struct bed *t)
{
	mlbd_udp_batch_free(&t->b);
	close(t->client);
	close(t->inner);
	close(t->out);
	close(t->server);
}

static bool all_came(const struct bed *t)
{
	return next_is(t->server, 'a', 100) && next_is(t->server, 'b', 100) && next_is(t->server, 'c', 100) &&
	       next_is(t->server, 'd', 40) && next_is(t->server, 'e', 100) && next_is(t->server, 'f', 200);
}

TEST(datagrams_of_one_length_leave_as_one_train)
{
	struct bed t;
	uint32_t sent;

	set_up(&t);
	for (uint32_t i = 0; i < 6; i++)
		mlbd_udp_address(&t.b, i, NULL, 0, NULL);
	CHECK_EQ(mlbd_udp_send(t.out, &t.b, 0, 6, &sent), 0);
	CHECK_EQ(sent, 6);
	CHECK(all_came(&t));
	CHECK_EQ(t.b.stands[0], 4); /* a shorter one ends a train */
	CHECK_EQ(t.b.stands[1], 1);
	CHECK_EQ(t.b.stands[2], 1);
	tear_down(&t);
}

TEST(a_train_goes_to_one_place)
{
	struct bed t;
	struct sockaddr_in at;
	int other = bound(&at);
	uint32_t sent;

	set_up(&t);
	for (uint32_t i = 0; i < 3; i++) {
		struct mlb_addr addr = mlb_addr_of_v4(&t.to.sin_addr);

		mlbd_udp_address(&t.b, i, &addr, ntohs(i == 1 ? at.sin_port : t.to.sin_port), NULL);
	}
	CHECK_EQ(mlbd_udp_send(t.inner, &t.b, 0, 3, &sent), 0);
	CHECK(next_is(t.server, 'a', 100) && next_is(t.server, 'c', 100) && next_is(other, 'b', 100));
	CHECK_EQ(t.b.stands[0], 1);
	CHECK_EQ(t.b.stands[1], 1);
	close(other);
	tear_down(&t);
}

TEST(a_train_that_the_kernel_refuses_goes_datagram_by_datagram)
{
	struct bed t;
	uint32_t sent;
	int one = 1;

	set_up(&t);
	CHECK(setsockopt(t.out, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)) == 0); /* then it cuts no trains: EINVAL */
	for (uint32_t i = 0; i < 6; i++)
		mlbd_udp_address(&t.b, i, NULL, 0, NULL);
	CHECK_EQ(mlbd_udp_send(t.out, &t.b, 0, 6, &sent), 0);
	CHECK_EQ(sent, 6);
	CHECK(all_came(&t));
	CHECK(t.b.apart > 0);
	tear_down(&t);
}

TEST(what_a_refusal_leaves_unsent_is_told)
{
	struct bed t;
	struct pollfd p = { .events = POLLIN };
	uint32_t sent;

	set_up(&t);
	close(t.server);
	t.server = -1;
	for (uint32_t i = 0; i < 6; i++)
		mlbd_udp_address(&t.b, i, NULL, 0, NULL);
	p.fd = t.out;
	CHECK(send(t.out, "?", 1, 0) == 1 && poll(&p, 1, 5000) == 1); /* the ICMP message has come */
	CHECK_EQ(mlbd_udp_send(t.out, &t.b, 0, 6, &sent), -ECONNREFUSED);
	CHECK_EQ(sent, 0);
	tear_down(&t);
}

MLB_TEST_MAIN(CASE(datagrams_of_one_length_leave_as_one_train), CASE(a_train_goes_to_one_place),
	      CASE(a_train_that_the_kernel_refuses_goes_datagram_by_datagram), CASE(what_a_refusal_leaves_unsent_is_told))
