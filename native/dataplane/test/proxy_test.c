/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers through the whole of marllb-dp: which clients must send one, what is made of it, and what servers get. */
#include "dp_process.h"

#include <marllb/endpoint.h>
#include "proxy_header.h"

/* One VIP and one server, with options of the VIP. */
struct bed {
	struct dp dp;
	int listener;
};

static void order(struct bed *b, const char *what)
{
	CHECK_STR(dp_control(&b->dp, what), "ok\n");
}

static void begin(struct bed *b, const char *options)
{
	char line[160];
	uint16_t port;

	b->listener = dp_listen(&port);
	dp_start(&b->dp, port, "1", NULL);
	snprintf(line, sizeof(line), "vip web 127.0.0.1:%u %s", b->dp.port, options);
	order(b, line);
}

static void end(struct bed *b)
{
	CHECK_EQ(dp_count(&b->dp, "flows", 0), 0);
	CHECK_EQ(dp_stop(&b->dp), 0);
	close(b->listener);
}

static uint16_t port_of(int fd, bool peer)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	return (peer ? getpeername : getsockname)(fd, (struct sockaddr *)&a, &len) ? 0 : ntohs(a.sin_port);
}

/* The header that the server at the other end of `fd` reads first; "SOURCE DESTINATION", static. */
static const char *header(int fd)
{
	static char text[2 * MLB_ENDPOINT_LEN];
	char a[MLB_ENDPOINT_LEN], b[MLB_ENDPOINT_LEN];
	uint8_t data[MLBD_PROXY_MOST];
	struct mlbd_proxy_header h;
	size_t n = 0;
	int len = 0, how;

	while (len == 0 && n < sizeof(data) && dp_read(fd, (char *)data + n, 1, &how) == 1)
		len = mlbd_proxy_parse(data, ++n, &h);
	snprintf(text, sizeof(text), "%d bytes read", (int)n);
	if (len > 0)
		snprintf(text, sizeof(text), "%s %s", h.has_addresses ? mlb_endpoint_text(&h.source, a) : "-",
			 h.has_addresses ? mlb_endpoint_text(&h.destination, b) : "-");
	return text;
}

static const char *own(int client, uint16_t vip)
{
	static char text[2 * MLB_ENDPOINT_LEN];

	snprintf(text, sizeof(text), "127.0.0.1:%u 127.0.0.1:%u", port_of(client, false), vip);
	return text;
}

static int next(struct bed *b)
{
	return dp_patient(accept(b->listener, NULL, NULL));
}

/* What the server got beyond what was read; checks that it is `want`, then an answer goes back. */
static void talk(int client, int server, const char *want)
{
	char got[64] = "", c;
	int how;

	CHECK_EQ(dp_read(server, got, strlen(want), &how), strlen(want));
	CHECK_STR(got, want);
	CHECK(dp_write(server, "!", 1));
	CHECK_EQ(dp_read(client, &c, 1, &how), 1);
}

static void hang_up(int client, int server)
{
	char c;
	int how;

	shutdown(client, SHUT_WR);
	CHECK_EQ(dp_read(server, &c, 1, &how), 0);
	CHECK_EQ(how, 0);
	close(server);
	close(client);
}

static void sent(const char *options)
{
	struct bed b;
	int client, server, how;
	char c;

	begin(&b, options);
	/* The client speaks first. */
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, "hello", 5));
	server = next(&b);
	CHECK_STR(header(server), own(client, b.dp.port));
	talk(client, server, "hello");
	CHECK(dp_write(client, "more", 4));
	talk(client, server, "more");
	hang_up(client, server);
	/* The server speaks first: it has the header at once. */
	client = dp_dial(b.dp.port);
	server = next(&b);
	CHECK_STR(header(server), own(client, b.dp.port));
	CHECK(dp_write(server, "220", 3));
	CHECK_EQ(dp_read(client, &c, 1, &how), 1);
	CHECK(dp_write(client, "x", 1));
	CHECK(dp_write(client, "y", 1));
	talk(client, server, "xy");
	hang_up(client, server);
	/* A client that says nothing and ends. */
	client = dp_dial(b.dp.port);
	shutdown(client, SHUT_WR);
	server = next(&b);
	CHECK_STR(header(server), own(client, b.dp.port));
	hang_up(client, server);
	/* The header is not the client's: 5 + 4 + 2 bytes. */
	CHECK_EQ(dp_count(&b.dp, "bytesIn", 11), 11);
	end(&b);
}

TEST(a_server_gets_the_clients_address_v1)
{
	sent("send-proxy v1");
}

