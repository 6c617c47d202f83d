/* SPDX-License-Identifier: Apache-2.0 */
#include "counts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define CHALLENGE_US 8000000u /* a challenge is new so often; the one before is good, too */
#define FORGET_US 60000000u   /* a sender that was silent for so long gives its place to another */
#define ECHO_US 10000000u     /* a sender that was silent for so long is not told that it is heard */
#define WAY_MOST_US 10000000  /* there and back; what is longer is no measurement */
#define DECAY (1. / 16)

int mlb_counts_new(struct mlb_counts **out, const struct mlb_counts_conf *conf, char err[256])
{
	if (conf->period_us < WIRE_PERIOD_LEAST_US || conf->period_us > WIRE_PERIOD_MOST_US) {
		snprintf(err, 256, "counts: the period must be %u to %u us, not %u", WIRE_PERIOD_LEAST_US, WIRE_PERIOD_MOST_US,
			 conf->period_us);
		return -EINVAL;
	}
	if (conf->keys < 1 || conf->keys > MLB_COUNTS_KEYS) {
		snprintf(err, 256, "counts: expected 1 to %u keys, found %u", MLB_COUNTS_KEYS, conf->keys);
		return -EINVAL;
	}
	struct mlb_counts *c = calloc(1, sizeof(*c));
	if (!c) {
		snprintf(err, 256, "counts: no memory");
		return -ENOMEM;
	}
	memcpy(c->instance, conf->instance, sizeof(c->instance) - 1);
	c->tag = wire_tag(c->instance);
	c->epoch = conf->epoch;
	c->period_us = conf->period_us;
	c->keys = conf->keys;
	for (uint32_t i = 0; i < conf->keys; i++) {
		if (conf->key[i].len < MLB_COUNTS_KEY_LEAST) {
			snprintf(err, 256, "counts: a key has at least %u bytes, not %zu", MLB_COUNTS_KEY_LEAST,
				 conf->key[i].len);
			free(c);
			return -EINVAL;
		}
		mlb_hmac_key(&c->key[i], conf->key[i].data, conf->key[i].len);
	}
	*out = c;
	return 0;
}

void mlb_counts_free(struct mlb_counts *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->peers; i++) {
		peer_clear(c->peer[i]);
		free(c->peer[i]);
	}
	free(c);
}

void mlb_counts_own(struct mlb_counts *c, const struct mlb_live *l, uint32_t n)
{
	if (!own_set(&c->own, l, n))
		return;
	for (uint32_t i = 0; i < c->peers; i++)
		peer_rekey(c->peer[i], &c->own);
}

/* To those heard lately, in turn where they are many. */
static uint32_t echoes(struct mlb_counts *c, uint64_t now_us, struct wire_echo out[WIRE_ECHOES])
{
	uint32_t n = 0, i = 0;
	for (; i < c->peers && n < WIRE_ECHOES; i++) {
		const struct peer *p = c->peer[(c->echo_next + i) % c->peers];
		if (p->challenge_at_us && now_us - p->challenge_at_us < ECHO_US)
			out[n++] =
				(struct wire_echo){ p->tag, p->challenge, p->sent_us, (uint32_t)(now_us - p->challenge_at_us) };
	}
	c->echo_next = c->peers ? (c->echo_next + i) % c->peers : 0;
	return n;
}

uint32_t mlb_counts_say(struct mlb_counts *c, uint64_t now_us, uint64_t random, struct mlb_counts_datagram out[MLB_COUNTS_PARTS])
{
	if (now_us >= c->challenge_until_us) {
		c->challenge_before = c->challenge_until_us ? c->challenge : random;
		c->challenge = random;
		c->challenge_until_us = now_us + CHALLENGE_US;
	}
	struct wire_echo echo[WIRE_ECHOES];
	struct wire_writer w[MLB_COUNTS_PARTS];
	struct wire_head h = { .epoch = c->epoch,
			       .challenge = c->challenge,
			       .list = c->own.version,
			       .period_us = c->period_us,
			       .sent_us = (uint32_t)now_us };
	memcpy(h.from, c->instance, sizeof(h.from));
	uint32_t parts = 0, k = 0;
	do {
		h.part = (uint16_t)parts;
		h.seq = ++c->seq;
		wire_begin(&w[parts], out[parts].bytes, &h, echo, parts == 0 ? echoes(c, now_us, echo) : 0);
		while (k < c->own.keys && wire_add(&w[parts], &c->own.key[k]))
			k++;
		parts++;
	} while (k < c->own.keys && parts < MLB_COUNTS_PARTS);
	for (uint32_t i = 0; i < parts; i++) {
		out[i].len = wire_seal(&w[i], (uint16_t)parts, &c->key[0]);
		c->totals.said_bytes += out[i].len;
	}
	c->totals.said += parts;
	return parts;
}

