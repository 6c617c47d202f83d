/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "transparent.h"

static uint64_t dp_clock(void *arg)
{
	(void)arg;
	return mlbd_mono_ns();
}

uint32_t mlbd_threads_wanted(const struct mlbd_settings *s)
{
	uint32_t cpus = mlbd_cpus();

	return s->threads ? (uint32_t)s->threads : cpus < MLBD_AUTO_THREADS ? cpus : MLBD_AUTO_THREADS;
}

int mlbd_host_new(struct mlbd_host **out, const struct mlbd_settings *s, bool takeover, char err[256])
{
	struct mlbd_host *h = calloc(1, sizeof(*h));
	struct mlb_dp_conf conf = {
		.region = {
			.dataplane = "marllb-dp " MARLLB_VERSION,
			.dp_epoch = mlbd_real_ns(),
			.frame_us = (uint32_t)s->frame_ms * 1000,
			.lease_us = (uint32_t)s->lease_ms * 1000,
			.workers = mlbd_threads_wanted(s),
			.limits = { .vips = (uint32_t)s->max_vips, .servers = (uint32_t)s->max_servers },
			.takeover = takeover,
		},
		.no_region = strcmp(s->region, "off") == 0,
		.no_miss_ring = true,
		.live_by_worker = true,
		.seed = mlbd_real_ns() ^ ((uint64_t)getpid() << 32),
		.clock_ns = dp_clock,
	};
	int rc = -ENOMEM;

	snprintf(err, 256, "no memory");
	if (!h)
		return rc;
	if (s->transparent && (rc = mlbd_transparent_allowed(err))) {
		free(h);
		return rc;
	}
	pthread_mutex_init(&h->lock, NULL);
	h->settings = *s;
	conf.region.path = h->settings.region; /* the core keeps these: a region that is removed is made again */
	conf.region.instance = h->settings.instance;
	conf.region.group = s->region_group[0] ? h->settings.region_group : NULL;
	h->threads = mlbd_threads_wanted(s);
	rc = mlb_dp_new(&h->dp, &conf, h->threads, err);
	if (rc)
		goto fail;
	mlbd_host_publish_settings(h);
	*out = h;
	return 0;
fail:
	mlbd_host_free(h);
	return rc;
}

void mlbd_host_free(struct mlbd_host *h)
{
	if (!h)
		return;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];

		for (uint32_t k = 0; k < v->fds; k++)
			close(v->fd[k]);
		free(v->fd);
		free(v->slot);
		free(v->more);
		free(v->accept_proxy);
		free(v->per_source);
	}
	mlb_dp_free(h->dp);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void mlbd_host_publish_settings(struct mlbd_host *h)
{
	pthread_mutex_lock(&h->lock);
	h->live = h->settings;
	mlbd_log_time((enum mlbd_log_time)h->settings.log_time);
	atomic_fetch_add_explicit(&h->settings_version, 1, memory_order_relaxed);
	pthread_mutex_unlock(&h->lock);
}

int mlbd_host_may_set(struct mlbd_host *h, const struct mlbd_setting *k, const struct mlbd_settings *from, char err[256])
{
	if (mlbd_setting_same(k, from, &h->settings))
		return 0;
	if (!k->live) {
		snprintf(err, 256, "%s takes a restart (or a takeover) to change", k->name);
		return -EBUSY;
	}
	if (from->transparent && !h->settings.transparent && k->off == offsetof(struct mlbd_settings, transparent))
		return mlbd_transparent_allowed(err);
	return 0;
}

int mlbd_host_set(struct mlbd_host *h, const struct mlbd_setting *k, const struct mlbd_settings *from, char err[256])
{
	int rc = mlbd_host_may_set(h, k, from, err);

	if (rc || mlbd_setting_same(k, from, &h->settings))
		return rc;
	mlbd_setting_copy(k, &h->settings, from);
	mlbd_host_publish_settings(h);
	return 0;
}

uint8_t mlbd_vip_owner(const struct mlbd_host *h, const struct mlbd_vip *v)
{
	const struct mlb_vip_conf *c = mlb_dp_vip(h->dp, v->id);

	return c ? c->owner : v->conf.owner;
}
