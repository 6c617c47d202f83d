/* SPDX-License-Identifier: Apache-2.0 */
/* Answers made from a packet: resets, port unreachable, pings. */
#include "marllb/packet.h"
#include "mlbtest.h"
#include "packetbuild.h"

#define CLIENT4 "192.0.2.1"
#define VIP4 "198.51.100.7"
#define CLIENT6 "2001:db8::1"
#define VIP6 "2001:db8:9::7"

TEST(resets_answer_segments)
{
	static const struct {
		const char *what;
		struct desc in;
		uint8_t flags;
		uint32_t seq, ack;
	} cases[] = {
		{ "a SYN", { CLIENT4, VIP4, 40000, 81, 6, .flags = 2, .seq = 1000 }, 0x14, 0, 1001 },
		{ "an ACK", { CLIENT4, VIP4, 40000, 81, 6, .flags = 0x10, .seq = 1000, .ack = 0xfffffff0 }, 4, 0xfffffff0, 0 },
		{ "a FIN with data and no ACK",
		  { CLIENT6, VIP6, 40000, 81, 6, .flags = 1, .seq = 0xffffffff, .payload = 10 },
		  0x14,
		  0,
		  10 },
	};
	uint8_t out[128];
	struct mlb_pkt pkt;
	for (unsigned i = 0; i < 3; i++) {
		const struct desc *d = &cases[i].in;
		struct bytes p = build(d);
		struct desc w = { d->dst,
				  d->src,
				  d->dport,
				  d->sport,
				  6,
				  .flags = cases[i].flags,
				  .seq = cases[i].seq,
				  .ack = cases[i].ack,
				  .frag = 0 };
		struct bytes want = build(&w);
		if (strchr(d->src, ':')) {
			want.b[1] = want.b[2] = want.b[3] = 0; /* no flow label */
		} else {
			w16(want.b + 4, 0);
			w16(want.b + 6, 0x4000);
		}
		w16(want.b + want.l4 + 14, 0); /* no window */
		fix_sums(&want, 6, 20, false);
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_OK);
		CHECK_EQ(mlb_pkt_make_rst(p.b, &pkt, out), want.n);
		same(cases[i].what, out, &want);
	}
	const struct desc none[] = { { CLIENT4, VIP4, 40000, 81, 6, .flags = 4 },         /* never answer a reset */
				     { CLIENT4, VIP4, 40000, 81, 17, .flags = 0 },        /* not TCP */
				     { "224.0.0.5", VIP4, 40000, 81, 6, .flags = 2 },     /* from a group */
				     { CLIENT4, "255.255.255.255", 1, 2, 6, .flags = 2 }, /* to a broadcast */
				     { CLIENT6, "ff02::1", 1, 2, 6, .flags = 2 },
				     { "::", VIP6, 1, 2, 6, .flags = 2 },
				     { CLIENT4, VIP4, 1, 2, 6, .flags = 2, .payload = 8, .frag = 0x2000 } };
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct bytes p = build(&none[i]);
		mlb_pkt_parse(p.b, p.n, &pkt);
		CHECK_EQ(mlb_pkt_make_rst(p.b, &pkt, out), 0);
	}
}

