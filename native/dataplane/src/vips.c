/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs of the running data plane: the core keeps the list, this adds listeners, limits and PROXY headers. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "host.h"
#include "listen.h"
#include "own.h"
#include "parted.h"
#include "recount.h"
#include "udp_room.h"
#include "workers.h"

struct mlbd_vip *mlbd_vip_find(struct mlbd_host *h, const char *name, char err[256])
{
	struct mlbd_vip *only = NULL;
	char ignored[256];
	uint32_t n = 0;

	if (!err)
		err = ignored;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];

		if (!v->used)
			continue;
		if (name && strcmp(v->conf.name, name) == 0)
			return v;
		only = v;
		n++;
	}
	if (name && *name)
		snprintf(err, 256, "there is no vip %s", name);
	else if (n == 1)
		return only;
	else
		snprintf(err, 256, "expected vip NAME: %s", n ? "there are several" : "there is no vip yet");
	return NULL;
}

/* Own sockets, one a thread, or those handed over. */
static int listen_all(struct mlbd_host *h, struct mlbd_vip *v, const int *fd, uint32_t fds, char err[256])
{
	uint32_t n = fds > h->threads ? fds : h->threads;
	int rc = 0;

	v->fd = malloc(n * sizeof(*v->fd));
	if (!v->fd) {
		return mlbd_no_memory(err);
	}
	if (fds == 0) {
		rc = mlbd_listen(&v->conf.ep, n, (int)h->settings.backlog, h->settings.freebind, v->fd, err);
	} else {
		memcpy(v->fd, fd, fds * sizeof(*fd));
		n = fds;
	}
	if (rc) {
		free(v->fd);
		v->fd = NULL;
		return rc;
	}
	v->fds = n;
	return 0;
}

/* 0, or -errno: some workers have theirs. */
static int post_listeners(struct mlbd_host *h, struct mlbd_vip *v, char err[256])
{
	int failed = 0;

	for (uint32_t k = 0; k < h->threads; k++) {
		int fd[MLBD_MAX_THREADS];
		uint32_t n = 0;

		for (uint32_t i = k; i < v->fds; i += h->threads)
			fd[n++] = v->fd[i];
		if (n == 0) /* fewer listeners than threads: some threads share one */
			fd[n++] = v->fd[k % v->fds];
		int rc = mlbd_workers_listen(&h->worker[k], v->id, fd, n);

		if (rc < 0) {
			snprintf(err, 256, "vip %s: cannot give worker %u its listeners: %s", v->conf.name, k, strerror(-rc));
			failed = rc;
		}
	}
	return failed;
}

int mlbd_host_serve(struct mlbd_host *h, char err[256])
{
	bool again = h->serving;
	int rc = 0;

	h->serving = true;
	if (again)
		mlbd_workers_tell(h, &(struct mlbd_mail){ .kind = MLBD_MAIL_RESUME });
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];
		bool kept = again && v->conf.ep.proto == IPPROTO_UDP; /* the answers of its flows need the listeners */

		if (v->used && !kept && post_listeners(h, v, err))
			rc = -ENOMEM;
	}
	return rc;
}

void mlbd_host_pause(struct mlbd_host *h)
{
	mlbd_workers_tell(h, &(struct mlbd_mail){ .kind = MLBD_MAIL_STOP_ACCEPT });
}

void mlbd_host_refuse_new(struct mlbd_host *h)
{
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];
		int rc = 0;

		if (v->used && v->conf.ep.proto != IPPROTO_UDP)
			rc = mlbd_listen_refuse_new(v->fd, v->fds);
		if (rc)
			mlbd_log("warn", "vip %s: new clients are let in until the listeners close: %s", v->conf.name,
				 strerror(-rc));
	}
}

void mlbd_host_stop_accept(struct mlbd_host *h)
{
	mlbd_host_pause(h);
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];

		while (v->fds)
			close(v->fd[--v->fds]);
	}
}

/* The table comes before the limit that makes workers look at it. */
static int need_per_source(struct mlbd_vip *v, uint32_t most, char err[256])
{
	if (!most || v->per_source)
		return 0;
	v->per_source = mlbd_per_source_new(mlbd_real_ns() ^ (uint64_t)(uintptr_t)v);
	if (v->per_source)
		return 0;
	snprintf(err, 256, "no memory to count connections per source");
	return -ENOMEM;
}