TEST(a_server_gets_the_clients_address_v2)
{
	sent("send-proxy v2");
}

/* More than a buffer at once, ended by the client: nothing is lost, nothing comes twice. */
TEST(a_long_request_follows_the_header)
{
	enum { SIZE = 300000 };
	static char out[SIZE], in[SIZE + 1];
	struct bed b;
	int client, server, how;

	for (size_t i = 0; i < SIZE; i++)
		out[i] = (char)(i * 7 + i / 251);
	begin(&b, "send-proxy v2");
	kill(b.dp.pid, SIGSTOP);
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, out, 30000));
	kill(b.dp.pid, SIGCONT);
	server = next(&b);
	CHECK(dp_write(client, out + 30000, SIZE - 30000));
	shutdown(client, SHUT_WR);
	CHECK_STR(header(server), own(client, b.dp.port));
	CHECK_EQ(dp_read(server, in, sizeof(in), &how), SIZE);
	CHECK(memcmp(in, out, SIZE) == 0);
	close(client);
	close(server);
	end(&b);
}

/* A server's own word is stronger than its VIP's, and holds for the server that is tried, not for the one before. */
TEST(a_retry_takes_the_header_back)
{
	struct bed b;
	char line[160];
	uint16_t dead;
	int client, server;

	begin(&b, "send-proxy v1");
	close(dp_listen(&dead));
	snprintf(line, sizeof(line), "server 127.0.0.1:%u send-proxy off", port_of(b.listener, false));
	order(&b, line);
	snprintf(line, sizeof(line), "server 127.0.0.1:%u weight 1000 send-proxy v2", dead);
	order(&b, line);
	for (int i = 0; i < 5; i++) {
		client = dp_dial(b.dp.port);
		CHECK(dp_write(client, "hello", 5));
		server = next(&b);
		talk(client, server, "hello");
		hang_up(client, server);
	}
	CHECK(dp_count(&b.dp, "retries", 1) >= 1);
	CHECK(strstr(dp_control(&b.dp, "show config"), " send-proxy off\n"));
	CHECK(strstr(dp_control(&b.dp, "show config"), " send-proxy v2\n"));
	snprintf(line, sizeof(line), "server 127.0.0.1:%u send-proxy vip", port_of(b.listener, false));
	order(&b, line);
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, "hello", 5));
	server = next(&b);
	CHECK_STR(header(server), own(client, b.dp.port));
	talk(client, server, "hello");
	hang_up(client, server);
	end(&b);
}

#define V1 "PROXY TCP6 2001:db8::7 2001:db8::8 777 443\r\n"

TEST(a_header_of_a_named_network_says_who_the_client_is)
{
	struct bed b;
	int client, server;

	begin(&b, "accept-proxy 10.0.0.0/8,127.0.0.0/8 send-proxy v2");
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, V1 "hello", sizeof(V1) - 1 + 5));
	server = next(&b);
	CHECK_STR(header(server), "[2001:db8::7]:777 [2001:db8::8]:443");
	talk(client, server, "hello");
	CHECK(strstr(dp_control(&b.dp, "show flows"), "client [2001:db8::7]:777 "));
	hang_up(client, server);
	/* In pieces, and nothing behind it until the server has spoken. */
	client = dp_dial(b.dp.port);
	for (size_t i = 0; i < sizeof(V1) - 1; i++) {
		CHECK(dp_write(client, V1 + i, 1));
		usleep(500);
	}
	server = next(&b);
	CHECK_STR(header(server), "[2001:db8::7]:777 [2001:db8::8]:443");
	CHECK(dp_write(client, "hello", 5));
	talk(client, server, "hello");
	hang_up(client, server);
	/* UNKNOWN: the socket's own addresses hold. */
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, "PROXY UNKNOWN\r\nhello", 20));
	server = next(&b);
	CHECK_STR(header(server), own(client, b.dp.port));
	talk(client, server, "hello");
	hang_up(client, server);
	CHECK_EQ(dp_count(&b.dp, "bytesIn", 15), 15);
	CHECK_EQ(dp_count(&b.dp, "badProxyHeaders", 0), 0);
	end(&b);
}

