/* SPDX-License-Identifier: Apache-2.0 */
/* The few messages of onnx.proto that a plain graph uses; field numbers stand beside each case. */
#include "net_onnx.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net_initializer.h"
#include "net_op.h"
#include "net_proto.h"
#include "net_tensor.h"
#include "net_value.h"

static int value_of(struct net *net, struct net_span name, char err[256])
{
	return net_value(net, name.p ? (const char *)name.p : "", net_span_len(name), err);
}

struct attribute { /* AttributeProto */
	struct net_span name, tensor;
	int64_t i, ints[NET_RANK];
	int nints;
	float x;
};

static int read_attribute(struct net_span s, struct attribute *a)
{
	struct net_field f;
	int rc;
	*a = (struct attribute){ .i = 0 };
	while ((rc = net_proto_next(&s, &f)) > 0) {
		if (f.id == 1)
			a->name = f.sub;
		else if (f.id == 2 && f.wire == NET_WIRE_32)
			memcpy(&a->x, &f.num, sizeof(a->x));
		else if (f.id == 3)
			a->i = (int64_t)f.num;
		else if (f.id == 5)
			a->tensor = f.sub;
		else if (f.id == 8 && (rc = net_proto_numbers(&f, a->ints, &a->nints, NET_RANK)))
			return rc;
	}
	return rc;
}

/* A default, written out: any other value would give another result. */
static bool is_default(const struct attribute *a)
{
	static const char *const one[] = { "alpha", "beta" };
	static const char *const zero[] = { "select_last_index", "noop_with_empty_axes", "transA" };
	for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++)
		if (net_span_is(a->name, one[i]))
			return a->x == 1;
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		if (net_span_is(a->name, zero[i]))
			return a->i == 0;
	return false;
}

static int attribute(struct net_span s, struct net_node *n, struct net_span *value, char err[256])
{
	struct attribute a;
	int rc = read_attribute(s, &a);
	if (rc < 0)
		return rc;
	if (net_span_is(a.name, "axis")) {
		n->attr.axis = a.i;
	} else if (net_span_is(a.name, "keepdims")) {
		n->attr.keepdims = a.i;
	} else if (net_span_is(a.name, "transB")) {
		n->attr.trans_b = a.i;
	} else if (net_span_is(a.name, "axes")) {
		memcpy(n->attr.axes, a.ints, sizeof(a.ints));
		n->attr.naxes = a.nints;
	} else if (net_span_is(a.name, "value") && a.tensor.p) {
		*value = a.tensor;
	} else if (!is_default(&a)) {
		snprintf(err, 256, "attribute \"%.*s\" is not handled", NET_SPAN_ARGS(a.name));
		return -ENOTSUP;
	}
	return 0;
}

/* NodeProto: input = 1, output = 2, op_type = 4, attribute = 5, domain = 7. */
static int read_node(struct net *net, struct net_span s, struct net_node *n, struct net_span *type, struct net_span *value,
		     char err[256])
{
	struct net_field f;
	int rc;
	while ((rc = net_proto_next(&s, &f)) > 0) {
		if (f.id == 1 || f.id == 2) {
			int *list = f.id == 1 ? n->in : n->out, *count = f.id == 1 ? &n->nin : &n->nout;
			if (*count == NET_NODE_IO) {
				snprintf(err, 256, "a node has more than %d inputs or outputs", NET_NODE_IO);
				return -ENOTSUP;
			}
			int v = net_span_len(f.sub) ? value_of(net, f.sub, err) : -1;
			if (v < -1)
				return v;
			list[(*count)++] = v;
		} else if (f.id == 4) {
			*type = f.sub;
		} else if (f.id == 5) {
			if ((rc = attribute(f.sub, n, value, err)))
				return rc;
		} else if (f.id == 7 && net_span_len(f.sub) && !net_span_is(f.sub, "ai.onnx")) {
			snprintf(err, 256, "ops of %.*s are not handled", NET_SPAN_ARGS(f.sub));
			return -ENOTSUP;
		}
	}
	return rc;
}

static bool is_input(const struct net *net, int v)
{
	for (uint32_t i = 0; i < net->ins; i++)
		if (net->in[i] == v)
			return true;
	return false;
}

