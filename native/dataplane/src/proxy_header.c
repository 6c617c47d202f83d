/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <marllb/endpoint.h>

#define V1_START "PROXY "
#define V1_START_LEN 6u
#define V2_START_LEN 12u
#define V2_FIXED 16u /* signature, version and command, family and protocol, length */

static const uint8_t v2_start[V2_START_LEN] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_FAMILIES = 4, V2_PROTOCOLS = 3 };

static bool begins(const uint8_t *data, size_t n, const void *start, size_t len)
{
	return memcmp(data, start, n < len ? n : len) == 0;
}

/* A decimal number from 0 to 65535 without leading zeros. */
static bool parse_port(const char *text, uint16_t *port)
{
	uint32_t v = 0;
	size_t n = strlen(text);

	if (n == 0 || n > 5 || (n > 1 && text[0] == '0') || text[strspn(text, "0123456789")])
		return false;
	for (; *text; text++)
		v = v * 10 + (uint32_t)(*text - '0');
	*port = (uint16_t)v;
	return v <= UINT16_MAX;
}

static bool parse_address(int family, const char *text, struct mlb_addr *addr)
{
	uint8_t raw[16];

	if (inet_pton(family, text, raw) != 1)
		return false;
	if (family == AF_INET)
		*addr = mlb_addr_of_v4(raw);
	else
		memcpy(addr->b, raw, sizeof(raw));
	return true;
}

/* "TCP4 SOURCE DESTINATION PORT PORT", exactly one space between two words. */
static bool parse_v1_words(char *text, struct mlbd_proxy_header *h)
{
	char *word[5];
	int family;

	for (int i = 0; i < 5; i++) {
		char *space = strchr(text, ' ');

		if ((i < 4) != (space != NULL))
			return false;
		if (space)
			*space = 0;
		word[i] = text;
		text = space ? space + 1 : text;
	}
	if (strcmp(word[0], "TCP4") == 0)
		family = AF_INET;
	else if (strcmp(word[0], "TCP6") == 0)
		family = AF_INET6;
	else
		return false;
	h->has_addresses = true;
	return parse_address(family, word[1], &h->source.addr) && parse_address(family, word[2], &h->destination.addr) &&
	       parse_port(word[3], &h->source.port) && parse_port(word[4], &h->destination.port);
}

