/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/packet.h"
#include "marllb/tcp.h"
#include "packet_bytes.h"

#define MAX_EXT 8 /* extension headers; more are an attack on the parser */

const char *const mlb_pkt_error_names[MLB_PKT_ERROR_COUNT] = { [MLB_PKT_OK] = "ok",
#define X(n, s) [MLB_PKT_##n] = s,
							       MLB_PKT_ERRORS(X)
#undef X
};

/* What an IP header says, outer or quoted. Offsets are from that header's start. */
struct l3 {
	uint32_t l4_off, total_len;
	uint8_t version, proto, ttl;
	bool fragment, later_fragment;
};

static void addr4(struct mlb_addr *a, const uint8_t *p)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	memcpy(a->b, mapped, 12);
	memcpy(a->b + 12, p, 4);
}

static void addresses(const uint8_t *ip, struct mlb_pkt *pkt)
{
	if (ip[0] >> 4 == 4) {
		addr4(&pkt->src, ip + 12);
		addr4(&pkt->dst, ip + 16);
	} else {
		memcpy(pkt->src.b, ip + 8, 16);
		memcpy(pkt->dst.b, ip + 24, 16);
	}
}

static enum mlb_pkt_error header4(const uint8_t *ip, uint32_t head, struct l3 *h)
{
	uint32_t ihl = (ip[0] & 15u) * 4, frag;
	if (head < IP4_HDR)
		return MLB_PKT_TRUNCATED;
	if (ihl < IP4_HDR)
		return MLB_PKT_BAD_IHL;
	h->total_len = get16(ip + 2);
	if (h->total_len < ihl)
		return MLB_PKT_BAD_LENGTH;
	if (head < ihl)
		return MLB_PKT_TRUNCATED;
	frag = get16(ip + 6);
	h->fragment = (frag & 0x3fff) != 0; /* more to come, or an offset */
	h->later_fragment = (frag & 0x1fff) != 0;
	h->l4_off = ihl;
	h->proto = ip[9];
	h->ttl = ip[8];
	return MLB_PKT_OK;
}

/* Walks the extension headers that end within `end` (the packet's end) and `head` (what can be read). */
static enum mlb_pkt_error extensions(const uint8_t *ip, uint32_t head, uint32_t end, uint8_t next, struct l3 *h)
{
	uint32_t off = IP6_HDR;
	for (int i = 0;; i++) {
		uint32_t size;
		if (next != P_HOPOPT && next != P_ROUTING && next != P_FRAGMENT && next != P_AH && next != P_DSTOPT &&
		    next != P_MOBILITY)
			break;
		if (i == MAX_EXT || off + 8 > end || (next == P_HOPOPT && i > 0))
			return MLB_PKT_BAD_EXT;
		if (off + 8 > head)
			return MLB_PKT_TRUNCATED;
		size = next == P_FRAGMENT ? 8 : next == P_AH ? (ip[off + 1] + 2u) * 4 : (ip[off + 1] + 1u) * 8;
		if (off + size > end || (next == P_ROUTING && ip[off + 3] != 0))
			return MLB_PKT_BAD_EXT;
		if (next == P_FRAGMENT) {
			uint16_t frag = get16(ip + off + 2);
			h->fragment |= (frag & 0xfff9) != 0; /* offset 0 and no more: an atomic fragment, whole (RFC 6946) */
			h->later_fragment |= (frag & 0xfff8) != 0;
		}
		next = ip[off];
		off += size;
		if (h->later_fragment)
			break; /* what follows is the middle of something */
	}
	h->proto = next;
	h->l4_off = off;
	return MLB_PKT_OK;
}

/* quoted: the packet goes on behind what is there, so its length proves nothing. */
static enum mlb_pkt_error header(const uint8_t *ip, uint32_t head, uint32_t len, bool quoted, struct l3 *h)
{
	enum mlb_pkt_error err;
	memset(h, 0, sizeof(*h));
	if (len == 0 || head == 0)
		return MLB_PKT_TRUNCATED;
	h->version = ip[0] >> 4;
	if (h->version == 4) {
		err = header4(ip, head, h);
		if (err == MLB_PKT_OK && !quoted && h->total_len > len)
			err = MLB_PKT_TRUNCATED;
		return err;
	}
	if (h->version != 6)
		return MLB_PKT_BAD_VERSION;
	if (head < IP6_HDR)
		return MLB_PKT_TRUNCATED;
	h->total_len = IP6_HDR + get16(ip + 4);
	h->ttl = ip[7];
	if (!quoted && h->total_len > len)
		return MLB_PKT_TRUNCATED;
	return extensions(ip, head, quoted && h->total_len > len ? len : h->total_len, ip[6], h);
}

static enum mlb_pkt_error parse_tcp(const uint8_t *l4, uint32_t left, struct mlb_pkt *pkt)
{
	uint32_t size;
	if (left < TCP_HDR)
		return MLB_PKT_L4_TRUNCATED;
	size = (l4[12] >> 4) * 4u;
	if (size < TCP_HDR || size > left)
		return MLB_PKT_TCP_OFFSET;
	pkt->sport = get16(l4);
	pkt->dport = get16(l4 + 2);
	pkt->tcp_flags = l4[13] & 0x1f;
	pkt->payload_off = (uint16_t)(pkt->l4_off + size);
	return MLB_PKT_OK;
}

