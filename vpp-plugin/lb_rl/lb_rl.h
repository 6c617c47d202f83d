/* SPDX-License-Identifier: Apache-2.0 */
/* lb_rl_plugin: what its files share. Threads: everything here is written by the main thread alone, unless a comment says
 * worker; workers read VIPs, prefixes and servers without a lock, because entries never move and are filled before they can be
 * reached and cleared after every worker has passed a loop (native/core/include/marllb/dp.h). */
#ifndef LB_RL_H
#define LB_RL_H
#include <vlib/vlib.h>
#include <vnet/vnet.h>
#include <vnet/ip/ip.h>
#include <vnet/dpo/dpo.h>
#include <vnet/dpo/load_balance.h>
#include <vnet/fib/fib_node.h>
#include <vnet/fib/fib_types.h>
#include <vppinfra/bihash_16_8.h>
#include <marllb/dp.h>
#include <marllb/flow.h>
#include <marllb/packet.h>
#include <marllb/tcp.h>

#define LBRL_VERSION "0.1.0"
#define LBRL_MAX_PREFIXES MLB_MAX_VIPS
#define LBRL_FIRST_DYNAMIC_DSCP 0

#define LBRL_MAX_PORTS 16 /* that one VIP may name */
typedef struct {
	u16 port; /* host order, 1.. */
	u8 proto; /* TCP or UDP */
} lbrl_port_t;

/* How a VIP's packets reach a server. */
typedef enum {
	LBRL_FWD_L3DSR,
	LBRL_FWD_NAT,
	LBRL_FWD_GRE4,
	LBRL_FWD_GRE6,
	LBRL_FWD_IPIP4,
	LBRL_FWD_IPIP6,
	LBRL_FWD_L2DSR,
	LBRL_FWD_COUNT,
} lbrl_fwd_t;
extern const char *const lbrl_fwd_names[LBRL_FWD_COUNT];

static inline bool lbrl_fwd_is_tunnel(lbrl_fwd_t f)
{
	return f >= LBRL_FWD_GRE4 && f <= LBRL_FWD_IPIP6;
}

/* Per node error counters; each malformed packet has its own. `show errors` has room for 35 characters. */
#define LBRL_ERRORS(X) \
	X(FORWARDED, INFO, "packets forwarded to a server") \
	X(RETURNED, INFO, "packets returned to a client (NAT)") \
	X(NEW_FLOW, INFO, "new flows") \
	X(MISS, INFO, "unknown flow, placed by the ring") \
	X(NO_VIP, ERROR, "no VIP on this port, answered") \
	X(NO_SERVER, ERROR, "no eligible server, answered") \
	X(UNTRACKED, ERROR, "flow table full, placed by the ring") \
	X(NAT_COLLISION, ERROR, "NAT: client port in use") \
	X(CONGESTION, ERROR, "hand-off queue full") \
	X(PING, INFO, "pings answered") \
	X(ICMP, INFO, "ICMP errors sent on to the server") \
	X(ICMP_UNKNOWN, ERROR, "ICMP messages for no flow") \
	X(REASS, INFO, "fragments sent to shallow reassembly") \
	X(NO_ROOM, ERROR, "no room for the outer header") \
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
#define X(n, s, t) LBRL_ERROR_##n,
	LBRL_ERRORS(X)
#undef X
		LBRL_N_ERROR
} lbrl_error_t;
extern vlib_error_desc_t lbrl_error_counters[];

/* What forwarding to a server needs: one cache line, by slot. id is 0 while the slot holds none. */
typedef struct {
	CLIB_CACHE_LINE_ALIGN_MARK(cacheline0);
	u32 id;
	u32 lbi; /* load-balance of the server's FIB entry: next hops follow the FIB */
	struct mlb_addr addr;
	u16 port;       /* network order; 0 = the packet's */
	u16 addr_delta; /* IPv6: folded sum(server) - sum(VIP address), for checksums */
	u32 vip_id;     /* with the slot: what the FIB's back-walk finds the server by */
	fib_node_t fib_node;
	fib_node_index_t fei;
	u32 sibling;
	dpo_id_t dpo; /* holds the load-balance's lock */
} lbrl_server_t;

