/* SPDX-License-Identifier: Apache-2.0 */
/* The one declaration of the shared-memory region and of the frame. All integers little-endian, naturally aligned, every
 * struct a multiple of 8 bytes, no implicit padding. TypeScript holds no offset of these: the addon decodes by field name.
 *
 * region: header | msg_out | msg_in | msg_pool | effect | live | peer
 * Every block but the header is a double-buffered message: `struct mlb_msg` followed by two buffers (see seqlock.h).
 * Writers: data plane = header.dp_*, msg_out, effect, live; agent = header.agent_*, msg_in, msg_pool; who shares counts with
 * other load balancers = header.live_us, peer. */
#ifndef MARLLB_LAYOUT_H
#define MARLLB_LAYOUT_H
#ifndef __cplusplus
#include <stdatomic.h>
#endif
#include "fields.h"
#include "types.h"

#define MLB_MAGIC UINT64_C(0x31305f524c424d4d) /* written last when a region is made */
#define MLB_LAYOUT_VERSION 6u                  /* any change of a struct below raises it */
#define MLB_FRAME_SCHEMA 5u                    /* version of mlb_frame_hdr + mlb_server_rec as sent over gRPC */
#define MLB_RESERVOIR_LEN 128u
#define MLB_HIST_BUCKETS 54u /* the last begins at 4295 s: beyond the longest time-out, 1 h */

enum mlb_block { MLB_BLK_OUT, MLB_BLK_IN, MLB_BLK_POOL, MLB_BLK_EFFECT, MLB_BLK_LIVE, MLB_BLK_PEER, MLB_BLK_COUNT };

struct mlb_block_ref {
	uint64_t off;      /* from the region's start */
	uint64_t buf_size; /* bytes of one of its two buffers */
};

struct mlb_region_hdr {
	MLB_ATOMIC(uint64_t) magic;
	uint32_t layout_version;
	uint32_t header_size;
	uint32_t frame_hdr_size;
	uint32_t server_rec_size;
	uint64_t region_size;
	struct mlb_block_ref block[MLB_BLK_COUNT];
	char instance[MLB_NAME_LEN];
	char dataplane[MLB_NAME_LEN]; /* "marllb-dp 0.1.0", "vpp 26.06" */
	uint64_t dp_epoch;            /* names this life of the data plane: CLOCK_REALTIME ns at its start */
	uint32_t frame_us;            /* period of msg_out */
	uint32_t lease_us;            /* agent heartbeat unchanged for this long: static weights */
	uint32_t workers;
	uint32_t dp_pid;
	struct mlb_limits limits;          /* what the blocks have room for; their offsets and sizes follow from it */
	MLB_ATOMIC(uint64_t) dp_heartbeat; /* the data plane's main thread, advances at least every 100 ms */
	MLB_ATOMIC(uint32_t) out_futex;    /* bumped and woken after each publish of msg_out or effect */
	MLB_ATOMIC(uint32_t)
	live_us;                          /* period of the live counts that their reader wants, written anew at each of its turns;
					   * 0 = nobody reads them. The data plane sets it to 0 after 10 s without a peer */
	MLB_ATOMIC(uint64_t) agent_epoch; /* last agent's; the next takes it plus one, under the lock */
	MLB_ATOMIC(uint64_t) agent_heartbeat; /* advances only after the agent composed a tick */
	MLB_ATOMIC(uint32_t) in_futex;        /* bumped and woken after each publish of msg_in or msg_pool */
	MLB_ATOMIC(uint32_t) agent_pid;
};

/* In front of each message's two buffers. `index` names the buffer to read; seq[i] is odd while buffer i is written. */
struct mlb_msg {
	MLB_ATOMIC(uint32_t) index;
	MLB_ATOMIC(uint32_t) pad;
	MLB_ATOMIC(uint64_t) seq[2];
	MLB_ATOMIC(uint64_t) len[2]; /* bytes in use of buffer i, a multiple of 8 */
};

/* Summary of a reservoir over the last full tick; times in microseconds. samples == 0: mean, std, p90, min are
 * unknown and 0; dmean, dp90 outlive a frame and are 0 only while nothing was ever seen. */
struct mlb_res_sum {
	uint32_t samples; /* kept, <= MLB_RESERVOIR_LEN after merging the workers */
	uint32_t seen;    /* offered in the tick */
	float mean, std, p90;
	float dmean, dp90; /* decayed: exponentially weighted by age within and over ticks (see reservoir.h) */
	float min;
};

typedef char mlb_name[MLB_NAME_LEN];
typedef uint32_t mlb_hist[MLB_HIST_BUCKETS];
typedef uint64_t mlb_refusals[MLB_REFUSE_COUNT];

/* The fields, with units and meanings, are the rows of fields.h. */
#define X(type, name, role, sum, of, unit, metric, help) MLB_TYPE_##type name;
struct mlb_server_rec {
	MLB_SERVER_FIELDS(X)
};
struct mlb_frame_hdr {
	MLB_FRAME_FIELDS(X)
};
#undef X

/* msg_out = mlb_out_hdr, mlb_frame_hdr[frames] in order of VIP ids, mlb_server_rec[records]. */
struct mlb_out_hdr {
	uint32_t frames;
	uint32_t records;
	uint64_t published_ns;
};

