/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that answer a packet: reset, port unreachable, echo reply; and full checksums for them. */
#include "marllb/packet.h"
#include "marllb/tcp.h"
#include "packet_bytes.h"

enum { ICMP4_UNREACH = 3, ICMP4_PORT = 3, ICMP6_UNREACH = 1, ICMP6_PORT = 4, ICMP4_MAX = 576, ICMP6_MAX = 1280, TTL = 64 };

/* l4_len: bytes the sum covers; skip: offset of the checksum's own field, taken as 0. */
static uint16_t full_sum(const uint8_t *ip, uint32_t l4_off, uint8_t proto, uint32_t l4_len, uint32_t skip)
{
	const uint8_t *l4 = ip + l4_off;
	uint64_t sum = sum_bytes(l4, skip) + sum_bytes(l4 + skip + 2, l4_len - skip - 2);
	if (proto != P_ICMP) {
		uint8_t tail[8] = { 0 }; /* length and protocol, as in the IPv6 pseudo header; the IPv4 one sums to the same */
		put32(tail, l4_len);
		tail[7] = proto;
		sum += sum_bytes(tail, 8) + (ip[0] >> 4 == 4 ? sum_bytes(ip + 12, 8) : sum_bytes(ip + 8, 32));
	}
	uint16_t s = (uint16_t)~fold(sum);
	return proto == P_UDP && s == 0 ? 0xffff : s;
}

static uint32_t sum_offset(uint8_t proto)
{
	return proto == P_TCP ? 16 : proto == P_UDP ? 6 : 2;
}

uint16_t mlb_pkt_l4_csum(const uint8_t *ip, const struct mlb_pkt *pkt)
{
	uint32_t len = pkt->proto == P_UDP ? get16(ip + pkt->l4_off + 4) : pkt->total_len - pkt->l4_off;
	return full_sum(ip, pkt->l4_off, pkt->proto, len, sum_offset(pkt->proto));
}

/* Nobody answers a packet from or to a group, a broadcast or nowhere (RFC 1122 3.2.2, RFC 4443 2.4). */
static bool one_host(const uint8_t *a, bool v4)
{
	static const uint8_t zero[16];
	if (v4)
		return a[0] < 224 && a[0] != 0;
	return a[0] != 0xff && memcmp(a, zero, 16) != 0;
}

static bool between_hosts(const uint8_t *ip, bool v4)
{
	return v4 ? one_host(ip + 12, true) && one_host(ip + 16, true) : one_host(ip + 8, false) && one_host(ip + 24, false);
}

static bool may_answer(const uint8_t *ip, const struct mlb_pkt *pkt)
{
	return !pkt->icmp_error && !pkt->later_fragment && between_hosts(ip, pkt->version == 4);
}

/* IP header of an answer to `ip`, from its destination to its source; returns its length. */
static uint32_t answer_header(const uint8_t *ip, bool v4, uint8_t proto, uint32_t payload, uint8_t *out)
{
	if (v4) {
		memset(out, 0, IP4_HDR);
		out[0] = 0x45;
		put16(out + 2, (uint16_t)(IP4_HDR + payload));
		put16(out + 6, 0x4000); /* whole, so the identification may stay 0 (RFC 6864) */
		out[8] = TTL;
		out[9] = proto;
		memcpy(out + 12, ip + 16, 4);
		memcpy(out + 16, ip + 12, 4);
		set_raw16(out + 10, (uint16_t)~fold(sum_bytes(out, IP4_HDR)));
		return IP4_HDR;
	}
	memset(out, 0, 8);
	out[0] = 0x60;
	put16(out + 4, (uint16_t)payload);
	out[6] = proto;
	out[7] = TTL;
	memcpy(out + 8, ip + 24, 16);
	memcpy(out + 24, ip + 8, 16);
	return IP6_HDR;
}

