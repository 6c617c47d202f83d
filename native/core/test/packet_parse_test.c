/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/packet.h"
#include "marllb/rng.h"
#include "mlbtest.h"
#include "packetbuild.h"
#include <sys/mman.h>

#define V4 .src = "192.0.2.1", .dst = "198.51.100.7"
#define V6 .src = "2001:db8::1", .dst = "2001:db8:9::7"

/* A copy that ends at the end of a page behind which nothing may be read. */
static uint8_t *page_end;
static uint8_t *at_page_end(const uint8_t *b, uint32_t n)
{
	if (!page_end) {
		uint8_t *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(p + 2 * 4096, 4096, PROT_NONE);
		page_end = p + 2 * 4096;
	}
	return memcpy(page_end - n, b, n);
}

static const struct {
	const char *what;
	struct desc d;
	enum mlb_pkt_error err;
	uint16_t l4_off, payload_off;
} good[] = {
	{ "TCP over IPv4", { V4, 40000, 80, 6, .flags = 0x18, .payload = 10 }, MLB_PKT_OK, 20, 40 },
	{ "TCP over IPv4 with 40 bytes of options", { V4, 40000, 80, 6, .flags = 2, .options = 40 }, MLB_PKT_OK, 60, 80 },
	{ "UDP over IPv4", { V4, 53, 5353, 17, .payload = 33 }, MLB_PKT_OK, 20, 28 },
	{ "UDP over IPv4 without payload", { V4, 53, 5353, 17 }, MLB_PKT_OK, 20, 28 },
	{ "TCP over IPv6", { V6, 40000, 80, 6, .flags = 0x10, .payload = 1 }, MLB_PKT_OK, 40, 60 },
	{ "TCP over IPv6 behind destination options", { V6, 40000, 80, 6, .flags = 0x10, .options = 24 }, MLB_PKT_OK, 64, 84 },
	{ "UDP over IPv6", { V6, 1, 65535, 17, .payload = 3 }, MLB_PKT_OK, 40, 48 },
	{ "ping over IPv4", { V4, .proto = 1, .payload = 56 }, MLB_PKT_OK, 20, 28 },
	{ "ping over IPv6", { V6, .proto = 58, .payload = 56 }, MLB_PKT_OK, 40, 48 },
	{ "first IPv4 fragment has ports", { V4, 7, 8, 17, .payload = 64, .frag = 0x2000 }, MLB_PKT_FRAGMENT, 20, 28 },
	{ "first IPv6 fragment has ports", { V6, 7, 8, 6, .payload = 64, .frag = 1 }, MLB_PKT_FRAGMENT, 48, 68 },
	{ "don't-fragment is no fragment", { V4, 7, 8, 6, .frag = 0x4000 }, MLB_PKT_OK, 20, 40 },
	{ "reserved bits of an IPv6 fragment header do not make a fragment", { V6, 7, 8, 6, .frag = 6 }, MLB_PKT_OK, 48, 68 },
};

TEST(described_packets_are_read)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct desc *d = &good[i].d;
		struct bytes p = build(d);
		struct mlb_pkt pkt;
		struct mlb_addr s = addr(d->src), t = addr(d->dst);
		int before = mlbtest_failed;
		bool ports = d->proto == 6 || d->proto == 17;
		CHECK_EQ(mlb_pkt_parse(at_page_end(p.b, p.n), p.n, &pkt), good[i].err);
		CHECK_EQ(pkt.l4_off, good[i].l4_off);
		CHECK_EQ(pkt.payload_off, good[i].payload_off);
		CHECK_EQ(pkt.total_len, p.n);
		CHECK_EQ(pkt.readable, p.n);
		CHECK_EQ(pkt.proto, d->proto);
		CHECK_EQ(pkt.version, strchr(d->src, ':') ? 6 : 4);
		CHECK_EQ(pkt.ttl, 64);
		CHECK_EQ(pkt.sport, ports ? d->sport : 0);
		CHECK_EQ(pkt.dport, ports ? d->dport : 0);
		CHECK_EQ(pkt.tcp_flags, d->flags);
		CHECK_EQ(pkt.fragment, good[i].err == MLB_PKT_FRAGMENT);
		CHECK(memcmp(&pkt.src, &s, 16) == 0 && memcmp(&pkt.dst, &t, 16) == 0);
		/* padding behind the packet changes nothing */
		uint8_t padded[2048] = { 0 };
		memcpy(padded, p.b, p.n);
		struct mlb_pkt again;
		CHECK_EQ(mlb_pkt_parse(padded, p.n + 6, &again), good[i].err);
		CHECK(memcmp(&again, &pkt, sizeof(pkt)) == 0);
		if (mlbtest_failed != before)
			printf("# %s\n", good[i].what);
	}
}

