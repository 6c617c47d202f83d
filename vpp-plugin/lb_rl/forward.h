/* SPDX-License-Identifier: Apache-2.0 */
/* How a VIP's packets reach a server. A way of forwarding is a row here and a file fwd_<file>.c; everything else asks for the
 * row's properties, never for its name or its number. */
#ifndef LB_RL_FORWARD_H
#define LB_RL_FORWARD_H
#include <vlib/vlib.h>
#include <marllb/packet.h>
#include <lb_rl/counters.h>
#include <lb_rl/types.h>

/* X(NAME, "word", file, properties of lb_rl_fwd_ops_t). Plain ones rewrite a packet in place and have a fast path:
 * lb_rl_<file>_plain in fwd_<file>.h, of which the nodes make a loop each. */
#define LB_RL_PLAIN_FORWARDS(X) \
	X(L3DSR, "l3dsr", l3dsr, .one_way = 1, .keeps_port = 1, .takes_dscp = 1) \
	X(NAT, "nat", nat, .one_address = 1) \
	X(L2DSR, "l2dsr", l2dsr, .one_way = 1, .keeps_port = 1, .same_link = 1)
/* The others put the packet, untouched, behind an outer header. */
#define LB_RL_TUNNEL(version, own) .outer = version, .overhead = (version == 6 ? 40 : 20) + own, .one_way = 1, .keeps_port = 1
#define LB_RL_TUNNELS(X) \
	X(GRE4, "gre4", gre, LB_RL_TUNNEL(4, 4), .fixed_own = 1) \
	X(GRE6, "gre6", gre, LB_RL_TUNNEL(6, 4), .fixed_own = 1) \
	X(IPIP4, "ipip4", ipip, LB_RL_TUNNEL(4, 0), .fixed_own = 1) \
	X(IPIP6, "ipip6", ipip, LB_RL_TUNNEL(6, 0), .fixed_own = 1) \
	X(GUE4, "gue4", gue, LB_RL_TUNNEL(4, 12), .outer_port = 6080) \
	X(GUE6, "gue6", gue, LB_RL_TUNNEL(6, 12), .outer_port = 6080)
#define LB_RL_FORWARDS(X) LB_RL_PLAIN_FORWARDS(X) LB_RL_TUNNELS(X)

typedef enum {
#define X(n, ...) LB_RL_FWD_##n,
	LB_RL_FORWARDS(X)
#undef X
		LB_RL_FWD_COUNT
} lb_rl_fwd_t;

/* Rewrites or wraps one parsed packet of any shape. flow: equal for all packets of a flow. Tunnels read version and total_len of
 * the packet's record and no more. Returns LB_RL_ERROR_FORWARDED, or why the packet cannot go. */
typedef u32 lb_rl_fwd_fn_t(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv,
			   u32 flow);

typedef struct {
	const char *name;
	lb_rl_fwd_fn_t *rewrite;
	u16 outer_port;     /* default UDP destination port of the outer header; 0: it has no UDP header */
	u8 overhead;        /* bytes that the outer header and the tunnel's own add */
	u8 outer;           /* IP version of the outer header, which needs `src`; 0: none, then servers are of the VIP's family */
	u8 one_way : 1;     /* replies pass us by; else they come back through us and are given the VIP's address */
	u8 keeps_port : 1;  /* a server gets the packet's own port */
	u8 one_address : 1; /* the VIP cannot be a prefix */
	u8 takes_dscp : 1;
	u8 same_link : 1; /* packets keep the VIP's address: a server is on the link, for a router would send them back */
	u8 fixed_own : 1; /* a tunnel's own header, of 0 or 4 bytes, is the same for all packets: it has a fast path */
} lb_rl_fwd_ops_t;

