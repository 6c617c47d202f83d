/* SPDX-License-Identifier: Apache-2.0 */
/* What one worker of a data plane counts, per VIP and server slot. Written by that worker only, read by the summing (main)
 * thread. Every host reports the life of a flow through the mlb_ev_* calls below; the order of events of a flow is open ->
 * (connected) -> (request -> answer)* -> close. `now` is CLOCK_MONOTONIC microseconds and never goes back within a worker. */
#ifndef MARLLB_WORKER_H
#define MARLLB_WORKER_H
#include <stdatomic.h>
#include "light.h"
#include "worker_slot.h"

#define MLB_GUARDS_MAX 32u /* servers of a VIP that are guarded at a time */

/* One VIP as a worker sees it. */
struct mlb_wvip {
	const struct mlb_table *_Atomic table; /* swapped by main; load once per packet vector or loop */
	struct mlb_wslots *slots;              /* [capacity], the core's own: see worker_slot.h */
	float *q;                /* [capacity padded to 8], own + others, MLB_Q_OUT added where ejected; for mlb_choose */
	float *others;           /* [capacity], last refresh of the other workers' and load balancers' counts and of ejections */
	uint32_t capacity;       /* slots allocated */
	_Atomic uint8_t load;    /* enum mlb_load; main may change it */
	_Atomic float light;     /* share of new flows that light.h draws by weight; main tells */
	_Atomic uint32_t guards; /* slots in guard[]; see mlb_guard_choose */
	_Atomic uint32_t guard[MLB_GUARDS_MAX];
	_Atomic uint64_t connections; /* of clients, this worker's */
	MLB_FRAME_FIELDS(MLB_COUNTER)
};

struct mlb_worker {
	struct mlb_wvip *_Atomic vip[MLB_MAX_VIPS];
	_Atomic uint64_t quiescent; /* the grace periods' epoch that this worker saw when it last held nothing: at a loop's top */
	_Atomic uint64_t passed_us; /* when it saw that epoch first */
	_Atomic uint32_t offline;   /* 1 while it blocks in a wait: it holds nothing then */
	_Atomic uint32_t frame_epoch; /* set by main at each frame */
	uint64_t frame_start_us;
	uint64_t refreshed_us;
	struct mlb_rng rng;
	uint32_t index;
};

/* Events; implemented in worker_events.h, included at the end. `s` is the slot, `start` what the host stored at open. Those that
 * take the worker draw from its random numbers, to keep a sample of times. */
static inline void mlb_ev_open(struct mlb_wvip *, uint32_t s, uint64_t now);
/* A SYN made a half-open entry. opened: `now` of that call. */
static inline void mlb_ev_half_open(struct mlb_wvip *, uint32_t s, uint64_t now);
/* The handshake is complete: mlb_ev_open follows. */
static inline void mlb_ev_half_established(struct mlb_wvip *, uint32_t s, uint64_t opened, uint64_t now);
/* The half-open entry ended in another way: refused, aborted, unanswered. */
static inline void mlb_ev_half_close(struct mlb_wvip *, uint32_t s, uint64_t opened, uint64_t now, enum mlb_end how);
static inline void mlb_ev_connected(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t connect_start, uint64_t now);
static inline void mlb_ev_request(struct mlb_wvip *, uint32_t s, uint64_t now);
static inline void mlb_ev_answer(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t request_at, uint64_t now);
/* The client spoke last but the flow ends or the client speaks no more: takes waiting back without an answer. */
static inline void mlb_ev_unwait(struct mlb_wvip *, uint32_t s, uint64_t now);
static inline void mlb_ev_close(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t start, uint64_t now,
				enum mlb_end how);
/* A flow that ended, or will in a moment, still has a packet or two to come: they go to its server, so a server that leaves keeps
 * its slot until the release. Holding counts for nothing else. */
static inline void mlb_ev_hold(struct mlb_wvip *, uint32_t s);
static inline void mlb_ev_release(struct mlb_wvip *, uint32_t s);
/* Closed by FIN (COMPLETED) or by the server's reset (RESET): which end that is, by who has sent a byte of data. For hosts that
 * see both directions; client_first: the client's FIN came first. */
static inline enum mlb_end mlb_end_of(enum mlb_end how, bool client_spoke, bool server_spoke, bool client_first);
static inline void mlb_ev_bytes(struct mlb_wvip *, uint32_t s, bool from_client, uint64_t packets, uint64_t bytes);
/* The same for a host that keeps wvip->slots in a register over a vector of packets. */
static inline void mlb_ev_bytes_at(struct mlb_wslots *, uint32_t s, bool from_client, uint64_t packets, uint64_t bytes);

/* Events of a VIP, of flows and packets that no slot counts. */
static inline void mlb_ev_no_server(struct mlb_wvip *);    /* a new flow found no eligible server */
static inline void mlb_ev_failed(struct mlb_wvip *);       /* a new flow is given up: every connect that was tried failed */
static inline void mlb_ev_untracked(struct mlb_wvip *);    /* a new flow found no room in the flow table */
static inline void mlb_ev_limited(struct mlb_wvip *);      /* a new flow was over a limit */
static inline void mlb_ev_retry(struct mlb_wvip *);        /* a connect is tried again on another server */
static inline void mlb_ev_client(struct mlb_wvip *);       /* a client's connection was let in; */
static inline void mlb_ev_client_gone(struct mlb_wvip *);  /* it ended, on the same worker */
static inline void mlb_ev_accept_error(struct mlb_wvip *); /* a client could not be accepted */
static inline void mlb_ev_miss(struct mlb_wvip *);         /* a packet of an unknown flow was placed by the lookup table */

/* Not events: what a host may ask of a slot. */
static inline uint32_t mlb_wvip_flows(const struct mlb_wvip *, uint32_t s); /* this worker's flows in progress */
static inline void mlb_wvip_prefetch(const struct mlb_wvip *, uint32_t s);  /* for an mlb_ev_open or _half_open soon */

#include "worker_events.h"
#endif
