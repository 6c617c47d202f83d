/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes count: each outcome of a packet has its counter, and so does each way in which one is malformed. */
#ifndef LB_RL_COUNTERS_H
#define LB_RL_COUNTERS_H
#include <vlib/vlib.h>

/* `show errors` has room for 35 characters. */
#define LB_RL_ERRORS(X) \
	X(FORWARDED, INFO, "packets forwarded to a server") \
	X(RETURNED, INFO, "packets returned to a client (NAT)") \
	X(NEW_FLOW, INFO, "new flows") \
	X(MISS, INFO, "unknown flow, placed by the ring") \
	X(NO_VIP, ERROR, "no VIP on this port, answered") \
	X(NO_SERVER, ERROR, "no eligible server, answered") \
	X(UNTRACKED, ERROR, "flow table full, placed by the ring") \
	X(NAT_COLLISION, ERROR, "NAT: client port in use") \
	X(NOT_ANSWERED, ERROR, "refused in silence: too many") \
	X(CONGESTION, ERROR, "hand-off queue full") \
	X(PING, INFO, "pings answered") \
	X(ICMP, INFO, "ICMP errors sent on to the server") \
	X(ICMP_UNKNOWN, ERROR, "ICMP messages for no flow") \
	X(SEGMENTED, INFO, "cut into segments for a tunnel") \
	X(NO_SEGMENTS, ERROR, "cannot be cut for a tunnel") \
	X(TOO_BIG, ERROR, "too long for the path, answered") \
	X(TTL, ERROR, "TTL or hop limit over, answered") \
	X(LEADS_BACK, ERROR, "server's route leads back to a VIP") \
	X(BEHIND_ROUTER, ERROR, "server behind a router (l2dsr)") \
	X(REASS, INFO, "fragments sent to shallow reassembly") \
	X(NO_ROOM, ERROR, "no room for the outer header") \
	X(TOO_LONG, ERROR, "too long for the outer header") \
	X(NOT_ENABLED, ERROR, "lb rl is disabled") \
	X(TRUNCATED, ERROR, "malformed: truncated") \
	X(BAD_VERSION, ERROR, "malformed: IP version") \
	X(BAD_IHL, ERROR, "malformed: IP header length") \
	X(BAD_LENGTH, ERROR, "malformed: IP total length") \
	X(BAD_EXT, ERROR, "malformed: IPv6 extension header") \
	X(FRAGMENT, ERROR, "fragment not reassembled") \
	X(L4_TRUNCATED, ERROR, "malformed: L4 header cut short") \
	X(TCP_OFFSET, ERROR, "malformed: TCP data offset") \
	X(PROTO, ERROR, "protocol that is not balanced") \
	X(UDP_LENGTH, ERROR, "malformed: UDP length")
typedef enum {
#define X(n, s, t) LB_RL_ERROR_##n,
	LB_RL_ERRORS(X)
#undef X
		LB_RL_N_ERROR
} lb_rl_error_t;
extern vlib_error_desc_t lb_rl_error_counters[];
#endif
