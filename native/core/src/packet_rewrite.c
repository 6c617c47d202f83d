/* SPDX-License-Identifier: Apache-2.0 */
/* Rewriting in place. Checksums are updated by what changed (RFC 1624), never computed anew: a wrong one stays wrong, so the
 * receiver still sees damage done before us. */
#include "marllb/endpoint.h"
#include "marllb/packet.h"
#include "packet_bytes.h"

uint16_t mlb_csum_update16(uint16_t sum, uint16_t from, uint16_t to)
{
	return sum_apply(sum, (uint32_t)(uint16_t)~from + to);
}

/* Where a header's L4 checksum stands and whether the pseudo header is in it; NULL where there is none to update: a quote too
 * short, a UDP sender that sent none. */
static uint8_t *l4_sum(uint8_t *l4, uint8_t proto, uint32_t there)
{
	uint32_t off;
	switch (proto) {
	case P_TCP: off = 16; break;
	case P_UDP: off = 6; break;
	case P_ICMPV6: off = 2; break;
	default: return NULL; /* ICMPv4 does not cover addresses */
	}
	if (there < off + 2 || (proto == P_UDP && raw16(l4 + off) == 0))
		return NULL;
	return l4 + off;
}

static void update(uint8_t *at, uint64_t delta, uint8_t proto)
{
	uint16_t sum = sum_apply(raw16(at), delta);
	set_raw16(at, proto == P_UDP && sum == 0 ? 0xffff : sum);
}

/* Puts the address into an IP header; returns the change of any sum over it. The IPv4 header's own checksum follows. */
static uint64_t put_addr(uint8_t *ip, bool dst, const struct mlb_addr *addr)
{
	bool v4 = ip[0] >> 4 == 4;
	uint32_t size = v4 ? 4 : 16;
	uint8_t *at = ip + (v4 ? (dst ? 16 : 12) : (dst ? 24 : 8));
	const uint8_t *to = addr->b + 16 - size;
	uint64_t delta = sum_delta(at, to, size);
	memcpy(at, to, size);
	if (v4)
		update(ip + 10, delta, 0);
	return delta;
}

static uint64_t put_port(uint8_t *at, uint16_t port)
{
	uint8_t to[2];
	if (port == 0)
		return 0;
	put16(to, port);
	uint64_t delta = sum_delta(at, to, 2);
	memcpy(at, to, 2);
	return delta;
}

/* The quoted packet's end `dst`, and the ICMP sum over all that changes in the quote. */
static void nat_quoted(uint8_t *ip, const struct mlb_pkt *pkt, bool dst, const struct mlb_addr *addr, uint16_t port,
		       uint64_t outer)
{
	uint8_t *inner = ip + pkt->inner_off, *ports = ip + pkt->inner_l4_off, *icmp = ip + pkt->l4_off + 2;
	uint8_t *sum = l4_sum(ports, pkt->inner_proto, pkt->readable - pkt->inner_l4_off);
	uint16_t ip_sum = raw16(inner + 10), sum_before = sum ? raw16(sum) : 0;
	uint64_t delta = put_addr(inner, dst, addr), changed = delta;

	if (pkt->version == 4)
		changed += (uint32_t)(uint16_t)~ip_sum + raw16(inner + 10);
	uint64_t port_delta = put_port(ports + (dst ? 2 : 0), port);
	changed += port_delta;
	if (sum) {
		update(sum, delta + port_delta, pkt->inner_proto);
		changed += (uint32_t)(uint16_t)~sum_before + raw16(sum);
	}
	update(icmp, changed + (pkt->version == 6 ? outer : 0), 0);
}

void mlb_pkt_nat(uint8_t *ip, const struct mlb_pkt *pkt, bool dst, const struct mlb_addr *addr, uint16_t port)
{
	uint64_t delta = put_addr(ip, dst, addr);
	if (pkt->later_fragment)
		return;
	if (pkt->icmp_error) {
		nat_quoted(ip, pkt, !dst, addr, port, delta);
		return;
	}
	uint8_t *l4 = ip + pkt->l4_off, *sum = l4_sum(l4, pkt->proto, pkt->readable - pkt->l4_off);
	if (pkt->proto == P_TCP || pkt->proto == P_UDP)
		delta += put_port(l4 + (dst ? 2 : 0), port);
	if (sum)
		update(sum, delta, pkt->proto);
}

void mlb_pkt_l3dsr(uint8_t *ip, const struct mlb_pkt *pkt, const struct mlb_addr *server, uint8_t dscp)
{
	uint8_t was[2] = { ip[0], ip[1] };
	uint64_t delta = put_addr(ip, true, server);
	if (pkt->version == 4) {
		uint8_t now[2] = { ip[0], (uint8_t)(dscp << 2 | (ip[1] & 3)) };
		update(ip + 10, sum_delta(was, now, 2), 0);
		ip[1] = now[1];
	} else { /* traffic class: 8 bits from the fifth on; the last two are ECN. Not in any checksum. */
		ip[0] = (uint8_t)(0x60 | (dscp >> 2 & 15));
		ip[1] = (uint8_t)((dscp & 3) << 6 | (ip[1] & 0x3f));
	}
	if (pkt->later_fragment)
		return;
	uint8_t *sum = l4_sum(ip + pkt->l4_off, pkt->proto, pkt->readable - pkt->l4_off);
	if (sum)
		update(sum, delta, pkt->proto);
}

uint32_t mlb_pkt_outer(uint8_t *ip, const struct mlb_pkt *pkt, uint8_t next, uint32_t shim, uint32_t flow,
		       const struct mlb_addr *src, const struct mlb_addr *dst)
{
	bool v4 = mlb_addr_is_v4(dst), inner4 = pkt->version == 4;
	uint32_t hdr = v4 ? IP4_HDR : IP6_HDR, size = hdr + shim, payload = pkt->total_len + shim;
	uint8_t tos = inner4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4), *out = ip - size;

	if (payload + (v4 ? hdr : 0) > UINT16_MAX)
		return 0;
	memset(out, 0, hdr);
	if (v4) {
		out[0] = 0x45;
		out[1] = tos;
		put16(out + 2, (uint16_t)(payload + hdr));
		put16(out + 4, inner4 ? get16(ip + 4) : 0);
		put16(out + 6, inner4 ? get16(ip + 6) & 0x4000 : 0x4000);
		out[8] = 64;
		out[9] = next;
		memcpy(out + 12, src->b + 12, 4);
		memcpy(out + 16, dst->b + 12, 4);
		set_raw16(out + 10, (uint16_t)~fold(sum_bytes(out, IP4_HDR)));
	} else {
		/* A label of 0 means none. */
		put32(out, 6u << 28 | (uint32_t)tos << 20 | (flow >> 12) | 1u);
		put16(out + 4, (uint16_t)payload);
		out[6] = next;
		out[7] = 64;
		memcpy(out + 8, src->b, 16);
		memcpy(out + 24, dst->b, 16);
	}
	return size;
}
