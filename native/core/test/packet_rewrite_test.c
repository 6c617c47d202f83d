/* SPDX-License-Identifier: Apache-2.0 */
/* Packet in, packet out: what comes out must be, byte by byte and checksum by checksum, the packet that would have been built
 * with the new addresses and ports in the first place. */
#include "marllb/packet.h"
#include "marllb/rng.h"
#include "mlbtest.h"
#include "packetbuild.h"

#define CLIENT4 "192.0.2.1"
#define VIP4 "198.51.100.7"
#define SERVER4 "10.9.8.7"
#define CLIENT6 "2001:db8::1"
#define VIP6 "2001:db8:9::7"
#define SERVER6 "fd00:1:2:3:4:5:6:7"

static const struct {
	const char *what;
	struct desc in;
	bool dst;
	const char *to;
	uint16_t port;
} nat[] = {
	{ "request to a server, address and port",
	  { CLIENT4, VIP4, 40000, 80, 6, .flags = 0x18, .payload = 13 },
	  true,
	  SERVER4,
	  8080 },
	{ "request to a server, port kept", { CLIENT4, VIP4, 40000, 80, 6, .flags = 2 }, true, SERVER4, 0 },
	{ "answer to the client", { SERVER4, CLIENT4, 8080, 40000, 6, .flags = 0x18, .payload = 700 }, false, VIP4, 80 },
	{ "options stay", { CLIENT4, VIP4, 40000, 80, 6, .flags = 2, .options = 12 }, true, SERVER4, 8080 },
	{ "UDP", { CLIENT4, VIP4, 40000, 53, 17, .payload = 31 }, true, SERVER4, 5353 },
	{ "UDP without checksum stays without",
	  { CLIENT4, VIP4, 40000, 53, 17, .payload = 31, .no_udp_sum = true },
	  true,
	  SERVER4,
	  5353 },
	{ "TCP over IPv6", { CLIENT6, VIP6, 40000, 80, 6, .flags = 0x18, .payload = 13 }, true, SERVER6, 8080 },
	{ "answer over IPv6", { SERVER6, CLIENT6, 8080, 40000, 6, .flags = 0x18, .payload = 14 }, false, VIP6, 80 },
	{ "UDP over IPv6 behind options", { CLIENT6, VIP6, 40000, 53, 17, .options = 16, .payload = 3 }, true, SERVER6, 5353 },
	{ "ping of a server behind NAT", { CLIENT4, VIP4, .proto = 1, .payload = 20 }, true, SERVER4, 0 },
	{ "ping over IPv6, whose checksum covers addresses", { CLIENT6, VIP6, .proto = 58, .payload = 20 }, true, SERVER6, 0 },
	{ "first fragment of a TCP segment",
	  { CLIENT4, VIP4, 40000, 80, 6, .payload = 64, .frag = 0x2000 },
	  true,
	  SERVER4,
	  8080 },
};

TEST(nat_gives_the_packet_built_anew)
{
	for (unsigned i = 0; i < sizeof(nat) / sizeof(nat[0]); i++) {
		struct desc out = nat[i].in;
		struct bytes p = build(&nat[i].in), want;
		struct mlb_pkt pkt;
		struct mlb_addr to = addr(nat[i].to);
		if (nat[i].dst) {
			out.dst = nat[i].to;
			out.dport = nat[i].port ? nat[i].port : out.dport;
		} else {
			out.src = nat[i].to;
			out.sport = nat[i].port ? nat[i].port : out.sport;
		}
		want = build(&out);
		enum mlb_pkt_error err = mlb_pkt_parse(p.b, p.n, &pkt);
		CHECK(err == MLB_PKT_OK || err == MLB_PKT_FRAGMENT);
		mlb_pkt_nat(p.b, &pkt, nat[i].dst, &to, nat[i].port);
		same(nat[i].what, p.b, &want);
	}
}

/* The middle of a datagram has no ports, though its bytes may look like some: only the IP header changes. */
TEST(nat_of_later_fragments_changes_addresses_only)
{
	struct desc d = { CLIENT4, VIP4, 0xdead, 0xbeef, 17, .payload = 40, .frag = 0x2010 };
	struct bytes p = build(&d), want = p;
	struct mlb_addr to = addr(SERVER4);
	struct mlb_pkt pkt;
	CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_FRAGMENT);
	mlb_pkt_nat(p.b, &pkt, true, &to, 8080);
	memcpy(want.b + 16, to.b + 12, 4);
	w16(want.b + 10, 0);
	w16(want.b + 10, naive_sum(want.b, 20, 0));
	same("later fragment", p.b, &want);
}

