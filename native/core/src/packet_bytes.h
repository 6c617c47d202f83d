/* SPDX-License-Identifier: Apache-2.0 */
/* Unaligned reads and writes of packet bytes and one's complement sums (RFC 1071: the sum does not depend on byte order, so words
 * are added as they stand in memory). */
#ifndef MARLLB_PACKET_BYTES_H
#define MARLLB_PACKET_BYTES_H
#include <stdint.h>
#include <string.h>

enum { IP4_HDR = 20, IP6_HDR = 40, TCP_HDR = 20, UDP_HDR = 8, ICMP_HDR = 8, GRE_HDR = 4 };
enum {
	P_HOPOPT = 0,
	P_ICMP = 1,
	P_IPIP = 4,
	P_TCP = 6,
	P_UDP = 17,
	P_IPV6 = 41,
	P_ROUTING = 43,
	P_FRAGMENT = 44,
	P_GRE = 47,
	P_AH = 51,
	P_ICMPV6 = 58,
	P_DSTOPT = 60,
	P_MOBILITY = 135
};

static inline uint16_t get16(const uint8_t *p) /* network to host */
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}
static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}
static inline uint16_t raw16(const uint8_t *p) /* as it stands */
{
	uint16_t v;
	memcpy(&v, p, 2);
	return v;
}
static inline void set_raw16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, 2);
}

static inline uint16_t fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Sum of n bytes, an odd last one padded with 0. */
static inline uint64_t sum_bytes(const uint8_t *p, uint32_t n)
{
	uint64_t sum = 0;
	for (; n >= 4; n -= 4, p += 4) {
		uint32_t v;
		memcpy(&v, p, 4);
		sum += v;
	}
	if (n >= 2) {
		sum += raw16(p);
		n -= 2;
		p += 2;
	}
	if (n) {
		uint8_t last[2] = { p[0], 0 };
		sum += raw16(last);
	}
	return sum;
}

/* What a checksum's sum changes by when `from` becomes `to`; n a multiple of 2 (RFC 1624: ~m + m'). */
static inline uint64_t sum_delta(const uint8_t *from, const uint8_t *to, uint32_t n)
{
	uint64_t d = 0;
	uint32_t i = 0;
	for (; i + 4 <= n; i += 4) { /* 2^16 is 1 in this arithmetic, so a word of 32 bits adds like its two halves */
		uint32_t a, b;
		memcpy(&a, from + i, 4);
		memcpy(&b, to + i, 4);
		d += (uint64_t)(uint32_t)~a + b;
	}
	if (i < n)
		d += (uint32_t)(uint16_t)~raw16(from + i) + raw16(to + i);
	return d;
}

/* RFC 1624, equation 3. */
static inline uint16_t sum_apply(uint16_t sum, uint64_t delta)
{
	return (uint16_t)~fold((uint16_t)~sum + delta);
}
#endif
