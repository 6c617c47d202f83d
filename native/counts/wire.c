/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <netinet/in.h>
#include <string.h>

#include "marllb/endpoint.h"

#define MAGIC 0x43424c4du /* "MLBC" */
#define VERSION 2u        /* 1: at most 255 parts */
#define HEAD_LEN 84u
#define ECHO_LEN 24u
#define AT_PART 76u
#define AT_PARTS 78u
#define AT_ENTRIES 80u
enum { KIND_V6 = 1, KIND_UDP = 2 };

static void put(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get(const uint8_t *p, int bytes)
{
	uint64_t v = 0;
	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

uint64_t wire_tag(const char *name)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */
	for (const char *c = name; *c; c++)
		h = (h ^ (uint8_t)*c) * 0x100000001b3;
	return h;
}

void wire_begin(struct wire_writer *w, uint8_t *buf, const struct wire_head *h, const struct wire_echo *echo, uint32_t echoes)
{
	*w = (struct wire_writer){ .buf = buf, .len = HEAD_LEN };
	memset(buf, 0, HEAD_LEN);
	put(buf, MAGIC, 4);
	buf[4] = VERSION;
	put(buf + AT_PART, h->part, 2);
	buf[7] = (uint8_t)echoes;
	memcpy(buf + 8, h->from, strnlen(h->from, MLB_NAME_LEN - 1));
	put(buf + 40, h->epoch, 8);
	put(buf + 48, h->seq, 8);
	put(buf + 56, h->challenge, 8);
	put(buf + 64, h->list, 4);
	put(buf + 68, h->period_us, 4);
	put(buf + 72, h->sent_us, 4);
	for (uint32_t i = 0; i < echoes; i++, w->len += ECHO_LEN) {
		put(buf + w->len, echo[i].to, 8);
		put(buf + w->len + 8, echo[i].challenge, 8);
		put(buf + w->len + 16, echo[i].sent_us, 4);
		put(buf + w->len + 20, echo[i].hold_us, 4);
	}
}

static uint32_t put_count(uint8_t *p, uint32_t v)
{
	uint32_t n = 0;
	for (; v > 127; v >>= 7)
		p[n++] = (uint8_t)(v | 128);
	p[n++] = (uint8_t)v;
	return n;
}

bool wire_add(struct wire_writer *w, const struct wire_entry *e)
{
	uint8_t buf[32];
	bool v4 = mlb_addr_is_v4(&e->ep.addr);
	uint32_t addr = v4 ? 4 : 16, n = 1 + addr;
	buf[0] = (v4 ? 0 : KIND_V6) | (e->ep.proto == IPPROTO_UDP ? KIND_UDP : 0);
	memcpy(buf + 1, e->ep.addr.b + 16 - addr, addr);
	put(buf + n, e->ep.port, 2);
	n += 2;
	n += put_count(buf + n, e->flows < WIRE_COUNT_MOST ? e->flows : WIRE_COUNT_MOST);
	n += put_count(buf + n, e->waiting < WIRE_COUNT_MOST ? e->waiting : WIRE_COUNT_MOST);
	if (w->len + n + WIRE_MAC_LEN > MLB_COUNTS_DATAGRAM || w->entries == WIRE_ENTRIES)
		return false;
	memcpy(w->buf + w->len, buf, n);
	w->len += n;
	w->entries++;
	return true;
}

uint32_t wire_seal(struct wire_writer *w, uint16_t parts, const struct mlb_hmac *key)
{
	uint8_t mac[MLB_SHA256_LEN];
	put(w->buf + AT_PARTS, parts, 2);
	put(w->buf + AT_ENTRIES, w->entries, 2);
	mlb_hmac_sum(key, w->buf, w->len, mac);
	memcpy(w->buf + w->len, mac, WIRE_MAC_LEN);
	return w->len + WIRE_MAC_LEN;
}

static bool good_mac(const uint8_t *buf, size_t len, const struct mlb_hmac *key, uint32_t keys)
{
	for (uint32_t i = 0; i < keys; i++) {
		uint8_t mac[MLB_SHA256_LEN];
		mlb_hmac_sum(&key[i], buf, len, mac);
		if (mlb_hmac_equal(mac, buf + len, WIRE_MAC_LEN))
			return true;
	}
	return false;
}

/* As the configuration takes them: it is shown on terminals and is a label of metrics. */
static bool good_name(const char *name)
{
	size_t n = strnlen(name, MLB_NAME_LEN);
	if (n == 0 || n == MLB_NAME_LEN)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!word && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static bool read_head(struct wire_message *m, const uint8_t *buf)
{
	struct wire_head *h = &m->head;
	*h = (struct wire_head){ .part = (uint16_t)get(buf + AT_PART, 2),
				 .parts = (uint16_t)get(buf + AT_PARTS, 2),
				 .epoch = get(buf + 40, 8),
				 .seq = get(buf + 48, 8),
				 .challenge = get(buf + 56, 8),
				 .list = (uint32_t)get(buf + 64, 4),
				 .period_us = (uint32_t)get(buf + 68, 4),
				 .sent_us = (uint32_t)get(buf + 72, 4) };
	memcpy(h->from, buf + 8, MLB_NAME_LEN);
	m->echoes = buf[7];
	m->entries = (uint32_t)get(buf + AT_ENTRIES, 2);
	return good_name(h->from) && h->part < h->parts && h->parts <= MLB_COUNTS_PARTS && m->echoes <= WIRE_ECHOES &&
	       m->entries <= WIRE_ENTRIES;
}

struct cursor {
	const uint8_t *p, *end;
};

static bool read_count(struct cursor *c, uint32_t *v)
{
	*v = 0;
	for (int i = 0; i < 4 && c->p < c->end; i++) {
		uint8_t b = *c->p++;
		*v |= (uint32_t)(b & 127) << 7 * i;
		if (!(b & 128))
			return true;
	}
	return false;
}

static bool read_entry(struct cursor *c, struct wire_entry *e)
{
	if (c->p == c->end || *c->p > (KIND_V6 | KIND_UDP))
		return false;
	uint8_t kind = *c->p++;
	uint32_t addr = kind & KIND_V6 ? 16 : 4;
	if ((size_t)(c->end - c->p) < addr + 2)
		return false;
	*e = (struct wire_entry){ .ep = { .proto = kind & KIND_UDP ? IPPROTO_UDP : IPPROTO_TCP } };
	if (kind & KIND_V6)
		memcpy(e->ep.addr.b, c->p, 16);
	else
		e->ep.addr = mlb_addr_of_v4(c->p);
	e->ep.port = (uint16_t)get(c->p + addr, 2);
	c->p += addr + 2;
	return read_count(c, &e->flows) && read_count(c, &e->waiting);
}

enum mlb_counts_verdict wire_read(struct wire_message *m, const uint8_t *buf, size_t len, const struct mlb_hmac *key,
				  uint32_t keys)
{
	/* The cheap looks come first: the MAC costs microseconds. */
	if (len < HEAD_LEN + WIRE_MAC_LEN || len > MLB_COUNTS_DATAGRAM || get(buf, 4) != MAGIC)
		return MLB_COUNTS_MALFORMED;
	if (buf[4] != VERSION)
		return MLB_COUNTS_VERSION;
	if (!good_mac(buf, len - WIRE_MAC_LEN, key, keys))
		return MLB_COUNTS_MAC;
	struct cursor c = { buf + HEAD_LEN, buf + len - WIRE_MAC_LEN };
	if (!read_head(m, buf) || (size_t)(c.end - c.p) < m->echoes * ECHO_LEN)
		return MLB_COUNTS_MALFORMED;
	for (uint32_t i = 0; i < m->echoes; i++, c.p += ECHO_LEN)
		m->echo[i] = (struct wire_echo){ get(c.p, 8), get(c.p + 8, 8), (uint32_t)get(c.p + 16, 4),
						 (uint32_t)get(c.p + 20, 4) };
	bool absurd = m->head.period_us < WIRE_PERIOD_LEAST_US || m->head.period_us > WIRE_PERIOD_MOST_US;
	for (uint32_t i = 0; i < m->entries; i++) {
		if (!read_entry(&c, &m->entry[i]))
			return MLB_COUNTS_MALFORMED;
		absurd |= m->entry[i].flows > WIRE_COUNT_MOST || m->entry[i].waiting > WIRE_COUNT_MOST;
	}
	if (c.p != c.end)
		return MLB_COUNTS_MALFORMED;
	return absurd ? MLB_COUNTS_ABSURD : MLB_COUNTS_HEARD;
}
