/* SPDX-License-Identifier: Apache-2.0 */
/* What the exchange remembers. Private to this folder: own.c keeps this load balancer's counts, peer.c the others', counts.c puts
 * them together. */
#ifndef MARLLB_COUNTS_STATE_H
#define MARLLB_COUNTS_STATE_H
#include "marllb/layout.h"
#include "wire.h"

#define OWN_HASH 32768u /* at most half full */

/* This load balancer's servers by address, whatever VIP they are in. */
struct own {
	uint32_t n, keys;
	uint32_t version; /* of the list of keys */
	struct mlb_live live[MLB_MAX_SERVERS];
	uint32_t key_of[MLB_MAX_SERVERS]; /* of each live entry */
	struct wire_entry key[MLB_MAX_SERVERS];
	uint16_t hash[OWN_HASH]; /* key + 1; 0 = free */
};
/* True: the keys are others now. */
bool own_set(struct own *, const struct mlb_live *, uint32_t n);
/* MLB_NONE: not one of this load balancer's. */
uint32_t own_find(const struct own *, const struct mlb_endpoint *);

struct part {
	uint64_t at_us;
	uint32_t n;
	struct {
		struct wire_entry e;
		uint32_t key; /* of struct own */
	} entry[];
};

struct peer {
	char instance[MLB_NAME_LEN];
	uint64_t tag;
	struct mlb_endpoint from;
	bool proven; /* epoch is that of a life that has heard us in ours */
	uint64_t epoch, seq;
	/* Of its last good datagram, for our echo: of the proven life, or, while that is silent, of one that has not proven
	 * itself. */
	uint64_t challenge;
	uint32_t sent_us;
	uint64_t challenge_at_us, heard_us; /* heard_us: of the proven life */
	uint32_t list, period_us, parts;
	struct part *part[MLB_COUNTS_PARTS];
	uint64_t heard, lost, repeated;
	double delay_us, jitter_us;
};
void peer_clear(struct peer *);
/* For how long what it says holds. */
uint64_t peer_expiry_us(const struct peer *, uint32_t own_period_us);
bool peer_alive(const struct peer *, uint32_t own_period_us, uint64_t now_us);
/* Takes a message of its proven life. False: no memory. */
bool peer_take(struct peer *, const struct wire_message *, const struct own *, uint64_t now_us);
/* Finds this load balancer's servers anew in what it said. */
void peer_rekey(struct peer *, const struct own *);

struct mlb_counts {
	char instance[MLB_NAME_LEN];
	uint64_t tag, epoch, seq;
	uint32_t period_us, keys;
	struct mlb_hmac key[MLB_COUNTS_KEYS];
	uint64_t challenge, challenge_before, challenge_until_us;
	uint32_t peers, echo_next; /* echo_next: where the next datagram's echoes begin */
	struct peer *peer[MLB_COUNTS_PEERS];
	struct own own;
	struct {
		uint64_t flows, waiting;
	} theirs[MLB_MAX_SERVERS]; /* by key; mlb_counts_sum's own */
	struct mlb_counts_totals totals;
};
#endif
