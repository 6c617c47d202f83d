/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "marllb/rng.h"

bool mlb_addr_is_any(const struct mlb_addr *a)
{
	static const struct mlb_addr any;
	static const uint8_t any4[4];
	return mlb_addr_eq(a, &any) || (mlb_addr_is_v4(a) && memcmp(a->b + 12, any4, 4) == 0);
}

bool mlb_addr_is_loopback(const struct mlb_addr *a)
{
	static const struct mlb_addr one = { { [15] = 1 } };
	return mlb_addr_eq(a, &one) || (mlb_addr_is_v4(a) && a->b[12] == 127);
}

uint64_t mlb_endpoint_key(const struct mlb_endpoint *e)
{
	uint64_t a, b, x;
	memcpy(&a, e->addr.b, 8);
	memcpy(&b, e->addr.b + 8, 8);
	x = a;
	x = mlb_splitmix64(&x) ^ b;
	x = mlb_splitmix64(&x) ^ e->port;
	return mlb_splitmix64(&x);
}

int mlb_addr_parse(const char *text, struct mlb_addr *a)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*a = mlb_addr_of_v4(&v4);
		return 0;
	}
	return inet_pton(AF_INET6, text, a->b) == 1 ? 0 : -EINVAL;
}

static int bad(char *err, const char *text, const char *expected)
{
	if (err)
		snprintf(err, 256, "'%.80s': expected %.160s", text, expected);
	return -EINVAL;
}

/* Digits only, up to 65535. */
static int parse_port(const char *text, uint16_t *port)
{
	uint32_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (uint32_t)(*text - '0');
		if (value > UINT16_MAX)
			return -EINVAL;
	}
	*port = (uint16_t)value;
	return 0;
}

int mlb_endpoint_parse(const char *text, bool port0, struct mlb_endpoint *ep, char *err)
{
	static const char form[] = "ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080";
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':'), *begin = text, *end = colon;
	bool brackets = *text == '[';

	memset(ep, 0, sizeof(*ep));
	if (!colon)
		return bad(err, text, form);
	if (brackets) {
		begin = text + 1;
		end = strchr(text, ']');
		if (!end || end + 1 != colon)
			return bad(err, text, form);
	}
	if ((size_t)(end - begin) >= sizeof(host))
		return bad(err, text, form);
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	if (!brackets && strchr(host, ':'))
		return bad(err, text, "brackets about an IPv6 address, as in [2001:db8::1]:8080");
	if (strchr(host, '%'))
		return bad(err, text, "an address without a scope (%...): no message to a data plane has a place for one");
	if (mlb_addr_parse(host, &ep->addr))
		return bad(err, text, form);
	if (parse_port(colon + 1, &ep->port) || (ep->port == 0 && !port0))
		return bad(err, text, port0 ? "a port from 0 to 65535" : "a port from 1 to 65535");
	ep->proto = IPPROTO_TCP;
	return 0;
}

char *mlb_addr_text(const struct mlb_addr *a, char text[MLB_ENDPOINT_LEN])
{
	bool v4 = mlb_addr_is_v4(a);
	inet_ntop(v4 ? AF_INET : AF_INET6, a->b + (v4 ? 12 : 0), text, MLB_ENDPOINT_LEN);
	return text;
}

char *mlb_endpoint_text(const struct mlb_endpoint *ep, char text[MLB_ENDPOINT_LEN])
{
	char addr[MLB_ENDPOINT_LEN];

	mlb_addr_text(&ep->addr, addr);
	snprintf(text, MLB_ENDPOINT_LEN, mlb_addr_is_v4(&ep->addr) ? "%.46s:%u" : "[%.46s]:%u", addr, ep->port);
	return text;
}

socklen_t mlb_addr_to_sockaddr(const struct mlb_addr *a, uint16_t port, struct sockaddr_storage *ss)
{
	if (mlb_addr_is_v4(a)) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		memset(in, 0, sizeof(*in));
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b + 12, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(in6, 0, sizeof(*in6));
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

void mlb_endpoint_from_sockaddr(const struct sockaddr_storage *ss, struct mlb_endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	ep->proto = IPPROTO_TCP;
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

		ep->addr = mlb_addr_of_v4(&in->sin_addr);
		ep->port = ntohs(in->sin_port);
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

		memcpy(ep->addr.b, &in6->sin6_addr, 16);
		ep->port = ntohs(in6->sin6_port);
	}
}