/* Its record, made at its first datagram; NULL: there is no room. */
static struct peer *peer_of(struct mlb_counts *c, const char *name, uint64_t now_us)
{
	uint64_t tag = wire_tag(name);
	struct peer *oldest = NULL;
	for (uint32_t i = 0; i < c->peers; i++) {
		struct peer *p = c->peer[i];
		if (p->tag == tag && strcmp(p->instance, name) == 0)
			return p;
		if (!oldest || p->challenge_at_us < oldest->challenge_at_us)
			oldest = p;
	}
	struct peer *p = NULL;
	if (c->peers < MLB_COUNTS_PEERS) {
		p = calloc(1, sizeof(*p));
		if (p)
			c->peer[c->peers++] = p;
	} else if (now_us - oldest->challenge_at_us >= FORGET_US) {
		p = oldest;
		peer_clear(p);
		memset(p, 0, sizeof(*p));
	}
	if (p) {
		memcpy(p->instance, name, sizeof(p->instance));
		p->tag = tag;
	}
	return p;
}

/* What the message says to us; NULL: nothing, or it answers a challenge that is over. */
static const struct wire_echo *echo_to_us(const struct mlb_counts *c, const struct wire_message *m)
{
	for (uint32_t i = 0; i < m->echoes; i++)
		if (m->echo[i].to == c->tag && c->challenge_until_us &&
		    (m->echo[i].challenge == c->challenge || m->echo[i].challenge == c->challenge_before))
			return &m->echo[i];
	return NULL;
}

static void remember(struct peer *p, const struct wire_head *h, const struct mlb_endpoint *from, uint64_t now_us)
{
	p->from = *from;
	p->challenge = h->challenge;
	p->sent_us = h->sent_us;
	p->challenge_at_us = now_us;
}

static enum mlb_counts_verdict admit(const struct mlb_counts *c, struct peer *p, const struct wire_message *m,
				     const struct mlb_endpoint *from, uint64_t now_us)
{
	const struct wire_head *h = &m->head;
	if (p->proven && h->epoch == p->epoch) {
		if (h->seq <= p->seq) {
			p->repeated++;
			return MLB_COUNTS_REPEATED;
		}
		p->lost += h->seq - p->seq - 1;
		p->seq = h->seq;
		return MLB_COUNTS_HEARD;
	}
	bool alive = peer_alive(p, c->period_us, now_us);
	/* A sender whose wall clock was set back begins with a lesser epoch. It is heard when what anybody could have recorded of
	 * a life before the last one echoes no challenge of now. */
	if (p->proven && h->epoch < p->epoch && now_us - p->heard_us < 2 * CHALLENGE_US)
		return MLB_COUNTS_OLD;
	if (!echo_to_us(c, m)) {
		if (!alive)
			remember(p, h, from, now_us);
		return MLB_COUNTS_UNPROVEN;
	}
	peer_clear(p);
	p->proven = true;
	p->epoch = h->epoch;
	p->seq = h->seq;
	return MLB_COUNTS_HEARD;
}

static void measure(struct peer *p, const struct wire_echo *echo, uint64_t now_us)
{
	int32_t way = (int32_t)((uint32_t)now_us - echo->sent_us - echo->hold_us);
	if (way < 0 || way > WAY_MOST_US)
		return;
	double delay = way / 2.;
	if (p->delay_us == 0) {
		p->delay_us = delay;
		return;
	}
	p->jitter_us += DECAY * (fabs(delay - p->delay_us) - p->jitter_us);
	p->delay_us += DECAY * (delay - p->delay_us);
}

static enum mlb_counts_verdict hear(struct mlb_counts *c, const struct wire_message *m, const struct mlb_endpoint *from,
				    uint64_t now_us)
{
	const struct wire_head *h = &m->head;
	if (strcmp(h->from, c->instance) == 0)
		return h->epoch == c->epoch ? MLB_COUNTS_OWN : MLB_COUNTS_NAME;
	struct peer *p = peer_of(c, h->from, now_us);
	if (!p)
		return MLB_COUNTS_FULL;
	enum mlb_counts_verdict v = admit(c, p, m, from, now_us);
	if (v != MLB_COUNTS_HEARD)
		return v;
	p->heard++;
	remember(p, h, from, now_us);
	const struct wire_echo *echo = echo_to_us(c, m);
	if (echo)
		measure(p, echo, now_us);
	return peer_take(p, m, &c->own, now_us) ? v : MLB_COUNTS_FULL;
}

