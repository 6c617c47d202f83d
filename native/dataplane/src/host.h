/* SPDX-License-Identifier: Apache-2.0 */
/* What the main thread and the workers of one data plane share beyond the core: limits, listeners, settings. */
#ifndef MLBD_HOST_H
#define MLBD_HOST_H
#include <pthread.h>
#include <stdatomic.h>
#include "fds.h"
#include "log.h"
#include "per_source.h"
#include "plan.h"

struct mlbd_worker;

#define MLBD_PARTED_US \
	300000u /* how long handshakes under way are still served where no new ones are: a round trip to far-off clients */

/* Limit and count of one server slot, all workers together. A slot is reused only after its last flow, so conns is 0 then. */
struct mlbd_slot {
	_Atomic uint8_t send_proxy; /* enum mlbd_send_proxy */
	_Atomic uint32_t conns;
	_Atomic uint32_t max_conns; /* 0: no limit */
	_Atomic uint32_t previous;  /* connections that the previous data plane still has; they count against the limit */
};

/* What the core does not know of a server, by address; main thread only. It survives until the server is removed. */
struct mlbd_server_more {
	struct mlb_endpoint ep;
	uint32_t max_conns;
	uint8_t send_proxy;
};

/* A VIP as this host knows it, at index id - 1, never freed: workers may hold its address. */
struct mlbd_vip {
	_Atomic bool used;
	uint64_t parting_us; /* not used any more, and serves handshakes that were under way until then; 0: it does not (parted.h)
			      */
	uint32_t id;
	struct mlb_vip_conf conf;                    /* conf.ep: the address bound, never port 0 */
	_Atomic uint32_t conns, max_conns, previous; /* as of a server */
	_Atomic uint32_t max_per_source;             /* connections of one client address; 0: no limit */
	struct mlbd_per_source *_Atomic per_source;  /* made at the first limit, kept */
	_Atomic uint32_t responses;                  /* a UDP flow ends after so many datagrams of its server; 0: by time alone */
	struct mlbd_slot *slot;                      /* [MLB_MAX_SERVERS_PER_VIP], made at first use, kept */
	struct mlbd_nets *_Atomic accept_proxy;      /* replaced whole; NULL: no connection begins with a PROXY header */
	_Atomic uint8_t send_proxy;                  /* enum mlbd_send_proxy */
	_Atomic uint64_t bad_proxy_headers;          /* connections ended for want of one */
	struct mlbd_server_more *more;               /* of servers of which there is more to say */
	uint32_t mores;
	_Atomic uint64_t answers_dropped; /* by the kernel, not told to the core yet */
	int *fd;                          /* [fds] listeners, worker i % threads serves fd i */
	uint32_t dropped[MLBD_FDS_MOST];  /* datagrams that the kernel dropped at a listener, as last seen */
	uint32_t fds;
};

struct mlbd_host {
	struct mlb_dp *dp;
	struct mlbd_settings settings; /* main thread's */
	struct mlbd_vip vip[MLB_MAX_VIPS];
	struct mlbd_worker *worker;
	uint32_t threads;
	/* The live settings, for workers: copied under the lock when the version has changed. */
	pthread_mutex_t lock;
	_Atomic uint32_t settings_version;
	struct mlbd_settings live;
	uint32_t listeners_version; /* counts VIPs that began or ceased to listen */
	_Atomic uint64_t left_out;  /* lines of the log that a worker's limit left out */
	uint64_t udp_room_given;    /* KiB that the listeners were asked for last */
	uint64_t left_out_told;     /* main thread's */
	bool serving;               /* workers have the listeners */
	bool handed_over;           /* a new binary has the listeners: region and control socket are no longer ours */
};

