/* SPDX-License-Identifier: Apache-2.0 */
/* What the data plane's main side is made of. All of it is the main thread's, except what is atomic and said to be touched by
 * workers. The functions stand in one file a concern: dp_poll (life, and the main thread's step) calls dp_in (weight vectors),
 * dp_pool (managed lists), dp_live (counts, own and others'), dp_lease, dp_publish (out); these use dp_vip, dp_servers,
 * dp_slots, dp_table, dp_eject, dp_frame; at the bottom is dp_grace. dp_worker is what workers call. */
#ifndef MARLLB_DP_TYPES_H
#define MARLLB_DP_TYPES_H
#include <errno.h>
#include <stdlib.h>

#include "dp_grace.h"
#include "marllb/dp.h"
#include "marllb/endpoint.h"
#include "marllb/guard.h"

#define DP_REFRESH_US 500u          /* a worker's refresh of the others' counts: half of the millisecond promised */
#define DP_REFRESH_ALONE_US 100000u /* a single worker's, with nothing new to hear: ages its half-opens */
#define DP_POLL_US 10000u           /* main looks around at least so often */
#define DP_LOOK_US 100000u          /* where a worker publishes the live counts, and with nobody to read them */
#define DP_RECOUNT_US 1000000u
#define DP_POLL_WAITING_US 50u /* while a grace period runs: the effect's time is as fine as this */

enum dp_eject_state { DP_IN, DP_OUT, DP_READY /* may be probed */, DP_PROBING };

#define DP_EJECT_US 1000000u /* out for less is held back only */

struct dp_eject {                    /* any worker, and main */
	_Atomic uint32_t state;      /* enum dp_eject_state */
	_Atomic uint32_t streak;     /* failed connects in a row, of those that count */
	_Atomic uint32_t backoff_us; /* how long it was put out last; 0 = it is IN */
	_Atomic uint64_t until_us;   /* end of being out; of the wait for a probe's result */
	_Atomic uint64_t failed_us;  /* of the last failure that counted */
	_Atomic uint64_t ejections;
};

/* What workers may do with a slot: nothing (main may empty it after a grace period), keep its load up to date, start flows. */
enum dp_live { DP_LIVE_NO, DP_LIVE_KEPT, DP_LIVE_OPEN };

struct dp_server {
	struct mlb_server pub;
	_Atomic uint32_t live;     /* enum dp_live */
	float share, factor, bias; /* composed share of the last vector, directive's factor, flows */
	uint64_t joined_us;
	/* Of a server that left: 0 = its table is not swapped yet; once its grace period is over, see `flows_gone`. */
	uint64_t gone_epoch;
	bool waits;                /* joined after the last vector, which told newcomers to wait */
	bool closing;              /* by the last vector: MLB_IN_CLOSE */
	_Atomic bool last_resort;  /* by the last vector: MLB_IN_LAST_RESORT, and factor 0; for workers */
	bool flows_gone;           /* no flow was left at gone_epoch: once it is over, no worker is still ending one */
	uint64_t flow_us, wait_us; /* as last reported: never reported smaller */
	struct dp_eject eject;
	_Atomic float peer; /* other load balancers' load, flows */
	_Atomic float peer_flows;
	uint32_t peer_mark; /* mlb_dp.peer_mark of the message that set them */
	bool guarded;
	uint64_t guards; /* times it was */
	struct mlb_res_decay decay[3];
	struct mlb_res_sum sum[3]; /* duration, ttfb, connect of the last frame */
};