TEST(limits_are_the_clients_not_the_proxys)
{
	struct bed b;
	int one, other, again, server[2], how;
	char c;

	begin(&b, "accept-proxy 127.0.0.1 max-connections-per-source 1");
	one = dp_dial(b.dp.port);
	CHECK(dp_write(one, "PROXY TCP4 192.0.2.1 192.0.2.9 1 2\r\nx", 37));
	server[0] = next(&b);
	talk(one, server[0], "x");
	again = dp_dial(b.dp.port);
	CHECK(dp_write(again, "PROXY TCP4 192.0.2.1 192.0.2.9 3 2\r\nx", 37));
	CHECK_EQ(dp_read(again, &c, 1, &how), 0);
	CHECK_EQ(dp_count(&b.dp, "limited", 1), 1);
	other = dp_dial(b.dp.port);
	CHECK(dp_write(other, "PROXY TCP4 192.0.2.2 192.0.2.9 1 2\r\nx", 37));
	server[1] = next(&b);
	talk(other, server[1], "x");
	close(again);
	hang_up(one, server[0]);
	hang_up(other, server[1]);
	end(&b);
}

/* Nobody else's bytes are taken for a header. */
TEST(from_elsewhere_a_header_is_data)
{
	struct bed b;
	int client, server;

	begin(&b, "accept-proxy 10.0.0.0/8,::1/128");
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, V1, sizeof(V1) - 1));
	server = next(&b);
	talk(client, server, V1);
	CHECK(strstr(dp_control(&b.dp, "show flows"), "client 127.0.0.1:"));
	hang_up(client, server);
	end(&b);
}

TEST(no_header_ends_the_connection_and_is_counted)
{
	struct bed b;
	struct timeval t = { 0, 100000 };
	int client, how;
	char c;

	begin(&b, "accept-proxy 127.0.0.1");
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, "GET / HTTP/1.1\r\n", 16));
	CHECK_EQ(dp_read(client, &c, 1, &how), 0);
	CHECK_EQ(how, ECONNRESET);
	close(client);
	CHECK_EQ(dp_count(&b.dp, "badProxyHeaders", 1), 1);
	client = dp_dial(b.dp.port); /* cut short */
	CHECK(dp_write(client, "PROXY TCP4", 10));
	shutdown(client, SHUT_WR);
	CHECK_EQ(dp_read(client, &c, 1, &how), 0);
	close(client);
	CHECK_EQ(dp_count(&b.dp, "badProxyHeaders", 2), 2);
	client = dp_dial(b.dp.port); /* a monitor that looks whether the port is open */
	shutdown(client, SHUT_WR);
	CHECK_EQ(dp_read(client, &c, 1, &how), 0);
	CHECK_EQ(how, 0);
	close(client);
	order(&b, "proxy-header-timeout 50ms");
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, "PROXY", 5));
	CHECK_EQ(dp_read(client, &c, 1, &how), 0);
	close(client);
	CHECK_EQ(dp_count(&b.dp, "badProxyHeaders", 3), 3);
	CHECK_EQ(dp_count(&b.dp, "newFlows", 0), 0);
	setsockopt(b.listener, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	CHECK(accept(b.listener, NULL, NULL) < 0); /* no server saw any of them */
	end(&b);
}

/* The list changes while connections run, and a VIP that goes takes those with it that have not said who they are. */
TEST(the_list_changes_and_the_vip_goes)
{
	struct bed b;
	char line[160];
	int client, server, how;
	char c;

	begin(&b, "accept-proxy 127.0.0.1");
	snprintf(line, sizeof(line), "vip web 127.0.0.1:%u accept-proxy none", b.dp.port);
	order(&b, line);
	CHECK(!strstr(dp_control(&b.dp, "show config"), "accept-proxy"));
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, "hello", 5));
	server = next(&b);
	talk(client, server, "hello");
	hang_up(client, server);
	snprintf(line, sizeof(line), "vip web 127.0.0.1:%u accept-proxy 127.0.0.0/8,2001:db8::/32", b.dp.port);
	order(&b, line);
	CHECK(strstr(dp_control(&b.dp, "show config"), " accept-proxy 127.0.0.0/8,2001:db8::/32 "));
	client = dp_dial(b.dp.port);
	CHECK(dp_write(client, "PROXY ", 6));
	order(&b, "no vip web");
	CHECK_EQ(dp_read(client, &c, 1, &how), 0);
	close(client);
	CHECK_EQ(dp_stop(&b.dp), 0);
	close(b.listener);
}

MLB_TEST_MAIN(CASE(a_server_gets_the_clients_address_v1), CASE(a_server_gets_the_clients_address_v2),
	      CASE(a_long_request_follows_the_header), CASE(a_retry_takes_the_header_back),
	      CASE(a_header_of_a_named_network_says_who_the_client_is), CASE(limits_are_the_clients_not_the_proxys),
	      CASE(from_elsewhere_a_header_is_data), CASE(no_header_ends_the_connection_and_is_counted),
	      CASE(the_list_changes_and_the_vip_goes))