/* msg_in = mlb_in_hdr, mlb_in_vip[vips], mlb_in_entry[entries]. A VIP that is absent keeps what it has. */
struct mlb_in_hdr {
	uint32_t vips;
	uint32_t entries;
	uint64_t agent_epoch;
};
struct mlb_in_vip {
	uint64_t dp_epoch;
	uint64_t agent_epoch;
	uint64_t seq;       /* of this VIP; (agent_epoch, seq) greater than the applied one, or it is ignored */
	uint64_t frame_seq; /* frame that this answers; 0 = none */
	uint64_t term;      /* of the directive composed in */
	uint64_t mono_ns;   /* when composed */
	uint64_t birth;     /* must equal the VIP's, or it is refused: meant for another VIP of the same id */
	uint32_t vip_id;
	uint32_t generation; /* must equal the VIP's, or it is refused */
	uint32_t first, count;
	float kappa;
	uint32_t load_balancers;
	uint8_t mode;           /* enum mlb_mode; MLB_MODE_KEEP = leave, under a newer term: the host's own again */
	uint8_t ladder;         /* enum mlb_ladder of this vector */
	uint8_t state;          /* enum mlb_vip_state */
	uint8_t exact;          /* 1: an operator's order: these are the shares of new flows, whatever the mode */
	uint32_t load_balancer; /* as the frame's; 0 = not told */
	/* 1: a server that joins takes no new flows until a vector names it, or the agent's lease is over. It may never have been
	 * checked, and only the next vector can say so. */
	uint32_t newcomers_wait;
	uint32_t pad;
};
struct mlb_in_entry {
	uint32_t server_id;
	float weight;   /* composed share, sums to 1 over the VIP */
	float factor;   /* directive's, by itself, for the static step: 0..1 */
	float bias;     /* flows */
	uint32_t flags; /* enum mlb_in_flag */
	uint32_t pad;
};

/* msg_pool = mlb_pool_hdr, mlb_pool_vip[vips], mlb_pool_entry[entries]: wanted server lists of managed VIPs. */
struct mlb_pool_hdr {
	uint32_t vips;
	uint32_t entries;
	uint64_t agent_epoch;
};
struct mlb_pool_vip {
	uint64_t birth; /* as in mlb_in_vip */
	uint32_t vip_id;
	uint32_t owner;    /* enum mlb_owner: LOCAL hands the list back */
	uint64_t revision; /* of failover's pool; an older one is ignored */
	uint32_t first, count;
};
struct mlb_pool_entry {
	struct mlb_addr addr;
	uint16_t port;
	uint16_t flags; /* MLB_SRV_DRAINING */
	float weight;   /* configured */
};

/* effect = mlb_effect_hdr, mlb_effect[vips]: when the last msg_in of each VIP took effect. */
struct mlb_effect_hdr {
	uint32_t vips;
	uint32_t pad;
	uint64_t dp_epoch;
};
struct mlb_effect {
	uint64_t birth;
	uint32_t vip_id;
	uint32_t generation;
	uint64_t agent_epoch, seq, frame_seq;
	uint64_t swap_ns;      /* CLOCK_MONOTONIC at the pointer swap */
	uint64_t all_ns;       /* end of the grace period: all workers use it; 0 = not yet */
	uint64_t applied;      /* vectors taken since the data plane's start */
	uint64_t refused;      /* refused since then, all reasons */
	uint32_t last_refusal; /* enum mlb_refuse of the newest refusal */
	uint32_t pad;
	uint64_t pool_revision; /* of msg_pool in effect */
	uint64_t pool_refused;
};

/* live = mlb_live_hdr, mlb_live[entries]: the data plane's own flows by server, summed over its workers, every header.live_us;
 * a quarter as often while nothing changes. */
struct mlb_live_hdr {
	uint32_t entries;
	uint32_t pad;
	uint64_t mono_ns;
};
struct mlb_live {
	uint32_t vip_id, server_id, slot;
	uint32_t flows, waiting;
	struct mlb_endpoint ep; /* what other load balancers know the server by; proto is the VIP's */
};

/* peer = mlb_peer_hdr, mlb_peer[entries]: what others (load balancers, other VIPs) have in progress at the same servers. A server
 * without an entry has none. The data plane forgets it when valid_us have passed without a newer one. */
struct mlb_peer_hdr {
	uint32_t entries;
	uint32_t valid_us;
};
struct mlb_peer {
	uint32_t vip_id, server_id, slot; /* as in mlb_live; passed over where another server has the slot by now */
	uint32_t flows, waiting;
	uint32_t pad;
};

#define MLB_ASSERT_SIZE(t, n) MLB_STATIC_ASSERT(sizeof(t) == (n), "layout changed: raise MLB_LAYOUT_VERSION")
MLB_ASSERT_SIZE(struct mlb_block_ref, 16);
MLB_ASSERT_SIZE(struct mlb_region_hdr, 264);
MLB_ASSERT_SIZE(struct mlb_msg, 40);
MLB_ASSERT_SIZE(struct mlb_res_sum, 32);
MLB_ASSERT_SIZE(struct mlb_server_rec, 808);
MLB_ASSERT_SIZE(struct mlb_frame_hdr, 392);
MLB_ASSERT_SIZE(struct mlb_out_hdr, 16);
MLB_ASSERT_SIZE(struct mlb_in_vip, 96);
MLB_ASSERT_SIZE(struct mlb_in_entry, 24);
MLB_ASSERT_SIZE(struct mlb_pool_vip, 32);
MLB_ASSERT_SIZE(struct mlb_pool_entry, 24);
MLB_ASSERT_SIZE(struct mlb_effect, 96);
MLB_ASSERT_SIZE(struct mlb_live, 40);
MLB_ASSERT_SIZE(struct mlb_peer, 24);
#endif