static const struct {
	const char *what;
	struct desc sent, own;
	const char *router, *vip, *server;
	uint8_t type;
	uint32_t keep;
	bool dst;
} quoting_errors[] = {
	{ "fragmentation needed, 8 bytes of TCP quoted",
	  { VIP4, CLIENT4, 80, 40000, 6, .payload = 90 },
	  { SERVER4, CLIENT4, 8080, 40000, 6, .payload = 90 },
	  "203.0.113.9",
	  VIP4,
	  SERVER4,
	  3,
	  28,
	  true },
	{ "unreachable, all of a TCP packet quoted",
	  { VIP4, CLIENT4, 80, 40000, 6, .payload = 91 },
	  { SERVER4, CLIENT4, 8080, 40000, 6, .payload = 91 },
	  "203.0.113.9",
	  VIP4,
	  SERVER4,
	  3,
	  999,
	  true },
	{ "time exceeded about UDP",
	  { VIP4, CLIENT4, 53, 40000, 17, .payload = 7, .options = 4 },
	  { SERVER4, CLIENT4, 8080, 40000, 17, .payload = 7, .options = 4 },
	  "203.0.113.9",
	  VIP4,
	  SERVER4,
	  11,
	  999,
	  true },
	{ "UDP without checksum",
	  { VIP4, CLIENT4, 53, 40000, 17, .payload = 7, .no_udp_sum = true },
	  { SERVER4, CLIENT4, 8080, 40000, 17, .payload = 7, .no_udp_sum = true },
	  "203.0.113.9",
	  VIP4,
	  SERVER4,
	  3,
	  999,
	  true },
	{ "packet too big over IPv6",
	  { VIP6, CLIENT6, 80, 40000, 6, .payload = 500 },
	  { SERVER6, CLIENT6, 8080, 40000, 6, .payload = 500 },
	  "2001:db8:ff::9",
	  VIP6,
	  SERVER6,
	  2,
	  999,
	  true },
	{ "packet too big over IPv6, short quote behind options",
	  { VIP6, CLIENT6, 80, 40000, 6, .options = 8 },
	  { SERVER6, CLIENT6, 8080, 40000, 6, .options = 8 },
	  "2001:db8:ff::9",
	  VIP6,
	  SERVER6,
	  2,
	  56,
	  true },
	{ "the server itself refuses a client's UDP",
	  { CLIENT4, SERVER4, 40000, 8080, 17, .payload = 7 },
	  { CLIENT4, VIP4, 40000, 53, 17, .payload = 7 },
	  SERVER4,
	  CLIENT4,
	  VIP4,
	  3,
	  999,
	  false },
};

/* A router complains to the VIP about a packet that we sent in its name: the server must see the complaint about its own packet.
 */
TEST(nat_of_icmp_errors_rewrites_the_quote)
{
	for (unsigned i = 0; i < sizeof(quoting_errors) / sizeof(quoting_errors[0]); i++) {
		struct bytes sent = build(&quoting_errors[i].sent), own = build(&quoting_errors[i].own), p, want;
		struct mlb_addr to = addr(quoting_errors[i].server);
		struct mlb_pkt pkt;
		if (quoting_errors[i].dst) {
			p = build_error(quoting_errors[i].router, quoting_errors[i].vip, quoting_errors[i].type, &sent,
					quoting_errors[i].keep);
			want = build_error(quoting_errors[i].router, quoting_errors[i].server, quoting_errors[i].type, &own,
					   quoting_errors[i].keep);
		} else {
			p = build_error(quoting_errors[i].router, quoting_errors[i].vip, quoting_errors[i].type, &sent,
					quoting_errors[i].keep);
			want = build_error(quoting_errors[i].server, quoting_errors[i].vip, quoting_errors[i].type, &own,
					   quoting_errors[i].keep);
		}
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_OK);
		CHECK(pkt.icmp_error);
		mlb_pkt_nat(p.b, &pkt, quoting_errors[i].dst, &to,
			    quoting_errors[i].dst ? quoting_errors[i].own.sport : quoting_errors[i].own.dport);
		same(quoting_errors[i].what, p.b, &want);
	}
}

