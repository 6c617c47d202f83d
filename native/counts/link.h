/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange at work: a UDP socket on one side, a region's blocks live and peer on the other, and one thread between them. It
 * is a writer of its own in the region, beside the agent, and so neither waits for the other. */
#ifndef MARLLB_COUNTS_LINK_H
#define MARLLB_COUNTS_LINK_H
#include "counts.h"
#include "marllb/endpoint.h"
#ifdef __cplusplus
extern "C" {
#endif

#define MLB_COUNTS_MEMBERS 128u /* addresses that are sent to */

struct mlb_counts_link;

struct mlb_counts_link_conf {
	struct mlb_counts_conf counts;
	const char *region; /* path; tried again until it is there */
	struct mlb_endpoint listen;
	uint64_t (*now_us)(void); /* CLOCK_MONOTONIC */
	uint64_t (*cpu_us)(void); /* of the calling thread; NULL: not measured */
	uint64_t (*random)(void);
};

struct mlb_counts_figures {
	struct mlb_counts_totals totals;
	uint64_t sent, sent_bytes, unsent; /* datagrams to members; unsent: the kernel did not take them */
	uint64_t cpu_us;                   /* of the thread */
	uint32_t members;
	bool attached; /* to a region whose data plane counts */
	char why[256]; /* the sentence, while not */
	uint32_t peers;
	struct mlb_counts_peer peer[MLB_COUNTS_PEERS];
};

/* Opens the socket: errors as of bind, with a sentence. Port 0 takes any. */
int mlb_counts_link_new(struct mlb_counts_link **, const struct mlb_counts_link_conf *, char err[256]);
/* The port that it listens on. */
uint16_t mlb_counts_link_port(const struct mlb_counts_link *);
/* The thread's body; returns after mlb_counts_link_stop. */
void mlb_counts_link_run(struct mlb_counts_link *);

/* These from any thread. */
void mlb_counts_link_stop(struct mlb_counts_link *);
/* Whom to send to, at most MLB_COUNTS_MEMBERS. Nobody: nothing is sent, and nothing costs. */
void mlb_counts_link_members(struct mlb_counts_link *, const struct mlb_endpoint *, uint32_t n);
void mlb_counts_link_figures(struct mlb_counts_link *, struct mlb_counts_figures *);

/* After the thread has ended. */
void mlb_counts_link_free(struct mlb_counts_link *);

#ifdef __cplusplus
}
#endif
#endif
