/* SPDX-License-Identifier: Apache-2.0 */
/* A new binary takes the listening sockets of the old one over: the same sockets in both processes, so that no client is turned
 * away at any moment. Over the old one's control socket:
 *   new: supervised, where a supervisor is to hold the listeners (supervise.h). A release that does not know the word refuses it
 *   new: takeover
 *   old: listener NAME ADDRESS:PORT COUNT, with COUNT descriptors beside it, once a VIP; what it runs, as configuration;
 *        base; what it read from its file; ok. Before that: state LENGTH, with a file of what is in force beside it
 *   new: release, once everything but its names stands      old: ok, stops accepting and drains
 * The old one decides that exactly one of the two serves on: it gives its listeners to one client at a time, and drains if and
 * only if its answer to `release` could be put where the new one still reads. */
#ifndef MLBD_TAKEOVER_H
#define MLBD_TAKEOVER_H
#include "host.h"
#include "listeners.h"

/* The old side: sends what is in force and every VIP's listeners over fd. */
int mlbd_takeover_send(struct mlbd_host *, int fd, char err[256]);
/* The answer to `release`. 0: the new one has it, and this one must drain; -errno: the new one is gone, and this one serves on.
 */
int mlbd_takeover_agree(int fd);

/* The new side. */
struct mlbd_inherit {
	int control;                /* connection to the old one; -1: there is none */
	const char *path;           /* of its control socket */
	struct mlbd_plan run, base; /* what it runs; what its file said */
	struct mlbd_listeners listeners;
	void *state; /* what is in force there (mlb_dp_export); NULL: nothing came */
	uint64_t state_len;
};
/* Asks the data plane at `path`. supervised: this one has a supervisor. 0 also when none is there (control -1 then). */
int mlbd_takeover_fetch(struct mlbd_inherit *, const char *path, bool supervised, char err[256]);
/* The old one drains from now on, or is dead: 0, and this one is to serve. -errno: the old one serves on, and this one must not.
 */
int mlbd_takeover_release(struct mlbd_inherit *, char err[256]);
void mlbd_takeover_free(struct mlbd_inherit *);
#endif