/* Later fragments carry addresses and no ports, whatever their bytes look like. */
TEST(later_fragments_have_no_ports)
{
	const struct desc d[] = { { V4, 7, 8, 17, .payload = 64, .frag = 0x2001 },
				  { V4, 7, 8, 6, .frag = 0x00b9 },
				  { V6, 7, 8, 6, .frag = 0x5c8 } };
	for (int i = 0; i < 3; i++) {
		struct bytes p = build(&d[i]);
		struct mlb_pkt pkt;
		struct mlb_addr t = addr(d[i].dst);
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_FRAGMENT);
		CHECK(pkt.fragment && pkt.later_fragment);
		CHECK_EQ(pkt.sport | pkt.dport, 0);
		CHECK(memcmp(&pkt.dst, &t, 16) == 0);
	}
}

#define T4 \
	{ \
		V4, 40000, 80, 6, .flags = 2, .payload = 4 \
	}
#define U4 \
	{ \
		V4, 40000, 80, 17, .payload = 4 \
	}
#define T6 \
	{ \
		V6, 40000, 80, 6, .flags = 2, .payload = 4 \
	}
#define O6 \
	{ \
		V6, 40000, 80, 6, .flags = 2, .options = 8 \
	}
static const struct {
	const char *what;
	struct desc d;
	struct {
		uint16_t at;
		uint8_t to;
	} set[4];     /* bytes changed, at != 0 or to != 0 */
	uint32_t cut; /* bytes left, 0 = all */
	enum mlb_pkt_error err;
} bad[] = {
	{ "one byte of IPv4", T4, { { 0 } }, 1, MLB_PKT_TRUNCATED },
	{ "half an IPv4 header", T4, { { 0 } }, 12, MLB_PKT_TRUNCATED },
	{ "IPv4 header cut in its options", { V4, 1, 2, 6, .options = 40 }, { { 0 } }, 40, MLB_PKT_TRUNCATED },
	{ "shorter than its total length", T4, { { 0 } }, 43, MLB_PKT_TRUNCATED },
	{ "half an IPv6 header", T6, { { 0 } }, 39, MLB_PKT_TRUNCATED },
	{ "IPv6 shorter than its payload length", T6, { { 0 } }, 63, MLB_PKT_TRUNCATED },
	{ "version 0", T4, { { 0, 0x05 } }, 0, MLB_PKT_BAD_VERSION },
	{ "version 5", T4, { { 0, 0x55 } }, 0, MLB_PKT_BAD_VERSION },
	{ "header of 4 words", T4, { { 0, 0x44 } }, 0, MLB_PKT_BAD_IHL },
	{ "header of no words", T4, { { 0, 0x40 } }, 0, MLB_PKT_BAD_IHL },
	{ "total length below the header's", T4, { { 2, 0 }, { 3, 19 } }, 0, MLB_PKT_BAD_LENGTH },
	{ "header longer than the packet", T4, { { 0, 0x4f } }, 0, MLB_PKT_BAD_LENGTH },
	{ "total length ends within the TCP header", T4, { { 3, 30 } }, 0, MLB_PKT_L4_TRUNCATED },
	{ "total length ends within the UDP header", U4, { { 3, 27 } }, 0, MLB_PKT_L4_TRUNCATED },
	{ "total length ends at the IP header", T4, { { 3, 20 } }, 0, MLB_PKT_L4_TRUNCATED },
	{ "IPv6 payload length ends within the TCP header", T6, { { 5, 19 } }, 0, MLB_PKT_L4_TRUNCATED },
	{ "IPv6 without payload", T6, { { 5, 0 } }, 0, MLB_PKT_L4_TRUNCATED },
	{ "a ping of 7 bytes", { V4, .proto = 1 }, { { 3, 27 } }, 0, MLB_PKT_L4_TRUNCATED },
	{ "TCP header of 4 words", T4, { { 32, 0x40 } }, 0, MLB_PKT_TCP_OFFSET },
	{ "TCP header longer than the packet", T4, { { 32, 0x70 } }, 0, MLB_PKT_TCP_OFFSET },
	{ "UDP length of 7", U4, { { 25, 7 } }, 0, MLB_PKT_UDP_LENGTH },
	{ "UDP length beyond the packet", U4, { { 25, 13 } }, 0, MLB_PKT_UDP_LENGTH },
	{ "UDP length of 0", U4, { { 25, 0 } }, 0, MLB_PKT_UDP_LENGTH },
	{ "GRE to the VIP", T4, { { 9, 47 } }, 0, MLB_PKT_PROTO },
	{ "ICMP over IPv6", T6, { { 6, 1 } }, 0, MLB_PKT_PROTO },
	{ "ICMPv6 over IPv4", T4, { { 9, 58 } }, 0, MLB_PKT_PROTO },
	{ "ESP cannot be looked into", T6, { { 6, 50 } }, 0, MLB_PKT_PROTO },
	{ "no next header", T6, { { 6, 59 } }, 0, MLB_PKT_PROTO },
	{ "extension header longer than the packet", O6, { { 41, 9 } }, 0, MLB_PKT_BAD_EXT },
	{ "packet ends within an extension header", O6, { { 5, 4 } }, 0, MLB_PKT_BAD_EXT },
	{ "hop-by-hop not in front", O6, { { 40, 0 }, { 48, 6 }, { 49, 0 } }, 0, MLB_PKT_BAD_EXT },
	{ "routing header with segments left", O6, { { 6, 43 }, { 43, 1 } }, 0, MLB_PKT_BAD_EXT },
	{ "IPv4 fragment with half a TCP header", { V4, 1, 2, 6, .frag = 0x2000 }, { { 3, 36 } }, 0, MLB_PKT_L4_TRUNCATED },
};

