/* SPDX-License-Identifier: Apache-2.0 */
/* The guard: which servers end flows in a way that stands out against their peers, and so must not draw more than their fair
 * share.
 *
 * A server that answers an error at once, closes at once or resets frees its flows quicker than any healthy one. A choice by load
 * and a filter that reads completions as speed both send it more. The guard counts, over the last seconds, the share of a
 * server's ends that are suspect: resets, ends without a byte, and ends (or answers) quicker than a quarter of what 9 of 10 ends
 * of a typical peer take (and two patterns, see guard.c). Where that share stands out against the peers', the server is guarded:
 * workers give it new flows at its static share at most (mlb_guard_choose). A false alarm costs little: the server gets what
 * static weights would give it. Reasoning and limits: docs/loop.md.
 *
 * Pure functions; the main side calls them once a frame. */
#ifndef MARLLB_GUARD_H
#define MARLLB_GUARD_H
#include "worker.h"

/* The guard's memory of one slot; zeroed at first. */
struct mlb_guard {
	uint32_t id; /* of the server it is about; another one in the slot starts anew */
	bool known;  /* the figures below are of an earlier frame */
	bool guarded;
	uint32_t quick_us[2]; /* ends (answers; whole flows) quicker than this are suspect; 0 = no reference yet */
	uint64_t suspect_us;  /* when it last stood out */
	uint64_t total[2];    /* cumulative figures at the last frame, of answers and of flows */
	uint64_t quick[2];    /* of them those that were suspiciously quick, by the histogram: cumulative */
	uint64_t bad;
	float recent[2], recent_bad[2];     /* their growth, decayed with 2 s */
	float share;                        /* of suspect ends among the recent ones, 0..1 */
	float opened, failed;               /* of the last frame: new flows, suspect ends */
	float beyond;                       /* suspect ends beyond its share of all new flows, since they are more than that */
	uint64_t new_flows;                 /* at the last frame */
	uint32_t hist[2][MLB_HIST_BUCKETS]; /* at the last frame */
	float times[2][MLB_HIST_BUCKETS];   /* growth, decayed with 10 s of the server's being used */
	float lately[2][MLB_HIST_BUCKETS];  /* the same with 2 s */
};

/* One frame of a VIP: rec[n] its records, g[] by slot. Updates every member's memory, `guarded` and `quick_us`. Returns how many
 * are guarded. now_us: of the frame; dt_us: since the frame before. */
uint32_t mlb_guard_step(struct mlb_guard *g, const struct mlb_server_rec *rec, uint32_t n, uint64_t now_us, uint64_t dt_us);

/* Tells the workers, after a step: who is guarded, at most MLB_GUARDS_MAX (beyond that `guarded` is taken back), each one's share
 * by static weights and factors, and what a new one has failed beyond it: it gets nothing until it has earned that. */
void mlb_guard_tell(struct mlb_guard *g, const struct mlb_server_rec *rec, uint32_t n, struct mlb_wvip *const *v,
		    uint32_t workers);

/* Worker: as mlb_choose where wvip->guards is not 0. Each guarded slot earns its fair share of a flow with every flow that is
 * chosen, and is left out while it has earned less than one. In mode hash shares are fair by themselves. */
uint32_t mlb_guard_choose(const struct mlb_table *, struct mlb_wvip *, struct mlb_rng *, uint64_t flow_hash);
#endif
