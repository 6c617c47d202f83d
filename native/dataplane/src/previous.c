/* SPDX-License-Identifier: Apache-2.0 */
#include "previous.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <marllb/endpoint.h>

#define FIRST_WAIT_MS 1000
#define MOST_TEXT (4u << 20)

void mlbd_previous_print(struct mlbd_host *h, struct mlbd_text *t)
{
	char ep[MLB_ENDPOINT_LEN];

	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++) {
		struct mlbd_vip *v = &h->vip[i];

		if (!v->used)
			continue;
		mlbd_text_add(t, "vip %s %u\n", v->conf.name, MLB_LD(v->conns) + MLB_LD(v->previous));
		for (uint32_t s = 0; s < v->conf.capacity; s++) {
			const struct mlb_server *server = mlb_dp_server_at(h->dp, v->id, s);
			uint32_t n = MLB_LD(v->slot[s].conns) + MLB_LD(v->slot[s].previous);

			if (server && n)
				mlbd_text_add(t, "server %s %u\n", mlb_endpoint_text(&server->ep, ep), n);
		}
	}
}

/* One VIP's counts, all at once: a worker that looks meanwhile must not find a zero that is not so. */
static void store(struct mlbd_vip *v, uint32_t conns, const uint32_t *of_slot)
{
	if (!v)
		return;
	atomic_store_explicit(&v->previous, conns, memory_order_relaxed);
	for (uint32_t s = 0; s < v->conf.capacity; s++)
		atomic_store_explicit(&v->slot[s].previous, of_slot[s], memory_order_relaxed);
}

static void understand(struct mlbd_host *h, char *text)
{
	static uint32_t of_slot[MLB_MAX_SERVERS_PER_VIP]; /* main thread only */
	struct mlbd_vip *v = NULL;
	uint32_t conns = 0, n;
	char *save, word[MLB_ENDPOINT_LEN];

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mlb_endpoint ep;
		const struct mlb_server *server;

		if (sscanf(line, "vip %31s %u", word, &n) == 2) {
			store(v, conns, of_slot);
			memset(of_slot, 0, sizeof(of_slot));
			v = mlbd_vip_find(h, word, NULL);
			conns = n;
		} else if (v && sscanf(line, "server %63s %u", word, &n) == 2 &&
			   mlb_endpoint_parse(word, false, &ep, NULL) == 0 && (server = mlbd_server_find(h, v, &ep))) {
			of_slot[server->slot] = n;
		}
	}
	store(v, conns, of_slot);
}

void mlbd_previous_end(struct mlbd_previous *p, struct mlbd_host *h)
{
	static const uint32_t none[MLB_MAX_SERVERS_PER_VIP];

	if (p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	mlbd_text_free(&p->in);
	for (uint32_t i = 0; i < MLB_MAX_VIPS; i++)
		if (h->vip[i].slot)
			store(&h->vip[i], 0, none);
}

/* True: an answer is complete. */
static bool complete(const struct mlbd_text *t)
{
	return (t->len == 3 || (t->len > 3 && t->s[t->len - 4] == '\n')) && strcmp(t->s + t->len - 3, "ok\n") == 0;
}

void mlbd_previous_poll(struct mlbd_previous *p, struct mlbd_host *h)
{
	char buf[16384];
	ssize_t n;

	if (p->fd < 0)
		return;
	while ((n = recv(p->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT)) > 0) {
		buf[n] = 0;
		mlbd_text_add(&p->in, "%s", buf);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || p->in.failed || p->in.len > MOST_TEXT) {
		mlbd_previous_end(p, h);
		return;
	}
	if (p->in.len && complete(&p->in)) {
		understand(h, p->in.s);
		p->in.len = 0;
		p->asked = false;
	}
	if (!p->asked)
		p->asked = send(p->fd, MLBD_PREVIOUS_ORDER, strlen(MLBD_PREVIOUS_ORDER), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

void mlbd_previous_begin(struct mlbd_previous *p, struct mlbd_host *h, int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	*p = (struct mlbd_previous){ .fd = fd };
	mlbd_previous_poll(p, h);
	while (p->fd >= 0 && p->asked && poll(&ready, 1, FIRST_WAIT_MS) == 1) {
		mlbd_previous_poll(p, h);
		if (p->in.len == 0) /* the first answer is in, and the next was asked for */
			return;
	}
	if (p->fd >= 0)
		mlbd_log("warn", "takeover: the previous data plane has not said yet how many connections it has");
}