static int parse_v1(const uint8_t *data, size_t n, struct mlbd_proxy_header *h)
{
	size_t most = n < MLBD_PROXY_V1_MOST ? n : MLBD_PROXY_V1_MOST;
	const uint8_t *cr = memchr(data, '\r', most);
	char line[MLBD_PROXY_V1_MOST + 1];
	size_t len;

	if (!cr)
		return n < MLBD_PROXY_V1_MOST ? 0 : -EPROTO;
	len = (size_t)(cr - data);
	if (len + 1 == MLBD_PROXY_V1_MOST)
		return -EPROTO;
	if (len + 1 == n)
		return 0;
	if (data[len + 1] != '\n' || memchr(data, 0, len))
		return -EPROTO;
	memcpy(line, data, len);
	line[len] = 0;
	char *words = line + V1_START_LEN;

	/* The rest of an UNKNOWN line is to be ignored. */
	if (strncmp(words, "UNKNOWN", 7) == 0 && (words[7] == 0 || words[7] == ' '))
		return (int)len + 2;
	return parse_v1_words(words, h) ? (int)len + 2 : -EPROTO;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* What stands behind the addresses: a type, a length of two bytes, and so many bytes; again, up to the end. */
static bool whole_tlvs(const uint8_t *at, size_t n)
{
	while (n >= 3 && n - 3 >= get16(at + 1)) {
		size_t len = 3u + get16(at + 1);

		at += len;
		n -= len;
	}
	return n == 0;
}

static int parse_v2(const uint8_t *data, size_t n, struct mlbd_proxy_header *h)
{
	const uint8_t *at = data + V2_FIXED;

	if (n > V2_START_LEN && data[12] != V2_LOCAL && data[12] != V2_PROXY)
		return -EPROTO;
	if (n > 13 && (data[13] >> 4 >= V2_FAMILIES || (data[13] & 15) >= V2_PROTOCOLS))
		return -EPROTO;
	if (n < V2_FIXED)
		return 0;
	uint32_t addresses = get16(data + 14), total = V2_FIXED + addresses;
	bool tcp4 = data[12] == V2_PROXY && data[13] == V2_TCP4, tcp6 = data[12] == V2_PROXY && data[13] == V2_TCP6;

	if (total > MLBD_PROXY_MOST || (tcp4 && addresses < 12) || (tcp6 && addresses < 36))
		return -EPROTO;
	if (n < total)
		return 0;
	if (tcp4) {
		h->source.addr = mlb_addr_of_v4(at);
		h->destination.addr = mlb_addr_of_v4(at + 4);
		at += 8;
	} else if (tcp6) {
		memcpy(h->source.addr.b, at, 16);
		memcpy(h->destination.addr.b, at + 16, 16);
		at += 32;
	}
	h->has_addresses = tcp4 || tcp6;
	if (!h->has_addresses)
		return (int)total;
	h->source.port = get16(at);
	h->destination.port = get16(at + 2);
	at += 4;
	return whole_tlvs(at, (size_t)(data + total - at)) ? (int)total : -EPROTO;
}

int mlbd_proxy_parse(const uint8_t *data, size_t n, struct mlbd_proxy_header *h)
{
	memset(h, 0, sizeof(*h));
	h->source.proto = h->destination.proto = IPPROTO_TCP;
	if (begins(data, n, v2_start, V2_START_LEN))
		return n < V2_START_LEN ? 0 : parse_v2(data, n, h);
	if (begins(data, n, V1_START, V1_START_LEN))
		return n < V1_START_LEN ? 0 : parse_v1(data, n, h);
	return -EPROTO;
}

static uint32_t write_v1(char *out, bool v4, const struct mlb_endpoint *source, const struct mlb_endpoint *destination)
{
	int family = v4 ? AF_INET : AF_INET6, skip = v4 ? 12 : 0;
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], line[MLBD_PROXY_WRITE_MOST + 1];

	inet_ntop(family, source->addr.b + skip, from, sizeof(from));
	inet_ntop(family, destination->addr.b + skip, to, sizeof(to));
	int n = snprintf(line, sizeof(line), V1_START "TCP%c %s %s %u %u\r\n", v4 ? '4' : '6', from, to, source->port,
			 destination->port);

	memcpy(out, line, (size_t)n);
	return (uint32_t)n;
}

static uint8_t *put(uint8_t *at, const void *from, size_t n)
{
	memcpy(at, from, n);
	return at + n;
}

static uint8_t *put16(uint8_t *at, uint16_t v)
{
	*at++ = (uint8_t)(v >> 8);
	*at++ = (uint8_t)v;
	return at;
}

static uint32_t write_v2(uint8_t *out, bool v4, const struct mlb_endpoint *source, const struct mlb_endpoint *destination)
{
	size_t skip = v4 ? 12 : 0;
	uint8_t *at = put(out, v2_start, V2_START_LEN);

	*at++ = V2_PROXY;
	*at++ = v4 ? V2_TCP4 : V2_TCP6;
	at = put16(at, v4 ? 12 : 36);
	at = put(at, source->addr.b + skip, 16 - skip);
	at = put(at, destination->addr.b + skip, 16 - skip);
	at = put16(at, source->port);
	at = put16(at, destination->port);
	return (uint32_t)(at - out);
}

uint32_t mlbd_proxy_write(uint8_t out[MLBD_PROXY_WRITE_MOST], unsigned version, const struct mlb_endpoint *source,
			  const struct mlb_endpoint *destination)
{
	bool v4 = mlb_addr_is_v4(&source->addr) && mlb_addr_is_v4(&destination->addr);

	return version == 1 ? write_v1((char *)out, v4, source, destination) : write_v2(out, v4, source, destination);
}
