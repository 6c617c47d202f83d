/* SPDX-License-Identifier: Apache-2.0 */
/* The record of one worker thread. Everything in it belongs to that thread, its descriptor table (fds.h) included, except the
 * mailbox. What the thread does is in loop.c; what main does with its workers in workers.c. */
#ifndef MLBD_WORKER_H
#define MLBD_WORKER_H
#include <semaphore.h>
#include "buffers.h"
#include "host.h"
#include "wheel.h"

struct mlbd_conn;
struct mlbd_udp;
struct mlbd_recount;

struct mlbd_listener {
	int fd;
	uint32_t vip; /* id */
	bool paused;  /* not in epoll: out of descriptors until resume_us, or another process reads it (UDP) */
	bool udp;
};

struct mlbd_flow_row { /* of `show flows` */
	struct mlb_endpoint client;
	uint32_t vip, slot, server_id;
	uint64_t age_us, idle_us;
	uint32_t worker;
	bool connecting, waiting;
};
struct mlbd_flow_list {
	const struct mlbd_flow_pick *pick;
	uint32_t vip;              /* id; 0: of any */
	struct mlbd_flow_row *row; /* [cap], grows up to pick->max; whoever asks frees it */
	uint32_t count, cap;
	uint64_t total; /* of those asked for, also beyond `count` */
};

enum mlbd_mail_kind {
	MLBD_MAIL_LISTEN,
	MLBD_MAIL_UNLISTEN,
	MLBD_MAIL_STOP_ACCEPT,
	MLBD_MAIL_RESUME, /* takes that back */
	MLBD_MAIL_FLOWS,
	MLBD_MAIL_RECOUNT,
	MLBD_MAIL_CLOSE, /* flows of one server */
	MLBD_MAIL_SYNC,  /* only to be acted on: what the worker had in hand before is out of its hands */
	MLBD_MAIL_QUIT
};

/* A message from main. With `done` main waits: that is posted when the worker has acted, and the message stays main's. Without,
 * it is the worker's, malloc'ed. */
struct mlbd_mail {
	struct mlbd_mail *next;
	enum mlbd_mail_kind kind;
	uint32_t vip;
	uint32_t fds; /* listeners that come with it */
	uint32_t server_id;
	struct mlbd_flow_list *flows;
	sem_t *done;
};

struct mlbd_worker {
	struct mlbd_host *host;
	struct mlb_worker *core;
	uint32_t index;
	int epfd, mail_fd, timer_fd;
	int pass[2];       /* listeners on their way: main's end, the worker's */
	uint64_t live_us;  /* when mlb_dp_live wants to be called; UINT64_MAX: never, by this worker */
	uint64_t armed_us; /* when timer_fd goes off; UINT64_MAX: not set */
	uint64_t now_us;
	struct mlbd_settings settings;
	uint32_t settings_version;

	struct mlbd_listener **listener;  /* [listener_cap]; after a takeover by fewer threads: several of a VIP */
	uint32_t listeners, listener_cap; /* beyond `listeners` records in reserve, or NULL */
	struct mlbd_mail
		*late;      /* listeners on their way that found no descriptor or no memory, oldest first; vip 0: gone since */
	uint64_t resume_us; /* when paused and late listeners are tried again; 0: there are none */
	uint64_t complained_us; /* last time it logged a lack of descriptors or the like */
	int spare_fd;           /* the descriptor in reserve (spare.h); -1: lent */
	bool accepting, quit;

	struct mlbd_wheel wheel;
	struct mlbd_buffers buffers;
	struct mlbd_slab *slabs;
	struct mlbd_link free_conns, dead;
	_Atomic uint32_t conns; /* written here, read by main */
	uint32_t next_source;
	uint16_t self_from, self_to; /* ports that the kernel gives to our own connects: a server there could be ourselves */
	struct mlbd_udp *udp;        /* NULL until the first UDP listener */
	struct mlbd_conn **again;    /* had more to move than one turn allows */
	uint32_t agains, again_cap;
	struct mlbd_recount *_Atomic recount[MLB_MAX_VIPS];
	uint32_t *excluded; /* [MLB_MAX_SERVERS_PER_VIP] slots put out for one choice */
	float *excluded_q;

	pthread_t thread;
	bool started;
	pthread_mutex_t mail_lock;
	struct mlbd_mail *mail, **mail_end;
};

/* Tags in the low bits of epoll's data pointer. The highest four count the connects of a connection: a batch may still hold an
 * event of the socket of a connect that has failed since, and it must not be taken for one of the next. */
enum {
	MLBD_TAG_CLIENT = 0,
	MLBD_TAG_SERVER = 1,
	MLBD_TAG_LISTENER = 2,
	MLBD_TAG_OWN = 3 /* mailbox, timer */,
	MLBD_TAG_UDP = 4 /* a UDP flow's server */,
	MLBD_TAG_MASK = 7
};
#define MLBD_TAG_TRY_SHIFT 60

/* Main thread, before the thread runs. */
int mlbd_worker_init(struct mlbd_worker *, struct mlbd_host *, uint32_t index, char err[256]);
/* Main thread, when the thread has ended or never ran; also after an init that failed. */
void mlbd_worker_free(struct mlbd_worker *);
/* Main thread. */
void mlbd_worker_post(struct mlbd_worker *, struct mlbd_mail *);
/* All messages that have come, oldest first. */
struct mlbd_mail *mlbd_worker_mail(struct mlbd_worker *);
/* Copies the live settings. */
void mlbd_worker_settings(struct mlbd_worker *);
/* Logs what this machine, and no server, is short of, or another matter (error 0); once in five seconds. What is left out is
 * counted, and told by main. */
void mlbd_worker_complain(struct mlbd_worker *, int error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* epoll_ctl ADD or MOD with a tagged pointer; 0 or -errno. */
int mlbd_worker_watch(struct mlbd_worker *, int op, int fd, uint32_t events, void *ptr, uint64_t tag);
#endif