static int node(struct net *net, struct net_span s, char err[256])
{
	struct net_node n = { .op = -1, .attr = { .keepdims = 1 } };
	struct net_span type = { NULL, NULL }, value = { NULL, NULL };
	int rc = read_node(net, s, &n, &type, &value, err);
	if (rc < 0)
		return rc;
	if (n.nout < 1 || n.out[0] < 0) {
		snprintf(err, 256, "op %.*s has no output", NET_SPAN_ARGS(type));
		return -EPROTO;
	}
	if (net_span_is(type, "Constant") && value.p && n.nout == 1) {
		if (is_input(net, n.out[0])) {
			snprintf(err, 256, "input \"%.100s\" is a constant as well", net->name[n.out[0]]);
			return -EPROTO;
		}
		return net_initializer_read(net, value, n.out[0], err);
	}
	for (int i = 0; i < net_op_count; i++)
		if (net_span_is(type, net_ops[i].type))
			n.op = i;
	if (n.op < 0 || value.p || n.nin < net_ops[n.op].min_in || n.nin > net_ops[n.op].max_in) {
		snprintf(err, 256, "op %.*s with %d inputs is not handled", NET_SPAN_ARGS(type), n.nin);
		return -ENOTSUP;
	}
	if (n.nout > net_ops[n.op].max_out) {
		snprintf(err, 256, "op %.*s has %d outputs, expected %d", NET_SPAN_ARGS(type), n.nout, net_ops[n.op].max_out);
		return -EPROTO;
	}
	for (int i = 0; i < net_ops[n.op].min_in; i++)
		if (n.in[i] < 0) {
			snprintf(err, 256, "op %.*s lacks input %d", NET_SPAN_ARGS(type), i);
			return -EPROTO;
		}
	if (net->nodes == NET_VALUES_MAX) {
		snprintf(err, 256, "it has more than %d nodes", NET_VALUES_MAX);
		return -EPROTO;
	}
	void *p = realloc(net->node, (size_t)(net->nodes + 1) * sizeof(n));
	if (!p)
		return -ENOMEM;
	net->node = p;
	net->node[net->nodes++] = n;
	return 0;
}

struct info { /* ValueInfoProto: name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1 { dim_value = 1 } } } }
	       */
	struct net_span name;
	uint64_t type;
	struct net_shape shape; /* -1: free */
};

static int read_info(struct net_span s, struct info *v)
{
	static const uint32_t path[3] = { 2, 1, 2 };
	struct net_span at = s;
	struct net_field f, g;
	int rc;
	*v = (struct info){ .type = 0 };
	for (int level = 0; level < 3; level++) {
		struct net_span deeper = { NULL, NULL };
		for (s = at; (rc = net_proto_next(&s, &f)) > 0;) {
			if (level == 0 && f.id == 1)
				v->name = f.sub;
			if (level == 2 && f.id == 1 && f.wire == NET_WIRE_VARINT)
				v->type = f.num;
			if (f.id == path[level] && f.wire == NET_WIRE_BYTES)
				deeper = f.sub;
		}
		if (rc < 0)
			return rc;
		at = deeper;
	}
	while ((rc = net_proto_next(&at, &f)) > 0) {
		if (f.id != 1)
			continue;
		if (v->shape.rank == NET_RANK)
			return -ENOTSUP;
		int64_t dim = -1;
		while ((rc = net_proto_next(&f.sub, &g)) > 0)
			if (g.id == 1)
				dim = (int64_t)g.num;
		if (rc < 0 || dim < -1 || dim > NET_DIM_MAX)
			return -EPROTO;
		v->shape.dim[v->shape.rank++] = dim;
	}
	return rc;
}

static int value_info(struct net *net, struct net_span s, bool input, char err[256])
{
	const char *kind = input ? "input" : "output";
	struct info info;
	int rc = read_info(s, &info);
	if (rc < 0) {
		snprintf(err, 256, "%s \"%.*s\" is broken, or has more than %d dimensions", kind, NET_SPAN_ARGS(info.name),
			 NET_RANK);
		return rc;
	}
	int v = value_of(net, info.name, err);
	if (v < 0)
		return v;
	if (input && net->constant[v])
		return 0; /* old files list initializers as inputs */
	if (input && is_input(net, v)) {
		snprintf(err, 256, "input \"%.100s\" is there twice", net->name[v]);
		return -EPROTO;
	}
	if (info.type != NET_TYPE_FLOAT) {
		snprintf(err, 256, "%s \"%.100s\" has element type %d; float32 is handled", kind, net->name[v], (int)info.type);
		return -ENOTSUP;
	}
	uint32_t *n = input ? &net->ins : &net->outs;
	if (*n == NET_IO_MAX) {
		snprintf(err, 256, "it has more than %d inputs or outputs", NET_IO_MAX);
		return -ENOTSUP;
	}
	(input ? net->in : net->out)[*n] = v;
	if (input)
		net->in_shape[*n] = info.shape;
	(*n)++;
	return 0;
}

