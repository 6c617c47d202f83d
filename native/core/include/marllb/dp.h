/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane's main-thread side, the same for every host: VIPs and their server tables, reading msg_in and msg_pool, the
 * ladder's last step, ejection, summing the workers, publishing frames, reclaiming memory and slots. Main thread only, unless
 * a function says worker. Nothing here blocks; nothing here is on the packet path. */
#ifndef MARLLB_DP_H
#define MARLLB_DP_H
#include "region.h"
#include "worker.h"

struct mlb_dp;

struct mlb_dp_conf {
	struct mlb_region_conf region;
	bool one_way;        /* sees the client's side only */
	bool no_region;      /* simulator, tests: run without shared memory */
	bool live_by_worker; /* one worker calls mlb_dp_live; mlb_dp_poll is then wanted less often */
	bool no_miss_ring; /* the host meets no packets of unknown flows: tables carry rings in mode hash only (building takes ms)
			    */
	uint64_t seed;
	uint64_t (*clock_ns)(void *arg); /* CLOCK_MONOTONIC for the times of a swap; NULL: the time that mlb_dp_poll was given */
	void *clock_arg;
};

struct mlb_vip_conf {
	char name[MLB_NAME_LEN];
	struct mlb_endpoint ep;
	uint8_t prefix_len; /* of ep.addr, 128 = one address */
	uint8_t mode;       /* enum mlb_mode, default SED */
	uint8_t load;
	uint8_t owner;
	float kappa;             /* 0: 1 / load balancers */
	uint32_t capacity;       /* slots, 1..MLB_MAX_SERVERS_PER_VIP */
	bool eject;              /* local ejection, default on */
	bool no_guard;           /* do not hold servers at their fair share whose ends stand out (guard.h) */
	bool one_way;            /* this VIP's answers pass the data plane by (DSR); or-ed with mlb_dp_conf.one_way */
	uint32_t load_balancers; /* start value, default 1 */
};

struct mlb_server {
	uint32_t id, slot, flags;
	struct mlb_endpoint ep;
	float weight_static;
	void *host; /* the host's own per-server data (adjacency, connection limit) */
};

/* nworkers >= 1. err gets one sentence that names what and where. */
int mlb_dp_new(struct mlb_dp **, const struct mlb_dp_conf *, uint32_t nworkers, char err[256]);
void mlb_dp_free(struct mlb_dp *);
struct mlb_worker *mlb_dp_worker(struct mlb_dp *, uint32_t index);
struct mlb_region *mlb_dp_region(struct mlb_dp *);

/* A takeover has begun: the region's name is the successor's. Until then mlb_dp_poll looks about once a second whether the name
 * still is this data plane's, and makes the region again (same addresses, empty) where it was removed, or replaced by something
 * that no live data plane holds; hooks.notice says so. */
void mlb_dp_succeeded(struct mlb_dp *);

/* What is in force, over a restart: a new data plane begins with the last order of the one before. By a VIP's name: an override's
 * mode, term, ladder step, kappa, number of load balancers, a managed list; by a server's address: share, factor (mask), bias,
 * drain. It acts as VIPs and servers are added, so before the first new flow, and ends with the first vector of a directive.
 *
 * mlb_dp_new takes it from the region that it finds at its path: that of a data plane that died, or that is being taken over. A
 * host that takes over passes the newest, which it got from the other's mlb_dp_export, to mlb_dp_inherit before its first
 * mlb_dp_vip_add; that replaces what the region said. A clean stop removes the region, and so what was in force.
 *
 * Export returns the length in bytes; buf NULL: the length it needs; -EMSGSIZE. Inherit: -EPROTO where the bytes are another
 * release's or make no sense (then what the region said stays), -EBUSY where there are VIPs already. mlb_dp_inherited: number of
 * VIPs that something is known of, for the log. */
int64_t mlb_dp_export(const struct mlb_dp *, void *buf, uint64_t cap);
int mlb_dp_inherit(struct mlb_dp *, const void *state, uint64_t len, char err[256]);
uint32_t mlb_dp_inherited(const struct mlb_dp *);

/* VIPs. ids 1..limits.vips, the lowest that is free; a worker finds VIP id at worker->vip[id - 1]. A VIP is removed once its
 * flows are gone; delete stops new flows at once and refuses the id until then. */
