/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the data plane's main side. One file a concern:
 *   dp.c life and the poll · dp_vip.c VIPs · dp_servers.c server lists · dp_table.c tables and the swap · dp_in.c weight vectors
 * · dp_pool.c managed pools · dp_lease.c the ladder's last step · dp_peer.c other load balancers' counts · dp_eject.c local
 * ejection · dp_reclaim.c memory, slots, effect · dp_frame.c summing · dp_publish.c frames and live counts out · dp_worker.c what
 * workers call All of it is the main thread's, except what is atomic and said to be touched by workers. */
#ifndef MARLLB_DP_PRIV_H
#define MARLLB_DP_PRIV_H
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "marllb/dp.h"
#include "marllb/endpoint.h"
#include "marllb/envelope.h"

#define DP_REFRESH_US 500u          /* a worker's refresh of the others' counts: half of the millisecond promised */
#define DP_REFRESH_ALONE_US 100000u /* a single worker's, with nothing new to hear: ages its half-opens */
#define DP_LIVE_US 10000u
#define DP_LOOK_US 100000u /* main looks around at least so often where a worker publishes the live counts */
#define DP_RECOUNT_US 1000000u
#define DP_POLL_WAITING_US 50u /* while workers have not passed yet: the effect's time is as fine as this */

enum dp_eject_state { DP_IN, DP_OUT, DP_READY /* may be probed */, DP_PROBING };

struct dp_eject {                /* any worker, and main */
	_Atomic uint32_t state;  /* enum dp_eject_state */
	_Atomic uint32_t streak; /* failed connects in a row */
	_Atomic uint32_t backoff_us;
	_Atomic uint64_t until_us; /* end of being out; of the wait for a probe's result */
	_Atomic uint64_t ejections;
};

/* What workers may do with a slot: nothing (main may empty it once they have passed), keep its load up to date, start flows. */
enum dp_live { DP_LIVE_NO, DP_LIVE_KEPT, DP_LIVE_OPEN };

struct dp_server {
	struct mlb_server pub;
	_Atomic uint32_t live;     /* enum dp_live */
	float share, factor, bias; /* composed share of the last vector, directive's factor, flows */
	uint64_t joined_us;
	/* Of a server that left: 0 = its table is not swapped yet; once all workers have passed it, see `flows_gone`. */
	uint64_t gone_tag;
	bool flows_gone;           /* no flow was left at gone_tag: once all have passed, no worker is still ending one */
	uint64_t flow_us, wait_us; /* as last reported: never reported smaller */
	struct dp_eject eject;
	_Atomic float peer; /* other load balancers' load, flows */
	_Atomic float peer_flows;
	struct mlb_res_decay decay[3];
	struct mlb_res_sum sum[3]; /* duration, ttfb, connect of the last frame */
};

struct dp_vip {
	struct mlb_vip_conf conf;
	uint32_t id, generation;
	uint64_t birth;
	bool listed; /* a list was set, by whomever */
	bool deleting;
	uint64_t gone_tag;
	struct dp_server *srv; /* [capacity] */
	_Atomic uint32_t used; /* slots below it may hold a server */
	uint32_t members, leaving;
	_Atomic uint32_t pool; /* members that are not draining: ejection takes at most half of them */
	_Atomic uint32_t out;  /* of them put out now */
	struct mlb_wvip **w;   /* [workers] */
	const struct mlb_table *table;
	/* Lookup tables; NULL where nobody needs them. ring: new flows, of the slots in ring_slots; miss_ring: all members. */
	struct mlb_ring *ring, *miss_ring;
	uint32_t ring_generation, miss_generation; /* of the list they were built from; 0 = none */
	uint64_t ring_slots[MLB_MAX_SERVERS_PER_VIP / 64];
	uint32_t mode, ladder, load_balancers, load_balancer;
	uint32_t own_mode;  /* the host's; an override's is in `mode` alone */
	uint64_t mode_term; /* under which a vector set the mode; a newer one without a mode ends that */
	float kappa;        /* of the last vector; 0 = default */
	uint64_t term, frame_seq;
	uint64_t agent_epoch, seq, answered_seq; /* vector in effect */
	uint64_t seen_epoch, seen_seq;           /* newest looked at, applied or refused */
	uint64_t refused[MLB_REFUSE_COUNT];
	uint64_t local_edits_refused, recount_diff;
	uint64_t pool_revision, pool_seen, pool_refused;
	struct mlb_effect effect;
	uint64_t effect_tag; /* all_ns is known once all have passed this; 0 = nothing to wait for */
};

struct dp_worker {
	struct mlb_worker w;
	uint64_t marks_seen;
	uint32_t epoch_seen;
} __attribute__((aligned(MLB_CACHE_LINE)));

struct dp_retired {
	uint64_t tag;
	void (*free)(void *);
	void *ptr;
};

