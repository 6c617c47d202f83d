/* SPDX-License-Identifier: Apache-2.0 */
/* A graph as its users see it: made, asked, freed. */
#include "net.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net_onnx.h"
#include "net_tensor.h"

#define FILE_MAX (64u << 20)

int net_parse(struct net **out, const void *bytes, size_t len, char err[256])
{
	struct net *net = calloc(1, sizeof(*net));
	if (!net) {
		snprintf(err, 256, "out of memory");
		return -ENOMEM;
	}
	int rc = net_onnx_read(net, bytes, len, err);
	if (rc) {
		net_free(net);
		return rc;
	}
	*out = net;
	return 0;
}

int net_load(struct net **out, const char *path, char err[256])
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		int e = errno;
		snprintf(err, 256, "%s: %s", path, strerror(e));
		return -e;
	}
	size_t len = 0, cap = 1 << 16;
	uint8_t *b = NULL;
	int rc = 0;
	for (;;) {
		uint8_t *nb = cap <= FILE_MAX ? realloc(b, cap) : NULL;
		if (!nb) {
			rc = cap > FILE_MAX ? -EPROTO : -ENOMEM;
			snprintf(err, 256, "%s: more than %u MiB, or no memory for it", path, FILE_MAX >> 20);
			break;
		}
		b = nb;
		size_t got = fread(b + len, 1, cap - len, f);
		len += got;
		if (len < cap)
			break;
		cap *= 2;
	}
	fclose(f);
	if (!rc) {
		char why[256];
		rc = net_parse(out, b, len, why);
		if (rc)
			snprintf(err, 256, "%.120s: %.130s", path, why);
	}
	free(b);
	return rc;
}

void net_free(struct net *net)
{
	if (!net)
		return;
	for (int i = 0; i < net->values; i++) {
		free(net->name[i]);
		free(net->value[i].data);
	}
	for (int i = 0; i < net->metas; i++) {
		free(net->meta[i][0]);
		free(net->meta[i][1]);
	}
	free(net->meta);
	free(net->value);
	free(net->name);
	free(net->constant);
	free(net->node);
	free(net);
}

uint32_t net_inputs(const struct net *n)
{
	return n->ins;
}
uint32_t net_outputs(const struct net *n)
{
	return n->outs;
}
const char *net_input_name(const struct net *n, uint32_t i)
{
	return n->name[n->in[i]];
}
const char *net_output_name(const struct net *n, uint32_t i)
{
	return n->name[n->out[i]];
}
struct net_shape net_input_shape(const struct net *n, uint32_t i)
{
	return n->in_shape[i];
}

int net_input(const struct net *n, const char *name)
{
	for (uint32_t i = 0; i < n->ins; i++)
		if (!strcmp(net_input_name(n, i), name))
			return (int)i;
	return -1;
}

int net_output(const struct net *n, const char *name)
{
	for (uint32_t i = 0; i < n->outs; i++)
		if (!strcmp(net_output_name(n, i), name))
			return (int)i;
	return -1;
}

const char *net_meta(const struct net *n, const char *key)
{
	for (int i = 0; i < n->metas; i++)
		if (!strcmp(n->meta[i][0], key))
			return n->meta[i][1];
	return NULL;
}

static bool trainable(const struct net *n, int i)
{
	return n->constant[i] && !strncmp(n->name[i], "w.", 2);
}

size_t net_params(const struct net *n)
{
	size_t k = 0;
	for (int i = 0; i < n->values; i++)
		if (trainable(n, i))
			k += net_shape_count(&n->value[i].shape);
	return k;
}

void net_get_params(const struct net *n, float *out)
{
	for (int i = 0; i < n->values; i++) {
		if (!trainable(n, i))
			continue;
		size_t k = net_shape_count(&n->value[i].shape);
		memcpy(out, n->value[i].data, k * sizeof(float));
		out += k;
	}
}

void net_set_params(struct net *n, const float *in)
{
	for (int i = 0; i < n->values; i++) {
		if (!trainable(n, i))
			continue;
		size_t k = net_shape_count(&n->value[i].shape);
		memcpy(n->value[i].data, in, k * sizeof(float));
		in += k;
	}
}
