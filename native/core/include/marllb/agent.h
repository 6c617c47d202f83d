/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of a region: frames and effects out, composed weights and pools in. The data plane is not believed either:
 * counts and offsets of a message are checked before use. Plain types, for the addon is C++. One thread, but mlb_agent_wait. */
#ifndef MARLLB_AGENT_H
#define MARLLB_AGENT_H
#include "layout.h"
#ifdef __cplusplus
extern "C" {
#endif

struct mlb_agent;

struct mlb_agent_info {
	const char *instance, *dataplane;
	uint64_t dp_epoch, agent_epoch;
	uint32_t frame_us, lease_us, workers, dp_pid;
	struct mlb_limits limits;
};

/* Takes the agent's lock; errors and sentences as mlb_region_attach. */
int mlb_agent_attach(struct mlb_agent **, const char *path, char err[256]);
void mlb_agent_close(struct mlb_agent *);
void mlb_agent_info_of(const struct mlb_agent *, struct mlb_agent_info *);
bool mlb_agent_replaced(const struct mlb_agent *);
void mlb_agent_beat(struct mlb_agent *);

/* The data plane's heartbeat: its main thread advances it at least every 100 ms. */
uint64_t mlb_agent_heartbeat(const struct mlb_agent *);

/* Any thread: waits until the data plane has published since `seen`, at most timeout_us; returns the word to wait on next. */
uint32_t mlb_agent_wait(struct mlb_agent *, uint32_t seen, uint64_t timeout_us);
/* Wakes who waits. */
void mlb_agent_poke(struct mlb_agent *);

/* One VIP's frame, as bytes in the agent's own memory: good until the next call. */
struct mlb_agent_frame {
	const void *hdr, *records;
	uint32_t hdr_size, records_size;
	uint32_t vip_id, schema, record_size, generation, count;
	uint64_t dp_epoch, birth, seq, mono_ns, real_ns;
};
/* Frames newer than those of the call before; at most limits.vips. Returns their number, -EAGAIN while the data plane overtakes
 * the reader, -EPROTO for a message that contradicts itself. */
int mlb_agent_frames(struct mlb_agent *, struct mlb_agent_frame out[/* limits.vips */]);

/* Names the message that the last frames came from. It holds a frame of every VIP that the data plane has: where this changed
 * over a call of mlb_agent_frames, a VIP without a frame was absent. */
uint64_t mlb_agent_message(const struct mlb_agent *);

/* All VIPs', if anything changed since the call before. */
int mlb_agent_effects(struct mlb_agent *, struct mlb_effect out[/* limits.vips */]);

/* What the envelope takes, and what goes with the result. Arrays of n in any order, ids naming the servers. */
struct mlb_agent_vector {
	uint32_t vip_id, generation, n;
	uint64_t dp_epoch, birth, frame_seq, term, mono_ns; /* dp_epoch, birth, generation: of the frame that it answers */
	const uint32_t *ids;
	const float *raw, *stat, *factor, *bias, *prev; /* factor, bias, prev may be NULL; prev NaN where there is none */
	const float *load;                              /* of the frame, flows; may be NULL: the bias is not clipped */
	const uint8_t *ejected;                         /* may be NULL */
	float trust, step_ratio, dt_s, ejected_cap, kappa;
	uint32_t load_balancers, load_balancer, mode, ladder, state;
	bool exact;
	bool newcomers_wait;
	const uint8_t *flags; /* [n] MLB_IN_*; may be NULL: none */
};
/* Runs the envelope into bare[n] and share[n]. */
enum mlb_refuse mlb_agent_compose(const struct mlb_agent_vector *, float *bare, float *share);
/* The same, then publishes the vector beside the other VIPs' last ones. 0 and *seq, or -EINVAL and *why. A message holds all of
 * them: where that is long it is not written with each, but is due. */
int mlb_agent_publish(struct mlb_agent *, const struct mlb_agent_vector *, float *bare, float *share, uint64_t *seq,
		      enum mlb_refuse *why);

bool mlb_agent_due(const struct mlb_agent *);
/* Writes what is due. */
int mlb_agent_flush(struct mlb_agent *);

struct mlb_agent_member {
	struct mlb_addr addr;
	uint16_t port;
	bool drain;
	float weight;
};
struct mlb_agent_pool {
	uint32_t vip_id, count;
	bool managed;
	uint64_t birth; /* of the VIP, from its frame */
	uint64_t revision;
	const struct mlb_agent_member *members;
};
/* The wanted lists of all VIPs that have one; replaces the message before. -E2BIG. */
int mlb_agent_pools(struct mlb_agent *, const struct mlb_agent_pool *, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
