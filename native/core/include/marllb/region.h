/* SPDX-License-Identifier: Apache-2.0 */
/* The region as a file: creation by the data plane, attach by one agent. Linux only. */
#ifndef MARLLB_REGION_H
#define MARLLB_REGION_H
#include "futex.h"
#include "seqlock.h"
#ifdef __cplusplus
extern "C" {
#endif

struct mlb_region {
	struct mlb_region_hdr *hdr;
	struct {
		struct mlb_msg *msg;
		uint8_t *base;
		uint64_t buf_size;
	} blk[MLB_BLK_COUNT];
	struct mlb_limits limits;
	uint64_t size;
	int fd;
	bool unnamed; /* still under its temporary name */
	char path[256];
};

struct mlb_region_conf {
	const char *path;     /* absolute; default /dev/shm/lb_rl_shm */
	const char *instance; /* < MLB_NAME_LEN */
	const char *dataplane;
	const char *group; /* NULL: mode 0600; else 0660 with this group */
	uint64_t dp_epoch;
	uint32_t frame_us, lease_us, workers;
	struct mlb_limits limits;
	bool takeover; /* a new binary takes over: mlb_region_name will replace the region of a live data plane */
};

/* Puts the defaults where there is 0. -EINVAL: more than a region may have. */
int mlb_limits_settle(struct mlb_limits *, char err[256]);

/* Data plane: makes path.tmp.PID (O_EXCL, O_NOFOLLOW), allocates, fills, locks, renames. err gets a sentence naming the path.
 * Removes what dead processes left of such files. -EBUSY: a live data plane holds it and takeover is false. */
int mlb_region_create(struct mlb_region *, const struct mlb_region_conf *, char err[256]);
/* Renames, where takeover left that for when the new data plane can serve: until then the old one keeps its region. */
int mlb_region_name(struct mlb_region *, char err[256]);
/* Data plane: its region's name is gone or another file's: makes the file again, empty, at the same addresses. No worker may
 * write meanwhile. Errors as mlb_region_create: -EBUSY: another live data plane has the name. */
int mlb_region_renew(struct mlb_region *, const struct mlb_region_conf *, char err[256]);
/* Agent: opens, checks the owner (this user or root), checks magic, version and every size and offset once, takes the agent's
 * lock, agent_epoch += 1. -EBUSY: another agent; -EPERM: another user's; -EPROTO: garbage, older or newer layout (err says which
 * and what was expected); -ENOENT. */
int mlb_region_attach(struct mlb_region *, const char *path, char err[256]);
/* Writer of the block peer and of header.live_us, beside the agent. Errors as mlb_region_attach; -EBUSY: there is one already. */
int mlb_region_attach_peer(struct mlb_region *, const char *path, char err[256]);
/* Reader without a lock (`marllbctl`, tests). */
int mlb_region_open_ro(struct mlb_region *, const char *path, char err[256]);
/* True if path no longer names this region (the data plane was restarted, somebody removed it), or its file was truncated: it
 * reads as zeros then, for a truncated file must not end the process (SIGBUS). The agent detaches, the data plane renews it. */
bool mlb_region_replaced(const struct mlb_region *);
/* The newest message of a block, if it is another one than *seq names; *seq then names it. Returns its length (cap must be the
 * block's buf_size); 0: nothing new, or empty; -EAGAIN: its writer is just at it, ask again; -EPROTO: it contradicts itself. */
int64_t mlb_region_read(const struct mlb_region *, enum mlb_block, void *buf, uint64_t cap, uint64_t *seq);
/* -EMSGSIZE. Wakes nobody. */
int mlb_region_write(struct mlb_region *, enum mlb_block, const void *msg, uint64_t len);
/* The same in parts, see seqlock.h. Where the region is made again between them (mlb_region_renew), begin anew. */
void mlb_region_begin(struct mlb_region *, enum mlb_block, struct mlb_msg_draft *);
int mlb_region_put(struct mlb_region *, enum mlb_block, const struct mlb_msg_draft *, uint64_t off, const void *part,
		   uint64_t len);
int mlb_region_end(struct mlb_region *, enum mlb_block, const struct mlb_msg_draft *, uint64_t len);
/* unlink: the data plane at a clean stop removes the file if it is still its own. */
void mlb_region_close(struct mlb_region *, bool unlink);

#ifdef __cplusplus
}
#endif
#endif
