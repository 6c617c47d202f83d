/* SPDX-License-Identifier: Apache-2.0 */
/* The counters behind an event: one `mlb_wslot` for each worker, VIP and server slot. This header belongs to the core. A host
 * holds an opaque `struct mlb_wslots *` and counts by the calls of worker.h only, so that every host counts the same way. */
#ifndef MARLLB_WORKER_SLOT_H
#define MARLLB_WORKER_SLOT_H
#include <stdatomic.h>
#include "hist.h"
#include "layout.h"
#include "reservoir.h"

#define MLB_LD(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define MLB_ST(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)
#define MLB_ADD(x, v) MLB_ST(x, MLB_LD(x) + (v)) /* single writer: no locked instruction */

/* A COUNT row of fields.h makes the worker's counter, others make none. */
#define MLB_COUNTER_COUNT(name) _Atomic uint64_t name;
#define MLB_COUNTER_MAIN(name)
#define MLB_COUNTER_SUM(name)
#define MLB_COUNTER_MAX(name)
#define MLB_COUNTER_GAUGE(name)
#define MLB_COUNTER_RUN(name)
#define MLB_COUNTER_BUCKETS(name)
#define MLB_COUNTER(type, name, role, sum, of, unit, metric, help) MLB_COUNTER_##sum(name)

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
	_Atomic uint32_t held;           /* ended flows whose last packets may still come */
	uint64_t half_step;              /* the worker's own: eighth of a second that half_bin stands at */
	uint32_t half_bin[8];
	_Atomic float fair_share;     /* main tells: of a guarded slot (guard.h), 0 = it is not; */
	_Atomic float guard_debt;     /* flows that it drew too many before it was; */
	_Atomic uint32_t guard_times; /* how often it was guarded */
	uint32_t guard_seen;          /* the worker's own: as of its last look at guard_debt */
	float tokens;                 /* the worker's own: flows that the guarded slot has earned */
	_Atomic uint64_t ended[MLB_END_COUNT];
	_Atomic uint64_t answered_us; /* when a connect was answered last */
	MLB_SERVER_FIELDS(MLB_COUNTER)
	_Atomic uint32_t ttfb_hist[MLB_HIST_BUCKETS], duration_hist[MLB_HIST_BUCKETS];
	struct mlb_reservoir duration, ttfb, connect;
	/* The summing thread's own: its last whole copy. With it the size is an odd number of lines, or slots would share few
	 * cache sets. */
	struct mlb_wslot_gauges copied __attribute__((aligned(MLB_CACHE_LINE)));
} __attribute__((aligned(MLB_CACHE_LINE)));

struct mlb_wslots; /* what a host sees of an array of them */

static inline struct mlb_wslot *mlb_wslot_at(struct mlb_wslots *slots, uint32_t i)
{
	return (struct mlb_wslot *)slots + i;
}
#endif
