/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and endpoints: as text, as socket addresses, compared, as a key. The one place that knows how an IPv4 address stands
 * in a struct mlb_addr (::ffff:a.b.c.d). */
#ifndef MARLLB_ENDPOINT_H
#define MARLLB_ENDPOINT_H
#include <string.h>
#include <sys/socket.h>
#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MLB_ENDPOINT_LEN 64 /* bytes of "[IPv6]:port" and the final zero, with room to spare */

static inline bool mlb_addr_is_v4(const struct mlb_addr *a)
{
	static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	return memcmp(a->b, prefix, sizeof(prefix)) == 0;
}
static inline bool mlb_addr_eq(const struct mlb_addr *a, const struct mlb_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
/* four: the IPv4 address in network order. */
static inline struct mlb_addr mlb_addr_of_v4(const void *four)
{
	struct mlb_addr a;
	memset(a.b, 0, 10);
	memset(a.b + 10, 0xff, 2);
	memcpy(a.b + 12, four, 4);
	return a;
}
/* 0.0.0.0 or :: */
bool mlb_addr_is_any(const struct mlb_addr *);
/* 127.0.0.0/8 or ::1 */
bool mlb_addr_is_loopback(const struct mlb_addr *);
/* Address and port; the protocol does not count. */
static inline bool mlb_endpoint_eq(const struct mlb_endpoint *a, const struct mlb_endpoint *b)
{
	return a->port == b->port && mlb_addr_eq(&a->addr, &b->addr);
}
/* What identifies a server to every load balancer: a hash of address and port. */
uint64_t mlb_endpoint_key(const struct mlb_endpoint *);

/* An address without a port: "10.0.0.1", "2001:db8::1". -EINVAL. */
int mlb_addr_parse(const char *text, struct mlb_addr *);
/* "10.0.0.1:80" or "[2001:db8::1]:80", protocol TCP. Port 0 only with port0. -EINVAL; err (256 bytes or NULL) says what was
 * expected. */
int mlb_endpoint_parse(const char *text, bool port0, struct mlb_endpoint *, char *err);
/* Both return text. */
char *mlb_addr_text(const struct mlb_addr *, char text[MLB_ENDPOINT_LEN]);
char *mlb_endpoint_text(const struct mlb_endpoint *, char text[MLB_ENDPOINT_LEN]);

/* Returns the length of the socket address: sockaddr_in for a v4-mapped address, else sockaddr_in6. */
socklen_t mlb_addr_to_sockaddr(const struct mlb_addr *, uint16_t port, struct sockaddr_storage *);
/* An AF_INET or AF_INET6 address; protocol TCP. */
void mlb_endpoint_from_sockaddr(const struct sockaddr_storage *, struct mlb_endpoint *);

#ifdef __cplusplus
}
#endif
#endif
