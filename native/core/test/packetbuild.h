/* SPDX-License-Identifier: Apache-2.0 */
/* Builds described packets for tests. Checksums are computed here byte by byte, apart from the code under test. */
#ifndef PACKETBUILD_H
#define PACKETBUILD_H
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "marllb/types.h"

struct desc {
	const char *src, *dst; /* text; both of one family */
	uint16_t sport, dport;
	uint8_t proto; /* 6, 17, or 1 / 58: echo request */
	uint8_t flags, tos, ttl;
	uint32_t options; /* bytes of IPv4 options (a multiple of 4), or of an IPv6 destination-options header (of 8) */
	uint32_t payload; /* bytes 0, 1, 2, ... */
	uint16_t frag;    /* IPv4 flags and offset field; IPv6: fragment header's, when not 0 */
	bool no_udp_sum;
	uint32_t seq, ack;
};

struct bytes {
	uint8_t b[2048];
	uint32_t n, l4;
};

static inline uint16_t naive_sum(const uint8_t *p, uint32_t n, uint32_t start)
{
	uint32_t sum = start;
	for (uint32_t i = 0; i < n; i++)
		sum += (i & 1) ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void w16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline struct mlb_addr addr(const char *text)
{
	struct mlb_addr a = { { 0 } };
	if (strchr(text, ':')) {
		inet_pton(AF_INET6, text, a.b);
	} else {
		a.b[10] = a.b[11] = 0xff;
		inet_pton(AF_INET, text, a.b + 12);
	}
	return a;
}

/* (Re)computes the IP header's and the L4 checksum of a built packet. */
static inline void fix_sums(struct bytes *p, uint8_t proto, uint32_t l4_len, bool no_udp_sum)
{
	uint8_t *ip = p->b, *l4 = ip + p->l4, pseudo[40] = { 0 };
	uint32_t at = proto == 6 ? 16 : proto == 17 ? 6 : 2, n = 0;
	bool v4 = ip[0] >> 4 == 4;
	if (v4) {
		w16(ip + 10, 0);
		w16(ip + 10, naive_sum(ip, (ip[0] & 15u) * 4, 0));
	}
	if (proto != 1) {
		n = v4 ? 8 : 32;
		memcpy(pseudo, v4 ? ip + 12 : ip + 8, n);
		w16(pseudo + n, l4_len);
		pseudo[n + 3] = proto;
		n += 4;
	}
	w16(l4 + at, 0);
	uint16_t part = (uint16_t)~naive_sum(pseudo, n, 0), sum = naive_sum(l4, l4_len, part);
	if (proto == 17)
		sum = no_udp_sum ? 0 : sum ? sum : 0xffff;
	w16(l4 + at, sum);
}

static inline uint32_t put_ip(struct bytes *p, const struct desc *d, uint8_t proto, uint32_t l4_len)
{
	struct mlb_addr s = addr(d->src), t = addr(d->dst);
	uint8_t *b = p->b;
	memset(b, 0, 128);
	if (!strchr(d->src, ':')) {
		p->l4 = 20 + d->options;
		b[0] = (uint8_t)(0x40 | p->l4 / 4);
		b[1] = d->tos;
		w16(b + 2, p->l4 + l4_len);
		w16(b + 4, 0x1234);
		w16(b + 6, d->frag);
		b[8] = d->ttl ? d->ttl : 64;
		b[9] = proto;
		memcpy(b + 12, s.b + 12, 4);
		memcpy(b + 16, t.b + 12, 4);
		memset(b + 20, 1, d->options); /* no-operation */
		return p->l4;
	}
	uint32_t off = 40, ext = d->options + (d->frag ? 8 : 0);
	b[0] = (uint8_t)(0x60 | d->tos >> 4);
	b[1] = (uint8_t)(d->tos << 4 | 5);
	b[2] = 0xab; /* flow label 5abcd */
	b[3] = 0xcd;
	w16(b + 4, ext + l4_len);
	b[6] = d->options ? 60 : d->frag ? 44 : proto;
	b[7] = d->ttl ? d->ttl : 64;
	memcpy(b + 8, s.b, 16);
	memcpy(b + 24, t.b, 16);
	if (d->options) {
		b[off] = d->frag ? 44 : proto;
		b[off + 1] = (uint8_t)(d->options / 8 - 1);
		b[off + 2] = 1; /* PadN */
		b[off + 3] = (uint8_t)(d->options - 4);
		off += d->options;
	}
	if (d->frag) {
		b[off] = proto;
		w16(b + off + 2, d->frag);
		off += 8;
	}
	p->l4 = off;
	return off;
}

static inline struct bytes build(const struct desc *d)
{
	static struct bytes zero;
	struct bytes p = zero;
	uint32_t head = d->proto == 6 ? 20 : 8, l4_len = head + d->payload;
	uint8_t *l4 = p.b + put_ip(&p, d, d->proto, l4_len);
	memset(l4, 0, head);
	if (d->proto == 6 || d->proto == 17) {
		w16(l4, d->sport);
		w16(l4 + 2, d->dport);
	}
	if (d->proto == 6) {
		w16(l4 + 4, d->seq >> 16);
		w16(l4 + 6, d->seq);
		w16(l4 + 8, d->ack >> 16);
		w16(l4 + 10, d->ack);
		l4[12] = 0x50;
		l4[13] = d->flags;
		w16(l4 + 14, 1000);
	} else if (d->proto == 17) {
		w16(l4 + 4, l4_len);
	} else {
		l4[0] = d->proto == 1 ? 8 : 128;
		w16(l4 + 4, 77);
		w16(l4 + 6, 1);
	}
	for (uint32_t i = 0; i < d->payload; i++)
		l4[head + i] = (uint8_t)i;
	p.n = p.l4 + l4_len;
	fix_sums(&p, d->proto, l4_len, d->no_udp_sum);
	return p;
}

/* An ICMP error from router to host that quotes `keep` bytes of a packet. type: 3 or 11 (IPv4), 2 (too big) or 1 (IPv6). */
static inline struct bytes build_error(const char *router, const char *to, uint8_t type, const struct bytes *quoted,
				       uint32_t keep)
{
	static struct bytes zero;
	struct bytes p = zero;
	struct desc d = { .src = router, .dst = to };
	uint8_t proto = strchr(router, ':') ? 58 : 1;
	keep = keep < quoted->n ? keep : quoted->n;
	uint8_t *l4 = p.b + put_ip(&p, &d, proto, 8 + keep);
	memset(l4, 0, 8);
	l4[0] = type;
	l4[1] = proto == 1 ? 4 : 0;
	w16(l4 + 6, 1400);
	memcpy(l4 + 8, quoted->b, keep);
	p.n = p.l4 + 8 + keep;
	fix_sums(&p, proto, 8 + keep, false);
	return p;
}

static inline void dump(const char *name, const uint8_t *b, uint32_t n)
{
	printf("# %s:", name);
	for (uint32_t i = 0; i < n && i < 160; i++)
		printf("%s%02x", i % 4 ? "" : " ", b[i]);
	printf("\n");
}
/* Are these the bytes of that packet? */
static inline void same(const char *what, const uint8_t *got, const struct bytes *want)
{
	if (memcmp(got, want->b, want->n) != 0) {
		printf("# %s\n", what);
		dump("got ", got, want->n);
		dump("want", want->b, want->n);
		CHECK(!"packets differ");
	}
}
#endif
