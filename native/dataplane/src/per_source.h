/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of one VIP counted by the client's address (an IPv6 client's /64), all workers together, in bounded memory.
 *
 * Two buckets of eight entries are candidates for an address. An entry is one 64-bit word: 40 bits that identify the address and
 * a count of 24 bits; count 0 means free. Where all sixteen belong to others, the connection is let through uncounted: a limit
 * that cannot be kept must not turn clients away. Two workers that meet a new address at the same moment may each make an entry
 * for it; then the limit is exceeded by the second entry's connections, one or two. */
#ifndef MLBD_PER_SOURCE_H
#define MLBD_PER_SOURCE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <marllb/types.h>

#define MLBD_SOURCE_BUCKETS 8192u /* a power of two; 512 KiB */
#define MLBD_SOURCE_WAYS 8u

struct mlbd_per_source {
	uint64_t seed; /* so that nobody can choose addresses that meet in one bucket */
	_Atomic uint64_t entry[MLBD_SOURCE_BUCKETS][MLBD_SOURCE_WAYS];
};

enum mlbd_admission { MLBD_COUNTED, MLBD_UNCOUNTED, MLBD_OVER };

/* NULL: no memory. */
struct mlbd_per_source *mlbd_per_source_new(uint64_t seed);
/* One more connection of this client, unless it has `most`. What is COUNTED must be left again. */
enum mlbd_admission mlbd_per_source_enter(struct mlbd_per_source *, const struct mlb_addr *, uint32_t most);
void mlbd_per_source_leave(struct mlbd_per_source *, const struct mlb_addr *);
#endif