#define X(n, word, file, ...) lb_rl_fwd_fn_t lb_rl_##file##_rewrite;
LB_RL_FORWARDS(X)
#undef X
/* By lb_rl_fwd_t. Constant in each file that asks, so that a property of a known way costs nothing. */
static const lb_rl_fwd_ops_t lb_rl_fwd_ops[LB_RL_FWD_COUNT] = {
#define X(n, word, file, ...) { .name = word, .rewrite = lb_rl_##file##_rewrite, __VA_ARGS__ },
	LB_RL_FORWARDS(X)
#undef X
};

/* All words, a space before each: for help and messages. */
#define LB_RL_FWD_WORD(n, word, ...) " " word
#define LB_RL_FWD_WORDS LB_RL_FORWARDS(LB_RL_FWD_WORD)
/* LB_RL_FWD_COUNT where no way has that word. */
lb_rl_fwd_t lb_rl_fwd_parse(const char *word);

/* Do replies of its servers come back through us? */
static_always_inline bool lb_rl_both_ways(const lb_rl_vip_t *v)
{
	return !lb_rl_fwd_ops[v->fwd].one_way;
}

/* Family of the header that a server's packets leave with: its own address must be of it. */
static_always_inline bool lb_rl_leaves_as_ip6(const lb_rl_vip_t *v)
{
	u8 outer = lb_rl_fwd_ops[v->fwd].outer;
	return outer ? outer == 6 : v->is_ip6;
}

/* No path takes less than this: shorter packets are not asked about theirs. */
#define LB_RL_FITS 256

/* A packet of more than LB_RL_FITS bytes that has not been rewritten yet: may it go to that server? LB_RL_ERROR_FORWARDED: yes,
 * or it may be fragmented on the way. Else it goes to *next: LB_RL_ERROR_TOO_BIG, which answers the sender with an ICMP error
 * that quotes the packet as it was sent (RFC 1191, RFC 8201); LB_RL_ERROR_SEGMENTED, which cuts it for a tunnel (segment.c). */
u32 lb_rl_path_takes(vlib_buffer_t *b, u32 len, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u16 *next);
/* The same for a packet whose TTL or hop limit is over. */
u32 lb_rl_time_exceeded(vlib_buffer_t *b, bool is6, u16 *next);

/* Any parsed packet to its server: the VIP's way, then the next hop. Returns as lb_rl_fwd_fn_t. */
u32 lb_rl_forward(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow,
		  u16 *next);

/* For tunnels: puts the outer IP header, whose protocol is `proto`, in front of the packet and leaves `room` bytes at *own for
 * the tunnel's own headers. The buffer begins at the outer header then. Returns as lb_rl_fwd_fn_t. */
u32 lb_rl_outer(vlib_buffer_t *b, const struct mlb_pkt *pkt, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u32 flow, u8 proto,
		u32 room, u8 **own);
/* Makes the server's `outer` from what the VIP's way puts in front of an empty packet. Main thread, before packets come. */
void lb_rl_outer_ready(const lb_rl_vip_t *v, lb_rl_server_t *srv);
/* A tunnel's packet of more than LB_RL_FITS bytes, wrapped, that may be fragmented, over a path that does not take it whole: the
 * outer packet is cut, and the tunnel's end joins it (RFC 2003, section 5.1; RFC 2473, section 7). True: *next is the node that
 * cuts; else the next hop does. */
bool lb_rl_cut_outer(vlib_buffer_t *b, const lb_rl_vip_t *v, const lb_rl_server_t *srv, u16 *next);
/* In front of all that: an Ethernet header with one VLAN tag. */
#define LB_RL_LINK_ROOM 18
/* The protocol number of the packet inside. */
static_always_inline u8 lb_rl_inner_protocol(const struct mlb_pkt *pkt)
{
	return pkt->version == 6 ? IP_PROTOCOL_IPV6 : IP_PROTOCOL_IP_IN_IP;
}

/* Edge from a lookup node (all our nodes are its siblings) to a lookup node. */
u16 lb_rl_lookup_edge(bool from6, bool to6);
#endif