int mlb_dp_vip_add(struct mlb_dp *, const struct mlb_vip_conf *, uint32_t *vip_id, char err[256]);
int mlb_dp_vip_del(struct mlb_dp *, uint32_t vip_id, char err[256]);
/* Makes the VIP what the configuration says, while it serves: mode (0: as it is), load, eject, no_guard, port and protocol of ep.
 * -EINVAL where it differs in anything else, which another VIP would have; then nothing changes. */
int mlb_dp_vip_edit(struct mlb_dp *, uint32_t vip_id, const struct mlb_vip_conf *, char err[256]);
const struct mlb_vip_conf *mlb_dp_vip(const struct mlb_dp *, uint32_t vip_id);

/* Servers: `local` edits; refused with -EPERM while the pool is managed. Duplicate address: -EEXIST. weight 1e-6 .. 1e6. */
int mlb_dp_server_add(struct mlb_dp *, uint32_t vip_id, const struct mlb_endpoint *, float weight, uint32_t *id, char err[256]);
int mlb_dp_server_del(struct mlb_dp *, uint32_t vip_id, const struct mlb_endpoint *, char err[256]); /* flows run on */
int mlb_dp_server_drain(struct mlb_dp *, uint32_t vip_id, const struct mlb_endpoint *, bool drain, char err[256]);
int mlb_dp_server_weight(struct mlb_dp *, uint32_t vip_id, const struct mlb_endpoint *, float weight, char err[256]);
/* The whole wanted list at once: adds what is new, keeps what stays, removes what is absent. A managed VIP takes one, as its
 * first. */
int mlb_dp_server_set(struct mlb_dp *, uint32_t vip_id, const struct mlb_endpoint *, const float *weight, uint32_t n,
		      char err[256]);
/* Datagrams of this VIP that the kernel dropped since the last call. */
void mlb_dp_datagrams_lost(struct mlb_dp *, uint32_t vip_id, uint64_t n);
int mlb_dp_set_mode(struct mlb_dp *, uint32_t vip_id, enum mlb_mode, char err[256]);

/* Applies one vector as if it had come by msg_in (simulator, tests): MLB_REFUSE_NONE also where it was seen before. */
enum mlb_refuse mlb_dp_apply(struct mlb_dp *, const struct mlb_in_vip *, const struct mlb_in_entry *);

/* Worker-safe: the endpoint behind a slot while a flow of this worker holds it. A worker reads id, ep and host, nothing else. */
const struct mlb_server *mlb_dp_server_at(const struct mlb_dp *, uint32_t vip_id, uint32_t slot);
enum mlb_connect {
	MLB_CONNECT_OK,
	MLB_CONNECT_REFUSED,
	MLB_CONNECT_UNANSWERED, /* counts only where no connect was answered since this one began */
	MLB_CONNECT_UNMADE,     /* not tried, or given up before an answer: it says nothing, and the next flow is the probe */
};
/* Worker-safe: outcome of a connect, for local ejection. A failure holds its server back for 10 ms, a second in a row for 20 ms,
 * a third ejects it for 1 s, doubling to 30 s; then one new flow is its probe. Refusals less than 10 ms apart count once. At most
 * half of the pool is out at a time. began_us: the now_us of the choice. */
void mlb_dp_connect_result(struct mlb_dp *, struct mlb_worker *, uint32_t vip_id, uint32_t slot, enum mlb_connect,
			   uint64_t began_us, uint64_t now_us);

/* Worker-safe: the server for a new flow, as mlb_choose over the VIP's table, MLB_NONE if there is none. A server that was put
 * out and whose time is over is given to one flow only, the probe, until its mlb_dp_connect_result comes, or 5 s passed: then
 * another one is, but in a UDP VIP, where no refusal for so long is all that a server without answers can say of itself. A host
 * that asks again for a flow whose connect failed sets wvip->q of the servers tried to MLB_Q_TRIED meanwhile. */
uint32_t mlb_dp_choose(struct mlb_dp *, struct mlb_worker *, uint32_t vip_id, uint64_t flow_hash, uint64_t now_us);
/* Worker-safe: for a flow whose connect failed, when mlb_dp_choose has nobody but servers that it tried: one that is masked by
 * what was found of it (MLB_IN_LAST_RESORT), never one that an order keeps from new flows; at random, not those of wvip->q
 * MLB_Q_TRIED or above. A connect that fails there says nothing new of the server. MLB_NONE: there is none. */
