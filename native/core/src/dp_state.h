/* SPDX-License-Identifier: Apache-2.0 */
/* What is in force of a data plane, so that its successor begins with it: as bytes for the control socket, and as read from the
 * region of one that died. Keyed by names of VIPs and addresses of servers, for ids belong to a data-plane epoch. */
#ifndef MARLLB_DP_STATE_H
#define MARLLB_DP_STATE_H
#include "dp_types.h"

#define DP_STATE_MAGIC UINT64_C(0x32305453424c4d4d)

/* dp_state_hdr, dp_state_vip[vips], dp_state_server[servers]. */
struct dp_state_hdr {
	uint64_t magic; /* its last two digits are the version */
	uint32_t vips, servers;
};
struct dp_state_vip {
	char name[MLB_NAME_LEN];
	uint64_t term, mode_term, pool_revision;
	float kappa;
	uint32_t load_balancers, load_balancer;
	uint32_t first, count;
	uint8_t mode; /* an override's; MLB_MODE_KEEP: none is in force */
	uint8_t ladder, owner, exact;
	uint32_t newcomers_wait;
	uint32_t pad;
};
struct dp_state_server {
	struct mlb_addr addr;
	uint16_t port;
	uint16_t flags; /* MLB_SRV_MEMBER, MLB_SRV_DRAINING; 0 = taken over already */
	float weight_static, share, factor, bias;
	uint32_t pad;
};

static inline struct dp_state_vip *dp_state_vips(void *state)
{
	return (struct dp_state_vip *)((struct dp_state_hdr *)state + 1);
}
static inline struct dp_state_server *dp_state_servers(void *state)
{
	return (struct dp_state_server *)(dp_state_vips(state) + ((struct dp_state_hdr *)state)->vips);
}
static inline uint64_t dp_state_size(uint32_t vips, uint32_t servers)
{
	return sizeof(struct dp_state_hdr) + vips * sizeof(struct dp_state_vip) + servers * sizeof(struct dp_state_server);
}

bool dp_state_good_vip(const struct dp_state_vip *);
bool dp_state_good_server(const struct dp_state_server *);

/* The last word of the data plane whose region has this path, and of its agent; NULL where there is none that can be read. */
void *dp_state_of_region(const char *path);

/* A VIP that is added begins with what was in force of its name. */
void dp_state_begin(struct mlb_dp *, struct dp_vip *);
/* What was in force of a server that joins, once; false: nothing. */
bool dp_state_take(const struct dp_vip *, const struct mlb_endpoint *, struct dp_state_server *);
/* The managed list that was in force; returns its length, 0 = none. */
uint32_t dp_state_list(const struct dp_vip *, struct mlb_endpoint *, float *weight, bool *draining);
/* The VIP is gone, or a directive has come: what was before counts no more. */
void dp_state_end(struct dp_vip *);
#endif
