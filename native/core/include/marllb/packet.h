/* SPDX-License-Identifier: Apache-2.0 */
/* Parse and rewrite of L3/L4 packets in memory, IPv4 with options, IPv6 with extension headers. Reads never pass `len`. */
#ifndef MARLLB_PACKET_H
#define MARLLB_PACKET_H
#include "types.h"

#define MLB_PKT_ERRORS(X) \
	X(TRUNCATED, "truncated") \
	X(BAD_VERSION, "bad_ip_version") \
	X(BAD_IHL, "bad_header_length") \
	X(BAD_LENGTH, "bad_total_length") \
	X(BAD_EXT, "bad_extension_header") \
	X(FRAGMENT, "fragment") \
	X(L4_TRUNCATED, "l4_truncated") \
	X(TCP_OFFSET, "bad_tcp_offset") X(PROTO, "unsupported_protocol") X(UDP_LENGTH, "bad_udp_length")
enum mlb_pkt_error {
	MLB_PKT_OK = 0,
#define X(n, s) MLB_PKT_##n,
	MLB_PKT_ERRORS(X)
#undef X
		MLB_PKT_ERROR_COUNT
};
extern const char *const mlb_pkt_error_names[MLB_PKT_ERROR_COUNT];

struct mlb_pkt {
	struct mlb_addr src, dst;
	uint16_t sport, dport; /* host order; of the quoted packet for ICMP errors; 0 for other ICMP */
	uint16_t l4_off;       /* from the IP header's start */
	uint16_t payload_off;
	uint32_t total_len; /* of the IP packet */
	uint32_t readable;  /* bytes of it that stand in memory at `ip`; less than total_len only for a chained buffer */
	uint8_t proto;      /* TCP, UDP, ICMP, ICMPv6 */
	uint8_t version;    /* 4 or 6 */
	uint8_t tcp_flags;  /* MLB_TCP_F_* */
	uint8_t ttl;
	uint8_t icmp_type, icmp_code;
	bool icmp_error; /* src/dst/ports/inner_proto are those of the packet quoted in it */
	uint8_t inner_proto;
	uint16_t inner_off;    /* of the quoted IP header */
	uint16_t inner_l4_off; /* of the quoted ports, both from the outer header's start */
	bool fragment;         /* any fragment but a whole packet; first fragments have ports, others not */
	bool later_fragment;
};

/* ip: start of the IP header; len: bytes there are. Fragments give MLB_PKT_FRAGMENT with addresses filled (and ports, on a first
 * one). Bytes behind the IP packet (Ethernet padding) are ignored. IPv6 routing headers with segments left are MLB_PKT_BAD_EXT:
 * the header's destination is not the packet's. */
enum mlb_pkt_error mlb_pkt_parse(const uint8_t *ip, uint32_t len, struct mlb_pkt *);
/* The same for a packet of `len` bytes of which only the first `head` stand at `ip` (chained buffers); headers must be in them.
 */
enum mlb_pkt_error mlb_pkt_parse_head(const uint8_t *ip, uint32_t head, uint32_t len, struct mlb_pkt *);

/* Incremental checksums (RFC 1624). Sums are in network order as they stand in the packet. */
uint16_t mlb_csum_update16(uint16_t sum, uint16_t from, uint16_t to);
/* NAT: replaces destination (dst = true) or source address and port, IP header and L4 checksums updated; UDP checksum 0 stays
 * 0 on IPv4. Port 0 = leave. The packet must have been parsed. ICMP errors: the quoted packet is rewritten too, at its other end
 * (what came to a destination was sent by it). Fragments: ports and L4 checksum of the first one only. */
void mlb_pkt_nat(uint8_t *ip, const struct mlb_pkt *, bool dst, const struct mlb_addr *addr, uint16_t port);
/* L3 DSR: puts dscp (0..63) into the header and the server's address as destination; ECN bits kept, L4 checksum updated. */
void mlb_pkt_l3dsr(uint8_t *ip, const struct mlb_pkt *, const struct mlb_addr *server, uint8_t dscp);
/* Writes an outer IP header (4 or 6 by the family of src and dst) in front of a packet, `shim` bytes ahead of `ip`: the room
 * between is for the tunnel's own headers, which the caller writes and whose protocol is `next`. Returns the bytes before `ip`,
 * 40
 * + shim at most, which must be there; 0 where the whole would not fit an IP packet. Of the packet's record it needs version and
 * total_len. TOS is copied, DF and the identification too (IPv6 inside: DF set). flow: equal for all packets of a flow; 20 bits
 * of it become an outer IPv6 flow label (RFC 6438). */
uint32_t mlb_pkt_outer(uint8_t *ip, const struct mlb_pkt *, uint8_t next, uint32_t shim, uint32_t flow,
		       const struct mlb_addr *src, const struct mlb_addr *dst);
/* Full checksum of an L4 segment with pseudo header (the field itself taken as 0), for tests and made packets; all of it must be
 * readable. */
uint16_t mlb_pkt_l4_csum(const uint8_t *ip, const struct mlb_pkt *);
/* Replies made from a packet: TCP RST (RFC 9293 3.10.7.1), ICMP port unreachable, echo reply. out must hold 128 bytes (echo:
 * total_len). Return length, 0 where no reply may be sent. Unreachable quotes as much as fits cap, 576 (IPv4) or 1280 bytes
 * (IPv6). */
uint32_t mlb_pkt_make_rst(const uint8_t *ip, const struct mlb_pkt *, uint8_t *out);
uint32_t mlb_pkt_make_unreachable(const uint8_t *ip, const struct mlb_pkt *, uint8_t *out, uint32_t cap);
/* In place. Of a ping in fragments each is answered by itself, for its sum is that of the whole; the record of one after the
 * first needs the first one's ICMP type. */
bool mlb_pkt_echo_reply(uint8_t *ip, const struct mlb_pkt *);
#endif