struct dp_vip {
	struct mlb_vip_conf conf;
	uint32_t id, generation;
	uint64_t birth;
	bool listed; /* a list was set, by whomever */
	bool huge;   /* its slots are to be in huge pages */
	bool deleting;
	bool table_due;      /* the list changed, and there was no memory for its table: tried again at each poll */
	_Atomic bool ejects; /* conf.eject, for workers */
	uint64_t gone_epoch;
	struct dp_server *srv; /* [capacity] */
	_Atomic uint32_t used; /* slots below it may hold a server */
	uint32_t members, leaving;
	_Atomic uint32_t pool;   /* members that are not draining: ejection takes at most half of them */
	_Atomic uint32_t out;    /* of them put out now */
	_Atomic uint32_t probe;  /* slot + 1 of one whose time is over: the next new flow is its probe; 0 = none */
	struct mlb_wvip **w;     /* [workers] */
	struct mlb_guard *guard; /* [capacity] */
	uint64_t guard_us;       /* of the frame that it looked at last */
	struct mlb_light light;  /* likewise */
	const struct mlb_table *table;
	/* Lookup tables; NULL where nobody needs them. ring: new flows, of the slots in ring_slots; miss_ring: all members. */
	struct mlb_ring *ring, *miss_ring;
	uint32_t ring_generation, miss_generation; /* of the list they were built from; 0 = none */
	uint64_t ring_slots[MLB_MAX_SERVERS_PER_VIP / 64];
	uint64_t ring_weights; /* digest of what an exact one was built from; 0: by configured weights */
	uint32_t mode, ladder, load_balancers, load_balancer;
	bool exact;          /* the vector is an operator's order: its shares are drawn as they are */
	bool newcomers_wait; /* by the last vector */
	uint32_t own_mode;   /* the host's; an override's is in `mode` alone */
	uint64_t mode_term;  /* under which a vector set the mode; a newer one without a mode ends that */
	float kappa;         /* of the last vector; 0 = default */
	uint64_t term, frame_seq;
	uint64_t agent_epoch, seq, answered_seq; /* vector in effect */
	uint64_t seen_epoch, seen_seq;           /* newest looked at, applied or refused */
	uint64_t refused[MLB_REFUSE_COUNT];
	uint64_t local_edits_refused, recount_diff, datagrams_lost;
	uint64_t pool_revision, pool_seen, pool_refused;
	uint64_t pool_told;             /* revision of which was said that it waits */
	struct dp_state_vip *inherited; /* what was in force of this name before; NULL: nothing, or over */
	struct dp_state_server *inherited_servers;
	struct mlb_effect effect;
	uint64_t effect_epoch; /* all_ns is known once the grace period of this epoch is over; 0 = nothing to wait for */
};

/* A message of frames that is being made, a few VIPs a poll. A VIP's figures are of one moment, its frame's mono_ns; two VIPs'
 * may be some milliseconds apart. Until it is whole, the region and mlb_dp_frame have the one before. */
struct dp_draft {
	bool on;
	bool lost;       /* the region was made again: what was put into it is gone */
	uint32_t vip;    /* the next one to sum */
	uint32_t room;   /* frames it was begun for; the records begin behind them */
	uint64_t births; /* a VIP that came later is in the next message */
	struct mlb_msg_draft msg;
	uint8_t *buf;
};

struct dp_worker {
	struct mlb_worker w;
	uint64_t marks_seen, refresh_us; /* refresh_us: between two refreshes, see dp_worker.c */
	uint32_t epoch_seen;
} __attribute__((aligned(MLB_CACHE_LINE)));

struct mlb_dp {
	struct mlb_dp_conf conf;
	struct mlb_dp_hooks hooks;
	struct mlb_region region; /* hdr NULL: no_region */
	uint64_t dp_epoch, now_us, real_ns;
	uint32_t nworkers;
	struct dp_worker *worker;
	_Atomic(struct dp_vip *) vip[MLB_MAX_VIPS];
	uint64_t births;                       /* VIPs added so far */
	uint32_t generation[MLB_MAX_VIPS];     /* where the next VIP of an id goes on */
	uint64_t vip_gone_epoch[MLB_MAX_VIPS]; /* a removed VIP's id is given away again once the grace period of this epoch is
						  over */
	_Atomic uint32_t top;                  /* no VIP has a higher id; a worker that loops sees what was added before */
	uint32_t next_id, servers;             /* servers: slots in use, all VIPs */

	struct dp_grace grace;
	_Atomic uint64_t marks; /* raised when ejections or peers' counts changed: workers refresh at once */

