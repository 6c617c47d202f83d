/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane's side of its supervisor (supervise.h), which holds the listening sockets as well: what it held when this one
 * was started, and what it is told since. The supervisor may be stopped or dead: nothing here waits for it. */
#ifndef MLBD_SUPERVISED_H
#define MLBD_SUPERVISED_H
#include "host.h"
#include "listeners.h"

/* "FD NAME COUNT NAME COUNT ...": the socket to the supervisor, and the VIPs whose listeners have the descriptors from 3 on. */
#define MLBD_SUPERVISOR_ENV "MARLLB_DP_SUPERVISOR"
#define MLBD_FIRST_INHERITED 3
/* "FD" or "FD instead": a file of the configuration that ran last. It holds where the configured one is wrong; `instead`: where a
 * start by the configured one has failed just now. A wrong file must not keep the next data plane from serving. */
#define MLBD_LAST_CONFIG_ENV "MARLLB_DP_LAST_CONFIG"

/* One message each on the socket, in this order. Between begin and end come the VIPs that listen, each with its descriptors, and
 * the configuration in a file; a VIP that is not named is let go. */
#define MLBD_SAY_BEGIN "begin"
#define MLBD_SAY_HOLD "hold " /* NAME */
#define MLBD_SAY_CONFIG "config"
#define MLBD_SAY_END "end"
#define MLBD_SAY_READY "ready"
/* This one ends, and listens no more. over: a data plane without a supervisor took the listeners, and the next one is to take
 * them back from it. left: it was told to stop, or another supervisor's data plane has the listeners: there is to be no next one.
 */
#define MLBD_SAY_OVER "over"
#define MLBD_SAY_LEFT "left"

struct mlbd_supervised {
	int fd;        /* -1: there is no supervisor (any more) */
	uint32_t told; /* the host's listeners_version that it knows */
	bool ready;    /* it was told so */
	/* What is being told, where the socket took only some of it: the version, and the first VIP that is still to come, + 1;
	 * 0: nothing. */
	uint32_t telling, at;
	uint64_t next_us;
};

/* Reads the environment, and takes its entry out. in: what the supervisor held. */
void mlbd_supervised_begin(struct mlbd_supervised *, struct mlbd_listeners *in);
/* The configuration that ran last, where there is a supervisor that has it; takes its entry out of the environment. *instead: the
 * configured one is not to be tried. -ENOENT: there is none. */
int mlbd_supervised_last(struct mlbd_plan *, bool *instead, char err[512]);
/* Tells what has changed; the first time that all VIPs listen, so that a death is to be followed by a restart from now on. What
 * cannot be sent is tried again. */
void mlbd_supervised_poll(struct mlbd_supervised *, struct mlbd_host *, const struct mlbd_plan *config, uint64_t now_us);
/* This one listens no more. take_back: as MLBD_SAY_OVER, else MLBD_SAY_LEFT. */
void mlbd_supervised_leave(struct mlbd_supervised *, bool take_back);
void mlbd_supervised_end(struct mlbd_supervised *);
#endif
