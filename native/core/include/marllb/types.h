/* SPDX-License-Identifier: Apache-2.0 */
/* Basic types that every part of the core shares. Times are microseconds of CLOCK_MONOTONIC (`_us`) unless a name says
 * otherwise; the core never reads a clock, its caller passes the time in. Errors are negative errno. */
#ifndef MARLLB_TYPES_H
#define MARLLB_TYPES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vocab.h"

/* C++ (the addon) passes structs on and never touches their atomic words: it sees plain ones of the same size. */
#ifdef __cplusplus
#define MLB_ATOMIC(type) type
#define MLB_STATIC_ASSERT(cond, text) static_assert(cond, text)
#else
#define MLB_ATOMIC(type) _Atomic type
#define MLB_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#endif

/* A region is made for so many VIPs and servers as its data plane asks for (struct mlb_limits), these at the most. What a process
 * keeps by VIP id in an array has room for all of them; what is as large as a message has room for what the region holds. */
#define MLB_MAX_VIPS 1024u
#define MLB_MAX_SERVERS_PER_VIP 1024u
#define MLB_MAX_SERVERS 16384u /* of all VIPs of one region */
#define MLB_NONE UINT32_MAX    /* no slot, no server */
#define MLB_NAME_LEN 32u
#define MLB_CACHE_LINE 64
#define MLB_ERR_LEN 256u /* of an error's sentence: every `char err[256]` */

/* An address is 16 bytes in network order; IPv4 is written as an IPv4-mapped IPv6 address (::ffff:a.b.c.d). */
struct mlb_addr {
	uint8_t b[16];
};

/* How many VIPs, and servers of all of them, a region holds. 0: as many as by default (vocab.h). */
struct mlb_limits {
	uint32_t vips, servers;
};

struct mlb_endpoint {
	struct mlb_addr addr;
	uint16_t port; /* host order; 0 = the port of the packet */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP, 0 = any */
	uint8_t pad;
};
#endif
