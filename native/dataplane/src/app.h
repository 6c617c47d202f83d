/* SPDX-License-Identifier: Apache-2.0 */
/* The process: main thread's loop, signals, control, stop. */
#ifndef MLBD_APP_H
#define MLBD_APP_H
#include "control.h"
#include "host.h"
#include "options.h"

struct mlbd_app {
	struct mlbd_options opt;
	struct mlbd_host *host;
	struct mlbd_control control;
	int epfd, signal_fd, wake_fd;
	bool stopping, quit;
	uint64_t stop_deadline_us, next_recount_us;
	pthread_t waker; /* waits for the agent's futex and makes wake_fd readable */
	bool waker_runs;
	_Atomic bool waker_stop;
};

/* What epoll's data pointer names in the main thread. */
extern char mlbd_app_signal, mlbd_app_wake, mlbd_app_stdin, mlbd_app_control;

/* Stop accepting and drain; the second call quits. */
void mlbd_app_stop(struct mlbd_app *);
int mlbd_app_reload(struct mlbd_app *, char err[512]);

/* exec.c: acts on one command. fd: the client's socket, for takeover. */
int mlbd_exec(struct mlbd_app *, int fd, const struct mlbd_cmd *, struct mlbd_text *out, char err[512]);

/* takeover.c, the old side: sends every VIP's listeners over fd. */
int mlbd_takeover_send(struct mlbd_host *, int fd, char err[256]);
/* The new side. */
struct mlbd_inherit {
	int control;           /* connection to the old one; -1: there is none */
	struct mlbd_plan plan; /* what it runs */
	struct {
		char vip[MLB_NAME_LEN];
		struct mlb_endpoint ep;
		int *fd;
		uint32_t fds;
	} listener[MLB_MAX_VIPS];
	uint32_t listeners;
};
/* Asks the data plane at `path`. 0 also when none is there (control -1 then). */
int mlbd_takeover_fetch(struct mlbd_inherit *, const char *path, char err[256]);
/* The running server lists of the old one replace those of the plan. */
void mlbd_takeover_merge(struct mlbd_inherit *, struct mlbd_plan *);
/* Listeners for this VIP: their number, 0 if none fit; *fd is then the caller's. */
uint32_t mlbd_takeover_claim(struct mlbd_inherit *, struct mlbd_vip_opts *, int **fd);
/* The new one serves: the old one drains. */
int mlbd_takeover_release(struct mlbd_inherit *, char err[256]);
void mlbd_takeover_free(struct mlbd_inherit *);

/* systemd's readiness protocol; does nothing without NOTIFY_SOCKET. */
void mlbd_notify(const char *state);
#endif
