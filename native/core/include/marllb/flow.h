/* SPDX-License-Identifier: Apache-2.0 */
/* Flow table of one worker: full key compared, two-choice buckets of one cache line with overflow, holds 80 % of its slots without
 * a refusal, looked up in batches with prefetch. Half-open flows live in a small table of the same type of their own, so that a
 * SYN flood evicts no established flow. Single writer (its worker); the recount walks it from that worker. */
#ifndef MARLLB_FLOW_H
#define MARLLB_FLOW_H
#include "types.h"

struct mlb_flow_key { /* 24 bytes, compared as three words */
	struct mlb_addr client;
	uint16_t cport, vport; /* host order */
	uint16_t vip;          /* VIP id */
	uint8_t proto;
	uint8_t dir;           /* 0; hosts may use it to separate namespaces of keys */
};

struct mlb_flow { /* one cache line */
	struct mlb_flow_key key;
	uint16_t slot;        /* server slot */
	uint8_t tcp;          /* enum mlb_tcp_state */
	uint8_t flags;        /* MLB_FLOW_* */
	uint32_t server_id;
	uint64_t start_us;
	uint64_t wait_us;     /* when the client spoke last; 0 = not waiting */
	uint32_t last_ms;     /* last packet, milliseconds modulo 2^32 */
	uint32_t host;        /* the host's own (NAT port, adjacency) */
	uint64_t host2;
};
_Static_assert(sizeof(struct mlb_flow) == 64, "one cache line");
enum { MLB_FLOW_HALF = 1, MLB_FLOW_WAITING = 2, MLB_FLOW_COUNTED = 4, MLB_FLOW_ONE_WAY = 8 };

struct mlb_flow_table;
/* capacity: flows it must hold (rounded up so that this is at most 80 % load). Huge pages are advised. NULL: no memory. */
struct mlb_flow_table *mlb_flow_table_new(uint32_t capacity, uint64_t seed);
void mlb_flow_table_free(struct mlb_flow_table *);
uint32_t mlb_flow_count(const struct mlb_flow_table *);
uint32_t mlb_flow_capacity(const struct mlb_flow_table *);
uint64_t mlb_flow_hash(const struct mlb_flow_table *, const struct mlb_flow_key *);
struct mlb_flow *mlb_flow_find(struct mlb_flow_table *, const struct mlb_flow_key *, uint64_t hash);
/* n <= 256 keys at once; out[i] NULL where unknown. */
void mlb_flow_find_batch(struct mlb_flow_table *, const struct mlb_flow_key *, const uint64_t *hash, uint32_t n, struct mlb_flow **out);
/* The new flow, zeroed but for its key; NULL when full. The key must not be present. Pointers stay valid until removal. */
struct mlb_flow *mlb_flow_insert(struct mlb_flow_table *, const struct mlb_flow_key *, uint64_t hash);
void mlb_flow_remove(struct mlb_flow_table *, struct mlb_flow *);
/* Walks up to `max` entries from *cursor (0 to begin; 0 again at the end), calls fn for each flow; fn may remove that flow. */
void mlb_flow_walk(struct mlb_flow_table *, uint32_t *cursor, uint32_t max, void (*fn)(void *arg, struct mlb_flow *), void *arg);
#endif
