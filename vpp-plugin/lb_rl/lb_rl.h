/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's one instance. Written by the main thread alone; workers read it (see types.h). */
#ifndef LB_RL_H
#define LB_RL_H
#include <vlib/vlib.h>
#include <vnet/vnet.h>
#include <vnet/ip/ip.h>
#include <vnet/fib/fib_source.h>
#include <vppinfra/bihash_16_8.h>
#include <vppinfra/lock.h>
#include <marllb/dp.h>
#include <marllb/tcp.h>
#include <lb_rl/thread.h>
#include <lb_rl/types.h>

#define LB_RL_VERSION "0.1.0"

typedef struct {
	/* read while packets flow */
	lb_rl_prefix_t prefix[LB_RL_MAX_PREFIXES];
	lb_rl_vip_t vip[MLB_MAX_VIPS + 1];        /* by id, 1.. */
	lb_rl_thread_t *thread;                   /* by VLIB thread index */
	u32 n_workers, first_worker;              /* threads that take packets */
	u32 fq_vip[2], fq_return[2], fq_reass[2]; /* frame queues, by is_ip6 */
	u16 edge_lookup[2][2]; /* [from6][to6] edges of the lookup nodes, which all their siblings (ours too) share */
	u16 edge_frag6[2];     /* [from6] to ip6-frag */
	u16 edge_segment[2];   /* [from6] to lb-rl-segment */
	u8 frag6_to_lookup;    /* edge from ip6-frag to ip6-lookup */
	u8 frag_arc[2];        /* by is_ip6: index of the arc that fragments take */
	/* which server a client had last, of sticky VIPs: one table of all workers, since a client's flows come to any */
	struct mlb_flow_table *sticky;
	clib_spinlock_t sticky_lock;
	clib_bihash_16_8_t by_server; /* server address -> the VIPs whose replies come back from it, see sharers.h */
	clib_bihash_16_8_t by_quic;   /* server ID of a VIP's -> slot, see quic.h */
	/* NAT with several workers: which of them has the newest flow of a client's port, by the hash of both; 0: none. A hint,
	 * for the workers that replies come to; equal hashes share a place. NULL with one worker. */
	u16 *whose;
	u32 whose_shift;
	clib_spinlock_t apart_lock; /* over placing a flow of a VIP of `shares` */
	struct mlb_tcp_timeouts tcp;
	u32 udp_ms, sticky_ms;

	/* main thread */
	struct mlb_dp *dp;
	u8 enabled, started;
	char shm_path[256], shm_group[MLB_NAME_LEN], instance[MLB_NAME_LEN];
	u32 flow_capacity, half_capacity, lease_ms;
	struct mlb_limits limits; /* of the region */
	/* of startup.conf: what `enable` takes where it is not told, and the pages of the tables */
	u32 start_flows, start_half;
	struct mlb_limits start_limits;
	clib_mem_page_sz_t page_size;
	dpo_type_t dpo_type;
	fib_source_t fib_src;
	fib_node_type_t fib_node_type;
	u32 *nat_interfaces;         /* sw_if_index */
	struct mlb_endpoint *staged; /* set-servers before set-vip */
	f32 *staged_weight;
	u16 msg_id_base;
} lb_rl_main_t;
/* Hidden: the nodes reach it without a detour through the GOT. */
extern lb_rl_main_t lb_rl_main __attribute__((visibility("hidden")));

extern vlib_node_registration_t lb_rl_ip4_node, lb_rl_ip6_node, lb_rl_return4_node, lb_rl_return6_node, lb_rl_worker_node;
/* Where packets come in that another worker handed over. */
extern vlib_node_registration_t lb_rl_owned4_node, lb_rl_owned6_node, lb_rl_owned_frag4_node, lb_rl_owned_frag6_node;
extern vlib_node_registration_t lb_rl_owned_return4_node, lb_rl_owned_return6_node;
extern vlib_node_registration_t lb_rl_reass4_node, lb_rl_reass6_node, lb_rl_process_node;
#endif
