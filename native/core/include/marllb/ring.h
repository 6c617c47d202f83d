/* SPDX-License-Identifier: Apache-2.0 */
/* The lookup table of mode hash and of packets of unknown flows: weighted consistent hashing. */
#ifndef MARLLB_RING_H
#define MARLLB_RING_H
#include "types.h"

#define MLB_Q_OUT 1e30f   /* q of a slot that must not be chosen now */
#define MLB_Q_TRIED 1e35f /* likewise for the flow in hand, which tried it before: not even as a probe */

struct mlb_ring; /* weighted consistent hash over membership and static weights only; reference counted (ring.c) */

/* keys[n]: what names a server to every load balancer (hash of address and port); slot[n]; weight[n] > 0: configured weight,
 * not the policy's. Equal input in any order gives an equal ring. exact: each server has its part of the buckets to within one
 * (else to within a few per cent, and fewer buckets move when weights change). NULL on no memory or n == 0. */
struct mlb_ring *mlb_ring_new(uint32_t n, const uint64_t *keys, const uint32_t *slot, const float *weight, bool exact);
struct mlb_ring *mlb_ring_ref(struct mlb_ring *);
void mlb_ring_unref(struct mlb_ring *);
/* Slot for a flow hash; slots whose q[slot] >= MLB_Q_OUT are walked past; MLB_NONE if all are. q may be NULL. */
uint32_t mlb_ring_lookup(const struct mlb_ring *, uint64_t hash, const float *q);
#endif