/* *copy: NULL where there are none. */
static int copy_nets(struct mlbd_nets **copy, const struct mlbd_nets *nets, char err[256])
{
	*copy = NULL;
	if (!nets->n)
		return 0;
	*copy = malloc(sizeof(**copy));
	if (*copy) {
		**copy = *nets;
		return 0;
	}
	snprintf(err, 256, "no memory for the networks of accept-proxy");
	return -ENOMEM;
}

/* The old list may be in a worker's hands until it has answered. */
static void use_nets(struct mlbd_host *h, struct mlbd_vip *v, struct mlbd_nets *now)
{
	struct mlbd_nets *old = v->accept_proxy;

	atomic_store_explicit(&v->accept_proxy, now, memory_order_release);
	if (old)
		mlbd_workers_tell(h, &(struct mlbd_mail){ .kind = MLBD_MAIL_SYNC });
	free(old);
}

int mlbd_vip_add(struct mlbd_host *h, const struct mlbd_vip_opts *o, const int *fd, uint32_t fds, char err[256])
{
	struct mlbd_vip_opts opts = *o;
	struct mlbd_vip staged = { .conf = opts.conf };
	struct mlbd_vip *v;
	int *parted = NULL;
	struct mlbd_nets *nets = NULL;
	uint32_t id, taken = 0;
	char ignored[256];
	int rc;

	if ((rc = mlbd_addr_of_one("vip", &opts.conf.ep.addr, err)))
		return rc;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (h->vip[i].used && (rc = mlbd_vips_apart(&h->vip[i].conf, &opts.conf, err)))
			return rc;
	/* The sockets first: what the core is told must be the address that was bound. */
	if (fds == 0)
		taken = mlbd_parted_take(h, opts.conf.name, &opts.conf.ep, &parted);
	rc = listen_all(h, &staged, taken ? parted : fd, taken ? taken : fds, err);
	if (rc) {
		for (uint32_t i = 0; i < taken; i++)
			close(parted[i]);
		free(parted);
		return rc;
	}
	free(parted);
	rc = mlb_dp_vip_add(h->dp, &staged.conf, &id, err);
	if (rc == -ENOSPC) /* those on their way out hold places: a grace period later they are free */
		mlbd_parted_end(h, UINT64_MAX);
	if (rc)
		goto fail;
	v = &h->vip[id - 1];
	if (!v->slot)
		v->slot = calloc(MLB_MAX_SERVERS_PER_VIP, sizeof(*v->slot));
	rc = v->slot ? need_per_source(v, opts.max_per_source, err) : -ENOMEM;
	if (rc == 0)
		rc = copy_nets(&nets, &opts.accept_proxy, err);
	if (rc) {
		mlb_dp_vip_del(h->dp, id, err);
		snprintf(err, 256, "no memory");
		goto fail;
	}
	v->id = id;
	v->conf = staged.conf;
	v->fd = staged.fd;
	v->fds = staged.fds;
	v->mores = 0;
	use_nets(h, v, nets);
	atomic_store(&v->max_per_source, opts.max_per_source);
	atomic_store(&v->max_conns, opts.max_conns);
	atomic_store(&v->responses, opts.responses);
	atomic_store(&v->send_proxy, opts.send_proxy);
	atomic_store(&v->bad_proxy_headers, 0);
	atomic_store(&v->answers_dropped, 0);
	mlbd_udp_room_give(h, v);
	v->used = true;
	h->listeners_version++;
	rc = h->serving ? post_listeners(h, v, err) : 0;
	if (rc)
		mlbd_vip_del(h, v, ignored);
	return rc;
fail:
	for (uint32_t i = 0; i < staged.fds && !fds; i++)
		close(staged.fd[i]);
	free(staged.fd);
	return rc;
}

int mlbd_vip_may_change(const struct mlbd_vip *v, const struct mlbd_vip_opts *o, char err[256])
{
	const struct mlb_vip_conf *a = &v->conf, *b = &o->conf;
	bool same_port = b->ep.port == a->ep.port || b->ep.port == 0;

	if (mlb_addr_eq(&a->ep.addr, &b->ep.addr) && same_port && (!o->has_protocol || a->ep.proto == b->ep.proto) &&
	    (!o->has_other || (a->load == b->load && a->owner == b->owner && a->capacity == b->capacity && a->kappa == b->kappa &&
			       a->eject == b->eject && a->no_guard == b->no_guard && a->load_balancers == b->load_balancers)))
		return 0;
	snprintf(err, 256, "vip %s: only mode, limits and PROXY headers can change; for the rest: no vip %s, then vip %s ...",
		 a->name, a->name, a->name);
	return -EBUSY;
}

