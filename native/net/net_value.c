/* SPDX-License-Identifier: Apache-2.0 */
#include "net_value.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int grow(struct net *net)
{
	int cap = net->cap ? 2 * net->cap : 64;
	void *v = realloc(net->value, (size_t)cap * sizeof(*net->value));
	if (v)
		net->value = v;
	void *n = realloc(net->name, (size_t)cap * sizeof(*net->name));
	if (n)
		net->name = n;
	void *c = realloc(net->constant, (size_t)cap * sizeof(*net->constant));
	if (c)
		net->constant = c;
	if (!v || !n || !c)
		return -ENOMEM;
	net->cap = cap;
	return 0;
}

int net_value(struct net *net, const char *name, size_t len, char err[256])
{
	if (len && memchr(name, 0, len)) {
		snprintf(err, 256, "a name in it holds a zero byte");
		return -EPROTO;
	}
	for (int i = 0; i < net->values; i++)
		if (!strncmp(net->name[i], name, len) && !net->name[i][len])
			return i;
	if (net->values == NET_VALUES_MAX) {
		snprintf(err, 256, "it has more than %d values", NET_VALUES_MAX);
		return -EPROTO;
	}
	char *copy = malloc(len + 1);
	if (!copy || (net->values == net->cap && grow(net))) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, name, len);
	copy[len] = 0;
	net->name[net->values] = copy;
	net->constant[net->values] = false;
	memset(&net->value[net->values], 0, sizeof(struct net_tensor));
	return net->values++;
}