/* Every value that a node or an output uses must be there by then: no dangling pointer at run time. */
static int check_order(const struct net *net, char err[256])
{
	bool *made = calloc((size_t)net->values + 1, 1);
	if (!made)
		return -ENOMEM;
	int missing = -1;
	for (int i = 0; i < net->values; i++)
		made[i] = net->constant[i];
	for (uint32_t i = 0; i < net->ins; i++)
		made[net->in[i]] = true;
	for (int k = 0; k < net->nodes; k++) {
		const struct net_node *n = &net->node[k];
		for (int i = 0; i < n->nin; i++)
			if (n->in[i] >= 0 && !made[n->in[i]])
				missing = n->in[i];
		for (int i = 0; i < n->nout; i++) {
			if (n->out[i] < 0 || made[n->out[i]]) {
				free(made);
				snprintf(err, 256, "a value is computed twice or has no name");
				return -EPROTO;
			}
			made[n->out[i]] = true;
		}
	}
	for (uint32_t i = 0; i < net->outs; i++)
		if (!made[net->out[i]])
			missing = net->out[i];
	free(made);
	if (missing < 0)
		return 0;
	snprintf(err, 256, "\"%.100s\" is used before it is computed", net->name[missing]);
	return -EPROTO;
}

static int graph(struct net *net, struct net_span g, char err[256])
{
	static const uint32_t order[] = { 5, 11, 12, 1 }; /* initializers, inputs, outputs, nodes */
	struct net_field f;
	int rc = 0;
	for (int pass = 0; pass < 4; pass++) {
		struct net_span s = g;
		while ((rc = net_proto_next(&s, &f)) > 0) {
			if (f.id != order[pass] || f.wire != NET_WIRE_BYTES)
				continue;
			rc = pass == 0 ? net_initializer_read(net, f.sub, -1, err) :
			     pass < 3  ? value_info(net, f.sub, pass == 1, err) :
					 node(net, f.sub, err);
			if (rc)
				return rc;
		}
		if (rc)
			return rc;
	}
	return 0;
}

/* StringStringEntryProto: key = 1, value = 2. */
static int property(struct net_span s, net_property_fn *each, void *arg)
{
	struct net_span key = { NULL, NULL }, value = { NULL, NULL };
	struct net_field f;
	int rc;
	while ((rc = net_proto_next(&s, &f)) > 0) {
		if (f.id == 1)
			key = f.sub;
		else if (f.id == 2)
			value = f.sub;
	}
	char *k = net_span_dup(key), *v = net_span_dup(value);
	if (!rc)
		rc = k && v ? each(arg, k, v) : -ENOMEM;
	free(k);
	free(v);
	return rc;
}

/* ModelProto: graph = 7, metadata_props = 14. */
static int read_model(struct net_span s, struct net_span *g, net_property_fn *each, void *arg, char err[256])
{
	struct net_field f;
	int rc;
	snprintf(err, 256, "not an ONNX file, or broken");
	*g = (struct net_span){ NULL, NULL };
	while ((rc = net_proto_next(&s, &f)) > 0) {
		if (f.id == 7 && f.wire == NET_WIRE_BYTES)
			*g = f.sub;
		if (f.id == 14 && f.wire == NET_WIRE_BYTES && (rc = property(f.sub, each, arg)))
			return rc;
	}
	return rc < 0 || !g->p ? -EPROTO : 0;
}

int net_properties(const void *bytes, size_t len, net_property_fn *each, void *arg, char err[256])
{
	struct net_span g;
	return read_model((struct net_span){ bytes, (const uint8_t *)bytes + len }, &g, each, arg, err);
}

static int keep_property(void *arg, const char *key, const char *value)
{
	struct net *net = arg;
	if (net->metas == NET_META_MAX)
		return -EPROTO;
	void *p = realloc(net->meta, (size_t)(net->metas + 1) * sizeof(*net->meta));
	if (!p)
		return -ENOMEM;
	net->meta = p;
	char **pair = net->meta[net->metas++];
	pair[0] = strdup(key);
	pair[1] = strdup(value);
	return pair[0] && pair[1] ? 0 : -ENOMEM;
}

int net_onnx_read(struct net *net, const void *bytes, size_t len, char err[256])
{
	struct net_span g;
	int rc = read_model((struct net_span){ bytes, (const uint8_t *)bytes + len }, &g, keep_property, net, err);
	if (!rc)
		rc = graph(net, g, err);
	return rc ? rc : check_order(net, err);
}
