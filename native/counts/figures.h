/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the exchange of counts, what becomes of a datagram, and what is known of the others. */
#ifndef MARLLB_COUNTS_FIGURES_H
#define MARLLB_COUNTS_FIGURES_H
#include "marllb/types.h"
#ifdef __cplusplus
extern "C" {
#endif

#define MLB_COUNTS_DATAGRAM 1200u /* bytes at most: below every MTU, so that none is fragmented */
#define MLB_COUNTS_PARTS 512u     /* datagrams that all of a region's servers fit */
#define MLB_COUNTS_PEERS 64u
#define MLB_COUNTS_KEYS 2u
#define MLB_COUNTS_KEY_LEAST 16u /* bytes */

/* X(NAME, word, help): what becomes of a datagram. */
#define MLB_COUNTS_VERDICTS(X) \
	X(HEARD, "heard", "taken") \
	X(OWN, "own", "this load balancer's, come back") \
	X(MALFORMED, "malformed", "no message of this protocol") \
	X(VERSION, "version", "another release's") \
	X(MAC, "mac", "made without the key") \
	X(ABSURD, "absurd", "counts or a period that cannot be") \
	X(NAME, "name", "another load balancer has this instance's name") \
	X(REPEATED, "repeated", "repeated, or overtaken by a later one") \
	X(UNPROVEN, "unproven", "of a sender that has not shown yet that it hears us") \
	X(OLD, "old", "of an earlier life of its sender") \
	X(FULL, "full", "more senders than are kept") \
	X(STRANGER, "stranger", "from an address that is no member's, beyond what is looked at")

enum mlb_counts_verdict {
#define X(name, word, help) MLB_COUNTS_##name,
	MLB_COUNTS_VERDICTS(X)
#undef X
		MLB_COUNTS_VERDICT_COUNT
};
const char *mlb_counts_verdict_word(uint32_t verdict);

struct mlb_counts_datagram {
	uint32_t len;
	uint8_t bytes[MLB_COUNTS_DATAGRAM];
};
struct mlb_counts_peer {
	char instance[MLB_NAME_LEN];
	struct mlb_endpoint from;   /* where its last datagram came from */
	bool alive;                 /* heard lately: its counts count */
	uint32_t period_us;         /* as it says */
	uint32_t servers, shared;   /* that it names; of these, this one's too */
	uint64_t heard, lost;       /* datagrams; lost: missing in its sequence */
	uint64_t repeated;          /* datagrams not newer than one before */
	uint64_t age_us;            /* since the last one */
	double delay_us, jitter_us; /* half of the way there and back, decayed; its mean deviation. 0 = not known yet */
};
struct mlb_counts_totals {
	uint64_t verdict[MLB_COUNTS_VERDICT_COUNT];
	uint64_t said, said_bytes, heard_bytes; /* datagrams made, once for all receivers */
};
#ifdef __cplusplus
}
#endif
#endif