int mlbd_vip_change(struct mlbd_host *h, struct mlbd_vip *v, const struct mlbd_vip_opts *o, char err[256])
{
	const struct mlb_vip_conf *a = &v->conf, *b = &o->conf;
	struct mlbd_nets *nets = NULL;
	int rc = mlbd_vip_may_change(v, o, err);

	/* First what may fail, so that a change is made whole or not at all. */
	if (rc == 0 && o->has_max_per_source)
		rc = need_per_source(v, o->max_per_source, err);
	if (rc == 0 && o->has_accept_proxy)
		rc = copy_nets(&nets, &o->accept_proxy, err);
	if (rc == 0 && o->has_mode && b->mode != a->mode)
		rc = mlb_dp_set_mode(h->dp, v->id, (enum mlb_mode)b->mode, err);
	if (rc) {
		free(nets);
		return rc;
	}
	if (o->has_mode)
		v->conf.mode = b->mode;
	if (o->has_max_conns)
		atomic_store(&v->max_conns, o->max_conns);
	if (o->has_responses)
		atomic_store(&v->responses, o->responses);
	if (o->has_max_per_source)
		atomic_store(&v->max_per_source, o->max_per_source);
	if (o->has_send_proxy)
		atomic_store(&v->send_proxy, o->send_proxy);
	if (o->has_accept_proxy)
		use_nets(h, v, nets);
	return 0;
}

/* Every list of servers passes here: file, control socket, takeover, pool. The whole graph is looked at only for a server that is
 * a VIP. */
static int server_may(void *arg, uint32_t vip_id, const struct mlb_endpoint *ep, char err[256])
{
	struct mlbd_host *h = arg;
	const struct mlbd_vip *of = &h->vip[vip_id - 1];
	struct mlbd_plan *plan;
	bool known = false;
	int rc = mlbd_addr_of_one("server", &ep->addr, err);

	if (rc || !of->used)
		return rc;
	for (uint32_t i = 0; i < MLB_MAX_VIPS && !known; i++)
		known = h->vip[i].used && mlbd_leads_to(ep, &h->vip[i].conf.ep, mlbd_addr_is_local);
	if (!known)
		return 0;
	plan = malloc(sizeof(*plan));
	if (!plan || (rc = mlbd_host_plan(h, plan))) {
		free(plan);
		return mlbd_no_memory(err);
	}
	rc = mlbd_loop_check(plan, mlbd_plan_find(plan, of->conf.name), ep, mlbd_addr_is_local, err);
	mlbd_plan_free(plan);
	free(plan);
	return rc;
}

/* The agent may change a managed pool: what more is known of its servers comes from the VIP's own list, by address. */
static int server_up(void *arg, uint32_t vip_id, struct mlb_server *s)
{
	struct mlbd_host *h = arg;
	struct mlbd_vip *v = &h->vip[vip_id - 1];

	struct mlbd_server_more more = mlbd_server_more_of(v, &s->ep);

	if (v->slot)
		mlbd_server_tell(v, s->slot, &more);
	return 0;
}

static int server_close(void *arg, uint32_t vip_id, const struct mlb_server *s)
{
	(void)vip_id;
	return mlbd_workers_post(arg, &(struct mlbd_mail){ .kind = MLBD_MAIL_CLOSE, .server_id = s->id });
}

static void server_gone(void *arg, uint32_t vip_id, struct mlb_server *s)
{
	struct mlbd_host *h = arg;
	struct mlbd_vip *v = &h->vip[vip_id - 1];

	if (!v->slot)
		return;
	mlbd_server_tell(v, s->slot, &(struct mlbd_server_more){ 0 });
	atomic_store_explicit(&v->slot[s->slot].previous, 0, memory_order_relaxed);
}

static void notice(void *arg, const char *text)
{
	(void)arg;
	mlbd_log("warn", "%s", text);
}

void mlbd_vips_hook(struct mlbd_host *h)
{
	mlb_dp_set_hooks(h->dp, &(struct mlb_dp_hooks){ .arg = h,
							.server_may = server_may,
							.server_up = server_up,
							.server_gone = server_gone,
							.server_close = server_close,
							.recount = mlbd_recount_hook,
							.notice = notice });
}
