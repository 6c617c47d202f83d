/* SPDX-License-Identifier: Apache-2.0 */
#include "udp_room.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

#define MANY_ANSWERS 4u /* of the longest datagrams: fewer cannot have filled a socket's receive buffer */

/* Datagrams that this socket's receive buffer had no room for, since it was made, modulo 2^32. A kernel before 4.12 does not
 * tell. */
static uint32_t dropped(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

/* KiB that the kernel gives, half of what it says: the other half is for its own records. */
static uint64_t give_one(int fd, uint64_t kib)
{
	int want = (int)(kib << 10 > INT32_MAX / 2 ? INT32_MAX / 2 : kib << 10), got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof(want)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof(want));
	return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) == 0 ? (uint64_t)got / 2048 : kib;
}

void mlbd_udp_room_give(struct mlbd_host *h, struct mlbd_vip *v)
{
	uint64_t want = h->settings.udp_room, got = want;

	if (v->conf.ep.proto != IPPROTO_UDP)
		return;
	for (uint32_t i = 0; i < v->fds; i++) {
		uint64_t one = give_one(v->fd[i], want);

		got = one < got ? one : got;
		v->dropped[i] = dropped(v->fd[i]); /* by another process, where the listener was handed over */
	}
	if (got < want)
		mlbd_log("info",
			 "vip %s: udp-receive-buffer asks for %llu KiB and the kernel gives %llu (net.core.rmem_max): a longer "
			 "burst "
			 "is lost, and counted as datagrams-lost",
			 v->conf.name, (unsigned long long)want, (unsigned long long)got);
}

void mlbd_udp_room_give_all(struct mlbd_host *h)
{
	if (h->udp_room_given == h->settings.udp_room)
		return;
	mlbd_udp_room_count(h);
	h->udp_room_given = h->settings.udp_room;
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (h->vip[i].used)
			mlbd_udp_room_give(h, &h->vip[i]);
}

void mlbd_udp_room_count(struct mlbd_host *h)
{
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];
		uint64_t lost = 0;

		if (!v->used || v->conf.ep.proto != IPPROTO_UDP)
			continue;
		lost = atomic_exchange_explicit(&v->answers_dropped, 0, memory_order_relaxed);
		for (uint32_t k = 0; k < v->fds; k++) {
			uint32_t now = dropped(v->fd[k]);

			lost += now - v->dropped[k];
			v->dropped[k] = now;
		}
		if (lost)
			mlb_dp_datagrams_lost(h->dp, v->id, lost);
	}
}

void mlbd_udp_room_flow(struct mlbd_vip *v, int fd, uint32_t answers)
{
	uint32_t lost = answers < MANY_ANSWERS ? 0 : dropped(fd);

	if (lost)
		atomic_fetch_add_explicit(&v->answers_dropped, lost, memory_order_relaxed);
}
