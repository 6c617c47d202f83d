/* SPDX-License-Identifier: Apache-2.0 */
/* Basic types that every part of the core shares. Times are microseconds of CLOCK_MONOTONIC (`_us`) unless a name says
 * otherwise; the core never reads a clock, its caller passes the time in. Errors are negative errno. */
#ifndef MARLLB_TYPES_H
#define MARLLB_TYPES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MLB_MAX_VIPS 64u
#define MLB_MAX_SERVERS_PER_VIP 1024u
#define MLB_MAX_SERVERS 4096u /* of all VIPs of one region */
#define MLB_NONE UINT32_MAX   /* no slot, no server */
#define MLB_NAME_LEN 32u
#define MLB_CACHE_LINE 64

/* An address is 16 bytes in network order; IPv4 is written as an IPv4-mapped IPv6 address (::ffff:a.b.c.d). */
struct mlb_addr {
	uint8_t b[16];
};

struct mlb_endpoint {
	struct mlb_addr addr;
	uint16_t port; /* host order; 0 = the port of the packet */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP, 0 = any */
	uint8_t pad;
};

/* How the data plane uses the weights (docs/design.md). */
enum mlb_mode { MLB_MODE_KEEP = 0, MLB_MODE_HASH = 1, MLB_MODE_ALIAS = 2, MLB_MODE_SED = 3, MLB_MODE_P2C = 4 };

/* What a VIP's load counts. */
enum mlb_load { MLB_LOAD_FLOWS = 0, MLB_LOAD_WAITING = 1 };

/* Who owns a VIP's server list. */
enum mlb_owner { MLB_POOL_LOCAL = 0, MLB_POOL_MANAGED = 1 };

/* State a directive puts a VIP in. */
enum mlb_vip_state { MLB_VIP_NORMAL = 0, MLB_VIP_DEGRADED = 1, MLB_VIP_PANIC = 2 };

/* The ladder: where the weights in effect came from. Lower is better. */
enum mlb_ladder {
	MLB_LADDER_MODEL = 0,
	MLB_LADDER_KALMAN = 1,
	MLB_LADDER_LAST_GOOD = 2,
	MLB_LADDER_STATIC = 3,   /* chosen by the agent */
	MLB_LADDER_STATIC_DP = 4 /* the agent's lease ran out: the data plane's own */
};

/* Flags of a server slot. */
enum {
	MLB_SRV_MEMBER = 1u << 0,   /* the slot holds a server */
	MLB_SRV_DRAINING = 1u << 1, /* keeps its flows, takes no new ones */
	MLB_SRV_EJECTED = 1u << 2,  /* put out by the data plane itself for a while */
	MLB_SRV_PROBING = 1u << 3,  /* ejected, one probe flow is on its way */
	MLB_SRV_LEAVING = 1u << 4   /* removed from the list, slot waits for its last flow */
};

/* How a flow ended. */
enum mlb_end {
	MLB_END_COMPLETED = 0, /* FIN both ways, or idle after an answer */
	MLB_END_REFUSED,       /* the server refused the connect */
	MLB_END_RESET,         /* the server reset an established flow */
	MLB_END_ABORT,         /* the client went away first */
	MLB_END_UNANSWERED,    /* connect timed out */
	MLB_END_IDLE,          /* aged out */
	MLB_END_COUNT
};

/* Why the data plane refused a weight vector. Names in `mlb_refuse_names`. */
#define MLB_REFUSALS(X) \
	X(NOT_FINITE, "not_finite") \
	X(NEGATIVE, "negative") \
	X(ALL_ZERO, "all_zero") X(OUT_OF_RANGE, "out_of_range") X(LENGTH, "length") X(EPOCH, "epoch") X(VIP, "vip") \
		X(GENERATION, "generation") X(STALE, "stale") X(TORN, "torn") X(SERVER, "server") X(MODE, "mode")
enum mlb_refuse {
	MLB_REFUSE_NONE = 0,
#define X(n, s) MLB_REFUSE_##n,
	MLB_REFUSALS(X)
#undef X
		MLB_REFUSE_COUNT
};
#endif
