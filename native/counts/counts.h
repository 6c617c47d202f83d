/* SPDX-License-Identifier: Apache-2.0 */
/* Live counts of flows by server, shared with the other load balancers that have the same servers. Each says its own several
 * times a tick in authenticated datagrams; what it hears of the others becomes the region's block peer, which the choice adds to
 * its own counts. Servers are known by address and protocol, so pools of any name share them. Pure: no I/O, time is an argument.
 *
 * Against forgery each datagram has a MAC under a key that all have. Against replay a sender's life has an epoch and its
 * datagrams a sequence, and a new epoch is believed only if it echoes our challenge, a random number that changes every few
 * seconds: what was recorded before this process lived, or in another life of the sender, does not have it. */
#ifndef MARLLB_COUNTS_H
#define MARLLB_COUNTS_H
#include "figures.h"
#include "marllb/layout.h"
#ifdef __cplusplus
extern "C" {
#endif

struct mlb_counts;

struct mlb_counts_conf {
	char instance[MLB_NAME_LEN];
	uint64_t epoch; /* of this life, greater than those before: CLOCK_REALTIME ns */
	uint32_t period_us;
	/* The first makes MACs, all are believed: so keys are changed without a gap. */
	uint32_t keys;
	struct {
		const void *data;
		size_t len;
	} key[MLB_COUNTS_KEYS];
};

/* -EINVAL with a sentence, -ENOMEM. */
int mlb_counts_new(struct mlb_counts **, const struct mlb_counts_conf *, char err[256]);
void mlb_counts_free(struct mlb_counts *);

/* The newest of the block live. */
void mlb_counts_own(struct mlb_counts *, const struct mlb_live *, uint32_t n);

/* What is to be said to every other one now; the number of datagrams in out. random: new with each call. */
uint32_t mlb_counts_say(struct mlb_counts *, uint64_t now_us, uint64_t random, struct mlb_counts_datagram out[MLB_COUNTS_PARTS]);

/* A datagram came, from `from`. */
enum mlb_counts_verdict mlb_counts_hear(struct mlb_counts *, const void *datagram, size_t len, const struct mlb_endpoint *from,
					uint64_t now_us);
/* One came that is refused unseen. */
void mlb_counts_refuse(struct mlb_counts *, enum mlb_counts_verdict);

/* What the others have at this one's servers, for the block peer; servers where they have nothing are left out. -ENOENT: nobody
 * is heard now. */
int mlb_counts_sum(struct mlb_counts *, uint64_t now_us, struct mlb_peer out[MLB_MAX_SERVERS]);
/* For how long counts hold without newer ones. */
uint32_t mlb_counts_valid_us(const struct mlb_counts *);

uint32_t mlb_counts_peers(const struct mlb_counts *, uint64_t now_us, struct mlb_counts_peer out[MLB_COUNTS_PEERS]);
const struct mlb_counts_totals *mlb_counts_totals_of(const struct mlb_counts *);

#ifdef __cplusplus
}
#endif
#endif