TEST(random_nat_equals_full_checksums)
{
	struct mlb_rng r;
	mlb_rng_seed(&r, 31);
	for (int round = 0; round < 20000; round++) {
		char src[64], dst[64];
		bool v6 = round & 1;
		uint64_t x = mlb_rng_next(&r), y = mlb_rng_next(&r);
		if (v6) {
			snprintf(src, sizeof(src), "2001:%x:%x::%x", (unsigned)(x & 0xffff), (unsigned)(x >> 16 & 0xffff),
				 (unsigned)(x >> 32 & 0xffff));
			snprintf(dst, sizeof(dst), "fd00:%x::%x", (unsigned)(y & 0xffff), (unsigned)(y >> 16 & 0xffff));
		} else {
			snprintf(src, sizeof(src), "10.%u.%u.%u", (unsigned)(x & 255), (unsigned)(x >> 8 & 255),
				 (unsigned)(x >> 16 & 255));
			snprintf(dst, sizeof(dst), "172.%u.%u.%u", (unsigned)(y & 255), (unsigned)(y >> 8 & 255),
				 (unsigned)(y >> 16 & 255));
		}
		struct desc d = { src,
				  dst,
				  (uint16_t)x,
				  (uint16_t)y,
				  round & 2 ? 6 : 17,
				  .payload = (uint32_t)(x >> 48) % 100,
				  .options = round & 4 ? 8 : 0 };
		struct bytes p = build(&d);
		struct mlb_pkt pkt;
		struct mlb_addr to = v6 ? addr("2001:db8::99") : addr("203.0.113.99");
		uint32_t at = d.proto == 6 ? 16 : 6;
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_OK);
		uint16_t stands, full = mlb_pkt_l4_csum(p.b, &pkt);
		memcpy(&stands, p.b + p.l4 + at, 2);
		CHECK_EQ(stands, full);
		mlb_pkt_nat(p.b, &pkt, round & 8, &to, (uint16_t)(y >> 32));
		mlb_pkt_parse(p.b, p.n, &pkt);
		full = mlb_pkt_l4_csum(p.b, &pkt);
		memcpy(&stands, p.b + p.l4 + at, 2);
		CHECK_EQ(stands, full);
		CHECK(v6 || naive_sum(p.b, p.l4, 0) == 0);
	}
}

/* All 16-bit changes that can go wrong at 0 and 0xffff. */
TEST(update16_equals_full)
{
	const uint16_t v[] = { 0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x1234 };
	uint32_t wrong = 0;
	for (int a = 0; a < 7; a++)
		for (int b = 0; b < 7; b++)
			for (int c = 0; c < 7; c++) {
				uint8_t w[6];
				w16(w, v[a]);
				w16(w + 2, v[b]);
				w16(w + 4, 0x4500); /* real headers are never all zero */
				uint16_t before = naive_sum(w, 6, 0);
				w16(w + 2, v[c]);
				wrong += mlb_csum_update16(htons(before), htons(v[b]), htons(v[c])) != htons(naive_sum(w, 6, 0));
			}
	CHECK_EQ(wrong, 0);
}

TEST(l3dsr_marks_and_keeps_ecn)
{
	const struct desc d[] = { { CLIENT4, VIP4, 40000, 80, 6, .flags = 2, .tos = 0x03 },
				  { CLIENT4, VIP4, 40000, 80, 17, .payload = 5, .tos = 0xb9 },
				  { CLIENT6, VIP6, 40000, 80, 6, .flags = 2, .tos = 0x02 },
				  { CLIENT6, VIP6, .proto = 58, .tos = 0xff } };
	for (int i = 0; i < 4; i++) {
		struct desc out = d[i];
		struct bytes p = build(&d[i]), want;
		struct mlb_addr to = addr(i < 2 ? SERVER4 : SERVER6);
		struct mlb_pkt pkt;
		out.dst = i < 2 ? SERVER4 : SERVER6;
		out.tos = (uint8_t)(37 << 2 | (d[i].tos & 3));
		want = build(&out);
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_OK);
		mlb_pkt_l3dsr(p.b, &pkt, &to, 37);
		same("l3dsr", p.b, &want);
	}
}

