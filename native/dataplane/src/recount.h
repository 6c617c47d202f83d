/* SPDX-License-Identifier: Apache-2.0 */
/* The recount: each worker compares, at one moment, the flows it has counted for every server with those it finds in its own
 * connection table. The difference is a metric and stays zero. */
#ifndef MLBD_RECOUNT_H
#define MLBD_RECOUNT_H
#include "worker.h"

struct mlbd_recount {                                   /* of one worker and VIP */
	uint32_t found[MLB_MAX_SERVERS_PER_VIP];        /* the worker's */
	_Atomic uint32_t diff[MLB_MAX_SERVERS_PER_VIP]; /* last result, read by main */
};

/* In the worker. */
void mlbd_recount_worker(struct mlbd_worker *);
/* Main thread, once a second: asks every worker to count. */
void mlbd_recount_ask(struct mlbd_host *);
/* The core's hook, main thread: adds up the last results. */
void mlbd_recount_hook(void *host, uint32_t vip_id, uint32_t *diff, uint32_t n);
#endif
