/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <marllb/endpoint.h>

bool mlbd_addr_is_local(const struct mlb_addr *a)
{
	struct ifaddrs *list = NULL;
	bool found = mlb_addr_is_loopback(a);

	if (found || getifaddrs(&list))
		return found;
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		struct mlb_endpoint ep;

		if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		mlb_endpoint_from_sockaddr((const struct sockaddr_storage *)i->ifa_addr, &ep);
		found = mlb_addr_eq(&ep.addr, a);
	}
	freeifaddrs(list);
	return found;
}

/* Whether the routes of this machine make it a broadcast: an ordinary socket may not connect there. */
static bool is_broadcast(const struct mlb_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = mlb_addr_to_sockaddr(a, 9, &ss);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) < 0 && errno == EACCES;

	if (fd >= 0)
		close(fd);
	return yes;
}

int mlbd_addr_of_one(const char *what, const struct mlb_addr *a, char err[256])
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };
	bool v4 = mlb_addr_is_v4(a);
	char text[MLB_ENDPOINT_LEN];
	const char *kind = NULL;

	if (v4 ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff)
		kind = "a multicast address";
	else if (!v4 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
		kind = "a link-local one, of another host on each interface, and there is no place for the interface's name";
	else if (v4 && (memcmp(a->b + 12, all, sizeof(all)) == 0 || ((a->b[15] & 1) && is_broadcast(a))))
		kind = "a broadcast address";
	if (!kind)
		return 0;
	snprintf(err, 256, "%s %s: expected the address of one host, this is %s", what, mlb_addr_text(a, text), kind);
	return -EINVAL;
}

static bool same_family(const struct mlb_addr *a, const struct mlb_addr *b)
{
	return mlb_addr_is_v4(a) == mlb_addr_is_v4(b);
}

bool mlbd_vips_overlap(const struct mlb_endpoint *a, const struct mlb_endpoint *b)
{
	if (a->port != b->port || a->port == 0 || a->proto != b->proto)
		return false;
	if (mlb_addr_eq(&a->addr, &b->addr))
		return true;
	return same_family(&a->addr, &b->addr) && (mlb_addr_is_any(&a->addr) || mlb_addr_is_any(&b->addr));
}

int mlbd_vips_apart(const struct mlb_vip_conf *a, const struct mlb_vip_conf *b, char err[256])
{
	char here[MLB_ENDPOINT_LEN], there[MLB_ENDPOINT_LEN];

	if (!mlbd_vips_overlap(&a->ep, &b->ep))
		return 0;
	mlb_endpoint_text(&b->ep, here);
	if (mlb_endpoint_eq(&a->ep, &b->ep))
		snprintf(err, 256, "vip %s: %s is vip %s already", b->name, here, a->name);
	else
		snprintf(err, 256,
			 "vip %s: %s overlaps vip %s (%s): expected another port, or addresses that do not cover each other",
			 b->name, here, a->name, mlb_endpoint_text(&a->ep, there));
	return -EEXIST;
}

bool mlbd_leads_to(const struct mlb_endpoint *server, const struct mlb_endpoint *vip, mlbd_local local)
{
	static const uint8_t lo4[4] = { 127, 0, 0, 1 };
	struct mlb_addr to = server->addr;

	if (server->port != vip->port || !same_family(&to, &vip->addr))
		return false;
	if (mlb_addr_is_any(&to)) /* the kernel connects to the loopback address then */
		to = mlb_addr_is_v4(&to) ? mlb_addr_of_v4(lo4) : (struct mlb_addr){ { [15] = 1 } };
	return mlb_addr_is_any(&vip->addr) ? local(&to) : mlb_addr_eq(&to, &vip->addr);
}

/* VIPs of a plan, by index. */
struct vip_set {
	bool has[MLB_MAX_VIPS];
};

/* Adds the VIPs that a server of `of` leads to. */
static void add_targets(struct vip_set *set, const struct mlbd_plan *p, const struct mlbd_plan_vip *of,
			const struct mlb_endpoint *server, mlbd_local local)
{
	for (uint32_t i = 0; i < p->vips; i++)
		if (p->vip[i].opts.conf.ep.proto == of->opts.conf.ep.proto &&
		    mlbd_leads_to(server, &p->vip[i].opts.conf.ep, local))
			set->has[i] = true;
}

int mlbd_loop_check(const struct mlbd_plan *p, const struct mlbd_plan_vip *of, const struct mlb_endpoint *server,
		    mlbd_local local, char err[256])
{
	struct vip_set reached = { 0 }, walked = { 0 };
	uint32_t self = (uint32_t)(of - p->vip);
	const char *name = of->opts.conf.name;
	char text[MLB_ENDPOINT_LEN];

	add_targets(&reached, p, of, server, local);
	if (reached.has[self]) {
		snprintf(err, 256, "vip %s: server %s is the vip itself", name, mlb_endpoint_text(server, text));
		return -ELOOP;
	}
	for (uint32_t i = 0; i < p->vips;) {
		const struct mlbd_plan_vip *v = &p->vip[i];

		if (!reached.has[i] || walked.has[i]) {
			i++;
			continue;
		}
		walked.has[i] = true;
		for (uint32_t k = 0; k < v->servers; k++)
			add_targets(&reached, p, v, &v->server[k].ep, local);
		if (reached.has[self]) {
			snprintf(err, 256, "vip %s: server %s leads back to the vip: vip %s has it behind it", name,
				 mlb_endpoint_text(server, text), v->opts.conf.name);
			return -ELOOP;
		}
		i = 0; /* it may have led to VIPs before it */
	}
	return 0;
}
