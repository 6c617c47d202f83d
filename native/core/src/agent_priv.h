/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_AGENT_PRIV_H
#define MARLLB_AGENT_PRIV_H
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "marllb/envelope.h"
#include "marllb/region.h"

struct agent_vip {
	uint64_t birth;       /* of the VIP that has this id now */
	uint64_t frame_seq;   /* of the newest frame handed out */
	bool present;         /* in the newest msg_out */
	struct mlb_in_vip in; /* last vector published; count 0 = none */
	struct mlb_in_entry *entry;
};

struct mlb_agent {
	struct mlb_region region;
	uint64_t dp_epoch, agent_epoch; /* as of the attach: the region is not asked again */
	char instance[MLB_NAME_LEN], dataplane[MLB_NAME_LEN];
	uint32_t frame_us, lease_us, workers, dp_pid;
	uint64_t out_seq, effect_seq, seq;
	bool due;                           /* vectors that are not written yet */
	struct agent_vip vip[MLB_MAX_VIPS]; /* by id - 1; those beyond the region's limit are never looked at */
	struct mlb_limits limits;           /* the region's */
	uint8_t *out, *in, *effect;         /* a whole message each; in: of either block */
	uint64_t out_size, in_size;
};
#endif