static enum mlb_pkt_error parse_udp(const uint8_t *l4, uint32_t left, struct mlb_pkt *pkt)
{
	uint32_t size;
	if (left < UDP_HDR)
		return MLB_PKT_L4_TRUNCATED;
	size = get16(l4 + 4);
	if (size < UDP_HDR || (size > left && !pkt->fragment))
		return MLB_PKT_UDP_LENGTH;
	pkt->sport = get16(l4);
	pkt->dport = get16(l4 + 2);
	pkt->payload_off = (uint16_t)(pkt->l4_off + UDP_HDR);
	return MLB_PKT_OK;
}

static bool is_icmp_error(uint8_t version, uint8_t type)
{
	if (version == 6)
		return type >= 1 && type <= 4; /* unreachable, too big, time exceeded, parameter problem */
	return type == 3 || type == 4 || type == 11 || type == 12;
}

static enum mlb_pkt_error parse_icmp(const uint8_t *ip, uint32_t end, uint32_t left, struct mlb_pkt *pkt)
{
	const uint8_t *l4 = ip + pkt->l4_off;
	uint32_t inner = pkt->l4_off + ICMP_HDR;
	struct l3 q;
	if (left < ICMP_HDR)
		return MLB_PKT_L4_TRUNCATED;
	pkt->icmp_type = l4[0];
	pkt->icmp_code = l4[1];
	pkt->payload_off = (uint16_t)inner;
	if (pkt->fragment || !is_icmp_error(pkt->version, l4[0]))
		return MLB_PKT_OK;

	if (inner < end && ip[inner] >> 4 != pkt->version)
		return MLB_PKT_BAD_VERSION;
	enum mlb_pkt_error err = header(ip + inner, end - inner, end - inner, true, &q);
	if (err == MLB_PKT_TRUNCATED)
		return MLB_PKT_L4_TRUNCATED;
	if (err)
		return err;
	if (q.proto != P_TCP && q.proto != P_UDP)
		return MLB_PKT_PROTO;
	/* RFC 792 and 4443 promise the ports at least; a quoted later fragment has none */
	if (q.later_fragment || q.l4_off + 4 > q.total_len || inner + q.l4_off + 4 > end)
		return MLB_PKT_L4_TRUNCATED;
	pkt->icmp_error = true;
	pkt->inner_off = (uint16_t)inner;
	pkt->inner_l4_off = (uint16_t)(inner + q.l4_off);
	pkt->inner_proto = q.proto;
	pkt->sport = get16(ip + pkt->inner_l4_off);
	pkt->dport = get16(ip + pkt->inner_l4_off + 2);
	addresses(ip + inner, pkt);
	return MLB_PKT_OK;
}

enum mlb_pkt_error mlb_pkt_parse_head(const uint8_t *ip, uint32_t head, uint32_t len, struct mlb_pkt *pkt)
{
	struct l3 h;
	memset(pkt, 0, sizeof(*pkt));
	if (head > len)
		head = len;
	enum mlb_pkt_error err = header(ip, head, len, false, &h);
	if (err)
		return err;
	pkt->version = h.version;
	pkt->proto = h.proto;
	pkt->ttl = h.ttl;
	pkt->total_len = h.total_len;
	pkt->readable = head < h.total_len ? head : h.total_len;
	pkt->l4_off = pkt->payload_off = (uint16_t)h.l4_off;
	pkt->fragment = h.fragment;
	pkt->later_fragment = h.later_fragment;
	addresses(ip, pkt);
	if (h.later_fragment)
		return MLB_PKT_FRAGMENT;
	if (h.l4_off > pkt->readable)
		return MLB_PKT_TRUNCATED;

	/* The L4 header must be readable; its own length is judged against the packet's. */
	uint32_t left = h.total_len - h.l4_off, there = pkt->readable - h.l4_off;
	uint32_t need = h.proto == P_TCP ? TCP_HDR : UDP_HDR;
	if (left >= need && there < need)
		return MLB_PKT_TRUNCATED;
	switch (h.proto) {
	case P_TCP: err = parse_tcp(ip + h.l4_off, left, pkt); break;
	case P_UDP: err = parse_udp(ip + h.l4_off, left, pkt); break;
	case P_ICMP:
	case P_ICMPV6:
		err = (h.proto == P_ICMP) == (h.version == 4) ? parse_icmp(ip, pkt->readable, left, pkt) : MLB_PKT_PROTO;
		break;
	default: err = MLB_PKT_PROTO;
	}
	return err == MLB_PKT_OK && h.fragment ? MLB_PKT_FRAGMENT : err;
}

enum mlb_pkt_error mlb_pkt_parse(const uint8_t *ip, uint32_t len, struct mlb_pkt *pkt)
{
	return mlb_pkt_parse_head(ip, len, len, pkt);
}