uint32_t mlb_pkt_make_rst(const uint8_t *ip, const struct mlb_pkt *pkt, uint8_t *out)
{
	const uint8_t *tcp = ip + pkt->l4_off;
	if (pkt->proto != P_TCP || (pkt->tcp_flags & MLB_TCP_F_RST) || pkt->fragment || !may_answer(ip, pkt))
		return 0;
	uint32_t l3 = answer_header(ip, pkt->version == 4, P_TCP, TCP_HDR, out);
	uint8_t *rst = out + l3;
	memset(rst, 0, TCP_HDR);
	put16(rst, pkt->dport);
	put16(rst + 2, pkt->sport);
	rst[12] = (TCP_HDR / 4) << 4;
	if (pkt->tcp_flags & MLB_TCP_F_ACK) {
		memcpy(rst + 4, tcp + 8, 4);
		rst[13] = MLB_TCP_F_RST;
	} else {
		uint32_t len = pkt->total_len - pkt->payload_off;
		len += (pkt->tcp_flags & MLB_TCP_F_SYN) != 0;
		len += (pkt->tcp_flags & MLB_TCP_F_FIN) != 0;
		put32(rst + 8, get32(tcp + 4) + len);
		rst[13] = MLB_TCP_F_RST | MLB_TCP_F_ACK;
	}
	set_raw16(rst + 16, full_sum(out, l3, P_TCP, TCP_HDR, 16));
	return l3 + TCP_HDR;
}

uint32_t mlb_pkt_make_unreachable(const uint8_t *ip, const struct mlb_pkt *pkt, uint8_t *out, uint32_t cap)
{
	bool v4 = pkt->version == 4;
	uint32_t l3 = v4 ? IP4_HDR : IP6_HDR, limit = v4 ? ICMP4_MAX : ICMP6_MAX, quote = pkt->readable;
	uint8_t proto = v4 ? P_ICMP : P_ICMPV6;
	if ((pkt->proto != P_TCP && pkt->proto != P_UDP) || !may_answer(ip, pkt))
		return 0;
	limit = cap < limit ? cap : limit;
	if (limit < l3 + ICMP_HDR + pkt->l4_off + 8)
		return 0; /* no room for the ports, which make it useful */
	if (quote > limit - l3 - ICMP_HDR)
		quote = limit - l3 - ICMP_HDR;
	answer_header(ip, v4, proto, ICMP_HDR + quote, out);
	uint8_t *icmp = out + l3;
	memset(icmp, 0, ICMP_HDR);
	icmp[0] = v4 ? ICMP4_UNREACH : ICMP6_UNREACH;
	icmp[1] = v4 ? ICMP4_PORT : ICMP6_PORT;
	memcpy(icmp + ICMP_HDR, ip, quote);
	set_raw16(icmp + 2, full_sum(out, l3, proto, ICMP_HDR + quote, 2));
	return l3 + ICMP_HDR + quote;
}

bool mlb_pkt_echo_reply(uint8_t *ip, const struct mlb_pkt *pkt)
{
	bool v4 = pkt->version == 4;
	uint32_t size = v4 ? 4 : 16;
	uint8_t *icmp = ip + pkt->l4_off, *src = ip + (v4 ? 12 : 8), was[2], swap[16];
	if (pkt->proto != (v4 ? P_ICMP : P_ICMPV6) || pkt->icmp_type != (v4 ? 8 : 128) || pkt->icmp_code != 0 ||
	    !between_hosts(ip, v4))
		return false;
	memcpy(swap, src, size);
	memcpy(src, src + size, size);
	memcpy(src + size, swap, size); /* the sums over both addresses stay */
	if (!pkt->later_fragment) {
		memcpy(was, icmp, 2);
		icmp[0] = v4 ? 0 : 129;
		set_raw16(icmp + 2, sum_apply(raw16(icmp + 2), sum_delta(was, icmp, 2)));
	}
	if (v4) {
		memcpy(was, ip + 8, 2); /* TTL and protocol */
		ip[8] = TTL;
		set_raw16(ip + 10, sum_apply(raw16(ip + 10), sum_delta(was, ip + 8, 2)));
	} else {
		ip[7] = TTL;
	}
	return true;
}
