/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* recvmmsg, sendmmsg, ppoll */
#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "marllb/region.h"

#define BATCH 32u
#define LOOK_US 200000u /* whether the region is there, is still the same, and lives */
/* A flood costs no more than this a period: datagrams read at all, and MACs computed for addresses that are no member's. */
#define READ_MOST 2048u
#define STRANGERS_MOST 32u
/* Where all servers times all members are very many, the period grows, so that no more is sent: one datagram in so many us. */
#define SEND_EVERY_US 40u
#define RECEIVE_BUFFER (1 << 20)
#define TURNS 4u /* a period */

struct mlb_counts_link {
	struct mlb_counts_link_conf conf;
	char path[256];
	int fd, stop_fd, family;
	uint16_t port;
	pthread_mutex_t lock; /* over all below, but while the thread waits */
	struct mlb_counts *counts;
	struct mlb_region region; /* hdr NULL: not attached */
	char why[256];
	uint64_t live_seq, live_at_us; /* of the block live, and when it last changed */
	bool live, told;               /* live: the data plane counts; told: the block peer holds something */
	bool heard;                    /* something came since the last sum */
	uint64_t look_us, say_us, sum_us;
	uint32_t reads, strangers; /* left of this period */
	uint32_t members;
	struct mlb_endpoint member[MLB_COUNTS_MEMBERS];
	uint64_t sent, sent_bytes, unsent, cpu_us;
	/* Buffers. */
	uint64_t block[(sizeof(struct mlb_live_hdr) + MLB_MAX_SERVERS * sizeof(struct mlb_live)) / 8];
	struct mlb_counts_datagram out[MLB_COUNTS_PARTS];
	uint8_t in[BATCH][MLB_COUNTS_DATAGRAM + 1]; /* one more than good, so that what is too long is seen */
};

/* A member's address for this socket: one that takes both families wants IPv4 in IPv6's form. */
static socklen_t address_of(const struct mlb_counts_link *l, const struct mlb_endpoint *ep, struct sockaddr_storage *ss)
{
	if (l->family == AF_INET || !mlb_addr_is_v4(&ep->addr))
		return mlb_addr_to_sockaddr(&ep->addr, ep->port, ss);
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(ep->port) };
	memcpy(&in6->sin6_addr, ep->addr.b, 16);
	return sizeof(*in6);
}

static int open_socket(struct mlb_counts_link *l, char err[256])
{
	struct sockaddr_storage ss;
	char text[MLB_ENDPOINT_LEN];
	int off = 0, room = RECEIVE_BUFFER;
	l->family = mlb_addr_is_v4(&l->conf.listen.addr) ? AF_INET : AF_INET6;
	l->fd = socket(l->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	l->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->fd >= 0 && l->family == AF_INET6)
		setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (l->fd < 0 || l->stop_fd < 0 || bind(l->fd, (struct sockaddr *)&ss, address_of(l, &l->conf.listen, &ss)) != 0) {
		int rc = -errno;
		snprintf(err, 256, "counts: cannot listen on %s: %s", mlb_endpoint_text(&l->conf.listen, text), strerror(-rc));
		return rc;
	}
	setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)); /* as much as the system gives */
	socklen_t len = sizeof(ss);
	struct mlb_endpoint bound;
	getsockname(l->fd, (struct sockaddr *)&ss, &len);
	mlb_endpoint_from_sockaddr(&ss, &bound);
	l->port = bound.port;
	return 0;
}

