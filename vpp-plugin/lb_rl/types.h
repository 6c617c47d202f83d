/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs, the FIB prefixes that they hang on, and their servers, as packets read them. The main thread writes, workers read without
 * a lock: entries never move, are filled before they can be reached and cleared after a grace period (native/core, dp.h). */
#ifndef LB_RL_TYPES_H
#define LB_RL_TYPES_H
#include <vnet/dpo/dpo.h>
#include <vnet/fib/fib_node.h>
#include <vnet/fib/fib_types.h>
#include <marllb/types.h>

#define LB_RL_MAX_PREFIXES MLB_MAX_VIPS
#define LB_RL_FEW_PORTS 4  /* named ports of a prefix and protocol that need no map */
#define LB_RL_MAX_PORTS 16 /* that one VIP may name */

typedef struct {
	u16 port; /* host order, 1.. */
	u8 proto; /* TCP or UDP */
} lb_rl_port_t;

/* Loop over the ports of a VIP (or of its arguments); one round with port 0 where it has all. */
#define lb_rl_foreach_port(q, vip) \
	for (const lb_rl_port_t all_ = {}, *q = (vip)->n_ports ? (vip)->ports : &all_, *end_ = q + clib_max((vip)->n_ports, 1); \
	     q < end_; q++)

/* Why a server's packets are dropped (route.h), or cannot take the fast path of a tunnel. */
enum {
	LB_RL_LEADS_BACK = 1,    /* its route leads to a VIP */
	LB_RL_BEHIND_ROUTER = 2, /* and its packets keep the VIP's address */
	LB_RL_NO_ROUTE = LB_RL_LEADS_BACK | LB_RL_BEHIND_ROUTER,
	LB_RL_NO_OUTER = 4 /* `outer` holds no header */
};

/* What forwarding to a server needs: one cache line, a second one for tunnels, by slot. id is 0 while the slot holds none. */
typedef struct {
	CLIB_CACHE_LINE_ALIGN_MARK(cacheline0);
	u32 id;
	u32 lbi; /* load-balance of the server's FIB entry: next hops follow the FIB */
	struct mlb_addr addr;
	u16 port;       /* network order; 0 = the packet's */
	u16 addr_delta; /* folded sum(server) - sum(VIP address), for checksums */
	u32 vip_id;     /* with the slot: what the FIB's back-walk finds the server by */
	u8 unfit;       /* bits of LB_RL_NO_ROUTE, of which one at most, and LB_RL_NO_OUTER */
	fib_node_t fib_node;
	fib_node_index_t fei;
	u32 sibling;
	u64 flush_us; /* flows that began before are ended */
	CLIB_ALIGN_MARK(outer_line, CLIB_CACHE_LINE_BYTES);
	u8 outer[48];  /* of a tunnel: the outer header and the tunnel's own, without what is the packet's */
	dpo_id_t dpo;  /* holds the load-balance's lock */
	u16 outer_sum; /* of an outer IPv4 header's words as they stand there, its checksum being 0 */
} lb_rl_server_t;
STATIC_ASSERT(sizeof(lb_rl_server_t) == 2 * CLIB_CACHE_LINE_BYTES, "two cache lines");

enum {
	LB_RL_VIP_FREE = 0,
	LB_RL_VIP_ACTIVE = 1,
	LB_RL_VIP_DELETED = 2 /* its flows are being ended */
};

typedef struct {
	CLIB_CACHE_LINE_ALIGN_MARK(cacheline0);
	lb_rl_server_t *server; /* [capacity], by slot */
	u8 fwd;                 /* lb_rl_fwd_t */
	u8 tos;                 /* dscp << 2 */
	u8 sticky;              /* flows of one client address stay together */
	u8 is_ip6;
	u8 used;  /* LB_RL_VIP_* */
	u16 port; /* host order; 0 = all or several, then servers take the packet's */
	u16 id;
	u16 prefix;           /* index of its lb_rl_prefix_t */
	u32 host_mask4;       /* its prefix's */
	struct mlb_addr addr; /* of the VIP; the prefix's first */
	struct mlb_addr src;  /* outer source, for ways of forwarding with an outer header */
	u64 ring_seed;        /* equal on every load balancer: from address, protocol and port */
	u32 capacity;
	u32 slots;              /* the highest that ever had a server, and 1 */
	u8 quic;                /* bytes of a server ID in QUIC connection IDs; 0: they are not looked at */
	u16 mss;                /* largest TCP segment that either side may announce; 0: as they say */
	u16 outer_port;         /* host order: UDP destination port of the outer header; 0 = there is none */
	u8 flushes;             /* one of its servers has a flush_us */
	u8 shares;              /* NAT: one of its servers is another VIP's, too */
	u32 table;              /* as the user wrote it */
	u32 fib_index, via_fib; /* of that table: for the VIP's family, and for its servers' */
	u8 plen;                /* as the user wrote it: 0..32 or 0..128 */
	u8 n_ports;             /* 0 = all of TCP and UDP */
	lb_rl_port_t ports[LB_RL_MAX_PORTS];
	char name[MLB_NAME_LEN];
} lb_rl_vip_t;

/* A FIB prefix that VIPs hang on; its index is the DPO's. The first line is what packets read, by protocol [TCP, UDP]. */
typedef struct {
	CLIB_CACHE_LINE_ALIGN_MARK(cacheline0);
	u16 *by_port[2];             /* [65536] VIP id by port, once more ports are named than `few` holds; ids change in place */
	u32 few[2][LB_RL_FEW_PORTS]; /* port << 16 | VIP id, from the front; 0 = free; each changes as a whole */
	u16 any[2];                  /* VIP id for all ports, 0 = none */
	u32 host_mask4; /* network order: bits of an IPv4 destination that name it within the prefix; 0 for one address */
	u8 both_ways;   /* VIPs whose replies come back through us and others do not share a prefix */
	u8 apart6;      /* IPv6 of several addresses: flows to them are kept apart, see lb_rl_apart6 */
	CLIB_ALIGN_MARK(cacheline1, CLIB_CACHE_LINE_BYTES);
	fib_prefix_t pfx;
	u32 fib_index;
	u32 vips; /* VIPs on it; 0 = free */
	u8 installed;
} lb_rl_prefix_t;

#endif