uint32_t mlb_dp_last_resort(struct mlb_dp *, struct mlb_worker *, uint32_t vip_id);
/* Worker-safe: the same question about a server that a host prefers for a new flow (client affinity): may it take one? False
 * where it is masked, drained or ejected; true for one flow that becomes the probe. */
bool mlb_dp_admits(struct mlb_dp *, struct mlb_worker *, uint32_t vip_id, uint32_t slot, uint64_t now_us);

/* Called by the worker at the top of each loop (or packet vector): a quiescent state; refreshes `others` at most every ms. */
void mlb_dp_worker_loop(struct mlb_dp *, struct mlb_worker *, uint64_t now_us);
/* Publishes the live counts and takes those of others where mlb_dp_conf.live_by_worker says so: for a host whose main thread
 * shares cores with its workers, who are awake anyway. One worker, between two loops, first after mlb_dp_poll has been called
 * once. Returns when it wants to be called again, UINT64_MAX = never. */
uint64_t mlb_dp_live(struct mlb_dp *, uint64_t now_us);
/* Around a blocking wait: a worker that is idle holds no pointer to a table or server and counts as quiescent. So it is from the
 * start until its first mlb_dp_worker_loop. */
void mlb_dp_worker_idle(struct mlb_worker *, bool idle);

/* What workers may still read of the host's: free_fn(ptr) is called once none can any more. Main thread. The room for one is made
 * first, -ENOMEM, so that what took its place need not be taken back. */
int mlb_dp_retire_reserve(struct mlb_dp *);
void mlb_dp_retire(struct mlb_dp *, void (*free_fn)(void *), void *ptr);

/* Host hooks, main thread. */
struct mlb_dp_hooks {
	void *arg;
	/* May the VIP have this server? NULL: it may. Asked of each server that joins, before anything of the list changes, so
	 * that a list is taken whole or not at all. Negative errno and one sentence refuse it. */
	int (*server_may)(void *arg, uint32_t vip_id, const struct mlb_endpoint *, char err[256]);
	int (*server_up)(void *arg, uint32_t vip_id, struct mlb_server *);    /* before the first flow; nonzero refuses it */
	void (*server_gone)(void *arg, uint32_t vip_id, struct mlb_server *); /* after the last flow and a grace period */
	/* The server's flows are to end now, each counted as MLB_END_CLOSED: an order that is in force already, so none begins
	 * after this. Nonzero: not all could be told, so it is asked again with the next vector that orders it. NULL: the host
	 * cannot, and its frames say so. */
	int (*server_close)(void *arg, uint32_t vip_id, const struct mlb_server *);
	/* The shares of new flows that are in force from now on, for a data plane that only steers another load balancer; NULL:
	 * nobody wants them. share[slot] sums to 1, or to 0 without a server; 0 = no new flows; mlb_dp_server_at says who is in
	 * a slot. At each change of servers, weights or masks. It must not change VIPs or servers. */
	void (*weights)(void *arg, uint32_t vip_id, const float *share, uint32_t n);
	/* One sentence for the log; NULL: nobody reads it. */
	void (*notice)(void *arg, const char *text);
	/* Once a second; NULL: no recount. Adds to diff[slot] what each worker found when it last walked its own flow table
	 * beside its own counters: |counted - found|. Only the worker can compare the two at one moment. */
	void (*recount)(void *arg, uint32_t vip_id, uint32_t *diff, uint32_t n);
};
void mlb_dp_set_hooks(struct mlb_dp *, const struct mlb_dp_hooks *);

/* The main thread's step; call at least every millisecond, or at once when in_futex changed and else when the time it returned is
 * over: microseconds until it wants to be called again at the latest (at most 10 ms, with live_by_worker 100 ms). real_ns:
 * CLOCK_REALTIME. */
uint64_t mlb_dp_poll(struct mlb_dp *, uint64_t now_us, uint64_t real_ns);

/* VIP vip_id's newest frame, whole until the next mlb_dp_poll. Returns count of records, -ENOENT. */
int mlb_dp_frame_at(const struct mlb_dp *, uint32_t vip_id, const struct mlb_frame_hdr **, const struct mlb_server_rec **);
/* Copies VIP vip_id's newest frame: for `show` commands. Returns count of records, -ENOENT. */
int mlb_dp_frame(const struct mlb_dp *, uint32_t vip_id, struct mlb_frame_hdr *, struct mlb_server_rec *, uint32_t cap);
#endif