/* Worker threads that the settings ask for; where they leave it open, what the processors allow now. */
uint32_t mlbd_threads_wanted(const struct mlbd_settings *);
/* host.c: main thread. Without workers and hooks (workers.h, mlbd_vips_hook). */
int mlbd_host_new(struct mlbd_host **, const struct mlbd_settings *, bool takeover, char err[256]);
/* Workers must be joined. */
void mlbd_host_free(struct mlbd_host *);
/* Whether mlbd_host_set would do it. */
int mlbd_host_may_set(struct mlbd_host *, const struct mlbd_setting *, const struct mlbd_settings *, char err[256]);
/* Makes a setting true for the running data plane; -EBUSY where it takes a restart. */
int mlbd_host_set(struct mlbd_host *, const struct mlbd_setting *, const struct mlbd_settings *, char err[256]);
void mlbd_host_publish_settings(struct mlbd_host *);
/* Who owns its server list now: failover may have taken or returned it. */
uint8_t mlbd_vip_owner(const struct mlbd_host *, const struct mlbd_vip *);

/* vips.c: main thread. */
/* What the core asks of this host: limits of servers that come and go, the recount. Once, before the first VIP. */
void mlbd_vips_hook(struct mlbd_host *);
/* The workers begin to serve, after the VIPs of the plan were added, or serve again after mlbd_host_pause. -errno: some VIP is
 * not served by all of them. */
int mlbd_host_serve(struct mlbd_host *, char err[256]);
/* The workers let go of the listeners, which stay open: who comes waits. mlbd_host_serve gives them back. */
void mlbd_host_pause(struct mlbd_host *);
/* No new handshakes from now on; those under way are still accepted until mlbd_host_stop_accept. */
void mlbd_host_refuse_new(struct mlbd_host *);
/* No new connections from now on; returns when the listeners are closed. */
void mlbd_host_stop_accept(struct mlbd_host *);
/* fd: listeners handed over by another binary (NULL, 0: open own ones); taken over on success. */
int mlbd_vip_add(struct mlbd_host *, const struct mlbd_vip_opts *, const int *fd, uint32_t fds, char err[256]);
/* parted.c. It is gone for everyone who asks; handshakes under way are still served for MLBD_PARTED_US. */
int mlbd_vip_del(struct mlbd_host *, struct mlbd_vip *, char err[256]);
/* Whether mlbd_vip_change would do it, but for memory; -EBUSY. */
int mlbd_vip_may_change(const struct mlbd_vip *, const struct mlbd_vip_opts *, char err[256]);
int mlbd_vip_change(struct mlbd_host *, struct mlbd_vip *, const struct mlbd_vip_opts *, char err[256]);
/* NULL name or "": the only VIP there is. err (may be NULL) says why not. */
struct mlbd_vip *mlbd_vip_find(struct mlbd_host *, const char *name, char err[256]);
int mlbd_server_put(struct mlbd_host *, struct mlbd_vip *, const struct mlbd_cmd *, char err[256]);
int mlbd_server_del(struct mlbd_host *, struct mlbd_vip *, const struct mlb_endpoint *, char err[256]);
int mlbd_server_set(struct mlbd_host *, struct mlbd_vip *, const struct mlbd_server_conf *, uint32_t n, char err[256]);
/* The server with this address that is a member; NULL: none. */
const struct mlb_server *mlbd_server_find(struct mlbd_host *, struct mlbd_vip *, const struct mlb_endpoint *);
/* All zero where nothing more is known. */
struct mlbd_server_more mlbd_server_more_of(const struct mlbd_vip *, const struct mlb_endpoint *);
/* What the workers are to know of the server in a slot. */
void mlbd_server_tell(struct mlbd_vip *, uint32_t slot, const struct mlbd_server_more *);
/* running.c. What runs now; 0 or -ENOMEM; the caller frees it. */
int mlbd_host_plan(struct mlbd_host *, struct mlbd_plan *);
/* reconcile.c. Makes the running data plane what the plan says. Where it is known beforehand that something takes a restart or
 * finds no room, nothing is changed; what fails later is left out. err lists all of it, as far as it has room. */
int mlbd_host_reconcile(struct mlbd_host *, struct mlbd_plan *, char err[512]);
#endif
