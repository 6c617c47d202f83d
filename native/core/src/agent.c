/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_priv.h"

#include <arpa/inet.h>
#include <stdio.h>

int mlb_agent_attach(struct mlb_agent **out, const char *path, char err[256])
{
	struct mlb_agent *a = calloc(1, sizeof(*a));
	if (!a) {
		snprintf(err, 256, "no memory to attach to %.160s", path);
		return -ENOMEM;
	}
	int rc = mlb_region_attach(&a->region, path, err);
	if (rc != 0) {
		free(a);
		return rc;
	}
	const struct mlb_region_hdr *h = a->region.hdr;
	a->dp_epoch = h->dp_epoch;
	a->agent_epoch = atomic_load(&a->region.hdr->agent_epoch);
	memcpy(a->instance, h->instance, sizeof(a->instance) - 1);
	memcpy(a->dataplane, h->dataplane, sizeof(a->dataplane) - 1);
	a->frame_us = h->frame_us;
	a->lease_us = h->lease_us;
	a->workers = h->workers;
	a->out_size = a->region.blk[MLB_BLK_OUT].buf_size;
	a->in_size = a->region.blk[MLB_BLK_IN].buf_size > a->region.blk[MLB_BLK_POOL].buf_size ?
			     a->region.blk[MLB_BLK_IN].buf_size :
			     a->region.blk[MLB_BLK_POOL].buf_size;
	a->out = malloc(a->out_size);
	a->in = malloc(a->in_size);
	if (!a->out || !a->in) {
		mlb_agent_close(a);
		snprintf(err, 256, "no memory to attach to %.160s", path);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void mlb_agent_close(struct mlb_agent *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		free(a->vip[i].entry);
	mlb_region_close(&a->region, false);
	free(a->out);
	free(a->in);
	free(a);
}

void mlb_agent_info_of(const struct mlb_agent *a, struct mlb_agent_info *out)
{
	*out = (struct mlb_agent_info){ .instance = a->instance,
					.dataplane = a->dataplane,
					.dp_epoch = a->dp_epoch,
					.agent_epoch = a->agent_epoch,
					.frame_us = a->frame_us,
					.lease_us = a->lease_us,
					.workers = a->workers };
}

bool mlb_agent_replaced(const struct mlb_agent *a)
{
	return mlb_region_replaced(&a->region);
}

void mlb_agent_beat(struct mlb_agent *a)
{
	atomic_fetch_add_explicit(&a->region.hdr->agent_heartbeat, 1, memory_order_release);
}

uint32_t mlb_agent_wait(struct mlb_agent *a, uint32_t seen, uint64_t timeout_us)
{
	mlb_futex_wait(&a->region.hdr->out_futex, seen, timeout_us);
	return atomic_load_explicit(&a->region.hdr->out_futex, memory_order_acquire);
}

void mlb_agent_poke(struct mlb_agent *a)
{
	mlb_futex_wake(&a->region.hdr->out_futex);
}

const char *mlb_agent_refusal(uint32_t why)
{
	return why < MLB_REFUSE_COUNT ? mlb_refuse_names[why] : "unknown";
}

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

void mlb_agent_format(const struct mlb_addr *addr, uint16_t port, char text[64])
{
	char host[INET6_ADDRSTRLEN];
	bool v4 = memcmp(addr->b, v4_prefix, sizeof(v4_prefix)) == 0;
	if (!inet_ntop(v4 ? AF_INET : AF_INET6, addr->b + (v4 ? 12 : 0), host, sizeof(host)))
		host[0] = 0;
	snprintf(text, 64, v4 ? "%s:%u" : "[%s]:%u", host, port);
}

int mlb_agent_parse(const char *text, struct mlb_addr *addr, uint16_t *port)
{
	char host[64], *end;
	bool v6 = text[0] == '[';
	const char *colon = v6 ? strstr(text, "]:") : strrchr(text, ':');
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	const char *number = colon + (v6 ? 2 : 1);
	memcpy(host, text + v6, (size_t)(colon - text) - v6);
	host[(size_t)(colon - text) - v6] = 0;
	if (*number < '0' || *number > '9')
		return -EINVAL;
	unsigned long p = strtoul(number, &end, 10);
	if (*end || p > UINT16_MAX)
		return -EINVAL;
	if (!v6)
		memcpy(addr->b, v4_prefix, sizeof(v4_prefix));
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, addr->b + (v6 ? 0 : 12)) != 1)
		return -EINVAL;
	*port = (uint16_t)p;
	return 0;
}
