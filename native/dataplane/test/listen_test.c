/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes under way while listeners close or move to another VIP. With TCP_DEFER_ACCEPT a handshake stays under way, at the
 * listener, until the client says something: so a test decides when it ends. */
#include "dp_process.h"

#include <netinet/tcp.h>

#include <marllb/endpoint.h>
#include "listen.h"
#include "parted.h"
#include "workers.h"

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

/* A host with one VIP `web` at a free port and a handshake under way there. */
struct bed {
	struct mlbd_host *h;
	struct mlbd_vip_opts opts;
	int client;
};

static struct mlbd_vip *add(struct bed *t, const char *name, const char *address)
{
	strcpy(t->opts.conf.name, name);
	if (address)
		CHECK_EQ(mlb_addr_parse(address, &t->opts.conf.ep.addr), 0);
	CHECK_EQ(mlbd_vip_add(t->h, &t->opts, NULL, 0, err), 0);
	return mlbd_vip_find(t->h, name, err);
}

static void begin_host(struct bed *t)
{
	struct mlbd_settings s;

	mlbd_settings_default(&s);
	strcpy(s.region, "off");
	s.threads = 1;
	CHECK_EQ(mlbd_host_new(&t->h, &s, false, err), 0);
	mlbd_vips_hook(t->h);
	CHECK_EQ(mlbd_workers_new(t->h, err), 0);
}

static struct mlbd_vip *begin_vip(struct bed *t)
{
	struct mlbd_cmd c;
	int wait_s = 20;

	CHECK_EQ(mlbd_cmd_parse("vip web 127.0.0.1:0", &c, err), 0);
	t->opts = c.opts;
	struct mlbd_vip *v = add(t, "web", NULL);

	t->opts.conf.ep.port = v->conf.ep.port;
	setsockopt(v->fd[0], IPPROTO_TCP, TCP_DEFER_ACCEPT, &wait_s, sizeof(wait_s));
	t->client = dp_dial(v->conf.ep.port);
	CHECK(t->client >= 0);
	return v;
}

static void set_up(struct bed *t)
{
	begin_host(t);
	CHECK_EQ(mlbd_vip_del(t->h, begin_vip(t), err), 0);
	CHECK(!mlbd_vip_find(t->h, "web", err));
}

static void tear_down(struct bed *t)
{
	close(t->client);
	mlbd_workers_join(t->h);
	mlbd_host_free(t->h);
}

TEST(a_vip_at_the_same_address_takes_the_listeners_over)
{
	struct bed t;

	set_up(&t);
	mlbd_parted_end(t.h, mlbd_now_us());
	struct mlbd_vip *v = add(&t, "renamed", NULL);

	CHECK(v && ends(t.client, v->fd[0]));
	tear_down(&t);
}

TEST(a_handshake_under_way_is_served_after_its_vip_was_removed)
{
	struct bed t = { 0 };
	struct mlb_endpoint ep, at;
	struct mlbd_server_conf server = { .weight = 1 };
	int listener = -1;

	CHECK_EQ(mlb_endpoint_parse("127.0.0.1:0", true, &at, err), 0);
	CHECK_EQ(mlbd_listen(&at, 1, 16, false, &listener, err), 0);
	server.ep = at;
	begin_host(&t);
	CHECK_EQ(mlbd_workers_start(t.h, err), 0);
	CHECK_EQ(mlbd_host_serve(t.h, err), 0);
	struct mlbd_vip *v = begin_vip(&t);

	ep = v->conf.ep;
	CHECK_EQ(mlbd_server_set(t.h, v, &server, 1, err), 0);
	CHECK_EQ(mlbd_vip_del(t.h, v, err), 0);
	CHECK(unanswered(ep.port));
	CHECK(ends(t.client, listener)); /* through the VIP to the server */
	tear_down(&t);
	close(listener);
}

TEST(a_vip_that_overlaps_gets_the_address_at_once)
{
	struct bed t;

	set_up(&t);
	struct mlbd_vip *v = add(&t, "all", "0.0.0.0");

	CHECK(v && v->conf.ep.port == t.opts.conf.ep.port);
	tear_down(&t);
}

TEST(listeners_close_when_their_time_is_over)
{
	struct bed t;

	set_up(&t);
	mlbd_parted_end(t.h, mlbd_now_us() + MLBD_PARTED_US);
	CHECK_EQ(dp_dial(t.opts.conf.ep.port), -1);
	CHECK(add(&t, "web", NULL));
	tear_down(&t);
}

MLB_TEST_MAIN(CASE(a_handshake_under_way_ends_and_a_new_one_does_not_begin),
	      CASE(a_vip_at_the_same_address_takes_the_listeners_over),
	      CASE(a_handshake_under_way_is_served_after_its_vip_was_removed), CASE(a_vip_that_overlaps_gets_the_address_at_once),
	      CASE(listeners_close_when_their_time_is_over))
