/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of a packet on the fast path, changed by what changes in it. */
#ifndef LB_RL_SUMS_H
#define LB_RL_SUMS_H
#include <vnet/ip/ip.h>
#include <vnet/tcp/tcp_packet.h>
#include <vnet/udp/udp_packet.h>

/* Sums of 16-bit words as they stand in memory; RFC 1624, eqn. 3. Both halves and the carry between them in one addition. */
static_always_inline u16 lb_rl_fold(u32 s)
{
	return (s + (s << 16 | s >> 16)) >> 16;
}

static_always_inline u32 lb_rl_delta32(u32 from, u32 to)
{
	return (u16)~from + (u16)(~from >> 16) + (to & 0xffff) + (to >> 16);
}

static_always_inline u32 lb_rl_delta128(const u8 *from, const u8 *to)
{
	u32 s = 0;
	for (int i = 0; i < 16; i += 4)
		s += lb_rl_delta32(*(u32u *)(from + i), *(u32u *)(to + i));
	return s;
}

static_always_inline u16 lb_rl_csum_add(u16 csum, u32 delta)
{
	return ~lb_rl_fold((u16)~csum + delta);
}

/* TTL and checksum of a packet that goes into a tunnel: a router takes one (RFC 2003, section 3.1), and the outer TTL is fresh.
 * Both stand in one word, the checksum above the TTL; what it carries out of that comes in again below. */
static_always_inline void lb_rl_take_ttl(void *at, bool is6)
{
	if (is6) {
		((ip6_header_t *)at)->hop_limit--;
		return;
	}
	u32u *ttl_and_sum = (u32u *)&((ip4_header_t *)at)->ttl;
	u64 x = (u64)clib_little_to_host_u32(*ttl_and_sum) + 0xffff;
	if (PREDICT_FALSE(x >= 0xffff0000))
		x += 0x10000;
	*ttl_and_sum = clib_host_to_little_u32(x);
}

/* A UDP checksum of 0 means none (IPv4); one that comes out as 0 is sent as 0xffff. */
static_always_inline void lb_rl_l4_fix(void *l4, bool tcp, u32 delta)
{
	if (tcp) {
		tcp_header_t *h = l4;
		h->checksum = lb_rl_csum_add(h->checksum, delta);
	} else {
		udp_header_t *h = l4;
		if (h->checksum) {
			u16 c = lb_rl_csum_add(h->checksum, delta);
			h->checksum = c ? c : 0xffff;
		}
	}
}
#endif
