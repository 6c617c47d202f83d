/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>

#include "addr.h"

static int round_trip(const char *text)
{
	struct mlb_endpoint ep, back;
	struct sockaddr_storage ss;
	char err[256] = "", out[MLBD_EP_LEN];

	if (mlbd_endpoint_parse(text, false, &ep, err))
		return 0;
	mlbd_to_sockaddr(&ep.addr, ep.port, &ss);
	mlbd_from_sockaddr(&ss, &back);
	return mlbd_endpoint_eq(&ep, &back) && strcmp(mlbd_endpoint_str(&ep, out), text) == 0;
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

	CHECK_EQ(mlbd_endpoint_parse("[::ffff:10.0.0.1]:80", false, &a, err), 0);
	CHECK_EQ(mlbd_endpoint_parse("10.0.0.1:80", false, &b, err), 0);
	CHECK(mlbd_endpoint_eq(&a, &b));
	CHECK(mlbd_addr_is_v4(&a.addr));
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

		CHECK_EQ(mlbd_endpoint_parse(bad[i], false, &ep, err), -EINVAL);
		CHECK(strstr(err, "expected") || strstr(err, "needs brackets"));
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

	CHECK_EQ(mlbd_endpoint_parse("127.0.0.1:0", true, &ep, err), 0);
	CHECK_EQ(ep.port, 0);
	CHECK_EQ(mlbd_endpoint_parse("127.0.0.1:0", false, &ep, err), -EINVAL);
}

MLB_TEST_MAIN(CASE(round_trips), CASE(mapped_ipv6_is_ipv4), CASE(refuses), CASE(port_0_only_where_allowed))
