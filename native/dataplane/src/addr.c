/* SPDX-License-Identifier: Apache-2.0 */
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool mlbd_addr_is_v4(const struct mlb_addr *a)
{
	return memcmp(a->b, v4_prefix, sizeof(v4_prefix)) == 0;
}

int mlbd_addr_parse(const char *text, struct mlb_addr *a)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		memcpy(a->b, v4_prefix, sizeof(v4_prefix));
		memcpy(a->b + 12, &v4, 4);
		return 0;
	}
	return inet_pton(AF_INET6, text, a->b) == 1 ? 0 : -EINVAL;
}

int mlbd_endpoint_parse(const char *text, bool port0, struct mlb_endpoint *ep, char err[256])
{
	char host[64];
	const char *colon = strrchr(text, ':');
	const char *begin = text, *end = colon;
	unsigned long port;
	char *rest;

	memset(ep, 0, sizeof(*ep));
	if (!colon)
		goto bad;
	if (*text == '[') {
		begin = text + 1;
		end = strchr(text, ']');
		if (!end || end + 1 != colon)
			goto bad;
	}
	if ((size_t)(end - begin) >= sizeof(host) || end == begin)
		goto bad;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	if (*text != '[' && strchr(host, ':')) {
		snprintf(err, 256, "'%.80s': an IPv6 address needs brackets: '[%.50s]:PORT'", text, text);
		return -EINVAL;
	}
	if (mlbd_addr_parse(host, &ep->addr))
		goto bad;
	if (colon[1] < '0' || colon[1] > '9')
		goto bad;
	errno = 0;
	port = strtoul(colon + 1, &rest, 10);
	if (*rest || errno || port > 65535 || (port == 0 && !port0)) {
		snprintf(err, 256, "'%.80s': expected a port from %d to 65535", text, port0 ? 0 : 1);
		return -EINVAL;
	}
	ep->port = (uint16_t)port;
	ep->proto = IPPROTO_TCP;
	return 0;
bad:
	snprintf(err, 256, "'%.80s': expected ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080", text);
	return -EINVAL;
}

char *mlbd_addr_str(const struct mlb_addr *a, char buf[MLBD_EP_LEN])
{
	if (mlbd_addr_is_v4(a))
		inet_ntop(AF_INET, a->b + 12, buf, MLBD_EP_LEN);
	else
		inet_ntop(AF_INET6, a->b, buf, MLBD_EP_LEN);
	return buf;
}

char *mlbd_endpoint_str(const struct mlb_endpoint *ep, char buf[MLBD_EP_LEN])
{
	char addr[MLBD_EP_LEN];

	mlbd_addr_str(&ep->addr, addr);
	snprintf(buf, MLBD_EP_LEN, mlbd_addr_is_v4(&ep->addr) ? "%.46s:%u" : "[%.46s]:%u", addr, ep->port);
	return buf;
}

bool mlbd_endpoint_eq(const struct mlb_endpoint *a, const struct mlb_endpoint *b)
{
	return a->port == b->port && memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

socklen_t mlbd_to_sockaddr(const struct mlb_addr *a, uint16_t port, struct sockaddr_storage *ss)
{
	if (mlbd_addr_is_v4(a)) {
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

void mlbd_from_sockaddr(const struct sockaddr_storage *ss, struct mlb_endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	ep->proto = IPPROTO_TCP;
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

		memcpy(ep->addr.b, v4_prefix, sizeof(v4_prefix));
		memcpy(ep->addr.b + 12, &in->sin_addr, 4);
		ep->port = ntohs(in->sin_port);
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

		memcpy(ep->addr.b, &in6->sin6_addr, 16);
		ep->port = ntohs(in6->sin6_port);
	}
}
