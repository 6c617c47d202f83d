/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker thread runs: epoll, dispatch of events, the timer, the mailbox. */
#ifndef MLBD_LOOP_H
#define MLBD_LOOP_H

/* Runs until a QUIT message; then resets its connections. worker: struct mlbd_worker *. A thread's start routine. */
void *mlbd_loop(void *worker);
#endif
