/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <marllb/endpoint.h>
#include "own.h"

static char err[256];

static struct mlb_endpoint ep(const char *text)
{
	struct mlb_endpoint e;

	CHECK_EQ(mlb_endpoint_parse(text, true, &e, err), 0);
	return e;
}

static void bad(const char *what)
{
	printf("# %s\n", what);
	CHECK(!"as described");
}

/* A machine with 127.0.0.0/8, ::1, 10.0.0.1 and 2001:db8::1. */
static bool local(const struct mlb_addr *a)
{
	struct mlb_endpoint v4 = ep("10.0.0.1:0"), v6 = ep("[2001:db8::1]:0");

	return mlb_addr_is_loopback(a) || mlb_addr_eq(a, &v4.addr) || mlb_addr_eq(a, &v6.addr);
}

static const struct {
	const char *what, *a, *b;
	bool udp, overlap;
} pairs[] = {
	{ "one address", "10.0.0.1:80", "10.0.0.1:80", false, true },
	{ "another port", "10.0.0.1:80", "10.0.0.1:81", false, false },
	{ "the wildcard covers every IPv4 address", "0.0.0.0:80", "127.0.0.1:80", false, true },
	{ "IPv4 mapped into IPv6 is IPv4", "0.0.0.0:80", "[::ffff:127.0.0.1]:80", false, true },
	{ "[::] is IPv6 only", "[::]:80", "127.0.0.1:80", false, false },
	{ "[::] covers every IPv6 address", "[::]:80", "[2001:db8::1]:80", false, true },
	{ "both wildcards stand beside each other", "[::]:80", "0.0.0.0:80", false, false },
	{ "TCP and UDP are apart", "10.0.0.1:80", "10.0.0.1:80", true, false },
	{ "port 0 is a free one", "127.0.0.1:0", "127.0.0.1:0", false, false },
};

TEST(vips_that_overlap)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct mlb_endpoint a = ep(pairs[i].a), b = ep(pairs[i].b);

		if (pairs[i].udp)
			b.proto = IPPROTO_UDP;
		if (mlbd_vips_overlap(&a, &b) != pairs[i].overlap || mlbd_vips_overlap(&b, &a) != pairs[i].overlap)
			bad(pairs[i].what);
	}
}

static const struct {
	const char *what, *server, *vip;
	bool leads;
} ways[] = {
	{ "the VIP itself", "127.0.0.1:80", "127.0.0.1:80", true },
	{ "another port", "127.0.0.1:81", "127.0.0.1:80", false },
	{ "loopback behind a wildcard", "127.3.2.1:80", "0.0.0.0:80", true },
	{ "an address of this machine behind a wildcard", "10.0.0.1:80", "0.0.0.0:80", true },
	{ "another machine's address", "10.0.0.2:80", "0.0.0.0:80", false },
	{ "IPv6 behind an IPv6 wildcard", "[2001:db8::1]:80", "[::]:80", true },
	{ "IPv4 never reaches an IPv6 wildcard", "127.0.0.1:80", "[::]:80", false },
	{ "0.0.0.0 as a server is the loopback address", "0.0.0.0:80", "127.0.0.1:80", true },
	{ "[::] as a server is the loopback address", "[::]:80", "[::1]:80", true },
	{ "0.0.0.0 on both sides", "0.0.0.0:80", "0.0.0.0:80", true },
};

TEST(servers_that_are_a_vip)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct mlb_endpoint server = ep(ways[i].server), vip = ep(ways[i].vip);

		if (mlbd_leads_to(&server, &vip, local) != ways[i].leads)
			bad(ways[i].what);
	}
}

static struct mlbd_plan_vip *add(struct mlbd_plan *p, const char *name, const char *address, struct mlbd_server_conf *server)
{
	struct mlbd_plan_vip *v = &p->vip[p->vips++];

	strcpy(v->opts.conf.name, name);
	v->opts.conf.ep = ep(address);
	v->server = server;
	v->servers = server ? 1 : 0;
	return v;
}