TEST(unreachables_quote_the_packet)
{
	const struct desc d[] = { { CLIENT4, VIP4, 40000, 9, 17, .payload = 700 },
				  { CLIENT6, VIP6, 40000, 9, 17, .payload = 1500 },
				  { CLIENT4, VIP4, 40000, 9, 17, .payload = 3, .options = 8 } };
	const uint32_t most[] = { 576, 1280, 20 + 8 + 39 };
	for (int i = 0; i < 3; i++) {
		struct bytes p = build(&d[i]);
		struct mlb_pkt pkt;
		uint8_t out[2048];
		bool v6 = i == 1;
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_OK);
		uint32_t n = mlb_pkt_make_unreachable(p.b, &pkt, out, sizeof(out)), l3 = v6 ? 40 : 20;
		CHECK_EQ(n, most[i]);
		CHECK_EQ(out[l3], v6 ? 1 : 3);
		CHECK_EQ(out[l3 + 1], v6 ? 4 : 3);
		CHECK(memcmp(out + l3 + 8, p.b, n - l3 - 8) == 0);
		struct mlb_pkt back;
		CHECK_EQ(mlb_pkt_parse(out, n, &back), MLB_PKT_OK);
		CHECK(back.icmp_error && back.sport == 40000 && back.dport == 9);
		uint16_t stands;
		memcpy(&stands, out + l3 + 2, 2);
		CHECK_EQ(stands, mlb_pkt_l4_csum(out, &back));
		CHECK(v6 || naive_sum(out, 20, 0) == 0);
		CHECK_EQ(mlb_pkt_make_unreachable(p.b, &pkt, out, l3 + 8 + pkt.l4_off + 7), 0);
		CHECK_EQ(mlb_pkt_make_unreachable(p.b, &pkt, out, l3 + 8 + pkt.l4_off + 8), l3 + 8 + pkt.l4_off + 8);
		/* never an error about an error */
		mlb_pkt_make_unreachable(p.b, &pkt, out, sizeof(out));
		uint8_t out2[2048];
		CHECK_EQ(mlb_pkt_make_unreachable(out, &back, out2, sizeof(out2)), 0);
	}
}

TEST(pings_are_answered_in_place)
{
	const struct desc d[] = { { CLIENT4, VIP4, .proto = 1, .payload = 57, .ttl = 3 },
				  { CLIENT6, VIP6, .proto = 58, .payload = 56, .ttl = 3 } };
	for (int i = 0; i < 2; i++) {
		struct bytes p = build(&d[i]);
		struct desc w = { d[i].dst, d[i].src, .proto = d[i].proto, .payload = d[i].payload };
		struct bytes want = build(&w);
		struct mlb_pkt pkt;
		want.b[want.l4] = i ? 129 : 0;
		fix_sums(&want, d[i].proto, 8 + d[i].payload, false);
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_OK);
		CHECK(mlb_pkt_echo_reply(p.b, &pkt));
		same("echo reply", p.b, &want);
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_OK);
		CHECK(!mlb_pkt_echo_reply(p.b, &pkt)); /* a reply is not answered */
	}
}

/* The first fragment, and one behind it, which has no ICMP header. */
TEST(pings_in_fragments_are_answered_fragment_by_fragment)
{
	for (int later = 0; later < 2; later++) {
		const struct desc d = { CLIENT4, VIP4, .proto = 1, .payload = 56, .ttl = 64 };
		struct bytes p = build(&d), whole = p;
		struct mlb_pkt pkt;
		p.b[6] = later ? 0 : 0x20;
		p.b[7] = later ? 8 : 0;
		fix_sums(&p, 1, 8 + d.payload, false);
		memcpy(p.b + p.l4, whole.b + p.l4, 64);
		CHECK_EQ(mlb_pkt_parse(p.b, p.n, &pkt), MLB_PKT_FRAGMENT);
		pkt.icmp_type = 8;
		CHECK(mlb_pkt_echo_reply(p.b, &pkt));
		CHECK(naive_sum(p.b, 20, 0) == 0);
		CHECK(memcmp(p.b + 12, whole.b + 16, 4) == 0 && memcmp(p.b + 16, whole.b + 12, 4) == 0);
		CHECK_EQ(p.b[6] << 8 | p.b[7], later ? 8 : 0x2000);
		CHECK_EQ(naive_sum(p.b + p.l4, 64, 0), 0); /* the type's change is in the sum, or neither is there */
		CHECK_EQ(p.b[p.l4], later ? 8 : 0);
	}
}

MLB_TEST_MAIN(CASE(resets_answer_segments), CASE(unreachables_quote_the_packet), CASE(pings_are_answered_in_place),
	      CASE(pings_in_fragments_are_answered_fragment_by_fragment))
