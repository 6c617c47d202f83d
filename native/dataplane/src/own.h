/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses lead back to this process: two VIPs that want the same connections, and servers that are VIPs. A connection
 * that a VIP makes to itself, or to a VIP that makes one to it, is answered by another one, until no descriptor is left. */
#ifndef MLBD_OWN_H
#define MLBD_OWN_H
#include "plan_types.h"

/* True: this machine has the address. */
typedef bool (*mlbd_local)(const struct mlb_addr *);

/* The kernel's word at this moment (getifaddrs); 127.0.0.0/8 and ::1 always. */
bool mlbd_addr_is_local(const struct mlb_addr *);

/* -EINVAL: a multicast, broadcast or link-local address, which is not the address of one host; `what` begins err. 0.0.0.0 and
 * [::] pass: a VIP there listens on all addresses. */
int mlbd_addr_of_one(const char *what, const struct mlb_addr *, char err[256]);

/* True: both would listen at one address. 0.0.0.0 covers every IPv4 address, [::] every IPv6 one; port 0 covers nothing, for the
 * kernel gives a free port; TCP and UDP are apart. */
bool mlbd_vips_overlap(const struct mlb_endpoint *a, const struct mlb_endpoint *b);
/* -EEXIST: they overlap; err names both. `b` is the one that comes. */
int mlbd_vips_apart(const struct mlb_vip_conf *a, const struct mlb_vip_conf *b, char err[256]);
/* True: who connects to `server` by the VIP's protocol reaches the VIP. */
bool mlbd_leads_to(const struct mlb_endpoint *server, const struct mlb_endpoint *vip, mlbd_local);
/* -ELOOP: with `server` among the servers of `of`, a connection could come back to `of`, by any number of the plan's VIPs; err
 * names the way. */
int mlbd_loop_check(const struct mlbd_plan *, const struct mlbd_plan_vip *of, const struct mlb_endpoint *server, mlbd_local,
		    char err[256]);
#endif