TEST(loops_are_found_over_any_number_of_vips)
{
	struct mlbd_server_conf to_b = { .ep = ep("127.0.0.1:2") }, to_c = { .ep = ep("10.0.0.1:3") };
	struct mlb_endpoint a = ep("127.0.0.1:1"), b = ep("127.0.0.1:2"), other = ep("127.0.0.1:9");
	static struct mlbd_plan p;
	struct mlbd_plan_vip *va = add(&p, "a", "127.0.0.1:1", &to_b);
	struct mlbd_plan_vip *vb = add(&p, "b", "127.0.0.1:2", &to_c);
	struct mlbd_plan_vip *vc = add(&p, "c", "0.0.0.0:3", NULL);

	CHECK_EQ(mlbd_loop_check(&p, vc, &other, local, err), 0);
	CHECK_EQ(mlbd_loop_check(&p, va, &b, local, err), 0); /* a chain is no loop */
	CHECK_EQ(mlbd_loop_check(&p, va, &a, local, err), -ELOOP);
	CHECK_STR(err, "vip a: server 127.0.0.1:1 is the vip itself");
	CHECK_EQ(mlbd_loop_check(&p, vc, &a, local, err), -ELOOP);
	CHECK_STR(err, "vip c: server 127.0.0.1:1 leads back to the vip: vip b has it behind it");
	CHECK_EQ(mlbd_loop_check(&p, vb, &a, local, err), -ELOOP);
	vb->opts.conf.ep.proto = IPPROTO_UDP; /* who connects to b by TCP does not reach it */
	CHECK_EQ(mlbd_loop_check(&p, vc, &a, local, err), 0);
}

/* Each VIP is the server of the next; the last one's server closes the circle. */
TEST(a_loop_is_found_over_a_thousand_vips)
{
	static struct mlbd_plan p;
	static struct mlbd_server_conf to[MLB_MAX_VIPS];
	char name[16], at[24];

	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		snprintf(at, sizeof(at), "127.0.0.1:%u", MLB_MAX_VIPS - i);
		to[i].ep = ep(at);
		to[i].ep.port--;
		add(&p, name, at, i + 1 < MLB_MAX_VIPS ? &to[i] : NULL);
	}
	struct mlb_endpoint first = ep("127.0.0.1:1024"), other = ep("127.0.0.1:9999");
	struct mlbd_plan_vip *last = &p.vip[MLB_MAX_VIPS - 1];

	CHECK_EQ(mlbd_loop_check(&p, last, &other, local, err), 0);
	CHECK_EQ(mlbd_loop_check(&p, last, &first, local, err), -ELOOP);
	CHECK_STR(err, "vip v1023: server 127.0.0.1:1024 leads back to the vip: vip v1022 has it behind it");
}

TEST(the_kernel_knows_the_loopback_addresses)
{
	struct mlb_endpoint v4 = ep("127.9.9.9:0"), v6 = ep("[::1]:0"), none = ep("203.0.113.77:0");

	CHECK(mlbd_addr_is_local(&v4.addr));
	CHECK(mlbd_addr_is_local(&v6.addr));
	CHECK(!mlbd_addr_is_local(&none.addr));
}

TEST(the_address_of_one_host)
{
	static const struct {
		const char *addr, *what; /* what: NULL where it is one */
	} rows[] = {
		{ "10.0.0.255", NULL },
		{ "127.0.0.1", NULL },
		{ "0.0.0.0", NULL },
		{ "::", NULL },
		{ "::1", NULL },
		{ "2001:db8::ff", NULL },
		{ "224.0.0.1", "multicast" },
		{ "239.255.255.255", "multicast" },
		{ "ff02::1", "multicast" },
		{ "fe80::1", "link-local" },
		{ "febf::1", "link-local" },
		{ "fec0::1", NULL },
		{ "255.255.255.255", "broadcast" },
		{ "127.255.255.255", "broadcast" }, /* of the loopback interface's network */
	};
	char err[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mlb_addr a;

		CHECK_EQ(mlb_addr_parse(rows[i].addr, &a), 0);
		int rc = mlbd_addr_of_one("vip", &a, err);

		if (rows[i].what ? rc != -EINVAL || !strstr(err, rows[i].what) || !strstr(err, rows[i].addr) : rc != 0)
			bad(rows[i].addr);
	}
}

MLB_TEST_MAIN(CASE(vips_that_overlap), CASE(servers_that_are_a_vip), CASE(loops_are_found_over_any_number_of_vips),
	      CASE(a_loop_is_found_over_a_thousand_vips), CASE(the_kernel_knows_the_loopback_addresses),
	      CASE(the_address_of_one_host))