enum mlb_counts_verdict mlb_counts_hear(struct mlb_counts *c, const void *datagram, size_t len, const struct mlb_endpoint *from,
					uint64_t now_us)
{
	struct wire_message m;
	enum mlb_counts_verdict v = wire_read(&m, datagram, len, c->key, c->keys);
	if (v == MLB_COUNTS_HEARD)
		v = hear(c, &m, from, now_us);
	c->totals.verdict[v]++;
	c->totals.heard_bytes += len;
	return v;
}

void mlb_counts_refuse(struct mlb_counts *c, enum mlb_counts_verdict v)
{
	c->totals.verdict[v]++;
}

/* Adds up what is still good by this load balancer's keys. False: nobody is heard. */
static bool gather(struct mlb_counts *c, uint64_t now_us)
{
	bool any = false;
	memset(c->theirs, 0, c->own.keys * sizeof(c->theirs[0]));
	for (uint32_t i = 0; i < c->peers; i++) {
		const struct peer *p = c->peer[i];
		uint64_t expiry = peer_expiry_us(p, c->period_us);
		if (!peer_alive(p, c->period_us, now_us))
			continue;
		any = true;
		for (uint32_t k = 0; k < p->parts; k++) {
			const struct part *part = p->part[k];
			if (!part || now_us - part->at_us > expiry)
				continue;
			for (uint32_t e = 0; e < part->n; e++) {
				if (part->entry[e].key == MLB_NONE)
					continue;
				c->theirs[part->entry[e].key].flows += part->entry[e].e.flows;
				c->theirs[part->entry[e].key].waiting += part->entry[e].e.waiting;
			}
		}
	}
	return any;
}

static uint32_t clip(uint64_t count)
{
	return count < WIRE_COUNT_MOST ? (uint32_t)count : WIRE_COUNT_MOST;
}

int mlb_counts_sum(struct mlb_counts *c, uint64_t now_us, struct mlb_peer out[MLB_MAX_SERVERS])
{
	int n = 0;
	if (!gather(c, now_us))
		return -ENOENT;
	for (uint32_t i = 0; i < c->own.n; i++) {
		const struct mlb_live *l = &c->own.live[i];
		uint32_t k = c->own.key_of[i];
		/* What other VIPs of this load balancer have there, and what the other load balancers have. */
		uint64_t flows = c->own.key[k].flows - l->flows + c->theirs[k].flows;
		uint64_t waiting = c->own.key[k].waiting - l->waiting + c->theirs[k].waiting;
		if (flows || waiting)
			out[n++] = (struct mlb_peer){ .vip_id = l->vip_id,
						      .server_id = l->server_id,
						      .slot = l->slot,
						      .flows = clip(flows),
						      .waiting = clip(waiting) };
	}
	return n;
}

uint32_t mlb_counts_valid_us(const struct mlb_counts *c)
{
	return (uint32_t)peer_expiry_us(NULL, c->period_us);
}

uint32_t mlb_counts_peers(const struct mlb_counts *c, uint64_t now_us, struct mlb_counts_peer out[MLB_COUNTS_PEERS])
{
	for (uint32_t i = 0; i < c->peers; i++) {
		const struct peer *p = c->peer[i];
		out[i] = (struct mlb_counts_peer){ .from = p->from,
						   .alive = peer_alive(p, c->period_us, now_us),
						   .period_us = p->period_us,
						   .heard = p->heard,
						   .lost = p->lost,
						   .repeated = p->repeated,
						   .age_us = now_us - (p->proven ? p->heard_us : p->challenge_at_us),
						   .delay_us = p->delay_us,
						   .jitter_us = p->jitter_us };
		memcpy(out[i].instance, p->instance, sizeof(out[i].instance));
		for (uint32_t k = 0; k < p->parts; k++)
			for (uint32_t e = 0; p->part[k] && e < p->part[k]->n; e++) {
				out[i].servers++;
				out[i].shared += p->part[k]->entry[e].key != MLB_NONE;
			}
	}
	return c->peers;
}

const struct mlb_counts_totals *mlb_counts_totals_of(const struct mlb_counts *c)
{
	return &c->totals;
}