struct mlb_dp {
	struct mlb_dp_conf conf;
	struct mlb_dp_hooks hooks;
	struct mlb_region region; /* hdr NULL: no_region */
	uint64_t dp_epoch, now_us, real_ns;
	uint32_t nworkers;
	struct dp_worker *worker;
	_Atomic(struct dp_vip *) vip[MLB_MAX_VIPS];
	uint64_t births;                     /* VIPs added so far */
	uint32_t generation[MLB_MAX_VIPS];   /* where the next VIP of an id goes on */
	uint64_t vip_gone_tag[MLB_MAX_VIPS]; /* a removed VIP's id is given away again once all workers have passed this */
	uint32_t next_id, servers;           /* servers: slots in use, all VIPs */

	_Atomic uint64_t tag;   /* reclaim number: raised at each swap */
	_Atomic uint64_t marks; /* raised when ejections or peers' counts changed: workers refresh at once */
	struct dp_retired *retired;
	uint32_t retired_n, retired_cap;

	uint64_t in_seq, pool_seq, peer_seq; /* of the messages last looked at */
	bool pool_again;                     /* a list found no room; tried again when a slot is free */
	uint64_t beat, beat_us;              /* agent's heartbeat, and when it last changed */
	bool agent_alive;
	uint64_t refused_vip; /* vectors for VIPs that do not exist */
	bool effect_dirty;

	uint32_t epoch;                                /* of the reservoirs: one a frame */
	uint64_t frame_us, frame_at_us, next_frame_us; /* frame_at_us: start of the one being counted */
	bool merging;                                  /* reservoirs of the closed frame are being merged, a slice a poll */
	uint32_t merge_vip, merge_slot;
	uint64_t merge_frame_us;                /* length of the closed frame */
	uint64_t next_live_us, next_recount_us; /* next_live_us: whoever publishes them */
	uint8_t *in_buf, *out_buf, *live_buf;   /* a whole msg_in, msg_pool or peer; a whole msg_out; the live counts */
};

static inline struct dp_vip *dp_vip_of(const struct mlb_dp *dp, uint32_t id)
{
	struct mlb_dp *d = (struct mlb_dp *)dp;
	return id >= 1 && id <= MLB_MAX_VIPS ? atomic_load_explicit(&d->vip[id - 1], memory_order_acquire) : NULL;
}
static inline uint64_t dp_clock_ns(const struct mlb_dp *dp)
{
	return dp->conf.clock_ns ? dp->conf.clock_ns(dp->conf.clock_arg) : dp->now_us * 1000;
}
/* a is after b, in counters that another process may have set to anything */
static inline bool dp_after(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) > 0;
}
static inline bool dp_is_member(const struct dp_server *s)
{
	return s->pub.flags & MLB_SRV_MEMBER;
}
static inline bool dp_takes_flows(const struct dp_server *s)
{
	return (s->pub.flags & (MLB_SRV_MEMBER | MLB_SRV_DRAINING)) == MLB_SRV_MEMBER;
}

/* One sentence into err (256 bytes, may be NULL) and the code back. */
int dp_fail(char *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

int dp_table_swap(struct mlb_dp *, struct dp_vip *);
float dp_kappa(const struct dp_vip *);
void dp_use_static(struct dp_vip *);

/* Wanted list of a VIP: weight > 0 finite, addresses distinct. draining may be NULL. */
int dp_servers_set(struct mlb_dp *, struct dp_vip *, const struct mlb_endpoint *, const float *weight, const bool *draining,
		   uint32_t n, char *err);
void dp_server_leave(struct mlb_dp *, struct dp_vip *, struct dp_server *);
int dp_list_changed(struct mlb_dp *, struct dp_vip *);

void dp_in_poll(struct mlb_dp *);
void dp_pool_poll(struct mlb_dp *);
void dp_peer_poll(struct mlb_dp *);
void dp_lease_poll(struct mlb_dp *);
uint64_t dp_lease_left_us(const struct mlb_dp *);
void dp_agent_seen(struct mlb_dp *);
bool dp_eject_poll(struct mlb_dp *);
void dp_eject_forget(struct mlb_dp *, struct dp_vip *, struct dp_server *);

uint64_t dp_tag_next(struct mlb_dp *);
bool dp_all_passed(struct mlb_dp *, uint64_t tag);
int dp_retire_reserve(struct mlb_dp *, uint32_t n);
/* Freed once all workers have passed the next dp_tag_next; room must have been reserved. */
void dp_retire(struct mlb_dp *, void (*free_fn)(void *), void *);
bool dp_reclaim_poll(struct mlb_dp *);
void dp_effect_publish(struct mlb_dp *);

bool dp_merge_slice(struct mlb_dp *);
void dp_sum_server(struct mlb_dp *, struct dp_vip *, uint32_t slot, struct mlb_server_rec *);
bool dp_frame_poll(struct mlb_dp *);
void dp_live_poll(struct mlb_dp *, uint64_t now_us);
void dp_recount_poll(struct mlb_dp *);

void dp_vip_free(struct mlb_dp *, struct dp_vip *);
void dp_vip_gone(struct mlb_dp *, struct dp_vip *);
#endif
