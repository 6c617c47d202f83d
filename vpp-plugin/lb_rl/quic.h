/* SPDX-License-Identifier: Apache-2.0 */
/* QUIC connection IDs that name a server (draft-ietf-quic-load-balancers, the plaintext algorithm): its ID stands behind the
 * first byte. So a client whose address changes stays with its server, whichever load balancer its packets come to. A server's ID
 * is the end of its own address, `quic-lb N` bytes of it, so that nobody has to hand IDs out. */
#ifndef LB_RL_QUIC_H
#define LB_RL_QUIC_H
#include <lb_rl/lb_rl.h>

/* Do two servers' addresses give the same ID of so many bytes? */
bool lb_rl_quic_same(u32 bytes, const struct mlb_addr *a, const struct mlb_addr *b);
/* Main thread: a VIP's servers come and go. False: another server of the VIP has that ID already. */
bool lb_rl_quic_may(const lb_rl_vip_t *v, u32 bytes, const struct mlb_addr *server);
void lb_rl_quic_set(const lb_rl_vip_t *v, u32 slot, bool add);

/* Worker: the slot of the server that a UDP payload's connection ID names, MLB_NONE where it names none. have: bytes of the
 * payload that stand at it. */
u32 lb_rl_quic_slot(const lb_rl_vip_t *v, const u8 *payload, u32 have);
#endif
