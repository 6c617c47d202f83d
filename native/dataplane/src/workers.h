/* SPDX-License-Identifier: Apache-2.0 */
/* The workers as main sees them: made, started, told, joined. Main thread. */
#ifndef MLBD_WORKERS_H
#define MLBD_WORKERS_H
#include "worker.h"

/* h->threads records, without a thread yet. 0 or -errno. */
int mlbd_workers_new(struct mlbd_host *, char err[256]);
/* The threads run, and wait for listeners. */
int mlbd_workers_start(struct mlbd_host *, char err[256]);
/* Sends a copy to one, or to all, and waits until it is acted on. It needs no memory, and reaches everyone who runs. */
void mlbd_workers_ask(struct mlbd_worker *, const struct mlbd_mail *);
void mlbd_workers_tell(struct mlbd_host *, const struct mlbd_mail *);
/* The same without waiting. Those who get it act after what they had in hand. -ENOMEM: not everyone was told. */
int mlbd_workers_post(struct mlbd_host *, const struct mlbd_mail *);
/* The settings have changed: all of them act on it before this returns, also those that sleep. */
void mlbd_workers_settings(struct mlbd_host *);
/* Gives one n listening sockets, which stay main's too. 0 or -errno. */
int mlbd_workers_listen(struct mlbd_worker *, uint32_t vip, const int *fd, uint32_t n);
/* Connections of all. */
uint64_t mlbd_workers_conns(const struct mlbd_host *);
/* Ends the threads, which resets what is still open, and frees the records. */
void mlbd_workers_join(struct mlbd_host *);
#endif
