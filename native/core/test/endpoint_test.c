/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>

#include <marllb/endpoint.h>

static int round_trip(const char *text)
{
	struct mlb_endpoint ep, back;
	struct sockaddr_storage ss;
	char err[256] = "", out[MLB_ENDPOINT_LEN];

	if (mlb_endpoint_parse(text, false, &ep, err))
		return 0;
	mlb_addr_to_sockaddr(&ep.addr, ep.port, &ss);
	mlb_endpoint_from_sockaddr(&ss, &back);
	return mlb_endpoint_eq(&ep, &back) && strcmp(mlb_endpoint_text(&ep, out), text) == 0;
}

TEST(round_trips)
{
	CHECK(round_trip("127.0.0.1:8080"));
	CHECK(round_trip("[::1]:65535"));
	CHECK(round_trip("[2001:db8::7]:1"));
	CHECK(round_trip("255.255.255.255:1"));
}

TEST(mapped_ipv6_is_ipv4)
{
	struct mlb_endpoint a, b;
	char err[256];

	CHECK_EQ(mlb_endpoint_parse("[::ffff:10.0.0.1]:80", false, &a, err), 0);
	CHECK_EQ(mlb_endpoint_parse("10.0.0.1:80", false, &b, err), 0);
	CHECK(mlb_endpoint_eq(&a, &b));
	CHECK(mlb_addr_is_v4(&a.addr));
}

TEST(refuses)
{
	static const char *const bad[] = { "",
					   ":80",
					   "127.0.0.1",
					   "127.0.0.1:",
					   "127.0.0.1:0",
					   "127.0.0.1:65536",
					   "127.0.0.1:8x",
					   "127.0.0.1:-1",
					   "127.0.0.1: 80",
					   "::1:80",
					   "[::1]",
					   "[::1]80",
					   "[::1:80",
					   "host:80",
					   "1.2.3:80",
					   "[]:80",
					   "127.0.0.1:80:80",
					   "[127.0.0.1:80" };
	struct mlb_endpoint ep;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char err[256] = "";

		CHECK_EQ(mlb_endpoint_parse(bad[i], false, &ep, err), -EINVAL);
		CHECK(strstr(err, "expected"));
		if (!mlbtest_failed)
			continue;
		printf("# input '%s': %s\n", bad[i], err);
		return;
	}
}

TEST(port_0_only_where_allowed)
{
	struct mlb_endpoint ep;
	char err[256];

	CHECK_EQ(mlb_endpoint_parse("127.0.0.1:0", true, &ep, err), 0);
	CHECK_EQ(ep.port, 0);
	CHECK_EQ(mlb_endpoint_parse("127.0.0.1:0", false, &ep, err), -EINVAL);
}

TEST(special_addresses)
{
	static const struct {
		const char *text;
		bool any, loopback;
	} c[] = { { "0.0.0.0", true, false },       { "::", true, false },         { "127.0.0.1", false, true },
		  { "127.8.9.1", false, true },     { "::1", false, true },        { "10.0.0.1", false, false },
		  { "fe80::1", false, false },      { "128.0.0.1", false, false }, { "::2", false, false },
		  { "::ffff:0.0.0.0", true, false } };

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct mlb_addr a;
		char text[MLB_ENDPOINT_LEN];

		CHECK_EQ(mlb_addr_parse(c[i].text, &a), 0);
		CHECK_EQ(mlb_addr_is_any(&a), c[i].any);
		CHECK_EQ(mlb_addr_is_loopback(&a), c[i].loopback);
		CHECK(i == 9 || strcmp(mlb_addr_text(&a, text), c[i].text) == 0);
	}
}

/* Load balancers of one pool agree about a server only if they hash it alike: the value is part of the contract. */
TEST(keys_are_the_same_everywhere)
{
	struct mlb_endpoint a, b;

	CHECK_EQ(mlb_endpoint_parse("10.0.0.1:80", false, &a, NULL), 0);
	CHECK_EQ(mlb_endpoint_key(&a), UINT64_C(0x18edd8f01b754b90));
	CHECK_EQ(mlb_endpoint_parse("[2001:db8::1]:443", false, &b, NULL), 0);
	CHECK_EQ(mlb_endpoint_key(&b), UINT64_C(0x3643ee800d787593));
	b.proto = 17;
	CHECK_EQ(mlb_endpoint_key(&b), UINT64_C(0x3643ee800d787593));
}

MLB_TEST_MAIN(CASE(round_trips), CASE(mapped_ipv6_is_ipv4), CASE(refuses), CASE(port_0_only_where_allowed),
	      CASE(special_addresses), CASE(keys_are_the_same_everywhere))
