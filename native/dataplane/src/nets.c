/* SPDX-License-Identifier: Apache-2.0 */
#include "nets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <marllb/endpoint.h>

static bool parse_bits(const char *text, uint32_t most, uint32_t *bits)
{
	size_t n = strspn(text, "0123456789");

	*bits = 0;
	if (n == 0 || n > 3 || text[n])
		return false;
	for (size_t i = 0; i < n; i++)
		*bits = *bits * 10 + (uint32_t)(text[i] - '0');
	return *bits <= most;
}

/* Byte i of a mask of so many bits. */
static uint8_t mask_byte(uint32_t bits, uint32_t i)
{
	uint32_t here = bits <= i * 8 ? 0 : bits - i * 8;

	return here >= 8 ? 0xff : (uint8_t)(0xff00u >> here);
}

/* Bits beyond the mask are cleared; *beyond says that some were set. */
static bool parse_one(const char *text, size_t len, struct mlbd_net *net, bool *beyond)
{
	char word[MLB_ENDPOINT_LEN], *slash;
	uint32_t bits = 128;

	if (len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = 0;
	slash = strchr(word, '/');
	if (slash)
		*slash = 0;
	if (mlb_addr_parse(word, &net->addr))
		return false;
	bool v4 = mlb_addr_is_v4(&net->addr);

	if (slash && !parse_bits(slash + 1, v4 ? 32 : 128, &bits))
		return false;
	net->bits = (uint8_t)(slash && v4 ? bits + 96 : bits);
	*beyond = false;
	for (uint32_t i = 0; i < 16; i++) {
		*beyond |= (net->addr.b[i] & ~mask_byte(net->bits, i)) != 0;
		net->addr.b[i] &= mask_byte(net->bits, i);
	}
	return true;
}

int mlbd_nets_parse(const char *what, const char *text, struct mlbd_nets *nets, char err[256])
{
	memset(nets, 0, sizeof(*nets));
	if (strcmp(text, "none") == 0)
		return 0;
	for (;;) {
		size_t len = strcspn(text, ",");

		if (nets->n == MLBD_MAX_NETS) {
			snprintf(err, 256, "%s: expected at most %u networks", what, MLBD_MAX_NETS);
			return -EINVAL;
		}
		struct mlbd_nets one = { .n = 1 };
		char meant[MLBD_NETS_TEXT];
		bool beyond = false, parsed = parse_one(text, len, &one.net[0], &beyond);

		if (!parsed || beyond) {
			snprintf(err, 256, "%s '%.*s': expected %s", what, len < 80 ? (int)len : 80, text,
				 parsed ? mlbd_nets_text(&one, meant) : "none, or networks such as 10.0.0.0/8,2001:db8::/32");
			return -EINVAL;
		}
		nets->net[nets->n++] = one.net[0];
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

char *mlbd_nets_text(const struct mlbd_nets *nets, char text[MLBD_NETS_TEXT])
{
	size_t used = 0;

	if (!nets->n)
		return strcpy(text, "none");
	for (uint32_t i = 0; i < nets->n; i++) {
		const struct mlbd_net *net = &nets->net[i];
		char addr[MLB_ENDPOINT_LEN];
		/* ::ffff:0:0/96 and wider ones hold IPv6 addresses too, and are written as such. */
		bool v4 = net->bits >= 96 && mlb_addr_is_v4(&net->addr);

		used += (size_t)snprintf(text + used, MLBD_NETS_TEXT - used, "%s%s/%u", i ? "," : "",
					 mlb_addr_text(&net->addr, addr), v4 ? net->bits - 96u : net->bits);
	}
	return text;
}

bool mlbd_nets_have(const struct mlbd_nets *nets, const struct mlb_addr *a)
{
	for (uint32_t i = 0; i < nets->n; i++) {
		const struct mlbd_net *net = &nets->net[i];
		uint32_t whole = net->bits / 8, k = 0;

		while (k < whole && a->b[k] == net->addr.b[k])
			k++;
		if (k == whole && (whole == 16 || (a->b[whole] & mask_byte(net->bits, whole)) == net->addr.b[whole]))
			return true;
	}
	return false;
}
