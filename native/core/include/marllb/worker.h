/* SPDX-License-Identifier: Apache-2.0 */
/* What one worker of a data plane counts, per VIP and server slot. Written by that worker only, read by the summing (main)
 * thread. Every host reports the life of a flow through the mlb_ev_* calls below; the order of events of a flow is open ->
 * (connected) -> (request -> answer)* -> close. `now` is CLOCK_MONOTONIC microseconds and never goes back within a worker. */
#ifndef MARLLB_WORKER_H
#define MARLLB_WORKER_H
#include <stdatomic.h>
#include "choose.h"
#include "hist.h"
#include "layout.h"
#include "reservoir.h"

/* Gauges and integrals of one slot as of last_us, read in one piece. */
struct mlb_wslot_gauges {
	uint32_t flows, half_open, waiting, pad;
	uint64_t last_us, flow_us, wait_us, start_sum_us;
};

/* Counters of one (worker, VIP, slot). `ver` is odd while the worker changes the triple (gauges, integrals, last_us); the summing
 * thread reads it as a seqlock. Fields are relaxed atomics for the reader; the writer is alone. */
struct mlb_wslot {
	_Atomic uint32_t ver;
	_Atomic uint32_t flows, half_open, waiting;
	_Atomic uint64_t last_us; /* of the last change of flows or waiting */
	_Atomic uint64_t flow_us, wait_us, start_sum_us;
	_Atomic uint64_t new_flows, answers;
	/* second line: all that a packet of a known flow counts */
	_Atomic uint64_t packets_in, packets_out, bytes_in, bytes_out, last_completion_us;
	_Atomic uint32_t half_young;     /* half-opens of the last second: they weigh on choice */
	float others_flows, others_half; /* the worker's own: as of the last mlb_wvip_refresh */
	uint32_t pad;
	uint64_t half_step; /* the worker's own: eighth of a second that half_bin stands at */
	uint32_t half_bin[8];
	_Atomic uint64_t ended[MLB_END_COUNT];
	_Atomic uint32_t ttfb_hist[MLB_HIST_BUCKETS], duration_hist[MLB_HIST_BUCKETS];
	struct mlb_reservoir duration, ttfb, connect;
	/* The summing thread's own: its last whole copy. With it the size is an odd number of lines, or slots would share few
	 * cache sets. */
	struct mlb_wslot_gauges copied __attribute__((aligned(MLB_CACHE_LINE)));
} __attribute__((aligned(MLB_CACHE_LINE)));

/* One VIP as a worker sees it. */
struct mlb_wvip {
	const struct mlb_table *_Atomic table; /* swapped by main; load once per packet vector or loop */
	struct mlb_wslot *slot;                /* [capacity] */
	float *q;          /* [capacity padded to 8], own + others, MLB_Q_OUT added where ejected; for mlb_choose */
	float *others;     /* [capacity], last refresh of the other workers' and load balancers' counts and of ejections */
	uint32_t capacity; /* slots allocated */
	uint8_t load;      /* enum mlb_load */
	_Atomic uint64_t no_server, untracked, limited, retries, misses;
};

struct mlb_worker {
	struct mlb_wvip *_Atomic vip[MLB_MAX_VIPS];
	_Atomic uint64_t passed;      /* newest reclaim number this worker has seen at a loop's start (see dp.h) */
	_Atomic uint32_t idle;        /* 1 while blocked in a wait: counts as passed */
	_Atomic uint32_t frame_epoch; /* set by main at each frame */
	uint64_t frame_start_us;
	uint64_t refreshed_us;
	struct mlb_rng rng;
	uint32_t index;
};

#define MLB_LD(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define MLB_ST(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)
#define MLB_ADD(x, v) MLB_ST(x, MLB_LD(x) + (v)) /* single writer: no locked instruction */

/* Events; implemented in worker_events.h, included at the end. `s` is the slot, `start` what the host stored at open. */
static inline void mlb_ev_open(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t now);
/* A SYN made a half-open entry; it ended (established, then mlb_ev_open follows; refused; expired). opened: now of half_open. */
static inline void mlb_ev_half_open(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t now);
static inline void mlb_ev_half_close(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t opened, uint64_t now);
static inline void mlb_ev_connected(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t connect_start, uint64_t now);
static inline void mlb_ev_request(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t now);
static inline void mlb_ev_answer(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t request_at, uint64_t now);
/* The client spoke last but the flow ends or the client speaks no more: takes waiting back without an answer. */
static inline void mlb_ev_unwait(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t now);
static inline void mlb_ev_close(struct mlb_worker *, struct mlb_wvip *, uint32_t s, uint64_t start, uint64_t now,
				enum mlb_end how);
static inline void mlb_ev_bytes(struct mlb_wvip *, uint32_t s, bool from_client, uint64_t packets, uint64_t bytes);

#include "worker_events.h"
#endif