int mlb_counts_link_new(struct mlb_counts_link **out, const struct mlb_counts_link_conf *conf, char err[256])
{
	struct mlb_counts_link *l = calloc(1, sizeof(*l));
	if (!l) {
		snprintf(err, 256, "counts: no memory");
		return -ENOMEM;
	}
	l->conf = *conf;
	l->fd = l->stop_fd = l->region.fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	snprintf(l->path, sizeof(l->path), "%s", conf->region);
	snprintf(l->why, sizeof(l->why), "not tried yet");
	int rc = mlb_counts_new(&l->counts, &conf->counts, err);
	if (rc == 0)
		rc = open_socket(l, err);
	if (rc != 0) {
		mlb_counts_link_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

uint16_t mlb_counts_link_port(const struct mlb_counts_link *l)
{
	return l->port;
}

static void ask(struct mlb_counts_link *l, uint32_t us)
{
	if (l->region.hdr)
		atomic_store_explicit(&l->region.hdr->live_us, us, memory_order_relaxed);
}

static void detach(struct mlb_counts_link *l)
{
	if (!l->region.hdr)
		return;
	ask(l, 0);
	mlb_region_close(&l->region, false);
	l->live = l->told = false;
}

static void look(struct mlb_counts_link *l, uint64_t now)
{
	if (now < l->look_us)
		return;
	l->look_us = now + LOOK_US;
	if (l->conf.cpu_us)
		l->cpu_us = l->conf.cpu_us();
	if (l->region.hdr && mlb_region_replaced(&l->region))
		detach(l);
	if (l->region.hdr || mlb_region_attach_peer(&l->region, l->path, l->why) != 0)
		return;
	l->live_seq = 0;
	l->live_at_us = now;
	snprintf(l->why, sizeof(l->why), "the data plane of %.160s has not counted yet", l->path);
}

/* The newest live counts. A data plane that publishes none does not live: what it had is over. */
static void read_own(struct mlb_counts_link *l, uint64_t now)
{
	if (!l->region.hdr)
		return;
	int64_t len = mlb_region_read(&l->region, MLB_BLK_LIVE, l->block, sizeof(l->block), &l->live_seq);
	const struct mlb_live_hdr *h = (const struct mlb_live_hdr *)l->block;
	if (len >= (int64_t)sizeof(*h) && h->entries <= MLB_MAX_SERVERS &&
	    sizeof(*h) + h->entries * sizeof(struct mlb_live) <= (uint64_t)len) {
		mlb_counts_own(l->counts, (const struct mlb_live *)(h + 1), h->entries);
		l->live_at_us = now;
		l->live = true;
	} else if (l->live && now - l->live_at_us > mlb_counts_valid_us(l->counts)) {
		l->live = false;
		snprintf(l->why, sizeof(l->why), "the data plane of %.160s does not count any more", l->path);
	}
}

static void send_all(struct mlb_counts_link *l, uint32_t parts)
{
	struct sockaddr_storage to[BATCH];
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	uint32_t n = 0, all = parts * l->members;
	for (uint32_t i = 0; i < all; i++) {
		struct mlb_counts_datagram *d = &l->out[i / l->members];
		socklen_t len = address_of(l, &l->member[i % l->members], &to[n]);
		v[n] = (struct iovec){ d->bytes, d->len };
		m[n] = (struct mmsghdr){ .msg_hdr = {
						 .msg_name = &to[n], .msg_namelen = len, .msg_iov = &v[n], .msg_iovlen = 1 } };
		if (++n < BATCH && i + 1 < all)
			continue;
		for (uint32_t done = 0; done < n;) {
			int k = sendmmsg(l->fd, m + done, n - done, MSG_DONTWAIT);
			l->unsent += k <= 0;
			for (int s = 0; s < k; s++)
				l->sent_bytes += m[done + (uint32_t)s].msg_len;
			l->sent += k > 0 ? (uint32_t)k : 0;
			done += k > 0 ? (uint32_t)k : 1; /* one that the kernel refuses is passed over */
		}
		n = 0;
	}
}

static void say(struct mlb_counts_link *l, uint64_t now)
{
	uint32_t period = l->conf.counts.period_us;
	if (now < l->say_us)
		return;
	l->say_us = now - l->say_us < period ? l->say_us + period : now + period;
	l->reads = READ_MOST;
	l->strangers = STRANGERS_MOST;
	if (l->members == 0)
		return;
	read_own(l, now);
	if (!l->live)
		return;
	uint32_t parts = mlb_counts_say(l->counts, now, l->conf.random(), l->out);
	send_all(l, parts);
	uint64_t least = (uint64_t)parts * l->members * SEND_EVERY_US;
	if (least > period)
		l->say_us = now + least;
}

static bool is_member(const struct mlb_counts_link *l, const struct mlb_addr *a)
{
	for (uint32_t i = 0; i < l->members; i++)
		if (mlb_addr_eq(&l->member[i].addr, a))
			return true;
	return false;
}

static void heard(struct mlb_counts_link *l, const uint8_t *bytes, uint32_t len, const struct sockaddr_storage *ss, uint64_t now)
{
	struct mlb_endpoint from;
	mlb_endpoint_from_sockaddr(ss, &from);
	if (!is_member(l, &from.addr)) {
		if (l->strangers == 0) {
			mlb_counts_refuse(l->counts, MLB_COUNTS_STRANGER);
			return;
		}
		l->strangers--;
	}
	if (mlb_counts_hear(l->counts, bytes, len, &from, now) == MLB_COUNTS_HEARD)
		l->heard = true;
}

static void receive(struct mlb_counts_link *l, uint64_t now)
{
	struct sockaddr_storage from[BATCH];
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	int n = BATCH;
	while (n == BATCH && l->reads > 0) {
		for (uint32_t i = 0; i < BATCH; i++) {
			v[i] = (struct iovec){ l->in[i], sizeof(l->in[i]) };
			m[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &from[i],
							      .msg_namelen = sizeof(from[i]),
							      .msg_iov = &v[i],
							      .msg_iovlen = 1 } };
		}
		n = recvmmsg(l->fd, m, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			heard(l, l->in[i], m[i].msg_len, &from[i], now);
		uint32_t got = n > 0 ? (uint32_t)n : 0;
		l->reads -= got < l->reads ? got : l->reads;
	}
}

/* Tells the data plane, when something is new, and in any case so often that it does not forget what still holds. */
static void tell(struct mlb_counts_link *l, uint64_t now)
{
	if (!l->region.hdr || (!l->heard && now < l->sum_us))
		return;
	l->heard = false;
	l->sum_us = now + l->conf.counts.period_us;
	read_own(l, now);
	struct mlb_peer_hdr *h = (struct mlb_peer_hdr *)l->block;
	int n = l->live ? mlb_counts_sum(l->counts, now, (struct mlb_peer *)(h + 1)) : -ENOENT;
	if (n < 0 && !l->told)
		return;
	l->told = n >= 0;
	*h = (struct mlb_peer_hdr){ .entries = n > 0 ? (uint32_t)n : 0, .valid_us = mlb_counts_valid_us(l->counts) };
	mlb_region_write(&l->region, MLB_BLK_PEER, h, sizeof(*h) + h->entries * sizeof(struct mlb_peer));
}

/* One turn; when the next is due. While counts are shared there are four a period: what came meanwhile is read together, for a
 * wake-up each would cost more than all that many senders say. */
static uint64_t turn(struct mlb_counts_link *l, uint64_t now)
{
	look(l, now);
	ask(l, l->members ? l->conf.counts.period_us / TURNS : 0);
	receive(l, now);
	say(l, now);
	tell(l, now);
	if (l->members == 0 && !l->told)
		return l->look_us;
	uint64_t next = now + l->conf.counts.period_us / TURNS;
	return next < l->say_us ? next : l->say_us;
}

void mlb_counts_link_run(struct mlb_counts_link *l)
{
	struct pollfd stop = { .fd = l->stop_fd, .events = POLLIN };
	while (!(stop.revents & POLLIN)) {
		pthread_mutex_lock(&l->lock);
		uint64_t next = turn(l, l->conf.now_us());
		pthread_mutex_unlock(&l->lock);
		uint64_t now = l->conf.now_us(), us = next > now ? next - now : 0;
		struct timespec ts = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
		if (ppoll(&stop, 1, &ts, NULL) < 0 && errno != EINTR)
			return;
	}
}

void mlb_counts_link_stop(struct mlb_counts_link *l)
{
	uint64_t one = 1;
	if (write(l->stop_fd, &one, sizeof(one)) < 0)
		return; /* its counter is full: it stops already */
}

void mlb_counts_link_members(struct mlb_counts_link *l, const struct mlb_endpoint *list, uint32_t n)
{
	pthread_mutex_lock(&l->lock);
	l->members = 0;
	for (uint32_t i = 0; i < n && l->members < MLB_COUNTS_MEMBERS; i++) {
		bool own = list[i].port == l->port && mlb_addr_eq(&list[i].addr, &l->conf.listen.addr);
		bool reachable = l->family == AF_INET6 || mlb_addr_is_v4(&list[i].addr);
		if (!own && reachable)
			l->member[l->members++] = list[i];
	}
	pthread_mutex_unlock(&l->lock);
}

void mlb_counts_link_figures(struct mlb_counts_link *l, struct mlb_counts_figures *f)
{
	pthread_mutex_lock(&l->lock);
	*f = (struct mlb_counts_figures){ .totals = *mlb_counts_totals_of(l->counts),
					  .sent = l->sent,
					  .sent_bytes = l->sent_bytes,
					  .unsent = l->unsent,
					  .cpu_us = l->cpu_us,
					  .members = l->members,
					  .attached = l->region.hdr && l->live };
	snprintf(f->why, sizeof(f->why), "%s", f->attached ? "" : l->why);
	f->peers = mlb_counts_peers(l->counts, l->conf.now_us(), f->peer);
	pthread_mutex_unlock(&l->lock);
}

void mlb_counts_link_free(struct mlb_counts_link *l)
{
	if (!l)
		return;
	detach(l);
	if (l->fd >= 0)
		close(l->fd);
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	mlb_counts_free(l->counts);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