	uint64_t in_seq, pool_seq, peer_seq; /* of the messages last looked at */
	bool pool_again;                     /* a list found no room; tried again when a slot is free */
	uint64_t heartbeat, heartbeat_us;    /* agent's heartbeat, and when it last changed */
	bool agent_alive;
	uint64_t refused_vip; /* vectors for VIPs that do not exist */
	bool effect_dirty;

	uint64_t next_look_us, region_epoch;           /* region_epoch: made again when its grace period is over; 0 = not now */
	int region_rc;                                 /* of the last try to make the region again */
	_Atomic bool live_off;                         /* the worker that publishes the live counts keeps off the region */
	bool succeeded;                                /* another data plane has the region's name: leave it alone */
	void *state;                                   /* of the data plane before, see dp_state.h; NULL: none */
	uint32_t epoch;                                /* of the reservoirs: one a frame */
	uint64_t frame_us, frame_at_us, next_frame_us; /* frame_at_us: start of the one being counted */
	bool merging;                                  /* reservoirs of the closed frame are being merged, a slice a poll */
	uint32_t merge_vip, merge_slot;
	uint64_t merge_frame_us; /* length of the closed frame */
	struct dp_draft draft;
	uint32_t guard_frame; /* of the newest message: the guard looks at it next */
	uint64_t next_recount_us;
	/* Of whoever publishes the live counts. peer_until_us: others' counts are forgotten then; 0 = there are none. */
	uint64_t next_live_us, peer_until_us;
	uint32_t live_wanted;  /* header.live_us as last seen */
	uint64_t live_sign_us; /* when its writer last gave a sign of life */
	uint32_t peer_mark;
	/* A whole msg_in or msg_pool; a whole msg_out; the last live; a whole peer; a whole effect. */
	uint8_t *in_buf, *out_buf, *live_buf, *peer_buf, *effect_buf;
};

static inline struct dp_vip *dp_vip_of(const struct mlb_dp *dp, uint32_t id)
{
	struct mlb_dp *d = (struct mlb_dp *)dp;
	return id >= 1 && id <= MLB_MAX_VIPS ? MLB_LD_ACQ(d->vip[id - 1]) : NULL;
}
static inline uint32_t dp_top(const struct mlb_dp *dp)
{
	return MLB_LD_ACQ(((struct mlb_dp *)dp)->top);
}
static inline const struct mlb_limits *dp_limits(const struct mlb_dp *dp)
{
	return &dp->conf.region.limits;
}
/* The VIP of this id or of the next one that has a VIP, NULL after the last. */
static inline struct dp_vip *dp_vip_from(const struct mlb_dp *dp, uint32_t id)
{
	uint32_t top = dp_top(dp);
	while (id <= top && !dp_vip_of(dp, id))
		id++;
	return dp_vip_of(dp, id);
}
#define DP_EACH_VIP(dp, v) \
	for (struct dp_vip *v = dp_vip_from(dp, 1), *v##_next; v && (v##_next = dp_vip_from(dp, v->id + 1), true); v = v##_next)

/* Slots below it may hold a server. Main's view; a worker loads `used` with acquire. */
static inline uint32_t dp_used(const struct dp_vip *v)
{
	return MLB_LD(((struct dp_vip *)v)->used);
}
/* Every slot that holds a server, also one that is leaving. */
#define DP_EACH_SERVER(v, s) \
	for (struct dp_server *s = (v)->srv, *s##_end = s + dp_used(v); s < s##_end; s++) \
		if (s->pub.flags)

static inline uint64_t dp_clock_ns(const struct mlb_dp *dp)
{
	return dp->conf.clock_ns ? dp->conf.clock_ns(dp->conf.clock_arg) : dp->now_us * 1000;
}
/* Not only held back for a moment. */
static inline bool dp_is_ejected(struct dp_eject *e)
{
	return MLB_LD(e->state) != DP_IN && MLB_LD(e->backoff_us) >= DP_EJECT_US;
}
static inline bool dp_is_member(const struct dp_server *s)
{
	return s->pub.flags & MLB_SRV_MEMBER;
}
static inline bool dp_takes_flows(const struct dp_server *s)
{
	return (s->pub.flags & (MLB_SRV_MEMBER | MLB_SRV_DRAINING)) == MLB_SRV_MEMBER;
}
#endif