typedef struct {
	CLIB_CACHE_LINE_ALIGN_MARK(cacheline0);
	lbrl_server_t *server; /* [capacity], by slot */
	u8 fwd;                /* lbrl_fwd_t */
	u8 tos;                /* dscp << 2 */
	u8 sticky;             /* flows of one client address stay together */
	u8 is_ip6;
	u8 used;  /* 0: free; 1: takes flows; 2: deleted, its flows are being ended */
	u16 port; /* host order; 0 = all or several, then servers take the packet's */
	u16 id;
	u16 prefix;           /* index of its lbrl_prefix_t */
	u32 host_mask4;       /* its prefix's */
	struct mlb_addr addr; /* of the VIP; the prefix's first */
	struct mlb_addr src;  /* tunnels: outer source */
	u64 ring_seed;        /* equal on every load balancer: from address, protocol and port */
	u32 capacity;
	u32 plen;   /* as the user wrote it: 0..32 or 0..128 */
	u8 n_ports; /* 0 = all of TCP and UDP */
	lbrl_port_t ports[LBRL_MAX_PORTS];
	char name[MLB_NAME_LEN];
} lbrl_vip_t;

/* A FIB prefix that VIPs hang on; its index is the DPO's. */
typedef struct {
	fib_prefix_t pfx;
	u32 vips; /* VIPs on it; 0 = free */
	u8 installed;
	u8 fwd_nat;     /* NAT and other ways do not share a prefix */
	u8 any[2];      /* VIP id for all TCP, UDP ports, 0 = none */
	u32 host_mask4; /* network order: bits of an IPv4 destination that name it within the prefix; 0 for one address */
	u8 *by_port[2]; /* [65536] VIP id by port, once a VIP names one; single bytes change in place */
} lbrl_prefix_t;

/* One VLIB thread. Worker-owned but for tables, which main makes. */
typedef struct {
	CLIB_CACHE_LINE_ALIGN_MARK(cacheline0);
	struct mlb_worker *w;
	struct mlb_flow_table *flows, *half;
	u64 now_us;
	u32 now_ms;
	u32 flow_cursor, half_cursor;
	u32 inserts; /* raised by each insert: what a batch looked up before is old */
	u64 aged_us; /* when the walk went on last */
	u64 handoff_drops;
	volatile u32 busy; /* set while a vector of ours may hold pointers (debug) */
} lbrl_thread_t;

typedef struct {
	/* hot, read only while packets flow */
	lbrl_prefix_t prefix[LBRL_MAX_PREFIXES];
	lbrl_vip_t vip[MLB_MAX_VIPS + 1];         /* by id, 1.. */
	lbrl_thread_t *thread;                    /* by VLIB thread index */
	u32 n_workers, first_worker;              /* threads that take packets */
	u32 fq_vip[2], fq_return[2], fq_reass[2]; /* frame queues, by is_ip6 */
	u16 edge_lookup[2][2];        /* [from6][to6] edges of the lookup nodes, which all their siblings (ours too) share */
	u8 frag_arc[2];               /* by is_ip6: index of the arc that fragments take */
	clib_bihash_16_8_t by_server; /* server address -> bitmap of NAT VIPs (id - 1) that have it */
	u32 established_ms, udp_ms, sticky_ms;

	/* main thread */
	struct mlb_dp *dp;
	u8 enabled, started;
	char shm_path[256], instance[MLB_NAME_LEN];
	u32 flow_capacity, half_capacity, lease_ms;
	dpo_type_t dpo_type;
	fib_source_t fib_src;
	fib_node_type_t fib_node_type;
	u32 *nat_interfaces;         /* sw_if_index */
	struct mlb_endpoint *staged; /* set-servers before set-vip */
	f32 *staged_weight;
	u16 msg_id_base;
	u32 stat_vip[8], stat_server[16];
	struct mlb_server_rec *recs; /* scratch for show and counters */
} lbrl_main_t;
/* Hidden: the nodes reach it without a detour through the GOT. */
extern lbrl_main_t lbrl_main __attribute__((visibility("hidden")));

