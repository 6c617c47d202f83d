/* SPDX-License-Identifier: Apache-2.0 */
/* The running process: main thread's loop, signals, orders of the control socket, stop. */
#ifndef MLBD_APP_H
#define MLBD_APP_H
#include "control.h"
#include "host.h"
#include "options.h"
#include "previous.h"
#include "supervised.h"
#include "waker.h"

struct mlbd_app {
	struct mlbd_options opt;
	struct mlbd_plan base; /* file and flags as last read: what differs from it was changed at run time */
	struct mlbd_host *host;
	struct mlbd_control control;
	struct mlbd_waker waker;
	int epfd, signal_fd, wake_fd;
	int taker;  /* client that was given the listeners and may release this data plane; -1: none */
	int backed; /* client that said that it has a supervisor of its own; -1: none */
	bool stopping, quit;
	struct mlbd_previous previous;
	struct mlbd_supervised supervised;
	uint64_t close_us; /* when the listeners close at a stop; 0: not now */
	uint64_t stop_deadline_us, next_look_us, next_previous_us, next_left_out_us;
};

/* Signals, epoll and the like, before any thread is started. */
int mlbd_app_init(struct mlbd_app *, char err[512]);
/* Ends the process when standard input does. */
void mlbd_app_follow_stdin(struct mlbd_app *);
/* Until it has stopped. */
void mlbd_app_loop(struct mlbd_app *);
void mlbd_app_free(struct mlbd_app *);
#endif
