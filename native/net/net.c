/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net_priv.h"

#define FILE_MAX (64u << 20)

struct net_run {
	const struct net *net;
	struct tensor *value;
};

size_t shape_count(const struct net_shape *s)
{
	size_t n = 1;
	for (int i = 0; i < s->rank; i++)
		n *= (size_t)s->dim[i];
	return n;
}

int tensor_size(struct tensor *t, struct net_shape shape)
{
	for (int i = 0; i < shape.rank; i++)
		if (shape.dim[i] < 0 || shape.dim[i] > 1 << 24)
			return -EINVAL;
	size_t n = shape_count(&shape);
	if (n > (size_t)1 << 28)
		return -EINVAL;
	t->shape = shape;
	if (n <= t->cap)
		return 0;
	float *p = realloc(t->data, n * sizeof(float));
	if (!p)
		return -ENOMEM;
	t->data = p;
	t->cap = n;
	return 0;
}

int net_value(struct net *net, const char *name, size_t len)
{
	for (int i = 0; i < net->values; i++)
		if (strlen(net->name[i]) == len && !memcmp(net->name[i], name, len))
			return i;
	if (net->values == net->cap) {
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
	}
	char *copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, len);
	copy[len] = 0;
	net->name[net->values] = copy;
	net->constant[net->values] = false;
	memset(&net->value[net->values], 0, sizeof(struct tensor));
	return net->values++;
}

int net_parse(struct net **out, const void *bytes, size_t len, char err[256])
{
	struct net *net = calloc(1, sizeof(*net));
	if (!net) {
		snprintf(err, 256, "out of memory");
		return -ENOMEM;
	}
	int rc = net_read_onnx(net, bytes, len, err);
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
			k += shape_count(&n->value[i].shape);
	return k;
}

void net_get_params(const struct net *n, float *out)
{
	for (int i = 0; i < n->values; i++) {
		if (!trainable(n, i))
			continue;
		size_t k = shape_count(&n->value[i].shape);
		memcpy(out, n->value[i].data, k * sizeof(float));
		out += k;
	}
}

void net_set_params(struct net *n, const float *in)
{
	for (int i = 0; i < n->values; i++) {
		if (!trainable(n, i))
			continue;
		size_t k = shape_count(&n->value[i].shape);
		memcpy(n->value[i].data, in, k * sizeof(float));
		in += k;
	}
}

int net_run_new(struct net_run **out, const struct net *net)
{
	struct net_run *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->net = net;
	r->value = calloc((size_t)net->values, sizeof(*r->value));
	if (!r->value) {
		free(r);
		return -ENOMEM;
	}
	for (int i = 0; i < net->values; i++)
		if (net->constant[i]) {
			r->value[i] = net->value[i];
			r->value[i].cap = 0; /* not ours */
		}
	*out = r;
	return 0;
}

void net_run_free(struct net_run *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->net->values; i++)
		if (r->value[i].cap)
			free(r->value[i].data);
	free(r->value);
	free(r);
}

void net_feed(struct net_run *r, uint32_t input, const float *data, struct net_shape shape)
{
	struct tensor *t = &r->value[r->net->in[input]];
	t->shape = shape;
	t->data = (float *)(uintptr_t)data; /* ops never write their inputs */
	t->cap = 0;
}

int net_eval(struct net_run *r, char err[256])
{
	for (uint32_t i = 0; i < r->net->ins; i++)
		/* An empty tensor (a pool without servers) may have no address; one that was not fed has the shape of a scalar.
		 */
		if (!r->value[r->net->in[i]].data && shape_count(&r->value[r->net->in[i]].shape)) {
			snprintf(err, 256, "input \"%.100s\" was not fed", net_input_name(r->net, i));
			return -EINVAL;
		}
	for (int k = 0; k < r->net->nodes; k++) {
		const struct net_node *n = &r->net->node[k];
		struct tensor *in[NODE_IN_MAX], *out[NODE_IN_MAX];
		for (int i = 0; i < n->nin; i++)
			in[i] = n->in[i] < 0 ? NULL : &r->value[n->in[i]];
		for (int i = 0; i < n->nout; i++)
			out[i] = &r->value[n->out[i]];
		int rc = net_ops[n->op].run(n, in, out);
		if (rc) {
			snprintf(err, 256, "node %d (%s, for \"%s\"): %s", k, net_ops[n->op].type, r->net->name[n->out[0]],
				 rc == -EINVAL ? "shapes do not fit" : strerror(-rc));
			return rc;
		}
	}
	return 0;
}

const float *net_result(const struct net_run *r, uint32_t output, struct net_shape *shape)
{
	const struct tensor *t = &r->value[r->net->out[output]];
	if (shape)
		*shape = t->shape;
	return t->data;
}
