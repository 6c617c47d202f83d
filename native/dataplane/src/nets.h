/* SPDX-License-Identifier: Apache-2.0 */
/* A list of networks, such as 10.0.0.0/8 and 2001:db8::/32. */
#ifndef MLBD_NETS_H
#define MLBD_NETS_H
#include <stddef.h>
#include <marllb/types.h>

#define MLBD_MAX_NETS 32u
#define MLBD_NETS_TEXT (MLBD_MAX_NETS * 64u)

struct mlbd_nets { /* unused entries are zero, so that two lists compare as memory */
	uint32_t n;
	struct mlbd_net {
		struct mlb_addr addr; /* bits beyond the prefix are zero */
		uint8_t bits;         /* of the 128; an IPv4 network's prefix has 96 more */
	} net[MLBD_MAX_NETS];
};

/* "10.0.0.0/8,::1" or "none"; an address without a prefix is a network of one. -EINVAL; err begins with `what`. */
int mlbd_nets_parse(const char *what, const char *text, struct mlbd_nets *, char err[256]);
/* Returns text. */
char *mlbd_nets_text(const struct mlbd_nets *, char text[MLBD_NETS_TEXT]);
bool mlbd_nets_have(const struct mlbd_nets *, const struct mlb_addr *);
#endif