TEST(malformed_packets_are_named)
{
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bytes p = build(&bad[i].d);
		struct mlb_pkt pkt;
		for (int k = 0; k < 4; k++)
			if (bad[i].set[k].at || bad[i].set[k].to)
				p.b[bad[i].set[k].at] = bad[i].set[k].to;
		uint32_t n = bad[i].cut ? bad[i].cut : p.n;
		enum mlb_pkt_error err = mlb_pkt_parse(at_page_end(p.b, n), n, &pkt);
		if (err != bad[i].err)
			printf("# %s: %s\n", bad[i].what, mlb_pkt_error_names[err]);
		CHECK_EQ(err, bad[i].err);
	}
	struct mlb_pkt pkt;
	CHECK_EQ(mlb_pkt_parse(page_end, 0, &pkt), MLB_PKT_TRUNCATED);
	for (int e = 0; e < MLB_PKT_ERROR_COUNT; e++)
		CHECK(mlb_pkt_error_names[e] != NULL);
}

TEST(chains_of_extension_headers)
{
	struct desc d = { V6, 40000, 80, 6, .flags = 2 };
	struct bytes p = build(&d), q = p;
	/* hop-by-hop, routing without segments left, AH (its length in words of 4), destination options, TCP */
	const uint8_t ext[] = { 43,
				0,
				1,
				4,
				0,
				0,
				0,
				0,
				51,
				0,
				4,
				0,
				0,
				0,
				0,
				0,
				60,
				1,
				0,
				0,
				1,
				2,
				3,
				4,
				0,
				0,
				0,
				1,
				/* options */ 6,
				0,
				1,
				4,
				0,
				0,
				0,
				0 };
	struct mlb_pkt pkt;
	q.b[6] = 0;
	memcpy(q.b + 40, ext, sizeof(ext));
	memcpy(q.b + 40 + sizeof(ext), p.b + 40, 20);
	w16(q.b + 4, sizeof(ext) + 20);
	CHECK_EQ(mlb_pkt_parse(q.b, p.n + sizeof(ext), &pkt), MLB_PKT_OK);
	CHECK_EQ(pkt.l4_off, 40 + sizeof(ext));
	CHECK_EQ(pkt.dport, 80);
	/* nine headers are one too many */
	q = p;
	q.b[6] = 60;
	for (int i = 0; i < 9; i++) {
		memset(q.b + 40 + 8 * i, 0, 8);
		q.b[40 + 8 * i] = i == 8 ? 6 : 60;
	}
	w16(q.b + 4, 72 + 20);
	CHECK_EQ(mlb_pkt_parse(q.b, 40 + 72 + 20, &pkt), MLB_PKT_BAD_EXT);
}

