/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints as text and as socket addresses. */
#ifndef MLBD_ADDR_H
#define MLBD_ADDR_H
#include <sys/socket.h>
#include <marllb/types.h>

#define MLBD_EP_LEN 56 /* "[v6]:port" and the final zero */

bool mlbd_addr_is_v4(const struct mlb_addr *);
/* An address without a port. -EINVAL. */
int mlbd_addr_parse(const char *text, struct mlb_addr *);
/* "127.0.0.1:80" or "[::1]:80". -EINVAL; err says what was expected. Port 0 only with port0. */
int mlbd_endpoint_parse(const char *text, bool port0, struct mlb_endpoint *, char err[256]);
char *mlbd_addr_str(const struct mlb_addr *, char buf[MLBD_EP_LEN]);
char *mlbd_endpoint_str(const struct mlb_endpoint *, char buf[MLBD_EP_LEN]);
bool mlbd_endpoint_eq(const struct mlb_endpoint *, const struct mlb_endpoint *);
socklen_t mlbd_to_sockaddr(const struct mlb_addr *, uint16_t port, struct sockaddr_storage *);
void mlbd_from_sockaddr(const struct sockaddr_storage *, struct mlb_endpoint *);
#endif