/* Outer header in front; the inner packet and the bytes left for the tunnel's own header untouched. */
TEST(outer_headers)
{
	static const struct {
		struct desc in;
		const char *src, *dst;
		uint8_t next;
		uint32_t shim;
	} cases[] = {
		{ { CLIENT4, VIP4, 1, 2, 6, .tos = 0xb9, .frag = 0x4000 }, "10.0.0.1", "10.0.0.2", 47, 4 },
		{ { CLIENT6, VIP6, 1, 2, 6, .tos = 0xb9 }, "10.0.0.1", "10.0.0.2", 17, 12 },
		{ { CLIENT4, VIP4, 1, 2, 17, .payload = 9 }, "fd00::1", "fd00::2", 17, 12 },
		{ { CLIENT6, VIP6, 1, 2, 6, .flags = 0 }, "fd00::1", "fd00::2", 47, 4 },
		{ { CLIENT4, VIP4, 1, 2, 6, .tos = 0xb9 }, "10.0.0.1", "10.0.0.2", 4, 0 },
		{ { CLIENT6, VIP6, 1, 2, 6, .flags = 0 }, "10.0.0.1", "10.0.0.2", 41, 0 },
		{ { CLIENT4, VIP4, 1, 2, 6, .tos = 1 }, "fd00::1", "fd00::2", 4, 0 },
		{ { CLIENT6, VIP6, 1, 2, 6, .flags = 0 }, "fd00::1", "fd00::2", 41, 0 },
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes p = build(&cases[i].in);
		struct mlb_pkt pkt;
		struct mlb_addr s = addr(cases[i].src), t = addr(cases[i].dst);
		uint8_t room[2200], *ip = room + 64;
		bool v6 = strchr(cases[i].src, ':') != NULL, in6 = strchr(cases[i].in.src, ':') != NULL;
		uint32_t shim = cases[i].shim;
		memset(room, 0xa5, sizeof(room));
		memcpy(ip, p.b, p.n);
		CHECK_EQ(mlb_pkt_parse(ip, p.n, &pkt), MLB_PKT_OK);
		uint32_t n = mlb_pkt_outer(ip, &pkt, cases[i].next, shim, 0x12345678, &s, &t);
		uint8_t *o = ip - n;
		CHECK_EQ(n, (v6 ? 40u : 20u) + shim);
		CHECK(memcmp(ip, p.b, p.n) == 0);
		for (uint32_t k = 1; k <= shim; k++)
			CHECK_EQ(ip[-(int)k], 0xa5);
		CHECK_EQ(o[-1], 0xa5);
		if (v6) {
			CHECK_EQ(o[0] >> 4, 6);
			CHECK_EQ((uint8_t)(o[0] << 4 | o[1] >> 4), cases[i].in.tos);
			CHECK_EQ((o[1] & 15) << 16 | o[2] << 8 | o[3], 0x12345);
			CHECK_EQ(o[4] << 8 | o[5], p.n + shim);
			CHECK_EQ(o[6], cases[i].next);
			CHECK(memcmp(o + 8, s.b, 16) == 0 && memcmp(o + 24, t.b, 16) == 0);
		} else {
			CHECK_EQ(o[0], 0x45);
			CHECK_EQ(o[1], cases[i].in.tos);
			CHECK_EQ(o[2] << 8 | o[3], p.n + n);
			CHECK_EQ(o[6] << 8 | o[7], in6 || cases[i].in.frag ? 0x4000 : 0);
			CHECK_EQ(o[9], cases[i].next);
			CHECK_EQ(naive_sum(o, 20, 0), 0);
			CHECK(memcmp(o + 12, s.b + 12, 4) == 0 && memcmp(o + 16, t.b + 12, 4) == 0);
		}
		pkt.total_len =
			65535; /* fits only where nothing but an IPv6 header, which its length does not hold, is put in front */
		CHECK_EQ(mlb_pkt_outer(ip, &pkt, cases[i].next, shim, 0, &s, &t), v6 && !shim ? n : 0);
	}
}

MLB_TEST_MAIN(CASE(nat_gives_the_packet_built_anew), CASE(nat_of_later_fragments_changes_addresses_only),
	      CASE(nat_of_icmp_errors_rewrites_the_quote), CASE(random_nat_equals_full_checksums), CASE(update16_equals_full),
	      CASE(l3dsr_marks_and_keeps_ecn), CASE(outer_headers))