TEST(icmp_errors_show_the_quoted_packet)
{
	const struct desc q4[] = { { V4, 80, 40000, 6, .payload = 100 }, { V4, 80, 40000, 17, .payload = 9, .options = 8 } };
	const struct desc q6[] = { { V6, 80, 40000, 6, .payload = 100 }, { V6, 80, 40000, 17, .options = 16 } };
	for (int i = 0; i < 4; i++) {
		const struct desc *d = i < 2 ? &q4[i] : &q6[i - 2];
		struct bytes q = build(d), p = i < 2 ? build_error("203.0.113.9", d->src, 3, &q, q.l4 + 8) :
						       build_error("2001:db8:ff::9", d->src, 2, &q, q.l4 + 8);
		struct mlb_pkt pkt;
		struct mlb_addr s = addr(d->src), t = addr(d->dst);
		CHECK_EQ(mlb_pkt_parse(at_page_end(p.b, p.n), p.n, &pkt), MLB_PKT_OK);
		CHECK(pkt.icmp_error);
		CHECK_EQ(pkt.inner_proto, d->proto);
		CHECK_EQ(pkt.inner_off, p.l4 + 8);
		CHECK_EQ(pkt.inner_l4_off, p.l4 + 8 + q.l4);
		CHECK_EQ(pkt.sport, 80);
		CHECK_EQ(pkt.dport, 40000);
		CHECK(memcmp(&pkt.src, &s, 16) == 0 && memcmp(&pkt.dst, &t, 16) == 0);
		/* quotes that are cut, of another version, of another protocol, of a later fragment */
		for (uint32_t n = p.l4 + 8; n < p.n - 4; n++) {
			struct bytes cut = p;
			if (i < 2)
				w16(cut.b + 2, n);
			else
				w16(cut.b + 4, n - 40);
			enum mlb_pkt_error err = mlb_pkt_parse(at_page_end(cut.b, n), n, &pkt);
			CHECK(err == MLB_PKT_L4_TRUNCATED || err == MLB_PKT_BAD_EXT);
			CHECK(!pkt.icmp_error);
		}
		struct bytes odd = p;
		odd.b[p.l4 + 8] ^= 0x20;
		CHECK_EQ(mlb_pkt_parse(odd.b, odd.n, &pkt), MLB_PKT_BAD_VERSION);
		odd = p;
		if (i < 2) {
			odd.b[p.l4 + 8 + 9] = 47;
			CHECK_EQ(mlb_pkt_parse(odd.b, odd.n, &pkt), MLB_PKT_PROTO);
			odd = p;
			odd.b[p.l4 + 8 + 7] = 1;
			CHECK_EQ(mlb_pkt_parse(odd.b, odd.n, &pkt), MLB_PKT_L4_TRUNCATED);
		}
	}
}

