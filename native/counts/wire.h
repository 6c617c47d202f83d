/* SPDX-License-Identifier: Apache-2.0 */
/* A datagram of counts, as bytes. Numbers are little-endian; what follows the last entry is the MAC over everything before it.
 *
 *   u32 magic, u8 version, u8 part, u8 parts, u8 echoes, char from[32], u64 epoch, u64 seq, u64 challenge,
 *   u32 list, u32 period_us, u32 sent_us, u16 entries, u16 0
 *   echoes: u64 to, u64 challenge, u32 sent_us, u32 hold_us
 *   entries: u8 kind (1: IPv6, 2: UDP), address (4 or 16), u16 port, flows, waiting (LEB128, at most 4 bytes each)
 *   u8 mac[16]
 */
#ifndef MARLLB_COUNTS_WIRE_H
#define MARLLB_COUNTS_WIRE_H
#include "figures.h"
#include "hmac.h"

#define WIRE_MAC_LEN 16u
#define WIRE_ECHOES 16u
#define WIRE_ENTRIES 128u /* what fits a datagram is fewer */
#define WIRE_COUNT_MOST 10000000u
#define WIRE_PERIOD_LEAST_US 1000u
#define WIRE_PERIOD_MOST_US 1000000u

struct wire_head {
	uint16_t part, parts;
	char from[MLB_NAME_LEN]; /* the sender's instance */
	uint64_t epoch;          /* of the sender's life */
	uint64_t seq;            /* one more with each datagram */
	uint64_t challenge;      /* random; who echoes it has heard this sender lately */
	uint32_t list;           /* version of the sender's list of servers */
	uint32_t period_us;
	uint32_t sent_us; /* the sender's clock, low 32 bits */
};

/* To one that the sender hears. */
struct wire_echo {
	uint64_t to; /* wire_tag of its name */
	uint64_t challenge;
	uint32_t sent_us; /* of the last datagram that was heard of it */
	uint32_t hold_us; /* since then */
};

struct wire_entry {
	struct mlb_endpoint ep; /* proto IPPROTO_TCP or IPPROTO_UDP */
	uint32_t flows, waiting;
};

struct wire_message {
	struct wire_head head;
	uint32_t echoes, entries;
	struct wire_echo echo[WIRE_ECHOES];
	struct wire_entry entry[WIRE_ENTRIES];
};

uint64_t wire_tag(const char *name);

struct wire_writer {
	uint8_t *buf; /* MLB_COUNTS_DATAGRAM bytes */
	uint32_t len;
	uint16_t entries;
};
void wire_begin(struct wire_writer *, uint8_t *buf, const struct wire_head *, const struct wire_echo *, uint32_t echoes);
/* False: it does not fit any more. */
bool wire_add(struct wire_writer *, const struct wire_entry *);
/* The datagram's length. */
uint32_t wire_seal(struct wire_writer *, uint16_t parts, const struct mlb_hmac *);

/* MLB_COUNTS_HEARD and the message; or what is wrong. keys: any of them may have made the MAC. */
enum mlb_counts_verdict wire_read(struct wire_message *, const uint8_t *buf, size_t len, const struct mlb_hmac *key,
				  uint32_t keys);
#endif
