/* SPDX-License-Identifier: Apache-2.0 */
/* One thread's evaluation of a graph: a tensor for each value, the nodes in the file's order. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net_op.h"
#include "net_tensor.h"

struct net_run {
	const struct net *net;
	struct net_tensor *value;
	size_t held; /* floats allocated */
};

int net_run_new(struct net_run **out, const struct net *net)
{
	struct net_run *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->net = net;
	r->value = calloc((size_t)net->values + 1, sizeof(*r->value));
	if (!r->value) {
		free(r);
		return -ENOMEM;
	}
	for (int i = 0; i < net->values; i++)
		if (net->constant[i]) {
			r->value[i] = net->value[i];
			r->value[i].cap = 0; /* the net owns it */
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

int net_feed(struct net_run *r, uint32_t input, const float *data, struct net_shape shape)
{
	static float empty; /* an empty tensor (a pool without servers) may have no address */
	struct net_tensor *t = &r->value[r->net->in[input]];
	size_t n;
	if (net_shape_size(&shape, &n) || (n && !data))
		return -EINVAL;
	t->shape = shape;
	t->data = n ? (float *)(uintptr_t)data : &empty; /* ops never write their inputs */
	t->cap = 0;
	return 0;
}

/* One node. Work and memory are bounded after each: an op goes beyond the bounds by its own at most. */
static int step(struct net_run *r, const struct net_node *n, uint64_t *work, const char **why)
{
	struct net_tensor *in[NET_NODE_IO], *out[NET_NODE_IO];
	uint64_t in_floats = 0, out_floats = 0, depth = 1;
	for (int i = 0; i < n->nin; i++) {
		in[i] = n->in[i] < 0 ? NULL : &r->value[n->in[i]];
		in_floats += in[i] ? net_shape_count(&in[i]->shape) : 0;
	}
	for (int i = 0; i < n->nout; i++) {
		out[i] = &r->value[n->out[i]];
		r->held -= out[i]->cap;
	}
	struct net_call call = { n, in, out, "it failed" };
	int rc = net_ops[n->op].run(&call);
	for (int i = 0; i < n->nout; i++)
		r->held += out[i]->cap;
	*why = call.why;
	if (rc)
		return rc;
	for (int i = 0; i < n->nout; i++)
		out_floats += net_shape_count(&out[i]->shape);
	if (net_ops[n->op].product && in[0]->shape.rank)
		depth = (uint64_t)in[0]->shape.dim[in[0]->shape.rank - 1];
	*work += in_floats + out_floats * depth;
	*why = r->held > NET_TOTAL_MAX ? "the graph needs too much memory" : "the graph takes too long";
	return r->held > NET_TOTAL_MAX || *work > NET_WORK_MAX ? -EINVAL : 0;
}

int net_eval(struct net_run *r, char err[256])
{
	uint64_t work = 0;
	for (uint32_t i = 0; i < r->net->ins; i++)
		if (!r->value[r->net->in[i]].data) {
			snprintf(err, 256, "input \"%.100s\" was not fed", net_input_name(r->net, i));
			return -EINVAL;
		}
	for (int k = 0; k < r->net->nodes; k++) {
		const struct net_node *n = &r->net->node[k];
		const char *why;
		int rc = step(r, n, &work, &why);
		if (rc) {
			snprintf(err, 256, "node %d (%s, for \"%.60s\"): %s", k, net_ops[n->op].type, r->net->name[n->out[0]],
				 why);
			return rc;
		}
	}
	return 0;
}

const float *net_result(const struct net_run *r, uint32_t output, struct net_shape *shape)
{
	const struct net_tensor *t = &r->value[r->net->out[output]];
	if (shape)
		*shape = t->shape;
	return t->data;
}