/* dpo.c: VIPs and servers in the FIB. */
clib_error_t *lbrl_dpo_init(void);
void lbrl_prefix_install(lbrl_prefix_t *p);
void lbrl_prefix_remove(lbrl_prefix_t *p);
void lbrl_server_track(lbrl_vip_t *v, u32 slot);
void lbrl_server_untrack(lbrl_vip_t *v, u32 slot);

/* config.c: every change, whoever asks (CLI or API). 0 or VNET_API_ERROR_*; err says what was expected. */
typedef struct {
	char name[MLB_NAME_LEN];
	ip46_address_t addr;
	u8 is_ip6, plen, sticky, load, mode;
	u8 n_ports; /* 0 = all of TCP and UDP */
	lbrl_port_t ports[LBRL_MAX_PORTS];
	u16 capacity;
	lbrl_fwd_t fwd;
	u8 dscp;
	ip46_address_t src;
	u8 src_set; /* 4 or 6: family of src */
	u8 eject_off, guard_off;
} lbrl_vip_args_t;
typedef struct {
	u32 flows, half_open, established_s, udp_s, sticky_s, lease_ms;
} lbrl_enable_args_t;
int lbrl_enable(const lbrl_enable_args_t *a, char err[256]);
int lbrl_disable(char err[256]);
int lbrl_start(char err[256]);
int lbrl_stop(char err[256]);
int lbrl_vip_add(const lbrl_vip_args_t *a, char err[256]);
int lbrl_vip_del(const char *name, char err[256]);
lbrl_vip_t *lbrl_vip_by_name(const char *name);
/* name empty: the only VIP. NULL with err when there is none of that name, or several and no name. */
lbrl_vip_t *lbrl_vip_or_only(const char *name, char err[256]);
int lbrl_servers_set(const char *vip, const struct mlb_endpoint *ep, const f32 *w, u32 n, char err[256]);
int lbrl_server_add(const char *vip, const struct mlb_endpoint *ep, f32 w, char err[256]);
int lbrl_server_del(const char *vip, const struct mlb_endpoint *ep, char err[256]);
int lbrl_server_drain(const char *vip, const struct mlb_endpoint *ep, bool drain, char err[256]);
int lbrl_set_mode(const char *vip, enum mlb_mode mode, char err[256]);
int lbrl_set_shm(const char *path, char err[256]);
int lbrl_nat_interface(u32 sw_if_index, bool add, char err[256]);
u64 lbrl_now_us(void);

/* process.c */
extern vlib_node_registration_t lbrl_process_node;
/* stats.c: the stat segment. */
void lbrl_stats_vip(lbrl_vip_t *v);
void lbrl_stats_update(void);

/* names.c */
u8 *format_lbrl_addr(u8 *s, va_list *args); /* struct mlb_addr * */
u8 *format_lbrl_vip(u8 *s, va_list *args);  /* lbrl_vip_t * */
const char *lbrl_proto_name(u8 proto);
void lbrl_addr_from_ip46(struct mlb_addr *out, const ip46_address_t *in, bool is_ip6);
bool lbrl_addr_is_ip4(const struct mlb_addr *a);
int lbrl_mode_parse(const char *s, enum mlb_mode *out);
extern const char *const lbrl_mode_names[5];
extern const char *const lbrl_ladder_names[5];

extern vlib_node_registration_t lbrl_ip4_node, lbrl_ip6_node, lbrl_return4_node, lbrl_return6_node, lbrl_worker_node;
extern vlib_node_registration_t lbrl_reass4_node, lbrl_reass6_node;
#endif