/* Chained buffers: headers stand in the first part, the length is the whole's. */
TEST(only_the_head_is_readable)
{
	struct desc d = { V4, 40000, 80, 6, .flags = 2, .payload = 1000 };
	struct bytes p = build(&d);
	struct mlb_pkt pkt;
	CHECK_EQ(mlb_pkt_parse_head(at_page_end(p.b, 40), 40, p.n, &pkt), MLB_PKT_OK);
	CHECK_EQ(pkt.total_len, p.n);
	CHECK_EQ(pkt.readable, 40);
	CHECK_EQ(mlb_pkt_parse_head(at_page_end(p.b, 39), 39, p.n, &pkt), MLB_PKT_TRUNCATED);
	CHECK_EQ(mlb_pkt_parse_head(at_page_end(p.b, 20), 20, p.n, &pkt), MLB_PKT_TRUNCATED);
}

/* Random mutations of good packets, cut anywhere, at the end of a page: no read past it, and what comes out is in range. */
TEST(mutations_are_never_misread)
{
	struct mlb_rng r;
	uint32_t ok = 0, wrong = 0;
	mlb_rng_seed(&r, 4242);
	for (int round = 0; round < 300000; round++) {
		const struct desc *d = &good[mlb_rng_below(&r, sizeof(good) / sizeof(good[0]))].d;
		struct bytes p = build(d);
		if (round % 3 == 0) {
			struct bytes q = p;
			bool v6 = strchr(d->src, ':') != NULL;
			p = v6 ? build_error("2001:db8::5", d->src, (uint8_t)(1 + mlb_rng_below(&r, 4)), &q, q.n) :
				 build_error("192.0.2.5", d->src, (uint8_t)(mlb_rng_below(&r, 13)), &q, q.n);
		}
		for (uint32_t k = mlb_rng_below(&r, 6); k > 0; k--)
			p.b[mlb_rng_below(&r, p.n < 120 ? p.n : 120)] = (uint8_t)mlb_rng_next(&r);
		uint32_t n = mlb_rng_below(&r, 3) ? p.n : mlb_rng_below(&r, p.n + 1);
		uint8_t *at = at_page_end(p.b, n);
		struct mlb_pkt pkt;
		enum mlb_pkt_error err = mlb_pkt_parse(at, n, &pkt);
		if (err == MLB_PKT_OK || err == MLB_PKT_FRAGMENT) {
			struct mlb_addr to = pkt.version == 4 ? addr("10.1.2.3") : addr("fd00::7");
			ok++;
			wrong += pkt.total_len > n || pkt.l4_off > n || pkt.readable != pkt.total_len;
			wrong += pkt.icmp_error && pkt.inner_l4_off + 4u > n;
			/* rewriting stays inside as well */
			mlb_pkt_nat(at, &pkt, round & 1, &to, (uint16_t)mlb_rng_next(&r));
			mlb_pkt_l3dsr(at, &pkt, &to, 63);
			uint8_t out[1280];
			wrong += mlb_pkt_make_unreachable(at, &pkt, out, sizeof(out)) > sizeof(out);
			wrong += mlb_pkt_make_rst(at, &pkt, out) > 128;
			(void)mlb_pkt_echo_reply(at, &pkt);
		}
	}
	CHECK_EQ(wrong, 0);
	CHECK(ok > 50000);
}

MLB_TEST_MAIN(CASE(described_packets_are_read), CASE(later_fragments_have_no_ports), CASE(malformed_packets_are_named),
	      CASE(chains_of_extension_headers), CASE(icmp_errors_show_the_quoted_packet), CASE(only_the_head_is_readable),
	      CASE(mutations_are_never_misread))
